/*
 * copy: a button that puts a text into the clipboard and says that it did.
 */
import { useState } from "preact/hooks";
import type { JSX } from "preact";
import { Icon, type IconName } from "./icons.js";

/** The clipboard's own interface is only there on https and localhost; a gateway is often reached otherwise. */
async function toClipboard(text: string): Promise<void> {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  document.body.append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  if (!isDone) {
    throw new Error("the browser does not allow it");
  }
}

export function CopyButton({ text, name, icon = "copy", shortcut }: { text: () => string; name: string; icon?: IconName; shortcut?: string }): JSX.Element {
  const [said, say] = useState("");
  const copy = async () => {
    try {
      await toClipboard(text());
      say("Copied");
    } catch {
      say("Not copied");
    }
    setTimeout(() => say(""), 1500);
  };
  return (
    <button type="button" class="quiet" data-copy={name} title={shortcut ? `${name} (${shortcut})` : name} onClick={copy}>
      <Icon name={icon} /><span aria-live="polite">{said || name}</span>
    </button>
  );
}
