/*
 * run: plays one scenario. node run.mjs FILE NAME; exit status 0 when it passed.
 *
 * A scenario is an exported async function of a file beside this one: it gets {browser, page, open} and asserts. After it
 * the console, the content policy and the requests of all its pages are looked at.
 */
import { Browser, ms } from "./browser.mjs";
import { url } from "./stage.mjs";

const [file, name] = process.argv.slice(2);
const scenario = (await import(new URL(file, import.meta.url)))[name];
const browser = await Browser.open(url, scenario.options);
const page = await browser.page();
let status = 0;

/** Opens a view and waits until its frame is there. */
async function open(path = "", on = page) {
  await on.goto(`${url}/${path}`);
  await on.waitForSelector("#status[data-state=live]", { timeout: ms(20_000) });
  return on;
}

try {
  await scenario({ browser, page, open });
  browser.check();
} catch (error) {
  status = 1;
  console.error(error.stack ?? error);
  console.error("problems seen:", browser.problems);
  for (const shown of browser.pages) {
    console.error(`---- ${shown.url()}\n${(await shown.innerText("body").catch(() => "")).slice(0, 700)}`);
    if (process.env.NHUB_SCREENSHOTS) {
      await shown.screenshot({ path: `${process.env.NHUB_SCREENSHOTS}/failed-${name}.png` }).catch(() => {});
    }
  }
}
await browser.close();
process.exit(status);
