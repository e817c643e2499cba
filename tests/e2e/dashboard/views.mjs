/*
 * views: overview, types, publish and clients.
 */
import assert from "node:assert/strict";
import { AWAY } from "./browser.mjs";
import { act, push } from "./stage.mjs";

const tile = (page, name) => page.$eval(`.tile:has(dt:text-is("${name}")) .figure`, (figure) => figure.textContent);

export async function the_overview_tells_figures_and_health({ page, open }) {
  await open();
  await page.waitForSelector(".health[aria-label=Hub] >> text=Up");
  await page.waitForSelector(".health[aria-label=Gateway] >> text=Ready");
  assert.match(await page.innerText(".health[aria-label=Hub]"), new RegExp(await act("epoch")));
  await act("start_rate", { per_s: 50, duration_s: 40, type: "n" });
  await page.waitForFunction(() => Number(document.querySelector(".tile .figure").textContent) > 5);
  assert.ok(await act("end_rate") > 5);
  assert.equal((await act("post", { path: "/events", body: "{nonsense" })).status, 400);
  await page.waitForFunction(() => [...document.querySelectorAll(".tile")].at(-1).querySelector(".figure").textContent === "1");
  assert.equal(await tile(page, "Subscribers"), "1"); // this page's own connection
  await page.waitForSelector(".legend >> text=bad_json");
  await page.waitForSelector(".chart canvas");
  assert.equal((await page.$$(".chart canvas")).length, 6);
  const beside = await page.$eval(".chart", (chart) => chart.querySelector("canvas").getBoundingClientRect().right - chart.querySelector(".u-over").getBoundingClientRect().right);
  assert.ok(beside >= 24, `${beside} pixels for the half of the last time`);
  await page.click("label:has-text('1 h')");
  await page.waitForSelector("input:checked + span:text-is('1 h')");
}

export async function the_overview_says_why_it_is_not_ready({ browser, page, open }) {
  await open();
  await page.waitForSelector("text=Ready");
  browser.expected.push(AWAY);
  await act("kill", { what: "hub" });
  await page.waitForSelector(".health[data-tone=bad] >> text=Not ready, because");
  await page.waitForSelector(".banner[data-tone=bad] >> text=Nothing can be published");
  await page.waitForSelector("#status[data-state=away]:has-text('the hub is away')");
  await page.waitForSelector(".tile:has-text('Lag') >> text=unknown");
  await page.waitForSelector(".chart[aria-label='Kept by the hub']");
  await page.waitForSelector(".chart[aria-label=Lag] .legend li:has-text('gateway behind hub') strong:text-is('–')"); // not the last number
  await page.waitForSelector(".chart[aria-label=Subscribers] .legend li:has-text('ZeroMQ') strong:text-is('–')");
  await act("start", { what: "hub" });
  await page.waitForSelector(".health[aria-label=Gateway] >> text=Ready");
  await page.waitForSelector(".banner", { state: "detached" });
}

export async function charts_show_after_a_reload_what_the_tab_knew({ page, open }) {
  await open();
  await page.waitForFunction(() => document.querySelector(".tile .figure")?.textContent === "0"); // a rate is made of two samples
  await page.waitForFunction((then) => Date.now() >= then + 1000, Date.now()); // the chart tells times in seconds
  await page.reload();
  await page.waitForSelector(".chart[aria-label=Lag] canvas");
  await page.hover(".chart[aria-label=Lag] .u-over", { position: { x: 2, y: 20 } }); // the oldest moment
  const shown = await page.waitForFunction(() => document.querySelector(".chart[aria-label=Lag] .chart-time").textContent);
  const [hours, minutes, seconds] = (await shown.jsonValue()).split(":").map(Number);
  const [loaded, day] = [await page.evaluate(() => (performance.timeOrigin / 1000) - new Date().getTimezoneOffset() * 60), 24 * 3600];
  const before = (((Math.floor(loaded) % day) - (hours * 60 + minutes) * 60 - seconds) + day) % day;
  assert.ok(before > 0 && before < day / 2, `${before} seconds before the page was loaded`);
}

export async function types_show_rate_value_and_publishers({ page, open }) {
  await act("push_text", { texts: [
    '{"event_type":"temperature","source_service":"probe-1","data":{"celsius":20.50,"n":1180591620717411303424}}',
    '{"event_type":"new_setup","source_service":"cm","data":{"setup_id":"0001234"}}',
    '{"event_type":"temperature","source_service":"probe-2","data":{"celsius":21.50,"n":1180591620717411303424}}'] });
  await open("#/types");
  const row = await page.waitForSelector("tr[data-type=temperature]");
  await page.waitForFunction(() => document.querySelector("tr[data-type=temperature] .value").textContent === '{"celsius":21.50,"n":1180591620717411303424}');
  assert.match(await row.innerText(), /probe-2, probe-1/);
  await page.click("tr[data-type=temperature] button.open");
  await page.waitForSelector(".newest .json:has-text('1180591620717411303424')");
  await page.click("th button:text-is('Type')");
  await page.waitForSelector("th[aria-sort=ascending]");
  assert.deepEqual(await page.$$eval("tr[data-type]", (all) => all.map((each) => each.dataset.type)), ["new_setup", "temperature"]);
  await page.fill("[aria-label='Filter by type or publisher']", "cm");
  await page.waitForFunction(() => document.querySelectorAll("tr[data-type]").length === 1);
  await page.fill("[aria-label='Filter by type or publisher']", "");
  await page.click("text=Watch live");
  await page.waitForSelector("main[data-view=live]");
  assert.equal(await page.inputValue("#patterns"), "temperature");
}

export async function the_form_publishes_and_shows_the_answer({ page, open }) {
  await open("#/publish");
  await page.waitForSelector("text=Nothing was sent yet");
  await page.fill("#publish-event_type", "from_form");
  await page.fill("#publish-data", '{"n": 123456789012345678901234567890, "text": "grüße"}');
  await page.click("#send");
  await page.waitForSelector("#answer:has-text('Event 1')");
  assert.match(await page.innerText("#answer"), /kept as\s+(memory|journaled|synced)/);
  const kept = await act("request", { method: "GET", path: "/events?since=earliest&event_type=from_form" });
  assert.match(kept.body, /\{"n": 123456789012345678901234567890, "text": "grüße"\}/);
  await page.click("[aria-label='Send from_form again']");
  await page.waitForSelector("#answer:has-text('Event 2')");
  await page.fill("#publish-data", "1");
  await page.click(".sent >> nth=1");
  assert.match(await page.inputValue("#publish-data"), /grüße/);
  await page.reload();
  await page.waitForSelector(".sent >> nth=1"); // the list outlives a reload
}

export async function an_event_under_way_hides_the_answer_before({ page, open }) {
  let held = null; // what the gateway said since it was held
  await page.routeWebSocket(/./, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((message) => (held ? held.push(() => socket.send(message)) : socket.send(message)));
  });
  await open("#/publish");
  await page.fill("#publish-event_type", "first");
  await page.click("#send");
  await page.waitForSelector("#answer:has-text('Event 1')");
  held = [];
  await page.click("#send");
  await page.waitForSelector(".answer:has-text('Waiting for')");
  assert.equal(await page.$("#answer"), null);
  const late = held;
  held = null;
  late.forEach((send) => send());
  await page.waitForSelector("#answer:has-text('Event 2')");
}

export async function the_form_says_what_is_wrong({ page, open }) {
  await open("#/publish");
  await page.fill("#publish-data", '{\n  "a": 1\n  "b": }');
  await page.waitForSelector("#publish-data-error:has-text('Line 3, column 3: a comma or }')");
  await page.click("#send");
  await page.waitForSelector("#publish-event_type-error:has-text('needs a type')");
  await page.waitForFunction(() => document.activeElement.id === "publish-event_type");
  await page.fill("#publish-event_type", "hub.mine");
  await page.waitForSelector("#publish-event_type-error:has-text('own')");
  await page.fill("#publish-event_type", "StatsEvent"); // only the hub knows that it is reserved
  await page.fill("#publish-data", "1");
  await page.press("#publish-data", "Control+Enter");
  await page.waitForSelector("#answer[data-tone=bad]:has-text('reserved_type')");
}

export async function an_event_with_an_id_is_published_once({ page, open }) {
  await open("#/publish?event_type=once");
  await page.click("summary");
  await page.fill("#publish-id", "x-1");
  await page.fill("#publish-metadata", "trace=abc");
  await page.selectOption("#publish-kind", "created");
  await page.click("#send");
  await page.waitForSelector("#answer:has-text('Event 1')");
  await page.click("#send");
  await page.waitForSelector("#answer:has-text('Was there already, as event 1')");
  const { body } = await act("request", { method: "GET", path: "/events?since=earliest" });
  assert.match(body, /"id":"x-1","kind":"created","metadata":\{"trace":"abc"\}/);
}

export async function clients_are_listed_and_disconnected({ browser, page, open }) {
  const other = await browser.page();
  await open("#/live?event_type=order.*", other);
  await push([1], { type: "order.created" });
  await other.waitForSelector(".row[data-seq='1']");
  await open("#/clients");
  const row = "tr[data-client]:has-text('order.*')";
  await page.waitForSelector(row);
  await page.waitForFunction(() => [...document.querySelectorAll("tr[data-client]")].some((each) => /order\.\*/.test(each.textContent) && /live/.test(each.textContent)));
  const before = await page.getAttribute(row, "data-client");
  await page.click(`${row} >> text=Disconnect`);
  await page.click("dialog[open] >> text=Disconnect, may come back");
  await other.waitForFunction(() => [...document.querySelectorAll(".row.notice")].some((each) => each.textContent.includes("Connected again")));
  await page.waitForSelector(`${row}:not([data-client='${before}'])`);
  await page.waitForSelector(`[data-client='${before}']`, { state: "detached" }); // the one that it was is not listed any more
  await page.click(`${row} >> text=Disconnect`);
  await page.click("dialog[open] button.danger");
  await other.waitForSelector("#status[data-state=refused]:has-text('closed by the operator')");
  await page.waitForSelector(row, { state: "detached" });
  await page.click("label:has-text('SSE')");
  await page.waitForSelector("text=Nobody is connected by this door");
}

export async function groups_are_listed_with_what_they_owe({ page, open }) {
  assert.equal((await act("request", { method: "PUT", path: "/groups/billing", body: { event_type: ["order.*"] } })).status, 201);
  await push([1, 2, 3], { type: "order.created" });
  const fetched = await act("request", { method: "POST", path: "/groups/billing/fetch?max=2&wait_ms=5000", body: {} });
  assert.equal(fetched.status, 200, fetched.body);
  await open("#/clients");
  await page.waitForSelector("tr[data-group=billing]");
  await page.waitForFunction(() => Number(document.querySelectorAll("tr[data-group=billing] .numeric")[1].textContent) >= 1);
  await page.click("tr[data-group=billing] button.open");
  await page.waitForSelector(".members >> text=http-127.0.0.1");
}
