/*
 * event_list: the newest events on top, at most 200 of them and 16 MiB of text.
 *
 * Events wait in a queue with the same limits until the next frame, so a burst costs one change of the page, and a page
 * that nobody sees or that is paused costs a bounded amount of memory. What leaves the queue unseen is counted and told.
 */
import { dataPreview, showJson } from './json_text.js';

const MAX_ROWS = 200;
const MAX_CHARS = 16 * 1024 * 1024;
const PREVIEW_CHARS = 160;

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });

function timeText(timestamp) {
  const date = new Date(timestamp * 1000);
  if (Number.isNaN(date.getTime())) return '–';
  return `${TIME.format(date)}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

function cell(kind, text, title) {
  const span = document.createElement('span');
  span.className = kind;
  span.textContent = text;
  if (title) span.title = title;
  return span;
}

function eventRow({ line, position }) {
  const event = JSON.parse(line);
  const details = document.createElement('details');
  const summary = document.createElement('summary');

  summary.append(cell('time', timeText(event.timestamp)),
    cell('type', event.event_type, event.event_type),
    cell('from', event.source_service, event.source_service),
    cell('data', dataPreview(line, PREVIEW_CHARS)),
    cell('seq', `#${event.seq}`, position));
  details.append(summary);
  details.addEventListener('toggle', () => {
    if (details.open && !details.querySelector('pre')) {
      const pre = document.createElement('pre');
      pre.tabIndex = 0;
      showJson(pre, line);
      details.append(pre);
    }
  });
  return details;
}

function noticeRow({ kind, text }) {
  const p = document.createElement('p');
  p.className = `notice ${kind}`;
  p.textContent = text;
  return p;
}

export class EventList {
  #list;
  #changed;
  #queue = [];
  #queueChars = 0;
  #skipped = 0;
  #rowChars = 0;
  #isPaused = false;
  #frame = 0;

  /* changed(rows, waiting) is called after each change. */
  constructor(list, changed) {
    this.#list = list;
    this.#changed = changed;
  }

  addEvent(line, position) {
    this.#add({ line, position, size: line.length });
  }

  /* kind: "info" or "warning". */
  addNotice(kind, text) {
    this.#add({ kind, text, size: text.length });
  }

  clear() {
    this.#queue = [];
    this.#queueChars = 0;
    this.#skipped = 0;
    this.#rowChars = 0;
    this.#list.replaceChildren();
    this.#tell();
  }

  set paused(isPaused) {
    this.#isPaused = isPaused;
    this.#schedule();
    this.#tell();
  }

  #add(item) {
    this.#queue.push(item);
    this.#queueChars += item.size;
    while (this.#queue.length > MAX_ROWS || (this.#queueChars > MAX_CHARS && this.#queue.length > 1)) {
      this.#queueChars -= this.#queue.shift().size;
      this.#skipped++;
    }
    if (this.#isPaused) this.#tell();
    this.#schedule();
  }

  #schedule() {
    if (this.#frame === 0 && !this.#isPaused) {
      this.#frame = requestAnimationFrame(() => this.#flush());
    }
  }

  #flush() {
    this.#frame = 0;
    if (this.#isPaused) return;
    const fragment = document.createDocumentFragment();
    if (this.#skipped > 0) {
      const text = `${this.#skipped} older rows went by without being shown here`;
      this.#queue.unshift({ kind: 'info', text, size: text.length });
    }
    for (const item of this.#queue) fragment.prepend(this.#row(item));
    this.#queue = [];
    this.#queueChars = 0;
    this.#skipped = 0;
    this.#list.prepend(fragment);
    this.#trim();
    this.#tell();
  }

  #row(item) {
    const row = document.createElement('li');
    row.append(item.line === undefined ? noticeRow(item) : eventRow(item));
    row.size = item.size;
    this.#rowChars += item.size;
    return row;
  }

  /* A row that is open or has the focus stays: somebody reads it. */
  #trim() {
    let row = this.#list.lastElementChild;
    while (row && (this.#list.childElementCount > MAX_ROWS || this.#rowChars > MAX_CHARS)) {
      const above = row.previousElementSibling;
      if (!row.firstElementChild.open && !row.contains(document.activeElement)) {
        this.#rowChars -= row.size;
        row.remove();
      }
      row = above;
    }
  }

  #tell() {
    this.#changed(this.#list.childElementCount, this.#queue.length + this.#skipped);
  }
}
