/*
 * stats: what GET /stats tells, and the figures that the dashboard makes of it. Members that a gateway or hub of another
 * version does not have are simply missing: everything here copes with that.
 */
export const DOORS = ["http", "sse", "ws"] as const;
export type Door = (typeof DOORS)[number];
export type ByDoor = Partial<Record<string, number>>;

export interface Journal {
  state?: string;
  why?: string;
  bytes?: number;
  file_bytes?: number;
  max_bytes?: number;
  pending_bytes?: number;
  not_stored?: number;
  age_s?: number;
  records?: number;
  sync?: string;
}

export interface Stats {
  gateway: {
    version: string;
    uptime_s: number;
    draining: boolean;
    connections: { open: number };
    requests_waiting?: number;
    link: {
      connected: boolean;
      caught_up: boolean;
      reason: string;
      epoch: string;
      seq: number;
      received_seq: number;
      oldest_seq: number;
      answer_age_ms: number;
      in_flight?: number;
      durability?: string;
      losses_total?: number;
    };
    events: { in_total: number; refilled_total?: number };
    published_total: ByDoor;
    delivered_total: ByDoor;
    subscribers: ByDoor;
    rejected: Record<string, ByDoor>;
    dropped: ByDoor;
    gaps_total?: number;
    resumes_total?: number;
    lag: { max_events: number };
    memory: { resident_bytes: number; stream_bytes: number };
  };
  hub: {
    events_received: number;
    events_published: number;
    duplicates?: number;
    start_time: number;
    rejected_total: number;
    rejected: ByDoor;
    subscriptions: { now: number; send_failures?: number; not_sent?: number };
    answers: { dropped: number };
    ring?: { events: number; bytes: number; max_bytes: number };
    journal?: Journal;
    groups?: unknown;
  } | null;
  hub_missing?: string;
}

export function sum(values: ByDoor | undefined): number {
  return Object.values(values ?? {}).reduce<number>((total, value) => total + (value ?? 0), 0);
}

/** One moment: levels as they are, counters as they stand. What only the hub can tell is not there while it is away. */
export interface Sample {
  at: number; /* seconds */
  /** When the hub was started, which tells its counters from those of an earlier one; null: it is away. */
  hubStart: number | null;
  /** Nothing is known of the time between the sample before and this one. */
  isAfterHole?: boolean;
  in: ByDoor; /* counters */
  out: ByDoor;
  drops: ByDoor;
  subscribers: ByDoor; /* levels */
  lag: number;
  behind: number | null; /* numbers that the gateway has not received yet */
  journalBytes: number | null;
  journalAge: number | null;
}

/** What came neither by HTTP nor by WebSocket here: by ZeroMQ, or through another gateway. */
export const OTHERS = "ZeroMQ";

/** Reasons for which something was not delivered or not accepted, each with its counter. */
function dropsOf({ gateway, hub }: Stats): ByDoor {
  const drops: ByDoor = {};
  for (const [reason, value] of Object.entries(gateway.dropped)) {
    drops[reason.replace(/^slow_/, "slow reader: ")] = value ?? 0;
  }
  for (const values of Object.values(gateway.rejected)) {
    for (const [reason, value] of Object.entries(values)) {
      drops[`refused: ${reason}`] = (drops[`refused: ${reason}`] ?? 0) + (value ?? 0);
    }
  }
  if (hub) {
    for (const [reason, value] of Object.entries(hub.rejected)) {
      drops[`refused by the hub: ${reason}`] = value ?? 0;
    }
    drops["ZeroMQ reader full"] = (hub.subscriptions.send_failures ?? 0) + (hub.subscriptions.not_sent ?? 0);
    drops["answer not taken"] = hub.answers.dropped;
    drops["not stored"] = hub.journal?.not_stored ?? 0;
  }
  return drops;
}

export function sampleOf(stats: Stats, at: number): Sample {
  const { gateway } = stats;
  const hub = gateway.link.connected ? stats.hub : null;
  const mine = { HTTP: gateway.published_total.http ?? 0, WebSocket: gateway.published_total.ws ?? 0 };
  const native = { SSE: gateway.subscribers.sse ?? 0, WebSocket: gateway.subscribers.ws ?? 0 };
  return {
    at,
    hubStart: hub?.start_time ?? null,
    /* The difference of two daemons' counters, and negative when the hub is younger than the gateway. */
    in: hub ? { ...mine, [OTHERS]: hub.events_received - mine.HTTP - mine.WebSocket } : mine,
    out: { SSE: gateway.delivered_total.sse ?? 0, WebSocket: gateway.delivered_total.ws ?? 0, HTTP: gateway.delivered_total.http ?? 0 },
    drops: dropsOf({ ...stats, hub }),
    subscribers: hub ? { ...native, [OTHERS]: hub.subscriptions.now } : native,
    lag: gateway.lag.max_events,
    behind: hub ? Math.max(0, gateway.link.seq - gateway.link.received_seq) : null,
    journalBytes: hub?.journal?.bytes ?? hub?.ring?.bytes ?? null,
    journalAge: hub?.journal?.age_s ?? null,
  };
}

/** Per second between two samples; null where the counter was set back (the process started anew). */
export function rateBetween(before: Sample, after: Sample, of: (sample: Sample) => number | null | undefined): number | null {
  const [a, b] = [of(before) ?? null, of(after) ?? null];
  const seconds = after.at - before.at;
  return a === null || b === null || seconds <= 0 || b < a ? null : (b - a) / seconds;
}

/** The same for one of several counters. One that is not there yet begins at 0, unless it is the hub's and that was away. */
export function rateOf(before: Sample, after: Sample, of: (sample: Sample) => ByDoor, name: string): number | null {
  const isSameHub = before.hubStart === after.hubStart;
  const [a, b] = [of(before)[name], of(after)[name]];
  if (name === OTHERS) {
    const seconds = after.at - before.at;
    /* The two daemons are not asked at the same instant: what falls is none. */
    return !isSameHub || a === undefined || b === undefined || seconds <= 0 ? null : Math.max(0, (b - a) / seconds);
  }
  return isSameHub && (b !== undefined || after.hubStart !== null) ? rateBetween(before, after, (sample) => of(sample)[name] ?? 0)
    : rateBetween(before, after, (sample) => of(sample)[name]);
}

/** All events that came in; only the hub knows. */
export function inTotal(sample: Sample): number | null {
  return sample.hubStart === null ? null : sum(sample.in);
}

export interface Verdict {
  tone: "good" | "warn" | "bad";
  word: string;
  why: string;
}

/** Known to be away, by a gateway that answers. */
export function isHubAway(stats: Stats | null, isReached: boolean): boolean {
  return stats !== null && isReached && !stats.gateway.link.connected;
}

/** How far the gateway is behind, which only a hub can tell that is there. */
export function behindText({ gateway: { link }, hub }: Stats, behind: string | null): string {
  if (!link.connected || !hub) {
    return "the hub is away: how far behind the gateway is, is unknown";
  }
  return behind === null ? "gateway is up to date" : `gateway ${behind} behind the hub`;
}

/** Where the hub keeps events, as the title of their chart; an absent hub may do either. */
export function keepingText(stats: Stats | null): string {
  return !stats?.hub ? "Kept by the hub" : stats.hub.journal ? "Journal" : "Kept in memory";
}

/** A reason without its age, which would change with every look. */
function steady(reason: string): string {
  return reason.replace(/ for [\d.]+ m?s\b/, "");
}

export function gatewayVerdict(stats: Stats | null, isReached: boolean): Verdict {
  if (!isReached) {
    return { tone: "bad", word: "Away", why: "The gateway does not answer. This page asks again by itself." };
  }
  if (!stats) {
    return { tone: "warn", word: "…", why: "Asking." };
  }
  const { draining, link } = stats.gateway;
  if (draining) {
    return { tone: "warn", word: "Leaving", why: "Not ready, because this gateway is being stopped; clients move to another one." };
  }
  if (!link.connected || !link.caught_up) {
    return { tone: "bad", word: "Not ready", why: `Not ready, because ${steady(link.reason) || "the hub is away"}.` };
  }
  return { tone: "good", word: "Ready", why: "" };
}

export function hubVerdict(stats: Stats | null, isReached: boolean): Verdict {
  if (!stats || !isReached) {
    return { tone: "warn", word: "Unknown", why: "Only a gateway can tell." };
  }
  if (!stats.gateway.link.connected || !stats.hub) {
    const reason = steady(stats.gateway.link.reason) || stats.hub_missing || "no answer";
    return { tone: "bad", word: "Away", why: `Nothing can be published and nothing new arrives: ${reason}.` };
  }
  const journal = stats.hub.journal;
  if (journal?.state === "degraded") {
    return { tone: "warn", word: "Degraded", why: `The disk does not keep events: ${journal.why ?? "no reason given"}.` };
  }
  return { tone: "good", word: "Up", why: "" };
}
