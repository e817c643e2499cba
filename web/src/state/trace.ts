/*
 * trace: all events with one correlation_id: those on the page at once, then those that the hub still keeps, page by page,
 * until the end or until somebody says enough.
 */
import { signal } from "@preact/signals";
import type { HistoryPage, HubEvent } from "notifyhub-client";
import { hub } from "./gateway.js";
import { log } from "./live.js";

export interface Trace {
  correlation: string;
  events: HubEvent[]; /* ascending */
  looked: number; /* events of the history that were looked at */
  state: "looking" | "done" | "stopped" | "failed";
  why: string;
}

const PAGE = 5_000;
const MOST = 500;

export const trace = signal<Trace | null>(null);
let abort: AbortController | null = null;

function merged(events: HubEvent[], more: HubEvent[]): HubEvent[] {
  const known = new Set(events.map((event) => `${event.epoch}-${event.seq}`));
  const all = [...events, ...more.filter((event) => !known.has(`${event.epoch}-${event.seq}`))];
  return all.sort((a, b) => a.timestamp - b.timestamp || a.seq - b.seq).slice(-MOST);
}

function onPage(correlation: string): HubEvent[] {
  const found: HubEvent[] = [];
  for (let i = 0; i < log.size; i++) {
    const item = log.item(i)!;
    if (!item.notice && item.correlation === correlation) {
      found.push(JSON.parse(item.text) as HubEvent);
    }
  }
  return found;
}

export async function startTrace(correlation: string): Promise<void> {
  stopTrace();
  const mine = new AbortController();
  abort = mine;
  trace.value = { correlation, events: onPage(correlation), looked: 0, state: "looking", why: "" };
  let since = "earliest";
  try {
    for (let isMore = true; isMore; ) {
      const page: HistoryPage = await hub().history({ since, limit: PAGE, signal: mine.signal });
      if (abort !== mine) {
        return;
      }
      const now: Trace = trace.value!;
      isMore = page.more;
      since = page.next;
      trace.value = {
        ...now,
        events: merged(now.events, page.events.filter((event) => event.correlation_id === correlation)),
        looked: now.looked + page.events.length,
        state: isMore ? "looking" : "done",
      };
    }
  } catch (error) {
    if (abort === mine && trace.value) {
      trace.value = { ...trace.value, state: "failed", why: (error as Error).message };
    }
  }
}

export function stopTrace(): void {
  abort?.abort();
  abort = null;
  if (trace.value?.state === "looking") {
    trace.value = { ...trace.value, state: "stopped" };
  }
}

export function closeTrace(): void {
  stopTrace();
  trace.value = null;
}
