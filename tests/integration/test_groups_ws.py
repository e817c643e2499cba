"""Consumer groups over WebSocket."""
# ctest: timeout=300
import json

import pytest

from support.http import get, post, request
from support.waiting import wait_until
from support.ws import WsClient


@pytest.fixture
def fake(stand_in):
    hub = stand_in()
    hub.add_group("g")
    return hub


@pytest.fixture
def gate(fake, stand_in, start_gateway):
    return start_gateway(stand_in.ports).wait_connected()


def consume(ws, group="g", credit=10, **more):
    ws.send({"op": "consume", "id": f"c-{group}-{credit}", "group": group, "credit": credit, **more})
    return ws.wait_op("consuming", id=f"c-{group}-{credit}")


def wait_deliveries(ws, count):
    ws.wait(lambda w: len(w.ops("delivery")) >= count, what=f"{count} deliveries")
    return ws.ops("delivery")


def names(deliveries):
    return [d["delivery"] for d in deliveries]


def test_deliveries_come_as_far_as_the_credit_goes(fake, gate):
    with WsClient(gate.port) as ws:
        answer = consume(ws, credit=3, member="w1")
        assert answer == {"op": "consuming", "id": "c-g-3", "group": "g", "credit": 3, "member": "w1"}
        for n in range(10):
            fake.push("g", {"n": n})
        first = wait_deliveries(ws, 3)
        assert first[0] == {"op": "delivery", "group": "g", "delivery": "abcdefgh-1.1", "attempt": 1,
                            "event": first[0]["event"]}
        assert [d["event"]["data"]["n"] for d in first] == [0, 1, 2]
        ws.send({"op": "ack", "id": 1, "group": "g", "deliveries": names(first[:2])})
        assert ws.wait_op("acked", id=1) == {"op": "acked", "id": 1, "group": "g", "count": 2, "failed": [],
                                             "durability": "memory"}
        assert [d["event"]["data"]["n"] for d in wait_deliveries(ws, 5)] == [0, 1, 2, 3, 4]
        ws.send({"op": "nack", "id": 2, "group": "g", "deliveries": names(first[2:3]), "delay_ms": 7})
        ws.wait_op("nacked", id=2)
        assert fake.requests("nack")[0]["delay_ms"] == 7
        again = wait_deliveries(ws, 6)[5]
        assert again["delivery"] == "abcdefgh-3.2" and again["attempt"] == 2
        ws.send({"op": "extend", "id": 3, "group": "g", "deliveries": [again["delivery"]], "visibility_ms": 60000})
        assert ws.wait_op("extended", id=3)["count"] == 1 and fake.requests("extend")[0]["visibility_ms"] == 60000
        ws.send({"op": "ack", "id": 4, "group": "g", "deliveries": ["abcdefgh-999.1"]})
        assert ws.wait_op("acked", id=4)["failed"] == [{"delivery": "abcdefgh-999.1", "code": "stale_delivery"}]
        assert not ws.events
    assert all(r["max"] <= 3 and r["member"] == "w1" for r in fake.requests("fetch"))


def test_what_a_session_held_is_given_back_and_what_it_never_saw_does_not_count(fake, gate):
    with WsClient(gate.port) as ws:
        consume(ws, credit=2)
        fake.push("g", {})
        fake.push("g", {})
        wait_deliveries(ws, 2)
        ws.send({"op": "ack", "id": 1, "group": "g", "deliveries": ["abcdefgh-1.1"]})
        ws.wait_op("acked")
        wait_until(lambda: fake.waiting("g") == 1, 10, "the next fetch")
    wait_until(lambda: fake.requests("nack"), 10, "the deliveries given back")
    given_back = fake.requests("nack")[0]
    assert given_back["deliveries"] == ["abcdefgh-2.1"] and "release" not in given_back
    # The fetch of the session that is gone gets it, and the gateway gives it back again: nobody saw it.
    wait_until(lambda: len(fake.requests("nack")) > 1, 10, "the second one")
    assert fake.requests("nack")[1]["deliveries"] == ["abcdefgh-2.2"] and fake.requests("nack")[1]["release"] is True
    with WsClient(gate.port) as ws:
        consume(ws)
        assert wait_deliveries(ws, 1)[0]["delivery"] == "abcdefgh-2.3"


def test_a_credit_of_zero_stops(fake, gate):
    with WsClient(gate.port) as ws:
        consume(ws, credit=1)
        fake.push("g", {"n": 1})
        wait_deliveries(ws, 1)
        assert consume(ws, credit=0)["credit"] == 0
        ws.send({"op": "ack", "id": 1, "group": "g", "deliveries": ["abcdefgh-1.1"]})
        ws.wait_op("acked")
        fake.push("g", {"n": 2})
        ws.send({"op": "ping", "id": 9})
        ws.wait_op("pong", id=9)
        assert len(ws.ops("delivery")) == 1
        consume(ws, credit=5)
        assert wait_deliveries(ws, 2)[1]["event"]["data"] == {"n": 2}


def test_several_groups_and_a_stream_on_one_connection(fake, gate):
    fake.add_group("h")
    with WsClient(gate.port) as ws:
        ws.send({"op": "subscribe", "id": 1})
        ws.wait_op("subscribed", id=1)
        consume(ws, "g")
        consume(ws, "h", member="other")
        for _ in range(200):
            fake.push("g", {"in": "g"})
            fake.push("h", {"in": "h"})
        told = set()

        def all_done():
            for delivery in ws.ops("delivery"):
                if delivery["delivery"] not in told:
                    told.add(delivery["delivery"])
                    ws.send({"op": "ack", "group": delivery["group"], "deliveries": [delivery["delivery"]]})
            return all(len(fake.groups[g]["acked"]) == 200 for g in "gh")
        wait_until(all_done, 30, ws.describe)
        assert all(d["event"]["data"]["in"] == d["group"] for d in ws.ops("delivery"))
        for group in "gh":
            assert names(ws.ops("delivery", group=group)) == sorted(
                set(names(ws.ops("delivery", group=group))), key=lambda n: int(n.split("-")[1].split(".")[0]))


def test_cloudevents_sessions_get_cloudevents(fake, gate):
    with WsClient(gate.port, "/ws?format=cloudevents") as ws:
        consume(ws)
        fake.push("g", {"x": float("inf")})
        assert wait_deliveries(ws, 1)[0]["event"]["specversion"] == "1.0"


def test_large_events_and_a_reader_that_pauses(fake, gate):
    text = "x" * 300000
    with WsClient(gate.port, receive_buffer=4096) as ws:
        consume(ws, credit=20)
        ws.pause()
        for n in range(20):
            fake.push("g", {"n": n, "text": text if n % 2 else ""})
        wait_until(lambda: len(fake.groups["g"]["held"]) >= 2, 20, "deliveries on their way")
        ws.unpause()
        got = wait_deliveries(ws, 20)
        assert sorted(d["event"]["data"]["n"] for d in got) == list(range(20))
        assert all(d["event"]["data"]["text"] in ("", text) for d in got)


def test_a_lost_link_is_bridged(fake, stand_in, gate):
    with WsClient(gate.port) as ws:
        consume(ws)
        fake.push("g", {"n": 1})
        wait_deliveries(ws, 1)
        fake.close()
        ws.send({"op": "ack", "id": 1, "group": "g", "deliveries": ["abcdefgh-1.1"]})
        answer = ws.wait_op("error", id=1)
        assert answer["code"] in ("hub_unavailable", "outcome_unknown") and answer["group"] == "g"
        ws.send({"op": "consume", "id": 2, "group": "h", "credit": 1})
        assert ws.wait_op("error", id=2)["code"] == "hub_unavailable"
        again = stand_in()
        again.add_group("g")
        again.push("g", {"n": 2})
        gate.wait_connected()
        assert wait_deliveries(ws, 2)[1]["event"]["data"] == {"n": 2}


def test_a_group_that_is_deleted_ends_the_consumer(fake, gate):
    with WsClient(gate.port) as ws:
        consume(ws)
        wait_until(lambda: fake.waiting("g") == 1, 10, "the fetch")
        fake.override = {"fetch": lambda _: {"success": False, "error": "gone", "code": "unknown_group"}}
        fake.push("g", {})
        wait_deliveries(ws, 1)
        assert ws.wait_op("error")["code"] == "unknown_group" and ws.ops("error")[0]["id"] == "c-g-10"
        fake.override = {}
        consume(ws, credit=9)


@pytest.mark.parametrize("message, code", [
    ({"op": "consume", "group": "g"}, "missing_field"),
    ({"op": "consume", "credit": 1}, "missing_field"),
    ({"op": "consume", "group": "g", "credit": 1001}, "bad_value"),
    ({"op": "consume", "group": "g", "credit": -1}, "bad_value"),
    ({"op": "consume", "group": "g", "credit": 1.5}, "bad_value"),
    ({"op": "consume", "group": "g", "credit": "1"}, "wrong_type"),
    ({"op": "consume", "group": 7, "credit": 1}, "wrong_type"),
    ({"op": "consume", "group": "a b", "credit": 1}, "bad_group_name"),
    ({"op": "consume", "group": "", "credit": 1}, "bad_group_name"),
    ({"op": "consume", "group": "g" * 65, "credit": 1}, "bad_group_name"),
    ({"op": "consume", "group": "g", "credit": 1, "member": ""}, "bad_value"),
    ({"op": "consume", "group": "g", "credit": 1, "member": "m" * 129}, "bad_value"),
    ({"op": "consume", "group": "g", "credit": 1, "member": "a\nb"}, "bad_value"),
    ({"op": "consume", "group": "g", "credit": 1, "member": 1}, "wrong_type"),
    ({"op": "consume", "group": "g", "credit": 1, "deliveries": []}, "bad_message"),
    ({"op": "consume", "group": "nobody", "credit": 1}, "unknown_group"),
    ({"op": "ack", "group": "g"}, "missing_field"),
    ({"op": "ack", "deliveries": []}, "missing_field"),
    ({"op": "ack", "group": "g", "deliveries": "abcdefgh-1.1"}, "wrong_type"),
    ({"op": "ack", "group": "g", "deliveries": [1]}, "wrong_type"),
    ({"op": "ack", "group": "g", "deliveries": ["abcdefgh-1"]}, "bad_value"),
    ({"op": "ack", "group": "g", "deliveries": ["abcdefgh-1.1"] * 1001}, "bad_value"),
    ({"op": "ack", "group": "g", "deliveries": [], "delay_ms": 1}, "bad_message"),
    ({"op": "nack", "group": "g", "deliveries": [], "delay_ms": 43200001}, "bad_value"),
    ({"op": "nack", "group": "g", "deliveries": [], "delay_ms": True}, "wrong_type"),
    ({"op": "extend", "group": "g", "deliveries": [], "visibility_ms": 99}, "bad_value"),
    ({"op": "ack", "group": "nobody", "deliveries": []}, "unknown_group"),
])
def test_what_is_wrong_is_said(gate, message, code):
    with WsClient(gate.port) as ws:
        ws.send({"id": 5, **message})
        assert ws.wait_op("error", id=5)["code"] == code


def test_a_connection_consumes_from_a_bounded_number_of_groups(fake, gate):
    with WsClient(gate.port) as ws:
        for n in range(17):
            fake.add_group(f"g{n}")
            ws.send({"op": "consume", "id": n, "group": f"g{n}", "credit": 1})
        assert ws.wait_op("error", id=16)["code"] == "too_many_groups"
        ws.wait(lambda w: len(w.ops("consuming")) == 16)


def test_idle_consumers_wait_at_the_hub_and_all_are_given_back_at_the_end(fake, gate):
    clients = [WsClient(gate.port) for _ in range(120)]
    for n, ws in enumerate(clients):
        ws.send({"op": "consume", "id": n, "group": "g", "credit": 1000})
    # The first fetch of each only asks whether the group is there.
    wait_until(lambda: len([r for r in fake.requests("fetch") if r["wait_ms"] > 0]) == 120, 30,
               lambda: f"{fake.waiting('g')} of 120 fetches")
    asked = len(fake.requests("fetch"))
    for n in range(5):
        clients[n].send({"op": "ping", "id": "p"})
        clients[n].wait_op("pong")
    assert len(fake.requests("fetch")) == asked
    for _ in range(120):
        fake.push("g", {})
    wait_until(lambda: sum(len(ws.ops("delivery")) for ws in clients) == 120, 30, "a delivery for each event")
    gate.stop()
    wait_until(lambda: sum(len(r["deliveries"]) for r in fake.requests("nack") if "release" not in r) == 120, 10,
               lambda: f"{sum(len(r['deliveries']) for r in fake.requests('nack'))} given back")
    for ws in clients:
        ws.close()


def test_http_and_websocket_members_share(fake, gate):
    with WsClient(gate.port) as ws:
        consume(ws, credit=1)
        fake.push("g", {"n": 1})
        wait_deliveries(ws, 1)
        fake.push("g", {"n": 2})
        value = post(gate.port, "/groups/g/fetch?wait_ms=10000", b"").json
        assert value["events"][0]["event"]["data"] == {"n": 2}
        assert post(gate.port, "/groups/g/ack", {"deliveries": ["abcdefgh-1.1", "abcdefgh-2.1"]}).json["count"] == 2
        assert json.loads(ws.texts[-1])["op"] == "delivery"


def test_consumers_are_shown_among_the_clients(fake, gate):
    with WsClient(gate.port) as ws:
        consume(ws, credit=4)
        fake.push("g", {})
        wait_deliveries(ws, 1)
        client = get(gate.port, "/clients").json["clients"][0]
        assert client["groups"] == [{"group": "g", "member": "ws-" + client["id"], "credit": 4, "held": 1}]
        assert client["state"] == "idle" and client["fetched_bytes"] == 0 and client["delivered"] == 1
        assert request(gate.port, "DELETE", f"/clients/{client['id']}").status == 204
        assert ws.wait_close() == 1008
    wait_until(lambda: fake.requests("nack"), 10, "the delivery given back")
    assert fake.requests("nack")[0]["deliveries"] == ["abcdefgh-1.1"] and "release" not in fake.requests("nack")[0]
