"""Consumer groups over HTTP."""
# ctest: timeout=300
import json
import socket
import threading

import pytest

from support.http import KeepAlive, connect, get, post, raw, request
from support.waiting import wait_until


@pytest.fixture
def fake(stand_in):
    return stand_in()


@pytest.fixture
def door(fake, stand_in, start_gateway):
    """The port of a gateway behind the stand-in."""
    return start_gateway(stand_in.ports).wait_connected().port


class Background(threading.Thread):
    """A request that waits, in a thread."""

    def __init__(self, *arguments, **named):
        super().__init__(daemon=True)
        self.arguments, self.named, self.answer = arguments, named, None
        self.start()

    def run(self):
        self.answer = request(*self.arguments, **self.named)

    def result(self):
        self.join(60)
        assert self.answer is not None
        return self.answer


def test_members_of_a_body_reach_the_hub_as_they_were_written(fake, door):
    body = '{"event_type":["order:*","b"],"since":"earliest","visibility_ms":1000,"max_attempts":0,"ordered":true,"hold":false}'
    answer = request(door, "PUT", "/groups/billing", body)
    assert answer.status == 201 and answer.json == {"group": "billing", "created": True, "durability": "memory"}
    sent = fake.requests("group_create")[0]
    assert {k: sent[k] for k in json.loads(body)} == json.loads(body) and sent["group"] == "billing"
    assert request(door, "PUT", "/groups/billing", body).status == 200
    assert get(door, "/groups").json == {"groups": [{"group": "billing"}]}
    assert get(door, "/groups/billing").json == {"group": "billing", "lag": 0}
    assert request(door, "DELETE", "/groups/billing").status == 204
    get(door, "/groups/billing").problem(404, "unknown_group")


def test_a_fetch_waits_and_brings_events_with_their_deliveries(fake, door):
    fake.add_group("g")
    waiting = Background(door, "POST", "/groups/g/fetch?max=5&wait_ms=60000&member=w%201", limit=60)
    wait_until(lambda: fake.waiting("g") == 1, 10, "the fetch")
    fake.push("g", {"x": 1})
    answer = waiting.result()
    assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
    value = answer.json
    assert value["group"] == "g" and value["count"] == 1 and value["visibility_ms"] == 30000
    assert value["events"][0]["delivery"] == "abcdefgh-1.1" and value["events"][0]["attempt"] == 1
    assert value["events"][0]["event"]["data"] == {"x": 1} and value["events"][0]["event"]["seq"] == 1
    sent = fake.requests("fetch")[0]
    assert sent["member"] == "w 1" and sent["max"] == 5 and sent["wait_ms"] == 60000
    answer = post(door, "/groups/g/ack", {"deliveries": ["abcdefgh-1.1", "abcdefgh-9.1"]})
    assert answer.json == {"group": "g", "count": 1, "durability": "memory",
                           "failed": [{"delivery": "abcdefgh-9.1", "code": "stale_delivery"}]}
    assert post(door, "/groups/g/extend", {"deliveries": []}).json["failed"] == []
    assert post(door, "/groups/g/fetch", b"").json["events"] == []
    assert fake.requests("fetch")[1]["member"] == "http-127.0.0.1"


def test_words_that_json_does_not_know_are_null(fake, door):
    fake.add_group("g")
    fake.push("g", {"x": float("nan")})
    assert post(door, "/groups/g/fetch?wait_ms=10000", b"").json["events"][0]["event"]["data"] == {"x": None}
    fake.push("g", {"x": 2})
    value = post(door, "/groups/g/fetch?wait_ms=10000&format=cloudevents", b"").json["events"][0]["event"]
    assert value["specversion"] == "1.0" and value["type"] == "t" and value["data"] == {"x": 2}


def test_a_client_that_left_gives_its_deliveries_back_without_an_attempt(fake, door):
    fake.add_group("g")
    with connect(door) as sock:
        sock.sendall(b"POST /groups/g/fetch?wait_ms=60000 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        wait_until(lambda: fake.waiting("g") == 1, 10, "the fetch")
    fake.push("g", {"x": 1})
    wait_until(lambda: fake.requests("nack"), 10, "the deliveries given back")
    assert fake.requests("nack")[0]["deliveries"] == ["abcdefgh-1.1"] and fake.requests("nack")[0]["release"] is True
    answer = post(door, "/groups/g/fetch?wait_ms=10000", b"")
    assert answer.json["events"][0]["delivery"] == "abcdefgh-1.2"
    assert post(door, "/groups/g/ack", {"deliveries": ["abcdefgh-1.2"]}).json["count"] == 1


def test_a_lost_link_and_a_stop_answer_those_that_wait(fake, stand_in, start_gateway):
    gateway = start_gateway(stand_in.ports).wait_connected()
    fake.add_group("g")
    waiting = Background(gateway.port, "POST", "/groups/g/fetch?wait_ms=60000", limit=60)
    wait_until(lambda: fake.waiting("g") == 1, 10, "the fetch")
    fake.close()
    answer = waiting.result()
    answer.problem(503, "hub_unavailable")
    assert answer.headers["Retry-After"]
    get(gateway.port, "/groups").problem(503, "hub_unavailable")
    post(gateway.port, "/groups/g/ack", {"deliveries": ["a"]}).problem(503, "hub_unavailable")
    again = stand_in()
    again.add_group("g")
    gateway.wait_connected()
    waiting = Background(gateway.port, "POST", "/groups/g/fetch?wait_ms=60000", limit=60)
    wait_until(lambda: again.waiting("g") == 1, 10, "the fetch")
    gateway.stop()
    waiting.result().problem(503, "draining")


def test_a_change_without_an_answer_is_of_unknown_outcome(fake, stand_in, start_gateway):
    gateway = start_gateway(stand_in.ports, "--gateway-ack-timeout-ms", "300").wait_connected()
    fake.add_group("g")
    fake.mute = {"ack", "fetch"}
    post(gateway.port, "/groups/g/ack", {"deliveries": ["a"]}).problem(503, "outcome_unknown")
    post(gateway.port, "/groups/g/fetch", b"").problem(503, "hub_unavailable")


@pytest.mark.parametrize("method, path, body, status, code", [
    ("PUT", "/groups/" + "a" * 65, {}, 400, "bad_group_name"),
    ("PUT", "/groups/a%20b", {}, 400, "bad_group_name"),
    ("PUT", "/groups/a?x=1", {}, 400, "bad_query"),
    ("PUT", "/groups/a", "[]", 400, "not_an_object"),
    ("PUT", "/groups/a", "{", 400, "bad_json"),
    ("PUT", "/groups/a", '{"hold":NaN}', 400, "bad_json"),
    ("PUT", "/groups/a", {"pattern": "x"}, 400, "bad_value"),
    ("PUT", "/groups/a", {"deliveries": []}, 400, "bad_value"),
    ("POST", "/groups/a/ack", {"delay_ms": 1}, 400, "bad_value"),
    ("POST", "/groups/a/ack", {"deliveries": ["x" * 300000]}, 413, "too_big"),
    ("POST", "/groups/a/fetch?max=0", b"", 400, "bad_query"),
    ("POST", "/groups/a/fetch?max=1001", b"", 400, "bad_query"),
    ("POST", "/groups/a/fetch?max=-1", b"", 400, "bad_query"),
    ("POST", "/groups/a/fetch?wait_ms=60001", b"", 400, "bad_query"),
    ("POST", "/groups/a/fetch?wait_ms=1&wait_ms=1", b"", 400, "bad_query"),
    ("POST", "/groups/a/fetch?wait=1", b"", 400, "bad_query"),
    ("POST", "/groups/a/fetch?member=", b"", 400, "bad_query"),
    ("POST", "/groups/a/fetch?member=%0a", b"", 400, "bad_query"),
    ("POST", "/groups/a/fetch?member=%zz", b"", 400, "bad_query"),
    ("POST", "/groups/a/fetch?member=" + "m" * 129, b"", 400, "bad_query"),
    ("POST", "/groups/a/fetch?format=xml", b"", 400, "bad_query"),
    ("POST", "/groups/a/fetch", b"", 404, "unknown_group"),
    ("POST", "/groups/a/ack", {"deliveries": ["x"]}, 404, "unknown_group"),
    ("DELETE", "/groups/a", None, 404, "unknown_group"),
    ("GET", "/groups/", None, 404, "not_found"),
    ("GET", "/groups/a/b", None, 404, "not_found"),
    ("POST", "/groups/a/fetch/b", b"", 404, "not_found"),
    ("POST", "/groups", b"", 405, "method_not_allowed"),
    ("PATCH", "/groups/a", b"", 405, "method_not_allowed"),
    ("GET", "/groups/a/fetch", None, 405, "method_not_allowed"),
])
def test_what_is_wrong_is_said(door, method, path, body, status, code):
    request(door, method, path, body).problem(status, code)


def test_methods_origins_and_types(door):
    assert request(door, "OPTIONS", "/groups/a").headers["Allow"] == "GET, HEAD, PUT, DELETE, OPTIONS"
    assert request(door, "OPTIONS", "/groups/a/fetch").headers["Allow"] == "POST, OPTIONS"
    for method, path in (("PUT", "/groups/a"), ("DELETE", "/groups/a"), ("POST", "/groups/a/fetch")):
        request(door, method, path, headers={"Origin": "http://elsewhere"}).problem(403, "foreign_origin")
    request(door, "PUT", "/groups/a", b"<x/>", {"Content-Type": "text/xml"}).problem(415, "unsupported_content_type")
    assert request(door, "PUT", "/groups/a", '{"hold":false}',
                   {"Content-Type": "application/x-www-form-urlencoded"}).status == 201
    assert request(door, "PUT", "/groups/b", None).status == 201


def test_answers_of_the_hub_that_are_no_answers(fake, door):
    fake.add_group("g")
    for value in ({"deliveries": [{"delivery": "abcdefgh-5.1", "attempt": 1}]}, {"deliveries": [{}]}, {"deliveries": 7, "count": 1}):
        fake.override = {"fetch": lambda _, value=value: value}
        answer = post(door, "/groups/g/fetch", b"")
        assert answer.status in (200, 503), answer
        if answer.status == 200:
            assert answer.json["events"] == []
    fake.override = {"fetch": lambda _: {"success": False, "error": "Unknown action: fetch"}}
    post(door, "/groups/g/fetch", b"").problem(503, "hub_unavailable")
    fake.override = {"ack": lambda _: {"success": False, "error": "x", "code": "journal_unavailable"}}
    post(door, "/groups/g/ack", {"deliveries": []}).problem(503, "journal_unavailable")
    # What was named and did not come is given back.
    wait_until(lambda: fake.requests("nack"), 10, "the delivery given back")


def test_requests_on_one_connection(fake, door):
    fake.add_group("g")
    with KeepAlive(door) as client:
        for n in range(1, 20):
            fake.push("g", {"n": n})
            value = client.request("POST", "/groups/g/fetch?wait_ms=10000").json
            assert [e["event"]["data"]["n"] for e in value["events"]] == [n]
            names = [e["delivery"] for e in value["events"]]
            assert client.request("POST", "/groups/g/ack", {"deliveries": names}).json["count"] == 1
    assert fake.groups["g"]["acked"] == list(range(1, 20))


def test_many_that_wait_are_served_and_cut(fake, door):
    fake.add_group("g")
    socks = []
    for n in range(600):
        sock = socket.create_connection(("127.0.0.1", door), timeout=60)
        sock.sendall(f"POST /groups/g/fetch?wait_ms=60000&member=m{n} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
                     .encode())
        socks.append(sock)
    wait_until(lambda: fake.waiting("g") == 600, 60, lambda: f"600 fetches, {fake.waiting('g')}")
    for n in range(300):
        fake.push("g", {"n": n})
    wait_until(lambda: fake.waiting("g") == 300, 60, lambda: f"300 fetches left, {fake.waiting('g')}")
    assert raw(door, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200")
    got = []
    for sock in socks:
        sock.settimeout(60 if len(got) < 300 else 0.01)
        try:
            text = sock.recv(65536)
        except (TimeoutError, socket.timeout):
            continue
        finally:
            sock.close()
        got.append(json.loads(text.split(b"\r\n\r\n", 1)[1])["events"][0]["event"]["data"]["n"])
    assert sorted(got) == list(range(300))


def test_fetches_that_wait_are_clients_and_can_be_ended(fake, door):
    fake.add_group("g")
    with connect(door) as sock:
        sock.sendall(b"POST /groups/g/fetch?wait_ms=50000&max=7&member=w HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        wait_until(lambda: fake.waiting("g") == 1, 10, "the fetch")
        page = get(door, "/clients").json
        client = page["clients"][0]
        assert page["total"] == 1 and client["door"] == "http" and client["state"] == "fetching"
        assert client["groups"] == [{"group": "g", "member": "w", "credit": 7, "held": 0}] and client["wait_ms"] == 50000
        assert client["peer"] == "127.0.0.1:%d" % sock.getsockname()[1]
        assert get(door, "/clients?door=http").json["count"] == 1 and get(door, "/clients?door=ws").json["count"] == 0
        assert get(door, f"/clients?after={client['id']}").json["clients"] == []
        assert request(door, "DELETE", f"/clients/{client['id']}").status == 204
        assert sock.recv(100) == b""
    fake.push("g", {"n": 1})
    wait_until(lambda: fake.requests("nack"), 10, "the delivery given back")
    assert fake.requests("nack")[0]["release"] is True
    wait_until(lambda: get(door, "/clients").json["total"] == 0, 10, "nobody waits")
