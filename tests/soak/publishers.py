"""publishers: numbered events through every door, each publisher a thread with its own numbers and its own record.

A publisher is paused and started again by its worker. While it is paused it first settles what is under way: an event
with an `id` whose outcome is unknown is published again with the same id until somebody says what became of it.
"""
import json
import random
import select
import socket
import struct
import threading
import time

import zmq

from .kept_http import connect, exchange
from .lines import make_line
from .transcript import ACKED, RANKS, REFUSED, UNKNOWN, Publishing

# Codes that say: this was surely not numbered.
SURELY_NOT = {"hub_unavailable", "durability_unavailable", "overloaded", "draining", "shutting_down", "unavailable",
              "too_many_connections", "journal_unavailable"}
# Codes that say: nobody knows.
NOT_KNOWN = {"outcome_unknown"}
# It was numbered and went out live, but the disk did not take it. To publish it again with its id changes nothing.
NOT_KEPT = "durability_lost"
ANSWER_S = 12.0  # the gateway answers after 5 s at the latest when it runs
SETTLE_S = 40.0  # how long a paused publisher tries to find out what became of an event


class Publisher(threading.Thread):
    """spec: p, door, rate (events/s), batch, has_id, durability (None = the default), window, at (the names of its gateways
    in `ports`: each connection goes to the next one)."""

    def __init__(self, spec, ports, run):
        super().__init__(daemon=True)
        self.spec, self.ports, self.run_name = spec, ports, run
        self.log = Publishing(spec["p"], spec["door"], spec.get("has_id", False))
        self.batch, self.durability = spec.get("batch", 1), spec.get("durability")
        self.is_running, self.is_idle, self.is_ended = False, True, False
        self.speed, self.connects = 1.0, -1
        self.paused_at = 0.0
        self._credit, self._paid_at = 0.0, time.monotonic()
        self.random = random.Random(f"{run}/{spec['p']}")

    def run(self):
        while not self.is_ended:
            if self.is_running:
                self.is_idle = False
                self.work()
            elif not self.is_idle:
                self.settle()
                self.is_idle = True
            else:
                time.sleep(0.02)
                self._paid_at, self._credit = time.monotonic(), 0.0
        self.close()

    def allowed(self):
        """How many events may go out now."""
        now = time.monotonic()
        self._credit = min(self._credit + (now - self._paid_at) * self.spec["rate"] * self.speed, 2000.0)
        self._paid_at = now
        return int(self._credit)

    def numbers(self, count):
        self._credit -= count
        return [self.log.take_number() for _ in range(count)]

    def gateway(self, answer_s):
        """Connects; OSError when that cannot be done."""
        names = self.spec.get("at", ["http"])
        self.connects += 1
        sock = connect(self.ports[names[self.connects % len(names)]], answer_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def line(self, n):
        return make_line(self.spec["p"], n, self.log.has_id, self.run_name)

    def may_try_again(self):
        """Worth another attempt for an event with an id?"""
        return self.log.has_id and not self.is_ended and (
            self.is_running or time.monotonic() - self.paused_at < SETTLE_S)

    def acked(self, numbers, answer):
        """An answer that says yes: an object with seq or first_seq, epoch, durability."""
        now, rank, epoch = time.monotonic(), RANKS[answer["durability"]], answer["epoch"]
        first = answer.get("seq", answer.get("first_seq"))
        known = first is not None and not answer.get("duplicates") and not answer.get("results")
        if "duplicate" in answer or answer.get("duplicates"):
            self.log.count("duplicate")
        items = {}
        if answer.get("results"):  # over ROUTER each duplicate is named
            fresh = iter(range(answer.get("first_seq", 0), answer.get("last_seq", -1) + 1))
            named = {item["index"]: item for item in answer["results"]}
            for i, n in enumerate(numbers):
                items[n] = named[i]["seq"] if i in named else next(fresh)
        for i, n in enumerate(numbers):
            where = (epoch, first + i) if known else (epoch, items[n]) if n in items else None
            self.log.set(n, ACKED, where, rank, now)
        self.log.count("acked")
        if rank < RANKS.get(self.durability, 0):
            self.log.notes.append(f"asked for {self.durability}, answered {answer}")

    def refused(self, numbers, code, text):
        """Notes a refusal; True when another attempt with the same ids makes sense."""
        self.log.count(code)
        if code in SURELY_NOT:
            for n in numbers:
                self.log.set(n, REFUSED)
            return any(self.log.outcomes[n].kind != REFUSED for n in numbers)  # one of an earlier attempt is open
        self.unknown(numbers)
        if code not in NOT_KNOWN and code != NOT_KEPT:
            self.log.notes.append(f"an odd refusal: {code}: {text}")
        return code != NOT_KEPT

    def unknown(self, numbers):
        for n in numbers:
            self.log.set(n, UNKNOWN, when=time.monotonic())

    def work(self):
        raise NotImplementedError

    def settle(self):
        """Ends what is under way."""

    def close(self):
        """Gives connections back."""


class Http(Publisher):
    """POST /events, one request at a time on a connection that is kept; spec["shape"]: single, ndjson or array."""

    sock = None

    def work(self):
        if self.allowed() < self.batch:
            time.sleep(0.002)
            return
        numbers = self.numbers(self.batch)
        while not self.attempt(numbers) and self.may_try_again():
            self.log.count("again")
            time.sleep(0.1)

    def attempt(self, numbers):
        """True when no other attempt is needed."""
        shape = self.spec.get("shape", "single")
        lines = [self.line(n) for n in numbers]
        kind, body = "application/json", lines[0]
        if shape == "ndjson":
            kind, body = "application/x-ndjson", "\n".join(lines)
        elif shape == "array":
            body = "[" + ",".join(lines) + "]"
        path = "/events" + (f"?durability={self.durability}" if self.durability else "")
        status, answer = self.post(path, kind, body.encode())
        if status is None:
            self.log.count("no answer")
            self.unknown(numbers)
            return False
        if status == 202:
            self.acked(numbers, answer)
            return True
        is_open = self.refused(numbers, answer.get("code", str(status)), answer)
        time.sleep(0.05)
        return not is_open

    def post(self, path, kind, body):
        try:
            if self.sock is None:
                self.sock = self.gateway(ANSWER_S)
        except OSError:
            self.drop()
            time.sleep(0.05)
            return 503, {"code": "hub_unavailable"}  # nothing was sent at all
        try:
            status, answer, is_kept = exchange(self.sock, "POST", path, body, kind)
        except OSError:
            self.drop()
            return None, None
        if not is_kept:
            self.drop()
        return status, json.loads(answer)

    def drop(self):
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    close = drop


class Windowed(Publisher):
    """Several publishes under way: what WebSocket and ROUTER publishers share. under_way: ident -> (numbers, when)."""

    is_connected = False
    patience = ANSWER_S

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.under_way, self.again, self.counter = {}, [], 0

    def work(self):
        if not self.is_connected and not self.connect():
            time.sleep(0.1)
            return
        while self.again and len(self.under_way) < self.spec["window"] and self.is_connected:
            self.submit(self.again.pop(0))
        while (not self.again and self.is_running and self.is_connected and len(self.under_way) < self.spec["window"]
               and self.allowed() >= self.batch):
            self.submit(self.numbers(self.batch))
        if self.is_connected:
            self.receive(0.005)
        oldest = min((when for _, when in self.under_way.values()), default=None)
        if oldest is not None and time.monotonic() - oldest > self.patience:
            self.lost()

    def submit(self, numbers):
        self.counter += 1
        self.under_way[self.counter] = (numbers, time.monotonic())
        self.send(self.counter, numbers)

    def lost(self):
        """The connection is of no use any more: what was under way has an unknown outcome."""
        self.close()
        self.is_connected = False
        for numbers, _ in self.under_way.values():
            self.unknown(numbers)
            if self.log.has_id:
                self.again.append(numbers)
        self.log.count("lost connections")
        self.under_way = {}

    def answered(self, ident, answer, code, text):
        numbers, _ = self.under_way.pop(ident)
        if code is None:
            self.acked(numbers, answer)
            return
        if self.refused(numbers, code, text) and self.log.has_id:
            self.again.append(numbers)
        time.sleep(0.05)

    def settle(self):
        while (self.under_way or self.again) and time.monotonic() - self.paused_at < SETTLE_S and not self.is_ended:
            self.work()
        for numbers, _ in self.under_way.values():
            self.unknown(numbers)
        if self.under_way:
            self.lost()
        self.again = []

    def connect(self):
        raise NotImplementedError

    def send(self, ident, numbers):
        raise NotImplementedError

    def receive(self, wait):
        raise NotImplementedError


class WebSocket(Windowed):
    """`publish` over /ws, one event each, several under way."""

    sock = None

    def connect(self):
        try:
            self.sock = self.gateway(2)
            self.sock.sendall(b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
            self.data = b""
            while b"\r\n\r\n" not in self.data:
                piece = self.sock.recv(65536)
                if not piece:
                    raise ConnectionError("closed")
                self.data += piece
        except OSError:
            self.close()
            return False
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 101"):
            self.close()
            return False
        self.sock.settimeout(ANSWER_S)
        self.is_connected = True
        return True

    def send(self, ident, numbers):
        more = f',"durability":"{self.durability}"' if self.durability else ""
        self.frame(0x81, f'{{"op":"publish","id":{ident},"event":{self.line(numbers[0])}{more}}}'.encode())

    def frame(self, first, payload):
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", first, 0x80 | size)
        elif size < 65536:
            head = struct.pack("!BBH", first, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", first, 0x80 | 127, size)
        try:
            self.sock.sendall(head + b"\0\0\0\0" + payload)
        except OSError:
            self.lost()

    def receive(self, wait):
        if not select.select([self.sock], [], [], wait)[0]:
            return
        try:
            piece = self.sock.recv(65536)
        except OSError:
            piece = b""
        if not piece:
            self.lost()
            return
        self.data += piece
        while self.is_connected and len(self.data) >= 2:
            length, head = self.data[1] & 127, 2
            if length == 126:
                length, head = int.from_bytes(self.data[2:4], "big"), 4
            if len(self.data) < head + length:
                return
            first, payload = self.data[0], self.data[head:head + length]
            self.data = self.data[head + length:]
            if first == 0x89:
                self.frame(0x8A, payload)
            elif first == 0x88:
                self.lost()
            elif first == 0x81:
                self.message(json.loads(payload))

    def message(self, message):
        ident = message.get("id")
        if message["op"] == "published" and ident in self.under_way:
            self.answered(ident, message, None, None)
        elif message["op"] == "error" and ident in self.under_way:
            self.answered(ident, None, message["code"], message)

    def close(self):
        if self.sock is not None:
            self.sock.close()
            self.sock = None


class Router(Windowed):
    """Acknowledged `publish` over a DEALER, batches, several under way."""

    socket = None
    patience = 4.0  # nothing tells a DEALER that the hub died

    def connect(self):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.socket.connect(f"tcp://127.0.0.1:{self.ports['requests']}")
        self.is_connected = True
        return True

    def send(self, ident, numbers):
        request = {"action": "publish", "request_id": ident}
        if self.durability:
            request["durability"] = self.durability
        if self.spec.get("acks"):
            request["acks"] = self.spec["acks"]
        self.socket.send_multipart([b"REQ", json.dumps(request).encode(), *[self.line(n).encode() for n in numbers]])

    def receive(self, wait):
        if not self.socket.poll(wait * 1000):
            return
        while True:
            try:
                answers = json.loads(self.socket.recv_multipart(zmq.NOBLOCK)[1])
            except zmq.Again:
                return
            for answer in answers if isinstance(answers, list) else [answers]:
                if answer.get("request_id") not in self.under_way:
                    continue
                code = None if answer["success"] else answer.get("code", "none")
                self.answered(answer["request_id"], answer, code, answer.get("error"))

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None
