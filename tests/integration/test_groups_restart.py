# ctest: timeout=300
"""Consumer groups over the life and death of the hub: what was acknowledged stays acknowledged, the rest comes again."""
import os
import random
import time

import pytest

from support import faults
from support.daemons import program
from support.groups import Group
from support.waiting import seconds, wait_until
from support.zmq_clients import Dealer, event


def publish(hub, count, event_type="a", first=0, **options):
    with Dealer(hub) as dealer:
        answer = dealer.publish(*[event(event_type, first + i) for i in range(count)], limit=30, **options)
    assert answer["success"], answer
    return range(answer["first_seq"], answer["last_seq"] + 1)


def seq_of(delivery):
    return int(delivery.split("-")[1].split(".")[0])


def acknowledge(group, names):
    """Returns the numbers that were really done."""
    failed = {f["delivery"] for f in group.ack(names)["failed"]}
    return {seq_of(name) for name in names if name not in failed}


def again(hub, how):
    """Ends the hub in this way and starts it again with the same ports and folder."""
    if how == "kill":
        hub.kill()
    return hub.restart()


@pytest.fixture
def group_of():
    """group_of(hub, name) -> Group, closed at the end of the test."""
    made = []

    def make(hub, name="g"):
        made.append(Group(hub, name))
        return made[-1]

    yield make
    for group in made:
        group.close()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_group_survives(start_hub, group_of, how):
    hub = start_hub()
    settings = {"event_type": ["a", "b*"], "visibility_ms": 43200000, "max_attempts": 3, "ordered": False, "hold": True}
    group = group_of(hub)
    group.create(since="earliest", **settings)
    seqs = list(publish(hub, 10))
    batch = group.fetch(max=6)
    assert group.ack(batch.names[:4])["durability"] == "synced"
    assert group.nack(batch.names[4], delay_ms=43200000)["count"] == 1
    before = group.info()
    again(hub, how)
    group = group_of(hub)
    after = group.info()
    for key in ("event_type", "visibility_ms", "max_attempts", "ordered", "hold", "pending", "delayed", "acked", "position"):
        assert after[key] == before[key], (key, before, after)
    # What a member had it still has, the name it knows is good, and what waits goes on waiting.
    assert [e["seq"] for e in group.fetch(max=100).events] == seqs[6:]
    assert group.ack(batch.names[5])["count"] == 1
    assert group.ack(batch.names[4])["failed"][0]["code"] == "stale_delivery"
    assert group.ack(batch.names[0])["failed"][0]["code"] == "stale_delivery"


@pytest.mark.parametrize("came", ["before", "after"])
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_clock_that_is_set_back_does_not_hold_events_back(start_hub, group_of, tmp_path, how, came):
    """What is noted by a clock that was an hour ahead is not waited for an hour long, whether or not an event has come by
    that clock."""
    clock = str(tmp_path / "clock")
    hub = start_hub(wait=False)
    hub.env = faults.environment(hub.journal_folder, program(hub.program_name), clock=clock)
    hub.start()
    group = group_of(hub)
    group.create(since="earliest", visibility_ms=500)
    seqs = list(publish(hub, 2)) if came == "before" else []
    faults.control(clock, 3600)
    with Dealer(hub) as dealer:
        wait_until(lambda: dealer.request({"action": "position"})["timestamp"] > time.time() + 3000, 10, "the clock")
    seqs = seqs or list(publish(hub, 2))
    batch = group.fetch(max=2)
    assert [e["seq"] for e in batch.events] == seqs
    assert group.nack(batch.names[0], delay_ms=500)["count"] == 1
    faults.control(clock, 0)
    with Dealer(hub) as dealer:
        wait_until(lambda: dealer.request({"action": "position"})["timestamp"] < time.time() + 100, 10, "the clock")
    again(hub, how)
    group = group_of(hub)
    found = []
    wait_until(lambda: found.extend(group.fetch(max=2, wait_ms=1000).events) or len(found) >= 2, 20, "both to come again")
    assert sorted(e["seq"] for e in found[:2]) == seqs


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_time_goes_on_while_the_hub_is_away(start_hub, group_of, how):
    hub = start_hub()
    group = group_of(hub)
    group.create(since="earliest", visibility_ms=500, max_attempts=2)
    seqs = list(publish(hub, 2))
    batch = group.fetch(max=2)
    assert group.nack(batch.names[1])["count"] == 1
    again(hub, how)
    group = group_of(hub)
    got = {}
    while len(got) < 2:
        batch = group.fetch(max=2, wait_ms=20000)
        got.update({e["seq"]: attempt for e, attempt in zip(batch.events, batch.attempts)})
    assert got == {seqs[0]: 2, seqs[1]: 2}
    wait_until(lambda: group.info()["dead_letters"] == 2, 20, "both to fail for the second time")


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_order_survives(start_hub, group_of, how):
    hub = start_hub()
    group = group_of(hub)
    group.create(since="earliest", ordered=True, visibility_ms=43200000)
    for i in range(3):
        publish(hub, 1, "x", first=i)
        publish(hub, 1, "y", first=i)
    batch = group.fetch(max=10)
    assert [(e["event_type"], e["data"]) for e in batch.events] == [("x", 0), ("y", 0)]
    group.ack(batch.names[1])
    again(hub, how)
    group = group_of(hub)
    nxt = group.fetch(max=10, wait_ms=5000)
    assert [(e["event_type"], e["data"]) for e in nxt.events] == [("y", 1)]
    assert group.ack(batch.names[0])["count"] == 1
    assert [(e["event_type"], e["data"]) for e in group.fetch(max=10, wait_ms=5000).events] == [("x", 1)]


def test_a_deleted_group_stays_deleted(start_hub, group_of):
    hub = start_hub()
    group = group_of(hub)
    group.create(since="earliest")
    publish(hub, 3)
    group.ack(group.fetch(max=2).names)
    group.delete()
    group.create(since="earliest", visibility_ms=43200000)
    again(hub, "kill")
    group = group_of(hub)
    assert group.info()["visibility_ms"] == 43200000 and group.info()["acked"] == 0
    assert len(group.fetch(max=10).events) == 3
    group.delete()
    again(hub, "kill")
    assert group_of(hub).ask("group")["code"] == "unknown_group"


def test_a_group_without_traffic_of_its_own_is_not_left_behind(start_hub, group_of):
    """What does not concern a group moves it all the same, also as the notes say: a clean stop writes it down."""
    hub = start_hub()
    group = group_of(hub)
    group.create(event_type="rare")
    head = publish(hub, 500, "often")[-1]
    assert group.info()["position"].endswith(f"-{head}")
    hub.restart()
    group = group_of(hub)
    assert group.info()["position"].endswith(f"-{head}") and group.info()["lag"] == 0


def test_many_changes_are_kept_and_few_notes_are_left(start_hub, group_of):
    hub = start_hub()
    group = group_of(hub)
    group.create(since="earliest", visibility_ms=43200000)
    seqs = list(publish(hub, 2000))
    left = set(seqs)
    rng = random.Random(5)
    for _ in range(600):  # more turns than a group has notes
        batch = group.fetch(max=3)
        keep = [n for n in batch.names if rng.random() < 0.8]
        if keep:
            group.ack(keep)
        left -= {seq_of(n) for n in keep}
    again(hub, "kill")
    group = group_of(hub)
    info = group.info()
    assert info["acked"] == 2000 - len(left)
    assert info["pending"] + seqs[-1] - int(info["position"].split("-")[1]) == len(left)


def test_kills_at_any_moment_lose_nothing_and_bring_back_nothing(start_hub, group_of):
    """Seeded: an event is delivered until it is acknowledged, and what an answer called acknowledged never again."""
    rng = random.Random(20)
    hub = start_hub()
    group = group_of(hub)
    group.create(since="earliest", visibility_ms=150, max_attempts=0)
    published, acked, delivered = set(), set(), set()
    for round_number in range(8):
        group = group_of(hub)
        published |= set(publish(hub, 50, first=50 * round_number))
        for _ in range(rng.randrange(1, 6)):
            batch = group.fetch(max=rng.randrange(1, 30))
            got = {e["seq"] for e in batch.events}
            assert not got & acked, "acknowledged, and delivered again"
            delivered |= got
            names = [n for n in batch.names if rng.random() < 0.7]
            if names:
                acked |= acknowledge(group, names)
        # Requests whose answers nobody waits for are under way when it dies.
        for _ in range(rng.randrange(4)):
            group.send_fetch(max=5)
        time.sleep(rng.random() * 0.02)
        again(hub, "kill")
    group = group_of(hub)
    end = time.monotonic() + seconds(60)
    while published - acked and time.monotonic() < end:
        batch = group.fetch(max=100, wait_ms=2000)
        got = {e["seq"] for e in batch.events}
        assert not got & acked
        if got:
            acked |= acknowledge(group, batch.names)
    assert not published - acked, (sorted(published - acked), group.info())


def test_an_unclean_stop_is_told_to_a_group(start_hub, group_of):
    hub = start_hub()
    group = group_of(hub)
    group.create(since="earliest")
    last = publish(hub, 5)[-1]
    group.drain(count=5)
    again(hub, "kill")
    with Dealer(hub) as dealer:
        head = dealer.request({"action": "position"})
    group = group_of(hub)
    batch = group.fetch(max=10)
    void = {"from": f"{hub.epoch}-{last}", "to": f"{hub.epoch}-{head['seq']}", "reason": "unclean_stop"}
    assert batch.gap == void and batch.events == []
    again(hub, "kill")  # it was told: that is remembered as well, or told once more, but never forgotten
    first = publish(hub, 1)[0]
    group = group_of(hub)
    batch = group.fetch(max=10, wait_ms=10000)
    assert batch.gap["reason"] == "unclean_stop" and batch.gap["to"] == f"{hub.epoch}-{first - 1}"
    assert [e["seq"] for e in batch.events] == [first]
    assert group.info()["lost"] == 0


def test_voids_side_by_side_are_told_to_a_group_each_for_its_reason(start_hub, group_of, tmp_path):
    """A full disk, recovered and full again, then a kill: what was not stored and what an unclean stop swallowed lie side by
    side. Two gaps, and only the events that there were count as lost."""
    control = str(tmp_path / "fail")
    hub = start_hub("--hub-stats-interval-s", "0", wait=False)
    hub.env = faults.environment(hub.journal_folder, program(hub.program_name), fail=control)
    hub.start()
    group = group_of(hub)
    group.create(since="earliest")
    publish(hub, 20)
    group.drain(count=20)
    faults.control(control, "ENOSPC")
    publish(hub, 20, durability="memory")
    hub.wait_log("journal_degraded")
    os.unlink(control)
    hub.wait_log("journal_recovered")
    faults.control(control, "ENOSPC")
    publish(hub, 20, durability="memory")
    wait_until(lambda: hub.stderr.count("event=journal_degraded") == 2, 20, "full again")
    hub.kill()
    os.unlink(control)
    hub.start()
    first = publish(hub, 1)[0]
    epoch = hub.epoch
    group = group_of(hub)
    batch = group.fetch(max=10, wait_ms=10000)
    assert batch.gap == {"from": f"{epoch}-20", "to": f"{epoch}-40", "reason": "not_stored"}
    assert [e["seq"] for e in batch.events] == [first]
    batch = group.fetch(max=10, wait_ms=10000)
    assert batch.gap == {"from": f"{epoch}-40", "to": f"{epoch}-{first - 1}", "reason": "unclean_stop"}
    assert group.info()["lost"] == 20


def test_a_group_that_is_too_many_waits_in_the_journal(start_hub, group_of):
    hub = start_hub()
    for name in ("a", "b"):
        group_of(hub, name).create()
    hub.args = ["--hub-max-groups", "1"]
    hub.restart()
    hub.wait_log("group_not_restored")
    assert group_of(hub, "a").info()["group"] == "a"
    hub.args = []
    hub.restart()
    assert group_of(hub, "b").info()["group"] == "b"
