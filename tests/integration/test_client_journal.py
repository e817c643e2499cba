# ctest: timeout=600
"""libnotifyhub over restarts of a hub that keeps a journal: subscribers go on without a hole or a duplicate, what the
journal lost is told with its exact range, publishers' unanswered events are numbered once."""
import json
import random

import pytest

from support.client_driver import ClientDriver
from support.waiting import seconds, wait_until
from support.zmq_clients import Dealer, event

OK, EFULL, EAGAIN = 0, -13, -3


def publish(hub, count, event_type="t", start=0):
    with Dealer(hub) as dealer:
        for first in range(start, start + count, 500):
            dealer.publish(*[event(event_type, n) for n in range(first, min(first + 500, start + count))])


def numbers(driver):
    return [e["event"]["data"] for e in driver.events]


def history(hub):
    """All events of the hub, by number."""
    found, since = {}, "earliest"
    with Dealer(hub) as dealer:
        while True:
            dealer.send({"action": "history", "since": since, "limit": 10000})
            frames = dealer.recv_frames()
            head = json.loads(frames[1])
            for line in frames[2:]:
                e = json.loads(line)
                found[e["seq"]] = e
            if not head["more"]:
                return found
            since = head["next"]


@pytest.mark.parametrize("whole", [0, 1])
def test_a_restart_costs_nothing(start_hub, whole):
    hub = start_hub()
    with ClientDriver(hub) as driver:
        driver.ok(f"subscriber - {whole} 0 0")
        driver.ok("on t")
        driver.wait_ready()
        publish(hub, 10)
        publish(hub, 5, "other")
        driver.ok("run 10000 10")
        epoch = hub.epoch
        driver.start("run 60000 20")
        hub.restart()
        assert hub.epoch == epoch
        publish(hub, 20, start=10)
        driver.finish(60)
        driver.ok("run 1500 1")
        assert numbers(driver) == list(range(30)) and driver.gaps == []
        resume = driver("resume")
        assert resume["result"] in ("caught_up", "replayed") and not resume["running"]


def test_what_was_published_while_the_subscriber_was_away_is_replayed(start_hub):
    hub = start_hub()
    publish(hub, 100)
    with ClientDriver(hub) as driver:
        driver.ok(f"subscriber {hub.epoch}-40 0 0 0")
        driver.ok("on t")
        driver.ok("run 10000 60")
        position = driver("position")
        assert driver("resume") == {"result": "replayed", "running": False, "from": 40, "to": 100, "count": 60}
    hub.restart()
    publish(hub, 50, start=100)
    hub.restart()
    with ClientDriver(hub) as driver:
        driver.ok(f"subscriber {position['epoch']}-{position['seq']} 0 0 0")
        driver.ok("on t")
        driver.ok("run 10000 50")
        assert numbers(driver) == list(range(100, 150)) and driver.gaps == []
        driver.ok("run 300 1")
        assert driver("resume")["result"] == "replayed"


def test_nothing_was_missed_is_an_answer_too(start_hub):
    hub = start_hub()
    publish(hub, 3)
    with ClientDriver(hub) as driver:
        driver.ok(f"subscriber {hub.epoch}-3 0 0 0")
        driver.ok("on t")
        driver.wait_ready()
        assert driver("resume") == {"result": "caught_up", "running": False, "from": 3, "to": 3, "count": 0}


def test_a_position_that_never_was_is_called_unknown(start_hub):
    hub = start_hub()
    publish(hub, 3)
    with ClientDriver(hub) as driver:
        driver.ok(f"subscriber {hub.epoch}-1000 0 0 0")
        driver.ok("on t")
        driver.wait_ready()
        assert driver("resume")["result"] == "unknown"
        assert [g["reason"] for g in driver.gaps] == ["unknown"]


@pytest.mark.parametrize("since", ["time", "earliest", "seq"])
def test_every_since_reaches_behind_a_restart(start_hub, since):
    hub = start_hub()
    publish(hub, 10)
    with Dealer(hub) as dealer:
        now = dealer.request({"action": "position"})["timestamp"]
    wait_until(lambda: publish(hub, 1, "tick") or position_time(hub) > now + 0.01)
    hub.restart()
    publish(hub, 10, start=10)
    found = history(hub)
    if since == "time":
        import datetime
        stamp = datetime.datetime.fromtimestamp(now + 0.005, datetime.timezone.utc).isoformat().replace("+00:00", "Z")
        expected = list(range(10, 20))
    elif since == "seq":
        stamp, expected = "5", list(range(5, 20))
    else:
        stamp, expected = "earliest", list(range(20))
    assert len(found) >= 20
    with ClientDriver(hub) as driver:
        driver.ok(f"subscriber {stamp} 0 0 0")
        driver.ok("on t")
        driver.ok(f"run 10000 {len(expected)}")
        assert numbers(driver) == expected and driver.gaps == []


def position_time(hub):
    with Dealer(hub) as dealer:
        return dealer.request({"action": "position"})["timestamp"]


@pytest.mark.parametrize("whole", [0, 1])
def test_kills_at_random_moments_published_is_delivered_or_told(start_hub, whole):
    """The journal writes at intervals only, so a kill loses what came last: each number that a subscriber got is never
    told, each that it did not get is told, once, and what the journal has is delivered."""
    hub = start_hub("--hub-journal-sync", "interval", "--hub-journal-interval-ms", "50", "--hub-stats-interval-s", "0")
    chance = random.Random(whole + 1)
    with ClientDriver(hub) as driver:
        driver.ok(f"subscriber - {whole} 0 0")
        driver.ok("on mine.*")
        driver.wait_ready()
        for turn in range(5):
            driver.start("run 2000 1000000")
            for _ in range(chance.randrange(1, 8)):
                publish(hub, chance.randrange(1, 300), chance.choice(["mine.a", "mine.b", "other"]))
            hub.kill()
            hub.start()
            publish(hub, 1, "mine.last", start=turn)
            driver.finish(30)
        publish(hub, 1, "mine.end", start=99)

        def is_through():
            driver("run 300 1000000")
            return any(e["event"]["event_type"] == "mine.end" for e in driver.events)

        wait_until(is_through, 60)
        driver.ok("run 2500 1")
        kept = history(hub)
        delivered = driver.seqs()
        assert len(delivered) == len(set(delivered)), "delivered twice"
        assert driver.gaps, "each kill leaves a void"
        told = set()
        for gap in driver.gaps:
            assert gap["reason"] == "unclean_stop" and gap["from_epoch"] == gap["to_epoch"] == hub.epoch, gap
            assert gap["delivered"] == 0
            numbers_of_gap = range(gap["from"] + 1, gap["to"] + 1)
            assert not told.intersection(numbers_of_gap), "told twice"
            if len(numbers_of_gap) < 1 << 25:
                assert not [n for n in delivered if n in numbers_of_gap], "delivered and told"
            told.update(n for n in numbers_of_gap if n in kept or n < 100000)
        missing = [n for n, e in kept.items() if e["event_type"].startswith("mine.") and n not in set(delivered)]
        first = min(delivered)
        assert [n for n in missing if n >= first] == [], "kept by the journal, neither delivered nor told"


def test_unanswered_publishes_of_a_killed_hub_are_numbered_once(start_hub):
    """Everything carries an id: whatever the kills hit, in the end each is there once, and each was answered."""
    hub = start_hub()
    with ClientDriver(hub) as driver:
        driver.ok("publisher 256 60000 0")
        driver.ok("durability 3")
        driver.ok("publish 10000 first t 1")
        chance = random.Random(7)
        for turn in range(4):
            sent = 0
            goal = chance.randrange(50, 250)
            while sent < goal:
                answer = driver(f"submit {goal - sent} t id-")
                assert answer["err"] in (OK, EAGAIN, EFULL), answer
                sent += answer["sent"]
                if answer["err"] != OK:
                    driver.ok("poll 100")
            if chance.random() < 0.7:
                hub.kill()
            else:
                hub.stop()
            hub.start()
        acks = driver.ok(f"poll {int(seconds(60)) * 1000}", limit=90)
        assert acks["unknown"] == 0 and acks["refused"] == 0, acks
        ids = [e.get("id") for e in history(hub).values()]
        assert len(ids) == len(set(ids)), "numbered twice"
        assert len(ids) == acks["ok"] + 1
        assert acks["resent"] > 0, "the kills hit nothing: the test did not test anything"
