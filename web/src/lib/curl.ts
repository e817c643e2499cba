/*
 * curl: an event as a command that publishes it again.
 */
import { memberText } from "./json.js";

/** For a shell: everything between single quotes is taken as it is, but for the single quote. */
function quoted(text: string): string {
  return `'${text.replace(/'/g, `'\\''`)}'`;
}

/** What the publisher said, without what the hub added; its bytes as they were. The id is left out: it would be the same
 * event again, which the hub takes only once. */
export function curlOf(text: string, origin: string): string {
  const members = ["event_type", "source_service", "data", "kind", "metadata"]
    .map((name) => [name, memberText(text, name)])
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `"${name}":${value}`);
  return `curl ${quoted(`${origin}/events`)} -d ${quoted(`{${members.join(",")}}`)}`;
}
