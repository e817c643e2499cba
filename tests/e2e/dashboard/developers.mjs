/*
 * developers: the pages of web/DEVELOPERS.md, opened as somebody else's site would serve them.
 */
import assert from "node:assert/strict";
import { AWAY, ms } from "./browser.mjs";
import { act, push } from "./stage.mjs";

async function lives({ browser, page }, name) {
  const address = await act("example", { name });
  browser.allow(new URL(address).origin);
  browser.expected.push(/favicon/);
  await page.goto(address);
  const lines = () => page.$$eval("#events li", (all) => all.map((line) => line.textContent));
  const has = (n) => page.waitForFunction((wanted) => [...document.querySelectorAll("#events li")].filter((line) => /^\d+$/.test(line.textContent)).length >= wanted, n, { timeout: ms(30_000) });
  await page.waitForFunction(() => document.querySelector("#events").textContent.includes("published: "));
  await act("wait_subscribed");
  await push([{ setup_id: "1" }, { setup_id: "2" }], { type: "new_setup" });
  await has(2);
  /* Whatever the example promises, it keeps: the gateway dies, and no event is missing or comes twice. */
  browser.expected.push(AWAY, /ERR_FAILED|CORS/);
  await act("kill", { what: "gateway" });
  await push([{ setup_id: "3" }, { setup_id: "4" }], { type: "new_setup" });
  await act("start", { what: "gateway" });
  await act("wait_connected");
  await has(4);
  await act("wait_subscribed");
  await push([{ setup_id: "5" }], { type: "new_setup" });
  await has(5);
  assert.deepEqual((await lines()).filter((line) => /^\d+$/.test(line)), ["1", "2", "3", "4", "5"]);
  assert.deepEqual((await lines()).filter((line) => line.startsWith("missing")), []);
  const { events } = JSON.parse((await act("request", { method: "GET", path: "/events?since=earliest&event_type=page_opened" })).body);
  assert.ok(events.length >= 1, "what the page published is there");
}

export async function the_event_source_example_lives(tools) {
  await lives(tools, "EventSource");
}

export async function the_web_socket_example_lives(tools) {
  await lives(tools, "WebSocket");
}

export async function the_client_example_lives(tools) {
  await lives(tools, "The client");
}
