/*
 * poll: something that a view asks the gateway for again and again while it is shown.
 */
import { signal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { HubError } from "notifyhub-client";

/** `missing`: this gateway does not know the address, because it is of an earlier version. */
export interface Polled<Value> {
  value: Value | null;
  error: HubError | null;
  isMissing: boolean;
}

export class Poll<Value> {
  readonly found: Signal<Polled<Value>> = signal({ value: null, error: null, isMissing: false });
  readonly #ask: (signal: AbortSignal) => Promise<Value>;
  readonly #periodMs: number;
  #abort: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(periodMs: number, ask: (signal: AbortSignal) => Promise<Value>) {
    this.#ask = ask;
    this.#periodMs = periodMs;
  }

  start(): void {
    this.stop();
    const abort = new AbortController();
    this.#abort = abort;
    const look = async () => {
      try {
        const value = await this.#ask(AbortSignal.any([abort.signal, AbortSignal.timeout(10_000)]));
        this.#tell(abort, { value, error: null, isMissing: false });
      } catch (error) {
        const failed = error instanceof HubError ? error : new HubError("failed", String(error));
        const value = failed.status === 404 ? null : this.found.value.value;
        this.#tell(abort, { value, error: failed, isMissing: failed.status === 404 });
      }
      /* What is missing does not appear in the life of a page, and asking is counted as a refusal. */
      if (!abort.signal.aborted && !this.found.value.isMissing) {
        this.#timer = setTimeout(look, document.hidden ? this.#periodMs * 5 : this.#periodMs);
      }
    };
    void look();
  }

  #tell(abort: AbortController, found: Polled<Value>): void {
    if (!abort.signal.aborted) {
      this.found.value = found;
    }
  }

  stop(): void {
    this.#abort?.abort();
    this.#abort = null;
    clearTimeout(this.#timer);
  }
}

/** Asks as long as the component is there. */
export function usePoll<Value>(poll: Poll<Value>): Polled<Value> {
  useEffect(() => {
    poll.start();
    return () => poll.stop();
  }, [poll]);
  return poll.found.value;
}
