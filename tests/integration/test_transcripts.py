"""One event, every door: 10 000 numbered events go in by curl, WebSocket, PUSH and acknowledged ROUTER publish in turn,
and every subscriber (SUB, SSE, WebSocket) sees the same ids in the same order, nothing missing, nothing twice.

ctest: timeout=600
"""
import json
import subprocess

from support.sse import SseReader
from support.waiting import seconds, wait_until
from support.ws import WsClient
from support.zmq_clients import Dealer, Push, Sub, event

COUNT = 10000
TURN = 50  # events of one door before the next one has its turn
DOORS = ("curl", "ws", "push", "router")


def numbered(number, door):
    return event("count", {"n": number, "text": "blåbær \u2028 \"quoted\""}, source=door, id=f"{door}-{number}")


class Curl:
    """curl, as a user runs it: one process per turn, one request per event on a connection that is kept."""

    def __init__(self, gateway, folder):
        self.gateway, self.folder = gateway, folder

    def send(self, events):
        config = []
        for i, value in enumerate(events):
            body = self.folder / f"body{i}"
            body.write_text(json.dumps(value), encoding="utf-8")
            config += [f'url = "{self.gateway.url}/events"', f'data-binary = "@{body}"', 'output = "-"',
                       'write-out = "\\n%{http_code}\\n"', "next"]
        config.pop()
        path = self.folder / "curl.config"
        path.write_text("\n".join(config), encoding="utf-8")
        done = subprocess.run(["curl", "-sS", "-K", str(path)], capture_output=True, text=True,
                              timeout=seconds(60), check=True)
        lines = [line for line in done.stdout.splitlines() if line]
        assert lines[1::2] == ["202"] * len(events), done.stdout[:2000]
        return [json.loads(line)["seq"] for line in lines[0::2]]


def send_ws(ws, events, state):
    first = state["id"]
    for value in events:
        ws.send({"op": "publish", "id": state["id"], "event": value})
        state["id"] += 1
    seqs = []
    for number in range(first, state["id"]):
        seqs.append(ws.wait_op("published", id=number, limit=30)["seq"])
    ws.messages.clear()  # so that the next turn does not search them again
    return seqs


def send_push(push, sub_seqs, events):
    """Fire and forget: the events of the next door must not overtake these, so they are awaited at a SUB."""
    for value in events:
        push.send(value)
    last = events[-1]["data"]["n"]
    wait_until(lambda: sub_seqs(last), 30, "PUSHed events at the SUB")
    return []


def send_router(dealer, events):
    answer = dealer.publish(*events)
    assert answer["success"] and answer["count"] == len(events), answer
    return list(range(answer["first_seq"], answer["last_seq"] + 1))


class Transcript:
    """What a native SUB saw."""

    def __init__(self, sub):
        self.sub, self.events = sub, []

    def read(self):
        while self.sub.socket.poll(0):
            kind, line = self.sub.socket.recv_multipart()
            if kind == b"count":
                self.events.append(json.loads(line))

    def has(self, number):
        self.read()
        return bool(self.events) and self.events[-1]["data"]["n"] >= number


def as_text(events):
    """Ids, order and content."""
    return [json.dumps(e, ensure_ascii=False) for e in events]


def test_all_transcripts_are_identical(hub, gateway, tmp_path):
    with Push(hub) as push, Sub(hub, "count") as sub, Dealer(hub) as dealer, \
            WsClient(gateway.port, "/ws") as publisher, \
            SseReader(gateway.port, "/events?event_type=count") as sse, \
            SseReader(gateway.port, "/events") as sse_all, \
            WsClient(gateway.port, "/ws?event_type=c*") as ws:
        sub.sync(push)
        sse.wait_open()
        sse_all.wait_open()
        ws.wait_op("welcome")
        publisher.wait_op("welcome")
        transcript, curl, state = Transcript(sub), Curl(gateway, tmp_path), {"id": 1}
        acked = {}
        for turn, start in enumerate(range(0, COUNT, TURN)):
            door = DOORS[turn % len(DOORS)]
            events = [numbered(n, door) for n in range(start, start + TURN)]
            if door == "curl":
                seqs = curl.send(events)
            elif door == "ws":
                seqs = send_ws(publisher, events, state)
            elif door == "push":
                seqs = send_push(push, transcript.has, events)
            else:
                seqs = send_router(dealer, events)
            acked.update(zip(range(start, start + TURN), seqs))
            transcript.read()

        wait_until(lambda: transcript.has(COUNT - 1), 30, "the last event at the SUB")
        wait_until(lambda: len(sse.messages) >= COUNT, 60, lambda: sse.describe())
        wait_until(lambda: len([e for e in sse_all.messages if '"count"' in e.data]) >= COUNT, 60, sse_all.describe)
        ws.wait_events(COUNT, 60)

    native = transcript.events
    assert [e["data"]["n"] for e in native] == list(range(COUNT))
    assert {e["epoch"] for e in native} == {hub.epoch}
    seqs = [e["seq"] for e in native]
    assert seqs == sorted(set(seqs))
    expected = as_text(native)
    assert as_text(sse.events) == expected
    assert as_text([e for e in sse_all.events if e["event_type"] == "count"]) == expected
    assert as_text(ws.events) == expected
    # The ids of the SSE blocks, and the answers to the publishers, name the same numbers.
    assert [b.id for b in sse.messages] == [f"{hub.epoch}-{seq}" for seq in seqs]
    by_number = {e["data"]["n"]: e["seq"] for e in native}
    assert len(acked) == COUNT // 4 * 3
    assert all(by_number[n] == seq for n, seq in acked.items())
    assert sse.notices("hub.gap") == [] and ws.ops("gap") == []
