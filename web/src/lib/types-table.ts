/*
 * types-table: the event types as the gateway tells them, with the rates of the last minutes, sorted and filtered for
 * the view.
 */
export interface TypeRow {
  n: number;
  event_type: string;
  count: number;
  rate_per_s: number;
  last_seen: number | null;
  position: string;
  sources: { source_service: string; count: number }[];
  /** The newest event as it came. */
  event?: string;
}

export interface TypesPage {
  types: TypeRow[];
  total: number;
  forgotten: number;
  more: boolean;
  next: number | null;
}

export type TypeOrder = "rate" | "name" | "count" | "seen";

const SPARK = 60;

/** What the rates of each type were at the last looks; types that are not told any more are forgotten. */
export class RateMemory {
  #rates = new Map<string, number[]>();

  add(rows: readonly TypeRow[]): void {
    const next = new Map<string, number[]>();
    for (const row of rows) {
      next.set(row.event_type, [...(this.#rates.get(row.event_type) ?? []), row.rate_per_s].slice(-SPARK));
    }
    this.#rates = next;
  }

  of(type: string): readonly number[] {
    return this.#rates.get(type) ?? [];
  }
}

const orders: Record<TypeOrder, (a: TypeRow, b: TypeRow) => number> = {
  rate: (a, b) => b.rate_per_s - a.rate_per_s || (b.last_seen ?? 0) - (a.last_seen ?? 0),
  name: (a, b) => (a.event_type < b.event_type ? -1 : 1),
  count: (a, b) => b.count - a.count,
  seen: (a, b) => (b.last_seen ?? 0) - (a.last_seen ?? 0),
};

export function arrange(rows: readonly TypeRow[], order: TypeOrder, filter: string): TypeRow[] {
  const needle = filter.trim().toLowerCase();
  const wanted = rows.filter((row) => needle === "" || row.event_type.toLowerCase().includes(needle)
    || row.sources.some((source) => source.source_service.toLowerCase().includes(needle)));
  return wanted.sort((a, b) => orders[order](a, b) || a.n - b.n);
}

/** A line of values as the path of an SVG of this size; "" for less than two values. */
export function sparkPath(values: readonly number[], width: number, height: number): string {
  if (values.length < 2) {
    return "";
  }
  const top = Math.max(...values, 1e-9);
  const step = width / (Math.max(values.length, SPARK / 3) - 1);
  const left = width - (values.length - 1) * step;
  return values.map((value, i) => `${i === 0 ? "M" : "L"}${(left + i * step).toFixed(1)} ${(height - 1 - (value / top) * (height - 2)).toFixed(1)}`).join("");
}
