/*
 * sse: the fall-back where no WebSocket gets through: server-sent events, read with fetch. Not with EventSource, which
 * hides why a stream was refused, and the positions of blocks without data.
 *
 * What arrives is put into the words of the WebSocket door, so that nobody behind needs to know the difference.
 */
import { errorOf, type Fetch } from "./http.js";
import type { Listener, Request, Transport } from "./transport.js";

/** Reads blocks of server-sent events out of a stream of text, however that is cut. */
export class SseReader {
  #rest = "";
  readonly #block: (name: string, id: string, data: string) => void;

  constructor(block: (name: string, id: string, data: string) => void) {
    this.#block = block;
  }

  push(text: string): void {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop()!;
    for (const block of blocks) {
      const field = (name: string) =>
        block
          .split("\n")
          .filter((line) => line.startsWith(`${name}: `))
          .map((line) => line.slice(name.length + 2))
          .join("\n");
      this.#block(field("event"), field("id"), field("data"));
    }
  }
}

/** A block as the WebSocket door would have said it; "" for nothing. */
function messageOf(name: string, id: string, data: string): string {
  switch (name) {
    case "":
      return data || (id ? JSON.stringify({ op: "position", position: id }) : "");
    case "hub.gap":
      return JSON.stringify({ ...JSON.parse(data), op: "gap" });
    case "hub.resume":
      return JSON.stringify({ op: "resume", resume: JSON.parse(data) });
    default:
      return "";
  }
}

/** 4xx will be 4xx the next time too, but for these. */
const passing = [408, 425, 429];

export function openSse(base: string, fetch: Fetch, listener: Listener): Transport {
  const abort = new AbortController();
  let isOver = false;

  async function run(request: Request): Promise<void> {
    const query = new URLSearchParams(request.patterns.map((p) => ["event_type", p]));
    if (request.since !== null) {
      query.set("since", request.since);
    } else if (request.snapshot) {
      query.set("snapshot", "true");
    }
    if (request.policy) {
      query.set("policy", request.policy);
    }
    const answer = await fetch(`${base}/events/stream?${query}`, {
      headers: { Accept: "text/event-stream" },
      cache: "no-store",
      signal: abort.signal,
    });
    if (!answer.ok) {
      const error = await errorOf(answer);
      end(error.message, answer.status < 500 && !passing.includes(answer.status) ? error : undefined);
      return;
    }
    if (!isOver) {
      listener.message(`{"op":"subscribed","id":"start"}`);
    }
    const reader = answer.body!.getReader();
    const decoder = new TextDecoder();
    const blocks = new SseReader((...block) => {
      const text = messageOf(...block);
      if (text && !isOver) {
        listener.message(text);
      }
    });
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      blocks.push(decoder.decode(part.value, { stream: true }));
    }
    end("the stream ended");
  }

  function end(reason: string, fatal?: Parameters<Listener["end"]>[1]): void {
    if (!isOver) {
      isOver = true;
      listener.end(reason, fatal);
    }
  }

  /* There is nothing to wait for: the request itself says what is wanted. */
  queueMicrotask(() => isOver || listener.message(`{"op":"welcome"}`));
  return {
    kind: "sse",
    start(request) {
      run(request).catch((error: Error) => end(error.message));
    },
    send() {},
    close() {
      isOver = true;
      abort.abort();
    },
  };
}
