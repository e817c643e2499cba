"""libnotifyhub asks the hub: health, info, statistics, history, anything."""
import time

import pytest

from support.client_driver import ClientDriver
from support.waiting import within
from support.zmq_clients import Dealer, event

OK, EINVAL, ETIMEOUT, EREFUSED, EUNAVAIL, ENOTFOUND = 0, -1, -4, -10, -11, -9


@pytest.fixture
def driver(hub):
    with ClientDriver(hub) as d:
        d.ok("client")
        yield d


def test_health_and_info(hub, driver):
    driver.ok("health 2000")
    info = driver.ok("info 2000")
    assert (info["collector"], info["publisher"], info["requests"]) == (hub.collector, hub.publisher, hub.requests)


def test_without_a_hub_health_ends_in_time(reserve_port):
    ports = tuple(reserve_port() for _ in range(3))

    def health():
        with ClientDriver(ports) as driver:
            driver.ok("client")
            start = time.monotonic()
            assert driver("health 400")["err"] == EUNAVAIL
            took = time.monotonic() - start
        assert took > 0.3
        return took

    within(3, health)


def test_a_late_answer_is_not_taken_for_the_next_ones(hub, driver):
    driver.ok("health 2000")
    hub.pause()
    assert driver("health 200")["err"] == ETIMEOUT
    assert driver("health 200")["err"] == ETIMEOUT
    hub.resume()
    # Two answers to health are on their way; info must get its own.
    info = driver.ok("info 5000")
    assert info["requests"] == hub.requests
    answer = driver.ok('request 5000 {"action": "position", "request_id": "mine"}')
    assert answer["answer"]["epoch"] == hub.epoch


def test_a_hub_that_comes_later_is_found(start_hub):
    hub = start_hub(wait=False)
    with ClientDriver(hub) as driver:
        driver.ok("client")
        assert driver("health 100")["err"] == EUNAVAIL
        hub.start()
        driver.ok("health 10000")
        hub.restart()
        driver.ok("health 10000")


def test_refusals_say_why(driver):
    answer = driver('request 2000 {"action": "dance"}')
    assert answer["err"] == EREFUSED and "dance" in answer["error"]
    assert driver("request 2000 [1]")["err"] == EINVAL
    assert driver("request 2000 {")["err"] == EINVAL


def test_history_is_walked_page_by_page(hub, driver):
    with Dealer(hub) as dealer:
        dealer.publish(*[event("a" if n % 2 else "b", n) for n in range(1, 2502)])
    assert driver("history - 100 -") == {"err": ENOTFOUND, "count": 2501, "first": 1, "last": 2501}
    assert driver("history - 0 a") == {"err": ENOTFOUND, "count": 1251, "first": 1, "last": 2501}
    assert driver(f"history {hub.epoch}-2499 7 -") == {"err": ENOTFOUND, "count": 2, "first": 2500, "last": 2501}
    assert driver("history 2490 7 b")["count"] == 5
    assert driver("history latest 7 -")["count"] == 0
    assert driver("history nonsense 7 -")["err"] == EINVAL
