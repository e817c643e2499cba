"""sse: a reader of server-sent events, by the rules of the HTML standard, in a thread, byte by byte as they come.

    with SseReader(gateway.port, "/events?event_type=a") as stream:
        stream.wait_open()                 # the head and the first id block have arrived: nothing later is missed
        post(...)
        events = stream.wait_events(3)     # the JSON of the first three events
"""
import json
import socket
import threading
import urllib.parse

from .waiting import seconds, wait_until


class SseBlock:
    """One block between blank lines: id (or None), event (name), data (text, or None without a data line), retry."""

    def __init__(self):
        self.id = None
        self.event = "message"
        self.data = None
        self.retry = None

    @property
    def json(self):
        return json.loads(self.data)

    def __repr__(self):
        return f"<sse id={self.id} event={self.event} data={(self.data or '')[:200]!r} retry={self.retry}>"


class SseReader:
    """One GET of an event stream on its own connection.

    `status`, `headers` (dict, lower case names), `blocks` (all, in order), `last_id`, `ended` (the server closed),
    `body` (bytes of the answer when it was no stream).
    """

    def __init__(self, port, path="/events", last_event_id=None, headers=None, limit=15, receive_buffer=None):
        self.blocks = []
        self.status = None
        self.headers = {}
        self.last_id = last_event_id
        self.ended = False
        self.error = None
        self.body = b""
        self.limit = limit
        self._paused = threading.Event()
        self._paused.set()
        self._closing = False
        self._changed = threading.Condition()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:  # a small one makes a slow reader out of this
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(seconds(limit))
        self._socket.connect(("127.0.0.1", port))
        self._socket.settimeout(None)
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Accept: text/event-stream"]
        if last_event_id is not None:
            lines.append(f"Last-Event-ID: {last_event_id}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8"))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @staticmethod
    def query(**fields):
        """The path of a stream: query(event_type=["a", "b*"], since="earliest")."""
        pairs = []
        for name, value in fields.items():
            for item in value if isinstance(value, (list, tuple)) else [value]:
                pairs.append((name, item))
        return "/events" + ("?" + urllib.parse.urlencode(pairs) if pairs else "")

    # --- what a test asks ---

    @property
    def messages(self):
        """The blocks that a page would see as `message` (events named with named=true too), that is all with data
        but those of the hub itself (hub.gap, hub.resume)."""
        return [b for b in list(self.blocks) if b.data is not None and not b.event.startswith("hub.")]

    @property
    def events(self):
        return [b.json for b in self.messages]

    def notices(self, name):
        """The JSON of the hub's own notices: notices("hub.gap"), notices("hub.resume")."""
        return [b.json for b in list(self.blocks) if b.event == name and b.data is not None]

    def wait(self, predicate, limit=None, what="the stream"):
        return wait_until(lambda: predicate(self), limit or self.limit, lambda: f"{what}; {self.describe()}")

    def wait_open(self, limit=None):
        """Until the head and the first block (the position before the first event) are there."""
        self.wait(lambda s: s.blocks or s.ended, limit, "the first block")
        assert self.status == 200 and self.blocks, self.describe()
        return self

    def wait_events(self, count, limit=None):
        self.wait(lambda s: len(s.messages) >= count, limit, f"{count} events")
        return self.events

    def wait_notice(self, name, limit=None):
        self.wait(lambda s: s.notices(name), limit, f"a {name}")
        return self.notices(name)

    def wait_end(self, limit=None):
        self.wait(lambda s: s.ended, limit, "the end of the stream")
        return self

    def describe(self):
        tail = ", ".join(map(repr, list(self.blocks)[-5:]))
        return (f"status {self.status}, {len(self.blocks)} blocks, {len(self.messages)} events, ended={self.ended}, "
                f"error={self.error}, last blocks: {tail} {self.body[:500]!r}")

    def pause(self):
        """Reads no more from the socket until unpause(): a slow reader."""
        self._paused.clear()

    def unpause(self):
        self._paused.set()

    def close(self):
        self._closing = True
        self._paused.set()
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._thread.join(seconds(10))
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- the thread ---

    def _run(self):
        try:
            self._read_head()
            if self.headers.get("content-type", "").startswith("text/event-stream"):
                self._read_stream()
            else:
                self._read_body()
        except OSError as error:
            if not self._closing:
                self.error = repr(error)
        finally:
            self.ended = True

    def _receive(self):
        self._paused.wait()
        return self._socket.recv(65536)

    def _read_head(self):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self._receive()
            if not piece:
                raise ConnectionError(f"closed within the head {head!r}")
            head += piece
        head, self._rest = head.split(b"\r\n\r\n", 1)
        lines = head.decode("iso-8859-1").split("\r\n")
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self.status = int(lines[0].split()[1])

    def _read_body(self):
        self.body = self._rest
        length = int(self.headers.get("content-length", "-1"))
        while length < 0 or len(self.body) < length:
            piece = self._receive()
            if not piece:
                break
            self.body += piece

    def _read_stream(self):
        pending, block, seen = self._rest, SseBlock(), False
        while True:
            *lines, pending = pending.split(b"\n")
            for line in lines:
                line = line.rstrip(b"\r").decode("utf-8")
                if line == "":
                    if seen:
                        if block.id is not None:
                            self.last_id = block.id
                        self.blocks.append(block)
                    block, seen = SseBlock(), False
                    continue
                if line.startswith(":"):
                    continue
                seen = True
                name, _, value = line.partition(":")
                value = value[1:] if value.startswith(" ") else value
                if name == "data":
                    block.data = value if block.data is None else block.data + "\n" + value
                elif name == "event":
                    block.event = value
                elif name == "id":
                    block.id = value
                elif name == "retry":
                    block.retry = int(value)
            piece = self._receive()
            if not piece:
                return
            pending += piece
