/*
 * json_text: JSON as text. Numbers stay as they were written (a big integer would lose digits on its way through a
 * JavaScript number), so an event is shown with exactly the values that its publisher sent.
 */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

function kindOf(token, next) {
  if (token[0] === '"') return next === ':' ? 'key' : 'string';
  return /^[-\d]/.test(token) ? 'number' : 'word';
}

/* Appends the text with line breaks, indents and one span for each value to the element. */
export function showJson(element, text) {
  const tokens = text.match(TOKEN) ?? [];
  const fragment = document.createDocumentFragment();
  let depth = 0;
  const newline = () => fragment.append('\n' + '  '.repeat(depth));

  tokens.forEach((token, i) => {
    const next = tokens[i + 1];
    if (token === '{' || token === '[') {
      fragment.append(token);
      depth++;
      if (next !== '}' && next !== ']') newline();
    } else if (token === '}' || token === ']') {
      depth--;
      if (tokens[i - 1] !== '{' && tokens[i - 1] !== '[') newline();
      fragment.append(token);
    } else if (token === ',') {
      fragment.append(token);
      newline();
    } else if (token === ':') {
      fragment.append(': ');
    } else {
      const span = document.createElement('span');
      span.className = `json-${kindOf(token, next)}`;
      span.textContent = token;
      fragment.append(span);
    }
  });
  element.append(fragment);
}

const HEAD = /^\{"event_type":"(?:[^"\\]|\\.)*","source_service":"(?:[^"\\]|\\.)*","data":/;

/* The first characters of "data" in an event's line; its fields have a fixed order. */
export function dataPreview(line, length) {
  const head = HEAD.exec(line);
  if (!head) return '';
  const rest = line.slice(head[0].length, head[0].length + length);
  const end = rest.indexOf(',"timestamp":');
  return end < 0 ? rest + '…' : rest.slice(0, end);
}

/* null when the text is JSON, else what is wrong with it. */
export function jsonMistake(text) {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return error.message.replace(/^JSON\.parse: /, '');
  }
}
