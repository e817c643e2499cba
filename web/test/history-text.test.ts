/*
 * What outlives a reload: the samples, byte for byte or not at all.
 */
import { describe, expect, it } from "vitest";
import { History } from "../src/lib/history.js";
import { samplesOf, textOf } from "../src/lib/history-text.js";
import type { Sample } from "../src/lib/stats.js";

const sample = (at: number): Sample => ({
  at, hubStart: at > 2 ? null : 7.5, in: at > 2 ? { HTTP: at } : { HTTP: at, ZeroMQ: -3 }, out: { SSE: 2 }, drops: at > 1 ? { "refused: x": 1 } : {},
  subscribers: { SSE: 1 }, lag: 4, behind: null, journalBytes: 5, journalAge: null,
});

describe("samples as text", () => {
  it("come back as they were, with their holes", () => {
    const samples = [sample(1), sample(2), { ...sample(3), isAfterHole: true }];
    expect(samplesOf(textOf(samples, 10_000), 4)).toEqual(samples);
  });

  it("take a bounded room, and the newest have it", () => {
    const samples = Array.from({ length: 3600 }, (_, i) => sample(i));
    const text = textOf(samples, 100_000);
    expect(text.length).toBeLessThanOrEqual(100_000);
    const kept = samplesOf(text, 3600);
    expect(kept.length).toBeGreaterThan(500);
    expect(kept.at(-1)).toEqual(samples.at(-1));
    expect(textOf(samples, 10)).toBe("");
  });

  it("are none when they are damaged, of another version, or of the future", () => {
    const good = textOf([sample(1), sample(2)], 10_000);
    const bad = [null, "", "null", "3", "[]", "{}", good.replace('"version":1', '"version":2'), good.replace('"lag":[4,4]', '"lag":[4]'),
      good.replace('"at":[1,2]', '"at":[2,1]'), good.replace('"at":[1,2]', '"at":[1,null]'), good.replace('"SSE":[2,2]', '"SSE":[2,"x"]'),
      good.replace('"subscribers":', '"other":')];
    expect(bad.map((text) => samplesOf(text, 9).length)).toEqual(bad.map(() => 0));
    expect(samplesOf(good, -9)).toEqual([]);
    expect(samplesOf(good, 9)).toHaveLength(2);
  });

  it("are followed by a hole", () => {
    const history = new History(100);
    history.begin(samplesOf(textOf([sample(1), sample(2)], 10_000), 9));
    history.add(sample(4));
    expect(history.all.map((found) => found.isAfterHole ?? false)).toEqual([false, false, true]);
    history.begin([]);
    history.add(sample(5));
    expect(history.all.map((found) => found.isAfterHole ?? false)).toEqual([false]);
  });
});
