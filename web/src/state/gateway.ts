/*
 * gateway: the page's own connection. It publishes, asks for figures, and its state is what the page says about the
 * connection while no stream is open.
 */
import { signal } from "@preact/signals";
import { connect, type NotifyHub, type State } from "notifyhub-client";

/* Short waits: somebody looks at this page and wants to know. */
export const backoff = { firstMs: 300, longestMs: 5_000 };

function open(): NotifyHub {
  const opened = connect(undefined, { backoff });
  opened.on("state", (state) => {
    connection.value = state;
  });
  return opened;
}

export const connection = signal<State>({ name: "connecting", position: null, transport: null, attempt: 0, retryInMs: 0, reason: "" });
let current = open();

/** Asks for what is not a stream; needs no open connection. */
export function get<Value>(path: string, init?: RequestInit): Promise<Value> {
  return current.get<Value>(path, init);
}

/** The same as text, whose numbers are as exact as they came. */
export function text(path: string, init?: RequestInit): Promise<string> {
  return current.text(path, init);
}

/** The connection; made anew when an operator closed it. */
export function hub(): NotifyHub {
  if (current.state.name === "refused") {
    current = open();
  }
  return current;
}
