"""libnotifyhub's publisher when the connection breaks: what carries an id is sent again and numbered once, in order;
what does not is called unknown at once; nothing is ever missing without a word."""
import contextlib
import json

import pytest

from support.client_driver import ClientDriver
from support.fake_hub import FakeHub
from support.proxy import Proxy
from support.waiting import wait_until
from support.zmq_clients import Dealer

OK, EAGAIN, ETIMEOUT, ECLOSED = 0, -3, -4, -5


@pytest.fixture
def proxy(hub):
    with Proxy(hub.requests) as p:
        yield p


@pytest.fixture
def driver(hub, proxy):
    with ClientDriver((hub.collector, hub.publisher, proxy.port)) as d:
        yield d


def history(hub):
    with Dealer(hub) as dealer:
        dealer.send({"action": "history", "since": "earliest", "limit": 10000})
        return [json.loads(frame) for frame in dealer.recv_frames()[2:]]


def submit(driver, count, prefix):
    sent = 0
    while sent < count:
        answer = driver(f"submit {count - sent} t {prefix}")
        assert answer["err"] in (OK, EAGAIN), answer
        sent += answer["sent"]
        if answer["err"] == EAGAIN:
            driver.ok("poll 100")


def begin(driver, inflight=256, ack_timeout_ms=20000, first="first"):
    """A publisher whose connection has been used once."""
    driver.ok(f"publisher {inflight} {ack_timeout_ms} 0")
    driver.ok(f"publish 5000 {first} t 1")


@contextlib.contextmanager
def lost_answers(proxy, stays_away=False):
    """What is published in here reaches the hub; its answers are lost with the connection. The hub may stay out of reach."""
    proxy.hold_answers()
    yield
    proxy.wait_held()
    if stays_away:
        proxy.refuse()
    proxy.cut()
    if not stays_away:
        proxy.pass_answers()


def test_what_carries_an_id_is_sent_again_and_numbered_once(hub, proxy, driver):
    begin(driver)
    with lost_answers(proxy):
        submit(driver, 100, "id-")
    acks = driver.ok("poll 20000")
    assert (acks["ok"], acks["unknown"], acks["refused"], acks["resent"], acks["in_order"]) == (100, 0, 0, 100, True)
    assert acks["duplicates"] > 0, "the hub had none of them before: the cut came too early to test anything"
    assert [e["id"] for e in history(hub)] == ["first", *(f"id-{n}" for n in range(100))]


def test_what_never_reached_the_hub_is_sent_again_in_order_and_before_anything_newer(hub, proxy, driver):
    begin(driver)
    hub.pause()
    submit(driver, 50, "id-")
    proxy.refuse()
    proxy.cut()
    hub.resume()
    # The loss is noticed; nothing newer may go out before what was lost.
    driver.ok("poll 300")
    assert driver("submit 1 t id-")["sent"] == 0
    proxy.refuse(False)
    submit(driver, 10, "id-")
    acks = driver.ok("poll 20000")
    assert (acks["ok"], acks["unknown"], acks["resent"]) == (60, 0, 50)
    assert [e["id"] for e in history(hub)] == ["first", *(f"id-{n}" for n in range(60))]


def test_a_publish_that_waits_is_sent_again_too(hub, proxy, driver):
    begin(driver, 0, 0)
    with lost_answers(proxy):
        driver.start("publish 20000 second t 2")
    answer = driver.finish()
    assert (answer["err"], answer["seq"], answer["duplicate"], answer["resent"]) == (OK, 2, True, True)
    assert len(history(hub)) == 2


def test_without_an_id_the_outcome_is_unknown_at_once(hub, proxy, driver):
    begin(driver, ack_timeout_ms=600000, first="-")
    with lost_answers(proxy):
        submit(driver, 20, "")
    acks = driver.ok("poll 20000")
    assert (acks["ok"], acks["unknown"], acks["resent"]) == (0, 20, 0)
    assert driver("publish 5000 - t 1")["err"] == OK


def test_a_hub_that_stays_away_is_told_when_the_time_is_over(hub, proxy, driver):
    begin(driver, ack_timeout_ms=1500)
    with lost_answers(proxy, stays_away=True):
        submit(driver, 5, "id-")
    acks = driver.ok("poll 20000")
    assert (acks["ok"], acks["unknown"]) == (0, 5)
    proxy.refuse(False)
    proxy.pass_answers()
    assert driver("publish 5000 last t 1")["err"] == OK


def test_another_epoch_is_another_hub(start_hub):
    hub = start_hub("--hub-journal-enabled", "false")
    with Proxy(hub.requests) as proxy, ClientDriver((hub.collector, hub.publisher, proxy.port)) as driver:
        begin(driver)
        with lost_answers(proxy):
            submit(driver, 10, "id-")
            proxy.wait_held()
            hub.kill()
        hub.start()
        acks = driver.ok("poll 20000")
        assert (acks["ok"], acks["unknown"], acks["resent"]) == (0, 10, 0)
        assert history(hub) == [], "nothing is repeated at a hub that cannot know it"


@pytest.mark.parametrize("code", ["durability_unavailable", "unavailable", "no_memory"])
def test_a_late_refusal_does_not_undo_an_earlier_try(reserve_port, code):
    """It says how the hub is now; the first try may have been numbered, and here it was."""
    def refuse(request, events):
        return {"success": False, "code": code, "error": "not at this moment"}

    with FakeHub([reserve_port() for _ in range(3)], dedup_window_s=300) as fake, Proxy(fake.ports[2]) as proxy, \
            ClientDriver((fake.ports[0], fake.ports[1], proxy.port)) as driver:
        begin(driver)
        fake.on_publish = lambda request, events: fake.number(request, events) and None  # the answers get lost
        submit(driver, 5, "id-")
        wait_until(lambda: fake.seq == 6, 10, "the first try to be numbered")
        fake.on_publish = refuse
        proxy.cut()
        acks = driver.ok("poll 20000")
        assert (acks["ok"], acks["unknown"], acks["refused"]) == (0, 5, 0)
        assert len(fake.requests) > 1 + 1, "it was not sent again"
        submit(driver, 2, "later-")  # what was sent once only is surely not accepted
        acks = driver.ok("poll 20000")
        assert (acks["ok"], acks["unknown"], acks["refused"]) == (0, 5, 2)


def test_a_hub_that_remembers_no_ids_gets_nothing_twice(start_hub):
    hub = start_hub("--hub-dedup-ids", "0")
    with Proxy(hub.requests) as proxy, ClientDriver((hub.collector, hub.publisher, proxy.port)) as driver:
        begin(driver)
        with lost_answers(proxy):
            submit(driver, 10, "id-")
        acks = driver.ok("poll 20000")
        assert (acks["ok"], acks["unknown"], acks["resent"]) == (0, 10, 0)
        ids = [e["id"] for e in history(hub)]
        assert len(ids) == len(set(ids)), "sent again"


def test_closing_while_something_is_lost_counts_it_as_unknown(hub, proxy, driver):
    begin(driver, ack_timeout_ms=60000)
    with lost_answers(proxy, stays_away=True):
        submit(driver, 5, "id-")
    driver.ok("poll 300")
    closed = driver("close 100")
    assert (closed["err"], closed["unacked"], closed["unknown"]) == (ETIMEOUT, 5, 5)


def test_an_answer_says_how_safely_the_event_is_kept(hub, driver):
    driver.ok("publisher 0 0 0")
    with Dealer(hub) as dealer:
        given = dealer.request({"action": "position"})["durability"]
    assert driver.ok("publish 5000 - t 1")["durability"] == 1 + ["memory", "journaled", "synced"].index(given)
    driver.ok("durability 1")
    assert driver.ok("publish 5000 - t 1")["durability"] >= 1


def test_a_durability_that_the_hub_does_not_have_is_surely_not_accepted(start_hub):
    hub = start_hub("--hub-journal-enabled", "false")
    with ClientDriver(hub) as driver:
        driver.ok("publisher 0 0 0")
        driver.ok("durability 3")
        answer = driver("publish 5000 - t 1")
        assert (answer["err"], answer["code"]) == (-17, "durability_unavailable") and answer["text"]
        assert history(hub) == []
