"""The front door and connections that are slow, silent, wrong or hostile: each gets its answer, and nobody else notices.

ctest: serial
ctest: timeout=300
"""
import socket
import time

import websocket

import pytest

from support.descriptors import descriptors
from support.http import connect, get, post, raw
from support.sse import SseReader
from support.waiting import seconds, wait_until, within
from support.ws import WsClient
from support.zmq_clients import event

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


def rejected(gateway, reason):
    for line in get(gateway.port, "/metrics").text.splitlines():
        if line.startswith("notifyhub_rejected_total") and 'door="http"' in line and f'reason="{reason}"' in line:
            return float(line.split()[-1])
    return 0.0


def few_connections(gateway):
    for line in get(gateway.port, "/metrics").text.splitlines():
        if line.startswith("notifyhub_connections_open "):
            return float(line.split()[-1]) < 10
    return False


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else answer


def test_a_dribbled_head_is_served(gateway):
    with connect(gateway.port) as sock:
        for byte in b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":
            sock.sendall(bytes([byte]))
            time.sleep(0.005)
        assert status_of(sock.recv(65536)) == 200


def test_a_dribbled_upgrade_is_a_websocket(gateway):
    head = (f"GET /ws?event_type=a HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\n{KEY}Sec-WebSocket-Version: 13\r\n\r\n").encode()
    with connect(gateway.port) as sock:
        for start in range(0, len(head), 7):
            sock.sendall(head[start:start + 7])
            time.sleep(0.005)
        assert status_of(sock.recv(65536)) == 101


def test_a_head_that_does_not_end_gets_408(gateway):
    before = rejected(gateway, "head_timeout")
    started = time.monotonic()
    answer = raw(gateway.port, b"GET /health HTTP/1.1\r\nHost", limit=30)
    assert status_of(answer) == 408 and b"application/problem+json" in answer and b"head_timeout" in answer
    assert 8 < time.monotonic() - started < seconds(15)
    assert rejected(gateway, "head_timeout") == before + 1


def test_a_head_that_is_too_large_gets_431(gateway):
    before = rejected(gateway, "head_too_large")
    answer = raw(gateway.port, b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 9000)
    assert status_of(answer) == 431 and b"application/problem+json" in answer
    # Much more than that is read away, so that the answer arrives all the same.
    answer = raw(gateway.port, b"GET /" + b"y" * 400000)
    assert status_of(answer) == 431
    assert rejected(gateway, "head_too_large") == before + 2


NOISES = (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"{}\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n",
          b"\x00" * 100 + b"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nno header\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
          b"GET /health HTTP/1.1\r\n\r\n", b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
          b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n")


@pytest.mark.parametrize("half_close", [True, False], ids=["half_closed", "open"])
def test_noise_is_refused_in_our_own_words(gateway, half_close):
    """What is no head of HTTP/1 gets problem+json from the door, also when its sender sends no more."""
    before = rejected(gateway, "bad_request")
    for noise in NOISES:
        answer = raw(gateway.port, noise, limit=20, half_close=half_close)
        assert status_of(answer) == 400 and b"application/problem+json" in answer, (noise, answer)
    assert rejected(gateway, "bad_request") == before + len(NOISES)
    assert get(gateway.port, "/health").status == 200


def test_connections_that_come_and_go_leave_nothing(gateway):
    get(gateway.port, "/health")
    before = gateway.open_files()
    for _ in range(300):
        connect(gateway.port).close()
        with connect(gateway.port) as sock:
            sock.sendall(b"GET / HT")
    wait_until(lambda: gateway.open_files() <= before + 2, 15, lambda: f"{gateway.open_files()} open, {before} before")


@pytest.mark.parametrize("path, origin, status", [
    ("/ws", "http://evil.example", 403), ("/ws", "null", 403), ("/other", None, (404, 426)),
    ("/events", None, (200, 400, 426)), ("/ws?event_type=", None, 400), ("/ws?nonsense=1", None, 400),
])
def test_upgrades_that_are_not_granted(gateway, path, origin, status):
    with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
        WsClient(gateway.port, path, origin=origin)
    assert refusal.value.status_code in (status if isinstance(status, tuple) else (status,))


@pytest.mark.parametrize("lines, status", [
    ("Sec-WebSocket-Version: 8\r\n" + KEY, 426),
    ("Sec-WebSocket-Version: 13\r\n", 400),
    ("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n", 400),
    *((f"Sec-WebSocket-Version: 13\r\n{KEY}Sec-WebSocket-Protocol: {offered}\r\n", 400)
      for offered in ("other", "notifyhub.v1.jsonx", ",", "x" * 120 + ", notifyhub.v1.json")),
    *((f"Sec-WebSocket-Version: 13\r\n{KEY}Sec-WebSocket-Protocol: {offered}\r\n", 426)
      for offered in ("NotifyHub.v1.json", "a:b, notifyhub.v1.json", '"x", notifyhub.v1.json', "x" * 61 + ", notifyhub.v1.json")),
])
def test_handshakes_that_are_wrong(gateway, lines, status):
    answer = raw(gateway.port, (f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\nUpgrade: websocket\r\n"
                                f"Connection: Upgrade\r\n{lines}\r\n").encode(), half_close=True)
    assert status_of(answer) == status, answer
    assert b"application/problem+json" in answer


@pytest.mark.parametrize("at", range(7), ids=lambda at: f"line{at}")
@pytest.mark.parametrize("header", ["User: bob", "X-Auth: abc", "Sec: y", "A: y", "Sec-WebSocket-Extensions: " + "e" * 1000])
def test_headers_that_mean_nothing_here_do_not_matter_at_any_place(gateway, header, at):
    lines = [f"Host: 127.0.0.1:{gateway.port}", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
             KEY.strip(), "Sec-WebSocket-Protocol: notifyhub.v1.json"]
    lines.insert(at, header)
    with connect(gateway.port) as sock:
        sock.sendall(("GET /ws?event_type=a HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode())
        answer = b""
        while b"subscribed" not in answer:
            piece = sock.recv(4096)
            assert piece, answer
            answer += piece
        assert answer.startswith(b"HTTP/1.1 101 ") and b"Sec-WebSocket-Protocol: notifyhub.v1.json\r\n" in answer


@pytest.mark.parametrize("offered", ["notifyhub.v1.json", "other, notifyhub.v1.json", ", ".join(["x" * 60, "y" * 36, "notifyhub.v1.json"])])
def test_our_subprotocol_is_chosen_from_what_is_offered(gateway, offered):
    with WsClient(gateway.port, subprotocols=offered.split(", ")) as ws:
        assert ws.subprotocol == "notifyhub.v1.json"
        assert ws.wait_op("welcome")["protocol"] == "notifyhub.v1.json"


def test_an_upgrade_from_a_listed_page_is_granted(hub, start_gateway):
    gateway = start_gateway(hub, "--gateway-allowed-origins", "https://app.example").wait_connected()
    with WsClient(gateway.port, "/ws", origin="https://app.example") as ws:
        ws.wait_op("welcome")
    with WsClient(gateway.port, "/ws", origin=f"http://127.0.0.1:{gateway.port}") as ws:
        ws.wait_op("welcome")


def test_the_limit_of_connections_is_told(hub, start_gateway):
    gateway = start_gateway(hub, "--gateway-max-connections", "20").wait_connected()
    held = []
    try:
        refused = 0
        for _ in range(40):
            sock = connect(gateway.port)
            sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = sock.recv(65536)
            refused += status_of(answer) == 503
            held.append(sock)
        assert 15 <= refused <= 25, refused
        assert b"Retry-After" in answer and b"too_many_connections" in answer
    finally:
        for sock in held:
            sock.close()
    wait_until(lambda: get(gateway.port, "/health").status == 200, 10, "room again")


def test_what_is_closed_does_not_count_any_more(hub, start_gateway):
    """Many more connections of each kind than the limit, one after the other."""
    gateway = start_gateway(hub, "--gateway-max-connections", "20").wait_connected()
    for _ in range(10):
        for _ in range(5):
            with WsClient(gateway.port) as ws, SseReader(gateway.port, "/events") as stream:
                ws.wait_op("welcome")
                stream.wait_open()
                assert get(gateway.port, "/health").status == 200
            connect(gateway.port).close()
        wait_until(lambda: few_connections(gateway), 10, "closed connections to be noticed")


def open_silent(gateway, count):
    """Connections that never send a byte. One loopback address has too few ports for more than some 28 000."""
    held = []
    for i in range(count):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", gateway.port))
        held.append(sock)
        if i % 50 == 49:
            time.sleep(0.001)  # less than a SYN flood
    return held


@pytest.fixture
def many_descriptors():
    with descriptors(11000):
        yield


@pytest.mark.usefixtures("many_descriptors")
def test_ten_thousand_silent_connections_hurt_nobody(hub, start_gateway):
    """Probes and events go on as if they were not there, until each is closed; nobody waits for a silent one."""
    gateway = start_gateway(hub).wait_connected()
    number = 0

    def slowest_beside_the_silent():
        nonlocal number
        held, took = open_silent(gateway, 10000), []
        try:
            end = time.monotonic() + 12  # longer than TCP_DEFER_ACCEPT and the head's deadline
            while time.monotonic() < end:
                probe = get(gateway.port, "/health")
                assert probe.status == 200
                took.append(probe.seconds)
                assert post(gateway.port, "/events", event("n", {"n": number})).status == 202
                number += 1
                time.sleep(0.2)
        finally:
            for sock in held:
                sock.close()
        wait_until(lambda: few_connections(gateway), 10, "the silent ones to be gone")
        return max(took)

    with WsClient(gateway.port, "/ws?event_type=n") as ws:
        ws.wait_op("welcome")
        within(0.1, slowest_beside_the_silent)
        assert [e["data"]["n"] for e in ws.wait_events(number)] == list(range(number))
    assert get(gateway.port, "/health").status == 200
