"""streams: subscribers at the gateway's stream doors, many in one process with one epoll: SSE and WebSocket clients that
come back by themselves from the last position they know, as EventSource and the page's client do.
"""
import json
import selectors
import socket
import struct
import time
import urllib.parse

from .transcript import Reading

PIECE = 1 << 18
SILENT_S = 20.0  # an idle stream says its position every 15 s


class StreamClient:
    """One subscriber. spec: name, door ("sse" or "ws"), patterns, policy, buffer (SO_RCVBUF or None), traits, at (the names
    of its gateways in `ports`: each connection goes to the next one)."""

    def __init__(self, worker, spec, ports):
        self.worker, self.spec = worker, spec
        self.ports = [ports[name] for name in spec.get("at", ["http"])]
        self.reading = Reading(spec["name"], spec["door"], spec["patterns"], spec.get("policy", "disconnect"),
                               **spec.get("traits", {}))
        self.last = None  # the position as text
        self.socket = None
        self.again_at = 0.0
        self.wakes_at, self.leaves_after = 0.0, 0
        self.connects, self.attempts = 0, -1
        self.heard_at = 0.0
        self.mark, self.replayed = -1, 0

    # --- the connection ---

    def connect(self, now):
        self.data, self.pieces, self.has_head, self.is_open = bytearray(), [], False, False
        self.heard_at = now
        self.attempts += 1
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if self.spec.get("buffer"):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.spec["buffer"])
        self.socket.settimeout(2)
        try:
            self.socket.connect(("127.0.0.1", self.ports[self.attempts % len(self.ports)]))
            self.socket.sendall(self._request())
        except OSError:
            self.lose(now)
            return
        self.connects += 1
        self.socket.setblocking(False)
        self.worker.watch(self)

    def _request(self):
        query = [("event_type", p) for p in self.spec["patterns"]]
        if self.spec.get("policy"):
            query.append(("policy", self.spec["policy"]))
        head = []
        if self.spec["door"] == "ws":
            if self.last:
                query.append(("since", self.last))
            path = "/ws?" + urllib.parse.urlencode(query)
            head = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
        else:
            path = "/events?" + urllib.parse.urlencode(query)
            head = ["Accept: text/event-stream"]
            if self.last:
                head.append(f"Last-Event-ID: {self.last}")
        return "\r\n".join([f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *head, "", ""]).encode()

    def lose(self, now, wait=0.2):
        """The connection is gone; comes back soon."""
        if self.socket is not None:
            self.worker.unwatch(self)
            self.socket.close()
            self.socket = None
        self.again_at = now + wait

    def nap(self, now, seconds, pieces):
        """Stops reading for a while: a slow reader. With pieces > 0 it reads so many pieces afterwards, and leaves in the
        middle of what has piled up for it."""
        self.wakes_at = now + seconds
        self.leaves_after = pieces
        if self.socket is not None:
            self.worker.unwatch(self)

    def tick(self, now):
        if self.wakes_at:
            if now < self.wakes_at:
                return
            self.wakes_at = 0.0
            self.heard_at = now
            if self.socket is not None:
                self.worker.watch(self)
        if self.socket is None:
            if now >= self.again_at:
                self.connect(now)
        elif now - self.heard_at > (SILENT_S if self.is_open else 5.0):
            self.lose(now, 0.0)

    # --- bytes ---

    def read(self, now):
        try:
            piece = self.socket.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self.lose(now)
            return
        self.heard_at = now
        self.data += piece
        if not self.has_head and not self._take_head(now):
            return
        if self.spec["door"] == "ws":
            self._take_frames(now)
        else:
            self._take_blocks()
        if self.leaves_after > 0 and self.socket is not None:
            self.leaves_after -= 1
            if self.leaves_after == 0:
                self.lose(now)

    def _take_head(self, now):
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return False
        status = int(self.data[:end].split(b" ", 2)[1])
        good = 101 if self.spec["door"] == "ws" else 200
        if status != good:
            if status not in (503, 429):
                self.reading.notes.append(f"the door answered {bytes(self.data[:600])!r}")
            self.lose(now, 0.5)
            return False
        self.has_head = True
        del self.data[:end + 4]
        return True

    def _take_frames(self, now):
        data, at, size = self.data, 0, len(self.data)
        view = bytes(data)
        while size - at >= 2:
            length, head = view[at + 1] & 127, 2
            if length == 126:
                if size - at < 4:
                    break
                length, head = view[at + 2] << 8 | view[at + 3], 4
            elif length == 127:
                if size - at < 10:
                    break
                length, head = struct.unpack_from("!Q", view, at + 2)[0], 10
            end = at + head + length
            if size < end:
                break
            first, payload = view[at], view[at + head:end]
            at = end
            if first & 0x7F < 2 and first != 0x81:  # a large message comes in pieces
                self.pieces.append(payload)
                if first == 0x80:
                    first, payload, self.pieces = 0x81, b"".join(self.pieces), []
                else:
                    continue
            if first == 0x81:
                if payload[:6] == b'{"op":':
                    self._op(json.loads(payload))
                else:
                    self.event(payload)
            elif first == 0x89:
                self._send_frame(0x8A, payload)
            elif first == 0x88:
                self.lose(now, 0.0 if payload[:2] == b"\x03\xf5" else 0.2)
                return
            else:
                self.reading.notes.append(f"an odd frame: {first:#x} {payload[:100]!r}")
        del data[:at]

    def _send_frame(self, first, payload):
        try:
            self.socket.send(bytes([first, 0x80 | len(payload)]) + b"\0\0\0\0" + payload)
        except OSError:
            pass

    def _op(self, message):
        op = message["op"]
        if op == "subscribed":
            self.is_open = True
            self.begin(message["position"])
            if "resume" in message:
                self.resume(message["resume"])
        elif op == "resumed":
            self.resumed(message)
        elif op == "position":
            self.last = message["position"]
        elif op == "gap":
            self.gap(message)
        elif op not in ("welcome", "waiting"):
            self.reading.notes.append(f"an odd message: {message}")

    def _take_blocks(self):
        *blocks, rest = bytes(self.data).split(b"\n\n")
        self.data = bytearray(rest)
        for block in blocks:
            if not block:
                continue
            name, ident, data = b"", None, None
            for line in block.split(b"\n"):
                if line.startswith(b"data: "):
                    data = line[6:]
                elif line.startswith(b"id: "):
                    ident = line[4:]
                elif line.startswith(b"event: "):
                    name = line[7:]
            if name == b"":
                if data:
                    self.event(data)
                    if ident is None or ident.decode() != self.last:
                        self.reading.notes.append(f"the id {ident} is not the event's position {self.last}")
                elif ident:
                    self.is_open = True
                    if self.last is None:
                        self.begin(ident.decode())
                    elif not self.reading.gaps and not len(self.reading.keys) and self.reading.start is None:
                        self.begin(ident.decode())
                    self.last = ident.decode()
            elif name == b"hub.resume":
                self.resume(json.loads(data))
            elif name == b"hub.resumed":
                self.resumed(json.loads(data))
            elif name == b"hub.gap":
                self.gap(json.loads(data))
            elif name == b"hub.waiting":
                pass  # a resume that has nothing to send yet
            else:
                self.event(data)

    # --- what they mean ---

    def begin(self, position):
        if position and self.last is None:
            self.reading.begins(position)
            self.last = position

    def resume(self, answer):
        self.replayed = 0
        self.reading.resumed(answer["result"])

    def resumed(self, answer):
        """The past is over: as many events have come as are told here."""
        self.last = answer["position"]
        if answer["count"] != self.replayed:
            self.reading.notes.append(f"{self.replayed} events came in a replay, and {answer} was told")

    def event(self, line):
        self.replayed += 1
        mark = self.reading.event(line)
        if mark is not None:
            self.mark = mark
        at = line.rindex(b'"seq":')
        self.last = f"{line[-10:-2].decode('ascii')}-{line[at + 6:-20].decode('ascii')}"

    def gap(self, message):
        self.last = self.reading.gap(message["from"], message["to"], message["reason"], message.get("dropped", 0))


class StreamWorker:
    """All stream clients of one process."""

    def __init__(self, control, ports, specs):
        self.selector = selectors.EpollSelector()
        self.selector.register(control, selectors.EVENT_READ, None)
        self.clients = [StreamClient(self, spec, ports) for spec in specs]
        self.watched = {}

    def watch(self, client):
        if client not in self.watched and not client.wakes_at:
            self.selector.register(client.socket, selectors.EVENT_READ, client)
            self.watched[client] = client.socket

    def unwatch(self, client):
        sock = self.watched.pop(client, None)
        if sock is not None:
            self.selector.unregister(sock)

    def step(self, timeout):
        for found, _ in self.selector.select(timeout):
            if found.data is not None and found.data in self.watched:
                found.data.read(time.monotonic())
        now = time.monotonic()
        for client in self.clients:
            client.tick(now)

    def handle(self, word, *arguments):
        now = time.monotonic()
        if word == "status":
            return {c.spec["name"]: (c.mark, c.last, c.connects, bool(c.socket and c.is_open)) for c in self.clients}
        if word == "nap":
            name, seconds, pieces = arguments
            for client in self.clients:
                if client.spec["name"] == name:
                    client.nap(now, seconds, pieces)
        elif word == "wake":
            for client in self.clients:
                client.wakes_at = min(client.wakes_at, now)
        elif word == "drop":  # the client itself goes away and comes back
            for client in self.clients:
                if client.spec["name"] in arguments[0]:
                    client.lose(now, arguments[1])
        elif word == "collect":
            readings = []
            for client in self.clients:
                readings.append(client.reading)
                client.reading = client.reading.successor()
            return readings
        elif word == "end":
            for client in self.clients:
                client.lose(now)
        return None
