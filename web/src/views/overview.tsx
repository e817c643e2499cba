/*
 * overview: whether all is well, in figures that can be read from three metres, and how it was in the last minutes.
 */
import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { bytes, count, duration, rate, short } from "../lib/format.js";
import { levelLines, rateLines } from "../lib/history.js";
import { behindText, gatewayVerdict, hubVerdict, inTotal, keepingText, OTHERS, rateBetween, rateOf, sum, type Sample, type Stats, type Verdict } from "../lib/stats.js";
import { Chart } from "../parts/chart.js";
import { Loading } from "../parts/states.js";
import { history, isReached, samples, stats } from "../state/figures.js";

const WINDOWS: [number, string][] = [[300, "5 min"], [900, "15 min"], [3600, "1 h"]];
const span = signal(300);
const IN = ["HTTP", "WebSocket", OTHERS];
const OUT = ["SSE", "WebSocket", "HTTP"];
const SUBSCRIBERS = ["SSE", "WebSocket", OTHERS];
const NO_BREAK = "\u00a0"; /* between a name and its figure */
const REASONS = 5; /* lines of a chart that can still be told apart */

function Health({ name, verdict, facts }: { name: string; verdict: Verdict; facts: [string, ComponentChildren][] }): JSX.Element {
  return (
    <section class="card health" data-tone={verdict.tone} aria-label={name}>
      <div class="health-head"><h2>{name}</h2><p class="health-word"><span class="dot" aria-hidden="true" />{verdict.word}</p></div>
      {verdict.why && <p class="health-why">{verdict.why}</p>}
      <dl class="facts">
        {facts.map(([term, value]) => <div key={term}><dt>{term}</dt><dd>{value}</dd></div>)}
      </dl>
    </section>
  );
}

function journalText(found: Stats | null): string {
  const journal = found?.hub?.journal;
  if (!journal) {
    return found?.hub ? "in memory only" : "–";
  }
  return [journal.state ?? "there", journal.sync].filter(Boolean).join(", ");
}

function Both({ found }: { found: Stats }): JSX.Element {
  const { gateway, hub } = found;
  const now = Date.now() / 1000;
  return (
    <div class="healths">
      <Health name="Hub" verdict={hubVerdict(found, isReached.value)} facts={[
        ["last event", <span class="mono">{count(Math.max(gateway.link.seq, gateway.link.received_seq))}</span>],
        ["epoch", <span class="mono">{gateway.link.epoch || "–"}</span>],
        ["up for", hub ? duration(now - hub.start_time) : "–"],
        ["journal", journalText(found)],
        ["answers kept as", gateway.link.durability ?? "–"],
      ]} />
      <Health name="Gateway" verdict={gatewayVerdict(found, isReached.value)} facts={[
        ["connections", count(gateway.connections.open)],
        ["memory", bytes(gateway.memory.resident_bytes)],
        ["up for", duration(gateway.uptime_s)],
        ["link losses", count(gateway.link.losses_total ?? 0)],
        ["version", gateway.version],
      ]} />
    </div>
  );
}

function Tile({ name, value, unit, detail, tone }: { name: string; value: string; unit?: string; detail: string; tone?: string }): JSX.Element {
  return (
    <div class="card tile" data-tone={tone}>
      <dt>{name}</dt>
      <dd><span class="figure" data-size={value.length > 6 ? "long" : value.length > 3 ? "middle" : undefined}>{value}</span>{unit && <span class="unit">{unit}</span>}<small>{detail}</small></dd>
    </div>
  );
}

function parts(values: Record<string, number | null | undefined>, write: (value: number | null | undefined) => string): string {
  return Object.entries(values).map(([name, value]) => `${name} ${write(value)}`.replaceAll(" ", NO_BREAK)).join(" · ");
}

function Tiles({ found }: { found: Stats }): JSX.Element {
  const last = history.last!;
  const door = (group: "in" | "out", names: readonly string[]) => Object.fromEntries(names.map((name) =>
    [name, history.now((before, after) => rateOf(before, after, (sample) => sample[group], name))]));
  const total = (of: (sample: Sample) => number | null) => history.now((before, after) => rateBetween(before, after, of));
  const drops = sum(last.drops);
  const dropRate = history.now((before, after) => before.hubStart === after.hubStart ? rateBetween(before, after, (sample) => sum(sample.drops)) : null) ?? 0;
  return (
    <dl class="tiles">
      <Tile name="Events in" value={rate(total(inTotal))} unit="/s" detail={parts(door("in", IN), rate)} />
      <Tile name="Events out" value={rate(total((sample) => sum(sample.out)))} unit="/s" detail={parts(door("out", OUT), rate)} />
      <Tile name="Subscribers" value={count(sum(found.gateway.subscribers))} detail={parts(Object.fromEntries(SUBSCRIBERS.map((name) => [name === OTHERS ? "ZeroMQ patterns" : name, last.subscribers[name]])), count)} />
      <Tile name="Lag" value={count(last.lag)} unit="events" tone={last.lag > 1000 ? "warn" : undefined as never}
        detail={`slowest reader; ${behindText(found, last.behind ? count(last.behind) : null)}`} />
      <Tile name="Drops and refusals" value={count(drops)} tone={dropRate > 0 ? "warn" : undefined as never}
        detail={[drops === 0 ? "none since the start" : `${rate(dropRate)}/s now`, last.hubStart === null ? "those of the hub are unknown" : ""].filter(Boolean).join("; ")} />
    </dl>
  );
}

/** The reasons that occurred most, the others as one. */
function topReasons(all: readonly Sample[]): string[] {
  const [first, last] = [all[0], all.at(-1)];
  const grown = Object.entries(last?.drops ?? {}).map(([name, value]): [string, number] => [name, (value ?? 0) - (first?.drops[name] ?? 0)]);
  const had = Object.entries(last?.drops ?? {}).filter(([, value]) => (value ?? 0) > 0).map(([name]) => name);
  const busy = grown.filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]).map(([name]) => name);
  return [...new Set([...busy, ...had])].slice(0, REASONS);
}

function Charts(): JSX.Element {
  const all = history.since(span.value);
  const common = { seconds: span.value, axis: short, until: isReached.value ? null : Date.now() / 1000 };
  const reasons = topReasons(all);
  return (
    <div class="charts">
      <Chart {...common} title="Events in" unit="/s by door" names={IN} format={rate} area lines={rateLines(all, IN, (sample) => sample.in)} />
      <Chart {...common} title="Events out" unit="/s by door" names={OUT} format={rate} area lines={rateLines(all, OUT, (sample) => sample.out)} />
      <Chart {...common} title="Subscribers" unit="by door" names={SUBSCRIBERS} format={count}
        lines={levelLines(all, SUBSCRIBERS.map((name) => (sample: Sample) => sample.subscribers[name]))} />
      <Chart {...common} title="Lag" unit="events" names={["slowest reader", "gateway behind hub"]} format={count}
        lines={levelLines(all, [(sample) => sample.lag, (sample) => sample.behind])} />
      <Chart {...common} title="Drops and refusals" unit="/s by reason" names={reasons.length > 0 ? reasons : ["none so far"]} format={rate}
        lines={rateLines(all, reasons.length > 0 ? reasons : ["none so far"], (sample) => sample.drops)} />
      <Chart {...common} title={keepingText(stats.value)} unit={journalUnit()} names={["size"]} format={bytes} axis={bytes} binary area
        lines={levelLines(all, [(sample) => sample.journalBytes])} />
    </div>
  );
}

function journalUnit(): string {
  if (!stats.value?.hub) {
    return "unknown while the hub is away";
  }
  const age = history.last?.journalAge;
  const most = stats.value?.hub?.journal?.max_bytes ?? stats.value?.hub?.ring?.max_bytes;
  return [most ? `of ${bytes(most)}` : "", age === null || age === undefined ? "" : `oldest event ${duration(age)} old`].filter(Boolean).join(", ");
}

export function OverviewView(): JSX.Element {
  const found = stats.value;
  void samples.value; /* drawn anew with each sample */
  if (!found) {
    return <Loading what="the figures" lines={6} />;
  }
  return (
    <div class="overview" data-old={isReached.value ? undefined : ""}>
      <Both found={found} />
      <Tiles found={found} />
      <fieldset class="windows">
        <legend class="visually-hidden">Time that the charts show</legend>
        {WINDOWS.map(([seconds, name]) => (
          <label key={seconds}><input type="radio" name="window" checked={span.value === seconds} onChange={() => (span.value = seconds)} /><span>{name}</span></label>
        ))}
      </fieldset>
      <Charts />
    </div>
  );
}
