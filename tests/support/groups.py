"""groups: a member of a consumer group over ROUTER.

    group = Group(hub, "billing")
    group.create(event_type=["order:*"])
    batch = group.fetch("worker-1", max=10, wait_ms=1000)     # a Batch: .events, .names, .gap, .answer
    group.ack(batch.names)
"""
import json

from .zmq_clients import Dealer


class Batch:
    """The answer to a fetch."""

    def __init__(self, frames):
        assert frames[0] == b"RESPONSE", frames
        self.answer = json.loads(frames[1])
        self.events = [json.loads(line) for line in frames[2:]]
        if not self.answer["success"]:
            return
        deliveries = self.answer["deliveries"]
        self.names = [d["delivery"] for d in deliveries]
        self.attempts = [d["attempt"] for d in deliveries]
        self.gap = self.answer.get("gap")
        assert self.answer["count"] == len(deliveries) == len(self.events), self.answer
        for name, attempt, event in zip(self.names, self.attempts, self.events):
            assert name == f"{event['epoch']}-{event['seq']}.{attempt}", (name, event)

    @property
    def data(self):
        return [event["data"] for event in self.events]

    def __len__(self):
        return len(self.events)


class Group:
    """Requests about one group, over a DEALER of its own."""

    def __init__(self, hub, name="g"):
        self.name = name
        self.dealer = Dealer(hub)

    def ask(self, action, **fields):
        return self.dealer.request({"action": action, "group": self.name, **fields}, limit=30)

    def create(self, **fields):
        answer = self.ask("group_create", **fields)
        assert answer["success"], answer
        return answer

    def delete(self):
        answer = self.ask("group_delete")
        assert answer["success"], answer
        return answer

    def info(self):
        answer = self.ask("group")
        assert answer["success"], answer
        return answer

    def send_fetch(self, member="m", **fields):
        self.dealer.send({"action": "fetch", "group": self.name, "member": member, **fields})

    def recv_batch(self, limit=30):
        return Batch(self.dealer.recv_frames(limit))

    def fetch(self, member="m", **fields):
        self.send_fetch(member, **fields)
        batch = self.recv_batch()
        assert batch.answer["success"], batch.answer
        return batch

    def ack(self, names, **fields):
        return self._decide("ack", names, **fields)

    def nack(self, names, **fields):
        return self._decide("nack", names, **fields)

    def extend(self, names, **fields):
        return self._decide("extend", names, **fields)

    def _decide(self, action, names, **fields):
        answer = self.ask(action, deliveries=[names] if isinstance(names, str) else list(names), **fields)
        assert answer["success"], answer
        return answer

    def drain(self, member="m", count=None, **fields):
        """Fetches and acknowledges until `count` events came (or nothing more comes); returns them."""
        events = []
        while count is None or len(events) < count:
            batch = self.fetch(member, max=100, wait_ms=0 if count is None else 5000, **fields)
            if not batch.events:
                break
            events += batch.events
            assert self.ack(batch.names)["count"] == len(batch)
        return events

    def close(self):
        self.dealer.close()
