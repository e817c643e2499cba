/*
 * The fall-back: when it is taken, and that it keeps the same promises.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connect, type Gap, type HubOptions, type NotifyHub, type Resume } from "../src/index.js";
import { SseReader } from "../src/sse.js";
import { event, FakeGateway, FakeSocket } from "./fakes.js";

let hub: NotifyHub;
let gateway: FakeGateway;

function open(options: HubOptions = {}): NotifyHub {
  gateway = new FakeGateway();
  hub = connect("http://hub.example/prefix/", { fetch: gateway.fetch, ...options });
  return hub;
}
const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1);
  FakeSocket.all = [];
});
afterEach(() => {
  hub?.close();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe("the reader", () => {
  it("finds blocks however the text is cut", () => {
    const text = 'retry: 2000\nid: k3mzq7aa-1\n\nid: k3mzq7aa-2\ndata: {"a":"ü: x"}\n\nevent: hub.gap\ndata: {"from":1}\n\n';
    for (let cut = 0; cut <= text.length; cut++) {
      const blocks: string[][] = [];
      const reader = new SseReader((...block) => blocks.push(block));
      reader.push(text.slice(0, cut));
      reader.push(text.slice(cut));
      expect(blocks).toEqual([["", "k3mzq7aa-1", ""], ["", "k3mzq7aa-2", '{"a":"ü: x"}'], ["hub.gap", "", '{"from":1}']]);
    }
  });
});

describe("server-sent events", () => {
  it("carry events, positions and gaps, and resume", async () => {
    const seen: number[] = [];
    const gaps: Gap[] = [];
    const resumes: Resume[] = [];
    open({ transport: "sse" });
    hub.on("gap", (gap) => gaps.push(gap));
    hub.on("resume", (resume) => resumes.push(resume));
    const { ready } = hub.subscribe(["a", "b*"], (found) => seen.push(found.seq));
    await settle();
    expect(gateway.stream.url).toBe("http://hub.example/prefix/events/stream?event_type=a&event_type=b*");
    gateway.stream.opens();
    await settle();
    expect(hub.state).toMatchObject({ name: "live", transport: "sse" });
    await ready;
    gateway.stream.writes("retry: 2000\nid: k3mzq7aa-4\n\n");
    gateway.stream.writes(`id: k3mzq7aa-5\ndata: ${JSON.stringify(event(5))}\n\nid: k3mzq7aa-9\n\n`);
    await settle();
    expect([seen, hub.position]).toEqual([[5], "k3mzq7aa-9"]);
    gateway.stream.ends();
    await settle();
    expect(hub.state).toMatchObject({ name: "lost", position: "k3mzq7aa-9" });
    await vi.advanceTimersByTimeAsync(500);
    expect(gateway.stream.url).toContain("since=k3mzq7aa-9");
    gateway.stream.opens();
    await settle();
    const gap = { from: "k3mzq7aa-9", to: "k3mzq7aa-20", reason: "retention" };
    gateway.stream.writes(`id: k3mzq7aa-9\n\nevent: hub.resume\ndata: ${JSON.stringify({ result: "gap", gap })}\n\n`);
    gateway.stream.writes(`event: hub.gap\ndata: ${JSON.stringify(gap)}\n\n`);
    await settle();
    expect([gaps, resumes]).toEqual([[gap], [{ result: "gap", gap }]]);
    expect(hub.position).toBe("k3mzq7aa-20");
  });

  it("open anew for other patterns, at the same place", async () => {
    open({ transport: "sse" });
    hub.subscribe("a", () => {});
    await settle();
    gateway.stream.opens();
    await settle();
    gateway.stream.writes("id: k3mzq7aa-4\n\n");
    await settle();
    hub.subscribe("b", () => {});
    await settle();
    expect(gateway.streams).toHaveLength(2);
    expect(gateway.stream.url).toContain("event_type=a&event_type=b&since=k3mzq7aa-4");
  });

  it("are refused for good by 4xx, and tried again after 5xx", async () => {
    open({ transport: "sse" });
    hub.subscribe("a", () => {});
    await settle();
    gateway.stream.refuses(503, { code: "draining", detail: "this gateway ends" });
    await settle();
    expect(hub.state).toMatchObject({ name: "lost", reason: "this gateway ends" });
    await vi.advanceTimersByTimeAsync(500);
    gateway.stream.refuses(400, { code: "too_many_patterns", detail: "more than 64" });
    await settle();
    expect(hub.state).toMatchObject({ name: "refused", reason: "more than 64" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(gateway.streams).toHaveLength(2);
  });

  it("publish with POST", async () => {
    open({ transport: "sse" });
    const early = hub.publish("a", 1, { id: "x", durability: "journaled" });
    await settle();
    gateway.posts[0]!.answer(202, { seq: 3, epoch: "k3mzq7aa", durability: "journaled" });
    expect(gateway.posts[0]).toMatchObject({ url: "http://hub.example/prefix/events?durability=journaled", body: { event_type: "a", id: "x", data: 1 } });
    await expect(early).resolves.toMatchObject({ seq: 3 });
    const wrong = hub.publish("a", 1);
    gateway.posts[1]!.answer(400, { code: "bad_value", detail: "no" });
    await expect(wrong).rejects.toMatchObject({ code: "bad_value", status: 400 });
    const lost = hub.publish("a", 1);
    gateway.posts[2]!.fail();
    await expect(lost).rejects.toMatchObject({ code: "outcome_unknown" });
  });
});

describe("the choice", () => {
  it("falls back when no WebSocket gets through, and stays", async () => {
    open({ WebSocket: FakeSocket });
    hub.subscribe("a", () => {});
    await settle();
    FakeSocket.last.breaks();
    await vi.advanceTimersByTimeAsync(500);
    FakeSocket.last.breaks();
    await vi.advanceTimersByTimeAsync(1000);
    expect([FakeSocket.all.length, gateway.streams.length]).toEqual([2, 1]);
    gateway.stream.opens();
    await settle();
    expect(hub.state).toMatchObject({ name: "live", transport: "sse" });
    gateway.stream.writes("id: k3mzq7aa-4\n\n");
    await settle();
    gateway.stream.ends();
    await settle();
    await vi.advanceTimersByTimeAsync(2000);
    expect([FakeSocket.all.length, gateway.streams.length]).toEqual([2, 2]);
    expect(gateway.stream.url).toContain("since=k3mzq7aa-4");
  });

  it("does not leave the WebSocket where it worked once", async () => {
    open({ WebSocket: FakeSocket });
    hub.subscribe("a", () => {});
    await settle();
    FakeSocket.last.welcome();
    FakeSocket.last.subscribed(null);
    for (let i = 0; i < 6; i++) {
      FakeSocket.last.breaks();
      await vi.advanceTimersByTimeAsync(20_000);
    }
    expect(gateway.streams).toHaveLength(0);
    expect(FakeSocket.all.length).toBeGreaterThan(4);
  });

  it("is the stream where there is no WebSocket at all", async () => {
    vi.stubGlobal("WebSocket", undefined);
    open();
    hub.subscribe("a", () => {});
    await settle();
    expect(gateway.streams).toHaveLength(1);
    vi.unstubAllGlobals();
  });
});
