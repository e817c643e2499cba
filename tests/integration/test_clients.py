"""Who is connected, disconnecting one, and what is known of event types."""
# ctest: timeout=300
import time

import pytest

from support.http import get, post, request
from support.many import ManyClients
from support.sse import SseReader
from support.waiting import wait_until
from support.ws import WsClient


def clients(port, query="", key=None):
    value = get(port, f"/clients{query}").json
    return {c[key]: c for c in value["clients"]} if key else value


def publish(port, event_type, source="cm", **data):
    answer = post(port, "/events", {"event_type": event_type, "source_service": source, "data": data})
    assert answer.status == 202, answer
    return answer.json


def test_sessions_of_each_door_are_listed(gateway):
    began = time.time()
    with WsClient(gateway.port) as idle, \
            WsClient(gateway.port, "/ws?event_type=a&event_type=b*&policy=latest&format=cloudevents") as ws, \
            SseReader(gateway.port, "/events/stream") as sse:
        idle.wait_op("welcome")
        ws.wait_op("subscribed")
        sse.wait_open()
        sent = publish(gateway.port, "a", n=1)
        ws.wait_events(1)
        sse.wait_events(1)
        answer = get(gateway.port, "/clients")
        assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
        page = answer.json
        assert page["count"] == 3 and page["total"] == 3 and page["more"] is False
        assert page["next"] == page["clients"][2]["id"] and len({c["id"] for c in page["clients"]}) == 3
        first, second, third = page["clients"]
        assert first["door"] == "ws" and first["state"] == "idle" and "event_type" not in first
        assert second["door"] == "ws" and second["state"] == "live" and second["event_type"] == ["a", "b*"]
        assert second["format"] == "cloudevents" and second["policy"] == "latest" and second["delivered"] == 1
        assert third["door"] == "sse" and third["event_type"] == [] and third["policy"] == "disconnect"
        for client in page["clients"]:
            assert client["peer"].startswith("127.0.0.1:") and client["groups"] == []
            assert client["lag"] == 0 and client["dropped"] == 0
            assert began - 5 <= client["connected_at"] <= time.time() + 5
            assert client["position"] == f"{sent['epoch']}-{sent['seq']}"
        assert [c["id"] for c in clients(gateway.port, "?door=sse")["clients"]] == [third["id"]]
        assert clients(gateway.port, "?door=http")["clients"] == []
    wait_until(lambda: clients(gateway.port)["total"] == 0, 10, "nobody is left")
    assert clients(gateway.port) == {"clients": [], "count": 0, "total": 0, "more": False, "next": None}


def test_pages_show_each_client_once(gateway):
    with ManyClients(gateway.port, "ws", ["event_type=a"] * 250) as many:
        many.wait_open()
        seen, after, pages = [], "", 0
        while True:
            page = clients(gateway.port, f"?limit=40{after}")
            seen += [c["id"] for c in page["clients"]]
            pages += 1
            if not page["more"]:
                break
            after = f"&after={page['next']}"
        assert len(seen) == 250 == len(set(seen)) and pages == 7
        assert clients(gateway.port, "?limit=1000")["count"] == 250
    # Those that came first are gone: a page behind them still finds the others.
    with WsClient(gateway.port) as ws:
        ws.wait_op("welcome")
        wait_until(lambda: clients(gateway.port)["total"] == 1, 20, "the others are gone")
        assert clients(gateway.port, f"?after={seen[100]}")["count"] == 1


def test_a_reader_that_lags_shows_it(hub, start_gateway):
    gateway = start_gateway(hub, "--gateway-session-max-bytes", "200000").wait_connected()
    with WsClient(gateway.port, "/ws?event_type=a&policy=drop_oldest", receive_buffer=4096) as slow:
        slow.wait_op("subscribed")
        slow.pause()

        def is_lagging():
            for _ in range(20):
                publish(gateway.port, "a", text="x" * 20000)
            client = clients(gateway.port)["clients"][0]
            return client["state"] == "lagging" and client["dropped"] > 0 and client
        client = wait_until(is_lagging, 60, "a session that lags")
        assert client["lag"] > 0 and client["waiting_bytes"] > 0 and client["policy"] == "drop_oldest"
        slow.unpause()


def test_one_is_disconnected(gateway):
    with WsClient(gateway.port) as first, WsClient(gateway.port) as second, WsClient(gateway.port) as third, \
            SseReader(gateway.port, "/events/stream") as sse:
        for ws in (first, second, third):
            ws.wait_op("welcome")
        sse.wait_open()
        ids = [c["id"] for c in clients(gateway.port)["clients"]]
        assert request(gateway.port, "DELETE", f"/clients/{ids[0]}").status == 204
        assert first.wait_close() == 1008 and first.close_reason == "closed by the operator"
        assert request(gateway.port, "DELETE", f"/clients/{ids[1]}?reconnect=true").status == 204
        assert second.wait_close() == 1012
        assert request(gateway.port, "DELETE", f"/clients/{ids[3]}").status == 204
        sse.wait_end()
        wait_until(lambda: clients(gateway.port)["total"] == 1, 10, "one is left")
        request(gateway.port, "DELETE", f"/clients/{ids[0]}").problem(404, "unknown_client")
        third.send({"op": "ping", "id": 1})
        third.wait_op("pong")


@pytest.mark.parametrize("method, path, status, code", [
    ("GET", "/clients?limit=0", 400, "bad_query"),
    ("GET", "/clients?limit=1001", 400, "bad_query"),
    ("GET", "/clients?limit=", 400, "bad_query"),
    ("GET", "/clients?after=-", 400, "bad_query"),
    ("GET", "/clients?after=zzzzzzzzzzzzzz", 400, "bad_query"),
    ("GET", "/clients?after=zzz", 400, "bad_query"),
    ("GET", "/clients?after=zzzzzzzzzz", 400, "bad_query"),
    ("GET", "/clients?door=stomp", 400, "bad_query"),
    ("GET", "/clients?dor=ws", 400, "bad_query"),
    ("GET", "/clients/abc", 405, "method_not_allowed"),
    ("DELETE", "/clients/abc", 404, "unknown_client"),
    ("DELETE", "/clients/A%20B", 404, "unknown_client"),
    ("DELETE", "/clients/abc?reconnect=1", 400, "bad_query"),
    ("DELETE", "/clients", 405, "method_not_allowed"),
    ("GET", "/types?limit=1001", 400, "bad_query"),
    ("GET", "/types?after=x", 400, "bad_query"),
    ("GET", "/types?values=yes", 400, "bad_query"),
    ("POST", "/types", 405, "method_not_allowed"),
])
def test_what_is_wrong_is_said(gateway, method, path, status, code):
    request(gateway.port, method, path).problem(status, code)


def test_foreign_pages_may_not_disconnect(gateway):
    request(gateway.port, "DELETE", "/clients/abc", headers={"Origin": "http://elsewhere"}).problem(403, "foreign_origin")


def test_types_have_figures(gateway):
    before = get(gateway.port, "/types").json
    known = before["total"]  # the hub's own, if its time has come
    began = time.time()
    for n in range(3):
        last = publish(gateway.port, "alpha", "one", n=n)
    publish(gateway.port, "alpha", 'tw"o', n=3)
    last = publish(gateway.port, "alpha", "one", n=4)
    publish(gateway.port, 'be"ta', "x" * 500)

    def all_here():
        value = get(gateway.port, "/types?values=true").json
        types = {t["event_type"]: t for t in value["types"]}
        return "alpha" in types and types["alpha"]["count"] == 5 and 'be"ta' in types and (value, types)
    value, types = wait_until(all_here, 10, "the figures")
    alpha = types["alpha"]
    assert alpha["position"] == f"{last['epoch']}-{last['seq']}" and alpha["event"]["data"] == {"n": 4}
    assert alpha["sources"] == [{"source_service": "one", "count": 4}, {"source_service": 'tw"o', "count": 1}]
    assert began - 5 <= alpha["last_seen"] <= time.time() + 5
    assert types['be"ta']["sources"] == [] and types['be"ta']["count"] == 1
    assert value["total"] >= known + 2 and value["forgotten"] == 0 and value["more"] is False
    assert "event" not in get(gateway.port, "/types").json["types"][0]
    first = get(gateway.port, "/types?limit=1").json
    assert first["count"] == 1 and first["more"] is True
    rest = get(gateway.port, f"/types?after={first['next']}").json
    assert rest["count"] == value["total"] - 1 and first["types"][0]["n"] not in [t["n"] for t in rest["types"]]
    assert get(gateway.port, "/types?after=999999").json["next"] is None
    wait_until(lambda: {t["event_type"]: t for t in get(gateway.port, "/types").json["types"]}["alpha"]["rate_per_s"] > 0,
               15, "a rate")


def test_types_from_history_are_known_without_figures(hub, start_gateway):
    first = start_gateway(hub).wait_connected()
    sent = publish(first.port, "old", n=1)
    second = start_gateway(hub).wait_connected()

    def old():
        return {t["event_type"]: t for t in get(second.port, "/types").json["types"]}.get("old")
    wait_until(old, 10, "the type")
    assert old()["count"] == 0 and old()["last_seen"] is None and old()["position"] == f"{sent['epoch']}-{sent['seq']}"
    publish(first.port, "old", n=2)
    wait_until(lambda: old()["count"] == 1, 10, "one live event")


def test_ids_are_not_used_again_after_a_restart(gateway):
    with WsClient(gateway.port) as ws:
        ws.wait_op("welcome")
        first = clients(gateway.port)["clients"][0]["id"]
    gateway.restart()
    with WsClient(gateway.port) as ws:
        ws.wait_op("welcome")
        second = clients(gateway.port)["clients"][0]["id"]
    assert len(second) == len(first) and second > first
