"""members_ws: members of consumer groups over WebSocket: `consume` with a credit, `ack` and `nack` on the same connection."""
import json
import select
import socket
import struct
import time
from collections import deque

from .lines import parse_position
from .members import Member

OPEN_S = 5.0  # from the connect to the first answer
PONG_S = 4.0  # a connection that says nothing for so long is asked, and given up after as long again
ANSWER_S = 8.0


class WsMember(Member):
    """max: the credit."""

    count = 0  # of requests

    def connect(self):
        self.data, self.pieces = b"", []
        self.ready, self.answers = deque(), {}
        self.sock = socket.create_connection(("127.0.0.1", self.ports[self.spec.get("at", "http")]), timeout=2)
        self.sock.sendall(b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
        self.sock.settimeout(OPEN_S)
        while b"\r\n\r\n" not in self.data:
            self.read()
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionError("refused")
        answer = self.ask({"op": "consume", "credit": self.spec["max"], "member": self.spec["name"]}, OPEN_S)
        if answer["op"] != "consuming":
            raise ConnectionError(str(answer))

    def fetch(self):
        try:
            if self.sock is None:
                self.connect()
            self.listen(time.monotonic() + 0.5, lambda: self.ready)
            if time.monotonic() - self.heard_at > PONG_S:
                self.ask({"op": "ping"}, PONG_S)
        except OSError:
            return None
        found = list(self.ready)
        self.ready.clear()
        return found

    def call(self, action, fields):
        try:
            answer = self.ask({"op": action, **fields}, ANSWER_S)
        except OSError:
            return None  # the next fetch connects anew
        if answer["op"] == "error":
            return {"success": False, "code": answer["code"]}
        return answer

    def ask(self, message, limit):
        """One request on the open connection; what comes before its answer is kept. OSError when there is none."""
        if self.sock is None:
            raise ConnectionError("lost")
        self.count += 1
        ident = self.count
        if message["op"] != "ping":
            message = {**message, "group": self.spec["group"]}
        self.send(0x81, json.dumps({**message, "id": ident}).encode())
        self.listen(time.monotonic() + limit, lambda: ident in self.answers)
        if ident not in self.answers:
            self.drop()
            raise TimeoutError(message["op"])
        return self.answers.pop(ident)

    def drop(self):
        """What a session held its gateway gives back."""
        super().drop()
        for delivery in self.kept:
            delivery.until = None
        self.kept = []

    def send(self, first, payload):
        size = len(payload)
        length = struct.pack("!B", 0x80 | size) if size < 126 else struct.pack("!BH", 0xFE, size) if size < 65536 else struct.pack(
            "!BQ", 0xFF, size)
        try:
            self.sock.sendall(bytes([first]) + length + b"\0\0\0\0" + payload)
        except OSError:
            self.drop()
            raise

    def listen(self, until, is_enough):
        """Reads until `until` (monotonic) or until it is enough. OSError when the connection is over."""
        self.frames()
        while self.sock is not None and not is_enough() and not self.is_ended:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                return
            self.read()
            self.frames()
        if self.sock is None:
            raise ConnectionError("closed")

    def read(self):
        try:
            piece = self.sock.recv(1 << 18)
        except OSError:
            self.drop()
            raise
        if not piece:
            self.drop()
            raise ConnectionError("closed")
        self.heard_at = time.monotonic()
        self.data += piece

    def frames(self):
        while self.sock is not None and len(self.data) >= 2:
            length, head = self.data[1] & 127, 2
            if length > 125:
                head = 4 if length == 126 else 10
                length = int.from_bytes(self.data[2:head], "big")
            if len(self.data) < head or len(self.data) < head + length:
                return
            first, payload = self.data[0], self.data[head:head + length]
            self.data = self.data[head + length:]
            if first & 0x7F < 2:  # text, or a piece of it
                self.pieces.append(payload)
                if first & 0x80:
                    payload, self.pieces = b"".join(self.pieces), []
                    self.message(payload)
            elif first == 0x89:
                self.send(0x8A, payload)
            elif first == 0x88:
                self.drop()

    def message(self, payload):
        if payload.startswith(b'{"op":"delivery"'):
            at = payload.index(b',"event":')
            told = json.loads(payload[:at] + b"}")
            where, attempt = told["delivery"].rsplit(".", 1)
            self.ready.append(self.take(parse_position(where), int(attempt), payload[at + 9:-1], self.heard_at))
            return
        message = json.loads(payload)
        if message["op"] == "group_gap":
            self.take_gap(message["gap"])
        elif message["op"] in ("consuming", "acked", "nacked", "extended", "pong") or message["op"] == "error" and message.get("id"):
            self.answers[message.get("id")] = message
        elif message["op"] != "welcome":
            self.note(f"an odd message: {message}")
