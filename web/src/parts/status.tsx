/*
 * status: what the page's connection does, in one line at the top. The live stream's state when there is one, because it
 * is the one that could miss something.
 */
import { useComputed } from "@preact/signals";
import type { JSX } from "preact";
import type { State } from "notifyhub-client";
import { count, seqOf } from "../lib/format.js";
import { isHubAway } from "../lib/stats.js";
import { connection } from "../state/gateway.js";
import { isReached, stats } from "../state/figures.js";
import { mode, stream } from "../state/live.js";

/** "connection lost, resuming from 1234": the number says that nothing behind it will be missed. */
export function stateText(state: State, lastSeq: number | null): string {
  const seq = seqOf(state.position);
  switch (state.name) {
    case "connecting":
      return "connecting";
    case "live":
      return "live";
    case "lost":
      return seq !== null
        ? `connection lost, resuming from ${count(seq)}`
        : lastSeq !== null ? `connection lost at ${count(lastSeq)}, reconnecting` : "no connection, trying again";
    case "refused":
      return `refused: ${state.reason}`;
    case "closed":
      return "closed";
  }
}

export function Status(): JSX.Element {
  const state = useComputed(() => (stream.value && stream.value.name !== "closed" && mode.value !== "held" ? stream.value : connection.value));
  /* "live" alone would promise news that cannot come. */
  const isAway = state.value.name === "live" && isHubAway(stats.value, isReached.value);
  const name = isAway ? "away" : state.value.name;
  const link = stats.value?.gateway.link;
  const text = isAway ? "the hub is away" : stateText(state.value, link ? link.received_seq : null);
  return (
    <p class="status" id="status" role="status" data-state={name} title={state.value.reason || undefined}>
      <span class="dot" aria-hidden="true" />
      <span id="status-text">{text}</span>
    </p>
  );
}
