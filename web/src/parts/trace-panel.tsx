/*
 * trace-panel: the way of a correlation_id through the installation, oldest first, with the time between the steps.
 */
import type { JSX } from "preact";
import { clock, count, plural } from "../lib/format.js";
import { closeTrace, stopTrace, trace } from "../state/trace.js";
import { Icon } from "./icons.js";

function between(before: number | undefined, now: number): string {
  if (before === undefined) {
    return "first";
  }
  const ms = (now - before) * 1000;
  return ms < 1000 ? `+${Math.round(ms)} ms` : `+${(ms / 1000).toFixed(1)} s`;
}

export function TracePanel(): JSX.Element | null {
  const shown = trace.value;
  if (!shown) {
    return null;
  }
  const states = {
    looking: `looking through what is kept: ${count(shown.looked)} so far`,
    done: `looked through all ${plural(shown.looked, "event")} that are kept`,
    stopped: `stopped after ${count(shown.looked)}`,
    failed: `the history could not be read: ${shown.why}`,
  };
  return (
    <section class="details card trace" aria-label="Trace">
      <header class="details-head">
        <h2>Trace <span class="mono">{shown.correlation}</span></h2>
        <button type="button" class="quiet icon-only" aria-label="Close the trace" title="Close (Esc)" onClick={closeTrace}><Icon name="close" /></button>
      </header>
      <p class="trace-state" role="status" data-state={shown.state}>
        <span>{plural(shown.events.length, "event")}; {states[shown.state]}</span>
        {shown.state === "looking" && <button type="button" class="quiet" onClick={stopTrace}>Enough</button>}
      </p>
      <ol class="trace-steps" tabIndex={0} aria-label="Events of the trace">
        {shown.events.map((event, i) => (
          <li key={`${event.epoch}-${event.seq}`}>
            <span class="trace-when"><span class="mono">{clock(event.timestamp)}</span><small>{between(shown.events[i - 1]?.timestamp, event.timestamp)}</small></span>
            <span class="trace-what"><strong class="mono">{event.event_type}</strong><small>#{count(event.seq)} from {event.source_service}</small>
              <code>{JSON.stringify(event.data)?.slice(0, 160)}</code></span>
          </li>
        ))}
      </ol>
    </section>
  );
}
