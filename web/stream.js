/*
 * stream: one EventSource on /events that is always there. Keeps the last position, so that a new
 * connection goes on where the old one ended, and tells its owner the state: connecting, live, lost.
 *
 * The browser itself comes back after a broken connection; after an answer that is no stream (a gateway
 * that is going away says 503) it gives up for good, so then a new EventSource is made, later and later.
 */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10000;

export class EventStream {
  /* handlers: event(text, position), gap(value), resume(value), state(name, position) */
  constructor(handlers) {
    this.handlers = handlers;
    this.patterns = [];
    this.position = "";
    this.wait = FIRST_WAIT_MS;
    this.source = null;
    this.timer = 0;
  }

  /* Opens (again) with these patterns, from now on. */
  open(patterns) {
    this.patterns = patterns;
    this.position = "";
    this.wait = FIRST_WAIT_MS;
    this.handlers.state("connecting", "");
    this.connect();
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  connect() {
    this.close();
    const query = new URLSearchParams(this.patterns.map((p) => ["event_type", p]));
    if (this.position) {
      query.set("lastEventId", this.position);
    }
    const source = new EventSource("events/stream" + (query.size > 0 ? "?" + query : ""));
    this.source = source;
    source.onopen = () => {
      this.wait = FIRST_WAIT_MS;
      this.handlers.state("live", this.position);
    };
    source.onmessage = (message) => {
      this.position = message.lastEventId || this.position;
      this.handlers.event(message.data, this.position);
    };
    for (const name of ["gap", "resume"]) {
      source.addEventListener("hub." + name, (message) => {
        this.position = message.lastEventId || this.position;
        this.handlers[name](JSON.parse(message.data));
      });
    }
    source.onerror = () => {
      this.handlers.state("lost", this.position);
      if (source.readyState === EventSource.CLOSED) {
        this.timer = setTimeout(() => this.connect(), this.wait * (0.75 + Math.random() / 2));
        this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
      }
    };
  }
}
