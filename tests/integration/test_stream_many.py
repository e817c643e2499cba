"""Many sessions, with the same and with different patterns: each event once and in order."""

import pytest

from support.descriptors import descriptors
from support.http import get, post
from support.many import ManyClients
from support.waiting import wait_until

COUNT = 1000
EVENTS = 40


@pytest.fixture(autouse=True)
def many_descriptors():
    with descriptors(3 * COUNT):
        yield


def publish(gateway, count):
    for start in range(0, count, 10):
        body = "\n".join(f'{{"event_type":"topic.{i % 4}","source_service":"t","data":{i}}}' for i in range(start, start + 10))
        assert post(gateway.port, "/events", body, headers={"Content-Type": "application/x-ndjson"}).status == 202


@pytest.mark.parametrize("door", ["ws", "sse"])
@pytest.mark.parametrize("kind", ["same", "different"])
def test_a_thousand_sessions_get_each_event_once_and_in_order(gateway, door, kind):
    def query(i):
        if kind == "same":
            return "event_type=topic.*"
        return f"event_type=topic.*&event_type=mine.{i}&event_type=glob.{i}.*"

    with ManyClients(gateway.port, door, [query(i) for i in range(COUNT)]) as clients:
        clients.wait_open()
        subscribers = get(gateway.port, "/stats").json["gateway"]
        assert subscribers["subscribers"][door] == COUNT
        wait_until(lambda: get(gateway.port, "/stats").json["gateway"]["streams"]["pattern_sets"] ==
                   (1 if kind == "same" else COUNT), 10, "the number of pattern sets")
        publish(gateway, EVENTS)
        clients.wait_events(EVENTS)
        for data in clients.data():
            assert data == list(range(EVENTS))
        stats = get(gateway.port, "/stats").json["gateway"]
        assert stats["delivered_total"][door] == COUNT * EVENTS
    wait_until(lambda: get(gateway.port, "/stats").json["gateway"]["streams"]["shared"] == 0, 15, "no stream is left")
