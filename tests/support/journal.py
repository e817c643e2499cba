"""journal: what tests of the hub's journal do again and again: fill it, read all of it, look at its figures."""
import json

from .zmq_clients import event

RESERVATION = 1 << 24


def figures(dealer):
    """The object `journal` of the statistics."""
    return dealer.request({"action": "stats"})["statistics"]["journal"]


def position(dealer, **fields):
    return dealer.request({"action": "position", **fields})


def page(dealer, **fields):
    """One page of history: its answer and its events."""
    dealer.send({"action": "history", **fields})
    frames = dealer.recv_frames()
    answer = json.loads(frames[1])
    assert answer["success"] is True, answer
    assert answer["count"] == len(frames) - 2
    return answer, [json.loads(line) for line in frames[2:]]


def lines(dealer, since="earliest"):
    """All events from `since` on, as bytes."""
    found = []
    while True:
        dealer.send({"action": "history", "since": since})
        frames = dealer.recv_frames()
        found += frames[2:]
        answer = json.loads(frames[1])
        since = answer["next"]
        if not answer["more"]:
            return found


def history(dealer, since="earliest", **fields):
    """All pages from `since` on, following `next`: the events and the gaps that were told."""
    events, gaps = [], []
    while True:
        answer, found = page(dealer, since=since, **fields)
        if "gap" in answer:
            gaps.append(answer["gap"])
        events += found
        since = answer["next"]
        if not answer["more"]:
            return events, gaps


def fill(dealer, count, first=0, size=0, durability="memory", batch=500):
    """Publishes events t with data n = first…, in batches; the last answer."""
    answer = None
    for begin in range(first, first + count, batch):
        events = [event("t", {"n": n, "pad": "x" * size}) for n in range(begin, min(begin + batch, first + count))]
        answer = dealer.publish(*events, durability=durability)
        assert answer["success"] is True, answer
    return answer


def numbers(events):
    return [e["seq"] for e in events]
