"""links: TCP links that can be cut, silenced and slowed: a forwarding process of the checker's own.

    links = Links({"hub": [4246, 4247], "http": [8080]})   # names and the ports behind them
    links.port("hub", 4246)                                # where to connect instead
    links.cut("hub")           every connection of this link breaks (reset), new ones are welcome
    links.close("hub")         the same, and new connections break at once, until open()
    links.silence("hub")       nothing is forwarded and nobody is told, until open()
    links.mute("hub")          what clients send arrives, answers do not, until open()
    links.delay("hub", 0.1)    each byte takes that much longer, until open()
    links.open("hub")          all is well again

A connection holds at most BUFFER bytes for each direction; then its sender feels it, as with a real network.
"""
import heapq
import multiprocessing
import selectors
import signal
import socket
import struct
import time

BUFFER = 1 << 17
KERNEL = 1 << 16  # what the kernel may hold for each socket: a slow reader is to be felt by its server
PIECE = 1 << 17


class _Half:
    """One direction of a connection."""

    def __init__(self, pair, source, target):
        self.pair, self.source, self.target = pair, source, target
        self.waiting = []  # (due, bytes)
        self.size = 0
        self.is_ended = False


class _Pair:
    def __init__(self, link, near, far):
        self.link, self.near, self.far = link, near, far
        self.halves = {near: _Half(self, near, far), far: _Half(self, far, near)}
        self.is_connected = False


class _Link:
    def __init__(self, name):
        self.name, self.mode, self.lag = name, "open", 0.0
        self.pairs = set()


class _Forwarder:
    def __init__(self, control, listeners):
        self.control = control
        self.selector = selectors.EpollSelector()
        self.links, self.due, self.masks = {}, [], {}
        self.counter = 0
        for (name, port), listener in listeners.items():
            link = self.links.setdefault(name, _Link(name))
            listener.setblocking(False)
            self.selector.register(listener, selectors.EVENT_READ, ("listen", link, port))
        self.selector.register(control, selectors.EVENT_READ, ("control", None, None))

    def run(self):
        while True:
            timeout = max(0.0, self.due[0][0] - time.monotonic()) if self.due else None
            for found, mask in self.selector.select(timeout):
                kind, what, port = found.data
                if kind == "control":
                    try:
                        command = self.control.recv()
                    except EOFError:
                        return
                    if command[0] == "end":
                        return
                    self.order(*command)
                    self.control.send("done")
                elif kind == "listen":
                    self.accept(found.fileobj, what, port)
                elif what in what.link.pairs:
                    self.serve(what, found.fileobj, mask)
            self.flush_due()

    def order(self, name, mode, lag=0.0):
        link = self.links[name]
        if mode in ("cut", "close"):
            for pair in list(link.pairs):
                self.drop(pair)
        link.mode = "open" if mode == "cut" else mode
        link.lag = lag
        for pair in list(link.pairs):
            for half in pair.halves.values():
                self.flush(half)
            if pair in link.pairs:
                self.watch(pair)

    def accept(self, listener, link, port):
        try:
            near, _ = listener.accept()
        except OSError:
            return
        if link.mode == "close":
            self.reset(near)
            return
        far = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        for end in (near, far):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if link.name == "client":
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL)
        far.connect_ex(("127.0.0.1", port))
        pair = _Pair(link, near, far)
        link.pairs.add(pair)
        self.watch(pair)

    def watch(self, pair):
        """Sets what is waited for on both sockets."""
        for end in (pair.near, pair.far):
            half, back = pair.halves[end], None
            back = pair.halves[pair.far if end is pair.near else pair.near]
            mask = 0
            if end is pair.far and not pair.is_connected:
                mask = selectors.EVENT_WRITE
            elif pair.is_connected and pair.link.mode != "silence":
                if not half.is_ended and half.size < BUFFER and not (pair.link.mode == "mute" and end is pair.far):
                    mask |= selectors.EVENT_READ
                if back.waiting and back.waiting[0][0] <= time.monotonic():
                    mask |= selectors.EVENT_WRITE
            old = self.masks.get(end, 0)
            if mask == old:
                continue
            data = ("pair", pair, None)
            if old == 0:
                self.selector.register(end, mask, data)
            elif mask == 0:
                self.selector.unregister(end)
            else:
                self.selector.modify(end, mask, data)
            self.masks[end] = mask

    def serve(self, pair, end, mask):
        if end is pair.far and not pair.is_connected:
            if pair.far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.drop(pair)
                return
            pair.is_connected = True
        elif mask & selectors.EVENT_READ:
            half = pair.halves[end]
            try:
                data = end.recv(PIECE)
            except BlockingIOError:
                data = None
            except OSError:
                self.drop(pair)
                return
            if data == b"":
                half.is_ended = True
            elif data:
                due = time.monotonic() + pair.link.lag if pair.link.lag else 0.0
                half.waiting.append((due, data))
                half.size += len(data)
                if due:
                    self.counter += 1
                    heapq.heappush(self.due, (due, self.counter, half))
            self.flush(half)
        if pair in pair.link.pairs and mask & selectors.EVENT_WRITE:
            back = pair.halves[pair.far if end is pair.near else pair.near]
            self.flush(back)
        if pair in pair.link.pairs:
            self.watch(pair)

    def flush(self, half):
        pair = half.pair
        if not pair.is_connected or pair.link.mode == "silence":
            return
        now = time.monotonic()
        while half.waiting and half.waiting[0][0] <= now:
            due, data = half.waiting[0]
            try:
                sent = half.target.send(data)
            except BlockingIOError:
                return
            except OSError:
                self.drop(pair)
                return
            half.size -= sent
            if sent < len(data):
                half.waiting[0] = (due, data[sent:])
                return
            half.waiting.pop(0)
        if half.is_ended and not half.waiting:
            try:
                half.target.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            if all(h.is_ended and not h.waiting for h in pair.halves.values()):
                self.drop(pair, False)

    def flush_due(self):
        now = time.monotonic()
        while self.due and self.due[0][0] <= now:
            half = heapq.heappop(self.due)[2]
            if half.pair in half.pair.link.pairs:
                self.flush(half)
            if half.pair in half.pair.link.pairs:
                self.watch(half.pair)

    @staticmethod
    def reset(end):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.close()

    def drop(self, pair, is_reset=True):
        if pair not in pair.link.pairs:
            return
        pair.link.pairs.discard(pair)
        for end in (pair.near, pair.far):
            if self.masks.pop(end, 0):
                self.selector.unregister(end)
            if is_reset:
                self.reset(end)
            else:
                end.close()


def _run(control, listeners):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _Forwarder(control, listeners).run()


class Links:
    def __init__(self, behind):
        self._ports, listeners = {}, {}
        for name, ports in behind.items():
            for port in ports:
                listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                listener.bind(("127.0.0.1", 0))
                listener.listen(512)
                listeners[name, port] = listener
                self._ports[name, port] = listener.getsockname()[1]
        self._control, far = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=_run, args=(far, listeners), daemon=True)
        self._process.start()
        far.close()
        for listener in listeners.values():
            listener.close()

    def port(self, name, behind):
        return self._ports[name, behind]

    def _order(self, *command):
        self._control.send(command)
        if not self._control.poll(30):
            raise RuntimeError("the forwarding process does not answer")
        self._control.recv()

    def cut(self, name):
        self._order(name, "cut")

    def close(self, name):
        self._order(name, "close")

    def silence(self, name):
        self._order(name, "silence")

    def mute(self, name):
        self._order(name, "mute")

    def delay(self, name, seconds):
        self._order(name, "open", seconds)

    def open(self, name):
        self._order(name, "open")

    def end(self):
        try:
            self._control.send(("end",))
        except OSError:
            pass
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
