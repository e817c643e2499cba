"""The other addresses of the gateway: methods, origins, files, probes, figures and descriptions."""
import gzip
import json
import os
import re
import signal
import time

import jsonschema
import pytest

from support.http import KeepAlive, connect, get, post, raw, request
from support.metrics import Metrics
from support.sse import SseReader
from support.waiting import Stalled, seconds, stalled_after, unstalled, wait_until

API = os.path.join(os.path.dirname(__file__), "..", "..", "gateway", "protocols", "api")
GETS = ["/", "/events", "/health", "/health/live", "/livez", "/health/ready", "/readyz", "/stats", "/metrics",
        "/openapi.json", "/asyncapi.json"]
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


def counted(gateway, door, reason, action):
    """Runs the action and asserts that exactly one refusal of this kind was counted."""
    before = Metrics(gateway.port).rejected(door, reason)
    result = action()
    assert Metrics(gateway.port).rejected(door, reason) == before + 1, (door, reason)
    return result


# --- addresses and methods ---


def test_head_is_get_without_a_body(gateway):
    for path in GETS:
        answer = request(gateway.port, "HEAD", path)
        full = get(gateway.port, path)
        assert answer.status == full.status == 200 and answer.body == b""
        assert answer.headers["Content-Type"] == full.headers["Content-Type"]
    answer = request(gateway.port, "HEAD", "/events/stream")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream"


def test_unknown_addresses(gateway):
    for path in ("/nothing", "/events/", "/Events", "/ws/x", "/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
                 "/..%2f..%2fetc/passwd", "//etc/passwd", "/openapi.json/", "/.tick", "/%C3%A9"):
        counted(gateway, "http", "not_found", lambda p=path: get(gateway.port, p).problem(404, "not_found"))
    for path in ("/%zz", "/%00", "/%ff", "/%"):
        counted(gateway, "http", "bad_request", lambda p=path: get(gateway.port, p).problem(400, "bad_request"))


def test_wrong_methods_name_the_right_ones(gateway):
    for path in GETS:
        answer = counted(gateway, "http", "method_not_allowed", lambda p=path: request(gateway.port, "PUT", p, b"x"))
        answer.problem(405, "method_not_allowed")
        assert set(answer.headers["Allow"].split(", ")) >= {"GET", "HEAD", "OPTIONS"}
    answer = request(gateway.port, "OPTIONS", "/events")
    assert answer.status == 204 and answer.headers["Allow"] == "POST, GET, HEAD, OPTIONS"
    assert request(gateway.port, "OPTIONS", "*").status == 204
    request(gateway.port, "OPTIONS", "/nothing").problem(404, "not_found")


BAD_QUERIES = [
    ("/events?colour=red", "http", "bad_query"), ("/events?limit=0", "http", "bad_query"),
    ("/events?limit=10001", "http", "bad_query"), ("/events?since=tomorrow", "http", "bad_since"),
    ("/events?event_type=", "http", "bad_pattern"), ("/events?event_type=%zz", "http", "bad_query"),
    ("/events?policy=latest", "http", "bad_query"), ("/events?since=1&since=2", "http", "bad_query"),
    ("/events/stream?policy=x", "sse", "bad_query"), ("/events/stream?snapshot=maybe", "sse", "bad_query"),
    ("/events/stream?since=x", "sse", "bad_since"), ("/events/stream?lastEventId=x", "sse", "bad_since"),
    ("/events/stream?" + "&".join(f"event_type=t{i}" for i in range(65)), "sse", "too_many_patterns"),
    ("/events?" + "&".join(f"event_type=t{i}" for i in range(65)), "http", "too_many_patterns"),
    ("/events/stream?" + "&".join(f"x{i}=1" for i in range(600)), "sse", "bad_query"),
]


@pytest.mark.parametrize("path, door, code", BAD_QUERIES, ids=lambda v: str(v)[:40])
def test_bad_queries(gateway, path, door, code):
    counted(gateway, door, code, lambda: get(gateway.port, path).problem(400, code))
    if door == "sse":  # the same by Accept
        path = path.replace("/events/stream", "/events")
        get(gateway.port, path, {"Accept": "text/event-stream"}).problem(400, code)


def test_accept_decides_between_stream_and_history(gateway):
    for accept in ("*/*", "application/json", "text/html", "text/event-stream;q=0.1, application/json"):
        answer = get(gateway.port, "/events", {"Accept": accept})
        assert answer.headers["Content-Type"] == "application/json" and answer.headers["Vary"] == "Accept"
    for accept in ("text/event-stream", "text/event-stream, */*;q=0.5", "text/html, text/event-stream;q=0.9"):
        with connect(gateway.port) as sock:
            sock.sendall(f"GET /events HTTP/1.1\r\nHost: h\r\nAccept: {accept}\r\n\r\n".encode())
            assert b"Content-Type: text/event-stream" in sock.recv(65536)


def test_a_stream_on_a_used_connection(gateway):
    """The front door has not seen its head; it is served where it is."""
    with connect(gateway.port) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
        sock.sendall(b"GET /events/stream?event_type=a HTTP/1.1\r\nHost: h\r\n\r\n")
        received = b""
        while b"id: " not in received:
            received += sock.recv(65536)
        post(gateway.port, "/events", {"event_type": "b"})
        post(gateway.port, "/events", {"event_type": "a", "data": "hello"})
        while b"hello" not in received:
            received += sock.recv(65536)
        assert received.count(b"HTTP/1.1 200") == 1 and b'"b"' not in received
        assert get(gateway.port, "/stats").json["gateway"]["subscribers"]["sse"] == 1
    wait_until(lambda: get(gateway.port, "/stats").json["gateway"]["subscribers"]["sse"] == 0, 10, "the end")


def test_history_pages(gateway):
    events = [{"event_type": "even" if i % 2 == 0 else "odd", "data": i} for i in range(25)]
    assert post(gateway.port, "/events", events).status == 202
    wait_until(lambda: get(gateway.port, "/stats").json["gateway"]["link"]["received_seq"] == 25, 10, "the events")
    seen, since = [], "earliest"
    for _ in range(10):
        page = get(gateway.port, f"/events?since={since}&limit=4&event_type=e*").json
        seen += [e["data"] for e in page["events"]]
        since = page["next"]
        if not page["more"]:
            break
    assert seen == list(range(0, 25, 2))


# --- failed upgrades ---


def test_upgrades_that_fail(gateway):
    def upgrade(path="/ws", **changes):
        headers = dict(UPGRADE)
        headers.update({k.replace("_", "-"): v for k, v in changes.items()})
        return get(gateway.port, path, {k: v for k, v in headers.items() if v is not None})

    answer = counted(gateway, "ws", "bad_upgrade", lambda: get(gateway.port, "/ws"))
    answer.problem(426, "bad_upgrade")
    assert answer.headers["Upgrade"] == "websocket" and answer.headers["Connection"].lower() == "close"
    answer = upgrade(**{"Sec-WebSocket-Version": "8"})
    answer.problem(426, "bad_upgrade")
    assert answer.headers["Sec-WebSocket-Version"] == "13"
    upgrade(**{"Sec-WebSocket-Key": None}).problem(400, "bad_upgrade")
    upgrade(**{"Sec-WebSocket-Key": "short"}).problem(400, "bad_upgrade")
    upgrade("/nowhere").problem(404, "not_found")
    counted(gateway, "ws", "foreign_origin", lambda: upgrade(Origin="http://evil.example").problem(403, "foreign_origin"))
    counted(gateway, "ws", "bad_since", lambda: upgrade("/ws?since=x").problem(400, "bad_since"))
    counted(gateway, "ws", "bad_query", lambda: upgrade("/ws?x=1").problem(400, "bad_query"))
    with KeepAlive(gateway.port) as connection:
        connection.request("GET", "/health")
        connection.request("GET", "/ws", headers=UPGRADE).problem(426, "bad_upgrade")
    request(gateway.port, "POST", "/ws", b"").problem(405, "method_not_allowed")


def test_a_packed_body_is_no_bad_json(gateway):
    """It is refused for what it is, with what would be taken, before it is read."""
    packed = gzip.compress(b'{"event_type":"a"}')
    for path, kind in (("/events", "application/json"), ("/events", "application/x-ndjson"), ("/groups/g/ack", "application/json")):
        answer = counted(gateway, "http", "unsupported_content_type", lambda p=path, k=kind: post(
            gateway.port, p, packed, {"Content-Type": k, "Content-Encoding": "gzip"}))
        answer.problem(415, "unsupported_content_type")
        assert answer.headers["Accept-Encoding"] == "identity" and "gzip" in answer.json["detail"]
    for word in ("identity", "Identity", ""):
        assert post(gateway.port, "/events", {"event_type": "a"}, {"Content-Encoding": word}).status == 202


# --- origins ---


def test_foreign_pages_are_refused_everywhere(gateway):
    for path in GETS + ["/nowhere"]:
        for origin in ("http://evil.example", "null", f"http://127.0.0.1:{gateway.port + 1}"):
            get(gateway.port, path, {"Origin": origin}).problem(403, "foreign_origin")
    counted(gateway, "http", "foreign_origin",
            lambda: post(gateway.port, "/events", {"event_type": "a"}, {"Origin": "http://evil.example"}).problem(
                403, "foreign_origin"))
    counted(gateway, "sse", "foreign_origin",
            lambda: get(gateway.port, "/events/stream", {"Origin": "http://evil.example"}).problem(403, "foreign_origin"))
    own = {"Origin": f"http://127.0.0.1:{gateway.port}"}
    answer = get(gateway.port, "/stats", own)
    assert answer.status == 200 and "Access-Control-Allow-Origin" not in answer.headers


def test_listed_origins_get_cors_answers(hub, start_gateway):
    gateway = start_gateway(hub, "--gateway-allowed-origins", "https://app.example").wait_connected()
    page = {"Origin": "https://app.example"}
    for answer in (get(gateway.port, "/stats", page), post(gateway.port, "/events", {"event_type": "a"}, page),
                   post(gateway.port, "/events", b"{", page), get(gateway.port, "/nothing", page)):
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example", answer
        assert "Origin" in ", ".join(answer.headers.get_all("Vary"))
    preflight = request(gateway.port, "OPTIONS", "/events", headers={
        **page, "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, idempotency-key"})
    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Headers"] == "content-type, idempotency-key"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert preflight.headers["Access-Control-Max-Age"] == "600"
    odd = request(gateway.port, "OPTIONS", "/events", headers={
        **page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "<script>"})
    assert "Access-Control-Allow-Headers" not in odd.headers
    with SseReader(gateway.port, "/events/stream", headers=page) as stream:
        stream.wait_open()
        assert stream.headers["access-control-allow-origin"] == "https://app.example"
    get(gateway.port, "/stats", {"Origin": "https://other.example"}).problem(403, "foreign_origin")
    assert get(gateway.port, "/stats").headers["Vary"] == "Origin"


# --- files ---


@pytest.fixture
def web(tmp_path):
    root = tmp_path / "web"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<!doctype html><title>hub</title>")
    (root / "assets" / "app-1a2b.js").write_text("console.log(1)")
    (root / "icon.svg").write_text("<svg/>")
    (root / ".secret").write_text("no")
    (tmp_path / "outside.txt").write_text("no")
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    (root / "inside.txt").symlink_to(root / "icon.svg")
    return root


def test_files_of_the_web_root(hub, start_gateway, web):
    gateway = start_gateway(hub, "--gateway-web-root", str(web))
    page = get(gateway.port, "/")
    assert page.status == 200 and page.text.startswith("<!doctype html>")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert page.headers["Cache-Control"] == "no-cache"
    script = get(gateway.port, "/assets/app-1a2b.js?v=1")
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "immutable" in script.headers["Cache-Control"]
    assert get(gateway.port, "/icon.svg").headers["Content-Type"] == "image/svg+xml"
    assert get(gateway.port, "/inside.txt").status == 200
    for path in ("/.secret", "/link.txt", "/assets", "/assets/", "/assets/../../outside.txt", "/outside.txt"):
        get(gateway.port, path).problem(404, "not_found")
    same = get(gateway.port, "/", {"If-None-Match": page.headers["ETag"]})
    assert same.status == 304 and same.body == b"" and same.headers["ETag"] == page.headers["ETag"]
    assert get(gateway.port, "/", {"If-None-Match": f'"x", W/{page.headers["ETag"]}'}).status == 304
    assert get(gateway.port, "/", {"If-None-Match": '"x"'}).status == 200
    big_head = {"Cookie": "c" * 3500}
    assert get(gateway.port, "/", big_head).text == page.text


def test_packed_files_for_those_who_take_them(hub, start_gateway, web):
    script = b"console.log('long');" * 200
    (web / "assets" / "big-3c4d.js").write_bytes(script)
    (web / "assets" / "big-3c4d.js.gz").write_bytes(gzip.compress(script))
    (web / "alone.gz").write_bytes(b"packed by somebody")
    gateway = start_gateway(hub, "--gateway-web-root", str(web))
    plain = get(gateway.port, "/assets/big-3c4d.js")
    packed = get(gateway.port, "/assets/big-3c4d.js", {"Accept-Encoding": "br, gzip;q=0.5"})
    assert plain.body == script and "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.body) == script
    assert plain.headers["ETag"] != packed.headers["ETag"], "other bytes, another tag"
    for answer in (plain, packed):
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert answer.headers["Vary"] == "Accept-Encoding" and "immutable" in answer.headers["Cache-Control"]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for tag, encodings, status in ((packed.headers["ETag"], "gzip", 304), (plain.headers["ETag"], "gzip", 200),
                                   (plain.headers["ETag"], "gzip;q=0", 304), (packed.headers["ETag"], "identity", 200)):
        answer = get(gateway.port, "/assets/big-3c4d.js", {"If-None-Match": tag, "Accept-Encoding": encodings})
        assert answer.status == status, (tag, encodings)
        assert answer.headers["Vary"] == "Accept-Encoding"
    get(gateway.port, "/assets/big-3c4d.js.gz").problem(404, "not_found")
    assert get(gateway.port, "/alone.gz").body == b"packed by somebody", "a form of nothing is a file like others"
    unpacked = get(gateway.port, "/icon.svg", {"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in unpacked.headers and "Vary" not in unpacked.headers


def test_without_files_a_text_tells_the_doors(gateway, hub, start_gateway, tmp_path):
    empty = start_gateway(hub, "--gateway-web-root", str(tmp_path / "nothing"))
    page = get(empty.port, "/")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/plain") and "/events" in page.text


# --- probes ---


def test_liveness_does_not_depend_on_the_hub_and_readiness_does(hub, start_gateway):
    gateway = start_gateway(hub).wait_connected()
    hub.stop()
    problem = gateway.wait_unready().problem(503, "not_ready")
    assert "hub" in problem["detail"]
    for path in ("/health", "/health/live", "/livez"):
        answer = get(gateway.port, path)
        assert answer.status == 200 and answer.json == {"status": "ok"}
        assert answer.headers["Cache-Control"] == "no-store"
    get(gateway.port, "/readyz").problem(503, "not_ready")
    answer = post(gateway.port, "/events", {"event_type": "a"})
    answer.problem(503, "hub_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    stats = get(gateway.port, "/stats").json
    assert stats["hub"] is None and stats["hub_missing"] and stats["gateway"]["link"]["connected"] is False
    assert Metrics(gateway.port).get("notifyhub_hub_up") == 0
    assert Metrics(gateway.port).get("notifyhub_ready") == 0
    hub.start()
    gateway.wait_connected()
    assert post(gateway.port, "/events", {"event_type": "a"}).status == 202


def ask_while_it_drains(connection):
    wait_until(lambda: connection.request("GET", "/health/ready").status == 503, 2, "not ready")
    assert "drain" in connection.request("GET", "/health/ready").problem(503, "not_ready")["detail"]
    assert connection.request("GET", "/health").status == 200
    assert connection.request("POST", "/events", {"event_type": "a"}).status == 202
    assert connection.request("GET", "/events").status == 200
    answer = connection.request("GET", "/events/stream")
    answer.problem(503, "draining")
    assert int(answer.headers["Retry-After"]) >= 1


def drain_with_streams(hub, start_gateway):
    gateway = start_gateway(hub, "--gateway-drain-s", "3").wait_connected()
    streams = [SseReader(gateway.port, "/events/stream") for _ in range(3)]
    for stream in streams:
        stream.wait_open()
    with KeepAlive(gateway.port) as connection:
        connection.request("GET", "/health")
        gateway.signal(signal.SIGTERM)
        started = time.monotonic()
        with stalled_after(1.5, started):  # half of the drain is left
            ask_while_it_drains(connection)
        for stream in streams:
            wait_until(lambda s=stream: s.ended, 10, "the stream to end")
    assert gateway.wait() == 0
    took = time.monotonic() - started
    for stream in streams:
        stream.close()
    if took >= seconds(8):
        raise Stalled(f"the drain took {took:.1f} s")


def test_while_draining(hub, start_gateway):
    """The requests have to come while it drains: a try in which that took too long is another one's turn."""
    unstalled(lambda: drain_with_streams(hub, start_gateway))


# --- figures ---


def test_stats_have_the_described_form(gateway):
    post(gateway.port, "/events", {"event_type": "a"})
    post(gateway.port, "/events", b"{", {"Content-Type": "application/json"})
    answer = get(gateway.port, "/stats")
    assert answer.headers["Cache-Control"] == "no-store"
    with open(os.path.join(API, "openapi.json"), encoding="utf-8") as file:
        api = json.load(file)
    resolver = jsonschema.RefResolver("", api)
    jsonschema.Draft202012Validator(api["components"]["schemas"]["Stats"], resolver=resolver).validate(answer.json)
    stats = answer.json["gateway"]
    assert stats["published_total"]["http"] == 1 and stats["rejected"]["http"] == {"bad_json": 1}
    assert stats["memory"]["resident_bytes"] > 1 << 20
    assert answer.json["hub"]["events_published"] == 1


def test_rates_rise_and_fall(gateway):
    def rate():
        return get(gateway.port, "/stats").json["gateway"]["rates_per_s"]["published"]

    post(gateway.port, "/events", [{"event_type": "a"}] * 1000)
    wait_until(lambda: rate() > 100, 5, "a rate")
    wait_until(lambda: rate() == 0, 10, "no rate")


def test_metrics_are_what_prometheus_reads(gateway):
    with SseReader(gateway.port, "/events/stream") as stream:
        stream.wait_open()
        post(gateway.port, "/events", {"event_type": 'odd "topic"\\n'})
        stream.wait_events(1)
        metrics = Metrics(gateway.port)
    assert metrics.get("notifyhub_published_total", door="http") == 1
    assert metrics.get("notifyhub_sessions", door="sse") == 1
    assert metrics.get("notifyhub_delivered_total", door="sse") == 1
    assert metrics.get("notifyhub_hub_up") == 1 and metrics.get("notifyhub_hub_events_published_total") == 1
    assert metrics.get("notifyhub_ready") == 1
    assert metrics.get("notifyhub_resident_memory_bytes") > 1 << 20
    labels = {name for _, pairs in metrics.samples for name, _ in pairs}
    assert labels == {"version", "loop", "door", "reason", "of", "action"}  # nothing that grows with use
    assert not any("odd" in value for _, pairs in metrics.samples for _, value in pairs)


def test_the_access_log_is_behind_a_switch(hub, start_gateway):
    quiet = start_gateway(hub)
    get(quiet.port, "/health")
    loud = start_gateway(hub, "--log-access", "true").wait_connected()
    post(loud.port, "/events", {"event_type": "a"})
    get(loud.port, "/nothing")
    line = loud.wait_log(r"event=request .*method=POST path=/events .*$").group(0)
    assert re.search(r"status=202\b", line) and re.search(r"duration_ms=[0-9.]+", line) and "peer=127.0.0.1:" in line
    loud.wait_log(r"event=request .*path=/nothing status=404")
    with SseReader(loud.port, "/events/stream") as stream:
        stream.wait_open()
    loud.wait_log(r"event=request .*path=/events/stream status=200")
    assert "event=request" not in quiet.stderr
    assert "probe" not in loud.stderr


# --- descriptions ---

OPENAPI_CORE = {
    "type": "object", "required": ["openapi", "info", "paths"],
    "properties": {
        "openapi": {"const": "3.1.0"},
        "info": {"type": "object", "required": ["title", "version"]},
        "paths": {"type": "object", "patternProperties": {"^/": {
            "type": "object", "minProperties": 1, "additionalProperties": {
                "type": "object", "required": ["operationId", "summary", "responses"],
                "properties": {"responses": {"type": "object", "minProperties": 1, "patternProperties": {
                    "^[1-5][0-9][0-9]$": {"type": "object", "required": ["description"]}},
                    "additionalProperties": False},
                    "parameters": {"type": "array", "items": {"anyOf": [
                        {"required": ["$ref"]}, {"required": ["name", "in", "schema"]}]}}}}}},
            "additionalProperties": False}}}
ASYNCAPI_CORE = {
    "type": "object", "required": ["asyncapi", "info", "channels", "operations", "components"],
    "properties": {
        "asyncapi": {"const": "3.0.0"}, "info": {"required": ["title", "version"]},
        "channels": {"additionalProperties": {"required": ["address", "messages"]}},
        "operations": {"additionalProperties": {
            "required": ["action", "channel"], "properties": {"action": {"enum": ["send", "receive"]}}}}}}


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
def test_descriptions_are_packed_and_tagged(gateway, path):
    plain, packed = get(gateway.port, path), get(gateway.port, path, {"Accept-Encoding": "br, gzip"})
    assert "Content-Encoding" not in plain.headers and packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body and len(packed.body) < len(plain.body) / 4
    assert plain.headers["ETag"] != packed.headers["ETag"]
    for answer, encodings in ((plain, "identity"), (packed, "gzip")):
        assert answer.headers["Vary"] == "Accept-Encoding" and answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-cache"
        again = get(gateway.port, path, {"Accept-Encoding": encodings, "If-None-Match": answer.headers["ETag"]})
        assert again.status == 304 and again.body == b"" and again.headers["ETag"] == answer.headers["ETag"]
        other = get(gateway.port, path, {"Accept-Encoding": encodings, "If-None-Match": '"something else"'})
        assert other.status == 200 and other.body == answer.body
    assert "Content-Encoding" not in get(gateway.port, path, {"Accept-Encoding": "gzip;q=0"}).headers


def test_long_pages_of_types_and_clients_are_packed(gateway):
    page = get(gateway.port, "/types", {"Accept-Encoding": "gzip"})  # a short one is not worth it
    assert "Content-Encoding" not in page.headers and page.headers["Vary"] == "Accept-Encoding" and "types" in page.json
    post(gateway.port, "/events", [{"event_type": f"type.{i}"} for i in range(200)])
    wait_until(lambda: get(gateway.port, "/types").json["total"] == 200, 10, "the types")
    # Only what does not change by itself is compared.
    names = [row["event_type"] for row in get(gateway.port, "/types?limit=1000").json["types"]]
    packed = get(gateway.port, "/types?limit=1000", {"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and packed.headers["Vary"] == "Accept-Encoding"
    assert packed.headers["Content-Type"] == "application/json" and packed.headers["Cache-Control"] == "no-store"
    assert [row["event_type"] for row in json.loads(gzip.decompress(packed.body))["types"]] == names
    assert len(packed.body) < len(get(gateway.port, "/types?limit=1000").body) / 2
    readers = [SseReader(gateway.port, "/events/stream?event_type=x") for _ in range(10)]
    try:
        for reader in readers:
            reader.wait_open()
        packed = get(gateway.port, "/clients", {"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert len(json.loads(gzip.decompress(packed.body))["clients"]) == 10
    finally:
        for reader in readers:
            reader.close()


@pytest.mark.parametrize("name, core", [("openapi", OPENAPI_CORE), ("asyncapi", ASYNCAPI_CORE)])
def test_descriptions_are_served_and_sound(gateway, name, core):
    answer = get(gateway.port, f"/{name}.json")
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    with open(os.path.join(API, f"{name}.json"), "rb") as file:
        assert answer.body == file.read()
    api = answer.json
    jsonschema.Draft202012Validator(core).validate(api)
    for reference in references(api):
        target = api
        assert reference.startswith("#/"), reference
        for part in reference[2:].split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
    for schema in api["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_described_get_answers(gateway):
    api = get(gateway.port, "/openapi.json").json
    for path, item in api["paths"].items():
        if path in ("/events/stream", "/ws") or "get" not in item:
            continue
        answer = get(gateway.port, path)
        assert str(answer.status) in item["get"]["responses"], (path, answer)


def test_events_and_answers_are_as_described(gateway):
    api = get(gateway.port, "/openapi.json").json
    resolver = jsonschema.RefResolver("", api)

    def check(name, value):
        jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}"}, resolver=resolver).validate(value)

    check("Accepted", post(gateway.port, "/events", {"event_type": "a", "more": 1}).json)
    check("BatchAccepted", post(gateway.port, "/events", [{"event_type": "a"}]).json)
    check("Problem", post(gateway.port, "/events", b"[{", {"Content-Type": "application/json"}).json)
    wait_until(lambda: len(get(gateway.port, "/events?since=earliest").json["events"]) == 2, 10, "the events")
    check("HistoryPage", get(gateway.port, "/events?since=earliest").json)
    check("HistoryPage", get(gateway.port, "/events?since=earliest&format=cloudevents").json)


# --- what is no request ---


def test_a_body_with_two_lengths_is_refused(gateway):
    """Behind a proxy that believes the other one, the rest would become somebody else's request."""
    inner = b"GET /stolen HTTP/1.1\r\nHost: h\r\n\r\n"
    for headers in (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 5\r\nContent-Length: 9\r\n",
                    b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: identity\r\n"):
        answer = raw(gateway.port, b"POST /events HTTP/1.1\r\nHost: h\r\n" + headers + b"\r\n0\r\n\r\n" + inner,
                     limit=20, half_close=True)
        assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1") == 1, (headers, answer)
        assert b"stolen" not in answer
    assert get(gateway.port, "/health").status == 200


def test_what_is_no_request_harms_nobody(gateway):
    for text in (b"GET /health\r\n\r\n", b"GET /health HTTP/1.1\r\n\r\n", b"GET /health HTTP/1.1\r\nHost h\r\n\r\n",
                 b"POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
                 b"POST /events HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
        answer = raw(gateway.port, text, limit=20, half_close=True)
        assert answer == b"" or int(answer.split(b" ")[1]) in (200, 400, 411, 413, 501, 505), (text, answer)
    assert get(gateway.port, "/health").status == 200
