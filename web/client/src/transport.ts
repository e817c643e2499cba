/*
 * transport: one connection to the gateway, in the words of the WebSocket door. There are two: websocket and sse.
 */
import type { HubError, Position } from "./types.js";

export interface Request {
  patterns: readonly string[];
  /** Behind which position it begins; null: now. */
  since: Position | null;
  policy?: string | undefined;
  snapshot?: boolean | undefined;
}

export interface Listener {
  /** A message of the gateway, as it came: an event, or an object with `op`. */
  message(text: string): void;
  /** It is over. `fatal`: the gateway refuses this for good, so another attempt makes no sense. */
  end(reason: string, fatal?: HubError): void;
}

export interface Transport {
  readonly kind: "websocket" | "sse";
  /** Subscribes to these patterns, the first time after the connection is there. */
  start(request: Request): void;
  /** Sends an operation (`{"op":…}`); only a WebSocket can. */
  send(text: string): void;
  /** Ends it; the listener hears nothing any more. */
  close(): void;
}
