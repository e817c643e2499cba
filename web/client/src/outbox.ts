/*
 * outbox: events that wait to be sent or to be answered.
 *
 * An event that was sent on a connection that broke before its answer may have been published or not. One with an `id`
 * is simply sent again, because the hub takes an `id` once; one without is rejected as `outcome_unknown`.
 */
import { HubError, type Published } from "./types.js";

const MOST = 1000;

/** Sends an event; its answer comes back to `Outbox.answer` with this id. */
export type Send = (id: number, event: string, durability: string | undefined) => void;

interface Item {
  event: string;
  durability: string | undefined;
  isRepeatable: boolean;
  isSent: boolean;
  timer: ReturnType<typeof setTimeout>;
  resolve(answer: Published): void;
  reject(error: HubError): void;
}

export class Outbox {
  #items = new Map<number, Item>();
  #next = 1;

  /** `event`: its JSON. It waits for `flush`. */
  add(event: string, options: { durability: string | undefined; isRepeatable: boolean; timeoutMs: number }): Promise<Published> {
    if (this.#items.size >= MOST) {
      return Promise.reject(new HubError("overloaded", `${MOST} events wait to be published already`));
    }
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#expire(id), options.timeoutMs);
      this.#items.set(id, { ...options, event, isSent: false, timer, resolve, reject });
    });
  }

  #take(id: number): Item | undefined {
    const item = this.#items.get(id);
    clearTimeout(item?.timer);
    this.#items.delete(id);
    return item;
  }

  #expire(id: number): void {
    const item = this.#take(id);
    item?.reject(
      item.isSent
        ? new HubError("outcome_unknown", "no answer came in time; nobody knows whether the event was published")
        : new HubError("not_connected", "the event was not sent, because there was no connection in time"),
    );
  }

  /** True when the answer was for one of ours. */
  answer(id: unknown, result: Published | HubError): boolean {
    const item = typeof id === "number" ? this.#take(id) : undefined;
    if (item) {
      result instanceof HubError ? item.reject(result) : item.resolve(result);
    }
    return item !== undefined;
  }

  /** A connection is there: sends what was not sent yet. */
  flush(send: Send): void {
    for (const [id, item] of this.#items) {
      if (!item.isSent) {
        item.isSent = true;
        send(id, item.event, item.durability);
      }
    }
  }

  /** The connection is gone: what was sent on it waits for the next one, or fails. */
  lost(): void {
    for (const [id, item] of this.#items) {
      if (!item.isSent) {
        continue;
      }
      if (item.isRepeatable) {
        item.isSent = false;
      } else {
        this.#take(id);
        item.reject(new HubError("outcome_unknown", "the connection broke before the answer; give events an id to repeat them safely"));
      }
    }
  }

  close(): void {
    for (const id of [...this.#items.keys()]) {
      const item = this.#take(id)!;
      item.reject(new HubError(item.isSent ? "outcome_unknown" : "closed", "this client was closed"));
    }
  }
}
