/*
 * stream: one EventSource on /events that is always there. Keeps the last position, so that a new
 * connection goes on where the old one ended, and tells its owner the state: connecting, live, lost.
 *
 * The browser itself comes back after a broken connection; after an answer that is no stream (a gateway
 * that is going away says 503) it gives up for good, so then a new EventSource is made, later and later.
 * A request that the gateway refuses as wrong (4xx) is not repeated: the state is refused, with the reason.
 */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10000;

export class EventStream {
  /* handlers: event(text, position), gap(value), resume(value, isAgain), state(name, detail). isAgain: after a lost
   * connection, not at the start. detail: the position, for refused the reason. */
  constructor(handlers) {
    this.handlers = handlers;
    this.patterns = [];
    this.position = "";
    this.wait = FIRST_WAIT_MS;
    this.wasLive = false;
    this.source = null;
    this.timer = 0;
  }

  /* Opens (again) with these patterns, behind this position; "" = from now on. */
  open(patterns, position) {
    this.patterns = patterns;
    this.position = position;
    this.wait = FIRST_WAIT_MS;
    this.wasLive = false;
    this.handlers.state("connecting", "");
    this.connect();
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  address() {
    const query = new URLSearchParams(this.patterns.map((p) => ["event_type", p]));
    if (this.position) {
      query.set("lastEventId", this.position);
    }
    return "events/stream" + (query.size > 0 ? "?" + query : "");
  }

  connect() {
    this.close();
    const source = new EventSource(this.address());
    let isAgain = this.wasLive;
    this.source = source;
    source.onopen = () => {
      isAgain = this.wasLive;
      this.wasLive = true;
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
        this.handlers[name](JSON.parse(message.data), isAgain);
      });
    }
    source.onerror = () => {
      this.handlers.state("lost", this.position);
      if (source.readyState === EventSource.CLOSED) {
        this.gaveUp(source);
      }
    };
  }

  async gaveUp(source) {
    const refusal = await this.refusal();
    if (this.source !== source) {
      return; /* opened with other patterns meanwhile */
    }
    if (refusal) {
      this.handlers.state("refused", refusal);
      return;
    }
    this.timer = setTimeout(() => this.connect(), this.wait * (0.75 + Math.random() / 2));
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
  }

  /* What is wrong with the request, which an EventSource does not tell; "" when it may well succeed later. */
  async refusal() {
    const abort = new AbortController();
    try {
      const answer = await fetch(this.address(), { signal: abort.signal });
      if (answer.status < 400 || answer.status >= 500) {
        return "";
      }
      return (await answer.json()).detail ?? answer.statusText;
    } catch {
      return "";
    } finally {
      abort.abort();
    }
  }
}
