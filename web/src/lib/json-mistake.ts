/*
 * json-mistake: where a text stops being JSON, and what was expected there. Browsers tell the one or the other, each in
 * its own words.
 */
export interface JsonMistake {
  message: string;
  line: number; /* from 1 */
  column: number; /* from 1 */
}

class Stop extends Error {}

const NUMBER = /-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const STRING = /"([^"\\\u0000-\u001f]|\\(["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORD = /[A-Za-z_]+/y;
const DEEPEST = 512; /* of the hub's own limit */

class Reader {
  at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get #next(): string {
    return this.#text[this.at] ?? "";
  }

  blanks(): void {
    while (" \t\n\r".includes(this.#next || "x")) {
      this.at++;
    }
  }

  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#text)?.[0] ?? null;
    this.at += found?.length ?? 0;
    return found;
  }

  #stop(expected: string): never {
    throw new Stop(this.at >= this.#text.length ? `${expected} is expected, but this is the end` : `${expected} is expected`);
  }

  #string(what: string): void {
    if (this.#take(STRING) === null) {
      if (this.#next !== '"') {
        this.#stop(what);
      }
      throw new Stop("this string has no end on its line, or a bad escape");
    }
  }

  value(depth = 0): void {
    this.blanks();
    const next = this.#next;
    if (depth > DEEPEST) {
      throw new Stop(`more than ${DEEPEST} levels`);
    }
    if (next === "{" || next === "[") {
      this.#list(next, depth);
    } else if (next === '"') {
      this.#string("a string");
    } else if (next === "'") {
      throw new Stop('strings stand between double quotes (")');
    } else if (/[A-Za-z_]/.test(next)) {
      this.#word();
    } else if (next === "" || this.#take(NUMBER) === null) {
      this.#stop("a value");
    } else if (/[\d.]/.test(this.#next)) {
      throw new Stop("this is no number");
    }
  }

  #word(): void {
    const start = this.at;
    const word = this.#take(WORD);
    if (word !== "true" && word !== "false" && word !== "null") {
      this.at = start;
      throw new Stop(word === "NaN" || word === "Infinity" ? `${word} is not taken over HTTP and WebSocket` : `“${word}” is no value; is it a string without quotes?`);
    }
  }

  #list(open: string, depth: number): void {
    const close = open === "{" ? "}" : "]";
    this.at++;
    this.blanks();
    if (this.#next === close) {
      this.at++;
      return;
    }
    for (;;) {
      this.blanks();
      if (open === "{") {
        this.#string(`a name ("…")`);
        this.blanks();
        if (this.#next !== ":") {
          this.#stop("a colon");
        }
        this.at++;
      }
      this.value(depth + 1);
      this.blanks();
      if (this.#next === close) {
        this.at++;
        return;
      }
      if (this.#next !== ",") {
        this.#stop(`a comma or ${close}`);
      }
      this.at++;
    }
  }
}

/** What is wrong with the text, or null. */
export function mistakeIn(text: string): JsonMistake | null {
  const reader = new Reader(text);
  try {
    reader.value();
    reader.blanks();
    if (reader.at === text.length) {
      return null;
    }
    throw new Stop("nothing more is expected behind the value");
  } catch (stop) {
    if (!(stop instanceof Stop)) {
      throw stop;
    }
    const before = text.slice(0, reader.at);
    return { message: stop.message, line: before.split("\n").length, column: before.length - before.lastIndexOf("\n") };
  }
}
