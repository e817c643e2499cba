/*
 * chart: lines over the last minutes, drawn by uPlot. The legend is ours: it names what the pointer is over, else what is
 * now, and is what those who do not see the drawing get.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import type { JSX } from "preact";
import uPlot from "uplot";
import { clock } from "../lib/format.js";
import type { Lines } from "../lib/history.js";

export interface ChartProps {
  title: string;
  names: readonly string[];
  lines: Lines;
  seconds: number;
  /** Where time is when there is no sample of now; null: at the last one. */
  until?: number | null;
  format(value: number | null | undefined): string;
  axis(value: number): string;
  /** Ticks at powers of two, for bytes. */
  binary?: boolean;
  unit?: string;
  area?: boolean;
}

const HEIGHT = 160;
const SHORTEST = 60;
const dark = matchMedia("(prefers-color-scheme: dark)");

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function useDark(): boolean {
  const [isDark, set] = useState(dark.matches);
  useEffect(() => {
    const look = () => set(dark.matches);
    dark.addEventListener("change", look);
    return () => dark.removeEventListener("change", look);
  }, []);
  return isDark;
}

/** The upper end of the scale: something round above the highest value, never a line at the very top. */
function upper(_: uPlot, __: number, max: number): [number, number] {
  return [0, max <= 0 ? 1 : max * 1.15];
}

const binarySteps = Array.from({ length: 44 }, (_, i) => 2 ** i);

function optionsOf({ names, axis, area, binary }: ChartProps, width: number, over: (index: number | null) => void): uPlot.Options {
  const text = colour("--text-soft");
  const grid = { stroke: colour("--line"), width: 1 };
  const font = '11px "Inter Variable", system-ui, sans-serif';
  const ticks = { show: false };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    padding: [8, 26, 0, 0], /* room for the half of a time below the last moment */
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    scales: { y: { range: upper } },
    axes: [
      { stroke: text, grid: { show: false }, ticks, font, space: 90, size: 26, values: (_, times) => times.map((time) => clock(time).slice(0, time % 60 === 0 ? 5 : 8)) },
      { stroke: text, grid, ticks, font, size: binary ? 60 : 44, space: 36, ...(binary ? { incrs: binarySteps } : {}), values: (_, values) => values.map((value) => axis(value)) },
    ],
    series: [
      {},
      ...names.map((label, i) => ({
        label,
        stroke: colour(`--series-${i + 1}`),
        width: 1.75,
        points: { show: false },
        ...(area ? { fill: `${colour(`--series-${i + 1}`)}1f` } : {}),
      })),
    ],
    hooks: { setCursor: [(plot) => over(plot.cursor.idx ?? null)] },
  };
}

export function Chart(props: ChartProps): JSX.Element {
  const { title, names, lines, seconds, until, format, unit = "" } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [over, setOver] = useState<number | null>(null);
  const isDark = useDark();
  const many = names.join("|");

  useEffect(() => {
    const box = place.current!;
    plot.current = new uPlot(optionsOf(props, box.clientWidth, setOver), lines as uPlot.AlignedData, box);
    const size = new ResizeObserver(() => plot.current?.setSize({ width: box.clientWidth, height: HEIGHT }));
    size.observe(box);
    return () => {
      size.disconnect();
      plot.current?.destroy();
    };
  }, [isDark, many]);

  useEffect(() => {
    const end = until ?? lines[0].at(-1) ?? Date.now() / 1000;
    /* A page that was just opened has little to show, and shows that large. */
    const length = Math.min(seconds, Math.max(SHORTEST, end - (lines[0][0] ?? end)));
    plot.current?.setData(lines as uPlot.AlignedData, false);
    plot.current?.batch(() => {
      plot.current!.setScale("x", { min: end - length, max: end });
    });
  }, [lines, seconds, until, isDark, many]);

  const isOver = over !== null && over < lines[0].length;
  const at = isOver ? over : lines[0].length - 1;
  return (
    <section class="card chart" aria-label={title}>
      <header class="chart-head">
        <h2>{title}{unit && <span class="unit">{unit}</span>}</h2>
        <span class="chart-time">{isOver ? clock(lines[0][at]!).slice(0, 8) : ""}</span>
      </header>
      <ul class="legend">
        {names.map((name, i) => (
          <li key={name}><span class="swatch" data-series={i + 1} aria-hidden="true" /><span class="legend-name">{name}</span><strong>{format(lines[i + 1]?.[at])}</strong></li>
        ))}
      </ul>
      <div class="plot" ref={place} aria-hidden="true" />
      {lines[0].length < 2 && <p class="plot-empty">Collecting: the first figures come in a moment.</p>}
    </section>
  );
}
