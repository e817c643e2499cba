/*
 * json-editor: a field for JSON with the numbers of its lines; Tab indents, and a new line begins below the one before.
 */
import { useRef } from "preact/hooks";
import type { JSX } from "preact";
import type { JsonMistake } from "../lib/json-mistake.js";

export function JsonEditor({ id, value, mistake, describedBy, onChange, onSend }: {
  id: string; value: string; mistake: JsonMistake | null; describedBy: string; onChange(text: string): void; onSend(): void;
}): JSX.Element {
  const gutter = useRef<HTMLDivElement>(null);
  const lines = value.split("\n").length;
  const insert = (field: HTMLTextAreaElement, text: string) => {
    field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
    onChange(field.value);
  };
  const onKeyDown = (key: KeyboardEvent) => {
    const field = key.currentTarget as HTMLTextAreaElement;
    if (key.key === "Enter" && (key.ctrlKey || key.metaKey)) {
      key.preventDefault();
      onSend();
    } else if (key.key === "Enter" && !key.shiftKey) {
      const before = field.value.slice(0, field.selectionStart);
      const indent = /(?:^|\n)([ \t]*)[^\n]*$/.exec(before)?.[1] ?? "";
      key.preventDefault();
      insert(field, `\n${indent}${/[[{]\s*$/.test(before) ? "  " : ""}`);
    } else if (key.key === "Tab" && !key.shiftKey && field.selectionStart !== 0 && field.selectionStart !== field.value.length) {
      key.preventDefault(); /* at either end of the text Tab leaves the field, so that nobody is caught in it */
      insert(field, "  ");
    }
  };
  return (
    <div class="editor" data-wrong={mistake ? "" : undefined}>
      <div class="gutter" ref={gutter} aria-hidden="true">
        {Array.from({ length: lines }, (_, i) => <span key={i} data-wrong={mistake?.line === i + 1 ? "" : undefined}>{i + 1}</span>)}
      </div>
      <textarea id={id} spellcheck={false} autocomplete="off" autocapitalize="off" wrap="off" rows={12} value={value} aria-invalid={mistake !== null} aria-describedby={describedBy}
        onInput={(input) => onChange(input.currentTarget.value)} onKeyDown={onKeyDown}
        onScroll={(scroll) => gutter.current && (gutter.current.scrollTop = scroll.currentTarget.scrollTop)} />
    </div>
  );
}
