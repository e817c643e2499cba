/*
 * jump: where the stream begins: now, or an earlier moment, number or position that is still kept.
 */
import { signal } from "@preact/signals";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { JSX } from "preact";
import { stats } from "../state/figures.js";
import { replay } from "../state/live.js";
import { Icon } from "./icons.js";

export const isJumpOpen = signal(false);

const AGES: [number, string][] = [[60, "1 min ago"], [300, "5 min ago"], [900, "15 min ago"], [3600, "1 h ago"]];

/** What was typed, as `since` takes it; null: it cannot be that. */
export function sinceOf(text: string): string | null {
  const typed = text.trim();
  if (/^(\d+|[a-z][a-z2-7]{7}-\d+|earliest)$/.test(typed)) {
    return typed;
  }
  const time = /\d{4}-\d\d-\d\d|\d\d?:\d\d/.test(typed) ? Date.parse(/^\d\d?:\d\d/.test(typed) ? `${new Date().toDateString()} ${typed}` : typed) : NaN;
  return Number.isNaN(time) ? null : new Date(time).toISOString();
}

export function Jump(): JSX.Element {
  const [text, setText] = useState("");
  const [isWrong, setWrong] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  const oldest = stats.value?.gateway.link.oldest_seq;
  const close = () => (isJumpOpen.value = false);
  const jump = (since: string) => {
    close();
    replay(since);
  };
  /* Before the next key comes: a digit that is typed at once belongs to the field, not to the keys of the views. */
  useLayoutEffect(() => {
    if (!isJumpOpen.value) {
      return undefined;
    }
    place.current?.querySelector("input")?.focus();
    const outside = (press: Event) => !place.current?.contains(press.target as Node) && close();
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [isJumpOpen.value]);
  return (
    <div class="popover-place" ref={place}>
      <button type="button" aria-expanded={isJumpOpen.value} aria-controls="jump" title="Jump to an earlier position (r)"
        onClick={() => (isJumpOpen.value = !isJumpOpen.value)}><Icon name="clock" /><span>Replay</span></button>
      {isJumpOpen.value && (
        <div class="popover card" id="jump" role="group" aria-label="Replay from" onKeyDown={(key) => key.key === "Escape" && close()}>
          <form onSubmit={(submit) => {
            submit.preventDefault();
            const since = sinceOf(text);
            setWrong(since === null);
            since !== null && jump(since);
          }}>
            <label for="jump-to">From a number, a position or a time</label>
            <div class="joined"><input id="jump-to" type="text" autocomplete="off" spellcheck={false} placeholder={oldest ? `${oldest} … or 14:30` : "14:30"}
              value={text} aria-invalid={isWrong} aria-describedby="jump-error" onInput={(input) => setText(input.currentTarget.value)} />
              <button type="submit" class="primary">Go</button></div>
            <p class="error" id="jump-error">{isWrong ? "Not a number (1234), a position (k3mzq7aa-1234) or a time (14:30, 2026-11-21T14:30:00Z)." : ""}</p>
          </form>
          <div class="choices">
            {AGES.map(([age, name]) => <button type="button" key={age} onClick={() => jump(new Date(Date.now() - age * 1000).toISOString())}>{name}</button>)}
            <button type="button" onClick={() => jump("earliest")}>everything kept</button>
          </div>
        </div>
      )}
    </div>
  );
}
