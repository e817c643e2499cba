"""walk: reads the hub's history to its end over ROUTER, as the judge's last witness, and asks for its position."""
import json

import zmq

from .transcript import Reading


class Asker:
    """A DEALER of the checker's own, straight to the hub."""

    def __init__(self, port):
        self.port, self.socket, self.count = port, None, 0

    def ask(self, request, *frames, limit=10):
        """-> (answer, frames), or None when nobody answers within the limit."""
        if self.socket is None:
            self.socket = zmq.Context.instance().socket(zmq.DEALER)
            self.socket.setsockopt(zmq.LINGER, 0)
            self.socket.setsockopt(zmq.RCVHWM, 0)
            self.socket.connect(f"tcp://127.0.0.1:{self.port}")
        self.count += 1
        self.socket.send_multipart([b"REQ", json.dumps({**request, "request_id": self.count}).encode(), *frames])
        while self.socket.poll(limit * 1000):
            parts = self.socket.recv_multipart()
            answer = json.loads(parts[1])
            if answer.get("request_id") == self.count:
                return answer, parts[2:]
        self.close()
        return None

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def durability_max(port):
    """The best durability that this hub gives, by a context of its own that is gone afterwards, threads and all."""
    context = zmq.Context()
    try:
        socket = context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(f"tcp://127.0.0.1:{port}")
        socket.send_multipart([b"REQ", b'{"action":"position"}'])
        if not socket.poll(20000):
            raise RuntimeError("the hub does not answer")
        answer = json.loads(socket.recv_multipart()[1])
        return answer.get("durability_max", answer["durability"])
    finally:
        context.destroy(linger=0)


def walk(asker, start):
    """A Reading of everything behind `start` (epoch, seq) that the hub has now."""
    reading = Reading("history", "router", ["*", "StatsEvent", "hub.*"], is_contiguous=True)
    since = f"{start[0]}-{start[1]}"
    reading.begins(since)
    while True:
        found = asker.ask({"action": "history", "since": since, "limit": 10000, "event_type": reading.patterns}, limit=60)
        if found is None:
            raise RuntimeError("the hub does not answer a request for history")
        answer, lines = found
        if not answer["success"]:
            raise RuntimeError(f"no history: {answer}")
        if answer["result"] == "unknown":
            reading.notes.append(f"the position {since} from before is unknown to the hub now")
            reading.gap(since, answer["next"], "unknown")
        if "gap" in answer:
            reading.gap(answer["gap"]["from"], answer["gap"]["to"], answer["gap"]["reason"])
        for line in lines:
            reading.event(line)
        since = answer["next"]
        if not answer["more"]:
            break
    reading.end = reading.last()
    return reading
