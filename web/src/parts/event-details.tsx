/*
 * event-details: one event in full, and what can be done with it.
 */
import type { JSX } from "preact";
import { clock, count } from "../lib/format.js";
import { curlOf } from "../lib/curl.js";
import { layOut, memberText } from "../lib/json.js";
import type { Item } from "../lib/log.js";
import { startTrace } from "../state/trace.js";
import { replay } from "../state/live.js";
import { CopyButton } from "./copy.js";
import { Icon } from "./icons.js";
import { JsonView } from "./json-view.js";

export function EventDetails({ item, onClose, onPattern }: { item: Item; onClose(): void; onPattern(type: string): void }): JSX.Element {
  const position = `${item.epoch}-${item.seq}`;
  const before = `${item.epoch}-${Math.max(0, item.seq - 1)}`;
  const id = memberText(item.text, "id");
  return (
    <section class="details card" aria-label={`Event ${item.seq}`} data-seq={item.seq}>
      <header class="details-head">
        <h2><span class="mono">{item.type}</span></h2>
        <button type="button" class="quiet icon-only" aria-label="Close the event" title="Close (Esc)" onClick={onClose}><Icon name="close" /></button>
      </header>
      <dl class="details-facts">
        <div><dt>number</dt><dd class="mono">{count(item.seq)}</dd></div>
        <div><dt>position</dt><dd class="mono">{position}</dd></div>
        <div><dt>time</dt><dd class="mono">{clock(item.timestamp)}</dd></div>
        <div><dt>source</dt><dd class="mono">{item.source}</dd></div>
        {id && <div><dt>id</dt><dd class="mono">{id}</dd></div>}
        <div><dt>correlation</dt><dd class="mono">{item.correlation}</dd></div>
      </dl>
      <div class="actions">
        <CopyButton name="Copy as curl" icon="terminal" shortcut="c" text={() => curlOf(item.text, location.origin)} />
        <CopyButton name="Copy JSON" text={() => layOut(item.text)} />
        <button type="button" class="quiet" title="Trace (t)" onClick={() => void startTrace(item.correlation)}><Icon name="trace" /><span>Trace</span></button>
        <button type="button" class="quiet" onClick={() => onPattern(item.type)}><Icon name="filter" /><span>Only this type</span></button>
        <button type="button" class="quiet" onClick={() => replay(before)}><Icon name="clock" /><span>Replay from here</span></button>
      </div>
      <JsonView text={item.text} label={`The event ${item.seq} as JSON`} />
    </section>
  );
}
