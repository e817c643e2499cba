# ctest: timeout=300
"""Consumer groups and the journal's retention: what it trims is told as a gap, unless the group holds it."""
import pytest

from support.groups import Group
from support.http import get, post, request
from support.waiting import wait_until
from support.ws import WsClient
from support.zmq_clients import Dealer, event

KIB = 1024


@pytest.fixture
def small_hub(start_hub):
    """A hub whose journal keeps 1 MiB, and next to nothing in memory."""
    def start(*flags):
        return start_hub("--hub-journal-max-bytes", "1MiB", "--hub-history-events", "2", *flags)
    return start


def publish_kib(dealer, kib, **fields):
    """Events of about 1 KiB, 64 in a request; returns the first answer that is not good, or None."""
    for _ in range(kib // 64):
        answer = dealer.publish(*[event("a", "x" * KIB) for _ in range(64)], limit=30, **fields)
        if not answer["success"]:
            return answer
    return None


def oldest(dealer):
    return dealer.request({"action": "position"})["oldest"]


def test_without_hold_retention_wins(small_hub):
    hub = small_hub()
    group = Group(hub)
    with Dealer(hub) as dealer:
        group.create(since="earliest")
        assert publish_kib(dealer, 64) is None
        held = group.fetch(max=3)
        assert publish_kib(dealer, 4096) is None
        wait_until(lambda: oldest(dealer) > 100, 30, "the journal to trim")
        batch = group.fetch("other", max=1, wait_ms=10000)
        gap = batch.gap
        assert gap["reason"] == "retention" and gap["from"].endswith("-3")
        end = int(gap["to"].split("-")[1])
        assert batch.events[0]["seq"] == end + 1
        assert group.info()["lost"] >= end - 3  # it goes on trimming
        assert group.ack(held.names)["count"] == 3
    group.close()


def test_what_is_held_is_kept_until_it_is_acknowledged(small_hub):
    hub = small_hub("--hub-journal-hold-max-bytes", "64MiB")
    group = Group(hub)
    with Dealer(hub) as dealer:
        group.create(since="earliest", hold=True, visibility_ms=43200000)
        assert publish_kib(dealer, 3072) is None
        assert oldest(dealer) == 1
        seen = 0
        while seen < 3072:
            batch = group.fetch(max=500, wait_ms=10000)
            assert batch.gap is None
            assert [e["seq"] for e in batch.events] == list(range(seen + 1, seen + 1 + len(batch)))
            seen += len(batch)
            assert group.ack(batch.names)["count"] == len(batch)

        def trims():
            assert publish_kib(dealer, 64) is None
            group.drain(count=64)
            return oldest(dealer) > 1000

        wait_until(trims, 60, "the journal to trim what is not held any more")
        assert group.info()["lost"] == 0
    group.close()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_hold_survives(small_hub, how):
    hub = small_hub("--hub-journal-hold-max-bytes", "64MiB")
    group = Group(hub)
    with Dealer(hub) as dealer:
        group.create(since="earliest", hold=True)
        assert publish_kib(dealer, 1024) is None
    group.close()
    if how == "kill":
        hub.kill()
    hub.restart()
    group = Group(hub)
    with Dealer(hub) as dealer:
        assert publish_kib(dealer, 2048) is None
        assert oldest(dealer) == 1
    batch = group.fetch(max=10, wait_ms=10000)
    assert batch.gap is None and [e["seq"] for e in batch.events] == list(range(1, 11))
    group.close()


@pytest.mark.parametrize("way_out", ["ack", "delete"])
def test_too_much_held_refuses_durable_publishing_until_there_is_room(small_hub, way_out):
    hub = small_hub("--hub-journal-hold-max-bytes", "1MiB")
    group = Group(hub)
    with Dealer(hub) as dealer:
        group.create(since="earliest", hold=True)

        def is_refused():
            answer = publish_kib(dealer, 256, durability="journaled")
            # Those that are numbered already when the limit is reached are told in another way.
            assert answer is None or answer["code"] in ("durability_lost", "durability_unavailable")
            return answer and answer["code"] == "durability_unavailable"

        wait_until(is_refused, 60, "the hub to refuse")
        assert dealer.publish(event("a"), durability="memory")["success"]
        # What is held is there, all of it.
        first = group.fetch(max=1, wait_ms=10000)
        assert first.gap is None and first.events[0]["seq"] == 1
        if way_out == "delete":
            group.delete()
        else:
            assert group.ack(first.names)["durability"] == "memory"
            while group.drain():
                pass
        wait_until(lambda: publish_kib(dealer, 64, durability="journaled") is None, 60, "room again")
    group.close()


def test_the_doors_of_a_gateway_say_why_nothing_durable_is_taken(small_hub, start_gateway):
    port = start_gateway(small_hub("--hub-journal-hold-max-bytes", "1MiB")).wait_connected().port
    assert request(port, "PUT", "/groups/g", {"since": "earliest", "hold": True}).status == 201
    lines = [{"event_type": "a", "data": "x" * KIB}] * 64

    def is_refused():
        answer = post(port, "/events?durability=synced", lines, limit=30)
        assert answer.status == 202 or answer.json["code"] in ("durability_lost", "durability_unavailable"), answer
        return answer if answer.status == 503 and answer.json["code"] == "durability_unavailable" else None

    refused = wait_until(is_refused, 60, "the gateway to refuse")
    assert "hub.journal.hold_max_bytes" in refused.problem(503, "durability_unavailable")["detail"]
    assert int(refused.headers["Retry-After"]) > 0
    assert post(port, "/events", lines[0]).json["durability"] == "memory"
    with WsClient(port) as ws:
        ws.send({"op": "publish", "id": 1, "durability": "journaled", "event": lines[0]})
        assert ws.wait_op("error", id=1)["code"] == "durability_unavailable"
    wait_until(lambda: get(port, "/health").json["status"] == "degraded", 10, "health to say so")
    assert "hold_max_bytes" in get(port, "/health").json["journal"]["why"]
    assert get(port, "/health/ready").status == 200
    assert request(port, "DELETE", "/groups/g").status == 204
    wait_until(lambda: post(port, "/events?durability=synced", lines[0], limit=30).status == 202, 60, "room again")
    wait_until(lambda: get(port, "/health").json["status"] == "ok", 10, "health to be well again")


def test_age_does_not_take_what_is_held(start_hub):
    hubs = [start_hub("--hub-journal-max-age", "1s", "--hub-history-events", "2", "--hub-stats-event", "") for _ in range(2)]
    groups = [Group(hub) for hub in hubs]
    dealers = [Dealer(hub) for hub in hubs]
    for group, dealer, hold in zip(groups, dealers, (True, False)):
        group.create(event_type="a", since="earliest", hold=hold)
        assert dealer.publish(*[event("a", n) for n in range(10)])["success"]

    def is_too_old():
        for dealer in dealers:
            assert dealer.publish(event("b"), durability="synced")["success"]
        return oldest(dealers[1]) > 10

    wait_until(is_too_old, 30, "age to take what nobody holds")
    assert is_too_old() and oldest(dealers[0]) == 1
    batch = groups[0].fetch(max=100, wait_ms=10000)
    assert batch.gap is None and batch.data == list(range(10))
    lost = groups[1].fetch(max=100, wait_ms=10000)
    assert lost.gap["reason"] == "retention" and lost.data == []
    assert groups[0].ack(batch.names)["count"] == 10
    wait_until(lambda: is_too_old() and oldest(dealers[0]) > 10, 30, "age to take what is done")
    for peer in groups + dealers:
        peer.close()
