/*
 * json: lays JSON out over lines without reading its values: numbers of any size and strings stay the bytes that came,
 * which JSON.parse and JSON.stringify would not keep.
 */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g;

export type Kind = "key" | "string" | "number" | "word" | "mark";
export interface Token {
  kind: Kind;
  text: string;
}

function kindOf(token: string, next: string | undefined): Kind {
  if (token[0] === '"') {
    return next === ":" ? "key" : "string";
  }
  return /^[{}[\]:,]/.test(token) ? "mark" : /^-?\d/.test(token) ? "number" : "word";
}

/** The text over several lines, as tokens with their kinds; blanks and line ends belong to the marks. */
export function tokensOf(text: string): Token[] {
  const tokens = text.match(TOKEN) ?? [];
  const out: Token[] = [];
  let depth = 0;
  const newLine = () => `\n${"  ".repeat(depth)}`;
  tokens.forEach((token, i) => {
    const before = tokens[i - 1];
    const next = tokens[i + 1];
    let shown = token;
    if ((token === "{" || token === "[") && next !== "}" && next !== "]") {
      depth++;
      shown = token + newLine();
    } else if ((token === "}" || token === "]") && before !== "{" && before !== "[") {
      depth = Math.max(0, depth - 1);
      shown = newLine() + token;
    } else if (token === ",") {
      shown = `,${newLine()}`;
    } else if (token === ":") {
      shown = ": ";
    }
    out.push({ kind: kindOf(token, next), text: shown });
  });
  return out;
}

export function layOut(text: string): string {
  return tokensOf(text)
    .map((token) => token.text)
    .join("");
}

/** The text of a member of the outermost object as it stands there, "" when there is none. */
export function memberText(text: string, name: string): string {
  const pattern = new RegExp(TOKEN);
  let depth = 0;
  let key: string | null = null;
  let start = -1;
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const token = match[0];
    if (depth === 1 && start >= 0 && (token === "," || token === "}")) {
      return text.slice(start, match.index).trim();
    }
    if (depth === 1 && token === ":" && key === name) {
      start = pattern.lastIndex;
    }
    if (token === "{" || token === "[") {
      depth++;
    } else if (token === "}" || token === "]") {
      depth--;
    } else if (depth === 1 && start < 0 && token[0] === '"') {
      key = token.slice(1, -1);
    }
  }
  return "";
}

/** The texts of the elements of an array. */
export function elementTexts(text: string): string[] {
  const pattern = new RegExp(TOKEN);
  const elements: string[] = [];
  let depth = 0;
  let start = 0;
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const token = match[0];
    const isEnd = depth === 1 && (token === "," || token === "]");
    if (isEnd) {
      const element = text.slice(start, match.index).trim();
      element && elements.push(element);
    }
    if (token === "{" || token === "[") {
      depth++;
    } else if (token === "}" || token === "]") {
      depth--;
    }
    if (isEnd || (depth === 1 && token === "[" && elements.length === 0 && start === 0)) {
      start = pattern.lastIndex;
    }
  }
  return elements;
}
