/*
 * Patterns match as the gateway matches; the cases are those of its own tests.
 */
import { describe, expect, it } from "vitest";
import { matcherOf } from "../src/index.js";

const cases: [pattern: string, type: string, matches: boolean][] = [
  ["a", "a", true], ["a", "A", false], ["a", "ab", false],
  ["*", "", true], ["*", "a:b.c/d", true], ["*", "hub.gap", false], ["hub.*", "hub.gap", true], ["hub.gap", "hub.gap", true], ["h*", "hub.gap", false],
  ["a*", "a", true], ["a*c", "abc", true], ["a*c", "abcd", false], ["*b*", "abc", true], ["a*b*c", "aXbYc", true], ["a*b*c", "aXcYb", false],
  ["?", "a", true], ["?", "", false], ["?", "ab", false], ["?", "é", true], ["?", "😀", true], ["a?c", "abc", true],
  ["[abc]", "b", true], ["[abc]", "d", false], ["[a-c]", "b", true], ["[c-a]", "b", false], ["[!a]", "b", true], ["[!a]", "a", false], ["[!a]", "", false],
  ["[]a]", "]", true], ["[]a]", "a", true], ["[!]a]", "b", true], ["[!]a]", "]", false], ["[a-]", "-", true], ["[-a]", "-", true],
  ["[a", "[a", true], ["[", "[", true], ["a[", "a[", true], ["[!", "[!", true], ["x[a*", "x[abc", true],
  ["[ä-ü]", "ö", true], ["new_[0-9][0-9]", "new_42", true], ["a.b", "aXb", false], ["a+", "aa", false], ["(a)", "(a)", true],
];

describe("a pattern", () => {
  it.each(cases)("%s on %s: %s", (pattern, type, matches) => {
    expect(matcherOf(pattern)(type)).toBe(matches);
  });

  it("never tries everything", () => {
    expect(matcherOf(`${"*a".repeat(100)}b`)("a".repeat(255))).toBe(false); /* with exponential work it would not end */
  });
});
