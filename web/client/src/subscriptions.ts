/*
 * subscriptions: who wants what. Several handlers share one stream; an event goes to each handler one of whose patterns
 * it matches. Remembers for each type who that is, because types repeat all the time.
 */
import { matcherOf } from "./pattern.js";
import type { HubEvent, Position } from "./types.js";

export type Handler<Type extends string = string, Data = any> = (event: HubEvent<Type, Data>, text: string) => void;

/** What `subscribe` returns. */
export interface Subscription {
  readonly patterns: readonly string[];
  /** Resolves when the gateway has confirmed it for the first time; rejects with a HubError when it refuses. */
  readonly ready: Promise<Position | null>;
  /** No event comes any more. */
  close(): void;
}

interface Entry {
  patterns: readonly string[];
  matches(type: string): boolean;
  handler: Handler;
}

const REMEMBERED_TYPES = 1000;

export class Subscriptions {
  #entries = new Set<Entry>();
  #byType = new Map<string, Entry[]>();

  add(patterns: readonly string[], handler: Handler): Entry {
    const matchers = patterns.map(matcherOf);
    const entry = { patterns, handler, matches: (type: string) => matchers.some((matches) => matches(type)) };
    this.#entries.add(entry);
    this.#byType.clear();
    return entry;
  }

  /** False when it was gone already. */
  remove(entry: Entry): boolean {
    this.#byType.clear();
    return this.#entries.delete(entry);
  }

  /** All patterns, each once. */
  patterns(): Set<string> {
    return new Set([...this.#entries].flatMap((entry) => entry.patterns));
  }

  /** Handlers that throw do not keep the others from their event; `failed` gets what was thrown. */
  dispatch(event: HubEvent, text: string, failed: (error: unknown) => void): void {
    let entries = this.#byType.get(event.event_type);
    if (!entries) {
      entries = [...this.#entries].filter((entry) => entry.matches(event.event_type));
      if (this.#byType.size >= REMEMBERED_TYPES) {
        this.#byType.clear();
      }
      this.#byType.set(event.event_type, entries);
    }
    for (const entry of entries) {
      try {
        entry.handler(event, text);
      } catch (error) {
        failed(error);
      }
    }
  }
}

export type { Entry };
