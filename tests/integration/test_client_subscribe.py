# ctest: timeout=600
"""libnotifyhub receives: handlers, filters, since, gaps, refills, restarts."""
import pytest

from support.client_driver import ClientDriver
from support.fake_hub import FakeHub
from support.waiting import seconds, wait_until
from support.zmq_clients import Dealer, Push, event


# More than the queues of hub (65 536 events), kernel and subscriber hold together.
FLOOD = 160000


@pytest.fixture
def driver(hub):
    with ClientDriver(hub) as d:
        yield d


@pytest.fixture
def dealer(hub):
    with Dealer(hub) as d:
        yield d


def publish(dealer, count, event_type="t", start=0, batch=1000):
    for first in range(start, start + count, batch):
        answer = dealer.publish(*[event(event_type, n) for n in range(first, min(first + batch, start + count))])
        assert answer["success"], answer


def numbers(driver):
    return [e["event"]["data"] for e in driver.events]


def test_a_type_of_ones_own_arrives_in_order(driver, dealer):
    driver.ok("subscriber - 0 0 0")
    driver.ok("on wanted")
    driver.wait_ready()
    for n in range(100):
        dealer.publish(event("wanted", n), event("wanted-not", n), event("other", n))
    driver.ok("run 10000 100")
    driver.ok("run 300 1")
    assert numbers(driver) == list(range(100))
    assert {e["event"]["event_type"] for e in driver.events} == {"wanted"}
    stats = driver("stats")
    assert (stats["delivered"], stats["unselected"], stats["gaps"], stats["late"]) == (100, 100, 0, 0)


def test_patterns_prefixes_and_the_default_handler(driver, dealer):
    driver.ok("subscriber - 0 0 0")
    driver.ok("on sensor.*.temp")
    driver.ok("on sensor.lab.*")
    driver.ok("prefix sensor.")
    driver.wait_ready()
    dealer.publish(*[event(t, t) for t in ("sensor.lab.temp", "sensor.x.temp", "sensor.x.y", "motor.x.temp")])
    driver.ok("run 10000 4")
    assert [(e["event"]["event_type"], e["handler"]) for e in driver.events] == [
        ("sensor.lab.temp", "sensor.*.temp"), ("sensor.lab.temp", "sensor.lab.*"),
        ("sensor.x.temp", "sensor.*.temp"), ("sensor.x.y", "default")]


def test_a_pattern_taken_back_is_not_called_any_more(driver, dealer):
    driver.ok("subscriber - 0 0 0")
    driver.ok("on a")
    driver.ok("on b")
    driver.wait_ready()
    dealer.publish(event("a", 1), event("b", 2))
    driver.ok("run 10000 2")
    driver.ok("off a")
    assert driver("off a")["err"] == -9
    dealer.publish(event("a", 3), event("b", 4))
    driver.ok("run 10000 1")
    driver.ok("run 2500 10")
    assert numbers(driver) == [1, 2, 4]
    assert driver("stats")["gaps"] == 0


def test_the_statistics_event_comes_to_those_who_name_it(start_hub):
    hub = start_hub("--hub-stats-interval-s", "1")
    with ClientDriver(hub) as everything, ClientDriver(hub) as named:
        everything.ok("subscriber - 0 0 0")
        everything.ok("on *")
        named.ok("subscriber - 0 0 0")
        named.ok("on StatsEvent")
        named.ok("run 10000 2")
        everything.ok("run 1500 1")
        assert [e["event"]["event_type"] for e in named.events][:2] == ["StatsEvent"] * 2
        assert everything.events == [] and everything("stats")["gaps"] == 0
        assert named("stats")["gaps"] == 0


@pytest.mark.parametrize("whole", [0, 1])
def test_since_replays_and_goes_over_to_live_without_a_seam(driver, dealer, hub, whole):
    publish(dealer, 3000, "mine")
    publish(dealer, 500, "other")
    driver.ok(f"subscriber {hub.epoch}-1000 {whole} 0 0")
    driver.ok("on mine")
    driver.start("run 20000 4000")
    publish(dealer, 2000, "mine", start=3000, batch=50)
    driver.finish()
    assert numbers(driver) == list(range(1000, 5000))
    assert driver.gaps == []


@pytest.mark.parametrize("since", ["earliest", "0", "2020-01-01T00:00:00Z"])
def test_other_ways_to_name_the_beginning(driver, dealer, since):
    publish(dealer, 50)
    driver.ok(f"subscriber {since} 0 0 0")
    driver.ok("on t")
    driver.ok("run 10000 50")
    assert numbers(driver) == list(range(50))


def test_a_malformed_since_is_refused(driver):
    assert driver("subscriber tomorrow 0 0 0")["err"] == -1


def test_since_of_an_unknown_epoch_tells_the_gap_and_gives_what_there_is(driver, dealer, hub):
    publish(dealer, 5)
    driver.ok("subscriber zzzzzzzz-77 0 0 0")
    driver.ok("on t")
    driver.ok("run 10000 5")
    assert numbers(driver) == list(range(5))
    assert [{k: v for k, v in g.items() if k != "delivered"} for g in driver.gaps] == [{"from_epoch": "zzzzzzzz", "from": 77, "to_epoch": hub.epoch, "to": 0,
                            "reason": "epoch_changed"}]


def test_since_before_the_ring_tells_exactly_what_is_gone(start_hub):
    hub = start_hub("--hub-journal-enabled", "false", "--hub-history-events", "1000")
    with Dealer(hub) as dealer, ClientDriver(hub) as driver:
        publish(dealer, 5000)
        oldest = dealer.request({"action": "position"})["oldest"]
        assert oldest > 1
        driver.ok(f"subscriber {hub.epoch}-10 0 0 0")
        driver.ok("on t")
        driver.ok(f"run 10000 {5000 - oldest + 1}")
        assert driver.seqs() == list(range(oldest, 5001))
        assert [{k: v for k, v in g.items() if k != "delivered"} for g in driver.gaps] == [{"from_epoch": hub.epoch, "from": 10, "to_epoch": hub.epoch, "to": oldest - 1,
                                "reason": "retention"}]


def flood(hub, driver, count, event_type="t"):
    """Stops the subscriber, publishes far more than all queues on the way hold, and lets it go on."""
    driver.pause()
    with Push(hub) as push, Dealer(hub) as dealer:
        before = dealer.request({"action": "position"})["seq"]
        for n in range(count):
            push.send({"event_type": event_type, "source_service": "flood", "data": [n]})
        wait_until(lambda: dealer.request({"action": "position"})["seq"] >= before + count, 90)
    driver.resume()


@pytest.mark.parametrize("subscription", ["on t", "prefix -", "on *"])
def test_what_a_stopped_subscriber_lost_is_refilled_in_order(start_hub, subscription):
    hub = start_hub("--hub-history-events", "300000")
    with ClientDriver(hub) as driver:
        driver.ok("subscriber - 0 500 0")
        driver.ok(subscription)
        driver.wait_ready()
        flood(hub, driver, FLOOD)
        driver.ok(f"run {int(seconds(60)) * 1000} {FLOOD}", limit=90)
        driver.ok("run 2500 1")
        ours = [e["event"]["data"][0] for e in driver.events if e["event"]["source_service"] == "flood"]
        assert ours == list(range(FLOOD))
        stats = driver("stats")
        assert stats["refilled"] > 10000, "nothing was lost on the way: the test did not test anything"
        assert (stats["gaps"], stats["missed"], stats["late"]) == (0, 0, 0)
        assert driver.gaps == []


@pytest.mark.parametrize("subscription", ["on t", "prefix -"])
def test_what_is_beyond_the_ring_is_told_exactly(start_hub, subscription):
    hub = start_hub("--hub-journal-enabled", "false", "--hub-history-events", "2000", "--hub-stats-interval-s", "0")
    with ClientDriver(hub) as driver:
        driver.ok("subscriber - 0 500 0")
        driver.ok(subscription)
        driver.wait_ready()
        flood(hub, driver, FLOOD)
        driver.ok("run 1000 100")
        with Dealer(hub) as dealer:
            publish(dealer, 10, "t", start=FLOOD)

        def is_through():
            driver.ok("run 500 1000000", limit=60)
            return driver("position")["seq"] == FLOOD + 10

        wait_until(is_through, 60)
        stats = driver("stats")
        assert stats["gaps"] == len(driver.gaps) >= 1
        delivered = driver.seqs()
        missing = set()
        for gap in driver.gaps:
            assert gap["from_epoch"] == gap["to_epoch"] == hub.epoch and gap["reason"] == "retention", gap
            told = set(range(gap["from"] + 1, gap["to"] + 1))
            assert not told & missing, "a number was told twice"
            missing |= told
        assert len(delivered) == len(set(delivered)), "an event was delivered twice"
        assert not missing & set(delivered), "an event was delivered and told to be missing"
        assert sorted(missing | set(delivered)) == list(range(1, FLOOD + 11)), "published = delivered + told"
        assert stats["missed"] == len(missing)
        assert delivered == sorted(delivered)


def test_without_a_journal_a_restart_is_told_and_life_goes_on(start_hub):
    hub = start_hub("--hub-journal-enabled", "false")
    with ClientDriver(hub) as driver:
        driver.ok("subscriber - 0 0 0")
        driver.ok("on t")
        driver.wait_ready()
        with Dealer(hub) as dealer:
            publish(dealer, 5)
        driver.ok("run 10000 5")
        old = hub.epoch
        hub.restart()
        with Dealer(hub) as dealer:
            publish(dealer, 7, start=100)
        driver.ok("run 20000 7")
        assert numbers(driver) == [0, 1, 2, 3, 4, *range(100, 107)]
        assert [(g["from_epoch"], g["from"], g["to_epoch"], g["to"], g["reason"]) for g in driver.gaps] == [
            (old, 5, hub.epoch, 0, "epoch_changed")]
        assert driver("stats")["disconnects"] >= 1


def test_such_a_restart_is_told_even_when_nothing_is_published(start_hub):
    hub = start_hub("--hub-journal-enabled", "false")
    with ClientDriver(hub) as driver:
        driver.ok("subscriber - 0 0 0")
        driver.ok("on t")
        driver.wait_ready()
        hub.restart()
        driver.ok("run 4000 1")
        assert [g["reason"] for g in driver.gaps] == ["epoch_changed"]
        assert driver("position")["epoch"] == hub.epoch


def test_a_hub_that_comes_later_is_found(start_hub):
    hub = start_hub(wait=False)
    with ClientDriver(hub) as driver:
        driver.ok("subscriber - 0 0 0")
        driver.ok("on t")
        driver.ok("run 300 1")
        hub.start()
        driver.wait_ready()
        with Dealer(hub) as dealer:
            publish(dealer, 5)
        driver.ok("run 10000 5")
        assert numbers(driver) == list(range(5)) and driver.gaps == []


def test_a_hub_that_hangs_for_a_while_costs_nothing(hub, driver, dealer):
    driver.ok("subscriber - 0 0 0")
    driver.ok("on t")
    driver.wait_ready()
    publish(dealer, 5)
    driver.ok("run 10000 5")
    hub.pause()
    driver.ok("run 9000 1")  # long enough to take the connections for dead and make new ones
    hub.resume()
    publish(dealer, 5, start=5)
    driver.ok("run 20000 5")
    assert numbers(driver) == list(range(10)) and driver.gaps == []


@pytest.mark.parametrize("count", [900, 3000])
def test_thousands_of_subscriptions_survive_a_restart(start_hub, count):
    hub = start_hub()
    with ClientDriver(hub) as driver:
        driver.ok("subscriber - 0 0 0")
        driver.ok(f"many {count}")
        driver.wait_ready()
        hub.restart()
        driver.ok("run 3000 1")
        with Dealer(hub) as dealer:
            dealer.publish(*[event(f"many.{n:05d}", n) for n in range(count)])
        driver.ok(f"run 20000 {count}")
        assert numbers(driver) == list(range(count))
        assert driver.gaps == []


def test_an_idle_subscriber_sleeps(driver, hub):
    """The descriptor is not readable all the time: one check a second, each a few wake-ups."""
    driver.ok("subscriber - 0 0 0")
    driver.ok("on t")
    driver.wait_ready()
    assert driver.ok("run 3000 1")["wakeups"] < 60


def test_the_position_moves_on_without_events_of_ones_own(driver, dealer, hub):
    driver.ok("subscriber - 0 0 0")
    driver.ok("on mine")
    driver.wait_ready()
    publish(dealer, 100, "other")
    driver.ok("run 4000 1")
    assert driver("position") == {"epoch": hub.epoch, "seq": 100}


@pytest.mark.parametrize("how", ["silent", "busy", "journal_unavailable"])
def test_a_hub_that_is_busy_is_no_reason_for_a_gap(reserve_port, how):
    """It has the events and is there; only its history does not come for longer than a silent hub is waited for."""
    with FakeHub([reserve_port() for _ in range(3)]) as fake, ClientDriver(fake.ports) as driver:
        driver.ok("subscriber - 1 0 0")
        driver.ok("on t")
        driver.wait_ready()
        history = fake._history
        if how == "silent":
            fake.silent.add("history")
        else:
            fake._history = lambda request: ({"success": False, "code": how, "error": "not now"}, [])
        fake.emit("t", 1)
        fake.emit("t", 2, send=False)
        fake.emit("t", 3)
        tries = fake.asked.get("history", 0) + (4 if how == "silent" else 10)  # both take more than 5 s
        for _ in range(600):
            driver("run 100 2")
            if fake.asked.get("history", 0) >= tries:
                break
        assert fake.asked["history"] >= tries and numbers(driver) == [1]
        fake.silent.clear()
        fake._history = history
        driver.ok("run 20000 2")
        assert numbers(driver) == [1, 2, 3] and driver.gaps == []


def lose_one(fake, driver):
    """Numbers 1 to 3, of which the second has to be asked for."""
    driver.ok("subscriber - 1 0 0")
    driver.ok("on t")
    driver.wait_ready()
    fake.emit("t", 1)
    fake.emit("t", 2, send=False)
    fake.emit("t", 3)


def test_a_page_that_takes_too_long_is_asked_for_in_smaller_ones(reserve_port):
    """On a slow network a long page never comes in time, and the hub is there: the same question again has no end."""
    with FakeHub([reserve_port() for _ in range(3)]) as fake, ClientDriver(fake.ports) as driver:
        history = fake._history
        fake._history = lambda request: (None, []) if request["limit"] > 300 else history(request)
        lose_one(fake, driver)
        driver.ok("run 60000 3")
        assert numbers(driver) == [1, 2, 3] and driver.gaps == []


def test_a_page_that_cannot_be_read_is_not_waited_for_without_end(reserve_port):
    with FakeHub([reserve_port() for _ in range(3)]) as fake, ClientDriver(fake.ports) as driver:
        fake._history = lambda request: ({"result": "replayed", "next": "nonsense", "more": False}, [])
        lose_one(fake, driver)
        driver.ok("run 60000 2")
        assert numbers(driver) == [1, 3] and [gap["reason"] for gap in driver.gaps] == ["refused"]
