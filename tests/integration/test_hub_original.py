"""The hub as the original's clients see it: the checklist CG, with clients that behave on their sockets as the real
ones do (support/cgse_client.py)."""
import asyncio
import json
import threading
import time
import uuid

import pytest
import zmq

from support.cgse_client import (AsyncEventPublisher, AsyncEventSubscriber, AsyncNotificationHubClient, EventPublisher,
                                 EventSubscriber, NotificationHubClient, ServiceMessaging, async_is_notify_hub_active,
                                 is_notify_hub_active, make_event)
from support.waiting import seconds, wait_until, within
from support.zmq_clients import Dealer, Push, Sub, event

FIVE = ["event_type", "source_service", "data", "timestamp", "correlation_id"]
CONTROLS = "".join(chr(c) for c in range(1, 0x20)) + "\x7f\u2028\ufeff"
STRANGE = {
    "big": 2**70,
    "negative": -(2**64),
    "floats": [0.1, 1e300, -2.5e-10, 1e22, 5.0],
    "text": "Grüße, 世界 🛰",
    "controls": CONTROLS,
    "quotes": "\"\\/",
    "nested": [[[{}, []]], {"": None, "a b": [True, False]}],
}


def in_force(hub, subscriber):
    """Waits until the hub serves this cgse_client subscriber."""
    kind = "nhtest.probe." + uuid.uuid4().hex
    subscriber.socket.setsockopt_string(zmq.SUBSCRIBE, kind)
    with Push(hub) as push:
        def look():
            push.send(event(kind))
            return subscriber.poll(50) and subscriber.socket.recv_multipart()[0] == kind.encode()

        wait_until(look, 10, "the subscription")
    subscriber.socket.setsockopt_string(zmq.UNSUBSCRIBE, kind)


def take(subscriber, count):
    """The next events of a cgse_client subscriber, probes left out."""
    events = []
    while len(events) < count:
        assert subscriber.poll(seconds(5) * 1000), f"{len(events)} of {count} events arrived"
        got = subscriber.handle_event(return_event_data=True)
        if not got["event_type"].startswith("nhtest.probe."):
            events.append(got)
    return events


def test_sync_publisher_five_fields_unchanged(hub):
    """CG-1: what the sync publisher sends arrives as it was, in the original's order of fields."""
    with EventSubscriber(hub, "strange") as subscriber:
        in_force(hub, subscriber)
        with EventPublisher(hub) as publisher:
            sent = publisher.publish("strange", "cm", STRANGE)
        got = take(subscriber, 1)[0]
    assert list(got)[:5] == FIVE
    assert {k: got[k] for k in FIVE} == sent
    assert isinstance(got["data"]["big"], int) and got["data"]["big"] == 2**70
    assert got["data"]["controls"] == CONTROLS


def test_async_publisher_five_fields_unchanged(hub):
    """CG-1: the same for the async publisher."""
    async def publish():
        async with AsyncEventPublisher(hub) as publisher:
            return await publisher.publish("strange", "cm", STRANGE)

    with EventSubscriber(hub, "strange") as subscriber:
        in_force(hub, subscriber)
        sent = asyncio.run(publish())
        got = take(subscriber, 1)[0]
    assert {k: got[k] for k in FIVE} == sent


@pytest.mark.parametrize("data", [None, 5, 2**80, "text", [1, 2], [], {}, True, 0.1, -0.0, "", 1e400, float("nan")],
                         ids=repr)
def test_any_json_passes_as_data(hub, data):
    """CG-1: data is any JSON value, also the bare words that Python writes."""
    with Sub(hub, "any") as sub, Push(hub) as push:
        sub.sync(push)
        push.send(event("any", data) | {"data": data})
        got = json.loads(sub.recv_frames()[1])
    assert repr(got["data"]) == repr(data)


def test_bytes_of_values_are_untouched(hub):
    """CG-1: values are the publisher's bytes: digits, escapes, blanks inside; line breaks outside strings go."""
    text = (b'{ "source_service" : "s\\u00e9" ,\r\n "data" : { "n" : 1.50e+0010,\n\t"s":"\\u0041\\/" } ,'
            b'"timestamp":5, "event_type":"raw", "correlation_id":"c" }')
    with Sub(hub, "raw") as sub, Push(hub) as push:
        sub.sync(push)
        push.send(text)
        line = sub.recv_frames()[1]
    assert line.startswith(b'{"event_type":"raw","source_service":"s\\u00e9",'
                           b'"data":{ "n" : 1.50e+0010,  "s":"\\u0041\\/" },"timestamp":5,"correlation_id":"c","seq":')
    assert line.endswith(b',"epoch":"%s"}' % hub.epoch.encode())
    assert b"\n" not in line and b"\r" not in line


def test_sync_subscriber_handlers_in_order_without_loss(hub):
    """CG-2: poll and handle_event, a handler found by its exact type, 2000 events in order."""
    seen = []
    with EventSubscriber(hub, "count") as subscriber:
        subscriber.register_handler("count", lambda e: seen.append(e["data"]["n"]))
        in_force(hub, subscriber)
        with EventPublisher(hub) as publisher:
            for n in range(2000):
                publisher.publish("count", "cm", {"n": n})
            while len(seen) < 2000:
                assert subscriber.poll(seconds(5) * 1000)
                assert subscriber.handle_event() is None
    assert seen == list(range(2000))


def test_async_subscriber_coroutine_and_plain_handlers(hub):
    """CG-2: the async subscriber, with both kinds of handlers."""
    seen = []

    async def on_a(e):
        await asyncio.sleep(0)
        seen.append(("a", e["data"]["n"]))

    def on_b(e):
        seen.append(("b", e["data"]["n"]))

    async def run():
        async with AsyncEventSubscriber(hub, "a", "b") as subscriber:
            subscriber.register_handler("a", on_a)
            subscriber.register_handler("b", on_b)
            task = asyncio.create_task(subscriber.listen())
            async with AsyncEventPublisher(hub) as publisher:
                await publisher.publish("a", "cm", {"n": -1})
                while not seen:  # until the subscription is in force
                    await publisher.publish("a", "cm", {"n": -1})
                    await asyncio.sleep(0.02)
                for n in range(50):
                    await publisher.publish("ab"[n % 2], "cm", {"n": n})
                end = time.monotonic() + seconds(10)
                while len([s for s in seen if s[1] >= 0]) < 50 and time.monotonic() < end:
                    await asyncio.sleep(0.01)
            subscriber.running = False
            await task

    asyncio.run(run())
    assert [s for s in seen if s[1] >= 0] == [("ab"[n % 2], n) for n in range(50)]


def test_prefixes_and_several_subscribers(hub):
    """CG-3: a subscription is a byte prefix, the empty one is everything, and each subscriber gets each event once."""
    types = ["pre", "prefix-1", "pr", "other", "pre:x", "Pre"]
    with Sub(hub, "pre") as pre, Sub(hub, "pre") as again, Sub(hub, "") as everything, Sub(hub, "pre", "prefix") as both:
        with Push(hub) as push:
            for sub in (pre, again, everything, both):
                sub.sync(push)
            for kind in types:
                push.send(event(kind))
            wanted = ["pre", "prefix-1", "pre:x"]
            for sub in (pre, again, both):
                assert [e["event_type"] for e in sub.recv_many(3)] == wanted
                assert sub.nothing(50)
            assert [e["event_type"] for e in everything.recv_many(6)] == types
            assert everything.nothing(50)


def test_connect_send_close_is_not_lost(hub):
    """CG-4: a publisher that lives for one event, linger 100 ms, 50 times."""
    with EventSubscriber(hub, "once") as subscriber:
        in_force(hub, subscriber)
        for n in range(50):
            with EventPublisher(hub) as publisher:
                publisher.publish("once", "cm", {"n": n})
        got = take(subscriber, 50)
    assert sorted(e["data"]["n"] for e in got) == list(range(50))


def test_missing_and_null_fields_are_filled(hub):
    """CG-5: timestamp and correlation_id are filled when missing or null, kept when given."""
    with Sub(hub, "fill") as sub, Push(hub) as push:
        sub.sync(push)
        before = time.time()
        push.send(event("fill"))
        push.send(event("fill", timestamp=None, correlation_id=None))
        push.send(event("fill", timestamp=5, correlation_id="mine"))
        missing, null, given = sub.recv_many(3)
        after = time.time()
    for filled in (missing, null):
        assert isinstance(filled["timestamp"], float) and before - 0.001 <= filled["timestamp"] <= after + 0.001
        assert uuid.UUID(filled["correlation_id"]).version == 4
        assert str(uuid.UUID(filled["correlation_id"])) == filled["correlation_id"]
    assert missing["correlation_id"] != null["correlation_id"]
    assert given["timestamp"] == 5 and isinstance(given["timestamp"], int)
    assert given["correlation_id"] == "mine"


def test_other_keys_are_dropped_and_our_own_follow(hub):
    """CG-1: keys that the original does not know are left out; id, kind and metadata pass, seq and epoch are the hub's."""
    with Sub(hub, "keys") as sub, Push(hub) as push:
        sub.sync(push)
        push.send(event("keys", extra=1, seq=77, epoch="zzzzzzzz", id="i", kind="created", metadata={"a": "b"}))
        got = sub.recv()
    assert list(got) == [*FIVE, "id", "kind", "metadata", "seq", "epoch"]
    assert got["epoch"] == hub.epoch and got["seq"] != 77
    assert (got["id"], got["kind"], got["metadata"]) == ("i", "created", {"a": "b"})


def test_health_check_sync_async_and_without_identity(hub):
    """CG-6: True for a hub that is there."""
    with NotificationHubClient(hub) as client:
        assert client.health_check() is True
    with NotificationHubClient(hub, identity=False) as client:
        assert client.health_check() is True

    async def check():
        async with AsyncNotificationHubClient(hub) as client:
            return await client.health_check()

    assert asyncio.run(check()) is True


def test_twenty_health_checks_at_once(hub):
    """CG-6: twenty clients at the same time, half of them threads, half of them tasks."""
    results = []

    def in_thread(n):
        with NotificationHubClient(hub, identity=n % 2 == 0) as client:
            results.append(client.health_check())

    async def in_tasks():
        async def one():
            async with AsyncNotificationHubClient(hub) as client:
                return await client.health_check()

        return await asyncio.gather(*[one() for _ in range(10)])

    threads = [threading.Thread(target=in_thread, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    results += asyncio.run(in_tasks())
    for thread in threads:
        thread.join()
    assert results == [True] * 20


def test_health_check_on_a_wrong_port_is_false_after_the_timeout(hub, reserve_port):
    """CG-6: False where nobody answers."""
    class Nowhere:
        requests = reserve_port()

    del hub
    with NotificationHubClient(Nowhere, request_timeout=0.3) as client:
        started = time.monotonic()
        assert client.health_check() is False
        assert time.monotonic() - started >= 0.3


def test_server_status_is_exact_after_2000_events(hub):
    """CG-7: every field with its JSON type, and counters that are exact."""
    started = time.time()
    with NotificationHubClient(hub) as client:
        status = client.server_status()
        assert status["statistics"]["last_message_time"] == 0.0
        assert isinstance(status["statistics"]["last_message_time"], float)
        with EventPublisher(hub) as publisher:
            for n in range(2000):
                publisher.publish("count", "cm", {"n": n})
            wait_until(lambda: client.server_status()["statistics"]["events_received"] >= 2000, 10, "2000 events")
        status = client.server_status()
    assert set(status) >= {"success", "status", "collector_port", "publisher_port", "requests_port", "statistics",
                           "timestamp"}
    assert status["success"] is True and status["status"] == "ok"
    assert [status[k] for k in ("collector_port", "publisher_port", "requests_port")] == [hub.collector, hub.publisher,
                                                                                         hub.requests]
    assert isinstance(status["timestamp"], int) and abs(status["timestamp"] - time.time()) < 5
    statistics = status["statistics"]
    assert set(statistics) == {"events_received", "events_published", "last_message_time", "start_time"}
    assert statistics["events_received"] == 2000 and statistics["events_published"] == 2000
    assert isinstance(statistics["events_received"], int)
    assert isinstance(statistics["start_time"], float) and abs(statistics["start_time"] - started) < 60
    assert started <= statistics["last_message_time"] <= time.time() + 0.001


def test_terminate_sync_and_start_again_on_the_same_ports(hub):
    """CG-10: REQ_NO_REPLY ends the hub with status 0; it starts again at once on the same ports; a subscriber that
    stayed connected gets the next event by itself."""
    with EventSubscriber(hub, "again") as subscriber:
        in_force(hub, subscriber)

        def end():
            started = time.monotonic()
            with NotificationHubClient(hub) as client:
                client.terminate_server()
            hub.wait(expect=0)
            took = time.monotonic() - started
            ports = (hub.collector, hub.publisher, hub.requests)
            hub.start()
            assert (hub.collector, hub.publisher, hub.requests) == ports
            return took

        for _ in range(3):
            within(2, end)
        in_force(hub, subscriber)
        with EventPublisher(hub) as publisher:
            publisher.publish("again", "cm", {})
        assert take(subscriber, 1)[0]["epoch"] == hub.epoch


def test_terminate_async_is_answered(hub):
    """CG-10: the async form is a REQ and gets its answer before the hub ends."""
    async def terminate():
        async with AsyncNotificationHubClient(hub) as client:
            return await client.request({"action": "terminate"})

    answer = asyncio.run(terminate())
    assert set(answer) == {"success", "status", "timestamp"}
    assert answer["success"] is True and answer["status"] == "terminating"
    assert isinstance(answer["timestamp"], float)
    hub.wait(2, expect=0)


def test_is_active_functions(hub):
    """CG-11: the "is it active" functions with their 0.5 s."""
    assert is_notify_hub_active(hub, timeout=seconds(0.5)) is True
    assert asyncio.run(async_is_notify_hub_active(hub, timeout=seconds(0.5))) is True


def test_service_messaging_round_trip(hub):
    """CG-12: publisher and subscriber in one, with a correlation id of the caller."""
    with ServiceMessaging(hub, "service-a", "reply") as a, ServiceMessaging(hub, "service-b", "ask") as b:
        in_force(hub, a.subscriber)
        in_force(hub, b.subscriber)
        a.publish_event("ask", {"q": 1}, correlation_id="job-17")
        asked = take(b.subscriber, 1)[0]
        assert asked["source_service"] == "service-a"
        b.publish_event("reply", {"a": 2}, correlation_id=asked["correlation_id"])
        replied = take(a.subscriber, 1)[0]
    assert replied["correlation_id"] == "job-17" and replied["data"] == {"a": 2}


def test_events_of_acked_publish_and_push_meet(hub):
    """CG-20, the hub's half: what comes by request reaches SUB, what comes by PUSH reaches history, with one number."""
    with Sub(hub, "both") as sub, Push(hub) as push, Dealer(hub) as dealer:
        sub.sync(push)
        answer = dealer.publish(event("both", {"by": "request"}))
        push.send(event("both", {"by": "push"}))
        first, second = sub.recv_many(2)
        assert first["seq"] == answer["first_seq"] and second["seq"] == first["seq"] + 1
        dealer.send({"action": "history", "since": answer["first_seq"] - 1, "event_type": "both"})
        frames = dealer.recv_frames()
    assert [json.loads(f) for f in frames[2:]] == [first, second]


def test_order_is_kept_for_each_publisher(hub):
    """CG-22: ten publishers at once, 500 events each: nothing missing, each one's order kept, numbers without holes."""
    count, publishers = 500, 10

    def publish(name):
        with EventPublisher(hub) as publisher:
            for n in range(count):
                publisher.publish("order", name, {"n": n})
            publisher.socket.setsockopt(zmq.LINGER, int(seconds(10) * 1000))

    with Sub(hub, "order") as sub, Push(hub) as push:
        sub.sync(push)
        threads = [threading.Thread(target=publish, args=(f"p{i}",)) for i in range(publishers)]
        for thread in threads:
            thread.start()
        events = sub.recv_many(count * publishers)
        for thread in threads:
            thread.join()
    numbers = [e["seq"] for e in events]
    assert numbers == sorted(numbers) and len(set(numbers)) == count * publishers
    for i in range(publishers):
        assert [e["data"]["n"] for e in events if e["source_service"] == f"p{i}"] == list(range(count))


def test_an_event_of_one_mebibyte_passes(hub):
    """CG-16: 1 MiB of data arrives unchanged."""
    blob = "x" * (1 << 20)
    with Sub(hub, "big") as sub, Push(hub) as push:
        sub.sync(push)
        push.send(make_event("big", "cm", {"blob": blob}))
        assert sub.recv()["data"]["blob"] == blob
