/*
 * fakes: sockets and streams that do what a test says, and a gateway's words.
 */
import type { Fetch } from "../src/http.js";
import type { Socket } from "../src/websocket.js";

export class FakeSocket implements Socket {
  static all: FakeSocket[] = [];
  static get last(): FakeSocket {
    return FakeSocket.all.at(-1)!;
  }

  onopen: ((event: any) => void) | null = null;
  onmessage: ((event: any) => void) | null = null;
  onerror: ((event: any) => void) | null = null;
  onclose: ((event: any) => void) | null = null;
  readonly url: string;
  readonly sent: any[] = [];
  isClosed = false;

  constructor(url: string) {
    this.url = url;
    FakeSocket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.isClosed = true;
  }

  /** The gateway says something. */
  says(message: object | string): void {
    this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
  }

  welcome(position: string | null = null): void {
    this.says({ op: "welcome", position, protocol: "notifyhub.v1.json", max_event_bytes: 1048576 });
  }

  /** Answers the last subscribe. */
  subscribed(position: string | null, resume?: object): void {
    const id = this.sent.findLast((op) => op.op === "subscribe").id;
    this.says({ op: "subscribed", id, position, ...(resume ? { resume } : {}) });
  }

  breaks(code = 1006, reason = ""): void {
    this.onerror?.({});
    this.onclose?.({ code, reason });
  }
}

export function event(seq: number, type = "a", data: unknown = seq): object {
  return { event_type: type, source_service: "t", data, timestamp: 1, correlation_id: "c", seq, epoch: "k3mzq7aa" };
}

/** A stream of server-sent events that a test writes. */
export class FakeStream {
  readonly url: string;
  readonly response: Promise<Response>;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #answer!: (response: Response) => void;
  #fail!: (error: Error) => void;

  constructor(url: string, signal?: AbortSignal | null) {
    this.url = url;
    this.response = new Promise((answer, fail) => {
      this.#answer = answer;
      this.#fail = fail;
    });
    signal?.addEventListener("abort", () => this.#fail(new Error("aborted")));
  }

  opens(): void {
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void (this.#controller = controller) });
    this.#answer(new Response(body, { status: 200, headers: { "Content-Type": "text/event-stream" } }));
  }

  refuses(status: number, problem: object): void {
    this.#answer(new Response(JSON.stringify(problem), { status, headers: { "Content-Type": "application/problem+json" } }));
  }

  fails(): void {
    this.#fail(new TypeError("fetch failed"));
  }

  writes(text: string): void {
    this.#controller.enqueue(new TextEncoder().encode(text));
  }

  ends(): void {
    this.#controller.close();
  }
}

export class FakeGateway {
  streams: FakeStream[] = [];
  posts: { url: string; body: any; answer(status: number, body: object): void; fail(): void }[] = [];

  readonly fetch: Fetch = (url, init) => {
    if (init?.method === "POST") {
      return new Promise((answer, fail) => {
        this.posts.push({
          url,
          body: JSON.parse(init.body as string),
          answer: (status, body) => answer(new Response(JSON.stringify(body), { status })),
          fail: () => fail(new TypeError("fetch failed")),
        });
      });
    }
    const stream = new FakeStream(url, init?.signal);
    this.streams.push(stream);
    return stream.response;
  };

  get stream(): FakeStream {
    return this.streams.at(-1)!;
  }
}
