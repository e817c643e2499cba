# ctest: timeout=600
"""libnotifyhub's consumer: members share, nothing that was not acknowledged is lost, restarts and broken connections
cost no event, and each refusal has its own code."""
import time

import pytest

from support.client_driver import ConsumerDriver
from support.proxy import Proxy
from support.waiting import seconds, wait_until
from support.zmq_clients import Dealer, event

OK, EINVAL, EAGAIN, ETIMEOUT, ENOTFOUND, EREFUSED, EUNAVAIL, ECONFLICT = 0, -1, -3, -4, -9, -10, -11, -15


def publish(hub, count, event_type="t", start=0):
    with Dealer(hub) as dealer:
        for first in range(start, start + count, 500):
            dealer.publish(*[event(event_type, n) for n in range(first, min(first + 500, start + count))])


def group(hub, name="g"):
    with Dealer(hub) as dealer:
        return dealer.request({"action": "group", "group": name})


@pytest.fixture
def driver(hub):
    with ConsumerDriver(hub) as d:
        yield d


def start(driver, name="g", prefetch=1, visibility_ms=30000, attempts=0, ordered=0, since="earliest", pattern="t"):
    driver.ok(f"consumer {name} {prefetch} {visibility_ms} {attempts} {ordered} {since} {pattern}")
    return driver


def drain(driver, limit=15):
    """Takes and acknowledges until nothing comes any more; returns the data of the events."""
    got = []
    while True:
        answer = driver(f"next {700 if got else int(seconds(limit)) * 1000}", limit=90)
        if answer["err"] == ETIMEOUT:
            return got
        assert answer["err"] == OK, answer
        got.append(answer["event"]["data"])
        driver.ok(f"ack 0 {answer['id']}")


@pytest.mark.parametrize("prefetch", [1, 7])
def test_each_event_is_delivered_and_done(hub, driver, prefetch):
    publish(hub, 20)
    publish(hub, 3, "other")
    start(driver, prefetch=prefetch)
    first = driver.ok("next 5000")
    assert (first["event"]["data"], first["attempt"], first["visibility_ms"]) == (0, 1, 30000)
    done = driver.ok(f"ack 0 {first['id']}")
    assert (done["done"], done["failed"]) == (1, []) and done["durability"] >= 1
    assert drain(driver) == list(range(1, 20))
    assert group(hub)["acked"] == 20


def test_new_events_end_the_wait(hub, driver):
    start(driver, since="latest")
    assert driver("next 100")["err"] == ETIMEOUT
    driver.start("next 20000")
    publish(hub, 1)
    assert driver.finish()["event"]["data"] == 0


def test_by_the_descriptor_alone(hub, driver):
    start(driver, prefetch=10)
    driver.start("take 20000 25")
    publish(hub, 25)
    driver.finish()
    assert [d["event"]["data"] for d in driver.events] == list(range(25))
    for delivery in driver.events:
        driver.ok(f"settle {delivery['id']}")
    assert driver("settled 10000")["well"] == 25
    assert group(hub)["acked"] == 25
    assert driver("take 1200 1")["wakeups"] < 60, "it spins"


def test_two_members_share(hub):
    publish(hub, 60)
    with ConsumerDriver(hub) as one, ConsumerDriver(hub) as two:
        start(one, prefetch=5)
        start(two, prefetch=5)
        got = {one: [], two: []}
        while sum(map(len, got.values())) < 60:
            for driver, mine in got.items():
                answer = driver("next 300")
                if answer["err"] == OK:
                    mine.append(answer["event"]["data"])
                    driver.ok(f"ack 0 {answer['id']}")
        assert sorted(got[one] + got[two]) == list(range(60))
        assert got[one] and got[two]
        assert one("member")["member"] != two("member")["member"]


def test_what_is_given_back_comes_again_after_its_delay(hub, driver):
    publish(hub, 1)
    start(driver)
    first = driver.ok("next 5000")
    driver.ok(f"nack 0 1200 {first['id']}")
    before = time.monotonic()
    again = driver.ok("next 20000")
    assert again["attempt"] == 2 and again["event"]["data"] == 0
    assert time.monotonic() - before > 0.5
    driver.ok(f"ack 0 {again['id']}")


def test_an_extended_delivery_stays_ours(hub, driver):
    publish(hub, 1)
    start(driver, visibility_ms=1500)
    first = driver.ok("next 5000")
    driver.ok(f"extend 0 60000 {first['id']}")
    with ConsumerDriver(hub) as other:
        start(other, visibility_ms=1500)
        assert other("next 3000")["err"] == ETIMEOUT
    driver.ok(f"ack 0 {first['id']}")


def test_a_late_acknowledgement_is_told(hub, driver):
    publish(hub, 1)
    start(driver, visibility_ms=300)
    first = driver.ok("next 5000")
    again = driver.ok("next 20000")
    assert again["attempt"] == 2
    late = driver(f"ack 0 {first['id']} {again['id']}")
    assert (late["err"], late["done"], late["failed"]) == (ECONFLICT, 1, [[first["id"], "stale_delivery"]])


def test_refusals_have_codes_of_their_own(hub, driver):
    start(driver, pattern="-")
    assert driver("next 5000")["err"] == ENOTFOUND
    driver("destroy")
    start(driver)
    assert driver("next 100")["err"] == ETIMEOUT
    for bad in ("ack 0 nonsense", "ack 0", "nack 0 99999999 aaaaaaaa-1.1", "extend 0 1 aaaaaaaa-1.1"):
        assert driver(bad)["err"] == EINVAL, bad
    assert driver(f"ack 0 {hub.epoch}-999.1")["failed"] == [[f"{hub.epoch}-999.1", "unknown_delivery"]]
    driver("destroy")
    start(driver, ordered=1)
    answer = driver("next 5000")
    assert (answer["err"], answer["code"]) == (ECONFLICT, "group_exists")
    driver("destroy")
    assert driver("consumer bad/name 1 0 0 0 - t")["err"] == EINVAL
    assert driver("consumer g 1 5 0 0 - t")["err"] == EINVAL
    assert driver("consumer g 1 0 0 0 tomorrow t")["err"] == EINVAL
    assert driver("consumer g 1001 0 0 0 - t")["err"] == EINVAL


def test_a_group_that_is_deleted_stays_deleted(hub, driver):
    start(driver)
    assert driver("next 100")["err"] == ETIMEOUT
    with Dealer(hub) as dealer:
        assert dealer.request({"action": "group_delete", "group": "g"})["success"]
    assert driver("next 10000")["err"] == ENOTFOUND
    with Dealer(hub) as dealer:
        assert dealer.request({"action": "groups"})["groups"] == []


def test_without_a_hub(reserve_port):
    with ConsumerDriver(reserve_port()) as driver:
        start(driver)
        assert driver("next 300")["err"] == ETIMEOUT
        assert driver("ack 300 aaaaaaaa-1.1")["err"] == EUNAVAIL
        assert driver("member")["connected"] is False


def test_a_restart_costs_nothing(start_hub):
    hub = start_hub()
    publish(hub, 10)
    with ConsumerDriver(hub) as driver:
        start(driver, prefetch=3)
        first = driver.ok("next 5000")
        driver.ok(f"ack 0 {first['id']}")
        second = driver.ok("next 5000")
        hub.restart()
        driver.ok(f"ack 20000 {second['id']}")
        publish(hub, 5, start=10)
        assert sorted(set(drain(driver, 60))) == list(range(2, 15))
        assert driver.gaps == [] and group(hub)["acked"] == 15


def test_kills_cost_nothing_but_repetitions(start_hub):
    hub = start_hub()
    publish(hub, 200)
    with ConsumerDriver(hub) as driver:
        start(driver, prefetch=8, visibility_ms=1500)
        done = set()
        for turn in range(3):
            for _ in range(20):
                answer = driver("next 20000")
                assert answer["err"] == OK, answer
                if driver(f"ack 0 {answer['id']}")["err"] == OK:
                    done.add(answer["event"]["data"])
            hub.kill()
            driver("next 200")
            hub.start()
            publish(hub, 10, start=200 + 10 * turn)
        deadline = time.monotonic() + seconds(60)
        while len(done) < 230 and time.monotonic() < deadline:
            answer = driver("next 3000")
            if answer["err"] == OK and driver(f"ack 0 {answer['id']}")["err"] == OK:
                done.add(answer["event"]["data"])
        assert done == set(range(230))
        # A kill leaves a void behind the last event that was kept; nothing that was published lay in one.
        assert {g["reason"] for g in driver.gaps} <= {"unclean_stop"}


def test_an_answer_lost_with_the_connection_comes_again(hub):
    publish(hub, 5)
    with Proxy(hub.requests) as proxy, ConsumerDriver(proxy.port) as driver:
        start(driver, prefetch=5, visibility_ms=1000)
        first = driver.ok("next 5000")
        proxy.hold_answers()
        driver.start(f"ack 20000 {first['id']}")
        proxy.wait_held()
        proxy.cut()
        proxy.pass_answers()
        # The hub has done it; asked again it says so, and that the first try may have been it.
        settled = driver.finish()
        assert settled["resent"] is True
        assert settled["err"] == OK or settled["failed"] == [[first["id"], "stale_delivery"]]
        assert sorted(set(drain(driver))) == [1, 2, 3, 4]


def test_a_fetch_whose_answer_was_lost_comes_again(hub):
    with Proxy(hub.requests) as proxy, ConsumerDriver(proxy.port) as driver:
        start(driver, visibility_ms=300)
        assert driver("next 200")["err"] == ETIMEOUT
        proxy.hold_answers()
        publish(hub, 3)
        proxy.wait_held()
        proxy.cut()
        proxy.pass_answers()
        assert sorted(drain(driver, 30)) == [0, 1, 2]


def test_without_a_journal_a_restart_makes_the_group_anew_and_tells(start_hub):
    hub = start_hub("--hub-journal-enabled", "false")
    publish(hub, 3)
    with ConsumerDriver(hub) as driver:
        start(driver)
        assert drain(driver) == [0, 1, 2]
        old = hub.epoch
        hub.restart()
        publish(hub, 4, start=10)
        assert drain(driver, 60) == [10, 11, 12, 13]
        assert [(g["from_epoch"], g["to_epoch"], g["reason"]) for g in driver.gaps] == [(old, hub.epoch, "epoch_changed")]


def test_what_retention_took_is_told(start_hub):
    hub = start_hub("--hub-journal-enabled", "false", "--hub-history-events", "20", "--hub-stats-interval-s", "0")
    with ConsumerDriver(hub) as driver:
        start(driver)
        publish(hub, 5)
        assert driver.ok("next 5000")["event"]["data"] == 0
        publish(hub, 100, start=5)
        got = drain(driver)
        assert got == list(range(got[0], 105)) and driver.gaps
        assert driver.gaps[-1]["reason"] == "retention" and driver.gaps[-1]["to"] == got[0]


def test_deliveries_that_nobody_took_go_back_at_the_end(hub):
    publish(hub, 10)
    with ConsumerDriver(hub) as driver:
        start(driver, prefetch=10, visibility_ms=60000)
        first = driver.ok("next 5000")
        driver.ok(f"ack 0 {first['id']}")
        driver("destroy")
    with ConsumerDriver(hub) as driver:
        start(driver, prefetch=10, visibility_ms=60000)
        assert sorted(drain(driver)) == list(range(1, 10))
    wait_until(lambda: group(hub)["pending"] == 0)


def test_settlements_that_are_left_end_with_the_consumer(hub, driver):
    publish(hub, 3)
    start(driver, prefetch=3)
    ids = [driver.ok("next 5000")["id"] for _ in range(3)]
    hub.pause()
    for one in ids:
        driver.ok(f"settle {one}")
    ended = driver("destroy")
    hub.resume()
    assert ended["settled"] == 3
