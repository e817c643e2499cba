/*
 * sent: what this page published, newest first, with the answers. Kept for the life of the tab.
 */
import { signal } from "@preact/signals";
import type { Published } from "notifyhub-client";
import { HubError } from "notifyhub-client";
import { membersOf, type Draft } from "../lib/draft.js";
import { hub } from "./gateway.js";

export interface Sent {
  n: number;
  at: number; /* seconds */
  draft: Draft;
  tookMs: number | null; /* null: the answer is not there yet */
  answer: Published | null;
  error: { code: string; message: string } | null;
}

const MOST = 50;
const KEY = "notifyhub.sent";

function restored(): Sent[] {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY) ?? "[]") as Sent[];
    return found.filter((entry) => entry.tookMs !== null);
  } catch {
    return []; /* of another version, or not allowed */
  }
}

export const sent = signal<Sent[]>(restored());
let next = Math.max(0, ...sent.value.map((entry) => entry.n)) + 1;

function keep(entries: Sent[]): void {
  sent.value = entries.slice(0, MOST);
  try {
    sessionStorage.setItem(KEY, JSON.stringify(sent.value));
  } catch {
    /* no room for large events: then the list is only as long-lived as the page */
  }
}

/** Sends at once; `n` names the entry, which is there already and waits for its answer. */
export function send(draft: Draft): { n: number; done: Promise<Sent> } {
  const started = performance.now();
  const entry: Sent = { n: next++, at: Date.now() / 1000, draft, tookMs: null, answer: null, error: null };
  keep([entry, ...sent.value]);
  return { n: entry.n, done: answered(entry, started) };
}

async function answered(entry: Sent, started: number): Promise<Sent> {
  const { draft } = entry;
  const options = { ...membersOf(draft), isText: true, ...(draft.durability ? { durability: draft.durability as Published["durability"] } : {}) };
  let done: Sent;
  try {
    const answer = await hub().publish(draft.event_type.trim(), draft.data.trim() || "{}", options);
    done = { ...entry, answer, tookMs: performance.now() - started };
  } catch (error) {
    const { code, message } = error instanceof HubError ? error : new HubError("failed", String(error));
    done = { ...entry, error: { code, message }, tookMs: performance.now() - started };
  }
  keep(sent.value.map((other) => (other.n === done.n ? done : other)));
  return done;
}

export function forgetSent(): void {
  keep([]);
}
