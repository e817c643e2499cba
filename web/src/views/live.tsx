/*
 * live: the events as they come. Patterns are asked of the gateway, the text filter is for what is on the page.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import type { JSX } from "preact";
import { count, rate } from "../lib/format.js";
import { EventDetails } from "../parts/event-details.js";
import { EventList, moveSelection } from "../parts/event-list.js";
import { Icon } from "../parts/icons.js";
import { isJumpOpen, Jump } from "../parts/jump.js";
import { Empty, Failure, Loading } from "../parts/states.js";
import { TracePanel } from "../parts/trace-panel.js";
import { isTyping } from "../app.js";
import {
  clearLog, filter, following, log, mode, openLive, patterns, pause, paused, pausedByItself, perSecond, refusal, replayOn, resume, selected,
  setFilter, stream, total, version, waiting,
} from "../state/live.js";
import { go, route } from "../state/route.js";
import { closeTrace, startTrace, trace } from "../state/trace.js";

export function patternsOf(text: string): string[] {
  return text.split(/[,\s]+/).filter((pattern) => pattern !== "");
}

function goWith(wanted: readonly string[], text: string): void {
  const query = new URLSearchParams(wanted.map((pattern) => ["event_type", pattern]));
  text && query.set("q", text);
  go("live", query, true);
}

function togglePause(): void {
  paused.value ? resume() : pause();
}

function toggleFollow(): void {
  following.value = !following.value;
  if (following.value) {
    selected.value = null;
    paused.value && resume();
  }
  version.value++;
}

function onKey(key: KeyboardEvent): void {
  if (key.key === "Escape") {
    isJumpOpen.value ? (isJumpOpen.value = false) : trace.value ? closeTrace() : (selected.value = null);
    return;
  }
  if (key.ctrlKey || key.metaKey || key.altKey || isTyping(key.target)) {
    return;
  }
  const isOnButton = key.target instanceof HTMLButtonElement || key.target instanceof HTMLAnchorElement;
  const actions: Record<string, () => void> = {
    "/": () => document.getElementById("filter")?.focus(),
    e: () => document.getElementById("patterns")?.focus(),
    p: togglePause,
    f: toggleFollow,
    r: () => (isJumpOpen.value = true),
    j: () => moveSelection(1),
    k: () => moveSelection(-1),
    ArrowDown: () => moveSelection(1),
    ArrowUp: () => moveSelection(-1),
    c: () => document.querySelector<HTMLElement>('[data-copy="Copy as curl"]')?.click(),
    t: () => selected.value && void startTrace(selected.value.correlation),
    ...(isOnButton ? {} : { " ": togglePause }),
  };
  const action = actions[key.key];
  if (action) {
    key.preventDefault();
    action();
  }
}

function Tools(): JSX.Element {
  const [text, setText] = useState(patterns.value.join(", "));
  const asked = patterns.value.join(", ");
  useEffect(() => setText(asked), [asked]);
  return (
    <div class="tools">
      <form class="tool patterns" onSubmit={(submit) => {
        submit.preventDefault();
        goWith(patternsOf(text), filter.value);
      }}>
        <label for="patterns">Patterns</label>
        <div class="joined">
          <input id="patterns" type="text" autocomplete="off" spellcheck={false} placeholder="everything, or: new_setup, order.*" value={text}
            onInput={(input) => setText(input.currentTarget.value)} />
          <button type="submit">Apply</button>
        </div>
      </form>
      <div class="tool text-filter">
        <label for="filter">Text filter</label>
        <input id="filter" type="search" autocomplete="off" spellcheck={false} placeholder="in what is on the page" value={filter.value}
          onInput={(input) => {
            setFilter(input.currentTarget.value);
            goWith(patterns.value, input.currentTarget.value);
          }} />
      </div>
      <div class="tool buttons">
        <button type="button" id="pause" aria-pressed={paused.value} title="Pause (p)" onClick={togglePause}>
          <Icon name={paused.value ? "play" : "pause"} /><span>{paused.value ? "Go on" : "Pause"}</span>
        </button>
        <button type="button" id="follow" aria-pressed={following.value && !paused.value} title="Follow the newest (f)" onClick={toggleFollow}><Icon name="follow" /><span>Follow</span></button>
        <Jump />
        <button type="button" class="quiet" onClick={clearLog}>Clear</button>
      </div>
    </div>
  );
}

/** What is special about what is shown: paused, replaying, held. */
function ModeBar(): JSX.Element | null {
  if (mode.value !== "live") {
    const isHeld = mode.value === "held";
    return (
      <p class="mode" role="status" data-mode={mode.value}>
        <Icon name="clock" />
        <span>{isHeld ? `Replay: the page holds ${count(log.size)} events, and waits before the next ones.` : "Replaying from an earlier position…"}</span>
        {isHeld && <button type="button" onClick={replayOn}>Next events</button>}
        <button type="button" id="back-to-live" onClick={() => openLive(patterns.value)}>Back to live</button>
      </p>
    );
  }
  if (paused.value) {
    return (
      <p class="mode" role="status" data-mode="paused">
        <Icon name="pause" />
        <span>{pausedByItself.value ? "Paused, so that what you read stays." : "Paused."} <span id="waiting" aria-live="off">{count(waiting.value)}</span> new since.</span>
        <button type="button" onClick={resume}>Go on</button>
      </p>
    );
  }
  return null;
}

function Nothing(): JSX.Element {
  const state = stream.value;
  if (state?.name === "refused") {
    return <Failure title="The gateway refuses this stream"><p>{refusal.value}</p></Failure>;
  }
  if (!state || state.name === "connecting") {
    return <Loading what="the stream" lines={8} />;
  }
  if (filter.value && log.size > 0) {
    return <Empty icon="filter" title="Nothing on the page contains this text"><p>{count(log.size)} events do not. New ones are looked at as they come.</p></Empty>;
  }
  const example = `curl ${location.host}/events -d '{"event_type":"${patterns.value[0]?.replace(/[*?[\]!]+/g, "x") ?? "hello"}","data":{}}'`;
  return (
    <Empty icon="live" title={patterns.value.length > 0 ? "Nothing has come for these patterns yet" : "Nothing has come yet"}>
      <p>Publish an event, for example with</p><code>{example}</code>
    </Empty>
  );
}

export function LiveView(): JSX.Element {
  const { query } = route.value;
  const wanted = query.getAll("event_type");
  const text = query.get("q") ?? "";
  const isOpened = useRef(stream.value !== null);
  const key = wanted.join("\n");
  void version.value;

  useEffect(() => {
    if (!isOpened.current || key !== patterns.value.join("\n")) {
      isOpened.current = true;
      selected.value = null;
      openLive(wanted);
    }
  }, [key]);
  useEffect(() => {
    if (text !== filter.value) {
      setFilter(text);
    }
  }, [text]);
  useEffect(() => {
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);

  const item = selected.value;
  const hasSide = item !== null || trace.value !== null;
  return (
    <div class="live" data-side={hasSide ? "" : undefined}>
      <Tools />
      <ModeBar />
      <div class="live-body">
        <section class="card list-card" aria-label="Live events">
          <header class="list-head">
            <span><strong id="rate">{rate(perSecond.value)}</strong> /s</span>
            <span><strong id="total">{count(total.value)}</strong> received</span>
            <span class="kept"><strong id="shown">{count(log.shown)}</strong> {filter.value ? `of ${count(log.size)} match` : "on the page"}</span>
            {!following.value && !paused.value && mode.value === "live" && log.shown > 0 && <button type="button" class="quiet" onClick={toggleFollow}><Icon name="follow" /><span>Newest</span></button>}
          </header>
          {log.shown > 0 ? <EventList onOpen={() => {}} /> : <Nothing />}
        </section>
        {hasSide && (
          <aside class="side" aria-label="Details">
            {trace.value && <TracePanel />}
            {item && !trace.value && <EventDetails item={item} onClose={() => (selected.value = null)} onPattern={(type) => goWith([type], filter.value)} />}
          </aside>
        )}
      </div>
    </div>
  );
}

