/*
 * take: makes the pictures of the README. node web/screenshots/take.mjs http://localhost:8080 [FOLDER]
 *
 * The gateway has traffic, of some kinds and by some doors; each page is looked at for a minute, so that its charts have
 * something to show.
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

const { chromium } = createRequire(new URL("../package.json", import.meta.url))("playwright-core");
const [url, folder = fileURLToPath(new URL(".", import.meta.url))] = process.argv.slice(2);
const SECONDS = 60;

async function openAnEvent(page) {
  await page.click("#follow");
  await (await page.$$(".row:not(.notice)")).at(4).click();
  await page.waitForSelector(".details .json");
}

async function openAType(page) {
  await page.click("tbody tr:nth-of-type(3) button.open");
  await page.waitForSelector(".newest .json");
}

const desk = { viewport: { width: 1280, height: 860 } };
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
const pictures = [
  { name: "overview", view: "overview", options: desk },
  { name: "live", view: "live", options: { ...desk, colorScheme: "dark" }, prepare: openAnEvent },
  { name: "types", view: "types", options: desk, prepare: openAType },
  { name: "clients", view: "clients", options: { ...desk, colorScheme: "dark" } },
  { name: "phone", view: "overview", options: phone },
];

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: process.getuid() === 0 ? ["--no-sandbox"] : [] });
const shown = await Promise.all(pictures.map(async (picture) => {
  const page = await (await browser.newContext({ ...picture.options, locale: "en-GB" })).newPage();
  await page.goto(`${url}/#/${picture.view}`);
  await page.waitForSelector("#status[data-state=live]");
  return { ...picture, page };
}));
await new Promise((done) => setTimeout(done, SECONDS * 1000));
for (const { name, page, prepare } of shown) {
  await prepare?.(page);
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
await browser.close();
