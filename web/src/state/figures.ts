/*
 * figures: asks the gateway for its figures once a second and keeps what they were over the last hour.
 */
import { signal } from "@preact/signals";
import { History } from "../lib/history.js";
import { sampleOf, type Stats } from "../lib/stats.js";
import { get } from "./gateway.js";

const PERIOD_MS = 1_000;
const HIDDEN_PERIOD_MS = 5_000;
const PATIENCE_MS = 5_000;

export const history = new History(3_700);
export const stats = signal<Stats | null>(null);
/** False while the gateway does not answer; the figures are then old. */
export const isReached = signal(true);
export const samples = signal(0); /* changes with each new sample */

let looked = (): void => {};
/** Resolves after the first question, answered or not. */
export const firstLook = new Promise<void>((done) => {
  looked = done;
});

async function look(): Promise<void> {
  try {
    const found = await get<Stats>("/stats", { signal: AbortSignal.timeout(PATIENCE_MS) });
    history.add(sampleOf(found, Date.now() / 1000));
    stats.value = found;
    samples.value++;
    isReached.value = true;
  } catch {
    isReached.value = false;
  }
  looked();
}

export async function watchFigures(): Promise<void> {
  for (;;) {
    const started = Date.now();
    await look();
    const period = document.hidden ? HIDDEN_PERIOD_MS : PERIOD_MS;
    await new Promise((done) => setTimeout(done, Math.max(100, period - (Date.now() - started))));
  }
}
