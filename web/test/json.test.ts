/*
 * JSON as text: laid out, taken apart and judged without touching its bytes.
 */
import { describe, expect, it } from "vitest";
import { curlOf } from "../src/lib/curl.js";
import { elementTexts, layOut, memberText, tokensOf } from "../src/lib/json.js";
import { mistakeIn } from "../src/lib/json-mistake.js";

describe("layOut", () => {
  it("keeps numbers and strings as they came", () => {
    const text = '{"n":1180591620717411303424,"f":1.10,"s":"a\\"{b}, c: \\u00fc","e":{},"l":[],"a":[1,[2]],"w":null}';
    const laid = layOut(text);
    expect(laid).toContain('  "n": 1180591620717411303424,\n  "f": 1.10,\n  "s": "a\\"{b}, c: \\u00fc",\n  "e": {},\n  "l": [],\n');
    expect(layOut(laid)).toBe(laid);
    expect(JSON.parse(laid)).toEqual(JSON.parse(text));
  });

  it("names the kinds", () => {
    expect(tokensOf('{"a":"b","c":-1,"d":true}').filter((token) => token.kind !== "mark").map((token) => [token.kind, token.text]))
      .toEqual([["key", '"a"'], ["string", '"b"'], ["key", '"c"'], ["number", "-1"], ["key", '"d"'], ["word", "true"]]);
  });
});

describe("memberText and elementTexts", () => {
  it("find what stands there", () => {
    const text = '{"a":{"data":1},"data": [1, {"x":2.50}] ,"s":"data"}';
    expect(memberText(text, "data")).toBe('[1, {"x":2.50}]');
    expect(memberText(text, "s")).toBe('"data"');
    expect(memberText(text, "x")).toBe("");
    expect(memberText("", "x")).toBe("");
    expect(elementTexts('[1.0, {"a":[1,2]} ,"x,y", []]')).toEqual(["1.0", '{"a":[1,2]}', '"x,y"', "[]"]);
    expect(elementTexts("[[1],[2]]")).toEqual(["[1]", "[2]"]);
    expect(elementTexts("[]")).toEqual([]);
  });
});

describe("mistakeIn", () => {
  it.each([
    ["{}", null], [' {"a":[1,2.5e3,-0,"\\u00e4",null,true]} ', null],
    ["", "1:1 a value"], ['{"a": }', "1:7 a value"], ['{\n  "a": 1\n  "b": 2\n}', "3:3 a comma or }"], ["{'a':1}", '1:2 a name'],
    ['{"a":1,}', "1:8 a name"], ["[1,]", "1:4 a value"], ["[1 2]", "1:4 a comma or ]"], ["{", "1:2 a name"], ["[", "1:2 a value"], ["nul", "1:1 “nul”"],
    ['"a\nb"', "1:1 this string"], ["{} x", "1:4 nothing more"], ["[NaN]", "1:2 NaN"], ["01", "1:2 this is no number"], ["['a']", "1:2 strings stand"],
    ['{"a" 1}', "1:6 a colon"], ["1.", "1:2 this is no number"],
  ])("%j: %s", (text, expected) => {
    const mistake = mistakeIn(text);
    expect(mistake === null ? null : `${mistake.line}:${mistake.column} ${mistake.message}`.startsWith(expected ?? "x")).toBe(expected === null ? null : true);
    let isJson = true;
    try {
      JSON.parse(text);
    } catch {
      isJson = false;
    }
    expect(mistake === null).toBe(isJson);
  });
});

describe("curlOf", () => {
  it("is what a shell passes on unchanged, without what the hub added", () => {
    const text = '{"event_type":"it\'s","source_service":"cm","data":{"n":1.10},"timestamp":1,"correlation_id":"c","id":"x","seq":4,"epoch":"k3mzq7aa"}';
    expect(curlOf(text, "http://h:1")).toBe(`curl 'http://h:1/events' -d '{"event_type":"it'\\''s","source_service":"cm","data":{"n":1.10}}'`);
  });
});
