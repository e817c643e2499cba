/*
 * format: figures for people. One way of writing numbers everywhere, so that columns line up.
 */
const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

export const NONE = "–";

export function count(value: number | null | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value) ? NONE : whole.format(value);
}

/** A rate: one digit behind the point below ten, where it matters. */
export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) {
    return NONE;
  }
  return value < 9.95 ? tenth.format(value) : whole.format(value);
}

/** Short, for axes: 1.2k, 3M. */
export function short(value: number): string {
  const steps: [number, string][] = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];
  const step = steps.find(([size]) => Math.abs(value) >= size);
  return step ? tenth.format(value / step[0]) + step[1] : tenth.format(value);
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) {
    return NONE;
  }
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${unit === 0 || size >= 100 ? whole.format(size) : tenth.format(size)} ${units[unit]}`;
}

/** 4 s, 3 min, 2 h 05 min, 3 d 4 h. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) {
    return NONE;
  }
  const s = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (days > 0) {
    return `${days} d ${hours} h`;
  }
  if (hours > 0) {
    return `${hours} h ${String(minutes).padStart(2, "0")} min`;
  }
  return minutes > 0 ? `${minutes} min` : `${s} s`;
}

/** How long ago; the same words as in duration. */
export function ago(seconds: number | null | undefined, now: number): string {
  return seconds === null || seconds === undefined ? NONE : seconds > now - 1 ? "now" : `${duration(now - seconds)} ago`;
}

const pad = (value: number, digits = 2) => String(value).padStart(digits, "0");

/** The reader's own time of day, with milliseconds. */
export function clock(secondsSince1970: number): string {
  const date = new Date(secondsSince1970 * 1000);
  if (Number.isNaN(date.getTime())) {
    return NONE;
  }
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
}

/** The number of a position (`k3mzq7aa-42` → 42); null when it is none. */
export function seqOf(position: string | null | undefined): number | null {
  const match = /^[a-z][a-z2-7]{7}-(\d+)$/.exec(position ?? "");
  return match ? Number(match[1]) : null;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}
