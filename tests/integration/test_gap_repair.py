"""The link between hub and gateway is cut, slowed down, swallowed; processes stop and die: browsers see no hole and no
repeat, or a gap with the exact range when nobody has the events any more.

NHUB_TEST_LONG=1 lets the gateway sleep for 30 s.

ctest: timeout=600
"""
import os
import threading
import time

import pytest

from support.fake_hub import FakeHub
from support.http import get, post
from support.metrics import Metrics
from support.proxy import Proxy
from support.sse import SseReader
from support.waiting import wait_until
from support.ws import WsClient
from support.zmq_clients import Dealer, Push

QUIET = ("--hub-stats-event", "")  # every number is then an event that readers get
# What was missed comes in one burst, faster than anybody reads: nobody is sent away for that, however little may wait.
NARROW = ("--gateway-session-max-bytes", "64KiB", "--gateway-send-buffer-bytes", "16KiB")


def split(position):
    epoch, seq = position.rsplit("-", 1)
    return epoch, int(seq)


class Watcher:
    """A reader of everything at one door, whose stream must be without a seam."""

    def __init__(self, gateway, door):
        self.door = door
        if door == "sse":
            self.reader = SseReader(gateway.port, "/events", limit=60).wait_open()
            self.start = self.reader.blocks[0].id
        else:
            self.reader = WsClient(gateway.port, "/ws?event_type=*", limit=60)
            self.start = self.reader.wait_op("subscribed")["position"]

    def items(self):
        """("event", position) and ("gap", from, to, reason), in order."""
        if self.door == "sse":
            for block in list(self.reader.blocks):
                if block.event == "hub.gap":
                    yield ("gap", *(block.json[k] for k in ("from", "to", "reason")))
                elif block.data is not None and block.event == "message":
                    yield "event", block.id
            return
        for message in list(self.reader.messages):
            if message.get("op") == "gap":
                yield ("gap", *(message[k] for k in ("from", "to", "reason")))
            elif "op" not in message:
                yield "event", f"{message['epoch']}-{message['seq']}"

    def last(self):
        items = list(self.items())
        return items[-1][2 if items[-1][0] == "gap" else 1] if items else self.start

    def wait_until(self, position, limit=60):
        self.reader.wait(lambda _: self.last() == position, limit, f"{self.door} until {position}, not {self.last()}")

    def gaps(self):
        """Walks the whole stream: each item begins where the one before ended. Returns the gaps."""
        assert not self.reader.ended, self.reader.describe()
        at, gaps = split(self.start), []
        for kind, *rest in self.items():
            if kind == "event":
                here = split(rest[0])
                assert here == (at[0], at[1] + 1), f"{self.door}: {here} after {at}"
                at = here
            else:
                assert split(rest[0]) == at, f"{self.door}: a gap from {rest[0]} after {at}"
                gaps.append(tuple(rest))
                at = split(rest[1])
        return gaps

    def close(self):
        self.reader.close()


class Flow:
    """A publisher that goes on until it is stopped, about 1000 events a second."""

    def __init__(self, hub):
        self.hub, self.sent, self._stop = hub, 0, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        with Push(self.hub, linger_ms=0) as push:
            while not self._stop.wait(0.01):
                for _ in range(10):
                    push.send(b'{"event_type":"n","source_service":"s","data":%d}' % self.sent)
                    self.sent += 1

    def wait(self, count, limit=60):
        goal = self.sent + count
        wait_until(lambda: self.sent >= goal, limit, "the publisher")

    def stop(self):
        self._stop.set()
        self._thread.join()


def head(hub):
    with Dealer(hub) as dealer:
        answer = dealer.request({"action": "position"}, limit=20)
        return f"{answer['epoch']}-{answer['seq']}"


class Stage:
    """Hub, two proxies, gateway, a reader at each door, and a publisher."""

    def __init__(self, hub, start_gateway, *flags):
        self.hub = hub
        self.events, self.requests = Proxy(hub.publisher), Proxy(hub.requests)
        self.gateway = start_gateway((hub.collector, self.events.port, self.requests.port), *NARROW,
                                     *flags).wait_connected()
        self.watchers = [Watcher(self.gateway, door) for door in ("sse", "ws")]
        self.flow = Flow(hub)
        self.flow.wait(200)

    def settle(self):
        """Everything calms down: the readers have everything up to the hub's last number. Returns the gaps of both."""
        self.flow.wait(200)
        self.flow.stop()
        self.gateway.wait_connected(30)
        wanted = None

        def is_over():
            nonlocal wanted
            assert not any(w.reader.ended for w in self.watchers), self.describe()
            wanted = head(self.hub)
            return all(w.last() == wanted for w in self.watchers)

        wait_until(is_over, 60, lambda: f"{wanted}: {self.describe()}", poll=0.2)
        gaps = [w.gaps() for w in self.watchers]
        assert gaps[0] == gaps[1]
        return gaps[0]

    def describe(self):
        """Where the readers are, and what the gateway says of them."""
        clients = get(self.gateway.port, "/clients").text
        return f"{[(w.last(), w.reader.describe()) for w in self.watchers]} {clients}"

    def metric(self, name):
        return Metrics(self.gateway.port).get(name)

    def close(self):
        self.flow.stop()
        for watcher in self.watchers:
            watcher.close()
        self.events.close()
        self.requests.close()


@pytest.fixture
def make_stage(start_hub, start_gateway):
    made = []

    def make(*gateway_flags, hub_flags=()):
        made.append(Stage(start_hub(*QUIET, *hub_flags), start_gateway, *gateway_flags))
        return made[-1]

    yield make
    for stage in made:
        stage.close()


def swallow_events(stage):
    """Events get lost on the way while questions are answered."""
    stage.events.blackhole(True)
    stage.flow.wait(1000)
    wait_until(lambda: stage.metric("notifyhub_refilled_total") > 0, 20, "a refill")
    stage.events.blackhole(False)


def swallow_answers(stage):
    stage.requests.blackhole(True)
    wait_until(lambda: stage.metric("notifyhub_link_losses_total") > 0, 20, "the loss")
    stage.flow.wait(500)
    stage.requests.blackhole(False)


def swallow_both(stage):
    stage.events.blackhole(True)
    stage.requests.blackhole(True)
    wait_until(lambda: stage.metric("notifyhub_link_losses_total") > 0, 20, "the loss")
    stage.flow.wait(1000)
    stage.events.blackhole(False)
    stage.requests.blackhole(False)


def cut_events(stage):
    for _ in range(5):
        stage.events.cut()
        stage.flow.wait(200)


def cut_answers(stage):
    for _ in range(5):
        stage.requests.cut()
        stage.flow.wait(200)


def cut_in_turns(stage):
    for i in range(10):
        (stage.events if i % 2 else stage.requests).cut()
        stage.flow.wait(60)


def refuse_both(stage):
    stage.events.refuse(True)
    stage.requests.refuse(True)
    stage.events.cut()
    stage.requests.cut()
    stage.flow.wait(1000)
    stage.events.refuse(False)
    stage.requests.refuse(False)


def delay_events(stage):
    """They come after they were counted as lost and fetched: each once all the same."""
    stage.events.delay(1.5)
    stage.flow.wait(3000)
    stage.events.delay(0)
    wait_until(lambda: stage.metric("notifyhub_events_seen_twice_total") > 0, 30, "an event to come twice")


def delay_answers(stage):
    stage.requests.delay(0.4)
    stage.events.cut()
    stage.flow.wait(2000)
    stage.requests.delay(0)


def stop_the_gateway(stage):
    long = os.environ.get("NHUB_TEST_LONG")
    stage.gateway.pause()
    stage.flow.wait(1000)
    deadline = time.monotonic() + (30 if long else 2)
    wait_until(lambda: time.monotonic() >= deadline, 60, "the end of the sleep")
    stage.gateway.resume()


def stop_the_hub(stage):
    losses = stage.metric("notifyhub_link_losses_total")
    stage.hub.pause()
    wait_until(lambda: stage.metric("notifyhub_link_losses_total") > losses, 20, "the loss")
    stage.hub.resume()


def hold_up_the_hub(stage):
    """Shorter than it takes to be given up: no link is lost, and what waited comes live in one burst."""
    deadline = time.monotonic() + 1.2
    stage.hub.pause()
    wait_until(lambda: time.monotonic() >= deadline, 20, "the end of the sleep")
    stage.hub.resume()


@pytest.mark.parametrize("fault", [swallow_events, swallow_answers, swallow_both, cut_events, cut_answers, cut_in_turns,
                                   refuse_both, delay_events, delay_answers, stop_the_gateway, stop_the_hub,
                                   hold_up_the_hub],
                         ids=lambda f: f.__name__)
def test_browsers_notice_nothing(make_stage, fault):
    stage = make_stage()
    fault(stage)
    assert stage.settle() == []


def test_what_nobody_has_any_more_is_a_gap_with_the_exact_range(make_stage):
    stage = make_stage(hub_flags=("--hub-journal-enabled", "false", "--hub-history-events", "300"))
    stage.flow.stop()
    stage.events.blackhole(True)
    stage.requests.blackhole(True)
    wait_until(lambda: stage.metric("notifyhub_link_losses_total") > 0, 20, "the loss")
    with Push(stage.hub) as push:
        for number in range(2000):
            push.send(b'{"event_type":"n","source_service":"s","data":%d}' % number)
    epoch, before = split(stage.watchers[0].last())
    wait_until(lambda: split(head(stage.hub))[1] >= before + 2000, 20, "the hub")
    end = split(head(stage.hub))[1]
    with Dealer(stage.hub) as dealer:
        oldest = dealer.request({"action": "position"})["oldest"]
    stage.events.blackhole(False)
    stage.requests.blackhole(False)
    for watcher in stage.watchers:
        watcher.wait_until(f"{epoch}-{end}")
        assert watcher.gaps() == [(f"{epoch}-{before}", f"{epoch}-{oldest - 1}", "retention")]
    # Whoever comes now is told the same.
    page = get(stage.gateway.port, f"/events?since={epoch}-{before}&limit=5").json
    assert page["result"] == "gap" and page["gap"]["to"] == f"{epoch}-{oldest - 1}"


def test_a_hole_that_is_not_refilled_in_time_is_told_and_live_goes_on(reserve_port, start_gateway):
    """The hub sends events and answers positions, but its pages do not come: the wait for them is bounded."""
    with FakeHub([reserve_port() for _ in range(3)]) as fake:
        gateway = start_gateway(fake.ports, "--gateway-refill-wait-ms", "300").wait_connected()
        watchers = [Watcher(gateway, door) for door in ("sse", "ws")]
        try:
            fake.emit("n", 1)
            fake.silent.add("history")
            lost = [fake.emit("n", number, send=False) for number in (2, 3)]
            last = fake.emit("n", 4)
            for watcher in watchers:
                watcher.wait_until(last)
                assert watcher.gaps() == [(fake.at(1), lost[-1], "not_stored")]
            fake.silent.clear()
            fake.emit("n", 5, send=False)
            last = fake.emit("n", 6)
            for watcher in watchers:
                watcher.wait_until(last)
                assert len(watcher.gaps()) == 1
        finally:
            for watcher in watchers:
                watcher.close()


def test_publishing_through_the_gateway_survives_the_same(make_stage):
    """What was accepted is there once; what was refused or in doubt is there at most once."""
    stage = make_stage()
    accepted, doubtful = [], []
    for number in range(120):
        if number % 20 == 10:
            stage.requests.cut()
        if number % 20 == 15:
            stage.events.cut()
        answer = post(stage.gateway.port, "/events",
                      {"event_type": "p", "data": number, "id": f"p{number}"}, limit=30)
        assert answer.status in (202, 503), answer
        if answer.status == 202:
            accepted.append(number)
        elif answer.json["code"] == "outcome_unknown":
            doubtful.append(number)
        else:
            assert answer.json["code"] == "hub_unavailable"
            stage.gateway.wait_connected()
    assert stage.settle() == []
    got = [e["data"] for e in stage.watchers[1].reader.events if e["event_type"] == "p"]
    assert len(got) == len(set(got)) and set(accepted) <= set(got) <= set(accepted) | set(doubtful)


# --- the hub's own life: its journal keeps epoch and events ---


def journal(stage):
    """The epoch, and (reason, from, to) of each void that the hub knows."""
    with Dealer(stage.hub) as dealer:
        answer = dealer.request({"action": "position"}, limit=20)
    return answer["epoch"], [(v["reason"], v["from"], v["to"]) for v in answer["voids"]]


def test_a_clean_restart_of_the_hub_is_noticed_by_nobody(make_stage):
    stage = make_stage()
    epoch = stage.hub.epoch
    for _ in range(3):
        stage.flow.wait(200)
        stage.hub.restart()
        stage.flow.wait(100)
    assert stage.hub.epoch == epoch
    assert stage.settle() == []
    assert journal(stage) == (epoch, [])


def test_a_killed_hub_leaves_a_gap_with_the_exact_range_and_the_epoch_stays(make_stage):
    stage = make_stage()
    epoch, kills = stage.hub.epoch, 3
    for _ in range(kills):
        stage.flow.wait(300)
        stage.hub.kill()
        stage.flow.wait(100)
        stage.hub.start()
        stage.gateway.wait_connected(30)
        stage.flow.wait(100)
    assert stage.hub.epoch == epoch
    gaps = stage.settle()
    _, voids = journal(stage)
    assert len(gaps) == len(voids) == kills and all(reason == "unclean_stop" for reason, _, _ in voids)
    # Each gap ends where the void ends, and begins inside it or in front of it: what came live is not missing.
    for (first, last, reason), (_, low, high) in zip(gaps, voids):
        assert reason == "unclean_stop" and split(last) == (epoch, high)
        assert split(first)[0] == epoch and low - 1 <= split(first)[1] < high
    # Whoever resumes is told the same: from in front of the void, from inside it, from its end.
    _, low, high = voids[-1]
    came = split(gaps[-1][0])[1]
    for since, expected in ((low - 1, came), (came, came), (high - 5, high - 5)):
        with WsClient(stage.gateway.port, f"/ws?since={epoch}-{since}") as ws:
            resume = ws.wait_op("subscribed")["resume"]
            assert resume["result"] == "gap", (since, resume)
            told = (resume["gap"]["from"], resume["gap"]["to"], resume["gap"]["reason"])
            assert told == (f"{epoch}-{expected}", f"{epoch}-{high}", "unclean_stop")
    with WsClient(stage.gateway.port, f"/ws?since={epoch}-{high}") as ws:
        assert "gap" not in ws.wait_op("subscribed")["resume"]


def test_a_new_gateway_behind_a_killed_hub_tells_the_gap_too(make_stage, start_gateway):
    """It has nothing in its cache but what the hub kept; its backfill reaches over the void."""
    stage = make_stage()
    stage.hub.kill()
    stage.hub.start()
    stage.gateway.wait_connected(30)
    stage.flow.wait(100)
    stage.settle()
    epoch, [(_, low, high)] = journal(stage)
    late = start_gateway(stage.hub).wait_connected()
    for since in (0, low - 3, low - 1, low, high - 1):
        page = get(late.port, f"/events?since={epoch}-{since}&limit=10000").json
        seen = [e["seq"] for e in page["events"]]
        if page["result"] == "replayed":
            assert seen == list(range(since + 1, low))
            page = get(late.port, f"/events?since={page['next']}&limit=10000").json
        gap = page["gap"]
        assert (gap["from"], gap["to"], gap["reason"]) == (f"{epoch}-{max(since, low - 1)}", f"{epoch}-{high}", "unclean_stop")
        assert page["events"][0]["seq"] == high + 1
    with SseReader(late.port, "/events", last_event_id=f"{epoch}-0") as stream:
        stream.wait(lambda s: s.notices("hub.gap") and s.events and s.events[-1]["seq"] > high)
        seqs = [e["seq"] for e in stream.events]
        assert seqs[:low - 1] == list(range(1, low)) and seqs[low - 1] == high + 1


def test_publishes_with_an_id_are_kept_once_over_a_kill(make_stage):
    """synced means kept; the same id after the crash is a repeat with the first one's number."""
    stage = make_stage()
    stage.flow.stop()

    def publish(number):
        return post(stage.gateway.port, "/events?durability=synced", {"event_type": "p", "data": number},
                    {"Idempotency-Key": f"k{number}"}, limit=30)

    first = [publish(number) for number in range(10)]
    assert all(a.status == 202 and a.json["durability"] == "synced" for a in first), first[0]
    stage.hub.kill()
    stage.hub.start()
    stage.gateway.wait_connected(30)
    for number, before in enumerate(first):
        again = publish(number).json
        assert again["duplicate"] is True and again["seq"] == before.json["seq"] and again["epoch"] == before.json["epoch"]
    post(stage.gateway.port, "/events", {"event_type": "p", "data": "other"},
         {"Idempotency-Key": "k3"}).problem(422, "duplicate_conflict")
    page = get(stage.gateway.port, f"/events?event_type=p&since={stage.hub.epoch}-0&limit=100").json
    assert [e["data"] for e in page["events"]] == list(range(10))
