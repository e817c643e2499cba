"""proxy: a TCP proxy of the test's own in front of a daemon's port, for faults on the way: connections that break,
bytes that come late or not at all.

    with Proxy(hub.publisher) as events, Proxy(hub.requests) as requests:
        gateway = start_gateway((hub.collector, events.port, requests.port)).wait_connected()
        events.cut()                  # both ends see the connection close; new ones are accepted
        events.refuse(True)           # new ones are closed at once
        events.blackhole(True)        # nothing passes, nobody is told: a dead route
        events.delay(0.3)             # what the server sends arrives that much later, in order
        requests.hold_answers()       # requests pass, answers stay in the proxy; a cut loses them
        requests.wait_held()          # until there is one
        requests.pass_answers()

Each of these is in force when it returns: every byte is moved, and every socket closed, under the one lock.
"""
import collections
import selectors
import socket
import threading
import time

from .waiting import wait_until


class _Pipe:
    """One direction of one connection."""

    LIMIT = 1 << 20  # bytes that it holds; then it reads no more

    def __init__(self, source, sink, is_answers):
        self.source, self.sink, self.is_answers = source, sink, is_answers
        self.waiting = collections.deque()  # (due, bytes), as they came: a shorter delay overtakes nothing
        self.size = 0
        self.is_over = False  # the source sends no more

    def wants_bytes(self):
        return not self.is_over and self.size < self.LIMIT

    def read(self, due):
        """How many bytes came."""
        try:
            data = self.source.recv(1 << 16)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        if data:
            self.waiting.append((due, data))
            self.size += len(data)
        else:
            self.is_over = True
        return len(data)

    def write(self, now):
        """False when the connection is over."""
        while self.waiting and self.waiting[0][0] <= now:
            due, data = self.waiting.popleft()
            try:
                sent = self.sink.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                return False
            self.size -= sent
            if sent < len(data):
                self.waiting.appendleft((due, data[sent:]))
                return True
        return bool(self.waiting) or not self.is_over


class Proxy:
    """`port` to connect to, `connections` accepted so far, `passed` bytes that came from the server so far."""

    def __init__(self, target):
        self.target = target
        self.connections = self.passed = 0
        self._delay, self._holds, self._blackhole, self._refuse, self._stop = 0.0, False, False, False, False
        self._held = 0  # bytes that came while answers are held, since the last cut
        self._pairs = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # --- what a test does ---

    def cut(self):
        with self._lock:
            for pair in self._pairs:
                self._close(pair)
            self._pairs = []
            self._held = 0

    def refuse(self, yes=True):
        with self._lock:
            self._refuse = yes

    def blackhole(self, yes):
        with self._lock:
            self._blackhole = yes

    def delay(self, seconds):
        with self._lock:
            self._delay = seconds

    def hold_answers(self):
        with self._lock:
            self._holds, self._held = True, 0

    def pass_answers(self):
        with self._lock:
            self._holds = False

    def wait_held(self, count=1, limit=10):
        """Until the server has answered so many bytes that nobody got."""
        wait_until(lambda: self._held >= count, limit, "answers to hold")

    def close(self):
        self._stop = True
        self._thread.join()
        self.cut()
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- the thread ---

    @staticmethod
    def _close(pair):
        for sock in (pair[0].source, pair[0].sink):
            sock.close()

    def _accept(self):
        try:
            client, _ = self._listener.accept()
        except OSError:  # nobody is there, or nobody any longer
            return
        if self._refuse:
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
        except OSError:
            client.close()
            return
        self.connections += 1
        for sock in (client, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs.append((_Pipe(client, server, False), _Pipe(server, client, True)))

    def _move(self, pipe, now):
        """False when the connection is over."""
        if pipe.wants_bytes():
            came = pipe.read(now + (self._delay if pipe.is_answers else 0))
            if pipe.is_answers:
                self.passed += came
                self._held += came if self._holds else 0
        return (pipe.is_answers and self._holds) or pipe.write(now)

    def _turn(self):
        now = time.monotonic()
        self._accept()
        if self._blackhole:
            return
        for pair in list(self._pairs):
            if not all([self._move(pipe, now) for pipe in pair]):
                self._close(pair)
                self._pairs.remove(pair)

    def _run(self):
        while not self._stop:
            with self._lock:
                self._turn()
                pipes = [] if self._blackhole else [pipe for pair in self._pairs for pipe in pair]
                sources = [pipe.source for pipe in pipes if pipe.wants_bytes()]
                is_waiting = any(pipe.waiting for pipe in pipes)
            with selectors.DefaultSelector() as selector:
                for sock in [self._listener, *sources]:
                    try:
                        selector.register(sock, selectors.EVENT_READ)
                    except (ValueError, KeyError, OSError):
                        pass  # cut in this moment
                selector.select(0.002 if is_waiting else 0.02)
