"""A crowd that comes back at once, and replays that go over to live while events pour in.

NHUB_TEST_LONG=1 publishes for longer.

ctest: timeout=600
"""
import os
import threading
import time

import pytest

from support.descriptors import descriptors
from support.http import get, post
from support.many import ManyClients
from support.sse import SseReader
from support.waiting import FACTOR, wait_until
from support.ws import WsClient
from support.zmq_clients import Dealer, Push

COUNT = 1000
PLAIN = FACTOR == 1  # sanitizers keep freed memory, so the size of a process says nothing there
LONG = bool(os.environ.get("NHUB_TEST_LONG"))


@pytest.fixture(autouse=True)
def many_descriptors():
    with descriptors(3 * COUNT):
        yield


def publish(gateway, count, pad=0):
    for start in range(0, count, 500):
        body = "\n".join(f'{{"event_type":"a","source_service":"t","data":{i}{"," if pad else ""}'
                         + (f'"metadata":{{"pad":"{"x" * pad}"}}' if pad else "") + "}"
                         for i in range(start, min(start + 500, count)))
        answer = post(gateway.port, "/events", body, headers={"Content-Type": "application/x-ndjson"}, limit=60)
        assert answer.status == 202, answer
    return answer.json


def peak_kib(daemon):
    """The most memory that the process ever had."""
    with open(f"/proc/{daemon.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def history_requests(hub):
    with Dealer(hub) as dealer:
        return dealer.request({"action": "stats"})["statistics"]["requests"]["history"]


def wait_feed(gateway, seq):
    wait_until(lambda: get(gateway.port, "/stats").json["gateway"]["link"]["received_seq"] >= seq, 30, "the feed")


@pytest.mark.parametrize("door", ["ws", "sse"])
def test_a_crowd_is_served_from_the_cache_without_asking_the_hub(hub, gateway, door):
    sent = publish(gateway, 300)
    wait_feed(gateway, sent["last_seq"])
    asked = history_requests(hub)
    since = f"{sent['epoch']}-{sent['last_seq'] - 200}"
    with ManyClients(gateway.port, door, [f"event_type=a&since={since}"] * COUNT) as clients:
        clients.wait_events(200)
        for data in clients.data():
            assert data == list(range(100, 300))
    assert history_requests(hub) == asked


@pytest.mark.parametrize("door", ["ws", "sse"])
def test_a_crowd_costs_the_hub_a_few_pages(start_hub, start_gateway, door):
    """5000 events that left the cache, 1000 readers: five pages, and memory for pages, not for readers."""
    hub = start_hub()
    gateway = start_gateway(hub, "--gateway-cache-events", "100").wait_connected()
    sent = publish(gateway, 5000, pad=100)
    wait_feed(gateway, sent["last_seq"])
    asked, since = history_requests(hub), f"{sent['epoch']}-{sent['last_seq'] - 5000}"
    before = peak_kib(gateway)
    with ManyClients(gateway.port, door, [f"event_type=a&since={since}"] * COUNT) as clients:
        clients.keep_last = True  # a thousand times 5000 decoded events are too much for this test
        clients.wait_count(5000, limit=240)
        clients.check_order()
    grown = peak_kib(gateway) - before
    pages = history_requests(hub) - asked
    # Those who are a little ahead of the others ask first; stragglers find a page forgotten and ask again.
    print(f"{door}: {pages} pages for {COUNT} readers of 5000 events, {grown} KiB more at the peak")
    assert pages < COUNT / 4, pages
    # A page for each of them would be 250 MB, the queues of the readers and their sockets are a part of this.
    assert not PLAIN or grown < 150 * 1024


class Flood:
    """Publishes as fast as the machine gives (50 000 a second at most), and counts."""

    def __init__(self, hub, limit_per_s=50000):
        self.hub, self.sent, self.limit_per_s = hub, 0, limit_per_s
        self._stop = threading.Event()
        self.started = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        with Push(self.hub) as push:
            while not self._stop.is_set():
                if self.sent > (time.monotonic() - self.started) * self.limit_per_s:
                    self._stop.wait(0.001)
                    continue
                # One message of many frames is read as that many events.
                push.send(*[b'{"event_type":"a","source_service":"t","data":%d}' % (self.sent + i) for i in range(100)])
                self.sent += 100

    def wait(self, count, limit=120):
        goal = self.sent + count
        wait_until(lambda: self.sent >= goal, limit, "the publisher")

    def stop(self):
        self._stop.set()
        self._thread.join()
        return self.sent / (time.monotonic() - self.started)


@pytest.mark.parametrize("cache", ["65536", "500"])
def test_replays_go_over_to_live_without_a_seam_under_load(start_hub, start_gateway, cache):
    """Readers come at any time during the flood, resume from anywhere, and each has every number once and in order."""
    hub = start_hub("--hub-stats-event", "")
    gateway = start_gateway(hub, "--gateway-cache-events", cache, "--gateway-policy", "drop_oldest").wait_connected()
    flood = Flood(hub)
    readers = []
    try:
        flood.wait(20000)
        for turn in range(12 if LONG else 4):
            since = "earliest" if turn % 2 else str(1 + turn * 1000)
            readers.append(SseReader(gateway.port, f"/events?event_type=a&since={since}", limit=120))
            readers.append(WsClient(gateway.port, f"/ws?event_type=a&since={since}", limit=120))
            flood.wait(20000 if LONG else 5000)
        rate = flood.stop()
        print(f"cache {cache}: {flood.sent} events, {rate:.0f}/s")
        for reader in readers:
            reader.wait(lambda r: seen(r) and seen(r)[-1][1] == flood.sent, 240, f"{flood.sent} events")
            walk(reader)
    finally:
        flood.stop()
        for reader in readers:
            reader.close()


def seen(reader):
    """("event"|"gap", seq or last missing seq) in order, of either door."""
    if isinstance(reader, SseReader):
        return [("gap" if b.event == "hub.gap" else "event", int(b.id.rsplit("-", 1)[1])) for b in list(reader.blocks)
                if b.data is not None and b.event in ("message", "hub.gap")]
    return [("gap", int(m["to"].rsplit("-", 1)[1])) if m.get("op") == "gap" else ("event", m["seq"])
            for m in list(reader.messages) if m.get("op", "gap") == "gap"]


def walk(reader):
    """Every number follows the one before; only a slow reader (this is Python) may be told gaps, and those must fit."""
    at = None
    gaps = reader.notices("hub.gap") if isinstance(reader, SseReader) else reader.ops("gap")
    begins = {int(g["to"].rsplit("-", 1)[1]): int(g["from"].rsplit("-", 1)[1]) for g in gaps}
    assert all(g["reason"] in ("slow", "retention") for g in gaps), gaps[:3]
    for kind, seq in seen(reader):
        if at is not None:
            assert (begins[seq] if kind == "gap" else seq - 1) == at, (kind, seq, at)
        at = seq
