/*
 * The list of events: bounded, filtered, and steady for whoever reads it.
 */
import { describe, expect, it } from "vitest";
import { EventLog, eventItem, noticeItem } from "../src/lib/log.js";
import { Meter } from "../src/lib/meter.js";

function item(seq: number, text = `{"n":${seq}}`) {
  return eventItem({ event_type: "a", source_service: "s", correlation_id: "c", seq, epoch: "k3mzq7aa", timestamp: 1 }, text);
}
const shown = (log: EventLog) => Array.from({ length: log.shown }, (_, i) => log.row(i)!.seq);

describe("the log", () => {
  it("drops the oldest beyond its count", () => {
    const log = new EventLog({ items: 3, chars: 1000 });
    for (let seq = 1; seq <= 5; seq++) {
      log.append(item(seq));
    }
    expect([shown(log), log.shownDropped, log.dropped, log.hasRoom("")]).toEqual([[3, 4, 5], 2, 2, false]);
  });

  it("drops the oldest beyond its characters, but never the only one", () => {
    const log = new EventLog({ items: 100, chars: 10 });
    log.append(item(1, "12345"));
    log.append(item(2, "12345"));
    log.append(item(3, "1"));
    expect([shown(log), log.chars]).toEqual([[2, 3], 6]);
    log.append(item(4, "x".repeat(50)));
    expect([shown(log), log.chars]).toEqual([[4], 50]);
  });

  it("tells before an event would push another out by its characters, and afterwards that it did", () => {
    const log = new EventLog({ items: 100, chars: 10 });
    expect(log.hasRoom("x".repeat(50))).toBe(true); /* the only one always has room */
    log.append(item(1, "12345"));
    expect([log.hasRoom("12345"), log.hasRoom("123456")]).toEqual([true, false]);
    log.append(item(2, "123456"));
    expect([log.dropped, log.hasRoom("1")]).toEqual([1, true]);
    log.clear();
    expect(log.dropped).toBe(0);
  });

  it("takes what waited, and says first that some of it went, by characters too", () => {
    const [log, waiting] = [new EventLog({ items: 100, chars: 30 }), new EventLog({ items: 100, chars: 30 })];
    const told = noticeItem("some went");
    waiting.append(item(1, "x".repeat(10)));
    waiting.append(item(2, "x".repeat(20)));
    log.appendAll(waiting, told);
    expect(shown(log)).toEqual([1, 2]);
    log.clear();
    for (const seq of [3, 4, 5, 6]) {
      waiting.append(item(seq, "x".repeat(6)));
    }
    expect([waiting.dropped, waiting.size]).toEqual([2, 4]);
    log.appendAll(waiting, told);
    expect([shown(log), log.row(0)!.text]).toEqual([[0, 5, 6], "some went"]);
  });

  it("filters what is there and what comes, whatever the case; notices always pass", () => {
    const log = new EventLog({ items: 5, chars: 1000 });
    log.append(item(1, "Apple"));
    log.append(item(2, "pear"));
    log.append(noticeItem("gap"));
    log.filter("APP");
    log.append(item(3, "pineapple"));
    log.append(item(4, "plum"));
    expect(shown(log)).toEqual([1, 0, 3]);
    log.append(item(5, "grape"));
    expect([shown(log), log.shownDropped]).toEqual([[0, 3], 1]);
    log.filter("");
    expect(shown(log)).toEqual([2, 0, 3, 4, 5]);
  });

  it("finds rows by their number after thousands have gone", () => {
    const log = new EventLog({ items: 100, chars: 1e6 });
    for (let seq = 1; seq <= 10_000; seq++) {
      log.append(item(seq));
    }
    const row = log.row(42)!;
    expect([log.indexOf(row.n), log.indexOf(1), log.size]).toEqual([42, -1, 100]);
    log.clear();
    expect([log.size, log.shown, log.chars, log.indexOf(row.n)]).toEqual([0, 0, 0, -1]);
  });
});

describe("the meter", () => {
  it("tells the rate of the last seconds, and falls to nothing", () => {
    const meter = new Meter();
    for (let ms = 0; ms < 5000; ms += 10) {
      meter.add(ms, 5);
    }
    expect(meter.perSecond(5000)).toBe(500);
    expect(meter.perSecond(6200)).toBeLessThan(500);
    expect(meter.perSecond(9000)).toBe(0);
  });
});
