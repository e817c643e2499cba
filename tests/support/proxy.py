"""proxy: a TCP proxy of the test's own between a gateway and its hub, which cuts, delays and swallows at will.

    with Proxy(hub.publisher) as events, Proxy(hub.requests) as requests:
        gateway = start_gateway((hub.collector, events.port, requests.port)).wait_connected()
        events.cut()                  # both ends see the connection close; new ones are accepted
        events.refuse(True)           # new ones are closed at once
        events.blackhole(True)        # nothing passes, nobody is told: a dead route
        events.delay(0.3)             # what the server sends arrives that much later, in order
"""
import heapq
import selectors
import socket
import threading
import time


class _Pipe:
    """One direction of one connection."""

    def __init__(self, source, sink, is_delayed):
        self.source, self.sink, self.is_delayed = source, sink, is_delayed
        self.waiting = []  # (due, number, bytes)
        self.number = 0
        self.rest = b""
        self.is_over = False

    def write(self, now):
        while self.rest or (self.waiting and self.waiting[0][0] <= now):
            if not self.rest:
                self.rest = heapq.heappop(self.waiting)[2]
            try:
                sent = self.sink.send(self.rest)
            except BlockingIOError:
                return True
            except OSError:
                return False
            self.rest = self.rest[sent:]
        return not (self.is_over and not self.waiting)


class Proxy:
    """`port` to connect to, `connections` accepted so far, `passed` bytes from the server to clients."""

    LIMIT = 1 << 20  # bytes that one direction holds; then it reads no more

    def __init__(self, target):
        self.target = target
        self.connections = self.passed = 0
        self._delay, self._blackhole, self._refuse = 0.0, False, False
        self._pairs = []
        self._lock = threading.RLock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # --- what a test does ---

    def cut(self):
        with self._lock:
            for pair in self._pairs:
                self._close(pair)
            self._pairs = []

    def refuse(self, yes):
        with self._lock:
            self._refuse = yes

    def blackhole(self, yes):
        with self._lock:
            self._blackhole = yes

    def delay(self, seconds):
        with self._lock:
            self._delay = seconds

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
        for pipe in pair:
            for sock in (pipe.source, pipe.sink):
                sock.close()

    def _accept(self):
        try:
            client, _ = self._listener.accept()
        except BlockingIOError:
            return
        if self._refuse:
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=2)
        except OSError:
            client.close()
            return
        self.connections += 1
        for sock in (client, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs.append((_Pipe(client, server, False), _Pipe(server, client, True)))

    def _read(self, pipe, now):
        if sum(len(w[2]) for w in pipe.waiting) + len(pipe.rest) >= self.LIMIT:
            return
        try:
            data = pipe.source.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            pipe.is_over = True
            return
        if pipe.is_delayed:
            self.passed += len(data)
        pipe.number += 1
        heapq.heappush(pipe.waiting, (now + (self._delay if pipe.is_delayed else 0), pipe.number, data))

    def _turn(self):
        now = time.monotonic()
        self._accept()
        if self._blackhole:
            return
        for pair in list(self._pairs):
            for pipe in pair:
                if not pipe.is_over:
                    self._read(pipe, now)
            if not all([pipe.write(now) for pipe in pair]):
                self._close(pair)
                self._pairs.remove(pair)

    def _run(self):
        while not self._stop:
            with self._lock:
                self._turn()
                sources = [] if self._blackhole else [p.source for pair in self._pairs for p in pair if not p.is_over]
                sinks = any(p.waiting or p.rest for pair in self._pairs for p in pair)
            with selectors.DefaultSelector() as selector:
                for sock in [self._listener, *sources]:
                    try:
                        selector.register(sock, selectors.EVENT_READ)
                    except (ValueError, KeyError, OSError):
                        pass  # cut in this moment
                selector.select(0.002 if sinks else 0.02)
