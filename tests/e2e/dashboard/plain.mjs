/*
 * plain: the page of a gateway whose dashboard was not built.
 */
import assert from "node:assert/strict";
import { axeSource } from "./browser.mjs";
import { url } from "./stage.mjs";

export async function the_plain_page_says_how_to_build_the_dashboard({ page }) {
  await page.addInitScript({ path: axeSource });
  await page.goto(`${url}/`);
  assert.match(await page.innerText("main"), /cmake --build build\/release --target web/);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  assert.deepEqual(found.violations.map((rule) => rule.id), []);
  const doors = await page.$$eval("dl a", (all) => all.map((link) => link.getAttribute("href")).filter((href) => href !== "events/stream"));
  for (const door of doors) {
    assert.equal((await page.request.get(`${url}/${door}`)).status(), 200, door);
  }
}
