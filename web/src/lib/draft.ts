/*
 * draft: what is in the form for publishing, what is wrong with it, and the event that it makes.
 */
import { mistakeIn, type JsonMistake } from "./json-mistake.js";

export interface Draft {
  event_type: string;
  source_service: string;
  data: string; /* JSON text */
  id: string;
  kind: string;
  correlation_id: string;
  metadata: string; /* lines name=value */
  durability: string;
}

export const emptyDraft: Draft = {
  event_type: "", source_service: "", data: "{\n  \n}", id: "", kind: "", correlation_id: "", metadata: "", durability: "",
};

export const KINDS = ["created", "updated", "deleted", "activated", "deactivated", "error", "custom"];

export interface Mistakes {
  event_type?: string;
  data?: JsonMistake;
  id?: string;
  metadata?: string;
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

function typeMistake(type: string): string | undefined {
  const size = bytesOf(type);
  if (size === 0) {
    return "An event needs a type.";
  }
  if (size > 255) {
    return `At most 255 bytes; these are ${size}.`;
  }
  if (/[\u0000-\u001f\u007f]/.test(type)) {
    return "No control characters.";
  }
  return type.startsWith("hub.") ? "Types that begin with hub. are the hub's own." : undefined;
}

/** The lines name=value as an object; a text says what is wrong. */
export function metadataOf(lines: string): Record<string, string> | string {
  const found: Record<string, string> = {};
  for (const line of lines.split("\n").map((text) => text.trim()).filter(Boolean)) {
    const at = line.indexOf("=");
    if (at < 1) {
      return `“${line}” is not name=value.`;
    }
    found[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return found;
}

/** What only the hub can know (is the id taken, is there room) is not looked at. */
export function mistakesIn(draft: Draft): Mistakes {
  const type = typeMistake(draft.event_type.trim());
  const data = mistakeIn(draft.data.trim() || "{}");
  const metadata = metadataOf(draft.metadata);
  return {
    ...(type === undefined ? {} : { event_type: type }),
    ...(data === null ? {} : { data }),
    ...(bytesOf(draft.id) > 1024 ? { id: `At most 1024 bytes; these are ${bytesOf(draft.id)}.` } : {}),
    ...(typeof metadata === "string" ? { metadata } : {}),
  };
}

/** The members besides type and data that were filled in. */
export function membersOf(draft: Draft): Record<string, unknown> {
  const metadata = metadataOf(draft.metadata);
  const texts = Object.entries({ source_service: draft.source_service.trim(), id: draft.id.trim(), kind: draft.kind, correlation_id: draft.correlation_id.trim() });
  return {
    ...Object.fromEntries(texts.filter(([, value]) => value !== "")),
    ...(typeof metadata === "object" && Object.keys(metadata).length > 0 ? { metadata } : {}),
  };
}

/** The event as JSON text; what was typed as data stays byte for byte. */
export function eventTextOf(draft: Draft): string {
  const head = JSON.stringify({ event_type: draft.event_type.trim(), ...membersOf(draft) });
  return `${head.slice(0, -1)},"data":${draft.data.trim() || "{}"}}`;
}
