"""doors: EventSource and WebSocket in a real browser, on a page of the gateway's own origin, against curl and ZeroMQ."""
import http.server
import json
import shutil
import threading

import pytest

from support.http import get, post
from support.zmq_clients import Push, Sub, event

# Pages collect in window.seen; an id-less helper keeps the tests short.
EVENT_SOURCE = """
    window.seen = []; window.ids = []; window.states = [];
    window.notices = [];
    window.source = new EventSource(args[0]);
    window.source.onopen = () => window.states.push("open");
    window.source.onerror = () => window.states.push("error");
    window.source.onmessage = (m) => { window.seen.push(JSON.parse(m.data)); window.ids.push(m.lastEventId); };
    for (const name of ["hub.resume", "hub.gap"])
        window.source.addEventListener(name, (m) => window.notices.push([name, JSON.parse(m.data)]));
    await new Promise((good, bad) => { window.source.addEventListener("open", good, { once: true }); setTimeout(bad, 20000); });
"""
WEB_SOCKET = """
    window.got = [];
    window.socket = args[1] ? new WebSocket(args[0], args[1]) : new WebSocket(args[0]);
    window.closed = null;
    window.socket.onclose = (c) => { window.closed = c.code; };
    window.socket.onmessage = (m) => window.got.push(JSON.parse(m.data));
    await new Promise((good, bad) => { window.socket.onopen = good; window.socket.onerror = () => bad("refused"); });
"""


def open_page(browser, gateway):
    """A page of the gateway's origin on which nothing runs but the test's own script."""
    browser.expected_errors = ("favicon.ico",)
    browser.get(gateway.url + "/health")


@pytest.fixture
def foreign_origin():
    """The origin of somebody else's page: a little server of its own, an empty page without any policy."""
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802 (the name that http.server asks for)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><link rel=icon href=data:,>")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_event_source_gets_what_curl_and_push_send(browser, hub, gateway, curl):
    open_page(browser, gateway)
    browser.run(EVENT_SOURCE, "/events?event_type=new_setup&event_type=t%C3%BCr*")
    status, body = curl(gateway, '{"event_type":"new_setup","source_service":"cm","data":{"setup_id":"0001234"}}')
    assert status == 202
    answer = json.loads(body)
    with Push(hub) as push:
        push.send(event("other", 1))
        push.send(event("tür:links", {"ü": "日本\n\u2028"}))
    browser.wait_js("window.seen.length === 2")
    first, second = browser.execute_script("return window.seen")
    assert (first["seq"], first["epoch"]) == (answer["seq"], answer["epoch"])
    assert first["data"] == {"setup_id": "0001234"} and first["source_service"] == "cm"
    assert second["event_type"] == "tür:links" and second["data"] == {"ü": "日本\n\u2028"}
    assert second["seq"] == first["seq"] + 2
    assert browser.execute_script("return window.ids") == [f"{e['epoch']}-{e['seq']}" for e in (first, second)]


def test_web_socket_gets_what_curl_and_push_send(browser, hub, gateway, curl):
    open_page(browser, gateway)
    browser.run(WEB_SOCKET, gateway.ws_url + "/ws?event_type=new_setup", None)
    browser.wait_js("window.got.some(m => m.op === 'welcome')")
    assert curl(gateway, '{"event_type":"new_setup","data":{"n":1}}')[0] == 202
    with Push(hub) as push:
        push.send(event("new_setup", {"n": 2}))
    browser.wait_js("window.got.filter(m => !m.op).length === 2")
    events = browser.execute_script("return window.got.filter(m => !m.op)")
    assert [e["data"]["n"] for e in events] == [1, 2]
    assert events[0]["source_service"] == "http"


def test_web_socket_publishes_to_zeromq_and_event_source(browser, hub, gateway):
    open_page(browser, gateway)
    browser.run(WEB_SOCKET, gateway.ws_url + "/ws", "notifyhub.v1.json")
    assert browser.execute_script("return window.socket.protocol") == "notifyhub.v1.json"
    browser.run(EVENT_SOURCE, "/events?event_type=from_page")
    with Push(hub) as push, Sub(hub, "from_page") as sub:
        sub.sync(push)
        browser.execute_script("""window.socket.send(JSON.stringify({op: "publish", id: 7,
            event: {event_type: "from_page", data: {text: "\u00e4\u20ac\ud83d\ude00"}}}))""")
        browser.wait_js("window.got.some(m => m.op === 'published' && m.id === 7)")
        native = sub.recv()
    assert native["data"] == {"text": "ä€😀"} and native["source_service"] == "ws"
    browser.wait_js("window.seen.length === 1")
    assert browser.execute_script("return window.seen[0]") == native


def test_event_source_goes_on_after_a_restart_of_the_gateway(browser, hub, gateway):
    open_page(browser, gateway)
    browser.run(EVENT_SOURCE, "/events?event_type=n")
    with Push(hub) as push:
        for n in range(20):
            push.send(event("n", n))
        browser.wait_js("window.seen.length === 20")
        # Killed, not ended: nothing could be handed over. Events go on meanwhile.
        gateway.kill()
        for n in range(20, 60):
            push.send(event("n", n))
        browser.expected_errors += ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET",
                                   "ERR_EMPTY_RESPONSE")
        gateway.start()
        gateway.wait_connected()
        for n in range(60, 80):
            push.send(event("n", n))
    browser.wait_js("window.seen.length >= 80", limit=30)
    seen = browser.execute_script("return window.seen")
    assert [e["data"] for e in seen] == list(range(80))
    assert [e["seq"] for e in seen] == list(range(seen[0]["seq"], seen[0]["seq"] + 80))
    assert not browser.execute_script("return window.notices.filter(n => n[0] === 'hub.gap')")


def test_event_source_is_told_when_the_hub_starts_anew(browser, hub, gateway):
    open_page(browser, gateway)
    browser.run(EVENT_SOURCE, "/events")
    assert post(gateway.port, "/events", {"event_type": "before"}).status == 202
    browser.wait_js("window.seen.length === 1")
    hub.kill()
    shutil.rmtree(hub.journal_folder)  # a hub that has its journal goes on with the same epoch
    hub.start()
    gateway.wait_connected()
    assert post(gateway.port, "/events", {"event_type": "after"}).status == 202
    browser.wait_js("window.seen.length === 2")
    notices = browser.execute_script("return window.notices")
    assert [n[0] for n in notices] == ["hub.gap"] and notices[0][1]["reason"] == "epoch_changed", notices
    assert browser.execute_script("return window.states") == ["open"], "the connection itself stayed"


def test_a_foreign_page_is_refused(browser, gateway, foreign_origin):
    browser.get(foreign_origin)
    browser.expected_errors = ("CORS", "ERR_FAILED", "WebSocket connection", "403")
    assert browser.run("try { await fetch(args[0] + '/events', {method: 'POST', body: '{\"event_type\":\"x\"}'}); return 'read' }"
                       " catch (e) { return 'refused' }", gateway.url) == "refused"
    assert browser.run("return await new Promise(r => { const s = new WebSocket(args[0] + '/ws');"
                       " s.onopen = () => r('open'); s.onerror = () => r('refused'); })", gateway.ws_url) == "refused"
    assert browser.run("return await new Promise(r => { const s = new EventSource(args[0] + '/events');"
                       " s.onopen = () => r('open'); s.onerror = () => r('refused'); })", gateway.url) == "refused"
    stats = get(gateway.port, "/stats").json
    assert stats["hub"]["events_received"] == 0, "nothing of the foreign page was published"
    assert sum(door.get("foreign_origin", 0) for door in stats["gateway"]["rejected"].values()) == 3


def test_an_allowed_foreign_page_is_welcome(browser, hub, start_gateway, foreign_origin):
    gateway = start_gateway(hub, "--gateway-allowed-origins", foreign_origin).wait_connected()
    browser.get(foreign_origin)
    status = browser.run("const a = await fetch(args[0] + '/events', {method: 'POST', body: JSON.stringify({event_type: 'x'}),"
                         " headers: {'Content-Type': 'application/json'}}); return [a.status, (await a.json()).seq]", gateway.url)
    assert status == [202, 1]
    browser.run(EVENT_SOURCE, gateway.url + "/events?since=earliest")
    browser.wait_js("window.seen.length === 1")
    browser.run(WEB_SOCKET, gateway.ws_url + "/ws?since=earliest", None)
    browser.wait_js("window.got.filter(m => !m.op).length === 1")
