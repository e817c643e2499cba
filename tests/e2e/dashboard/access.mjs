/*
 * access: for everybody. axe looks at each view in light and dark and on a phone; nothing comes from elsewhere.
 */
import assert from "node:assert/strict";
import { AWAY, axeSource } from "./browser.mjs";
import { act, push } from "./stage.mjs";

const VIEWS = ["overview", "live", "types", "publish", "clients"];

/** Until this view is there, not the one before it, and has something to show. */
const isLoaded = (page, view) => page.waitForFunction((name) => document.querySelector("main")?.dataset.view === name && !document.querySelector(".loading"), view);

async function violations(page) {
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map((rule) => `${rule.impact} ${rule.id}: ${rule.nodes.map((node) => node.target.join(" ")).slice(0, 5).join(" | ")}`);
}

/** Every view with something in it, and what opens in it. */
async function lookAtAll(page, open) {
  const found = [];
  const look = async (what) => found.push(...(await violations(page)).map((text) => `${what}: ${text}`));
  await push([{ a: 1 }, { b: [true, null, "x"] }], { type: "order.created", correlation: "c-1" });
  await act("request", { method: "PUT", path: "/groups/billing", body: { event_type: ["order.*"] } });
  for (const view of VIEWS) {
    await open(`#/${view}`);
    await isLoaded(page, view);
    await look(view);
    if (view === "live") {
      await page.waitForSelector(".row[data-seq='2']");
      await page.click(".row[data-seq='2']");
      await page.waitForSelector(".details");
      await look("live, an open event");
      await page.keyboard.press("t");
      await page.waitForSelector(".trace-state[data-state=done]");
      await look("live, a trace");
      await page.keyboard.press("Escape");
      await page.keyboard.press("Escape");
      await page.keyboard.press("r");
      await page.waitForSelector("#jump");
      await look("live, replay");
      await page.keyboard.press("Escape");
      await page.keyboard.press("?");
      await page.waitForSelector("dialog[open]");
      await look("the keys");
      await page.keyboard.press("Escape");
    } else if (view === "types") {
      await page.click("button.open");
      await page.waitForSelector(".newest .json");
      await look("types, an open one");
    } else if (view === "clients") {
      await page.waitForSelector("tr[data-group=billing]");
      await look("clients and groups");
    } else if (view === "publish") {
      await page.click("summary");
      await page.fill("#publish-data", "{");
      await page.click("#send");
      await look("publish, mistakes");
      await page.fill("#publish-data", "{}");
      await page.fill("#publish-event_type", "a");
      await page.click("#send");
      await page.waitForSelector("#answer");
      await look("publish, answered");
    }
  }
  return found;
}

/** Views that were open when the gateway went show what they had. */
async function axeFindsNothingWhenItIsLost({ browser, page, open }) {
  await page.addInitScript({ path: axeSource });
  await push([{ a: 1 }], { type: "order.created" });
  await act("wait_received", { seq: 1 });
  for (const view of ["types", "clients", "overview"]) {
    await open(`#/${view}`);
    await isLoaded(page, view);
    await page.waitForFunction(() => !document.querySelector("[data-old]"));
    browser.expected.push(AWAY);
    await act("kill", { what: "gateway" });
    await page.waitForSelector("[data-old]");
    assert.deepEqual(await violations(page), [], view);
    await act("start", { what: "gateway" });
    await act("wait_connected");
    await page.waitForSelector("#status[data-state=live]");
  }
}

export async function axe_finds_nothing_when_the_gateway_is_lost(tools) {
  await axeFindsNothingWhenItIsLost(tools);
}

export async function axe_finds_nothing_when_it_is_lost_in_the_dark(tools) {
  await axeFindsNothingWhenItIsLost(tools);
}
axe_finds_nothing_when_it_is_lost_in_the_dark.options = { colorScheme: "dark" };

async function axeFindsNothing({ page, open }) {
  await page.addInitScript({ path: axeSource });
  assert.deepEqual(await lookAtAll(page, open), []);
}

export async function axe_finds_nothing_in_light(tools) {
  await axeFindsNothing(tools);
}

export async function axe_finds_nothing_in_dark(tools) {
  await axeFindsNothing(tools);
}
axe_finds_nothing_in_dark.options = { colorScheme: "dark" };

export async function axe_finds_nothing_on_a_phone(tools) {
  await axeFindsNothing(tools);
}
axe_finds_nothing_on_a_phone.options = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

export async function a_phone_never_scrolls_sideways({ browser, page, open }) {
  const long = "a.rather.long.event.type.that.does.not.fit";
  await push([{ text: "x".repeat(500) }], { type: long, source: "a-publisher-with-a-long-name" });
  await act("request", { method: "PUT", path: "/groups/a-group-with-quite-a-long-name", body: { event_type: [`${long}.*`, `other.${long}`] } });
  const other = await browser.page();
  await open(`#/live?event_type=${long}&event_type=second.${long}*`, other);
  await act("wait_received", { seq: 1 });
  for (const view of VIEWS) {
    await open(`#/${view}`);
    await isLoaded(page, view);
    const opened = await page.$("button.open");
    await opened?.click();
    const [width, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(width <= 390 && room === 390, `${view}: ${width} of ${room}`);
    if (view === "types") { // a long name and a long value leave the other columns in sight
      await page.waitForSelector(".newest .json");
      const ends = await page.$$eval("tr[data-type] > *, .newest .json", (all) => all.filter((each) => each.offsetWidth > 0).map((each) => each.getBoundingClientRect().right));
      assert.ok(ends.length >= 4 && ends.every((end) => end <= 390), JSON.stringify(ends));
    }
  }
  await open("#/live");
  await page.click("button:has-text('Replay')");
  const box = await (await page.waitForSelector("#jump")).boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 390, JSON.stringify(box));
}
a_phone_never_scrolls_sideways.options = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

export async function a_phone_tells_from_where_it_resumes({ browser, page, open }) {
  await push([{ a: 1 }], { type: "n" });
  await open("#/live");
  await page.waitForSelector(".row[data-seq='1']");
  browser.expected.push(AWAY);
  await act("kill", { what: "gateway" });
  const words = await page.waitForSelector("#status-text:has-text('connection lost, resuming from 1')");
  const [needed, room] = await words.evaluate((text) => [text.scrollWidth, text.clientWidth]);
  assert.ok(needed <= room, `${needed} of ${room}`);
}
a_phone_tells_from_where_it_resumes.options = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

export async function types_fit_into_their_card({ page, open }) {
  await push([{ text: "x".repeat(900) }], { type: "a.rather.long.event.type.".repeat(5), source: "a-publisher-with-quite-a-long-name" });
  await open("#/types");
  await page.click("button.open");
  await page.waitForSelector(".newest .json");
  for (const width of [1920, 1400, 1050, 1000, 800, 390]) {
    await page.setViewportSize({ width, height: 844 });
    for (const state of ["open", "closed"]) {
      const [needed, room] = await page.$eval(".table-scroll", (table) => [table.scrollWidth, table.clientWidth]);
      assert.ok(needed <= room, `${width}, ${state}: ${needed} of ${room}`);
      await page.click("button.open");
      await page.waitForSelector(".newest .json", { state: state === "open" ? "detached" : "attached" });
    }
  }
}

export async function clients_lose_nothing_at_any_width({ browser, page, open }) {
  const patterns = ["housekeeping:temperature", "new_setup", "order:created"];
  await act("request", { method: "PUT", path: "/groups/billing", body: { event_type: patterns } });
  await open(`#/live?${patterns.map((type) => `event_type=${type}`).join("&")}`, await browser.page());
  await open("#/clients");
  await page.waitForSelector("tr[data-client] .chip:text-is('new_setup')");
  await page.waitForSelector("tr[data-group=billing]");
  for (const width of [1920, 1400, 1200, 1000, 800, 390]) {
    await page.setViewportSize({ width, height: 844 });
    for (const row of ["tr[data-client]:has(.chip.mono)", "tr[data-group]"]) {
      const cells = await page.$eval(row, (found) => [...found.children].map((cell) => [cell.textContent, cell.getBoundingClientRect().right, cell.offsetWidth]));
      assert.equal(cells.length, row.includes("client") ? 11 : 9);
      assert.ok(cells.every(([text, right, wide]) => text !== "" && wide > 0 && right <= width), `${width}: ${JSON.stringify(cells)}`);
      const chips = await page.$$eval(`${row} .chip`, (all) => all.map((chip) => [chip.textContent, chip.offsetHeight, chip.scrollWidth - chip.clientWidth]));
      assert.equal(chips.length, 3);
      assert.ok(chips.every(([, height, hidden]) => height < 30 && hidden <= 0), `${width}, each name whole in one line: ${JSON.stringify(chips)}`);
    }
  }
}

export async function what_strangers_write_stays_text({ page, open }) {
  const html = "<img src=x onerror=alert(1)>";
  await push([{ html: "<b>bold</b>" }], { type: html, source: "<i>source</i>" });
  await push([{ "טקסט": "שלום", n: 1 }], { type: "אירוע:חדש", source: "ספק" });
  await push([{ text: `${"word ".repeat(2000)}\u202e${"x".repeat(5000)}` }], { type: "y".repeat(255), source: "z".repeat(200) });
  for (const view of ["live", "types"]) {
    await open(`#/${view}`);
    await page.waitForSelector(`main >> text=${html}`);
    await page.waitForSelector("main >> text=אירוע:חדש");
    for (const width of [1400, 390]) {
      await page.setViewportSize({ width, height: 844 });
      await page.waitForFunction((room) => document.documentElement.scrollWidth <= room, width);
    }
    assert.equal(await page.$("main img, main b, main i"), null);
  }
  await open("#/live");
  await page.click(".row[data-seq='3']"); // ten thousand characters
  await page.waitForSelector(".details .json");
  const [needed, room] = await page.$eval(".details", (details) => [details.scrollWidth, details.clientWidth]);
  assert.ok(needed <= room, `${needed} of ${room}`);
}

export async function very_many_types_leave_out_their_values({ page, open }) {
  await push([1], { type: "first" });
  await open("#/types");
  await page.waitForSelector("th:text-is('Newest value')");
  for (let n = 0; n < 2000; n += 500) {
    await act("push", { events: Array.from({ length: 500 }, (_, i) => ({ event_type: `type.${n + i}`, source_service: "probe", data: i })) });
  }
  await page.waitForSelector(".table-head >> text=2,001 types");
  await page.waitForSelector("th:text-is('Newest value')", { state: "detached" });
  await page.waitForSelector("text=The first 200 of 2,001");
  await page.fill("[aria-label='Filter by type or publisher']", "type.1999");
  await page.click("tr[data-type='type.1999'] button.open");
  await page.waitForSelector(".newest .json:has-text('type.1999')");
}

export async function dark_is_dark({ page, open }) {
  await open();
  const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.ok(ground.match(/\d+/g).slice(0, 3).map(Number).every((part) => part < 40), ground);
}
dark_is_dark.options = { colorScheme: "dark" };

export async function fonts_and_all_come_from_the_gateway({ page, open }) {
  await open();
  const asked = await page.evaluate(() => performance.getEntriesByType("resource").map((entry) => entry.name));
  assert.ok(asked.some((name) => name.endsWith(".woff2")), "the fonts are loaded");
  assert.ok(asked.every((name) => name.startsWith(new URL(page.url()).origin)), asked);
  const answer = await page.request.get(page.url());
  const policy = answer.headers()["content-security-policy"];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*/);
  assert.equal((await act("get", { path: "/stats" })).gateway.rejected.http.not_found, undefined, "no file was missing");
}
