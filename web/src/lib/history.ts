/*
 * history: the samples of the last minutes, and the lines that a chart draws of them.
 */
import { rateOf, type ByDoor, type Sample } from "./stats.js";

export class History {
  readonly #most: number;
  #samples: Sample[] = [];
  #isHole = false;

  constructor(most: number) {
    this.#most = most;
  }

  add(sample: Sample): void {
    this.#samples.push(this.#isHole && this.#samples.length > 0 ? { ...sample, isAfterHole: true } : sample);
    this.#isHole = false;
    if (this.#samples.length > this.#most * 1.25) {
      this.#samples = this.#samples.slice(-this.#most);
    }
  }

  /** What is now is not known; no line is drawn over it. */
  hole(): void {
    this.#isHole = true;
  }

  /** Begins with what was known earlier, before a hole. */
  begin(samples: readonly Sample[]): void {
    this.#samples = samples.slice(-this.#most);
    this.hole();
  }

  get all(): readonly Sample[] {
    return this.#samples;
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

  /** What two samples about three seconds apart tell about now; null before there are two. */
  now<Value>(tell: (before: Sample, last: Sample) => Value): Value | null {
    const i = this.#samples.length - 1;
    const before = i > 0 ? partner(this.#samples, i) : undefined;
    return before ? tell(before, this.#samples[i]!) : null;
  }
}

export type Lines = [number[], ...(number | null)[][]];

const WINDOW_S = 2.5; /* over which a rate is taken, so that a late answer makes no spike */
const HOLE_S = 90; /* a hidden page may look but once a minute */

function isAfterHole(samples: readonly Sample[], i: number): boolean {
  return samples[i]!.isAfterHole === true || samples[i]!.at - samples[i - 1]!.at > HOLE_S;
}

/** The sample that a rate at `i` is made with: the youngest that is old enough, on this side of a hole. */
function partner(samples: readonly Sample[], i: number): Sample | undefined {
  let before = i;
  while (before > 0 && samples[i]!.at - samples[before]!.at < WINDOW_S && !isAfterHole(samples, before)) {
    before--;
  }
  return before === i ? undefined : samples[before];
}

/** A line for each name: the rate of its counter. */
export function rateLines(samples: readonly Sample[], names: readonly string[], of: (sample: Sample) => ByDoor): Lines {
  const later = samples.slice(1);
  const pairs = later.map((after, i): [Sample | undefined, Sample] => [partner(samples, i + 1), after]);
  const line = (name: string) => pairs.map(([before, after]) => (before ? rateOf(before, after, of, name) : null));
  return [later.map((sample) => sample.at), ...names.map(line)];
}

/** A line for each name: its level. A hole is a moment without one, so that no line is drawn over it. */
export function levelLines(samples: readonly Sample[], of: readonly ((sample: Sample) => number | null | undefined)[]): Lines {
  const moments = samples.flatMap((sample, i): (Sample | number)[] =>
    i > 0 && isAfterHole(samples, i) ? [(samples[i - 1]!.at + sample.at) / 2, sample] : [sample]);
  return [
    moments.map((moment) => (typeof moment === "number" ? moment : moment.at)),
    ...of.map((level) => moments.map((moment) => (typeof moment === "number" ? null : (level(moment) ?? null)))),
  ];
}
