/*
 * backoff: how long to wait before the next attempt: twice as long each time up to a limit, and never the same for two
 * clients (jitter), so that those who lost a gateway at the same moment do not come back at the same moment.
 */
export interface BackoffOptions {
  /** Milliseconds before the second attempt; default 500. */
  firstMs?: number;
  /** The longest wait; default 15 000. */
  longestMs?: number;
}

export class Backoff {
  attempt = 0;
  readonly #first: number;
  readonly #longest: number;

  constructor(options: BackoffOptions = {}) {
    this.#first = options.firstMs ?? 500;
    this.#longest = options.longestMs ?? 15_000;
  }

  /** The wait before the next attempt: between half of the step and the whole of it. */
  next(): number {
    const step = Math.min(this.#longest, this.#first * 2 ** Math.min(this.attempt++, 30));
    return Math.round(step * (0.5 + Math.random() / 2));
  }

  reset(): void {
    this.attempt = 0;
  }
}
