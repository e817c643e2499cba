"""many: a thousand stream clients in one thread with epoll, for tests where one thread each is too much.

    with ManyClients(gateway.port, "ws", ["event_type=a"] * 1000) as clients:
        clients.wait_open()
        ...
        clients.wait_events(40)
        for data in clients.data(): ...      # the `data` of each client's events, in order

For very many events: clients.keep_last = True keeps only the number of each; wait_count() and check_order() look at
those.
"""
import json
import select
import socket
import time

from .waiting import seconds

WS_HEAD = ("GET /ws?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
SSE_HEAD = "GET /events?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"


class _Client:
    def __init__(self, port, door, query, receive_buffer):
        self.door = door
        self.data = bytearray()
        self.messages = []
        self.keep_last = self.is_open = self.has_head = self.ended = False
        self.count, self.last_seq, self.disorder = 0, 0, None
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(seconds(10))
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall((WS_HEAD if door == "ws" else SSE_HEAD).format(query=query).encode())
        self.socket.setblocking(False)

    def read(self):
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""  # reset: an end as well
        if not data:
            self.ended = True
        self.data += data
        if not self.has_head:
            end = self.data.find(b"\r\n\r\n")
            if end < 0:
                return
            status = self.data[:end].split(b" ", 2)[1]
            assert status == (b"101" if self.door == "ws" else b"200"), bytes(self.data[:200])
            self.has_head = True
            del self.data[:end + 4]
        if self.door == "ws":
            self._frames()
        else:
            self._blocks()

    def _frames(self):
        at, data = 0, self.data
        while len(data) - at >= 2:
            length, head = data[at + 1] & 127, 2
            if length == 126:
                length, head = int.from_bytes(data[at + 2:at + 4], "big"), 4
            if len(data) - at < head + length:
                break
            if data[at] == 0x81:
                self._take(data[at + head:at + head + length])
            at += head + length
        del data[:at]

    def _take(self, text):
        if not self.keep_last:
            self.messages.append(json.loads(text))
        elif text.endswith(b'"}') and (at := text.rfind(b',"seq":')) > 0:
            seq = int(text[at + 7:text.index(b",", at + 7)])
            if seq <= self.last_seq:
                self.disorder = self.disorder or (self.last_seq, seq)
            self.count, self.last_seq = self.count + 1, seq

    def _blocks(self):
        *blocks, rest = bytes(self.data).split(b"\n\n")
        for block in blocks:
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
            if b"event" in fields:
                self.messages.append({"op": fields[b"event"].decode()})
            elif b"data" in fields:
                self._take(fields[b"data"])
            else:
                self.messages.append({"op": "subscribed"})
        self.data = bytearray(rest)

    @property
    def events(self):
        return [m for m in self.messages if "op" not in m]


class ManyClients:
    def __init__(self, port, door, queries, receive_buffer=None):
        self.epoll = select.epoll()
        self.clients = {}
        for query in queries:
            client = _Client(port, door, query, receive_buffer)
            self.clients[client.socket.fileno()] = client
            self.epoll.register(client.socket, select.EPOLLIN)

    def _until(self, predicate, limit, what):
        deadline = time.monotonic() + seconds(limit)
        open_ = set(self.clients)
        while open_:
            for fd in [fd for fd in open_ if predicate(self.clients[fd])]:
                open_.discard(fd)
            if not open_:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(open_)} clients without {what}, first: {self.clients[min(open_)].messages[-3:]}")
            for fd, _ in self.epoll.poll(0.2):
                self.clients[fd].read()
                assert not self.clients[fd].ended, "the server ended a stream"

    def wait_open(self, limit=60):
        self._until(lambda c: any(m.get("op") == "subscribed" for m in c.messages), limit, "an open stream")

    def wait_events(self, count, limit=60):
        self._until(lambda c: len(c.messages) >= count and len(c.events) >= count, limit, f"{count} events")

    @property
    def keep_last(self):
        return all(c.keep_last for c in self.clients.values())

    @keep_last.setter
    def keep_last(self, yes):
        for client in self.clients.values():
            client.keep_last = yes

    def wait_count(self, count, limit=60):
        self._until(lambda c: c.count >= count, limit, f"{count} events")

    def check_order(self):
        for client in self.clients.values():
            assert client.disorder is None, client.disorder

    def data(self):
        return [[e["data"] for e in c.events] for c in self.clients.values()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients.values():
            client.socket.close()
        self.epoll.close()
