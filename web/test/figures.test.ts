/*
 * Figures: verdicts, rates over restarts, and what the tables make of answers.
 */
import { describe, expect, it } from "vitest";
import { ago, bytes, count, duration, rate, seqOf, short } from "../src/lib/format.js";
import { History, levelLines, rateLines } from "../src/lib/history.js";
import { behindText, gatewayVerdict, hubVerdict, inTotal, isHubAway, keepingText, rateBetween, sampleOf, type Sample, type Stats } from "../src/lib/stats.js";
import { arrange, RateMemory, sparkPath, type TypeRow } from "../src/lib/types-table.js";

function statsOf(change: { link?: object; gateway?: object; hub?: object | null } = {}): Stats {
  const link = { connected: true, caught_up: true, reason: "", epoch: "k3mzq7aa", seq: 10, received_seq: 10, oldest_seq: 1, answer_age_ms: 1, ...change.link };
  return {
    gateway: {
      version: "0.1.0", uptime_s: 1, draining: false, connections: { open: 1 }, link, events: { in_total: 0 },
      published_total: { http: 3, ws: 2, sse: 0 }, delivered_total: { sse: 7, ws: 1 }, subscribers: { sse: 1, ws: 2 },
      rejected: { http: { bad_json: 2 }, ws: { bad_json: 1 } }, dropped: { slow_disconnect: 4, memory: 0 }, lag: { max_events: 5 },
      memory: { resident_bytes: 1, stream_bytes: 0 }, ...change.gateway,
    },
    hub: change.hub === null ? null : {
      events_received: 25, events_published: 25, start_time: 1, rejected_total: 0, rejected: { too_big: 1 }, subscriptions: { now: 3 }, answers: { dropped: 0 },
      ...change.hub,
    },
  } as Stats;
}
const sample = (at: number, n: number): Sample => ({ at, hubStart: 1, in: { HTTP: n }, out: {}, drops: {}, subscribers: {}, lag: n, behind: 0, journalBytes: null, journalAge: null });

describe("a sample", () => {
  it("tells the doors apart, and counts drops by reason over all doors", () => {
    const found = sampleOf(statsOf(), 5);
    expect(found.in).toEqual({ HTTP: 3, WebSocket: 2, ZeroMQ: 20 });
    expect(found.drops).toMatchObject({ "slow reader: disconnect": 4, "refused: bad_json": 3, "refused by the hub: too_big": 1 });
    expect(found.subscribers).toEqual({ SSE: 1, WebSocket: 2, ZeroMQ: 3 });
  });

  it("copes with a hub that is away, and with figures that are not there", () => {
    const found = sampleOf(statsOf({ hub: null }), 5);
    expect([found.in.ZeroMQ, found.subscribers.ZeroMQ, found.behind, found.journalBytes, found.journalAge]).toEqual([undefined, undefined, null, null, null]);
    expect([found.in.HTTP, found.subscribers.SSE, inTotal(found), inTotal(sampleOf(statsOf(), 5))]).toEqual([3, 1, null, 25]);
    expect(sampleOf(statsOf({ link: { connected: false, seq: 50 } }), 5), "figures of before it went").toMatchObject({ behind: null, hubStart: null });
    expect(sampleOf(statsOf({ hub: { journal: { bytes: 9, age_s: 3 } } }), 5)).toMatchObject({ journalBytes: 9, journalAge: 3 });
  });
});

describe("a hub that is away", () => {
  const away = statsOf({ hub: null, link: { connected: false } });

  it("is said to be away only by a gateway that answers", () => {
    expect([isHubAway(away, true), isHubAway(away, false), isHubAway(statsOf(), true), isHubAway(null, true)]).toEqual([true, false, false, false]);
  });

  it("leaves unknown what only it could tell", () => {
    expect(behindText(away, null)).toContain("unknown");
    expect([behindText(statsOf(), null), behindText(statsOf(), "7")]).toEqual(["gateway is up to date", "gateway 7 behind the hub"]);
    expect(["Kept by the hub", "Kept by the hub", "Kept in memory", "Journal"])
      .toEqual([null, away, statsOf(), statsOf({ hub: { journal: {} } })].map(keepingText));
  });
});

describe("rates", () => {
  it("are null where a counter was set back, and no guess", () => {
    const of = (found: Sample) => found.in.HTTP;
    expect(rateBetween(sample(1, 10), sample(3, 30), of)).toBe(10);
    expect(rateBetween(sample(1, 10), sample(2, 3), of)).toBeNull();
    expect(rateBetween(sample(1, 10), sample(1, 30), of)).toBeNull();
    expect(rateLines([sample(1, 0), sample(2, 5), sample(3, 1)], ["HTTP"], (found) => found.in)).toEqual([[2, 3], [5, 0.5]]);
    expect(rateLines([sample(1, 9), sample(4, 5), sample(5, 9)], ["HTTP"], (found) => found.in)).toEqual([[4, 5], [null, 0]]);
    expect(rateLines([sample(1, 0), sample(100, 5), sample(103, 8)], ["HTTP"], (found) => found.in)).toEqual([[100, 103], [null, 1]]);
    expect(levelLines([sample(1, 4)], [(found) => found.lag, () => undefined])).toEqual([[1], [4], [null]]);
  });

  it("come from a history that is bounded", () => {
    const history = new History(100);
    const now = () => history.now((before, last) => rateBetween(before, last, (found) => found.lag));
    expect(now()).toBeNull();
    for (let at = 0; at < 1000; at++) {
      history.add(sample(at, at * 2));
    }
    expect(history.since(1e9).length).toBeLessThanOrEqual(125);
    expect(history.since(10)).toHaveLength(12);
    expect(now()).toBe(2);
  });

  it("know no spike when the hub comes back, or is another one", () => {
    const at = (seconds: number, hub: object | null, http = 3) =>
      sampleOf(statsOf({ hub, link: { connected: hub !== null }, gateway: { published_total: { http, ws: 2 } } }), seconds);
    const lines = (samples: Sample[], names: string[], of: (found: Sample) => Partial<Record<string, number>>) => rateLines(samples, names, of).slice(1);
    const doors = ["HTTP", "ZeroMQ"];
    expect(lines([at(0, {}), at(3, null), at(6, null), at(9, {})], doors, (found) => found.in)).toEqual([[0, 0, 0], [null, null, null]]);
    expect(lines([at(0, {}), at(3, { start_time: 2, events_received: 0 }), at(6, { start_time: 2, events_received: 30 })], doors, (found) => found.in),
      "a hub that is younger than the gateway counts less than that").toEqual([[0, 0], [null, 10]]);
    expect(lines([at(0, {}), at(3, {}, 6)], doors, (found) => found.in), "asked at another instant").toEqual([[1], [0]]);
    expect(lines([at(0, {}), at(3, null), at(6, {})], ["refused by the hub: too_big", "never"], (found) => found.drops)).toEqual([[null, null], [null, null]]);
    const [calm, first] = [at(0, {}), { ...at(3, {}), drops: { "refused: too_big": 6 } }];
    expect(lines([calm, first], ["refused: too_big", "none so far"], (found) => found.drops), "a reason begins at 0").toEqual([[2], [0]]);
  });

  it("and levels are not drawn over a hole", () => {
    const history = new History(10);
    history.hole();
    history.add(sample(1, 1));
    history.add(sample(4, 2));
    history.hole();
    history.add(sample(8, 3));
    expect(history.now((before) => before.at)).toBeNull();
    history.add(sample(11, 9));
    expect(history.now((before) => before.at)).toBe(8);
    expect(levelLines(history.all, [(found) => found.lag])).toEqual([[1, 4, 6, 8, 11], [1, 2, null, 3, 9]]);
    expect(rateLines(history.all, ["HTTP"], (found) => found.in)).toEqual([[4, 8, 11], [1 / 3, null, 2]]);
  });
});

describe("verdicts", () => {
  it("say why, without what changes every second", () => {
    expect(gatewayVerdict(statsOf(), true)).toMatchObject({ tone: "good", word: "Ready" });
    const away = statsOf({ link: { connected: false, reason: "no answer from hub for 2.4 s" }, hub: null });
    expect(gatewayVerdict(away, true)).toEqual({ tone: "bad", word: "Not ready", why: "Not ready, because no answer from hub." });
    expect(hubVerdict(away, true)).toMatchObject({ tone: "bad", word: "Away" });
    expect(gatewayVerdict(statsOf({ gateway: { draining: true } }), true).word).toBe("Leaving");
    expect(gatewayVerdict(statsOf(), false).word).toBe("Away");
    expect(hubVerdict(statsOf(), false).word).toBe("Unknown");
    expect(hubVerdict(statsOf({ hub: { journal: { state: "degraded", why: "disk full" } } }), true)).toMatchObject({ tone: "warn", why: expect.stringContaining("disk full") });
  });
});

describe("figures for people", () => {
  it("are written one way", () => {
    expect([count(1234567), count(null), rate(0.25), rate(9.94), rate(9.96), rate(4980.4)]).toEqual(["1,234,567", "–", "0.3", "9.9", "10", "4,980"]);
    expect([bytes(0), bytes(1023), bytes(1536), bytes(200 * 1024), bytes(5 * 2 ** 30), bytes(undefined)]).toEqual(["0 B", "1,023 B", "1.5 KiB", "200 KiB", "5 GiB", "–"]);
    expect([duration(3.9), duration(60), duration(3700), duration(200_000)]).toEqual(["3 s", "1 min", "1 h 01 min", "2 d 7 h"]);
    expect([ago(99.5, 100), ago(90, 100), ago(null, 1)]).toEqual(["now", "10 s ago", "–"]);
    expect([short(950), short(1200), short(3e6)]).toEqual(["950", "1.2k", "3M"]);
    expect([seqOf("k3mzq7aa-42"), seqOf("nonsense"), seqOf(null)]).toEqual([42, null, null]);
  });
});

describe("the table of types", () => {
  const row = (n: number, event_type: string, rate_per_s: number, count: number): TypeRow =>
    ({ n, event_type, count, rate_per_s, last_seen: n, position: `k3mzq7aa-${n}`, sources: [{ source_service: `s${n}`, count }] });
  const rows = [row(1, "b", 1, 5), row(2, "a", 9, 1), row(3, "c", 1, 7)];

  it("is sorted and filtered by name or publisher", () => {
    expect(arrange(rows, "rate", "").map((found) => found.event_type)).toEqual(["a", "c", "b"]);
    expect(arrange(rows, "name", "").map((found) => found.event_type)).toEqual(["a", "b", "c"]);
    expect(arrange(rows, "count", "").map((found) => found.event_type)).toEqual(["c", "b", "a"]);
    expect(arrange(rows, "rate", " S3 ").map((found) => found.event_type)).toEqual(["c"]);
  });

  it("remembers rates for a line, only of types that are there", () => {
    const memory = new RateMemory();
    for (let i = 0; i < 100; i++) {
      memory.add(rows.slice(0, 2));
    }
    memory.add(rows.slice(0, 1));
    expect([memory.of("b").length, memory.of("a").length]).toEqual([60, 0]);
    expect(sparkPath([1], 120, 24)).toBe("");
    expect(sparkPath([0, 2], 19, 24)).toBe("M18.0 23.0L19.0 1.0");
  });
});
