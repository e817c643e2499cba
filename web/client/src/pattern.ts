/*
 * pattern: which types a pattern matches, by the gateway's own rules: `*` any run, `?` one character, `[abc]`, `[a-z]`,
 * `[!a]` one character of a set; the whole type, case counts; a `[` without an end is a character.
 *
 * Matching has one point of return: behind a second `*` the first never needs another try. So no pattern is slow.
 */
type One = (character: string) => boolean;
const RUN = null; /* what a * becomes */

/** The set that begins at `at` (a `[`); null when it has no end, and is a character then. */
function setAt(pattern: readonly string[], at: number): { one: One; next: number } | null {
  const isNegated = pattern[at + 1] === "!";
  let from = at + (isNegated ? 2 : 1);
  const end = pattern.indexOf("]", from + 1); /* a ] that comes first belongs to the set */
  if (end < 0) {
    return null;
  }
  const ranges: [string, string][] = [];
  while (from < end) {
    const isRange = pattern[from + 1] === "-" && from + 2 < end;
    ranges.push([pattern[from]!, pattern[isRange ? from + 2 : from]!]);
    from += isRange ? 3 : 1;
  }
  const code = (character: string) => character.codePointAt(0)!;
  const has: One = (c) => ranges.some(([low, high]) => code(low) <= code(c) && code(c) <= code(high));
  return { one: (c) => has(c) !== isNegated, next: end + 1 };
}

function parse(text: string): (One | typeof RUN)[] {
  const pattern = [...text];
  const parts: (One | typeof RUN)[] = [];
  for (let at = 0; at < pattern.length; ) {
    const character = pattern[at]!;
    const set = character === "[" ? setAt(pattern, at) : null;
    parts.push(set ? set.one : character === "*" ? RUN : character === "?" ? () => true : (c) => c === character);
    at = set ? set.next : at + 1;
  }
  return parts;
}

/** A function that tells whether a type matches. The hub's own types come only to patterns that begin with `hub.`. */
export function matcherOf(pattern: string): (type: string) => boolean {
  if (!/[*?[]/.test(pattern)) {
    return (type) => type === pattern;
  }
  const parts = parse(pattern);
  const isForHub = pattern.startsWith("hub.");
  return (text) => {
    if (text.startsWith("hub.") && !isForHub) {
      return false;
    }
    const type = [...text];
    let p = 0;
    let t = 0;
    let run = -1; /* the last * */
    let runEnd = 0; /* where its run ends so far */
    while (t < type.length || p < parts.length) {
      const part = parts[p];
      if (part === RUN) {
        run = p++;
        runEnd = t;
      } else if (part !== undefined && t < type.length && part(type[t]!)) {
        p++;
        t++;
      } else if (run >= 0 && runEnd < type.length) {
        p = run + 1;
        t = ++runEnd;
      } else {
        return false;
      }
    }
    return true;
  };
}
