# ctest: timeout=300
"""Consumer groups and the journal's retention: what it trims is told as a gap, unless the group holds it."""
import pytest

from support.groups import Group
from support.waiting import wait_until
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
