"""fake_hub: a hub under a test's command: it numbers, keeps and sends what the test says, and answers when the test says.

    with FakeHub(ports) as fake:
        gateway = start_gateway(fake.ports).wait_connected()
        fake.emit("a", 1)                       # numbered, kept, sent
        fake.emit("a", 2, send=False)           # lost on the way, to be had with history
        fake.jump(100, "unclean_stop")          # numbers that are void
        fake.on_publish = lambda request, events: None     # hold; answer later with fake.answer(request, …)

The event numbered n arrived n seconds after 1970. It speaks as hub/wire/PROTOCOL.md says. `asked` counts requests by action; `requests` keeps those of publish.
"""
import datetime
import fnmatch
import json
import math
import threading
import time

import zmq

from .zmq_clients import unpacked


class FakeHub:
    """`epoch`, `seq` (last number), `kept` (seq -> (type, line)), `oldest`, `voids`; changed under `lock`."""

    def __init__(self, ports, epoch="abcdefgh", **position):
        self.ports = tuple(ports)
        self.epoch, self.seq, self.oldest = epoch, 0, 1
        self.kept, self.voids, self.asked, self.requests = {}, [], {}, []
        self.position = {"durability": "memory", "durability_max": "memory", "journal": {"state": "ready", "why": ""},
                         **position}
        self.on_publish = None
        self.silent = set()    # actions that get no answer
        self.page_limit = 10000
        self.lock = threading.RLock()
        self._out, self._stop = [], threading.Event()
        self._context = zmq.Context()
        self._pub = self._socket(zmq.XPUB, ports[1])
        self._router = self._socket(zmq.ROUTER, ports[2])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _socket(self, kind, port):
        sock = self._context.socket(kind)
        sock.setsockopt(zmq.LINGER, 0)
        sock.setsockopt(zmq.SNDHWM, 0)
        sock.bind(f"tcp://127.0.0.1:{port}")
        return sock

    # --- what a test does ---

    def emit(self, event_type, data, send=True, keep=True):
        """Numbers an event; returns its position."""
        with self.lock:
            self.seq += 1
            line = ('{"event_type":%s,"source_service":"fake","data":%s,"timestamp":%d.0,"correlation_id":"c",'
                    '"seq":%d,"epoch":"%s"}' % (json.dumps(event_type), json.dumps(data), self.seq, self.seq,
                                                self.epoch)).encode()
            if keep:
                self.kept[self.seq] = (event_type, line)
            if send:
                self._out.append((self._pub, [event_type.encode(), line]))
            return self.at(self.seq)

    def jump(self, count, reason):
        """The next `count` numbers are a void."""
        with self.lock:
            self.voids.append({"from": self.seq + 1, "to": self.seq + count, "reason": reason})
            self.seq += count

    def lose(self, first, last, reason):
        """Numbers that were given out are a void now."""
        with self.lock:
            for seq in range(first, last + 1):
                self.kept.pop(seq, None)
            self.voids = sorted(self.voids + [{"from": first, "to": last, "reason": reason}], key=lambda v: v["from"])

    def trim(self, oldest):
        with self.lock:
            self.oldest = oldest
            self.kept = {s: e for s, e in self.kept.items() if s >= oldest}
            self.voids = [v for v in self.voids if v["to"] >= oldest]

    def at(self, seq):
        return f"{self.epoch}-{seq}"

    def answer(self, request, **fields):
        """Answers a publish that on_publish() held back."""
        with self.lock:
            self._out.append((self._router, [request["_from"], b"RESPONSE",
                                             json.dumps({"success": True, "request_id": request["request_id"],
                                                         **fields}).encode()]))

    def number(self, request, events, durability="memory"):
        """The answer to a publish whose events are all new: they are emitted."""
        with self.lock:
            first = self.seq + 1
            for line in events:
                event = json.loads(line)
                self.emit(event["event_type"], event["data"])
            return {"first_seq": first, "last_seq": self.seq, "count": len(events), "epoch": self.epoch,
                    "durability": durability}

    def close(self):
        self._stop.set()
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- the thread ---

    def _run(self):
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._pub, zmq.POLLIN)
        while not self._stop.is_set():
            for sock, _ in poller.poll(5):
                if sock is self._pub:
                    sock.recv()
                else:
                    self._take(*sock.recv_multipart())
            with self.lock:
                out, self._out = self._out, []
            for sock, frames in out:
                sock.send_multipart(frames)
        self._pub.close(0)
        self._router.close(0)
        self._context.term()

    def _take(self, identity, *frames):
        assert len(frames) == 1, "our own clients pack their requests: a socket may be closed while one is half sent"
        _, text, *events = unpacked(frames[0])
        request = json.loads(text)
        request["_from"] = identity
        action = request["action"]
        with self.lock:
            self.asked[action] = self.asked.get(action, 0) + 1
            if action in self.silent:
                return
            frames = []
            if action == "position":
                body = self._position(request)
            elif action == "history":
                body, frames = self._history(request)
            elif action == "publish":
                self.requests.append((request, events))
                body = (self.on_publish or self.number)(request, events)
            else:
                body = {"success": False, "error": f"Unknown action: {action}"}
            if body is not None:
                body = {"success": True, "request_id": request["request_id"], **body}
                self._out.append((self._router, [identity, b"RESPONSE", json.dumps(body).encode(), *frames]))

    def _position(self, request):
        del request
        return {"protocol": 1, "epoch": self.epoch, "seq": self.seq, "oldest": self.oldest, "voids": self.voids,
                "stats_event": "", "max_event_bytes": 1 << 22, "dedup": True, "timestamp": time.time(), **self.position}

    def _void_at(self, seq):
        return next((v for v in self.voids if v["from"] <= seq <= v["to"]), None)

    def _since(self, request):
        """(the number to begin after, the gap or None, the result if it is settled)"""
        since, floor = str(request.get("since", "earliest")), self.oldest - 1
        if since == "latest":
            return self.seq, None, "caught_up"
        if since == "earliest":
            return floor, None, None
        if "T" in since:  # an event arrived at the second of its number
            at = datetime.datetime.fromisoformat(since.replace("Z", "+00:00")).timestamp()
            first = max(1, math.ceil(at))
            if first <= floor:
                return floor, {"from": self.at(0), "to": self.at(floor), "reason": "retention"}, None
            return min(first - 1, self.seq), None, None
        epoch, _, digits = since.rpartition("-")
        if epoch and epoch != self.epoch:
            return floor, {"from": since, "to": self.at(floor), "reason": "epoch_changed"}, None
        after = int(digits)
        if after > self.seq:
            return self.seq, None, "unknown"
        if after < floor:
            return floor, {"from": self.at(after), "to": self.at(floor), "reason": "retention"}, None
        return after, None, None

    def _history(self, request):
        after, gap, result = self._since(request)
        void = self._void_at(after + 1)
        if void and result is None:
            reason = gap["reason"] if gap else void["reason"]
            gap = {"from": gap["from"] if gap else self.at(after), "to": self.at(void["to"]), "reason": reason}
            after = void["to"]
        patterns = request.get("event_type") or []
        patterns = [patterns] if isinstance(patterns, str) else patterns
        at, lines = after, []
        limit = min(int(request.get("limit", 1000)), self.page_limit)
        while result is None and at < self.seq and len(lines) < limit and not self._void_at(at + 1):
            at += 1
            kind, line = self.kept.get(at, (None, None))
            if line and (not patterns or any(fnmatch.fnmatchcase(kind, p) for p in patterns)):
                lines.append(line)
        result = result or ("gap" if gap else "replayed" if lines else "caught_up")
        body = {"result": result, "epoch": self.epoch, "from": self.at(after), "next": self.at(at),
                "more": at < self.seq, "count": len(lines), "oldest": self.oldest, "seq": self.seq,
                "voids": self.voids}
        return ({**body, "gap": gap} if gap else body), lines
