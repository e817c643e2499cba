/*
 * types: what travels between a page and a gateway. Members have the names that they have on the wire.
 */

/** `epoch-seq`: names a place in the stream for ever, for example `k3mzq7aa-42`. */
export type Position = string;

export type Durability = "memory" | "journaled" | "synced";

/** An event as the hub numbered it. `Type` is what was subscribed to, `Data` what its publisher sends. */
export interface HubEvent<Type extends string = string, Data = unknown> {
  event_type: Type;
  source_service: string;
  data: Data;
  /** Seconds since 1970. */
  timestamp: number;
  correlation_id: string;
  id?: string;
  kind?: "created" | "updated" | "deleted" | "activated" | "deactivated" | "error" | "custom";
  metadata?: Record<string, string>;
  seq: number;
  epoch: string;
}

/** The type of the events that a pattern brings: itself, or any string when it holds `*`, `?` or `[`. */
export type TypeOf<Pattern extends string> = Pattern extends `${string}${"*" | "?" | "["}${string}` ? string : Pattern;

export type GapReason = "retention" | "unclean_stop" | "epoch_changed" | "not_stored" | "slow" | "unknown";

/** Events that this client does not get: those behind `from` up to and including `to`. `unknown`: the hub never gave
 * out the position that the client named, so nobody can tell what lies between. */
export interface Gap {
  from: Position;
  to: Position;
  reason: GapReason;
  /** How many, where that is known. */
  dropped?: number;
}

/** What became of the wish to go on behind a position. */
export interface Resume {
  result: "caught_up" | "replayed" | "gap" | "unknown";
  from?: Position;
  to?: Position;
  count?: number;
  gap?: Gap;
}

/** The answer to a publish. */
export interface Published {
  seq: number;
  epoch: string;
  durability: Durability;
  correlation_id?: string;
  /** An event with this `id` was there already; `seq` is its number. */
  duplicate?: true;
  /** Members of the event that no reader will see. */
  ignored?: string[];
}

export interface HistoryPage {
  epoch: string;
  events: HubEvent[];
  next: Position;
  more: boolean;
  gap?: Gap;
}

/** `connecting`: the first time. `live`: connected, subscribed. `lost`: comes back by itself. `refused`: the gateway
 * said that it will never take this (see `error`). `closed`: by `close()`. */
export type StateName = "connecting" | "live" | "lost" | "refused" | "closed";

export interface State {
  name: StateName;
  /** Where it goes on: behind this event. `null` before the hub was ever seen. */
  position: Position | null;
  transport: "websocket" | "sse" | null;
  /** Failed attempts since it was live. */
  attempt: number;
  /** While `lost`: milliseconds until the next attempt; 0 while one is under way. */
  retryInMs: number;
  /** Why it is not live, in words. */
  reason: string;
}

/** An answer that is an error: `code` is a stable word, `message` is for people. */
export class HubError extends Error {
  override readonly name = "HubError";
  readonly code: string;
  /** The status of an answer over HTTP; 0 elsewhere. */
  readonly status: number;

  constructor(code: string, detail: string, status = 0) {
    super(detail);
    this.code = code;
    this.status = status;
  }
}
