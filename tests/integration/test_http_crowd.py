"""http crowd: many requests at once, also as many as a loop that takes its ready connections in portions of 128 or 256
could mistake for "there are more, look again first": each round would then last until something else wakes it.
"""
import socket
import time

import pytest

from support.http import get
from support.waiting import seconds

REQUEST = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
ROUNDS = 20


@pytest.mark.parametrize("count", [127, 128, 256])
def test_a_crowd_is_served_at_once(gateway, count):
    crowd = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(count)]
    for connection in crowd:  # keep-alive connections, known to the daemon
        connection.settimeout(seconds(30))
        connection.sendall(REQUEST)
    for connection in crowd:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    began = time.monotonic()
    for _ in range(ROUNDS):
        gateway.pause()  # so that all requests are there when it looks
        for connection in crowd:
            connection.sendall(REQUEST)
        gateway.resume()
        for connection in crowd:
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    assert time.monotonic() - began < seconds(ROUNDS / 4), "requests waited for something else to happen"
    for connection in crowd:
        connection.close()


def test_a_request_that_waited_for_the_hub_is_answered_at_once(gateway):
    get(gateway.port, "/stats")
    began = time.monotonic()
    for _ in range(ROUNDS):
        assert get(gateway.port, "/stats").status == 200
    assert time.monotonic() - began < seconds(ROUNDS / 4), "answers waited for something else to happen"
