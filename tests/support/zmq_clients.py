"""zmq_clients: plain ZeroMQ peers as the original's clients make them: PUSH, SUB and DEALER, nothing of our library.

    with Push(hub) as push, Sub(hub, "a") as sub:
        sub.sync(push)                       # its subscriptions are in force
        push.send({"event_type": "a", "source_service": "t", "data": {}})
        event = sub.recv()
    with Dealer(hub) as dealer:
        answer = dealer.request({"action": "health"})
"""
import json
import time
import uuid

import zmq

from .waiting import seconds

PROBE = "nhtest.probe."


def event(event_type="test", data=None, source="tests", **more):
    """An event as a publisher writes it."""
    return {"event_type": event_type, "source_service": source, "data": {} if data is None else data, **more}


def _encode(value):
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8")


def packed(*parts):
    """A request's frames as one frame (PROTOCOL.md, "Packed")."""
    return b"\x01" + b"".join(len(part).to_bytes(4, "big") + part for part in map(_encode, parts))


def unpacked(frame):
    """[type, JSON, events…] of a packed request."""
    at, parts = 1, []
    assert frame[:1] == b"\x01", frame
    while at < len(frame):
        size = int.from_bytes(frame[at:at + 4], "big")
        assert at + 4 + size <= len(frame), "a length that does not fit"
        parts.append(frame[at + 4:at + 4 + size])
        at += 4 + size
    return parts


class _Peer:
    def __init__(self, kind, linger_ms):
        self.context = zmq.Context.instance()
        self.socket = self.context.socket(kind)
        self.socket.setsockopt(zmq.LINGER, int(linger_ms))

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Push(_Peer):
    """A publisher: send() takes an object, text or bytes; several of them make one multipart message."""

    def __init__(self, hub, linger_ms=None):
        super().__init__(zmq.PUSH, seconds(5) * 1000 if linger_ms is None else linger_ms)
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.socket.connect(f"tcp://127.0.0.1:{hub.collector}")

    def send(self, *frames):
        self.socket.send_multipart([_encode(frame) for frame in frames])


class Sub(_Peer):
    """A subscriber of byte prefixes ("" = everything)."""

    def __init__(self, hub, *prefixes, limit=10):
        super().__init__(zmq.SUB, 0)
        self.limit = limit
        self.socket.setsockopt(zmq.RCVHWM, 0)
        for prefix in prefixes:
            self.socket.setsockopt(zmq.SUBSCRIBE, _encode(prefix))
        self.socket.connect(f"tcp://127.0.0.1:{hub.publisher}")

    def sync(self, push):
        """Waits until the hub serves this subscriber, by sending probe events until one comes back.

        Subscriptions are taken in order, so all that were made before are in force too. Each probe is an ordinary
        event and costs a seq; recv() skips them. Returns how many were sent."""
        kind = PROBE + uuid.uuid4().hex
        self.socket.setsockopt(zmq.SUBSCRIBE, kind.encode())
        end = time.monotonic() + seconds(self.limit)
        sent = 0
        while True:
            assert time.monotonic() < end, "the subscription did not come into force"
            push.send(event(kind))
            sent += 1
            if self.socket.poll(50):
                if self.socket.recv_multipart()[0] == kind.encode():
                    break
        self.socket.setsockopt(zmq.UNSUBSCRIBE, kind.encode())
        return sent

    def recv_frames(self, limit=None):
        """The frames of the next message (probes skipped); fails after the limit."""
        end = time.monotonic() + seconds(limit or self.limit)
        while True:
            left = end - time.monotonic()
            assert left > 0 and self.socket.poll(left * 1000), "no event arrived"
            frames = self.socket.recv_multipart()
            if not frames[0].startswith(PROBE.encode()):
                return frames

    def recv(self, limit=None):
        """The next event, decoded; asserts the two frames and that frame 1 is the event's type."""
        frames = self.recv_frames(limit)
        assert len(frames) == 2, frames
        value = json.loads(frames[1])
        assert frames[0].decode("utf-8") == value["event_type"]
        return value

    def recv_many(self, count, limit=None):
        return [self.recv(limit) for _ in range(count)]

    def nothing(self, ms=200):
        """True when nothing (but probes) arrives within this time. For what must not come."""
        end = time.monotonic() + ms / 1000
        while time.monotonic() < end:
            if self.socket.poll(max(1, (end - time.monotonic()) * 1000)):
                if not self.socket.recv_multipart()[0].startswith(PROBE.encode()):
                    return False
        return True


class Dealer(_Peer):
    """A client of the requests socket."""

    def __init__(self, hub, identity=None, limit=10):
        super().__init__(zmq.DEALER, 0)
        self.limit = limit
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        if identity is not None:
            self.socket.setsockopt(zmq.IDENTITY, _encode(identity))
        self.socket.connect(f"tcp://127.0.0.1:{hub.requests}")

    def send(self, body, *frames, kind="REQ"):
        self.socket.send_multipart([_encode(kind), _encode(body), *[_encode(f) for f in frames]])

    def send_frames(self, *frames):
        self.socket.send_multipart([_encode(frame) for frame in frames])

    def send_packed(self, body, *events, kind="REQ"):
        self.socket.send(packed(kind, body, *events))

    def recv_frames(self, limit=None):
        assert self.socket.poll(seconds(limit or self.limit) * 1000), "no answer arrived"
        return self.socket.recv_multipart()

    def recv(self, limit=None):
        """The next answer's JSON; asserts that it is a RESPONSE."""
        frames = self.recv_frames(limit)
        assert frames[0] == b"RESPONSE", frames
        return json.loads(frames[1])

    def request(self, body, *frames, limit=None):
        """Sends a REQ and returns the JSON of its answer."""
        self.send(body, *frames)
        return self.recv(limit)

    def publish(self, *events, limit=None, **fields):
        """An acknowledged publish of these events; returns the answer."""
        return self.request({"action": "publish", **fields}, *events, limit=limit)

    def nothing(self, ms=200):
        return not self.socket.poll(ms)
