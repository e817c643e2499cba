/*
 * clients: who is connected, and the consumer groups, asked for while their view is shown.
 */
import { signal } from "@preact/signals";
import { get } from "./gateway.js";
import { Poll } from "./poll.js";

export interface Client {
  id: string;
  door: "ws" | "sse" | "http";
  peer: string;
  connected_at: number;
  state: string;
  event_type?: string[]; /* absent: nothing is subscribed; []: everything */
  policy?: string;
  position?: string | null;
  lag?: number;
  delivered?: number;
  dropped?: number;
  waiting_bytes?: number;
  groups?: { group: string; member: string; credit: number; held: number }[];
}

interface ClientsPage {
  clients: Client[];
  total: number;
  more: boolean;
  next: string | null;
}

export interface Group {
  group: string;
  event_type: string[];
  ordered?: boolean;
  position: string;
  lag: number;
  pending: number;
  delayed: number;
  acked: number;
  redelivered: number;
  dead_letters: number;
  lost: number;
}

export interface Member {
  member: string;
  pending: number;
  last_seen_s: number;
}

const MOST = 1_000; /* rows of the table */

export const door = signal<"" | "ws" | "sse" | "http">("");

export const clients = new Poll<{ rows: Client[]; total: number; isCut: boolean }>(2_000, async (signal) => {
  const rows: Client[] = [];
  const filter = door.value ? `&door=${door.value}` : "";
  let page: ClientsPage;
  let after = "";
  do {
    page = await get<ClientsPage>(`/clients?limit=500${filter}${after}`, { signal });
    rows.push(...page.clients);
    after = `&after=${encodeURIComponent(page.next ?? "")}`;
  } while (page.more && rows.length < MOST);
  return { rows, total: page.total, isCut: page.more };
});

export const groups = new Poll<Group[]>(2_000, async (signal) => (await get<{ groups: Group[] }>("/groups", { signal })).groups);

export async function membersOf(group: string): Promise<Member[]> {
  return (await get<{ members?: Member[] }>(`/groups/${encodeURIComponent(group)}`)).members ?? [];
}

/** Ends a client's connection; `reconnect`: and asks it to come back. */
export async function disconnect(id: string, reconnect: boolean): Promise<void> {
  await get(`/clients/${encodeURIComponent(id)}${reconnect ? "?reconnect=true" : ""}`, { method: "DELETE" });
  clients.start();
}
