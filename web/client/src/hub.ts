/*
 * hub: a page's connection to a gateway that is always there. Keeps the position behind the last event that was handed
 * to the handlers, and goes on there after any disconnect.
 *
 * Everything happens in the caller's thread; handlers are called in the order of the events, and never from inside one
 * of the methods here.
 */
import { Backoff, type BackoffOptions } from "./backoff.js";
import { ask, type Fetch } from "./http.js";
import { Outbox } from "./outbox.js";
import { openSse } from "./sse.js";
import { type Entry, type Handler, type Subscription, Subscriptions } from "./subscriptions.js";
import type { Transport } from "./transport.js";
import { HubError } from "./types.js";
import type { Durability, Gap, HistoryPage, HubEvent, Position, Published, Resume, State, TypeOf } from "./types.js";
import { openWebSocket, type SocketConstructor } from "./websocket.js";

export interface HubOptions {
  /** Where the first connection begins: a position (kept by you from an earlier visit), `earliest`, an RFC 3339 time,
   * digits (a `seq`). Default: now. */
  since?: Position | null;
  /** What the gateway does when this client is too slow: `disconnect` (default: it resumes), `drop_oldest`, `latest`. */
  policy?: "disconnect" | "drop_oldest" | "latest";
  /** First the newest event of each type, then what is new. */
  snapshot?: boolean;
  /** `auto` (default): WebSocket, and server-sent events where none gets through. */
  transport?: "auto" | "websocket" | "sse";
  /** Waits between attempts. */
  backoff?: BackoffOptions;
  /** A WebSocket constructor where there is no global one (Node 20: `import { WebSocket } from "ws"`). */
  WebSocket?: SocketConstructor;
  fetch?: Fetch;
}

export interface PublishOptions {
  /** `(source_service, id)` is published once: with an `id` an event can safely be sent again, and is, by this client. */
  id?: string;
  source_service?: string;
  correlation_id?: string;
  timestamp?: number;
  kind?: HubEvent["kind"];
  metadata?: Record<string, string>;
  /** How far the event must be kept before the answer. */
  durability?: Durability;
  /** Milliseconds until the promise is rejected; default 15 000. */
  timeoutMs?: number;
  /** `data` is JSON text already, and goes out byte for byte (numbers of any size). */
  isText?: boolean;
}

export interface HubEvents {
  state: State;
  gap: Gap;
  resume: Resume;
  error: unknown;
}

const SILENCE_MS = 15_000; /* then a ping goes out */
const DEAD_MS = 40_000; /* without any message: the connection is only said to be there */
const STEADY_MS = 5_000; /* a connection that lasted so long was a good one */
const SOCKET_TRIES = 2; /* before server-sent events are tried */

/** Refusals of a subscription that another attempt may not meet. */
const passing = new Set(["hub_unavailable", "overloaded", "draining", "cancelled", "too_many_connections"]);

export class NotifyHub {
  /** The gateway's address, without a slash at the end. */
  readonly url: string;
  readonly #options: HubOptions;
  readonly #fetch: Fetch;
  readonly #makeSocket: SocketConstructor | undefined;
  readonly #subscriptions = new Subscriptions();
  readonly #outbox = new Outbox();
  readonly #backoff: Backoff;
  readonly #listeners: { [Name in keyof HubEvents]: Set<(value: HubEvents[Name]) => void> } = {
    state: new Set(), gap: new Set(), resume: new Set(), error: new Set(),
  };
  readonly #waiting = new Map<Entry, { resolve(position: Position | null): void; reject(error: HubError): void }>();
  #transport: Transport | null = null;
  #isWelcome = false; /* the gateway has greeted */
  #asked: string | null = null; /* the id of the subscribe that waits for its answer */
  #active = new Set<string>(); /* patterns that the gateway knows of this connection */
  #ops = 0;
  #failures = 0; /* attempts in a row that came to nothing */
  #working: "websocket" | "sse" | null = null; /* the best that got through so far */
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #heardAt = 0;
  #openedAt = 0;
  #position: Position | null = null;
  #since: Position | null; /* where the next first subscription of a connection begins; null: now */
  #begin: Position | null = null; /* where this connection was asked to begin */
  #state: Omit<State, "position"> = { name: "connecting", transport: null, attempt: 0, retryInMs: 0, reason: "" };
  readonly #wake = () => this.#state.name === "lost" && this.#state.retryInMs > 0 && this.#connect();

  constructor(url?: string, options: HubOptions = {}) {
    this.url = new URL(url ?? ".", globalThis.location?.href).href.replace(/^ws/, "http").replace(/\/?([?#].*)?$/, "");
    this.#options = options;
    this.#fetch = options.fetch ?? ((...args) => globalThis.fetch(...args));
    this.#makeSocket = options.WebSocket ?? (globalThis.WebSocket as SocketConstructor | undefined);
    this.#backoff = new Backoff(options.backoff);
    this.#since = options.since ?? null;
    globalThis.addEventListener?.("online", this.#wake);
    queueMicrotask(() => this.#state.name === "connecting" && !this.#transport && this.#connect());
  }

  get state(): State {
    return { ...this.#state, position: this.#position };
  }

  /** Behind the last event that the handlers got: give it as `since` to go on there in another page. */
  get position(): Position | null {
    return this.#position;
  }

  /** Calls `listener` with each new state, gap, result of a resume, or error (also what a handler throws). Returns a
   * function that ends it. */
  on<Name extends keyof HubEvents>(name: Name, listener: (value: HubEvents[Name]) => void): () => void {
    this.#listeners[name].add(listener);
    return () => this.#listeners[name].delete(listener);
  }

  /** Calls `handler` with each event whose type matches: a name, or a pattern with `*`, `?`, `[a-z]`, or several.
   * The second argument of the handler is the event's own text. */
  subscribe<Pattern extends string, Data = unknown>(
    patterns: Pattern | readonly Pattern[], handler: Handler<TypeOf<Pattern>, Data>): Subscription {
    const list = typeof patterns === "string" ? [patterns] : [...patterns];
    const entry = this.#subscriptions.add(list.length === 0 ? ["*"] : list, handler as Handler);
    const ready = new Promise<Position | null>((resolve, reject) => this.#waiting.set(entry, { resolve, reject }));
    ready.catch(() => {}); /* whoever does not look at it hears of the error by `error` */
    this.#sync();
    return { patterns: entry.patterns, ready, close: () => this.#drop(entry, new HubError("closed", "unsubscribed")) };
  }

  /** Publishes an event. Resolves when the hub has numbered it; rejects with a HubError: `outcome_unknown` when nobody
   * knows, else it was not published. While the connection is lost the event waits for the next one. */
  publish(event_type: string, data: unknown = {}, options: PublishOptions = {}): Promise<Published> {
    const { durability, timeoutMs = 15_000, isText, ...members } = options;
    const head = JSON.stringify({ event_type, ...members });
    const event = `${head.slice(0, -1)},"data":${isText ? (data as string) : (JSON.stringify(data) ?? "null")}}`;
    if (this.#state.name === "closed" || this.#state.name === "refused") {
      return Promise.reject(new HubError("not_connected", this.#state.reason || "this client was closed"));
    }
    const answer = this.#outbox.add(event, { durability, timeoutMs, isRepeatable: options.id !== undefined });
    this.#flush();
    return answer;
  }

  /** A page of what is kept. */
  async history(query: { event_type?: readonly string[]; since?: Position; limit?: number; signal?: AbortSignal } = {}): Promise<HistoryPage> {
    const { signal, event_type = [], since, limit } = query;
    const words = new URLSearchParams(event_type.map((type) => ["event_type", type]));
    since !== undefined && words.set("since", since);
    limit !== undefined && words.set("limit", String(limit));
    return this.get(`/events?${words}`, signal ? { signal } : {});
  }

  /** The JSON at one of the gateway's other addresses: `/stats`, `/health/ready`, … */
  async get<Value>(path: string, init?: RequestInit): Promise<Value> {
    const text = await this.text(path, init);
    return (text ? JSON.parse(text) : undefined) as Value;
  }

  /** The same as text, for numbers that JavaScript would round. */
  text(path: string, init?: RequestInit): Promise<string> {
    return ask(this.#fetch, this.url + path, { cache: "no-store", ...init });
  }

  /** Ends everything. What waits to be published is rejected. */
  close(): void {
    this.#hangUp();
    this.#outbox.close();
    globalThis.removeEventListener?.("online", this.#wake);
    for (const entry of [...this.#waiting.keys()]) {
      this.#drop(entry, new HubError("closed", "this client was closed"));
    }
    this.#tell({ name: "closed", transport: null, retryInMs: 0, reason: "" });
  }

  /* ---- the connection ---- */

  #emit<Name extends keyof HubEvents>(name: Name, value: HubEvents[Name]): void {
    for (const listener of [...this.#listeners[name]]) {
      listener(value);
    }
  }

  #tell(change: Partial<Omit<State, "position">>): void {
    this.#state = { ...this.#state, ...change };
    this.#emit("state", this.state);
  }

  #hangUp(): void {
    clearTimeout(this.#retry);
    clearInterval(this.#watch);
    this.#transport?.close();
    this.#transport = null;
    this.#isWelcome = false;
    this.#asked = null;
    if (this.#active.size > 0) {
      this.#since = this.#position ?? this.#since;
      this.#active = new Set();
    }
  }

  #kind(): "websocket" | "sse" {
    const wanted = this.#options.transport ?? "auto";
    if (wanted !== "auto") {
      return wanted;
    }
    if (!this.#makeSocket) {
      return "sse";
    }
    /* Two WebSockets, then one stream; begun with the stream where that is what works here. */
    const turn = this.#working === "sse" ? 0 : SOCKET_TRIES;
    return this.#working !== "websocket" && this.#failures % (SOCKET_TRIES + 1) === turn ? "sse" : "websocket";
  }

  #works(kind: "websocket" | "sse"): void {
    this.#failures = 0;
    this.#working = this.#working === "websocket" ? this.#working : kind;
  }

  #connect(): void {
    this.#hangUp();
    const kind = this.#kind();
    const listener = {
      message: (text: string) => this.#message(text),
      end: (reason: string, fatal?: HubError) => this.#ended(reason, fatal),
    };
    this.#heardAt = this.#openedAt = Date.now();
    this.#tell({ transport: kind, retryInMs: 0 });
    try {
      this.#transport = kind === "sse" ? openSse(this.url, this.#fetch, listener) : openWebSocket(this.url, this.#makeSocket!, listener);
    } catch (error) {
      this.#ended((error as Error).message);
      return;
    }
    this.#watch = setInterval(() => this.#look(), SILENCE_MS / 3);
  }

  /** Connections can die without a word (a cable, a sleeping laptop). */
  #look(): void {
    const silence = Date.now() - this.#heardAt;
    if (silence >= DEAD_MS && (this.#transport?.kind === "websocket" || this.#position !== null)) {
      this.#ended("nothing was heard for a while");
    } else if (silence >= SILENCE_MS && this.#isWelcome) {
      this.#transport?.send(`{"op":"ping"}`);
    }
  }

  #ended(reason: string, fatal?: HubError): void {
    if (this.#state.name !== "live") {
      this.#failures++;
    } else if (Date.now() - this.#openedAt >= STEADY_MS) {
      this.#backoff.reset();
    }
    if (this.#transport?.kind === "websocket") {
      this.#outbox.lost();
    }
    this.#hangUp();
    if (fatal) {
      this.#refuse(fatal);
      return;
    }
    const retryInMs = this.#backoff.next();
    this.#retry = setTimeout(() => this.#connect(), retryInMs);
    this.#tell({ name: "lost", attempt: this.#backoff.attempt, retryInMs, reason });
  }

  /** The gateway will never take this. */
  #refuse(error: HubError): void {
    this.#hangUp();
    for (const entry of [...this.#waiting.keys()]) {
      this.#drop(entry, error);
    }
    this.#emit("error", error);
    this.#tell({ name: "refused", retryInMs: 0, reason: error.message });
  }

  /* ---- subscriptions ---- */

  #drop(entry: Entry, error: HubError): void {
    this.#waiting.get(entry)?.reject(error);
    this.#waiting.delete(entry);
    if (this.#subscriptions.remove(entry)) {
      this.#sync();
    }
  }

  /** Tells the gateway what changed. The first subscription of a connection names the position, the others may not. */
  #sync(): void {
    const wanted = this.#subscriptions.patterns();
    if (!this.#isWelcome || this.#asked !== null || !this.#transport) {
      return;
    }
    const added = [...wanted].filter((pattern) => !this.#active.has(pattern));
    const removed = [...this.#active].filter((pattern) => !wanted.has(pattern));
    if (added.length === 0 && removed.length === 0) {
      return;
    }
    const isFirst = this.#active.size === 0;
    if (this.#transport.kind === "sse" && !isFirst) {
      this.#connect(); /* another stream: the request says what is in it */
      return;
    }
    if (removed.length > 0) {
      this.#transport.send(JSON.stringify({ op: "unsubscribe", event_type: removed }));
    }
    if (isFirst) {
      const { policy, snapshot } = this.#options;
      this.#asked = "start";
      this.#begin = this.#since;
      this.#transport.start({ patterns: added, since: this.#since, policy, snapshot });
    } else if (added.length > 0) {
      this.#asked = `s${++this.#ops}`;
      this.#transport.send(JSON.stringify({ op: "subscribe", id: this.#asked, event_type: added }));
    }
    this.#active = wanted;
  }

  #subscribed(position: Position | null | undefined, resume: Resume | undefined): void {
    this.#asked = null;
    this.#since = null;
    this.#moveTo(position);
    this.#works(this.#transport!.kind);
    if (this.#state.name !== "live") {
      this.#tell({ name: "live", attempt: 0, reason: "" });
    }
    this.#flush();
    for (const [entry, { resolve }] of [...this.#waiting]) {
      if (entry.patterns.every((pattern) => this.#active.has(pattern))) {
        this.#waiting.delete(entry);
        resolve(this.position);
      }
    }
    resume && this.#resumed(resume);
    this.#sync();
  }

  #resumed(resume: Resume): void {
    if (resume.result === "unknown" && this.#begin !== null && this.#position !== null) {
      this.#emit("gap", { from: this.#begin, to: this.#position, reason: "unknown" });
    }
    this.#emit("resume", resume);
  }

  #moveTo(position: Position | null | undefined): void {
    this.#position = position || this.#position;
  }

  /* ---- what the gateway says ---- */

  #message(text: string): void {
    this.#heardAt = Date.now();
    let message: any;
    try {
      message = JSON.parse(text);
    } catch {
      this.#ended("the gateway sent something that is no JSON");
      return;
    }
    if (message.op === undefined) {
      const event = message as HubEvent;
      /* Handlers that close this client in the middle of an event leave it where it stands. */
      this.#moveTo(`${event.epoch}-${event.seq}`);
      this.#subscriptions.dispatch(event, text, (error) => this.#emit("error", error));
    } else {
      this.#op(message);
    }
  }

  #op(message: any): void {
    switch (message.op) {
      case "welcome":
        return this.#welcome();
      case "subscribed":
        return message.id === this.#asked ? this.#subscribed(message.position, message.resume) : undefined;
      case "resume":
        return this.#resumed(message.resume);
      case "position":
        return this.#moveTo(message.position);
      case "waiting":
        /* Its answer takes as long as the hub is away. */
        return this.#state.name === "live"
          ? undefined
          : this.#tell({ reason: message.reason === "hub_unavailable" ? "the gateway waits for its hub" : "the gateway is still looking for what was missed" });
      case "gap": {
        const { op: _, ...gap } = message;
        this.#moveTo(gap.to);
        return this.#emit("gap", gap);
      }
      case "published": {
        const { op: _, id, ...answer } = message;
        this.#outbox.answer(id, answer);
        return;
      }
      case "error":
        return this.#error(message.id, new HubError(message.code, message.detail));
    }
  }

  #welcome(): void {
    this.#isWelcome = true;
    if (this.#transport?.kind === "websocket") {
      this.#works("websocket");
      this.#flush();
    }
    this.#sync();
    if (this.#asked === null) {
      this.#tell({ name: "live", attempt: 0, reason: "" }); /* nothing is subscribed yet */
      this.#flush();
    }
  }

  #error(id: unknown, error: HubError): void {
    if (this.#outbox.answer(id, error)) {
      return;
    }
    if (id === undefined || id !== this.#asked) {
      this.#emit("error", error);
    } else if (passing.has(error.code)) {
      this.#ended(error.message);
    } else if (id === "start") {
      this.#refuse(error);
    } else {
      /* One subscription too much: those that were asked for with it go, the others stay. */
      this.#asked = null;
      const refused = [...this.#waiting.keys()];
      this.#active = new Set([...this.#active].filter((pattern) => !refused.some((entry) => entry.patterns.includes(pattern))));
      this.#emit("error", error);
      for (const entry of refused) {
        this.#drop(entry, error);
      }
      this.#sync();
    }
  }

  /* ---- publishing ---- */

  #flush(): void {
    if (this.#transport?.kind === "websocket" && this.#isWelcome) {
      this.#outbox.flush((id, event, durability) => {
        const how = durability === undefined ? "" : `,"durability":${JSON.stringify(durability)}`;
        this.#transport!.send(`{"op":"publish","id":${id}${how},"event":${event}}`);
      });
    } else if (this.#transport?.kind === "sse" && this.#state.name === "live") {
      this.#outbox.flush((id, event, durability) => this.#post(id, event, durability));
    }
  }

  async #post(id: number, event: string, durability: string | undefined): Promise<void> {
    const query = durability === undefined ? "" : `?durability=${durability}`;
    const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: event };
    try {
      this.#outbox.answer(id, JSON.parse(await ask(this.#fetch, `${this.url}/events${query}`, init)));
    } catch (error) {
      const { code, message } = error as HubError;
      /* Without an answer nobody knows. */
      this.#outbox.answer(id, code === "unreachable" ? new HubError("outcome_unknown", message) : (error as HubError));
    }
  }
}
