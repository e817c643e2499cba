/*
 * live: the view of live events, from the first event to a gateway that is killed under the open page.
 */
import assert from "node:assert/strict";
import { AWAY, ms } from "./browser.mjs";
import { act, push } from "./stage.mjs";

/** The rows that are drawn: [number, type, preview]. */
const rows = (page) => page.$$eval(".row:not(.notice)", (all) => all
  .map((row) => [Number(row.dataset.seq), row.querySelector(".type").textContent, row.querySelector(".preview").textContent])
  .sort((a, b) => a[0] - b[0]));
const kept = (page, n) => page.waitForFunction((wanted) => document.querySelector("#shown").textContent === wanted, n.toLocaleString("en-US"));
const notice = (page, text) => page.waitForFunction((wanted) => [...document.querySelectorAll(".row.notice")].some((row) => row.textContent.includes(wanted)), text);

export async function events_appear_with_their_bytes({ page, open }) {
  await open("#/live");
  await page.waitForSelector("text=Nothing has come yet");
  await act("push_text", { texts: ['{"event_type":"big","source_service":"cm","data":{"n":1180591620717411303424,"f":1.10}}'] });
  await kept(page, 1);
  await act("post", { path: "/events", body: { event_type: "new_setup", data: { setup_id: "0001234" } } });
  await kept(page, 2);
  assert.deepEqual(await rows(page), [[1, "big", '{"n":1180591620717411303424,"f":1.10}'], [2, "new_setup", '{"setup_id": "0001234"}']]);
  await page.click(".row[data-seq='1']");
  const json = await page.innerText(".details .json");
  assert.match(json, /  "n": 1180591620717411303424,\n {4}"f": 1\.10/);
  await page.click("[data-copy='Copy as curl']");
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(copied, /^curl 'http:.*\/events' -d '\{"event_type":"big","source_service":"cm","data":\{"n":1180591620717411303424,"f":1\.10\}\}'$/);
  await page.keyboard.press("Escape");
  await page.waitForSelector(".details", { state: "detached" });
}

export async function patterns_are_asked_of_the_gateway_and_stay_in_the_address({ page, open }) {
  await open("#/live");
  await page.fill("#patterns", "order.*, new_setup");
  await page.press("#patterns", "Enter");
  await page.waitForFunction(() => location.hash === "#/live?event_type=order.*&event_type=new_setup");
  await page.waitForSelector("text=Nothing has come for these patterns yet");
  for (const type of ["order.created", "orders", "new_setup", "old_setup"]) {
    await push([1], { type });
  }
  await kept(page, 2);
  assert.deepEqual((await rows(page)).map((row) => row[1]), ["order.created", "new_setup"]);
  await page.reload();
  await kept(page, 2);
  assert.equal(await page.inputValue("#patterns"), "order.*, new_setup");
}

export async function a_text_filter_looks_at_what_is_there_and_what_comes({ page, open }) {
  await open("#/live");
  await push([{ fruit: "Apple" }, { fruit: "pear" }]);
  await kept(page, 2);
  await page.keyboard.press("/");
  await page.keyboard.type("APPLE");
  await kept(page, 1);
  await push([{ fruit: "plum" }, { fruit: "pineapple" }]);
  await kept(page, 2);
  assert.match(await page.innerText(".kept"), /2 of 4 match/);
  await page.fill("#filter", "nothing like it");
  await page.waitForSelector("text=Nothing on the page contains this text");
  await page.fill("#filter", "");
  await kept(page, 4);
}

export async function pausing_holds_the_list_and_loses_nothing({ page, open }) {
  await open("#/live");
  await push([0, 1, 2]);
  await kept(page, 3);
  await page.keyboard.press("p");
  await page.waitForSelector("[data-mode=paused]");
  await push([3, 4, 5, 6]);
  await page.waitForFunction(() => document.querySelector("#waiting").textContent === "4");
  assert.equal(await page.innerText("#shown"), "3");
  await page.click("#pause");
  await kept(page, 7);
  assert.deepEqual((await rows(page)).map((row) => row[2]), ["0", "1", "2", "3", "4", "5", "6"]);
}

export async function a_reader_who_scrolled_away_stays_where_he_is({ page, open }) {
  await open("#/live");
  await push(Array.from({ length: 200 }, (_, n) => n));
  await kept(page, 200);
  await page.hover(".list");
  await page.mouse.wheel(0, -2000);
  await page.waitForSelector("#follow[aria-pressed=false]");
  const first = await page.$eval(".list", (list) => new Promise((done) => { // the wheel may take some frames
    const look = (before) => requestAnimationFrame(() => requestAnimationFrame(() => (list.scrollTop === before ? done(before) : look(list.scrollTop))));
    look(NaN);
  }));
  await push(Array.from({ length: 300 }, (_, n) => n));
  await kept(page, 500);
  assert.equal(await page.$eval(".list", (list) => list.scrollTop), first);
  await page.keyboard.press("f");
  await page.waitForFunction(() => {
    const list = document.querySelector(".list");
    return list.scrollTop + list.clientHeight >= list.scrollHeight - 1;
  });
  assert.ok((await page.$$(".row")).length < 80, "only what is seen exists");
}

export async function a_row_can_be_clicked_while_events_come({ page, open }) {
  await open("#/live");
  await act("start_rate", { per_s: 400, duration_s: 40, type: "load" });
  await page.waitForFunction(() => document.querySelectorAll(".row").length > 20);
  const box = await (await page.waitForSelector(".list")).boundingBox();
  await page.mouse.move(box.x + 200, box.y + box.height / 2);
  await page.mouse.down();
  await page.waitForSelector("#follow[aria-pressed=false]");
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))); // what was under way comes through
  assert.equal(await page.getAttribute("#follow", "aria-pressed"), "false");
  const n = Number(await page.innerText("#total").then((text) => text.replace(",", "")));
  await page.waitForFunction((before) => Number(document.querySelector("#total").textContent.replace(",", "")) > before, n);
  await page.mouse.up();
  const seq = await (await page.waitForSelector(".details")).getAttribute("data-seq");
  const row = await (await page.waitForSelector(`.row[data-seq='${seq}'][aria-selected=true]`)).boundingBox();
  assert.ok(row.y <= box.y + box.height / 2 && box.y + box.height / 2 <= row.y + row.height, "the one that was pressed, and it stayed there");
  await act("end_rate");
}

export async function keys_walk_through_the_events({ page, open }) {
  await open("#/live");
  await push(["a", "b", "c"]);
  await kept(page, 3);
  await page.keyboard.press("k");
  await page.waitForSelector(".details[data-seq='3']");
  await page.keyboard.press("k");
  await page.waitForSelector(".details[data-seq='2']");
  await page.keyboard.press("j");
  await page.waitForSelector(".details[data-seq='3']");
  await page.keyboard.press("?");
  await page.waitForSelector("dialog[open] >> text=Follow the newest event");
  await page.keyboard.press("Escape");
  for (const [key, view] of [["1", "overview"], ["3", "types"], ["4", "publish"], ["5", "clients"], ["2", "live"]]) {
    await page.keyboard.press(key);
    await page.waitForSelector(`main[data-view=${view}]`);
  }
  await kept(page, 3); // the list outlives the visit to the other views
}

export async function a_trace_shows_the_way_of_a_correlation_id({ page, open }) {
  await push(["before the page"], { type: "order.created", correlation: "order-17" });
  await push(Array.from({ length: 150 }, (_, n) => n));
  await push(["later"], { type: "order.paid", correlation: "order-17", source: "billing" });
  await act("wait_received", { seq: 152 });
  await open("#/live?q=order-17");
  await kept(page, 1);
  await page.click(".row");
  await page.keyboard.press("t");
  await page.waitForSelector(".trace-state[data-state=done]");
  const steps = await page.$$eval(".trace-steps strong", (all) => all.map((step) => step.textContent));
  assert.deepEqual(steps, ["order.created", "order.paid"]);
}

export async function replay_goes_back_and_catches_up({ page, open }) {
  await push(Array.from({ length: 300 }, (_, n) => n));
  await act("wait_received", { seq: 300 });
  await open("#/live");
  await kept(page, 100);
  await page.keyboard.press("r");
  await page.fill("#jump-to", "250");
  await page.press("#jump-to", "Enter");
  await kept(page, 50);
  assert.equal((await rows(page))[0][0], 251);
  await page.waitForSelector("[data-mode=replay]", { state: "detached" }); // it has caught up, and is live again
  await push(["new"]);
  await kept(page, 51);
  await page.click("button:has-text('Replay')");
  await page.click("text=everything kept");
  await kept(page, 301);
  await page.click("button:has-text('Replay')");
  await page.fill("#jump-to", "no place");
  await page.press("#jump-to", "Enter");
  await page.waitForSelector("#jump-error:has-text('Not a number')");
}

export async function a_long_replay_waits_when_the_page_is_full({ page, open }) {
  const values = Array.from({ length: 1000 }, (_, n) => n);
  for (let part = 0; part < 22; part++) {
    await push(values);
  }
  await act("wait_received", { seq: 22_000 });
  await open("#/live");
  await page.click("button:has-text('Replay')");
  await page.click("text=everything kept");
  await page.waitForSelector("[data-mode=held]");
  await kept(page, 20_000);
  await page.$eval(".list", (list) => (list.scrollTop = 0));
  await page.waitForSelector(".row[data-seq='1']");
  await page.click("text=Next events");
  await kept(page, 2_000);
  await page.waitForSelector(".row[data-seq='20001']");
  await page.waitForSelector(".mode", { state: "detached" });
}

export async function a_replay_of_large_events_waits_with_its_beginning({ page, open }) {
  const text = "x".repeat(700_000);
  for (let n = 0; n < 60; n++) {
    await push([text]);
  }
  await act("wait_received", { seq: 60 });
  await open("#/live");
  await page.click("button:has-text('Replay')");
  await page.click("text=everything kept");
  await page.waitForSelector("[data-mode=held]");
  await page.$eval(".list", (list) => (list.scrollTop = 0));
  await page.waitForSelector(".row[data-seq='1']"); // characters fill the page long before the number of events does
  const held = Number(await page.innerText("#shown"));
  assert.ok(held > 30 && held < 60, `${held} held`);
  await page.click("text=Next events");
  await kept(page, 60 - held);
  await page.waitForSelector(`.row[data-seq='${held + 1}']`);
  await page.waitForSelector(".mode", { state: "detached" });
}

export async function a_replay_from_a_position_nobody_gave_out_is_live_at_once({ page, open }) {
  await push([0, 1]);
  await act("wait_received", { seq: 2 });
  await open("#/live");
  await kept(page, 2);
  await page.click("button:has-text('Replay')");
  await page.fill("#jump-to", `${await act("epoch")}-99999`);
  await page.press("#jump-to", "Enter");
  await notice(page, "never gave out this position");
  await page.waitForSelector(".mode", { state: "detached" });
  await push(["after"]);
  await page.waitForSelector(".row[data-seq='3']");
}

export async function a_digit_right_behind_r_goes_into_the_field({ page, open }) {
  await open("#/live");
  const focused = await page.evaluate(async () => {
    const { port1, port2 } = new MessageChannel();
    const next = new Promise((done) => (port1.onmessage = done)); // the next task, before anything is painted
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "r", bubbles: true }));
    port2.postMessage("");
    await next;
    return document.activeElement.id;
  });
  assert.equal(focused, "jump-to");
}

export async function large_numbers_are_shown_whole({ page, open }) {
  await open("#/live");
  await push([0]);
  await page.waitForSelector(".row[data-seq='1']");
  for (const width of [1400, 1100, 800]) {
    await page.setViewportSize({ width, height: 900 });
    const [needed, room] = await page.$eval(".cell.seq", (cell) => {
      cell.textContent = "216,777,395";
      return [cell.scrollWidth, cell.clientWidth];
    });
    assert.ok(needed <= room, `${width}: ${needed} of ${room}`);
  }
}

export async function a_pause_that_was_too_long_is_told_and_can_be_replayed({ page, open }) {
  const values = Array.from({ length: 1000 }, (_, n) => n);
  await open("#/live");
  await push([0, 1, 2]);
  await kept(page, 3);
  await page.keyboard.press("p");
  for (let part = 0; part < 21; part++) {
    await push(values);
  }
  await page.waitForFunction(() => document.querySelector("#waiting").textContent === "20,000" && document.querySelector("#total").textContent === "21,003");
  await page.keyboard.press("p");
  await kept(page, 20_000);
  await page.keyboard.press("f");
  await page.$eval(".list", (list) => (list.scrollTop = 0));
  await notice(page, "More events passed while this was paused");
  await page.click("text=replay them");
  await page.waitForSelector("[data-mode=held]");
  await page.$eval(".list", (list) => (list.scrollTop = 0));
  await page.waitForSelector(".row[data-seq='4']"); // the first that came while it was paused
}

/** The promise: whatever happens to the gateway, the open page misses nothing. */
export async function a_killed_gateway_costs_no_event({ browser, page, open }) {
  await open("#/live");
  await push([0, 1, 2, 3, 4]);
  await kept(page, 5);
  browser.expected.push(AWAY);
  await act("kill", { what: "gateway" });
  await page.waitForSelector("#status[data-state=lost]");
  await page.waitForFunction(() => document.querySelector("#status").textContent.includes("resuming from 5"));
  await page.waitForSelector(".banner:has-text('does not answer')");
  await push([5, 6, 7]);
  await act("start", { what: "gateway" });
  await act("wait_connected");
  await push([8, 9]);
  await page.waitForSelector("#status[data-state=live]", { timeout: ms(30_000) });
  await page.waitForFunction(() => document.querySelectorAll(".row:not(.notice)").length === 10, undefined, { timeout: ms(30_000) });
  assert.deepEqual((await rows(page)).map((row) => row[2]), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  await notice(page, "Connected again");
}

async function hubIsKilled({ browser, page, open }, text, meanwhile) {
  await open("#/live");
  await push([0]);
  await kept(page, 1);
  browser.expected.push(AWAY);
  await act("kill", { what: "hub" });
  await page.waitForSelector(".banner:has-text('hub')");
  await meanwhile();
  await act("start", { what: "hub" });
  await act("wait_connected");
  await act("post", { path: "/events", body: { event_type: "n", data: "after" } });
  await page.waitForFunction(() => [...document.querySelectorAll(".preview")].some((cell) => cell.textContent.includes("after")));
  await page.waitForSelector(".banner", { state: "detached" });
  await notice(page, text);
}

export async function what_a_killed_hub_may_have_lost_is_told(tools) {
  await hubIsKilled(tools, "the hub ended uncleanly", async () => {});
}

export async function a_hub_without_its_journal_is_told_as_a_gap(tools) {
  await hubIsKilled(tools, "the hub started anew", () => act("forget"));
}

export async function a_refused_stream_says_why({ page, open }) {
  await open();
  const query = Array.from({ length: 65 }, (_, n) => `event_type=p${n}`).join("&");
  await page.goto(`${page.url().split("#")[0]}#/live?${query}`);
  await page.waitForSelector("text=The gateway refuses this stream");
  assert.match(await page.innerText("main"), /too many patterns/);
  await page.fill("#patterns", "p1");
  await page.press("#patterns", "Enter");
  await page.waitForSelector("#status[data-state=live]");
}
