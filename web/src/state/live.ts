/*
 * live: the stream behind the view of live events. Lives as long as the page does, once it was opened, so that going to
 * another view and back loses nothing.
 *
 * Events are noted as they come and drawn at most once a frame, at high rates ten times a second: more nobody can read.
 */
import { signal } from "@preact/signals";
import { connect, type Gap, type NotifyHub, type Resume, type State } from "notifyhub-client";
import { plural, seqOf } from "../lib/format.js";
import { EventLog, eventItem, noticeItem, type Item } from "../lib/log.js";
import { Meter } from "../lib/meter.js";
import { backoff } from "./gateway.js";
import { firstLook, stats } from "./figures.js";

const RECENT = 100; /* numbers before now with which the list begins: an empty page tells nothing */
const LIMITS = { items: 20_000, chars: 32 * 1024 * 1024 };
const BUSY_PER_S = 300; /* from here on frames are spared */
const BUSY_FRAME_MS = 100;

/** `live`; `replay`: on the way from an earlier position to now; `held`: a replay that filled the list and waits. */
export type Mode = "live" | "replay" | "held";

export const log = new EventLog(LIMITS);
const pending = new EventLog(LIMITS); /* what arrived while paused */
const meter = new Meter();

export const version = signal(0); /* changes when the list is to be drawn anew */
export const stream = signal<State | null>(null); /* null: not opened yet */
export const mode = signal<Mode>("live");
export const patterns = signal<string[]>([]);
export const filter = signal("");
export const paused = signal(false);
export const pausedByItself = signal(false); /* to keep what somebody reads */
export const following = signal(true);
export const perSecond = signal(0);
export const total = signal(0); /* events since the stream was opened */
export const waiting = signal(0); /* arrived while paused */
export const selected = signal<Item | null>(null);
export const refusal = signal("");

let connectionNow: NotifyHub | null = null;
let received = 0;
let pausedAt: string | null = null;
let replayLeft: number | null = null; /* events until the replay has caught up; null: not known */
let replayTo: string | null = null;
let frame = 0;
let drawnAt = 0;

function draw(): void {
  const now = performance.now();
  if (perSecond.value > BUSY_PER_S && now - drawnAt < BUSY_FRAME_MS) {
    frame = requestAnimationFrame(draw);
    return;
  }
  frame = 0;
  drawnAt = now;
  total.value = received;
  waiting.value = pending.size;
  version.value++;
}

function schedule(): void {
  frame ||= requestAnimationFrame(draw);
}

/* The rate falls too when nothing comes. */
setInterval(() => {
  perSecond.value = meter.perSecond(performance.now());
}, 500);

function append(item: Omit<Item, "n">): void {
  if (holdsInstead(item.text)) {
    return;
  }
  if (!paused.value && !following.value && !log.hasRoom(item.text) && mode.value === "live") {
    pause();
    pausedByItself.value = true;
  }
  (paused.value ? pending : log).append(item);
  schedule();
}

const gapReasons: Record<string, string> = {
  retention: "they are older than what is kept",
  unclean_stop: "the hub ended uncleanly",
  epoch_changed: "the hub started anew, without its journal",
  not_stored: "the disk did not take them",
  slow: "this page was too slow",
  unknown: "the hub does not know the position",
};

function onGap(gap: Gap): void {
  if (gap.reason === "unknown" && mode.value === "replay") {
    return; /* onResume, which comes with it, says what is known */
  }
  append(noticeItem(`Gap: events behind ${gap.from} up to ${gap.to} are missing; ${gapReasons[gap.reason] ?? gap.reason}.`));
}

function onResume(resume: Resume, isFirst: boolean): void {
  if (mode.value === "replay" && isFirst) {
    if (resume.result === "unknown") {
      mode.value = "live";
      following.value = true;
      append(noticeItem("The hub never gave out this position: nothing is replayed, what comes from now on is shown."));
      return;
    }
    replayLeft = resume.result === "caught_up" ? 0 : (resume.count ?? null);
    replayTo = resume.to ?? null;
    caughtUp();
  } else if (!isFirst && resume.result !== "unknown") {
    const missed = resume.count ?? 0;
    append(noticeItem(missed > 0 ? `Connected again: ${plural(missed, "missed event")} came after all.` : "Connected again: nothing was missed."));
  }
}

function caughtUp(): void {
  if (mode.value === "replay" && (replayLeft === 0 || isAtEnd())) {
    mode.value = "live";
  }
}

function isAtEnd(): boolean {
  const [at, to] = [seqOf(connectionNow?.position), seqOf(replayTo)];
  return replayLeft === null && at !== null && to !== null && at >= to;
}

function onEvent(event: Parameters<typeof eventItem>[0], text: string): void {
  if (holdsInstead(text)) {
    return;
  }
  received++;
  meter.add(performance.now());
  append(eventItem(event, text));
  if (mode.value === "replay") {
    if (replayLeft !== null) {
      replayLeft = Math.max(0, replayLeft - 1);
    }
    caughtUp();
  }
  lastAt = connectionNow?.position ?? lastAt;
}

/** A replay that has filled the list waits, so that its beginning, for which somebody came, stays; it goes on with what has no
 * room now. True: nothing more is to be taken. */
function holdsInstead(text: string): boolean {
  if (mode.value === "replay" && !paused.value && lastAt !== null && !log.hasRoom(text)) {
    mode.value = "held";
    heldAt = lastAt;
    connectionNow?.close();
    schedule();
  }
  return mode.value === "held";
}
let lastAt: string | null = null; /* behind the newest event that the page has */
let heldAt: string | null = null;

function openStream(since: string | null): void {
  connectionNow?.close();
  const next = connect(undefined, { since, backoff });
  let wasLive = false;
  connectionNow = next;
  refusal.value = "";
  stream.value = next.state;
  const current = <Value>(handler: (value: Value) => void) => (value: Value) => connectionNow === next && handler(value);
  next.on("state", current((state: State) => {
    stream.value = state;
  }));
  next.on("gap", current(onGap));
  next.on("resume", current((resume: Resume) => {
    onResume(resume, !wasLive);
    wasLive = true;
  }));
  next.on("error", current((error: unknown) => {
    refusal.value = (error as Error).message;
  }));
  const subscription = next.subscribe(patterns.value, (event, text) => {
    if (connectionNow === next) {
      onEvent(event, text);
    }
  });
  subscription.ready.then(() => {
    wasLive = true;
  }, () => {});
}

function reset(): void {
  log.clear();
  pending.clear();
  received = 0;
  lastAt = null;
  waiting.value = 0;
  paused.value = pausedByItself.value = false;
  following.value = true;
  schedule();
}

/** The position a little before now, as far as events are kept; null while the hub was never seen. */
function recentPosition(): string | null {
  const link = stats.value?.gateway.link;
  return link?.epoch ? `${link.epoch}-${Math.max(link.received_seq - RECENT, link.oldest_seq - 1, 0)}` : null;
}

/** Opens the stream with these patterns at the present. */
export function openLive(wanted: string[]): void {
  patterns.value = wanted;
  mode.value = "live";
  reset();
  const turn = ++opening;
  stream.value ??= { name: "connecting", position: null, transport: null, attempt: 0, retryInMs: 0, reason: "" };
  void firstLook.then(() => turn === opening && openStream(recentPosition()));
}
let opening = 0;

/** Goes back to an earlier position (or `earliest`, a time, a number) and plays from there. */
export function replay(since: string): void {
  mode.value = "replay";
  replayLeft = null;
  replayTo = null;
  reset();
  following.value = false;
  opening++;
  openStream(since);
}

/** The next part of a replay that was held. */
export function replayOn(): void {
  if (mode.value === "held" && heldAt) {
    replay(heldAt);
  }
}

export function pause(): void {
  if (!paused.value) {
    paused.value = true;
    pausedByItself.value = false;
    pausedAt = connectionNow?.position ?? null;
  }
}

export function resume(): void {
  paused.value = pausedByItself.value = false;
  log.appendAll(pending, noticeItem("More events passed while this was paused than the page keeps:", pausedAt));
  pending.clear();
  following.value = true;
  schedule();
}

export function setFilter(text: string): void {
  filter.value = text;
  log.filter(text);
  schedule();
}

export function clearLog(): void {
  log.clear();
  pending.clear();
  schedule();
}
