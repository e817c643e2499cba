/*
 * browser: Debian's Chromium without a window, driven by playwright-core, which comes with the packages of web/.
 *
 * A page may ask nobody but its gateway, break no content policy and write no error to its console: each of these fails
 * the scenario that saw it, unless the scenario expects it.
 */
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(new URL("../../../web/package.json", import.meta.url));
export const { chromium } = require("playwright-core");
export const axeSource = require.resolve("axe-core/axe.min.js");

const FACTOR = Number(process.env.NHUB_TEST_TIMEOUT_FACTOR ?? 1);
export const ms = (value) => value * FACTOR;

const FLAGS = [
  "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage", "--mute-audio",
  "--disable-features=OptimizationHints,MediaRouter,Translate",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
  ...(process.getuid() === 0 ? ["--no-sandbox"] : []), // Chromium's own sandbox refuses to run as root
];

/** What a browser says when a gateway is away or going. */
export const AWAY = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|503 \(|WebSocket connection to/;

export class Browser {
  #browser;
  #context;
  #origins;
  #pages = [];
  problems = [];
  expected = []; // regular expressions of problems that are none

  static async open(origin, options = {}) {
    const browser = new Browser();
    browser.#origins = new Set([origin]);
    browser.#browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS, timeout: ms(30_000) });
    browser.#context = await browser.#browser.newContext({ viewport: { width: 1400, height: 900 }, locale: "en-GB", ...options });
    browser.#context.setDefaultTimeout(ms(20_000));
    await browser.#context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (broken) => console.error(`content policy: ${broken.violatedDirective} ${broken.blockedURI}`));
    });
    await browser.#context.grantPermissions(["clipboard-read", "clipboard-write"], { origin });
    browser.#context.on("request", (request) => browser.#look(request));
    return browser;
  }

  #look(request) {
    const { origin, protocol } = new URL(request.url());
    if (!this.#origins.has(origin) && protocol !== "data:" && protocol !== "blob:") {
      this.problems.push(`asked ${request.url()}, which is not the gateway`);
    }
  }

  /** For pages that are not the gateway's. */
  allow(origin) {
    this.#origins.add(origin);
  }

  async page() {
    const page = await this.#context.newPage();
    page.on("console", (message) => message.type() === "error" && this.problems.push(`console: ${message.text()} ${message.location().url}`));
    page.on("pageerror", (error) => this.problems.push(`uncaught: ${error.stack ?? error}`));
    page.on("websocket", (socket) => {
      if (!this.#origins.has(new URL(socket.url().replace(/^ws/, "http")).origin)) {
        this.problems.push(`a WebSocket to ${socket.url()}`);
      }
    });
    this.#pages.push(page);
    return page;
  }

  get pages() {
    return this.#pages;
  }

  check() {
    const bad = this.problems.filter((problem) => !this.expected.some((pattern) => pattern.test(problem)));
    assert.deepEqual(bad, []);
  }

  async close() {
    await this.#browser.close();
  }
}
