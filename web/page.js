/*
 * page: wires the stream of events, the numbers and the form together. Draws at most once a frame and
 * keeps at most MAX_ROWS events and MAX_CHARS of their text, however many arrive.
 */
import { EventStream } from "./stream.js";
import { layOut, memberText } from "./json.js";

const MAX_ROWS = 300;
const MAX_CHARS = 16 * 1024 * 1024;
const RECENT = 100; /* numbers before now with which the list begins: an empty page tells nothing */
const STATS_MS = 2000;
const SPARK_POINTS = 60;

const $ = (id) => document.getElementById(id);
const number = (n) => (typeof n === "number" ? n.toLocaleString("en-US") : "–");
const sum = (object) => Object.values(object ?? {}).reduce((a, b) => a + (typeof b === "object" ? sum(b) : b), 0);

/* --- live events ------------------------------------------------------------------------------ */

let pending = []; /* arrived since the last frame, oldest first */
let pendingChars = 0;
let listChars = 0;
let skipped = 0; /* arrived within one frame beyond the limits: counted, not drawn */
let total = 0;
let paused = false;
let frame = 0;

function makeRow(item) {
  const row = $("row").content.firstElementChild.cloneNode(true);
  row.chars = 0;
  if (item.notice) {
    row.className = "notice";
    row.textContent = item.notice;
    return row;
  }
  const set = (selector, text) => (row.querySelector(selector).textContent = text);
  const event = JSON.parse(item.text);
  const when = new Date(event.timestamp * 1000);
  set(".seq", "#" + event.seq);
  set(".type", event.event_type);
  set(".source", event.source_service);
  set(".preview", memberText(item.text, "data").slice(0, 200));
  if (!Number.isNaN(when.getTime())) {
    set("time", when.toLocaleTimeString());
    row.querySelector("time").dateTime = when.toISOString();
    row.querySelector("time").title = when.toISOString();
  }
  row.dataset.seq = event.seq;
  row.chars = item.text.length;
  listChars += row.chars;
  /* Laid out when somebody looks: most rows are never opened. */
  row.querySelector("details").addEventListener("toggle", () => set(".json", layOut(item.text)), { once: true });
  return row;
}

function draw() {
  frame = 0;
  if (paused) {
    return;
  }
  const list = $("list");
  const rows = document.createDocumentFragment();
  for (const item of pending.reverse()) {
    rows.append(makeRow(item));
  }
  pending = [];
  pendingChars = 0;
  if (skipped > 0) {
    rows.append(makeRow({ notice: `${number(skipped)} events passed too fast to be shown here` }));
    skipped = 0;
  }
  list.prepend(rows);
  trim(list);
  $("count").textContent = number(total);
  $("empty").hidden = list.childElementCount > 0;
}

/* The oldest rows go; one that is open or has the focus stays, because somebody reads it. */
function trim(list) {
  let row = list.lastElementChild;
  while (row && (list.childElementCount > MAX_ROWS || listChars > MAX_CHARS)) {
    const newer = row.previousElementSibling;
    if (!row.querySelector("details[open]") && !row.contains(document.activeElement)) {
      listChars -= row.chars;
      row.remove();
    }
    row = newer;
  }
}

function clearList() {
  $("list").replaceChildren();
  pending = [];
  pendingChars = listChars = skipped = total = 0;
  $("count").textContent = "0";
  $("empty").hidden = false;
}

function add(item) {
  pending.push(item);
  pendingChars += item.text?.length ?? 0;
  while (pending.length > MAX_ROWS || (pendingChars > MAX_CHARS && pending.length > 1)) {
    pendingChars -= pending.shift().text?.length ?? 0;
    skipped++;
  }
  if (!paused && !frame) {
    frame = requestAnimationFrame(draw);
  }
  if (paused) {
    $("pause").textContent = `Resume (${number(pending.length + skipped)})`;
  }
}

/* A page in the background gets no frames; its list is drawn when it comes to the front again. */
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && pending.length > 0 && !frame) {
    frame = requestAnimationFrame(draw);
  }
});

const gapReasons = {
  retention: "they are older than what is kept",
  unclean_stop: "the hub ended uncleanly",
  epoch_changed: "the hub started anew",
  not_stored: "they could not be stored",
  slow: "this page was too slow",
};

const stateTexts = {
  connecting: () => "connecting",
  live: () => "live",
  lost: (position) => (position ? `connection lost, reconnecting from ${position}` : "connection lost, reconnecting"),
  refused: (why) => `refused: ${why}`,
};

function addGap(gap) {
  const why = gapReasons[gap.reason] ?? gap.reason;
  add({ notice: `Gap: events behind ${gap.from} up to ${gap.to} are missing; ${why}` });
}

const stream = new EventStream({
  event(text) {
    total++;
    add({ text });
  },
  gap: addGap,
  /* At the start the page only asks for what is recent: nothing to tell. */
  resume(resume, isAgain) {
    if (!isAgain) {
      return;
    }
    if (resume.gap) {
      addGap(resume.gap);
    } else if (resume.result === "unknown") {
      add({ notice: "Connected again, but the hub does not know the last position: what was missed is not known" });
    } else if (resume.count > 0) {
      add({ notice: `Connected again: ${number(resume.count)} missed events came after all` });
    }
  },
  state(name, detail) {
    $("status").dataset.state = name;
    $("status-text").textContent = stateTexts[name](detail);
  },
});

const patternsOf = (text) => text.split(",").map((p) => p.trim()).filter((p) => p !== "");

$("filter").addEventListener("submit", (submit) => {
  submit.preventDefault();
  const patterns = patternsOf($("patterns").value);
  const query = new URLSearchParams(patterns.map((p) => ["event_type", p]));
  history.replaceState(null, "", query.size > 0 ? "?" + query : location.pathname);
  clearList();
  openRecent(patterns);
});

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  $("pause").textContent = paused ? "Resume" : "Pause";
  if (!paused) {
    draw();
  }
});

$("clear").addEventListener("click", clearList);

/* --- the numbers ------------------------------------------------------------------------------ */

const rates = [];

function drawSpark(rate) {
  rates.push(rate);
  if (rates.length > SPARK_POINTS) {
    rates.shift();
  }
  const top = Math.max(1, ...rates);
  const step = 120 / (SPARK_POINTS - 1);
  const left = 120 - (rates.length - 1) * step;
  const points = rates.map((r, i) => `${(left + i * step).toFixed(1)},${(30 - (r / top) * 26).toFixed(1)}`);
  $("spark-line").setAttribute("d", "M" + points.join("L"));
  $("spark-area").setAttribute("d", `M${left.toFixed(1)},32L${points.join("L")}L120,32Z`);
}

/* "http 3, ws 1" of an object, without the zeros. */
function parts(object) {
  return Object.entries(object ?? {})
    .map(([name, value]) => [name, typeof value === "object" ? sum(value) : value])
    .filter(([, value]) => value > 0)
    .map(([name, value]) => `${name} ${number(value)}`)
    .join(", ");
}

function showStats({ gateway, hub, hub_missing: missing }) {
  const link = gateway.link;
  const rate = gateway.rates_per_s?.events_in ?? 0;
  const native = hub?.subscriptions?.now;
  const dropped = sum(gateway.dropped);

  $("rate-detail").textContent = `${number(hub?.events_received ?? gateway.events.in_total)} received by the ${hub ? "hub" : "gateway"}`;
  $("rate").textContent = rate.toLocaleString("en-US", { maximumFractionDigits: rate < 10 ? 1 : 0 });
  drawSpark(rate);
  $("seq").textContent = number(Math.max(link.seq, link.received_seq ?? 0));
  $("epoch").textContent = link.epoch ? `epoch ${link.epoch}` : "";
  $("link").textContent = link.connected ? (link.caught_up ? "up" : "catching up") : "down";
  $("link").dataset.tone = link.connected ? (link.caught_up ? "good" : "warn") : "bad";
  $("link-detail").textContent = link.connected ? `${number(link.in_flight ?? 0)} publishes under way` : link.reason;
  $("subscribers").textContent = number(sum(gateway.subscribers));
  $("subscribers-detail").textContent =
    [parts(gateway.subscribers), native === undefined ? "" : `ZeroMQ ${number(native)}`].filter(Boolean).join(", ");
  $("delivered").textContent = number(sum(gateway.delivered_total));
  $("delivered-detail").textContent = dropped > 0 ? `${number(dropped)} dropped for slow readers` : "none dropped";
  $("rejected").textContent = number(sum(gateway.rejected) + (hub?.rejected_total ?? 0));
  $("rejected-detail").textContent = parts({ ...gateway.rejected, hub: hub?.rejected_total ?? 0 }) || "none";
  if (!link.connected) {
    banner(`The gateway has no link to its hub: nothing can be published, and nothing new arrives (${steady(link.reason) || missing}).`);
  } else if (gateway.draining) {
    banner("This gateway is going away; the page will connect again by itself.");
  } else if (!link.caught_up) {
    banner(`The gateway is not ready: ${steady(link.reason)}.`);
  } else {
    banner("");
  }
}

/* A reason without its age: the banner is read aloud whenever it changes. */
function steady(reason) {
  return reason.replace(/ for [\d.]+ s\b/, "");
}

function banner(text) {
  $("banner").hidden = text === "";
  if ($("banner").textContent !== text) {
    $("banner").textContent = text;
  }
}

/* The answer, or null when there is none. */
async function askStats() {
  try {
    const answer = await fetch("stats", { signal: AbortSignal.timeout(5000) });
    if (!answer.ok) {
      throw new Error(`HTTP ${answer.status}`);
    }
    const stats = await answer.json();
    showStats(stats);
    $("numbers").classList.remove("old");
    return stats;
  } catch {
    $("numbers").classList.add("old"); /* the status above says that the connection is lost */
    return null;
  }
}

async function pollStats() {
  if (!document.hidden) {
    await askStats();
  }
  setTimeout(pollStats, STATS_MS);
}

let opening = 0;

/* The stream, beginning a little before now as far as events are kept. */
async function openRecent(patterns) {
  const turn = ++opening;
  stream.close();
  const link = (await askStats())?.gateway.link;
  if (turn === opening) {
    const seq = link?.epoch ? Math.max(link.received_seq - RECENT, link.oldest_seq - 1, 0) : 0;
    stream.open(patterns, link?.epoch ? `${link.epoch}-${seq}` : "");
  }
}

/* --- publishing ------------------------------------------------------------------------------- */

function fieldError(id, text) {
  $(id + "-error").hidden = text === "";
  $(id + "-error").textContent = text;
  $(id).setAttribute("aria-invalid", String(text !== ""));
  return text === "";
}

function checkType() {
  const value = $("event-type").value.trim();
  const bytes = new TextEncoder().encode(value).length;
  if (bytes === 0) {
    return fieldError("event-type", "An event needs a type.");
  }
  if (bytes > 255) {
    return fieldError("event-type", `At most 255 bytes; these are ${bytes}.`);
  }
  if (value.startsWith("hub.")) {
    return fieldError("event-type", "Types that begin with hub. are the hub's own.");
  }
  return fieldError("event-type", "");
}

function checkData() {
  try {
    JSON.parse($("data").value.trim() || "{}");
    return fieldError("data", "");
  } catch (error) {
    return fieldError("data", `Not JSON: ${error.message}`);
  }
}

/* The event as text: what was typed as data goes out byte for byte. */
function eventText() {
  const members = [`"event_type":${JSON.stringify($("event-type").value.trim())}`];
  for (const [id, name] of [["source", "source_service"], ["id", "id"], ["kind", "kind"]]) {
    if ($(id).value !== "") {
      members.push(`"${name}":${JSON.stringify($(id).value)}`);
    }
  }
  members.push(`"data":${$("data").value.trim() || "{}"}`);
  return `{${members.join(",")}}`;
}

function showAnswer(tone, title, text, body) {
  $("answer").hidden = false;
  $("answer").dataset.tone = tone;
  $("answer-title").textContent = title;
  $("answer-text").textContent = text;
  $("answer-body").textContent = body;
}

$("publish").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const good = [checkType(), checkData()];
  if (good.includes(false)) {
    $(good[0] ? "data" : "event-type").focus();
    return;
  }
  $("send").disabled = true;
  const started = performance.now();
  try {
    const answer = await fetch("events", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: eventText(),
      signal: AbortSignal.timeout(15000),
    });
    const took = `${Math.round(performance.now() - started)} ms`;
    const text = await answer.text();
    if (answer.ok) {
      const value = JSON.parse(text);
      showAnswer("good", value.duplicate ? `Already there as event ${number(value.seq)}` : `Accepted as event ${number(value.seq)}`,
        `kept in: ${value.durability}, after ${took}`, layOut(text));
    } else {
      let problem = {};
      try {
        problem = JSON.parse(text);
      } catch {
        /* not from us: a proxy in between */
      }
      showAnswer("bad", `Refused: ${problem.title ?? answer.statusText} (${answer.status})`, problem.detail ?? "", layOut(text));
    }
  } catch (error) {
    showAnswer("bad", "No answer", `It is not known whether the event was accepted (${error.message}).`, "");
  } finally {
    $("send").disabled = false;
  }
});
/* Complaints come with the first try to send and go as soon as they are met. None appears when a field is left: it would
 * move the button away from under the pointer that is about to press it. */
for (const [id, check] of [["event-type", checkType], ["data", checkData]]) {
  $(id).addEventListener("input", () => $(id).getAttribute("aria-invalid") === "true" && check());
}

/* --- start ------------------------------------------------------------------------------------ */

$("example").textContent = `curl ${location.host}/events -d '{"event_type":"hello","data":{}}'`;
const asked = new URLSearchParams(location.search).getAll("event_type");
$("patterns").value = asked.join(", ");
openRecent(asked);
setTimeout(pollStats, STATS_MS);
