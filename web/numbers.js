/*
 * numbers: asks /stats every two seconds and shows the figures. While nobody sees the page nothing is asked.
 *
 * The listener gets the whole answer, or null when the gateway cannot be reached.
 */
const PERIOD_MS = 2000;
const TIMEOUT_MS = 5000;
const SPARK_POINTS = 60;

const byId = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat('en');
const sum = (object) => Object.values(object ?? {}).reduce((a, b) => a + b, 0);

function rateText(rate) {
  if (rate === undefined) return '';
  return `${rate >= 100 ? whole.format(Math.round(rate)) : rate.toFixed(1)}/s`;
}

function bytesText(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${bytes.toFixed(unit > 0 && bytes < 100 ? 1 : 0)} ${units[unit]}`;
}

function durationText(seconds) {
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const first = parts.findIndex(([size]) => seconds >= size);
  if (first < 0) return '0 s';
  const [size, unit] = parts[first];
  const rest = parts[first + 1];
  const text = `${Math.floor(seconds / size)} ${unit}`;
  return rest ? `${text} ${Math.floor((seconds % size) / rest[0])} ${rest[1]}` : text;
}

/* "slow 3, retention 1": the largest first; only what happened. */
function listText(object, none) {
  const entries = Object.entries(object).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  return entries.map(([name, n]) => `${name.replaceAll('_', ' ')} ${whole.format(n)}`).join(', ') || none;
}

function doorsText(doors, names) {
  return names.map((name) => `${{ http: 'HTTP', sse: 'SSE', ws: 'WebSocket' }[name]} ${whole.format(doors[name])}`).join(' · ');
}

class Spark {
  #line;
  #points = [];

  constructor(id) {
    this.#line = byId(id).firstElementChild;
  }

  add(value) {
    this.#points.push(value);
    if (this.#points.length > SPARK_POINTS) this.#points.shift();
    const top = Math.max(1, ...this.#points);
    const shift = SPARK_POINTS - this.#points.length;
    this.#line.setAttribute('points', this.#points.map((v, i) =>
      `${((i + shift) * 120 / (SPARK_POINTS - 1)).toFixed(1)},${(26 - v / top * 24).toFixed(1)}`).join(' '));
  }
}

/* Refusals of the gateway's doors and of the hub, by reason. */
function rejections(gateway, hub) {
  const all = {};
  for (const table of [...Object.values(gateway.rejected), hub?.rejected ?? {}]) {
    for (const [reason, n] of Object.entries(table)) all[reason] = (all[reason] ?? 0) + n;
  }
  return all;
}

export class Numbers {
  #listener;
  #in = new Spark('in-spark');
  #out = new Spark('out-spark');

  constructor(listener) {
    this.#listener = listener;
  }

  start() {
    this.#turn();
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.ask();
    });
  }

  async #turn() {
    if (!document.hidden) await this.ask();
    setTimeout(() => this.#turn(), PERIOD_MS);
  }

  async ask() {
    try {
      const answer = await fetch('stats', { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const stats = await answer.json();
      this.#show(stats.gateway, stats.hub);
      this.#listener(stats);
    } catch {
      this.#listener(null);
    }
  }

  #show(gateway, hub) {
    const text = (id, value) => {
      byId(id).textContent = value;
    };
    const inRate = hub ? hub.events_per_s : gateway.rates_per_s.events_in;
    const outRate = gateway.rates_per_s.delivered;
    const subscribers = gateway.subscribers;
    const refused = rejections(gateway, hub);

    text('in-total', whole.format(hub ? hub.events_received : gateway.events.in_total));
    text('in-rate', rateText(inRate));
    text('out-total', whole.format(sum(gateway.delivered_total)));
    text('out-rate', rateText(outRate));
    this.#in.add(inRate);
    this.#out.add(outRate);
    text('subscribers', whole.format(sum(subscribers)));
    text('subscribers-by', doorsText(subscribers, ['sse', 'ws']) +
      (hub ? ` · ZeroMQ subscriptions ${whole.format(hub.subscriptions.now)}` : ''));
    text('dropped', whole.format(sum(gateway.dropped)));
    text('dropped-by', listText(gateway.dropped, 'nothing was dropped'));
    text('rejected', whole.format(sum(refused)));
    text('rejected-by', listText(refused, 'nothing was refused'));
    this.#showFacts(gateway, hub, text);
  }

  #showFacts(gateway, hub, text) {
    const link = gateway.link;

    text('fact-position', link.epoch ? `${link.epoch}-${link.seq}` : 'not known yet');
    text('fact-ring', hub ? `${whole.format(hub.ring.events)} events, ${bytesText(hub.ring.bytes)}` : '–');
    text('fact-published', doorsText(gateway.published_total, ['http', 'ws']));
    text('fact-delivered', doorsText(gateway.delivered_total, ['sse', 'ws']));
    text('fact-gaps', `${whole.format(gateway.gaps_total)} gaps, ${whole.format(gateway.resumes_total)} resumes`);
    text('fact-gateway', `version ${gateway.version}, up ${durationText(gateway.uptime_s)}, ` +
      `${bytesText(gateway.memory.resident_bytes)}, ${whole.format(gateway.connections.open)} connections`);
  }
}
