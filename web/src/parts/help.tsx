/*
 * help: the keys, in a dialog that ? opens.
 */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { JSX } from "preact";
import { Icon } from "./icons.js";

export const isHelpOpen = signal(false);

const keys: [string, string][] = [
  ["1 … 5", "Overview, Live events, Types, Publish, Clients"],
  ["/", "Text filter of the live events"],
  ["e", "Patterns of the live events"],
  ["p or space", "Pause and go on"],
  ["f", "Follow the newest event"],
  ["j k or ↓ ↑", "Next and previous event"],
  ["Enter", "Open the event"],
  ["c", "Copy the open event as curl"],
  ["t", "Trace the open event by its correlation_id"],
  ["r", "Jump to an earlier position"],
  ["Esc", "Close what is open"],
  ["?", "These keys"],
];

export function Help(): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const shown = dialog.current;
    if (isHelpOpen.value && shown && !shown.open) {
      shown.showModal();
    } else if (!isHelpOpen.value) {
      shown?.close();
    }
  }, [isHelpOpen.value]);
  return (
    <dialog class="dialog" ref={dialog} aria-labelledby="help-title" onClose={() => (isHelpOpen.value = false)}>
      <div class="dialog-head">
        <h2 id="help-title">Keys</h2>
        <button type="button" class="quiet icon-only" aria-label="Close" onClick={() => (isHelpOpen.value = false)}><Icon name="close" /></button>
      </div>
      <dl class="keys">
        {keys.map(([key, what]) => (
          <div key={key}><dt>{key.split(/( or | … | )/).map((part, i) => (i % 2 === 0 ? <kbd key={i}>{part}</kbd> : part))}</dt><dd>{what}</dd></div>
        ))}
      </dl>
    </dialog>
  );
}
