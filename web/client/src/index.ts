/*
 * index: what the package offers.
 */
import { NotifyHub, type HubOptions } from "./hub.js";

export { NotifyHub, type HubEvents, type HubOptions, type PublishOptions } from "./hub.js";
export type { BackoffOptions } from "./backoff.js";
export { matcherOf } from "./pattern.js";
export type { Handler, Subscription } from "./subscriptions.js";
export type { Socket, SocketConstructor } from "./websocket.js";
export {
  HubError, type Durability, type Gap, type GapReason, type HistoryPage, type HubEvent, type Position, type Published,
  type Resume, type State, type StateName, type TypeOf,
} from "./types.js";

/** Connects to a gateway: the page's own when no address is given. */
export function connect(url?: string, options?: HubOptions): NotifyHub {
  return new NotifyHub(url, options);
}
