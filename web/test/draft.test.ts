/*
 * The form: what it complains about, and what it sends.
 */
import { describe, expect, it } from "vitest";
import { emptyDraft, eventTextOf, membersOf, metadataOf, mistakesIn } from "../src/lib/draft.js";

describe("a draft", () => {
  it("says what is wrong, each thing at its field", () => {
    expect(mistakesIn({ ...emptyDraft, event_type: "a" })).toEqual({});
    expect(mistakesIn(emptyDraft).event_type).toContain("needs a type");
    expect(mistakesIn({ ...emptyDraft, event_type: "é".repeat(128) }).event_type).toContain("256");
    expect(mistakesIn({ ...emptyDraft, event_type: "hub.mine" }).event_type).toContain("hub's own");
    expect(mistakesIn({ ...emptyDraft, event_type: "a", data: '{"a":}' }).data).toMatchObject({ line: 1, column: 6 });
    expect(mistakesIn({ ...emptyDraft, event_type: "a", id: "x".repeat(1025) }).id).toContain("1025");
    expect(mistakesIn({ ...emptyDraft, event_type: "a", metadata: "no sign" }).metadata).toContain("no sign");
  });

  it("sends only what was filled in, and data as it was typed", () => {
    const draft = { ...emptyDraft, event_type: " n ", data: ' {"big": 12345678901234567890.10} ', id: "x", metadata: "a = b=c\n\nd=" };
    expect(eventTextOf(draft)).toBe('{"event_type":"n","id":"x","metadata":{"a":"b=c","d":""},"data":{"big": 12345678901234567890.10}}');
    expect(membersOf(emptyDraft)).toEqual({});
    expect(eventTextOf({ ...emptyDraft, event_type: "n", data: "" })).toBe('{"event_type":"n","data":{}}');
    expect(metadataOf("=x")).toContain("=x");
  });
});
