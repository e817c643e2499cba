"""Fixtures of the end-to-end tests: Debian's Chromium without a window, driven by ChromeDriver through python3-selenium.

    def test_it(browser, gateway):
        browser.get(gateway.url + "/")
        browser.find_element("id", "event-type")

Chromium talks to nobody but loopback: all that it would do in the background is switched off. A page's uncaught errors,
refused resources and broken content policies fail the test that saw them.
"""
import os
import subprocess

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from support.waiting import seconds, wait_until

FLAGS = [
    "--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-extensions",
    "--disable-dev-shm-usage", "--disable-features=OptimizationHints,MediaRouter,Translate", "--mute-audio",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", "--window-size=1400,900",
]


class Browser(webdriver.Chrome):
    """Chromium with what these tests ask for all the time."""

    expected_errors = ()  # texts: lines of the console that contain one are no failure

    def run(self, script, *arguments):
        """The value of an async function body, awaited: browser.run("return (await fetch('/stats')).status")."""
        wrapped = ("const done = arguments[arguments.length - 1], args = [...arguments].slice(0, -1);"
                   f"(async (...args) => {{ {script} }})(...args).then(v => done({{v}}), e => done({{e: String(e)}}));")
        result = self.execute_async_script(wrapped, *arguments)
        assert "e" not in result, f"the page's script failed: {result['e']}"
        return result.get("v")

    def wait_js(self, expression, limit=15):
        """Waits until a JavaScript expression is true; returns its value."""
        return wait_until(lambda: self.execute_script(f"return {expression}"), limit,
                          lambda: f"{expression} in the page; body: {self.text()[:1500]}")

    def text(self, selector="body"):
        return self.execute_script(f"return document.querySelector({selector!r})?.innerText ?? ''")

    def console_errors(self):
        lines = [line for line in self.get_log("browser") if line["level"] == "SEVERE"]
        return [line["message"] for line in lines if not any(text in line["message"] for text in self.expected_errors)]


@pytest.fixture
def browser(tmp_path):
    """A fresh browser with an empty profile; its console is checked for errors at the end."""
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for flag in [*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]:
        options.add_argument(flag)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium's own sandbox refuses to run as root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service("/usr/bin/chromedriver", log_path=str(tmp_path / "chromedriver.log"))
    # A browser writes into its home; the tests leave nothing there.
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    saved = {name: os.environ.get(name) for name in home}
    os.environ.update(home)
    try:
        driver = Browser(service=service, options=options)
    finally:
        for name, value in saved.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    driver.set_script_timeout(seconds(30))
    driver.set_page_load_timeout(seconds(30))
    try:
        yield driver
        errors = driver.console_errors()
    finally:
        driver.quit()
    assert not errors, errors


@pytest.fixture
def screenshots(request):
    """A folder for pictures of this test: NHUB_SCREENSHOTS, or None when nobody wants them."""
    folder = os.environ.get("NHUB_SCREENSHOTS")
    if folder:
        os.makedirs(folder, exist_ok=True)
    del request
    return folder


def curl(gateway, body, *options):
    """The product's moment of truth: curl with its own content type. Returns (status, body)."""
    done = subprocess.run(["curl", "-sS", "-m", str(seconds(10)), "-w", "\n%{http_code}", f"{gateway.url}/events", "-d", body,
                           *options], capture_output=True, text=True, check=True)
    text, status = done.stdout.rsplit("\n", 1)
    return int(status), text


@pytest.fixture(name="curl")
def curl_fixture():
    return curl
