/*
 * json: lays JSON out over lines without reading its values: numbers of any size and strings stay the
 * bytes that came, which JSON.parse and JSON.stringify would not keep.
 */
export function layOut(text) {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g) ?? [];
  let out = "";
  let depth = 0;
  const newLine = () => "\n" + "  ".repeat(depth);
  tokens.forEach((token, i) => {
    const next = tokens[i + 1];
    if (token === "{" || token === "[") {
      out += token;
      if (next !== "}" && next !== "]") {
        depth++;
        out += newLine();
      }
    } else if (token === "}" || token === "]") {
      const before = tokens[i - 1];
      if (before !== "{" && before !== "[") {
        depth = Math.max(0, depth - 1);
        out += newLine();
      }
      out += token;
    } else if (token === ",") {
      out += "," + newLine();
    } else {
      out += token === ":" ? ": " : token;
    }
  });
  return out;
}

/* The text of a member of the outermost object as it stands there, "" when there is none. */
export function memberText(text, name) {
  const pattern = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g;
  let depth = 0;
  let key = null;
  let start = -1;
  for (let m = pattern.exec(text); m; m = pattern.exec(text)) {
    const token = m[0];
    if (depth === 1 && start >= 0 && (token === "," || token === "}")) {
      return text.slice(start, m.index).trim();
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
