"""libnotifyhub publishes: fire and forget, acknowledged, many in flight, honest outcomes."""
import json

import pytest

from support.client_driver import ClientDriver
from support.waiting import wait_until
from support.zmq_clients import Dealer, Push, Sub

OK, EINVAL, EAGAIN, ETIMEOUT, EREFUSED, EUNAVAIL, EFULL = 0, -1, -3, -4, -10, -11, -13


@pytest.fixture
def driver(hub):
    with ClientDriver(hub) as d:
        yield d


def newest(hub):
    with Dealer(hub) as dealer:
        return dealer.request({"action": "position"})["seq"]


def test_fire_and_forget_reaches_a_subscriber(hub, driver):
    with Sub(hub, b"") as sub, Push(hub) as push:
        sub.sync(push)
        driver.ok("publisher 0 0 0")
        driver.ok('send thing {"n": 1e400, "big": 123456789012345678901234567890}')
        got = sub.recv_frames()
        assert got[0] == b"thing"
        assert b'"data":{"n": 1e400, "big": 123456789012345678901234567890}' in got[1]
        event = json.loads(got[1])
        assert event["source_service"] == "driver" and event["timestamp"] > 1e9
        assert driver("close 1000") == {"err": 0, "unsent": 0, "unacked": 0, "unknown": 0}


def test_an_event_sent_just_before_the_close_arrives(hub, driver):
    for n in range(1, 6):
        driver.ok("publisher 0 0 0")
        driver.ok("send thing -")
        assert driver("close 2000")["unsent"] == 0
        wait_until(lambda n=n: newest(hub) == n)


def test_what_is_invalid_is_refused_before_it_is_sent(driver, hub):
    driver.ok("publisher 0 0 0")
    for command in ("send hub.mine {}", "send t {", "publish 1000 - hub.mine {}", "publish 1000 - t 1,2"):
        assert driver(command)["err"] == EINVAL, command
    assert newest(hub) == 0


def test_an_acked_publish_names_the_position_and_knows_duplicates(hub, driver):
    driver.ok("publisher 0 0 0")
    first = driver.ok("publish 2000 id-1 t 1")
    assert (first["seq"], first["epoch"], first["duplicate"]) == (1, hub.epoch, False)
    again = driver.ok("publish 2000 id-1 t 1")
    assert (again["seq"], again["epoch"], again["duplicate"]) == (1, hub.epoch, True)
    other = driver("publish 2000 id-1 t 2")
    assert (other["err"], other["code"]) == (EREFUSED, "duplicate_conflict")
    assert driver.ok("publish 2000 - t 3")["seq"] == 2


def test_the_window_is_kept_and_answers_come_in_order(hub, driver):
    driver.ok("publisher 256 5000 0")
    sent = 0
    while sent < 2000:
        answer = driver(f"submit {2000 - sent} t")
        assert answer["err"] in (OK, EFULL, EAGAIN)
        assert answer["in_flight"] <= 256
        sent += answer["sent"]
        driver.ok("poll 5000")
    acks = driver.ok("flush 5000")
    assert (acks["ok"], acks["refused"], acks["unknown"], acks["in_order"]) == (2000, 0, 0, True)
    assert acks["max_in_flight"] == 256
    assert newest(hub) == 2000


def test_without_a_hub_a_publish_was_surely_not_sent(reserve_port):
    ports = tuple(reserve_port() for _ in range(3))
    with ClientDriver(ports) as driver:
        driver.ok("publisher 0 0 0")
        assert driver("publish 300 - t 1")["err"] == EUNAVAIL
        driver.ok("send t 1")
        driver.ok("send t 2")
        closed = driver("close 200")
        assert (closed["err"], closed["unsent"], closed["unacked"]) == (ETIMEOUT, 2, 0)


def test_a_full_queue_says_so(reserve_port):
    ports = tuple(reserve_port() for _ in range(3))
    with ClientDriver(ports) as driver:
        driver.ok("publisher 0 0 10")
        answers = [driver("send t 1") for _ in range(30)]
        assert answers[0]["err"] == OK and answers[-1]["err"] == EAGAIN
        accepted = sum(1 for a in answers if a["err"] == OK)
        assert driver("close 50")["unsent"] == accepted


def test_queued_events_leave_when_the_hub_comes(start_hub):
    hub = start_hub(wait=False)
    with ClientDriver(hub) as driver:
        driver.ok("publisher 0 0 0")
        for n in range(10):
            driver.ok(f"send t {n}")
        hub.start()
        assert driver("close 10000")["unsent"] == 0
        wait_until(lambda: newest(hub) == 10)


def test_no_answer_means_unknown_and_a_late_one_is_nobody_elses(hub, driver):
    driver.ok("publisher 0 0 0")
    assert driver.ok("publish 2000 - t 1")["seq"] == 1
    hub.pause()
    lost = driver("publish 300 x t 2")
    assert lost["err"] == ETIMEOUT
    hub.resume()
    # The late answer carries seq 2; the next publish must not take it for its own.
    assert driver.ok("publish 5000 y t 3")["seq"] == 3
    again = driver.ok("publish 5000 x t 2")
    assert (again["seq"], again["duplicate"]) == (2, True)


def test_closing_with_answers_outstanding_counts_them_as_unknown(hub, driver):
    driver.ok("publisher 256 60000 0")
    driver.ok("publish 2000 - t 1")
    hub.pause()
    assert driver("submit 50 t")["sent"] == 50
    closed = driver("close 200")
    hub.resume()
    assert (closed["err"], closed["unacked"], closed["unknown"]) == (ETIMEOUT, 50, 50)
    wait_until(lambda: newest(hub) == 51)


def test_answers_that_do_not_come_expire_one_by_one(hub, driver):
    driver.ok("publisher 256 300 0")
    driver.ok("publish 2000 - t 1")
    hub.pause()
    assert driver("submit 20 t")["sent"] == 20
    acks = driver("poll 5000")
    hub.resume()
    assert (acks["ok"], acks["unknown"]) == (0, 20)
    assert driver("publish 5000 - t 1")["seq"] == 22


@pytest.mark.parametrize("journal", ["true", "false"])
def test_publishing_goes_on_after_a_restart(start_hub, journal):
    hub = start_hub("--hub-journal-enabled", journal)
    with ClientDriver(hub) as driver:
        driver.ok("publisher 0 0 0")
        first = driver.ok("publish 2000 - t 1")
        hub.restart()
        second = driver.ok("publish 10000 - t 1")
        if journal == "true":
            assert (second["epoch"], second["seq"]) == (first["epoch"], 2)
        else:
            assert second["epoch"] != first["epoch"] and second["seq"] == 1
