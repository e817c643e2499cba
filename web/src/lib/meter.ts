/*
 * meter: how many per second, over the last few seconds.
 */
const SLOTS = 5;
const SLOT_MS = 500;

export class Meter {
  #counts = new Array<number>(SLOTS).fill(0);
  #slot = -1;

  #turn(now: number): void {
    const slot = Math.floor(now / SLOT_MS);
    if (slot - this.#slot >= SLOTS || slot < this.#slot) {
      this.#counts.fill(0);
    } else {
      for (let i = this.#slot + 1; i <= slot; i++) {
        this.#counts[i % SLOTS] = 0;
      }
    }
    this.#slot = slot;
  }

  add(now: number, n = 1): void {
    this.#turn(now);
    this.#counts[this.#slot % SLOTS]! += n;
  }

  /** Over the slots that are complete, so that it does not flutter. */
  perSecond(now: number): number {
    this.#turn(now);
    const complete = this.#counts.reduce((sum, n, i) => sum + (i === this.#slot % SLOTS ? 0 : n), 0);
    return complete / (((SLOTS - 1) * SLOT_MS) / 1000);
  }
}
