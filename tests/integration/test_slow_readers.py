"""A thousand clients that never read, a publisher at full rate: the memory budget is kept, and the others notice little.

NHUB_TEST_LONG=1 runs each case for five minutes (another number: so many seconds) and asserts that the healthy clients'
99th percentile grew by no more than 20 %, or by no more than 2 ms, against the same load without the slow readers. That
needs a machine of its own.

ctest: timeout=900
"""
import os
import socket
import threading
import time

import pytest

from support.descriptors import descriptors
from support.http import get, request
from support.metrics import Metrics
from support.never_reading import NeverReading, figures
from support.waiting import FACTOR, wait_until
from support.ws import WsClient
from support.zmq_clients import Push

COUNT = 1000
LONG = int(os.environ.get("NHUB_TEST_LONG", "0"))
SECONDS = {0: 4, 1: 300}.get(LONG, LONG)
PLAIN = FACTOR == 1  # sanitizers keep freed memory, so the size of a process says nothing there
BUDGET = ("--gateway-streams-max-bytes", "128MiB", "--gateway-cache-bytes", "16MiB")


@pytest.fixture(autouse=True)
def many_descriptors():
    with descriptors(3 * COUNT):
        yield


class FullRate:
    """Publishes in bursts of 50 as fast as the hub takes them, 50 000 a second at most (with sanitizers a tenth)."""

    RATE = 50000 if PLAIN else 5000

    def __init__(self, hub, size):
        self.line = b'{"event_type":"a","source_service":"t","data":"%s"}' % (b"x" * size)
        self.hub, self.sent, self._stop = hub, 0, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        import zmq
        started = time.monotonic()
        with Push(self.hub, linger_ms=0) as push:
            push.socket.setsockopt(zmq.SNDHWM, 100)
            while not self._stop.is_set():
                if self.sent > (time.monotonic() - started) * self.RATE:
                    self._stop.wait(0.001)
                elif push.socket.poll(100, zmq.POLLOUT):
                    push.send(*[self.line] * 50)
                    self.sent += 50

    def stop(self):
        self._stop.set()
        self._thread.join()


class Healthy:
    """Publishes an event every 10 ms over HTTP and takes the time until a WebSocket reader has it."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.ws = WsClient(gateway.port, "/ws?event_type=healthy", limit=60)
        self.ws.wait_op("subscribed")
        self.number = 0

    def _has(self, seq):
        """The event is there, or it was told that it is missing (a machine that is too slow for all this)."""
        return (self.ws.events and self.ws.events[-1]["seq"] >= seq) or \
            any(int(gap["to"].rsplit("-", 1)[1]) >= seq for gap in self.ws.ops("gap"))

    def p99_ms(self, seconds):
        """While this runs every event must come, in order, or be told as missing."""
        import http.client
        import json
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=120)
        taken, end = [], time.monotonic() + seconds
        while time.monotonic() < end or len(taken) < 20:
            began = time.monotonic()
            connection.request("POST", "/events?durability=memory", json.dumps({"event_type": "healthy", "data": self.number}))
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 503 and not PLAIN:
                continue  # a machine on which not even the link's questions are answered in time
            assert answer.status == 202, body
            self.number += 1
            seq = json.loads(body)["seq"]
            wait_until(lambda: self._has(seq), 60, "the event", poll=0.0005)
            taken.append(time.monotonic() - began)
            time.sleep(0.01)
        came = [e["data"] for e in self.ws.events]
        assert came == sorted(set(came)) and (self.ws.ops("gap") or len(came) == self.number)
        connection.close()
        return sorted(taken)[int(len(taken) * 0.99)] * 1000

    def close(self):
        self.ws.close()


class Sampler:
    """Looks at the gateway's size and budget ten times a second."""

    def __init__(self, gateway):
        self.gateway, self.rss, self.streams, self.samples = gateway, 0, 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(0.1):
            self.rss = max(self.rss, self.gateway.rss_kib() * 1024)
            memory = figures(self.gateway)["memory"]
            self.streams = max(self.streams, memory["stream_bytes"])
            self.samples += 1

    def stop(self):
        self._stop.set()
        self._thread.join()


CASES = [("ws", "disconnect", 200), ("ws", "drop_oldest", 200), ("ws", "latest", 200), ("sse", "disconnect", 200),
         ("sse", "drop_oldest", 200), ("ws", "drop_oldest", 5000), ("sse", "drop_oldest", 20000)]


@pytest.mark.parametrize("door, policy, size", CASES)
def test_a_thousand_clients_that_never_read(start_hub, start_gateway, door, policy, size):
    hub = start_hub("--hub-stats-event", "", "--hub-journal-enabled", "false")
    gateway = start_gateway(hub, *BUDGET).wait_connected()
    ceiling = figures(gateway)["memory"]
    assert ceiling["ceiling_bytes"] == sum(ceiling["ceiling"].values())
    assert f"event=memory_ceiling bytes={ceiling['ceiling_bytes']} " in gateway.stderr
    healthy = Healthy(gateway)
    idle_ms = healthy.p99_ms(10 if LONG else 0.5)
    flood = FullRate(hub, size)
    before_ms = healthy.p99_ms(SECONDS / 4)
    flood.stop()
    crowd = NeverReading(gateway, door, f"event_type=a&policy={policy}", COUNT)
    wait_until(lambda: figures(gateway)["subscribers"][door] >= COUNT, 60, "the crowd")
    flood, sampler = FullRate(hub, size), Sampler(gateway)
    try:
        during_ms = healthy.p99_ms(SECONDS)
    finally:
        flood.stop()
        sampler.stop()
        stats = figures(gateway)
        crowd.close()
        healthy.close()
    print(f"{door} {policy} {size} B: {flood.sent} events, p99 {idle_ms:.2f} ms idle, {before_ms:.2f} ms under load, "
          f"{during_ms:.2f} ms with the slow readers; "
          f"resident {sampler.rss >> 20} MiB, streams {sampler.streams >> 20} MiB of 128 MiB, "
          f"{len(healthy.ws.ops('gap'))} gaps for the healthy, ceiling {ceiling['resident_ceiling_bytes'] >> 20} MiB resident, {ceiling['ceiling_bytes'] >> 20} MiB in all; "
          f"dropped {stats['dropped']}, {crowd.comebacks} came back")
    # The budget is enforced at the end of each turn of the loop; what came since the last one is on top.
    assert sampler.samples > 0 and sampler.streams <= (128 << 20) * 1.1
    assert not PLAIN or sampler.rss < ceiling["resident_ceiling_bytes"]
    # Everybody who was dropped is counted under a reason.
    reason = {"disconnect": "slow_disconnect", "drop_oldest": "slow_oldest", "latest": "slow_latest"}[policy]
    assert stats["dropped"][reason] + stats["dropped"]["memory"] > 0
    if LONG:
        assert during_ms <= max(before_ms * 1.2, before_ms + 2)


@pytest.mark.parametrize("door", ["ws", "sse"])
def test_each_drop_is_counted_and_told(start_hub, start_gateway, door):
    """What was delivered and what was told to be missing is everything, for each of many slow readers."""
    from support.sse import SseReader
    from support.http import post
    gateway = start_gateway(start_hub("--hub-stats-event", ""), "--gateway-session-max-bytes", "64KiB",
                            "--gateway-send-buffer-bytes", "16KiB").wait_connected()
    readers = []
    try:
        for _ in range(8):
            path = ("/ws" if door == "ws" else "/events") + "?event_type=a&policy=drop_oldest"
            readers.append((WsClient if door == "ws" else SseReader)(gateway.port, path, receive_buffer=4096, limit=60))
        for reader in readers:
            reader.wait_op("subscribed") if door == "ws" else reader.wait_open()
            reader.pause()
        for start in range(0, 3000, 100):
            lines = "\n".join('{"event_type":"a","data":"%s"}' % ("x" * 1000) for _ in range(100))
            assert post(gateway.port, "/events", lines, {"Content-Type": "application/x-ndjson"}).status == 202, start
        wait_until(lambda: get(gateway.port, "/stats").json["gateway"]["link"]["received_seq"] >= 3000, 20, "the feed")
        for reader in readers:
            reader.unpause()
        told = 0
        for reader in readers:
            reader.wait(lambda r: r.events and r.events[-1]["seq"] == 3000, 60)
            gaps = reader.ops("gap") if door == "ws" else reader.notices("hub.gap")
            missing = set(range(1, 3001)) - {e["seq"] for e in reader.events}
            ranges = set()
            for gap in gaps:
                assert gap["reason"] == "slow"
                ranges |= set(range(int(gap["from"].split("-")[1]) + 1, int(gap["to"].split("-")[1]) + 1))
            assert ranges == missing and sum(gap["dropped"] for gap in gaps) == len(missing)
            told += len(missing)
        metrics = Metrics(gateway.port)
        assert metrics.get("notifyhub_dropped_total", reason="slow_oldest") == told > 0
        assert get(gateway.port, "/stats").json["gateway"]["dropped"]["slow_oldest"] == told
    finally:
        for reader in readers:
            reader.close()


def test_pages_of_history_that_nobody_reads_are_bounded(start_hub, start_gateway):
    """Answers of megabytes to clients that do not take them are a part of the budget for bodies."""
    from support.http import post
    gateway = start_gateway(start_hub("--hub-stats-event", ""), "--gateway-max-body-bytes", "1MiB").wait_connected()
    for _ in range(20):
        lines = "\n".join('{"event_type":"a","data":"%s"}' % ("x" * 9000) for _ in range(100))
        assert post(gateway.port, "/events", lines, {"Content-Type": "application/x-ndjson"}).status == 202
    before = gateway.rss_kib()
    sockets = []
    try:
        def ask_without_reading():
            """One more; true when most are refused: 4 MiB of answers each, and 32 x 1 MiB may be in memory."""
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", gateway.port))
            sock.sendall(b"GET /events?since=earliest&limit=10000 HTTP/1.1\r\nHost: x\r\n\r\n")
            return get(gateway.port, "/stats").json["gateway"]["rejected"]["http"].get("overloaded", 0) > 50

        wait_until(ask_without_reading, 60, "refusals")
        refused = request(gateway.port, "GET", "/events?since=earliest&limit=10000", limit=30)
        refused.problem(503, "overloaded")
        assert int(refused.headers["Retry-After"]) > 0
        assert not PLAIN or gateway.rss_kib() - before < 150 * 1024
    finally:
        for sock in sockets:
            sock.close()
    wait_until(lambda: get(gateway.port, "/events?since=earliest&limit=10").status == 200, 30, "room again")
