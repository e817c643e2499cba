"""Probes are never behind a fan-out: /health answers while 1000 clients resume and events go out at full rate.

ctest: serial
"""
import socket
import threading
import time

from support.http import get
from support.waiting import seconds, wait_until, within
from support.zmq_clients import Dealer, Push, event

CLIENTS = 1000


class ResumingCrowd:
    """Many SSE streams that start at the oldest event, read by one thread that only counts bytes."""

    def __init__(self, port, count, position):
        import selectors
        self.selector = selectors.DefaultSelector()
        self.sockets = []
        self.bytes = 0
        self.closing = False
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", port), timeout=seconds(20))
            self.sockets.append(sock)
            self.selector.register(sock, selectors.EVENT_READ)
        for sock in self.sockets:
            sock.sendall(f"GET /events/stream?since={position} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            sock.setblocking(False)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while not self.closing:
            for key, _ in self.selector.select(0.1):
                try:
                    piece = key.fileobj.recv(262144)
                except BlockingIOError:
                    continue
                except OSError:
                    piece = b""
                if not piece:
                    self.selector.unregister(key.fileobj)
                self.bytes += len(piece)

    def close(self):
        self.closing = True
        self.thread.join()
        for sock in self.sockets:
            sock.close()


class FullRate:
    """Publishes a few thousand events a second for each of the clients: more than they can read."""

    def __init__(self, hub):
        self._hub = hub
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        with Push(self._hub) as push:
            number = 0
            while not self._stop.is_set():
                push.send(event("load", {"n": number, "pad": "x" * 150}))
                number += 1
                if number % 20 == 0:
                    time.sleep(0.005)

    def close(self):
        self._stop.set()
        self._thread.join()


def slowest_probe(hub, gateway):
    """Seconds that the slowest /health took beside a crowd and a publisher of its own."""
    publisher = FullRate(hub)
    crowd = ResumingCrowd(gateway.port, CLIENTS, "earliest")
    took = []
    try:
        end = time.monotonic() + 6
        while time.monotonic() < end:
            answer = get(gateway.port, "/health")
            assert answer.status == 200, answer
            took.append(answer.seconds)
            time.sleep(0.2)
    finally:
        publisher.close()
        crowd.close()
    assert crowd.bytes > CLIENTS * 2000, "the crowd hardly got anything, so this showed nothing"
    wait_until(lambda: get(gateway.port, "/stats").json["gateway"]["subscribers"]["sse"] == 0, 20, "the crowd to be gone")
    return max(took)


def test_health_answers_while_a_thousand_clients_resume_and_events_flow(hub, gateway):
    """/health answers within 100 ms. It is tried in rounds: a probe that is behind a fan-out is slow in each of them."""
    with Dealer(hub) as dealer:
        first = dealer.publish(*[event("load", {"n": n, "pad": "x" * 150}) for n in range(2000)])
        assert first["success"], first
    gateway.wait_connected(10)
    within(0.1, lambda: slowest_probe(hub, gateway))
