/*
 * history: the samples of the last minutes, and the lines that a chart draws of them.
 */
import { rateBetween, type ByDoor, type Sample } from "./stats.js";

export class History {
  readonly #most: number;
  #samples: Sample[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  add(sample: Sample): void {
    this.#samples.push(sample);
    if (this.#samples.length > this.#most * 1.25) {
      this.#samples = this.#samples.slice(-this.#most);
    }
  }

  get last(): Sample | undefined {
    return this.#samples.at(-1);
  }

  /** The samples younger than this many seconds, and one before them, which the first rate is made with. */
  since(seconds: number): Sample[] {
    const from = (this.last?.at ?? 0) - seconds;
    const first = this.#samples.findIndex((sample) => sample.at >= from);
    return first < 0 ? [] : this.#samples.slice(Math.max(0, first - 1));
  }

  /** Events per second now, over about three seconds; null before there are two samples. */
  rateNow(of: (sample: Sample) => number | undefined): number | null {
    const last = this.last;
    const before = last && this.#samples.findLast((sample) => sample.at <= last.at - 2.5);
    const first = before ?? this.#samples.at(-2);
    return last && first ? rateBetween(first, last, of) : null;
  }
}

export type Lines = [number[], ...(number | null)[][]];

const WINDOW_S = 2.5; /* over which a rate is taken, so that a late answer makes no spike */
const HOLE_S = 20;

/** The sample that a rate at `i` is made with: the youngest that is old enough. A time without a look is a hole. */
function partner(samples: readonly Sample[], i: number): Sample | undefined {
  const at = samples[i]!.at;
  let before = i - 1;
  while (before > 0 && at - samples[before]!.at < WINDOW_S) {
    before--;
  }
  return at - samples[i - 1]!.at > HOLE_S ? undefined : samples[before];
}

/** A line for each name: the rate of its counter. */
export function rateLines(samples: readonly Sample[], names: readonly string[], of: (sample: Sample) => ByDoor): Lines {
  const later = samples.slice(1);
  const pairs = later.map((after, i): [Sample | undefined, Sample] => [partner(samples, i + 1), after]);
  const line = (name: string) => pairs.map(([before, after]) => (before ? rateBetween(before, after, (sample) => of(sample)[name] ?? 0) : null));
  return [later.map((sample) => sample.at), ...names.map(line)];
}

/** A line for each name: its level. */
export function levelLines(samples: readonly Sample[], of: readonly ((sample: Sample) => number | null | undefined)[]): Lines {
  return [samples.map((sample) => sample.at), ...of.map((level) => samples.map((sample) => level(sample) ?? null))];
}
