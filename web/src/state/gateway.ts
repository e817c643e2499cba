/*
 * gateway: the page's own connection. It publishes, asks for figures, and its state is what the page says about the
 * connection while no stream is open.
 */
import { signal } from "@preact/signals";
import { connect, type State } from "notifyhub-client";

/* Short waits: somebody looks at this page and wants to know. */
export const backoff = { firstMs: 300, longestMs: 5_000 };

export const hub = connect(undefined, { backoff });
export const connection = signal<State>(hub.state);

hub.on("state", (state) => {
  connection.value = state;
});
