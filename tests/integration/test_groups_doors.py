"""Consumer groups through the gateway with a real hub: sharing, redelivery, order, dead letters, and daemons that die."""
# ctest: timeout=600
import socket
import threading

import pytest

from support.http import connect, get, post, request
from support.metrics import Metrics
from support.sse import SseReader
from support.waiting import wait_until
from support.ws import WsClient


def make(port, group="g", **settings):
    answer = request(port, "PUT", f"/groups/{group}", {"event_type": ["job*"], "since": "earliest", **settings})
    assert answer.status == 201, answer
    return answer.json


def publish(port, first, count, event_type="job"):
    events = [{"event_type": event_type, "data": {"n": first + i}} for i in range(count)]
    answer = post(port, "/events", events)
    assert answer.status == 202, answer


def fetch(port, wait_ms=10000, **query):
    text = "&".join(f"{k}={v}" for k, v in {"wait_ms": wait_ms, **query}.items())
    answer = post(port, f"/groups/g/fetch?{text}", b"", limit=wait_ms / 1000 + 10)
    assert answer.status == 200, answer
    return answer.json["events"]


def ack(port, events):
    answer = post(port, "/groups/g/ack", {"deliveries": [e["delivery"] for e in events]})
    assert answer.status == 200, answer
    return answer.json


def numbers(events):
    return [e["event"]["data"]["n"] for e in events]


class WsMember:
    """Consumes, acknowledges and notes what it got."""

    def __init__(self, port, credit=10, acks=True):
        self.ws = WsClient(port)
        self.acks, self.got, self.answered = acks, [], 0
        self.ws.send({"op": "consume", "id": "c", "group": "g", "credit": credit})
        self.ws.wait_op("consuming", id="c")

    def work(self):
        """Takes what came so far; True."""
        deliveries = self.ws.ops("delivery")
        for d in deliveries[len(self.got):]:
            self.got.append(d)
            if self.acks:
                self.ws.send({"op": "ack", "group": "g", "deliveries": [d["delivery"]]})
        return True


def test_a_group_from_its_making_to_its_end(gateway):
    port = gateway.port
    made = make(port, max_attempts=3, visibility_ms=20000, ordered=False, hold=False)
    assert made["group"] == "g" and made["created"] is True and made["durability"] == "synced"
    settings = {"event_type": ["job*"], "since": "earliest", "max_attempts": 3, "visibility_ms": 20000}
    again = request(port, "PUT", "/groups/g", settings)
    assert again.status == 200 and again.json["created"] is False
    request(port, "PUT", "/groups/g", {**settings, "ordered": True}).problem(409, "group_exists")
    publish(port, 0, 5)
    events = fetch(port, max=3, member="m1")
    assert numbers(events) == [0, 1, 2] and {e["attempt"] for e in events} == {1}
    shown = get(port, "/groups/g").json
    assert shown["pending"] == 3 and shown["visibility_ms"] == 20000 and shown["event_type"] == ["job*"]
    assert [m["member"] for m in shown["members"]] == ["m1"]
    done = ack(port, events[:2])
    assert done["count"] == 2 and done["failed"] == [] and done["durability"] == "synced"
    assert ack(port, events[:1])["failed"][0]["code"] == "stale_delivery"
    assert post(port, "/groups/g/extend", {"deliveries": [events[2]["delivery"]], "visibility_ms": 30000}).json["count"] == 1
    assert post(port, "/groups/g/nack", {"deliveries": [events[2]["delivery"]], "delay_ms": 0}).json["count"] == 1
    rest = fetch(port, max=10)
    assert sorted(numbers(rest)) == [2, 3, 4]
    assert {e["event"]["data"]["n"]: e["attempt"] for e in rest} == {2: 2, 3: 1, 4: 1}
    ack(port, rest)
    listed = get(port, "/groups").json["groups"]
    assert [g["group"] for g in listed] == ["g"] and listed[0]["acked"] == 5 and listed[0]["redelivered"] == 1
    assert request(port, "DELETE", "/groups/g").status == 204
    get(port, "/groups/g").problem(404, "unknown_group")
    assert get(port, "/groups").json == {"groups": []}


@pytest.mark.parametrize("body, code", [
    ({"event_type": 7}, "wrong_type"), ({"event_type": [""]}, "bad_value"), ({"since": "soon"}, "bad_value"),
    ({"visibility_ms": 99}, "bad_value"), ({"visibility_ms": 43200001}, "bad_value"), ({"visibility_ms": "1"}, "wrong_type"),
    ({"max_attempts": -1}, "bad_value"), ({"max_attempts": 1.5}, "wrong_type"), ({"ordered": 1}, "wrong_type"),
    ({"hold": "yes"}, "wrong_type"), ({"event_type": ["x"] * 1025}, "too_many_patterns"),
])
def test_settings_that_make_no_sense(gateway, body, code):
    answer = request(gateway.port, "PUT", "/groups/g", body)
    value = answer.json
    assert answer.status == 400 and (value["code"] == code or value["code"].startswith("bad_")), value
    assert get(gateway.port, "/groups").json == {"groups": []}


@pytest.mark.parametrize("op, body", [
    ("ack", {}), ("ack", {"deliveries": "x"}), ("ack", {"deliveries": [7]}), ("ack", {"deliveries": ["x"]}),
    ("ack", {"deliveries": ["aaaaaaaa-1.1"] * 1001}), ("nack", {"deliveries": [], "delay_ms": -1}),
    ("nack", {"deliveries": [], "delay_ms": "1"}), ("extend", {"deliveries": [], "visibility_ms": 1}),
])
def test_answers_of_consumers_that_make_no_sense(gateway, op, body):
    make(gateway.port)
    answer = post(gateway.port, f"/groups/g/{op}", body)
    assert answer.status == 400 and answer.json["code"] in ("missing_field", "wrong_type", "bad_value"), answer


def test_two_members_over_http_share(gateway):
    port = gateway.port
    make(port)
    got = {"a": [], "b": []}
    stop = threading.Event()

    def consume(name):
        while not stop.is_set():
            events = fetch(port, wait_ms=500, max=7, member=name)
            got[name] += numbers(events)
            if events:
                ack(port, events)
    threads = [threading.Thread(target=consume, args=(name,)) for name in got]
    for thread in threads:
        thread.start()
    for batch in range(10):
        publish(port, batch * 50, 50)
    wait_until(lambda: len(got["a"]) + len(got["b"]) >= 500, 60, lambda: f"{len(got['a'])} + {len(got['b'])} of 500")
    stop.set()
    for thread in threads:
        thread.join()
    assert sorted(got["a"] + got["b"]) == list(range(500)) and got["a"] and got["b"]
    shown = get(port, "/groups/g").json
    assert shown["acked"] == 500 and shown["pending"] == 0 and shown["redelivered"] == 0


def test_http_and_websocket_members_share_and_each_event_is_done_once(gateway):
    port = gateway.port
    make(port)
    member = WsMember(port, credit=5)
    publish(port, 0, 300)
    done = []

    def all_done():
        events = fetch(port, wait_ms=0, max=20)
        done.extend(numbers(events))
        if events:
            ack(port, events)
        return member.work() and len(done) + len(member.got) >= 300
    wait_until(all_done, 60, lambda: f"{len(done)} + {len(member.got)}")
    assert sorted(done + numbers(member.got)) == list(range(300)) and member.got
    wait_until(lambda: get(port, "/groups/g").json["acked"] == 300, 10, "all acknowledged")
    member.ws.close()


def test_what_a_websocket_consumer_held_when_it_died_is_delivered_at_once(gateway):
    port = gateway.port
    make(port, visibility_ms=600000)
    member = WsMember(port, credit=5, acks=False)
    publish(port, 0, 5)
    wait_until(lambda: member.work() and len(member.got) == 5, 10, "deliveries")
    member.ws.socket.sock.shutdown(socket.SHUT_RDWR)  # without a word
    events = []

    def all_five():
        events.extend(fetch(port, wait_ms=1000, max=5))
        return len(events) == 5
    wait_until(all_five, 20, lambda: f"{events}")
    assert sorted(numbers(events)) == [0, 1, 2, 3, 4] and {e["attempt"] for e in events} == {2}


def test_a_fetch_of_a_consumer_that_left_costs_no_attempt(gateway):
    port = gateway.port
    make(port, max_attempts=1)
    member = WsMember(port)
    wait_until(lambda: get(port, "/clients").json["clients"], 10, "the consumer")
    member.ws.close()
    wait_until(lambda: get(port, "/clients").json["total"] == 0, 10, "nobody")
    publish(port, 0, 1)
    events = []
    wait_until(lambda: events.extend(fetch(port, wait_ms=1000)) or events, 20, "the event, not a dead letter")
    assert numbers(events) == [0]
    ack(port, events)
    assert get(port, "/groups/g").json["dead_letters"] == 0


@pytest.mark.parametrize("door", ["http", "ws"])
def test_a_gap_is_told_although_the_fetch_that_got_it_had_no_client_any_more(start_hub, start_gateway, door):
    """Retention takes the record of an event that a member has. When that is given back it is lost, and the fetch that waits
    at the hub is told so: the next client hears of it, if the one who waited has left."""
    hub = start_hub("--hub-journal-max-bytes", "1MiB", "--hub-history-events", "2", "--hub-stats-event", "")
    port = start_gateway(hub).wait_connected().port
    epoch = make(port, visibility_ms=600000)["position"].split("-")[0]
    publish(port, 0, 1)
    if door == "ws":
        member = WsMember(port, credit=5, acks=False)
        wait_until(lambda: member.work() and member.got, 10, "the delivery")
        held = member.got[0]["delivery"]
    else:
        held = fetch(port)[0]["delivery"]
        waiting = connect(port)
        waiting.sendall(b"POST /groups/g/fetch?wait_ms=60000 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert held == f"{epoch}-1.1"
    wait_until(lambda: get(port, "/groups/g").json["waiting"] == 1, 10, "the fetch that waits")

    def is_trimmed():
        other = [{"event_type": "other", "data": "x" * 1000}] * 200
        assert post(port, "/events", other, limit=30).status == 202
        return get(port, "/stats").json["hub"]["journal"]["oldest"] > 1
    wait_until(is_trimmed, 60, "retention to take it")
    if door == "ws":
        member.ws.close()
    else:
        waiting.close()
        assert post(port, "/groups/g/nack", {"deliveries": [held]}).json["count"] == 1
    wait_until(lambda: get(port, "/groups/g").json["lost"] == 1, 10, "the loss")
    answer = post(port, "/groups/g/fetch?wait_ms=10000", b"", limit=30).json
    assert answer["events"] == [] and answer.get("gap") == {"from": f"{epoch}-0", "to": f"{epoch}-1", "reason": "retention"}
    assert "gap" not in post(port, "/groups/g/fetch", b"").json


def test_an_ordered_group_keeps_the_order_of_each_type(gateway):
    port = gateway.port
    make(port, ordered=True)
    for n in range(20):
        publish(port, n, 1, f"job{n % 2}")
    members = [WsMember(port, credit=4) for _ in range(3)]

    def all_done():
        return all(m.work() for m in members) and sum(len(m.got) for m in members) == 20
    wait_until(all_done, 30, lambda: f"{[len(m.got) for m in members]}")
    wait_until(lambda: all(m.work() for m in members) and get(port, "/groups/g").json["acked"] == 20, 10, "all done")
    for m in members:
        for parity in (0, 1):
            seen = [n for n in numbers(m.got) if n % 2 == parity]
            assert seen == sorted(seen)
        m.ws.close()


def test_a_dead_letter_is_seen_by_those_who_ask_for_it(gateway):
    port = gateway.port
    make(port, max_attempts=2)
    with SseReader(port, "/events/stream?event_type=hub.dead_letter") as stream:
        stream.wait_open()
        publish(port, 7, 1)
        for _ in range(2):
            events = fetch(port)
            assert post(port, "/groups/g/nack", {"deliveries": [events[0]["delivery"]]}).json["count"] == 1
        letter = stream.wait_events(1)[0]
    assert letter["event_type"] == "hub.dead_letter" and letter["data"]["group"] == "g"
    assert letter["data"]["attempts"] == 2 and letter["data"]["reason"] == "nack"
    assert letter["data"]["event"]["data"] == {"n": 7}
    assert get(port, "/groups/g").json["dead_letters"] == 1


def test_figures_of_groups_are_in_stats_and_metrics(gateway):
    port = gateway.port
    make(port, max_attempts=1)
    publish(port, 0, 4)
    events = fetch(port, max=3)
    ack(port, events[:1])
    assert post(port, "/groups/g/nack", {"deliveries": [events[1]["delivery"]]}).json["count"] == 1
    wait_until(lambda: get(port, "/groups/g").json["dead_letters"] == 1, 10, "the dead letter")
    figures = get(port, "/stats").json["hub"]["groups"]
    assert figures["lag_max"] > 0
    metrics = Metrics(port)
    for name, value, metric in (("count", 1, ""), ("pending", 1, "_pending"), ("delayed", 0, "_delayed"),
                                ("waiting", 0, "_waiting"), ("acked", 1, "_acked_total"),
                                ("redelivered", 0, "_redelivered_total"), ("dead_letters", 1, "_dead_letters_total"),
                                ("lost", 0, "_lost_total"), ("lag_max", figures["lag_max"], "_lag_max_events")):
        assert figures[name] == metrics.get(f"notifyhub_hub_groups{metric}") == value, name
    assert metrics.get("notifyhub_hub_events_not_sent_total") == metrics.get("notifyhub_hub_journal_backlog_full_total") == 0


def test_a_group_that_is_deleted_tells_its_consumers(gateway):
    make(gateway.port)
    member = WsMember(gateway.port)
    assert request(gateway.port, "DELETE", "/groups/g").status == 204
    assert member.ws.wait_op("error")["code"] == "unknown_group"
    member.ws.close()


def test_too_slow_a_consumer_gets_its_deliveries_again_by_time(gateway):
    port = gateway.port
    make(port, visibility_ms=300)
    member = WsMember(port, credit=1, acks=False)
    publish(port, 0, 1)
    # Its time is over again and again; each time the credit comes back with it.
    wait_until(lambda: member.work() and len(member.got) >= 2, 20, "a second attempt")
    assert {d["event"]["data"]["n"] for d in member.got} == {0} and member.got[1]["attempt"] == 2
    member.ws.close()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_the_hub_restarts_while_consumers_work(hub, start_gateway, how):
    gateway = start_gateway(hub).wait_connected()
    port = gateway.port
    make(port, max_attempts=0, visibility_ms=2000)
    members = [WsMember(port, credit=8) for _ in range(2)]
    publish(port, 0, 200)
    wait_until(lambda: all(m.work() for m in members) and sum(len(m.got) for m in members) >= 50, 30, "some work")
    if how == "kill":
        hub.kill()
    else:
        hub.stop()
    hub.start()
    gateway.wait_connected()
    publish(port, 200, 200)

    def all_seen():
        return all(m.work() for m in members) and \
            {n for m in members for n in numbers(m.got)} == set(range(400))
    wait_until(all_seen, 60, lambda: f"{sum(len(m.got) for m in members)} deliveries, "
               f"{400 - len({n for m in members for n in numbers(m.got)})} missing; {get(port, '/groups/g').text}")

    def all_settled():
        # What was acknowledged while the hub was away was refused: it comes again by its time.
        for m in members:
            m.work()
        shown = get(port, "/groups/g").json
        return shown["lag"] == 0 and shown["pending"] == 0 and shown["delayed"] == 0
    wait_until(all_settled, 30, lambda: get(port, "/groups/g").text)
    for m in members:
        m.ws.close()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_the_gateway_restarts_while_consumers_work(hub, start_gateway, how):
    gateway = start_gateway(hub).wait_connected()
    port = gateway.port
    make(port, max_attempts=0, visibility_ms=2000)
    first = WsMember(port, credit=8)
    publish(port, 0, 200)
    wait_until(lambda: first.work() and len(first.got) >= 50, 30, "some work")
    if how == "kill":
        gateway.kill()
    else:
        gateway.stop()
    first.ws.wait_close()
    first.acks = False
    first.work()
    gateway.start()
    gateway.wait_connected()
    port = gateway.port
    second = WsMember(port, credit=8)

    def all_seen():
        return second.work() and set(numbers(first.got)) | set(numbers(second.got)) == set(range(200))
    wait_until(all_seen, 60, lambda: f"{len(first.got)} + {len(second.got)}; {get(port, '/groups/g').text}")
    wait_until(lambda: second.work() and get(port, "/groups/g").json["acked"] == 200, 30, lambda: get(port, "/groups/g").text)
    second.ws.close()


def test_deliveries_and_a_stream_share_a_connection_with_a_reader_that_pauses(hub, start_gateway):
    gateway = start_gateway(hub, "--gateway-policy", "disconnect", "--gateway-session-max-bytes", "67108864").wait_connected()
    port = gateway.port
    make(port)
    sizes = [10, 3000, 70000, 200, 150000]  # short ones, and some that are written in slices
    with WsClient(port, "/ws?event_type=job", receive_buffer=4096) as ws:
        ws.wait_op("subscribed")
        ws.send({"op": "consume", "id": 1, "group": "g", "credit": 40})
        ws.wait_op("consuming")
        told = set()

        def work(count):
            for d in ws.ops("delivery"):
                if d["delivery"] not in told:
                    told.add(d["delivery"])
                    ws.send({"op": "ack", "group": "g", "deliveries": [d["delivery"]]})
            return len(told) >= count and len(ws.events) >= count
        for turn in range(4):
            ws.pause()
            for n in range(turn * 25, turn * 25 + 25):
                answer = post(port, "/events", {"event_type": "job", "data": {"n": n, "x": "x" * sizes[n % len(sizes)]}})
                assert answer.status == 202, answer
            ws.unpause()
            wait_until(lambda turn=turn: work(turn * 25 + 25), 60, ws.describe)
        assert [e["data"]["n"] for e in ws.events] == list(range(100))
        assert [d["event"]["data"]["n"] for d in ws.ops("delivery")] == list(range(100))
        assert all(len(m["data"]["x"]) == sizes[m["data"]["n"] % len(sizes)] for m in ws.events)
        wait_until(lambda: get(port, "/groups/g").json["acked"] == 100, 20, "all acknowledged")
        assert not ws.ops("error") and not ws.ended
