"""Requests that wait: each is answered exactly once, in time, whatever happens to the hub or to us meanwhile.

ctest: serial
ctest: timeout=300
"""
import json
import resource
import select
import signal
import socket
import time

from support.http import get, post
from support.metrics import Metrics
from support.waiting import FACTOR, Stalled, seconds, unstalled, wait_until, within
from support.zmq_clients import Dealer

BODY = b'{"event_type":"w","data":{"i":1}}'
REQUEST = b"POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Crowd:
    """Many connections with one request each; answers() waits for all of them."""

    def __init__(self, port, count, text=REQUEST):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 500)), hard))
        self.sockets = []
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", port), timeout=seconds(20))
            sock.sendall(text)
            self.sockets.append(sock)

    def answers(self, limit):
        """(status, code) of each, in the order of the connections; None for one that was closed without an answer."""
        poll, received = select.poll(), {}
        for sock in self.sockets:
            sock.setblocking(False)
            poll.register(sock, select.POLLIN)
            received[sock.fileno()] = b""
        by_number = {sock.fileno(): sock for sock in self.sockets}
        open_ones = set(by_number)
        end = time.monotonic() + seconds(limit)
        while open_ones:
            left = end - time.monotonic()
            assert left > 0, f"{len(open_ones)} of {len(self.sockets)} have no answer after {seconds(limit):.0f} s"
            for number, _ in poll.poll(int(left * 1000) + 1):
                try:
                    piece = by_number[number].recv(65536)
                except OSError:
                    piece = b""
                received[number] += piece
                if not piece or self._complete(received[number]):
                    poll.unregister(number)
                    open_ones.discard(number)
        return [self._read(received[sock.fileno()]) for sock in self.sockets]

    @staticmethod
    def _complete(text):
        head, found, body = text.partition(b"\r\n\r\n")
        return bool(found) and len(body) >= int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])

    @staticmethod
    def _read(text):
        if not text:
            return None
        return int(text.split(b" ")[1]), json.loads(text.split(b"\r\n\r\n", 1)[1]).get("code")

    def close(self):
        for sock in self.sockets:
            sock.close()


def waiting(gateway):
    return Metrics(gateway.port).get("notifyhub_http_requests_waiting")


GIVEN_UP_S = 1.5  # a hub that is silent for so long is


def crowd_that_waits(hub, gateway, count):
    """The hub hangs, and so many requests wait for it."""

    def attempt():
        hub.pause()
        since = time.monotonic()
        crowd = Crowd(gateway.port, count)
        while waiting(gateway) < count:
            if time.monotonic() - since > GIVEN_UP_S:
                crowd.close()
                gateway.wait_unready()
                hub.resume()
                gateway.wait_connected()
                raise Stalled(f"the hub was given up before {count} requests were there")
        return crowd

    return unstalled(attempt)


def test_four_thousand_waiting_posts_are_all_answered(hub, start_gateway):
    """The hub hangs. The link finds out, and every waiting request gets its 503; nothing of it remains."""
    gateway = start_gateway(hub).wait_connected()
    count = 4000 if FACTOR < 4 else 1000
    files = gateway.open_files()
    hub.pause()
    crowd = Crowd(gateway.port, count)
    started = time.monotonic()
    answers = crowd.answers(15)
    took = time.monotonic() - started
    assert took < seconds(9)  # gateway.ack_timeout_ms is 5 s
    codes = {answer: answers.count(answer) for answer in set(answers)}
    # What was sent to the hub may have been numbered; what still waited in the gateway was not.
    assert set(codes) <= {(503, "outcome_unknown"), (503, "hub_unavailable"), (503, "overloaded")}, codes
    assert (503, "outcome_unknown") in codes and sum(codes.values()) == count
    metrics = Metrics(gateway.port)
    for (_, code), number in codes.items():
        assert metrics.rejected("http", code) == number
    wait_until(lambda: waiting(gateway) == 0, 5, "no request to wait")
    assert get(gateway.port, "/health").status == 200
    crowd.close()
    wait_until(lambda: gateway.open_files() <= files + 5, 10, lambda: f"{gateway.open_files()} files, were {files}")
    hub.resume()
    gateway.wait_connected()
    assert post(gateway.port, "/events", {"event_type": "after"}).status == 202


def test_health_answers_while_posts_wait(hub, start_gateway):
    gateway = start_gateway(hub).wait_connected()

    def slowest_beside_a_crowd():
        hub.pause()
        crowd = Crowd(gateway.port, 500)
        probes = [get(gateway.port, "/health") for _ in range(20)]
        assert all(probe.status == 200 for probe in probes), probes
        assert len(crowd.answers(15)) == 500
        crowd.close()
        hub.resume()
        gateway.wait_connected()
        return max(probe.seconds for probe in probes)

    within(0.5, slowest_beside_a_crowd)


def test_clients_that_leave_while_they_wait(hub, start_gateway):
    gateway = start_gateway(hub).wait_connected()
    files = gateway.open_files()
    crowd_that_waits(hub, gateway, 300).close()
    wait_until(lambda: get(gateway.port, "/stats").json["gateway"]["requests_waiting"] == 0, 15, "the end of the waits")
    wait_until(lambda: gateway.open_files() <= files + 5, 10, lambda: f"{gateway.open_files()} files, were {files}")
    gateway.wait_unready()  # only then is "ready" of the time after the hub's return
    hub.resume()
    gateway.wait_connected()
    assert post(gateway.port, "/events", {"event_type": "after"}).status == 202


def test_sigterm_while_posts_wait(hub, start_gateway):
    """A stop sees the waiting requests out: each has an answer before its connection ends."""
    gateway = start_gateway(hub).wait_connected()
    crowd = crowd_that_waits(hub, gateway, 500)
    gateway.signal(signal.SIGTERM)
    answers = crowd.answers(15)
    assert all(answer and answer[0] == 503 for answer in answers), set(answers)
    assert gateway.wait(20) == 0
    crowd.close()
    hub.resume()


def test_sigterm_under_load_answers_what_it_took(hub, start_gateway):
    gateway = start_gateway(hub).wait_connected()
    crowd = Crowd(gateway.port, 300)
    gateway.signal(signal.SIGTERM)
    answers = [a for a in crowd.answers(15) if a is not None]
    assert all(status in (202, 503) for status, _ in answers)
    assert gateway.wait(20) == 0
    crowd.close()
    # Connections that it had not taken yet are closed without an answer; but of those nothing is numbered.
    with Dealer(hub) as dealer:
        numbered = dealer.request({"action": "stats"})["statistics"]["events_published"]
    accepted, unknown = answers.count((202, None)), answers.count((503, "outcome_unknown"))
    assert accepted <= numbered <= accepted + unknown, (len(answers), numbered)


def test_stop_with_everything_open(hub, start_gateway):
    """Idle, half a head, half a body, a stream, a waiting history page: the daemon ends all the same."""
    gateway = start_gateway(hub).wait_connected()
    texts = [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n",
             b"POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{",
             b"POST /events HTTP/1.1\r\nHost: h\r\nContent-Type: a/b\r\nContent-Length: 100\r\n\r\n{",
             b"GET /events/stream HTTP/1.1\r\nHost: h\r\n\r\n"]
    sockets = []
    for text in texts * 5:
        sock = socket.create_connection(("127.0.0.1", gateway.port), timeout=seconds(10))
        sock.sendall(text)
        sockets.append(sock)
    wait_until(lambda: get(gateway.port, "/stats").json["gateway"]["subscribers"]["sse"] == 5, 10, "the streams")
    hub.pause()
    assert gateway.stop(20) == 0
    for sock in sockets:
        sock.close()
    hub.resume()
