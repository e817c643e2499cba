"""The hub under bad input: it costs the sender a counter and a limited log line, and nobody else anything."""
import json
import os
import re
import socket as plain
import time

import pytest
import zmq

from support.waiting import FACTOR, wait_until, within
from support.zmq_clients import Dealer, Push, Sub, event

# Sanitizers and valgrind keep freed memory, so the size of the process says nothing there.
PLAIN = FACTOR == 1

# (name, frames of one message, the reason that is counted for each frame)
BAD = [
    ("not JSON", [b"rubbish"], "bad_json"),
    ("half an object", [b'{"event_type":"x"'], "bad_json"),
    ("two objects", [b'{} {}'], "bad_json"),
    ("not UTF-8", [b'{"event_type":"x","source_service":"s","data":"\xff\xfe"}'], "bad_json"),
    ("UTF-16", ['{"event_type":"x"}'.encode("utf-16")], "bad_json"),
    ("overlong UTF-8", [b'{"event_type":"\xc0\xaf","source_service":"s","data":1}'], "bad_json"),
    ("a list", [b"[1,2]"], "not_an_object"),
    ("a number", [b"5"], "not_an_object"),
    ("empty object", [b"{}"], "missing_field"),
    ("no type", [b'{"source_service":"s","data":{}}'], "missing_field"),
    ("null type", [b'{"event_type":null,"source_service":"s","data":{}}'], "missing_field"),
    ("no source", [b'{"event_type":"x","data":{}}'], "missing_field"),
    ("null source", [b'{"event_type":"x","source_service":null,"data":{}}'], "missing_field"),
    ("no data", [b'{"event_type":"x","source_service":"s"}'], "missing_field"),
    ("type is a number", [b'{"event_type":5,"source_service":"s","data":{}}'], "wrong_type"),
    ("source is a list", [b'{"event_type":"x","source_service":[],"data":{}}'], "wrong_type"),
    ("timestamp is text", [b'{"event_type":"x","source_service":"s","data":{},"timestamp":"now"}'], "wrong_type"),
    ("type is empty", [b'{"event_type":"","source_service":"s","data":{}}'], "bad_value"),
    ("type is too long", [b'{"event_type":"%s","source_service":"s","data":{}}' % (b"t" * 256)], "bad_value"),
    ("line break in type", [b'{"event_type":"a\\nb","source_service":"s","data":{}}'], "bad_value"),
    ("kind is unknown", [b'{"event_type":"x","source_service":"s","data":{},"kind":"odd"}'], "bad_value"),
    ("id is too long", [b'{"event_type":"x","source_service":"s","data":{},"id":"%s"}' % (b"i" * 1025)], "bad_value"),
    ("reserved type", [b'{"event_type":"hub.x","source_service":"s","data":{}}'], "reserved_type"),
    ("statistics event", [b'{"event_type":"StatsEvent","source_service":"s","data":{}}'], "reserved_type"),
    ("deep nesting", [b'{"event_type":"x","source_service":"s","data":' + b"[" * 100000 + b"]" * 100000 + b"}"],
     "bad_json"),
    ("empty frame", [b""], "bad_json"),
    ("two frames of rubbish", [b"one", b"two"], "bad_json"),
    ("an empty frame among others", [b"", b"", b""], "bad_json"),
]


DELAY_S = 0.5  # CG-17: what is bad delays what comes next by less


def rejected(dealer):
    return dealer.request({"action": "stats"})["statistics"]["rejected"]


def passage(sub, push, number=0):
    """How long a good event takes from its publisher to a subscriber."""
    started = time.monotonic()
    push.send(event("good", {"n": number}))
    assert sub.recv()["data"] == {"n": number}
    return time.monotonic() - started


@pytest.mark.parametrize("name,frames,reason", BAD, ids=[b[0] for b in BAD])
def test_a_bad_event_is_counted_and_the_next_one_comes_at_once(hub, name, frames, reason):
    """CG-17: each kind of bad event has its counter and a log line, and does not delay the next event (< 0.5 s)."""
    del name
    with Sub(hub, "good") as sub, Push(hub) as push, Dealer(hub) as dealer:
        sub.sync(push)
        before = rejected(dealer)

        def bad_then_good():
            started = time.monotonic()
            push.send(*frames)
            passage(sub, push)
            return time.monotonic() - started

        tries = within(DELAY_S, bad_then_good)
        after = rejected(dealer)
    assert {k: after[k] - before[k] for k in after if after[k] != before[k]} == {reason: tries * len(frames)}
    assert re.search(rf"level=warn .*event=event_refused reason={reason} ", hub.stderr)


def test_frames_of_one_message_are_events_of_their_own(hub):
    """CG-17: a message of several frames is that many events: the good ones among them pass."""
    with Sub(hub, "good") as sub, Push(hub) as push:
        sub.sync(push)
        push.send(event("good", {"n": 1}), b"bad", event("good", {"n": 2}), b"", event("good", {"n": 3}))
        assert [e["data"]["n"] for e in sub.recv_many(3)] == [1, 2, 3]


def test_log_lines_are_limited(hub):
    """CG-17: ten thousand bad events are ten thousand in the counter and a handful in the log."""
    with Push(hub) as push, Dealer(hub) as dealer:
        for _ in range(10000):
            push.send(b"bad")
        wait_until(lambda: rejected(dealer)["bad_json"] == 10000, 20, "10000 refusals")
    assert 1 <= hub.stderr.count("event=event_refused") <= 20


def test_a_flood_of_bad_events_does_not_stop_the_good_ones(hub):
    """CG-17: while one publisher sends rubbish without a pause, another one's events arrive within 0.5 s each."""
    with Sub(hub, "good") as sub, Push(hub) as good, Push(hub) as bad:
        sub.sync(good)
        bad.socket.setsockopt(zmq.LINGER, 0)

        def flood_and_good(number):
            for _ in range(500):
                bad.send(b"rubbish")
            return passage(sub, good, number)

        for n in range(20):
            within(DELAY_S, lambda n=n: flood_and_good(n))


@pytest.mark.parametrize("size", [4096, 4097, 100000])
def test_an_oversize_event_is_refused_and_counted(start_hub, size):
    """CG-16: hub.max_event_bytes is the last size that passes; the connection stays."""
    hub = start_hub("--hub-max-event-bytes", "4096")
    head = b'{"event_type":"size","source_service":"s","data":"'
    text = head + b"x" * (size - len(head) - 2) + b'"}'
    assert len(text) == size
    with Sub(hub, "size", "after") as sub, Push(hub) as push, Dealer(hub) as dealer:
        sub.sync(push)
        push.send(text)
        push.send(event("after"))
        kinds = [e["event_type"] for e in sub.recv_many(2 if size == 4096 else 1)]
        assert kinds == (["size", "after"] if size == 4096 else ["after"])
        assert rejected(dealer)["too_big"] == (0 if size == 4096 else 1)
        answer = dealer.publish(text)
        assert answer["success"] is (size == 4096)
        if size > 4096:
            assert answer["code"] == "too_big" and answer["index"] == 0


def test_an_enormous_frame_closes_its_own_connection_only(hub):
    """A frame over twice the largest batch (32 MiB) is ZeroMQ's last fence: others do not notice."""
    with Sub(hub, "good") as sub, Push(hub) as push:
        sub.sync(push)
        before = hub.anon_kib()

        def slowest_beside_the_frame():
            with Push(hub, linger_ms=0) as hostile:
                hostile.send(b" " * (33 << 20))
                return max(passage(sub, push, n) for n in range(20))

        within(DELAY_S, slowest_beside_the_frame)
        assert not PLAIN or hub.anon_kib() - before < 20 * 1024


def test_thousands_of_frames_in_one_message_starve_nobody(hub):
    """Fifty thousand frames in one message are fifty thousand events; requests and others' events go on meanwhile."""
    with Sub(hub, "good") as sub, Push(hub) as push, Push(hub) as big, Dealer(hub) as dealer:
        sub.sync(push)
        sent = 0

        def good_beside_the_frames():
            nonlocal sent
            big.send(*[b"bad"] * 50000)
            sent += 50000
            started = time.monotonic()
            push.send(event("good"))
            assert dealer.request({"action": "health"})["success"]
            assert sub.recv()["event_type"] == "good"
            took = time.monotonic() - started
            wait_until(lambda: rejected(dealer)["bad_json"] == sent, 20, "all frames")
            return took

        within(DELAY_S, good_beside_the_frames)


def test_thousands_of_frames_in_a_request_are_ignored(hub):
    """CG-8: frames behind the third are ignored, however many."""
    with Dealer(hub) as dealer, Dealer(hub) as other:
        def request_beside_the_frames():
            dealer.send({"action": "health"}, *[b"x"] * 50000)
            started = time.monotonic()
            assert other.request({"action": "health"})["success"]
            took = time.monotonic() - started
            assert dealer.recv()["status"] == "ok"
            return took

        within(DELAY_S, request_beside_the_frames)


IDENTITIES = [b"\x01", bytes(range(1, 256)), b"\xff" * 255, b"a\x00b", "Kunde-ü".encode(), b" ", b"'\"\\\r\n", b"RESPONSE"]


@pytest.mark.parametrize("identity", IDENTITIES, ids=range(len(IDENTITIES)))
def test_identities_of_any_bytes(hub, identity):
    """A peer may call itself anything."""
    with Dealer(hub, identity=identity) as dealer:
        for _ in range(3):
            assert dealer.request({"action": "health"})["success"]
        assert dealer.publish(event(), acks="batched")["count"] == 1


def test_a_second_peer_of_the_same_identity_does_no_harm(hub):
    """Two peers with one identity: the first keeps working, the hub too."""
    with Dealer(hub, identity="twin") as first:
        assert first.request({"action": "health"})["success"]
        with Dealer(hub, identity="twin") as second:
            second.send({"action": "health"})
            assert first.request({"action": "health"})["success"]
            with Dealer(hub) as other:
                assert other.request({"action": "health"})["success"]


def test_useless_subscriptions_are_counted(hub):
    """A prefix longer than any event type can match nothing: counted, told, and harmless."""
    with Sub(hub, "good") as sub, Push(hub) as push, Dealer(hub) as dealer:
        with Sub(hub, "x" * 2000, "good") as odd:
            sub.sync(push)
            odd.sync(push)
            push.send(event("good"))
            assert sub.recv()["event_type"] == "good" and odd.recv()["event_type"] == "good"
        assert dealer.request({"action": "stats"})["statistics"]["subscriptions"]["too_long"] == 1
    hub.wait_log("event=subscription_too_long prefix_bytes=2000")


def receive(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        assert more, "the hub closed the connection"
        data += more
    return data


def raw_subscriber(hub):
    """A SUB by hand (ZMTP 3.0, NULL mechanism): libzmq's own falls over its own megabyte prefix when it is closed."""
    connection = plain.create_connection(("127.0.0.1", hub.publisher), timeout=5)
    connection.sendall(b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
    receive(connection, 64)
    ready = b"\x05READY" + b"\x0bSocket-Type" + (3).to_bytes(4, "big") + b"SUB"
    connection.sendall(b"\x04" + bytes([len(ready)]) + ready)
    receive(connection, receive(connection, 2)[1])
    return connection


def raw_subscribe(connection, prefix):
    connection.sendall(b"\x02" + (len(prefix) + 1).to_bytes(8, "big") + b"\x01" + prefix)


def test_a_subscription_of_a_megabyte_harms_nobody(hub):
    """ZeroMQ would keep about 50 bytes for each byte of a prefix: such a peer is disconnected, others do not notice."""
    with Sub(hub, "good") as sub, Push(hub) as push, Dealer(hub) as dealer:
        sub.sync(push)
        before = hub.anon_kib()
        with raw_subscriber(hub) as peer:  # shows that the peers made by hand are understood
            raw_subscribe(peer, b"z" * 1000)
            wait_until(lambda: dealer.request({"action": "stats"})["statistics"]["subscriptions"]["too_long"] == 1, 10,
                       "the subscription made by hand")

        def good_behind_a_megabyte(number):
            with raw_subscriber(hub) as peer:
                try:
                    raw_subscribe(peer, os.urandom(1 << 20))
                    while peer.recv(65536):
                        pass  # the hub's greeting and handshake, then the end
                except ConnectionError:
                    pass
            return passage(sub, push, number)

        for n in range(20):
            within(DELAY_S, lambda n=n: good_behind_a_megabyte(n))
        assert dealer.request({"action": "stats"})["statistics"]["subscriptions"]["too_long"] == 1
        assert not PLAIN or hub.anon_kib() - before < 20 * 1024


def test_unsubscribing_what_was_never_subscribed_silences_nobody(hub):
    """A peer that takes back prefixes of others, or its own twice, changes nothing for them."""
    with Sub(hub, "") as sub, Push(hub) as push, Dealer(hub) as dealer:
        sub.sync(push)
        raw = zmq.Context.instance().socket(zmq.XSUB)
        raw.setsockopt(zmq.LINGER, 0)
        raw.connect(f"tcp://127.0.0.1:{hub.publisher}")
        for _ in range(20):
            raw.send(b"\x00")
            raw.send(b"\x00nhtest")
        raw.send(b"\x05noise")

        def figures():
            return dealer.request({"action": "stats"})["statistics"]["subscriptions"]

        wait_until(lambda: figures()["noise"] >= 1, 10, "the noise")
        push.send(event("still"))
        assert sub.recv()["event_type"] == "still"
        assert figures()["now"] >= 0
        raw.close()


def test_a_subscriber_that_stalls_does_not_slow_the_others(hub):
    """A subscriber that does not read loses events of its own; another one gets all, and the hub's memory is bounded."""
    with Sub(hub, "flood") as reader, Push(hub) as push:
        reader.sync(push)
        stalled = zmq.Context.instance().socket(zmq.SUB)
        stalled.setsockopt(zmq.LINGER, 0)
        stalled.setsockopt(zmq.RCVHWM, 1)
        stalled.setsockopt(zmq.RCVBUF, 4096)
        stalled.setsockopt(zmq.SUBSCRIBE, b"flood")
        stalled.connect(f"tcp://127.0.0.1:{hub.publisher}")
        text = json.dumps(event("flood", "x" * 1000)).encode()
        for _ in range(20):
            for _ in range(500):
                push.send(text)
            reader.recv_many(500)
        with Dealer(hub) as dealer:
            assert dealer.request({"action": "health"})["success"]
        stalled.close()


def test_a_stalled_subscriber_of_large_events_costs_bounded_memory(hub):
    """While a subscriber that stands still holds 512 MiB of large events, further large ones are numbered and kept but
    not sent, which is counted; small ones go on; when it is gone everything goes on."""
    stalled = zmq.Context.instance().socket(zmq.SUB)
    stalled.setsockopt(zmq.LINGER, 0)
    stalled.setsockopt(zmq.RCVHWM, 1)
    stalled.setsockopt(zmq.RCVBUF, 4096)
    stalled.setsockopt(zmq.SUBSCRIBE, b"huge")
    stalled.connect(f"tcp://127.0.0.1:{hub.publisher}")
    with Sub(hub, "huge", "small") as reader, Push(hub) as push, Dealer(hub) as dealer:
        reader.sync(push)

        def figures():
            return dealer.request({"action": "stats"})["statistics"]["subscriptions"]

        wait_until(lambda: figures()["now"] >= 3, 10, "the stalled subscriber")
        text = json.dumps(event("huge", "x" * (1 << 20))).encode()
        for n in range(600):
            push.send(text)
            if n < 500:
                reader.recv()
        wait_until(lambda: figures()["not_sent"] > 20, 20, "the limit")
        hub.wait_log("event=event_not_sent")
        # Beside the 512 MiB: the ring and the journal's backlog, 64 MiB each.
        assert not PLAIN or hub.anon_kib() < 800 * 1024
        push.send(event("small"))
        while reader.recv()["event_type"] != "small":
            pass
        position = dealer.request({"action": "position"})
        assert dealer.request({"action": "history", "since": position["seq"] - 2, "limit": 1})["count"] == 1
        stalled.close()
        before = figures()["not_sent"]

        def flows():
            push.send(text)
            return reader.socket.poll(100) and reader.recv()["event_type"] == "huge"

        wait_until(flows, 20, "large events to flow again")
        for _ in range(50):
            push.send(text)
        reader.recv_many(50)
        assert figures()["not_sent"] - before < 50


def test_a_peer_that_reads_no_answers_costs_a_bounded_queue(start_hub):
    """Answers for a peer that does not read wait in a bounded queue, then are dropped and counted; others go on."""
    hub = start_hub()
    with Dealer(hub) as dealer, Push(hub) as push:
        for n in range(200):
            push.send(event("page", "x" * 20000))
        wait_until(lambda: dealer.request({"action": "position"})["seq"] == 200, 10, "the events")
        lazy = zmq.Context.instance().socket(zmq.DEALER)
        lazy.setsockopt(zmq.LINGER, 0)
        lazy.setsockopt(zmq.RCVHWM, 1)
        lazy.setsockopt(zmq.RCVBUF, 4096)
        lazy.setsockopt(zmq.SNDHWM, 0)
        lazy.connect(f"tcp://127.0.0.1:{hub.requests}")
        for n in range(400):
            lazy.send_multipart([b"REQ", b'{"action":"history","since":"earliest","limit":10000,"request_id":%d}' % n])

        def figures():
            return dealer.request({"action": "stats"})["statistics"]

        wait_until(lambda: figures()["requests"]["history"] == 400, 30, "all requests")
        statistics = figures()
        assert statistics["requests"]["refused"] > 200  # "busy": 256 MiB of pages are on their way
        assert not PLAIN or hub.anon_kib() < 600 * 1024

        def request_beside_the_lazy_one():
            started = time.monotonic()
            assert dealer.request({"action": "health"})["success"]
            return time.monotonic() - started

        within(DELAY_S, request_beside_the_lazy_one)
        lazy.close()
        wait_until(lambda: figures()["answers"]["waiting"] == 0, 40, "the queue of the vanished peer to go")


def test_a_peer_that_vanishes_before_its_answer(hub):
    """Answers for peers that are gone are counted; nobody else notices."""
    with Dealer(hub) as dealer:
        for _ in range(50):
            gone = zmq.Context.instance().socket(zmq.DEALER)
            gone.setsockopt(zmq.LINGER, 1000)
            gone.connect(f"tcp://127.0.0.1:{hub.requests}")
            for _ in range(20):
                gone.send_multipart([b"REQ", b'{"action":"stats"}'])
            gone.close()
        assert dealer.request({"action": "health"})["success"]


RAW = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(4096), b"", b"\xff" + b"\x00" * 8 + b"\x7f" + b"\x03" + b"\x00" * 52]


@pytest.mark.parametrize("door", ["collector", "publisher", "requests"])
def test_bytes_that_are_not_zeromq(hub, door):
    """Strangers who speak another protocol at one of the ports."""
    for raw in RAW:
        with plain.create_connection(("127.0.0.1", getattr(hub, door)), timeout=5) as connection:
            connection.sendall(raw)
    with Dealer(hub) as dealer, Sub(hub, "good") as sub, Push(hub) as push:
        assert dealer.request({"action": "health"})["success"]
        sub.sync(push)
        push.send(event("good"))
        assert sub.recv()["event_type"] == "good"
