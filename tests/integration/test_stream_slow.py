"""Slow readers: what each policy does, and that nobody else notices."""
import socket
import time

from support.http import get, post
from support.sse import SseReader
from support.waiting import Stalled, unstalled, wait_until
from support.ws import WsClient

FLAGS = ("--gateway-session-max-bytes", "256KiB", "--gateway-send-buffer-bytes", "32KiB")


def blast(gateway, count, event_type="a", first=0, size=1000):
    for start in range(0, count, 100):
        body = "\n".join(f'{{"event_type":"{event_type}","source_service":"t","data":{{"n":{first + i},"pad":"{"x" * size}"}}}}'
                         for i in range(start, min(start + 100, count)))
        answer = post(gateway.port, "/events", body, headers={"Content-Type": "application/x-ndjson"})
        assert answer.status == 202, answer
    return answer.json


def stats(gateway):
    return get(gateway.port, "/stats").json["gateway"]


def numbers(reader):
    return [e["data"]["n"] for e in reader.events]


def seq_of(position):
    return int(position.split("-")[1])


class SentAway:
    """Whether the gateway has sent a reader away. Its close frame waits 10 s for one who does not read: such a one has to
    read again as soon as this is known, whatever else there is to wait for."""

    def __init__(self, gateway, reason):
        self.gateway, self.reason = gateway, reason
        self.not_yet = time.monotonic()

    def __call__(self):
        now = time.monotonic()
        if stats(self.gateway)["dropped"][self.reason] > 0:
            return True
        self.not_yet = now
        return False

    def must_come(self, sent, limit):
        """Until so many are sent, or the machine held the gateway up: readers are not sent away for what came late."""
        if sent >= limit and stats(self.gateway)["set_aside_total"] > 0:
            raise Stalled("the gateway was late")
        assert sent < limit

    def check(self, *readers):
        """Once they read again: 1013 is among their close codes, if they could see it."""
        took = time.monotonic() - self.not_yet
        for reader in readers:
            reader.unpause()

        def check():
            codes = [reader.close_code for reader in readers]
            if 1013 not in codes and took > 5:
                raise Stalled(f"{took:.1f} s from the drop to the reading")
            assert 1013 in codes, [reader.describe()[:200] for reader in readers]
        return check


def test_disconnect_ends_the_slow_reader_who_then_resumes(start_hub, start_gateway):
    unstalled(lambda: disconnect_and_resume(start_hub, start_gateway))


def disconnect_and_resume(start_hub, start_gateway):
    gateway = start_gateway(start_hub(), *FLAGS).wait_connected()
    with WsClient(gateway.port, "/ws?event_type=a", receive_buffer=4096) as slow, \
            WsClient(gateway.port, "/ws?event_type=a") as quick:
        slow.wait_op("subscribed")
        quick.wait_op("subscribed")
        slow.pause()
        sent_away = SentAway(gateway, "slow_disconnect")
        sent = 0
        while not sent_away():
            sent_away.must_come(sent, 6000)
            blast(gateway, 100, first=sent)
            sent += 100
            # No faster than a reader in Python can be.
            quick.wait(lambda q: len(q.events) >= sent or sent_away(), 30)
        check = sent_away.check(slow)
        slow.wait_close(20)
        check()
        while sent < 6000:
            quick.wait_events(sent, 30)
            blast(gateway, 100, first=sent)
            sent += 100
        quick.wait_events(sent, 30)
        got = numbers(slow)
        assert got == list(range(len(got))) and len(got) < 6000
        last = slow.events[-1]
    with WsClient(gateway.port, f"/ws?event_type=a&since={last['epoch']}-{last['seq']}") as again:
        assert again.wait_op("subscribed")["resume"]["result"] == "replayed"
        again.wait_events(6000 - len(got), 30)
        assert numbers(again) == list(range(len(got), 6000))


def test_disconnect_at_the_sse_door(start_hub, start_gateway):
    gateway = start_gateway(start_hub(), *FLAGS).wait_connected()
    with SseReader(gateway.port, "/events?event_type=a", receive_buffer=4096) as slow:
        slow.wait_open()
        slow.pause()
        blast(gateway, 6000)
        wait_until(lambda: stats(gateway)["subscribers"]["sse"] == 0, 20, "the slow one is ended")
        slow.unpause()
        slow.wait_end()
        got = numbers(slow)
        last_id = slow.last_id
        assert got == list(range(len(got)))
    with SseReader(gateway.port, "/events?event_type=a", last_event_id=last_id) as again:
        again.wait_events(6000 - len(got), 30)
        assert numbers(again) == list(range(len(got), 6000))


def test_drop_oldest_tells_exactly_what_is_missing(start_hub, start_gateway):
    gateway = start_gateway(start_hub(), *FLAGS).wait_connected()
    with WsClient(gateway.port, "/ws?event_type=a&policy=drop_oldest", receive_buffer=4096) as ws, \
            SseReader(gateway.port, "/events?event_type=a&policy=drop_oldest", receive_buffer=4096) as sse:
        ws.wait_op("subscribed")
        sse.wait_open()
        ws.pause()
        sse.pause()
        sent = blast(gateway, 6000)
        wait_until(lambda: stats(gateway)["link"]["received_seq"] >= sent["last_seq"], 20, "the feed")
        time.sleep(0.5)
        ws.unpause()
        sse.unpause()
        for reader, gaps in ((ws, lambda: ws.ops("gap")), (sse, lambda: sse.notices("hub.gap"))):
            reader.wait(lambda r: r.events and r.events[-1]["data"]["n"] == 5999, 30)
            missing = set(range(6000)) - set(numbers(reader))
            assert numbers(reader) == sorted(numbers(reader)) and missing
            told = set()
            for gap in gaps():
                assert gap["reason"] == "slow"
                told |= set(range(seq_of(gap["from"]), seq_of(gap["to"])))  # seq n + 1 carries number n
            assert told == missing
            assert sum(gap["dropped"] for gap in gaps()) == len(missing)
        assert stats(gateway)["dropped"]["slow_oldest"] > 0


def test_latest_brings_the_newest_of_each_type(start_hub, start_gateway):
    gateway = start_gateway(start_hub(), *FLAGS).wait_connected()
    with WsClient(gateway.port, "/ws?policy=latest", receive_buffer=4096) as ws:
        ws.wait_op("subscribed")
        ws.pause()
        for round_ in range(30):
            for kind in ("x", "y", "z"):
                blast(gateway, 100, kind, first=100 * round_)
        sent = blast(gateway, 1, "end")
        wait_until(lambda: stats(gateway)["link"]["received_seq"] >= sent["last_seq"], 20, "the feed")
        time.sleep(0.5)
        ws.unpause()
        ws.wait(lambda w: any(e["event_type"] == "end" for e in w.events), 30)
        newest = {e["event_type"]: e["data"]["n"] for e in ws.events}
        assert newest == {"x": 2999, "y": 2999, "z": 2999, "end": 0}
        seqs = [e["seq"] for e in ws.events]
        assert seqs == sorted(seqs) and len(seqs) < 9001
        ws.wait(lambda w: sum(g["dropped"] for g in w.ops("gap")) == 9001 - len(seqs))
        assert all(g["reason"] == "slow" for g in ws.ops("gap"))
        blast(gateway, 5, "x", first=5000)
        ws.wait(lambda w: [e["data"]["n"] for e in w.events[-5:]] == [5000, 5001, 5002, 5003, 5004])


def test_latest_tells_what_it_dropped_before_it_goes_on(start_hub, start_gateway):
    """A reader that leaves in the middle and comes back from its last position knows of everything that is missing."""
    gateway = start_gateway(start_hub(), *FLAGS).wait_connected()
    ws = WsClient(gateway.port, "/ws?policy=latest", receive_buffer=4096)
    ws.wait_op("subscribed")
    ws.pause()
    for round_ in range(60):
        body = "\n".join(f'{{"event_type":"t{i % 40}","source_service":"t","data":{{"n":{100 * round_ + i},"pad":"{"x" * 1000}"}}}}'
                         for i in range(100))
        sent = post(gateway.port, "/events", body, headers={"Content-Type": "application/x-ndjson"}).json
    wait_until(lambda: stats(gateway)["dropped"]["slow_latest"] > 3000, 20, "drops")
    wait_until(lambda: stats(gateway)["link"]["received_seq"] >= sent["last_seq"], 20, "the feed")
    ws.unpause()

    def has_jumped(client):
        seqs = [e["seq"] for e in client.events]
        return any(b > a + 1 for a, b in zip(seqs, seqs[1:]))

    ws.wait(has_jumped, 30)
    ws.socket.sock.shutdown(socket.SHUT_RDWR)  # in the middle of what comes; wakes a reader that already has it all
    ws.wait_close()
    last = ws.events[-1]
    with WsClient(gateway.port, f"/ws?policy=latest&since={last['epoch']}-{last['seq']}") as again:
        again.wait_op("subscribed")
        # A quick machine has delivered everything before the connection was closed.
        again.wait(lambda w: (w.events or [last])[-1]["seq"] == sent["last_seq"], 30)
        got = {e["seq"] for e in ws.events + again.events}
        told = set()
        for gap in ws.ops("gap") + again.ops("gap"):
            told |= set(range(seq_of(gap["from"]) + 1, seq_of(gap["to"]) + 1))
        assert set(range(1, sent["last_seq"] + 1)) == got | told
        assert sum(gap["dropped"] for gap in ws.ops("gap") + again.ops("gap")) == sent["last_seq"] - len(got)
    ws.close()


def test_all_slow_readers_together_stay_within_the_limit(start_hub, start_gateway):
    unstalled(lambda: overfill_with_slow_readers(start_hub, start_gateway))


def overfill_with_slow_readers(start_hub, start_gateway):
    gateway = start_gateway(start_hub(), "--gateway-session-max-bytes", "4MiB", "--gateway-streams-max-bytes", "4MiB",
                            "--gateway-send-buffer-bytes", "32KiB").wait_connected()
    slow = [WsClient(gateway.port, "/ws?event_type=a", receive_buffer=4096) for _ in range(5)]
    with WsClient(gateway.port, "/ws?event_type=a") as quick:
        quick.wait_op("subscribed")
        for ws in slow:
            ws.wait_op("subscribed")
            ws.pause()
        # Only until somebody had to go.
        sent_away = SentAway(gateway, "memory")
        sent = 0
        while not sent_away():
            sent_away.must_come(sent, 6000)
            blast(gateway, 100, first=sent, size=2000)
            sent += 100
            quick.wait(lambda q: len(q.events) >= sent or sent_away(), 30)
        check = sent_away.check(*slow)
        for ws in slow:
            ws.wait(lambda w: w.ended or len(w.events) == sent, 30)
        check()
        wait_until(lambda: stats(gateway)["memory"]["stream_bytes"] <= 4 << 20, 10, "the limit")
        assert stats(gateway)["subscribers"]["ws"] >= 1
    for ws in slow:
        ws.close()


def test_answers_to_a_client_that_does_not_read_are_bounded(start_hub, start_gateway):
    gateway = start_gateway(start_hub(), *FLAGS).wait_connected()
    with WsClient(gateway.port, receive_buffer=4096) as ws:
        ws.wait_op("welcome")
        ws.pause()
        before = gateway.rss_kib()
        ws.socket.sock.settimeout(2)
        sent = 0
        try:
            for _ in range(200000):
                ws.send({"op": "nonsense", "id": "x" * 200})
                sent += 1
        except (OSError, Exception):  # noqa: B014 - the gateway stopped reading: the socket is full
            pass
        assert gateway.rss_kib() - before < 20000
        with WsClient(gateway.port) as other:
            other.send({"op": "ping", "id": 1})
            other.wait_op("pong", id=1)
