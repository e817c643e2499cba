# ctest: timeout=300
"""developers: the examples of web/DEVELOPERS.md: its pages in a browser, from another origin; its script in Node."""
import http.server
import json
import os
import re
import subprocess
import threading

import pytest

from support.daemons import BIN_DIR, ROOT
from support.http import get
from support.stage import Stage, play, scenarios
from support.waiting import seconds, wait_until

with open(os.path.join(ROOT, "web", "DEVELOPERS.md"), encoding="utf-8") as text:
    BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", text.read(), re.M | re.S)
PAGES = {re.search("<title>(.*)</title>", page).group(1): page for kind, page in BLOCKS if kind == "html"}
# Around the script: it goes on until it has shown the event that it publishes.
WATCHED = "const shown = []; const log = console.log; console.log = (...values) => { shown.push(values[0]); log(...values); };\n"
UNTIL_SHOWN = ("while (!shown.includes('0001234')) await new Promise((done) => setTimeout(done, 10));\n"
               "console.log(hub.state.transport);\nhub.close();\n")
CLIENT = os.path.join(os.environ.get("NHUB_BUILD_DIR") or os.path.dirname(BIN_DIR), "share", "notifyhub", "client", "dist", "index.js")


@pytest.fixture
def site():
    """Somebody's own site: it serves the pages of the document, with the gateway's address put in."""
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802 (the name that http.server asks for)
            page = server.pages.get(self.path)
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((page or "").encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.pages = {}
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class DeveloperStage(Stage):
    site = None

    def do_example(self, name):
        page = PAGES[name]
        assert "localhost:8080" in page
        self.site.pages["/page.html"] = page.replace("localhost:8080", f"127.0.0.1:{self.gateway.port}")
        return self.site.url + "/page.html"

    def do_wait_subscribed(self):
        def one():
            return sum(get(self.gateway.port, "/stats").json["gateway"]["subscribers"].values()) >= 1
        wait_until(one, 20, "the page's subscription")


@pytest.mark.parametrize("name", scenarios("developers.mjs"))
def test_page(hub, start_gateway, site, name):
    gateway = start_gateway(hub, "--gateway-allowed-origins", site.url).wait_connected()
    kind = type("Stage", (DeveloperStage,), {"site": site})
    play(hub, gateway, "developers.mjs", name, stage_class=kind)


def test_the_document_has_the_three():
    assert list(PAGES) == ["EventSource", "WebSocket", "The client"]


@pytest.mark.parametrize("flags", [[], ["--experimental-websocket"]], ids=["as it is", "with WebSocket"])
def test_script_in_node(hub, gateway, tmp_path, flags):
    major = int(subprocess.run(["node", "-p", "process.versions.node.split('.')[0]"], capture_output=True, text=True, check=True).stdout)
    if major < 20:
        pytest.skip("the client is for Node 20 and newer; what builds it may be older")
    if flags and major >= 22:
        pytest.skip("this Node has a WebSocket anyway")
    script = next(code for kind, code in BLOCKS if kind == "js")
    script = script.replace("localhost:8080", f"127.0.0.1:{gateway.port}").replace('"notifyhub-client"', json.dumps(CLIENT))
    (tmp_path / "script.mjs").write_text(WATCHED + script + UNTIL_SHOWN, encoding="utf-8")
    done = subprocess.run(["node", *flags, str(tmp_path / "script.mjs")], capture_output=True, text=True, timeout=seconds(30), check=False)
    assert done.returncode == 0, done.stderr
    assert "0001234" in done.stdout and "seq: 1" in done.stdout, done.stdout
    assert ("websocket" if flags or major >= 22 else "sse") in done.stdout
    with open(CLIENT, encoding="utf-8") as file:
        assert "node_modules" not in file.read()
