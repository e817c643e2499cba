/*
 * access: for everybody. axe looks at each view in light and dark and on a phone; nothing comes from elsewhere.
 */
import assert from "node:assert/strict";
import { axeSource } from "./browser.mjs";
import { act, push } from "./stage.mjs";

const VIEWS = ["overview", "live", "types", "publish", "clients"];

async function violations(page) {
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map((rule) => `${rule.impact} ${rule.id}: ${rule.nodes.map((node) => node.target.join(" ")).slice(0, 5).join(" | ")}`);
}

/** Every view with something in it, and what opens in it. */
async function lookAtAll(page, open) {
  const found = [];
  const look = async (what) => found.push(...(await violations(page)).map((text) => `${what}: ${text}`));
  await push([{ a: 1 }, { b: [true, null, "x"] }], { type: "order.created", correlation: "c-1" });
  for (const view of VIEWS) {
    await open(`#/${view}`);
    await page.waitForFunction(() => !document.querySelector(".loading"));
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
  for (const view of VIEWS) {
    await open(`#/${view}`);
    await page.waitForFunction(() => !document.querySelector(".loading"));
    const opened = await page.$("button.open");
    await opened?.click();
    const [width, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(width <= 390 && room === 390, `${view}: ${width} of ${room}`);
  }
  await open("#/live");
  await page.click("button:has-text('Replay')");
  const box = await (await page.waitForSelector("#jump")).boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 390, JSON.stringify(box));
}
a_phone_never_scrolls_sideways.options = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

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
