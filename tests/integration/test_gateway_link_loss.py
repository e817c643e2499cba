"""The link between gateway and hub is lost and found again: what clients of the gateway see of it.

ctest: timeout=300
"""
import json
import socket

from support.http import get, post
from support.sse import SseReader
from support.waiting import wait_until, within
from support.ws import WsClient
from support.zmq_clients import Dealer, Push, event


def publish(gateway, number, **more):
    return post(gateway.port, "/events", event("n", {"n": number}, **more))


def wait_accepted(gateway, number, limit=15):
    """Publishes until it is accepted; every refusal on the way must be an honest 503."""
    def attempt():
        answer = publish(gateway, number)
        assert answer.status in (202, 503), answer
        return answer if answer.status == 202 else None
    return wait_until(attempt, limit, "a publish to be accepted", poll=0.1)


def numbers(events):
    return [e["data"]["n"] for e in events if e["event_type"] == "n"]


def test_a_gateway_without_a_hub_waits_and_connects_later(start_hub, start_gateway):
    hub = start_hub(wait=False)
    gateway = start_gateway(hub)
    assert gateway.hub_state == "waiting"
    assert get(gateway.port, "/health").status == 200
    not_ready = get(gateway.port, "/health/ready")
    assert not_ready.status == 503 and str(hub.requests) in not_ready.text, not_ready

    def refusal():
        refused = publish(gateway, 0)
        refused.problem(503, "hub_unavailable")
        assert int(refused.headers["Retry-After"]) > 0
        return refused.seconds

    within(1, refusal)
    with SseReader(gateway.port, "/events?event_type=n") as stream, WsClient(gateway.port, "/ws?event_type=n") as ws:
        hub.start()
        gateway.wait_connected()
        answer = publish(gateway, 1)
        assert answer.status == 202 and answer.json["epoch"] == hub.epoch
        assert numbers(stream.wait_events(1)) == [1]
        assert numbers(ws.wait_events(1)) == [1]


def test_a_killed_hub_is_told_and_its_successor_is_a_new_epoch(start_hub, start_gateway):
    hub = start_hub("--hub-journal-enabled", "false")
    gateway = start_gateway(hub).wait_connected()
    with SseReader(gateway.port, "/events?event_type=n") as stream, WsClient(gateway.port, "/ws?event_type=n") as ws:
        stream.wait_open()
        ws.wait_op("welcome")
        for number in range(5):
            assert publish(gateway, number).status == 202
        stream.wait_events(5)
        ws.wait_events(5)
        old_epoch, old_seq = hub.epoch, stream.events[-1]["seq"]
        middle = f"{old_epoch}-{stream.events[2]['seq']}"

        hub.kill()
        gateway.wait_unready(5)
        refused = publish(gateway, 100)
        refused.problem(503, "hub_unavailable")
        assert int(refused.headers["Retry-After"]) > 0
        assert get(gateway.port, "/health").status == 200
        # The gateway still has what it received: an old position is served from its cache.
        with SseReader(gateway.port, "/events?event_type=n", last_event_id=middle) as late:
            assert numbers(late.wait_events(2)) == [3, 4]

        hub.start()
        assert hub.epoch != old_epoch
        gateway.wait_connected()
        for number in range(5, 10):
            assert publish(gateway, number).status == 202
        assert numbers(stream.wait_events(10)) == list(range(10))
        assert numbers(ws.wait_events(10)) == list(range(10))
        for gaps in (stream.notices("hub.gap"), ws.ops("gap")):
            assert len(gaps) == 1 and gaps[0]["reason"] == "epoch_changed", gaps
            assert gaps[0]["from"].split("-")[0] == old_epoch
            assert int(gaps[0]["from"].split("-")[1]) >= old_seq
            assert gaps[0]["to"] == f"{hub.epoch}-0"
        assert not stream.ended and not ws.ended
        # Who resumes from the old epoch gets the rest of it, the gap, and the new one.
        with SseReader(gateway.port, "/events?event_type=n", last_event_id=middle) as late:
            assert numbers(late.wait_events(7)) == [3, 4, 5, 6, 7, 8, 9]
            assert [g["reason"] for g in late.notices("hub.gap")] == ["epoch_changed"]


def test_a_hub_that_hangs_is_left_after_a_while_and_found_again(start_hub, start_gateway):
    hub = start_hub()
    gateway = start_gateway(hub).wait_connected()
    with SseReader(gateway.port, "/events?event_type=n") as stream:
        stream.wait_open()
        assert publish(gateway, 0).status == 202
        hub.pause()
        gateway.wait_unready()
        publish(gateway, 1).problem(503, "hub_unavailable")
        assert not stream.ended
        hub.resume()
        gateway.wait_connected()
        wait_accepted(gateway, 2)
        wait_until(lambda: 2 in numbers(stream.events), 10, stream.describe)
        assert numbers(stream.events) == [0, 2]
        assert stream.notices("hub.gap") == []


def test_a_publish_under_way_to_a_dying_hub_is_of_unknown_outcome(start_hub, start_gateway):
    hub = start_hub("--hub-journal-enabled", "false")
    gateway = start_gateway(hub, "--gateway-ack-timeout-ms", "20000").wait_connected()
    hub.pause()  # it takes no more, but the gateway does not know that yet
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as sock:
        body = json.dumps(event("n", {"n": 1}))
        sock.sendall(f"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
                     .encode())
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    assert b" 503 " in answer.split(b"\r\n")[0], answer
    assert b"outcome_unknown" in answer, answer
    hub.resume()


def test_events_beyond_the_high_water_mark_are_fetched_again(start_hub, start_gateway):
    """The gateway sleeps while far more events pass than the sockets between it and the hub can hold."""
    hub = start_hub("--hub-history-events", "400000", "--hub-history-bytes", "512MiB")
    gateway = start_gateway(hub, "--gateway-policy", "disconnect").wait_connected()
    count = 150000
    with SseReader(gateway.port, "/events?event_type=last") as stream, Push(hub) as push, Dealer(hub) as dealer:
        stream.wait_open()
        gateway.pause()
        for number in range(count):
            push.send(b'{"event_type":"n","source_service":"s","data":{"n":%d}}' % number)
        push.send(event("last"))
        wait_until(lambda: dealer.request({"action": "position"})["seq"] > count, 30, "the hub to take all", poll=0.1)
        gateway.resume()
        last = stream.wait_events(1, 60)[0]
        gateway.wait_connected()
        assert stream.notices("hub.gap") == []
        metrics = get(gateway.port, "/metrics").text
        refilled = [line for line in metrics.splitlines() if "refilled" in line and not line.startswith("#")]
        assert refilled and float(refilled[0].split()[-1]) > 0, metrics
        # The cache of the gateway holds the newest events without a hole.
        page = get(gateway.port, f"/events?since={hub.epoch}-{last['seq'] - 1001}&limit=1000").json
        seqs = [e["seq"] for e in page["events"]]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))) and len(seqs) >= 990


def test_a_gateway_cannot_guess_a_port(start_gateway):
    gateway = start_gateway((0, 0, 0), wait=False)
    gateway.spawn().wait(expect=(1, 2))
    assert "hub.publisher_port" in gateway.stderr


def test_a_taken_port_is_named_with_its_flag(hub, gateway, start_gateway):
    other = start_gateway(hub, wait=False)
    other.port = gateway.port
    other.spawn().wait(expect=1)
    assert str(gateway.port) in other.stderr and "--gateway-listen" in other.stderr
