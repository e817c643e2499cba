/*
 * history-text: samples as a text that outlives a reload. By columns, because an hour of samples repeats its names
 * thousands of times otherwise.
 */
import type { ByDoor, Sample } from "./stats.js";

const VERSION = 1;
const GROUPS = ["in", "out", "drops", "subscribers"] as const;
const LEVELS = ["hubStart", "lag", "behind", "journalBytes", "journalAge"] as const;

interface Columns {
  version: number;
  at: number[];
  holes: number[]; /* places of the samples behind one */
  levels: Record<string, (number | null)[]>;
  groups: Record<string, Record<string, (number | null)[]>>;
}

function columnsOf(samples: readonly Sample[]): Columns {
  const group = (name: (typeof GROUPS)[number]) => {
    const names = [...new Set(samples.flatMap((sample) => Object.keys(sample[name])))];
    return Object.fromEntries(names.map((key) => [key, samples.map((sample) => sample[name][key] ?? null)]));
  };
  return {
    version: VERSION,
    at: samples.map((sample) => Math.round(sample.at * 1000) / 1000),
    holes: samples.flatMap((sample, i) => (sample.isAfterHole ? [i] : [])),
    levels: Object.fromEntries(LEVELS.map((name) => [name, samples.map((sample) => sample[name])])),
    groups: Object.fromEntries(GROUPS.map((name) => [name, group(name)])),
  };
}

/** The text of the newest samples, as many as fit into so many characters. */
export function textOf(samples: readonly Sample[], mostChars: number): string {
  for (let kept = samples; kept.length > 0; kept = kept.slice(Math.ceil(kept.length / 4))) {
    const text = JSON.stringify(columnsOf(kept));
    if (text.length <= mostChars) {
      return text;
    }
  }
  return "";
}

function isNumbers(values: unknown, length: number): values is (number | null)[] {
  return Array.isArray(values) && values.length === length && values.every((value) => value === null || Number.isFinite(value));
}

function isColumns(found: unknown): found is Columns {
  const { version, at, holes, levels, groups } = (found ?? {}) as Partial<Columns>;
  return version === VERSION && isNumbers(at, at?.length ?? 0) && at.every((value, i) => value !== null && (i === 0 || value >= at[i - 1]!))
    && isNumbers(holes, holes?.length ?? 0)
    && LEVELS.every((name) => isNumbers(levels?.[name], at.length))
    && GROUPS.every((name) => Object.values(groups?.[name] ?? { missing: null }).every((values) => isNumbers(values, at.length)));
}

/** The samples of such a text; none when it is of another version, damaged, or of the future. */
export function samplesOf(text: string | null, now: number): Sample[] {
  let found: unknown;
  try {
    found = JSON.parse(text ?? "");
  } catch {
    return [];
  }
  if (!isColumns(found) || (found.at.at(-1) ?? 0) > now + 5) {
    return [];
  }
  const { at, holes, levels, groups } = found;
  const group = (name: string, i: number): ByDoor =>
    Object.fromEntries(Object.entries(groups[name]!).flatMap(([key, values]) => (values[i] === null ? [] : [[key, values[i]!]])));
  return at.map((moment, i) => ({
    at: moment,
    ...Object.fromEntries(LEVELS.map((name) => [name, levels[name]![i]!])),
    ...Object.fromEntries(GROUPS.map((name) => [name, group(name, i)])),
    ...(holes.includes(i) ? { isAfterHole: true } : {}),
  }) as Sample);
}
