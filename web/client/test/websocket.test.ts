/*
 * The client over WebSocket: subscribing, resuming, gaps, waits and publishing, on fake sockets and a fake clock.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connect, HubError, type Gap, type HubOptions, type NotifyHub, type Resume, type State } from "../src/index.js";
import { event, FakeSocket } from "./fakes.js";

const URL = "http://hub.example:8080";
let hub: NotifyHub;
let states: State[];
let gaps: Gap[];
let resumes: Resume[];
let errors: unknown[];

function open(options: HubOptions = {}): NotifyHub {
  hub = connect(URL, { WebSocket: FakeSocket, transport: "websocket", ...options });
  states = [];
  gaps = [];
  resumes = [];
  errors = [];
  hub.on("state", (state) => states.push(state));
  hub.on("gap", (gap) => gaps.push(gap));
  hub.on("resume", (resume) => resumes.push(resume));
  hub.on("error", (error) => errors.push(error));
  return hub;
}

/** Until the microtasks that are waiting now are done. */
const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1); /* the whole step of a wait */
  FakeSocket.all = [];
});
afterEach(() => {
  hub.close();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

async function live(options: HubOptions = {}): Promise<number[]> {
  const seen: number[] = [];
  open(options);
  hub.subscribe("a", (found) => seen.push(found.seq));
  await settle();
  FakeSocket.last.welcome("k3mzq7aa-10");
  FakeSocket.last.subscribed("k3mzq7aa-10");
  return seen;
}

describe("subscribing", () => {
  it("names all patterns in one subscribe once it is welcome, and is live when that is confirmed", async () => {
    open();
    const seen: string[] = [];
    const subscription = hub.subscribe("a", (found) => seen.push(`a${found.seq}`));
    hub.subscribe(["b*", "a"], (found, text) => seen.push(`b${JSON.parse(text).seq}${found.event_type}`));
    await settle();
    expect(FakeSocket.last.url).toBe("ws://hub.example:8080/ws");
    expect(FakeSocket.last.sent).toEqual([]);
    FakeSocket.last.welcome();
    expect(FakeSocket.last.sent).toEqual([{ op: "subscribe", id: "start", event_type: ["a", "b*"] }]);
    expect(hub.state.name).toBe("connecting");
    FakeSocket.last.subscribed("k3mzq7aa-10");
    expect(hub.state).toMatchObject({ name: "live", position: "k3mzq7aa-10", transport: "websocket" });
    expect(await subscription.ready).toBe("k3mzq7aa-10");
    FakeSocket.last.says(event(11));
    FakeSocket.last.says(event(12, "bb"));
    expect(seen).toEqual(["a11", "b11a", "b12bb"]);
    expect(hub.position).toBe("k3mzq7aa-12");
  });

  it("adds and takes away patterns while live, and only those that nobody else wants", async () => {
    await live();
    const second = hub.subscribe(["a", "c"], () => {});
    expect(FakeSocket.last.sent.at(-1)).toEqual({ op: "subscribe", id: "s1", event_type: ["c"] });
    const third = hub.subscribe("d", () => {});
    expect(FakeSocket.last.sent).toHaveLength(2);
    FakeSocket.last.subscribed("k3mzq7aa-10");
    expect(FakeSocket.last.sent.at(-1)).toEqual({ op: "subscribe", id: "s2", event_type: ["d"] });
    FakeSocket.last.subscribed("k3mzq7aa-10");
    await expect(third.ready).resolves.toBe("k3mzq7aa-10");
    second.close();
    expect(FakeSocket.last.sent.at(-1)).toEqual({ op: "unsubscribe", event_type: ["c"] });
  });

  it("begins where it is told, the first time only", async () => {
    const seen = await live({ since: "earliest", policy: "drop_oldest", snapshot: true });
    expect(FakeSocket.last.sent[0]).toEqual({ op: "subscribe", id: "start", event_type: ["a"], since: "earliest", policy: "drop_oldest" });
    FakeSocket.last.says(event(3));
    FakeSocket.last.breaks();
    await vi.advanceTimersByTimeAsync(500);
    FakeSocket.last.welcome();
    expect(FakeSocket.last.sent[0].since).toBe("k3mzq7aa-3");
    expect(seen).toEqual([3]);
  });

  it("does not go back to an old position for a subscription that begins anew", async () => {
    open();
    const first = hub.subscribe("a", () => {});
    await settle();
    FakeSocket.last.welcome();
    FakeSocket.last.subscribed("k3mzq7aa-10");
    first.close();
    expect(FakeSocket.last.sent.at(-1)).toEqual({ op: "unsubscribe", event_type: ["a"] });
    hub.subscribe("b", () => {});
    expect(FakeSocket.last.sent.at(-1)).toEqual({ op: "subscribe", id: "start", event_type: ["b"] });
  });

  it("keeps going when a handler throws, and tells", async () => {
    const seen: number[] = [];
    open();
    hub.subscribe("a", () => {
      throw new Error("mine");
    });
    hub.subscribe("a", (found) => seen.push(found.seq));
    await settle();
    FakeSocket.last.welcome();
    FakeSocket.last.subscribed(null);
    FakeSocket.last.says(event(1));
    expect(seen).toEqual([1]);
    expect(String(errors[0])).toContain("mine");
  });

  it("takes one refused subscription away and leaves the others", async () => {
    const seen = await live();
    const refused = hub.subscribe("too many", () => {});
    FakeSocket.last.says({ op: "error", id: "s1", code: "too_many_patterns", detail: "more than 64" });
    await expect(refused.ready).rejects.toMatchObject({ code: "too_many_patterns" });
    expect(hub.state.name).toBe("live");
    FakeSocket.last.says(event(11));
    expect(seen).toEqual([11]);
    expect(FakeSocket.last.sent.filter((op) => op.op === "unsubscribe")).toEqual([]);
  });

  it("is refused for good when the first subscription is wrong", async () => {
    open({ since: "nonsense" });
    const { ready } = hub.subscribe("a", () => {});
    await settle();
    FakeSocket.last.welcome();
    FakeSocket.last.says({ op: "error", id: "start", code: "bad_since", detail: "since is a position" });
    await expect(ready).rejects.toBeInstanceOf(HubError);
    expect(hub.state).toMatchObject({ name: "refused", reason: "since is a position" });
    await vi.advanceTimersByTimeAsync(120_000);
    expect(FakeSocket.all).toHaveLength(1);
    await expect(hub.publish("a")).rejects.toMatchObject({ code: "not_connected" });
  });

  it("tries again when the gateway cannot subscribe it now", async () => {
    await live();
    FakeSocket.last.breaks();
    await vi.advanceTimersByTimeAsync(500);
    FakeSocket.last.welcome();
    FakeSocket.last.says({ op: "error", id: "start", code: "hub_unavailable", detail: "the hub is away" });
    expect(hub.state).toMatchObject({ name: "lost", reason: "the hub is away", position: "k3mzq7aa-10" });
    await vi.advanceTimersByTimeAsync(1000);
    FakeSocket.last.welcome();
    expect(FakeSocket.last.sent[0].since).toBe("k3mzq7aa-10");
  });
});

describe("after a disconnect", () => {
  it("goes on behind the last event that the handlers got", async () => {
    const seen = await live();
    FakeSocket.last.says(event(11));
    FakeSocket.last.says(event(15));
    FakeSocket.last.breaks();
    expect(hub.state).toMatchObject({ name: "lost", position: "k3mzq7aa-15", retryInMs: 500 });
    await vi.advanceTimersByTimeAsync(500);
    FakeSocket.last.welcome();
    expect(FakeSocket.last.sent).toEqual([{ op: "subscribe", id: "start", event_type: ["a"], since: "k3mzq7aa-15" }]);
    FakeSocket.last.subscribed("k3mzq7aa-15", { result: "replayed", from: "k3mzq7aa-15", to: "k3mzq7aa-17", count: 2 });
    FakeSocket.last.says(event(16));
    FakeSocket.last.says(event(17));
    expect(seen).toEqual([11, 15, 16, 17]);
    expect(resumes).toEqual([{ result: "replayed", from: "k3mzq7aa-15", to: "k3mzq7aa-17", count: 2 }]);
    expect(states.map((state) => state.name)).toEqual(["connecting", "live", "lost", "lost", "live"]);
  });

  it("says what the gateway waits for", async () => {
    await live();
    FakeSocket.last.breaks();
    await vi.advanceTimersByTimeAsync(500);
    FakeSocket.last.welcome();
    FakeSocket.last.says({ op: "waiting", id: "start", position: "k3mzq7aa-10", reason: "hub_unavailable" });
    expect(hub.state).toMatchObject({ name: "lost", reason: "the gateway waits for its hub", position: "k3mzq7aa-10" });
    FakeSocket.last.says({ op: "waiting", id: "start", position: "k3mzq7aa-10", reason: "replaying" });
    expect(hub.state).toMatchObject({ name: "lost", reason: "the gateway is still looking for what was missed" });
    FakeSocket.last.subscribed("k3mzq7aa-10", { result: "caught_up" });
    expect(hub.state).toMatchObject({ name: "live", reason: "" });
    /* A later resume of a live stream waits too, and events go on meanwhile. */
    FakeSocket.last.says({ op: "waiting", id: "start", position: "k3mzq7aa-10", reason: "replaying" });
    expect(hub.state).toMatchObject({ name: "live", reason: "" });
  });

  it("goes on behind the position of an idle stream", async () => {
    await live();
    FakeSocket.last.says({ op: "position", position: "k3mzq7aa-900" });
    FakeSocket.last.breaks();
    await vi.advanceTimersByTimeAsync(500);
    FakeSocket.last.welcome();
    expect(FakeSocket.last.sent[0].since).toBe("k3mzq7aa-900");
  });

  it("keeps the position over attempts that fail", async () => {
    await live();
    FakeSocket.last.breaks();
    for (const wait of [500, 1000, 2000]) {
      await vi.advanceTimersByTimeAsync(wait);
      FakeSocket.last.breaks();
    }
    await vi.advanceTimersByTimeAsync(4000);
    FakeSocket.last.welcome();
    FakeSocket.last.breaks(); /* after the greeting, before the answer */
    await vi.advanceTimersByTimeAsync(8000);
    FakeSocket.last.welcome();
    expect(FakeSocket.last.sent[0].since).toBe("k3mzq7aa-10");
  });

  it("resumes subscriptions that were made while it was lost", async () => {
    await live();
    FakeSocket.last.breaks();
    const later = hub.subscribe("z", () => {});
    await vi.advanceTimersByTimeAsync(500);
    FakeSocket.last.welcome();
    expect(FakeSocket.last.sent).toEqual([{ op: "subscribe", id: "start", event_type: ["a", "z"], since: "k3mzq7aa-10" }]);
    FakeSocket.last.subscribed("k3mzq7aa-10");
    await expect(later.ready).resolves.toBe("k3mzq7aa-10");
  });

  it("takes a connection that says nothing for dead", async () => {
    await live();
    await vi.advanceTimersByTimeAsync(15_000);
    expect(FakeSocket.last.sent.at(-1)).toEqual({ op: "ping" });
    FakeSocket.last.says({ op: "pong" });
    await vi.advanceTimersByTimeAsync(30_000);
    expect(hub.state.name).toBe("live");
    await vi.advanceTimersByTimeAsync(15_000);
    expect(hub.state).toMatchObject({ name: "lost", reason: "nothing was heard for a while" });
    expect(FakeSocket.all[0]!.isClosed).toBe(true);
  });

  it("does not come back when an operator closed it", async () => {
    await live();
    FakeSocket.last.breaks(1008, "closed by the operator");
    expect(hub.state).toMatchObject({ name: "refused", reason: "closed by the operator" });
    expect(errors).toMatchObject([{ code: "closed_by_gateway" }]);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it("is closed by close, whatever comes afterwards", async () => {
    const seen = await live();
    const socket = FakeSocket.last;
    hub.close();
    socket.says(event(11));
    socket.breaks();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(seen).toEqual([]);
    expect(hub.state.name).toBe("closed");
    expect(FakeSocket.all).toHaveLength(1);
    await expect(hub.publish("a")).rejects.toMatchObject({ code: "not_connected" });
  });
});

describe("gaps", () => {
  it("are told once, and the position goes behind them", async () => {
    await live();
    FakeSocket.last.breaks();
    await vi.advanceTimersByTimeAsync(500);
    FakeSocket.last.welcome();
    const gap = { from: "k3mzq7aa-10", to: "k3mzq7aa-99", reason: "retention" };
    FakeSocket.last.subscribed("k3mzq7aa-10", { result: "gap", from: "k3mzq7aa-99", to: "k3mzq7aa-120", gap });
    FakeSocket.last.says({ op: "gap", ...gap });
    expect(gaps).toEqual([gap]);
    expect(hub.position).toBe("k3mzq7aa-99");
  });

  it("in the middle of a stream too", async () => {
    await live();
    FakeSocket.last.says({ op: "gap", from: "k3mzq7aa-10", to: "k3mzq7aa-20", reason: "slow", dropped: 7 });
    expect(gaps).toEqual([{ from: "k3mzq7aa-10", to: "k3mzq7aa-20", reason: "slow", dropped: 7 }]);
  });

  it("a position that the hub does not know is a gap of unknown size", async () => {
    await live();
    FakeSocket.last.breaks();
    await vi.advanceTimersByTimeAsync(500);
    FakeSocket.last.welcome();
    FakeSocket.last.subscribed("k3mzq7aa-3", { result: "unknown" });
    expect(gaps).toEqual([{ from: "k3mzq7aa-10", to: "k3mzq7aa-3", reason: "unknown" }]);
  });
});

describe("waits between attempts", () => {
  const waits = () => states.filter((state) => state.retryInMs > 0).map((state) => state.retryInMs);

  async function failing(times: number): Promise<void> {
    await settle();
    for (let i = 0; i < times; i++) {
      FakeSocket.last.breaks();
      await vi.advanceTimersByTimeAsync(hub.state.retryInMs);
    }
  }

  it("double up to the longest", async () => {
    open();
    await failing(8);
    expect(waits()).toEqual([500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
  });

  it("differ from client to client, by half at most", async () => {
    vi.mocked(Math.random).mockReturnValue(0);
    open({ backoff: { firstMs: 100, longestMs: 1000 } });
    await failing(5);
    expect(waits()).toEqual([50, 100, 200, 400, 500]);
  });

  it("begin anew only after a connection that lasted", async () => {
    await live({ backoff: { firstMs: 100 } });
    await vi.advanceTimersByTimeAsync(1000);
    for (let i = 0; i < 3; i++) {
      FakeSocket.last.breaks(1013);
      await vi.advanceTimersByTimeAsync(hub.state.retryInMs);
      FakeSocket.last.welcome();
      FakeSocket.last.subscribed("k3mzq7aa-10");
    }
    await vi.advanceTimersByTimeAsync(6000);
    FakeSocket.last.breaks();
    expect(waits()).toEqual([100, 200, 400, 100]);
  });
});

describe("publishing", () => {
  it("resolves with the hub's answer", async () => {
    await live();
    const answer = hub.publish("new_setup", { setup_id: "0001234" }, { kind: "created", durability: "synced" });
    expect(FakeSocket.last.sent.at(-1)).toEqual({
      op: "publish", id: 1, durability: "synced", event: { event_type: "new_setup", kind: "created", data: { setup_id: "0001234" } },
    });
    FakeSocket.last.says({ op: "published", id: 1, seq: 42, epoch: "k3mzq7aa", durability: "synced" });
    await expect(answer).resolves.toEqual({ seq: 42, epoch: "k3mzq7aa", durability: "synced" });
  });

  it("passes data on as it was typed", async () => {
    await live();
    const send = vi.spyOn(FakeSocket.last, "send");
    void hub.publish("n", "12345678901234567890.10", { isText: true });
    expect(send.mock.calls[0]![0]).toBe('{"op":"publish","id":1,"event":{"event_type":"n","data":12345678901234567890.10}}');
    FakeSocket.last.says({ op: "published", id: 1, seq: 1, epoch: "k3mzq7aa", durability: "memory" });
  });

  it("rejects with the gateway's code", async () => {
    await live();
    const answer = hub.publish("hub.mine");
    FakeSocket.last.says({ op: "error", id: 1, code: "reserved_type", detail: "hub. is the hub's" });
    await expect(answer).rejects.toMatchObject({ name: "HubError", code: "reserved_type", message: "hub. is the hub's" });
  });

  it("waits for the connection", async () => {
    open();
    const answer = hub.publish("a", 1);
    await settle();
    expect(FakeSocket.last.sent).toEqual([]);
    FakeSocket.last.welcome();
    expect(FakeSocket.last.sent).toHaveLength(1);
    FakeSocket.last.says({ op: "published", id: 1, seq: 1, epoch: "k3mzq7aa", durability: "memory" });
    await expect(answer).resolves.toMatchObject({ seq: 1 });
  });

  it("says when it was not sent in time", async () => {
    open();
    const answer = expect(hub.publish("a", 1, { timeoutMs: 1000 })).rejects.toMatchObject({ code: "not_connected" });
    await vi.advanceTimersByTimeAsync(1000);
    await answer;
    FakeSocket.last.welcome();
    expect(FakeSocket.last.sent).toEqual([]);
  });

  it("says when nobody knows", async () => {
    await live();
    const answer = expect(hub.publish("a", 1)).rejects.toMatchObject({ code: "outcome_unknown" });
    FakeSocket.last.breaks();
    await answer;
    await vi.advanceTimersByTimeAsync(500);
    FakeSocket.last.welcome();
    expect(FakeSocket.last.sent.filter((op) => op.op === "publish")).toEqual([]);
    const late = expect(hub.publish("a", 1)).rejects.toMatchObject({ code: "outcome_unknown" });
    await vi.advanceTimersByTimeAsync(15_000);
    await late;
  });

  it("sends an event with an id again", async () => {
    await live();
    const answer = hub.publish("a", 1, { id: "x" });
    FakeSocket.last.breaks();
    await vi.advanceTimersByTimeAsync(500);
    FakeSocket.last.welcome();
    expect(FakeSocket.last.sent.filter((op) => op.op === "publish")).toEqual([{ op: "publish", id: 1, event: { event_type: "a", id: "x", data: 1 } }]);
    FakeSocket.last.says({ op: "published", id: 1, seq: 7, epoch: "k3mzq7aa", durability: "memory", duplicate: true });
    await expect(answer).resolves.toMatchObject({ seq: 7, duplicate: true });
  });

  it("has a limit", async () => {
    open();
    const waiting = Array.from({ length: 1000 }, () => hub.publish("a"));
    await expect(hub.publish("a")).rejects.toMatchObject({ code: "overloaded" });
    hub.close();
    for (const result of await Promise.allSettled(waiting)) {
      expect(result).toMatchObject({ status: "rejected", reason: { code: "closed" } });
    }
  });
});
