/*
 * states: how it looks when there is nothing to show, not yet, or not any more.
 */
import type { ComponentChildren, JSX } from "preact";
import { Icon, type IconName } from "./icons.js";

export function Empty({ icon = "empty", title, children }: { icon?: IconName; title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <span class="empty-icon"><Icon name={icon} /></span>
      <p class="empty-title">{title}</p>
      {children && <div class="empty-text">{children}</div>}
    </div>
  );
}

/** While the first answer is on its way: grey bars where the lines will be. */
export function Loading({ what, lines = 4 }: { what: string; lines?: number }): JSX.Element {
  return (
    <div class="loading" role="status">
      <span class="visually-hidden">Loading {what}</span>
      {Array.from({ length: lines }, (_, i) => <span key={i} class="bar-loading" aria-hidden="true" />)}
    </div>
  );
}

export function Failure({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty failure" role="alert">
      <span class="empty-icon"><Icon name="warning" /></span>
      <p class="empty-title">{title}</p>
      {children && <div class="empty-text">{children}</div>}
    </div>
  );
}
