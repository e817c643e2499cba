/*
 * figures: asks the gateway for its figures once a second and keeps what they were over the last hour, for the life of the
 * tab: a page that is loaded again shows what it knew before.
 */
import { signal } from "@preact/signals";
import { History } from "../lib/history.js";
import { samplesOf, textOf } from "../lib/history-text.js";
import { sampleOf, type Stats } from "../lib/stats.js";
import { get } from "./gateway.js";

const PERIOD_MS = 1_000;
const HIDDEN_PERIOD_MS = 5_000;
const PATIENCE_MS = 5_000;

const KEY = "notifyhub.history";
const MOST_CHARS = 1_500_000; /* of some five million that a browser keeps for an origin */
const KEEP_MS = 30_000; /* a tab that crashes says no farewell */

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

function restore(): void {
  try {
    history.begin(samplesOf(sessionStorage.getItem(KEY), Date.now() / 1000));
  } catch {
    /* not allowed: then the charts begin with the page */
  }
}

function keep(): void {
  try {
    sessionStorage.setItem(KEY, textOf(history.all, MOST_CHARS));
  } catch {
    /* no room, or not allowed */
  }
}

async function look(): Promise<void> {
  try {
    const found = await get<Stats>("/stats", { signal: AbortSignal.timeout(PATIENCE_MS) });
    history.add(sampleOf(found, Date.now() / 1000));
    stats.value = found;
    samples.value++;
    isReached.value = true;
  } catch {
    history.hole();
    isReached.value = false;
    samples.value++; /* time goes on */
  }
  looked();
}

export async function watchFigures(): Promise<void> {
  restore();
  addEventListener("pagehide", keep);
  setInterval(keep, KEEP_MS);
  for (;;) {
    const started = Date.now();
    await look();
    const period = document.hidden ? HIDDEN_PERIOD_MS : PERIOD_MS;
    await new Promise((done) => setTimeout(done, Math.max(100, period - (Date.now() - started))));
  }
}
