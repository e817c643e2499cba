"""journal and answers: what `durability` says is true, answers wait for it and for nothing else, and keep their order."""
import json

import pytest

from support import faults
from support.daemons import program
from support.journal import figures, fill, history, numbers, page, position
from support.waiting import seconds, wait_until
from support.zmq_clients import Dealer, Push, event


@pytest.fixture
def slow_hub(start_hub, tmp_path):
    """A hub whose disk takes `delay` ms for each flush: (hub, the control file)."""
    def start(*flags, delay=None):
        control = str(tmp_path / "delay")
        hub = start_hub("--hub-stats-interval-s", "0", *flags, wait=False)
        hub.env = faults.environment(hub.journal_folder, program(hub.program_name), delay=control)
        hub.start()
        if delay is not None:
            faults.control(control, delay)
        return hub, control
    return start


# --- what each mode gives ---

@pytest.mark.parametrize("sync,default,best", [("commit", "synced", "synced"), ("interval", "journaled", "synced"),
                                               ("off", "memory", "journaled")])
def test_each_mode_gives_what_it_promises(start_hub, sync, default, best):
    """The default, what can be asked for, and that an answer is never worse than asked for."""
    order = ["memory", "journaled", "synced"]
    hub = start_hub("--hub-journal-sync", sync, "--hub-journal-interval-ms", "5000")
    with Dealer(hub) as dealer:
        now = position(dealer)
        assert (now["durability"], now["durability_max"]) == (default, best)
        assert dealer.publish(event())["durability"] == default
        for asked in order:
            answer = dealer.publish(event(), durability=asked)
            if order.index(asked) > order.index(best):
                assert answer["code"] == "durability_unavailable"
            else:
                assert order.index(answer["durability"]) >= order.index(asked)
        assert position(dealer)["seq"] == 1 + order.index(best) + 1


@pytest.mark.parametrize("sync,asked", [("commit", "synced"), ("commit", "journaled"), ("interval", "journaled"),
                                        ("interval", "synced"), ("off", "journaled")])
def test_what_was_answered_survives_a_kill(start_hub, sync, asked):
    """kill -9 right after the answer."""
    hub = start_hub("--hub-journal-sync", sync, "--hub-journal-interval-ms", "60000")
    for run in range(3):
        with Dealer(hub) as dealer:
            answer = dealer.publish(event("t", run), durability=asked)
        hub.kill()
        hub.start()
        with Dealer(hub) as dealer:
            dealer.send({"action": "history", "since": answer["first_seq"] - 1, "limit": 1})
            assert json.loads(dealer.recv_frames()[2])["data"] == run


def test_interval_forces_by_itself(start_hub):
    """Without anybody asking, everything is synced an interval later."""
    hub = start_hub("--hub-journal-sync", "interval", "--hub-journal-interval-ms", "20")
    with Dealer(hub) as dealer:
        dealer.publish(event(), durability="memory")
        wait_until(lambda: figures(dealer)["synced"] == 1, 10, "the interval")


# --- who waits for whom ---

def test_a_memory_request_never_waits(slow_hub):
    """While the disk takes seconds, memory is answered at once, and synced later."""
    hub, control = slow_hub()
    with Dealer(hub) as dealer, Dealer(hub) as fast:
        faults.control(control, round(seconds(2) * 1000))
        dealer.send({"action": "publish", "request_id": 1}, event())
        assert fast.publish(event(), durability="memory")["durability"] == "memory"
        assert fast.request({"action": "health"})["success"]
        assert dealer.nothing(0)
        assert dealer.recv()["durability"] == "synced"


def test_answers_without_an_id_keep_the_order_of_the_requests(slow_hub):
    """Whatever each of them waits for: a slow synced one holds back the memory one behind it, for this peer only."""
    hub, _ = slow_hub(delay=300)
    with Dealer(hub) as dealer, Dealer(hub) as other:
        dealer.send({"action": "publish", "durability": "synced"}, event("t", 1))
        dealer.send({"action": "publish", "durability": "memory"}, event("t", 2))
        dealer.send({"action": "health"})
        dealer.send({"action": "nonsense"})
        dealer.send("no json")
        dealer.send({"action": "history", "limit": 1})
        dealer.send({"action": "position", "request_id": "with an id"})
        assert other.request({"action": "health"})["success"]
        answers = [dealer.recv() for _ in range(7)]
        with_id = [a for a in answers if "request_id" in a]
        rest = [a for a in answers if "request_id" not in a]
        assert len(with_id) == 1
        assert [a.get("durability") for a in rest[:2]] == ["synced", "memory"]
        assert rest[2]["status"] == "ok" and rest[3]["error"] == "Unknown action: nonsense"
        assert rest[4]["error"] == "Invalid JSON format" and rest[5]["result"] == "replayed"


def test_batched_answers_wait_as_well(slow_hub):
    """acks batched: those of one commit come as one array, in order."""
    hub, _ = slow_hub(delay=100)
    with Dealer(hub) as dealer:
        for n in range(50):
            dealer.send({"action": "publish", "acks": "batched", "request_id": n}, event("t", n))
        got, messages = [], 0
        while len(got) < 50:
            value = dealer.recv()
            got += value if isinstance(value, list) else [value]
            messages += 1
        assert [a["request_id"] for a in got] == list(range(50))
        assert {a["durability"] for a in got} == {"synced"} and messages < 50


def test_a_duplicate_waits_for_the_first_one(slow_hub):
    """The second one is answered when the first one is kept, not before; asking for memory it does not wait."""
    hub, control = slow_hub()
    with Dealer(hub) as first, Dealer(hub) as second:
        faults.control(control, round(seconds(1) * 1000))
        first.send({"action": "publish", "request_id": 1}, event("t", 1, id="x"))
        wait_until(lambda: position(second)["seq"] == 1, 10, "the first one's number")
        quick = second.publish(event("t", 1, id="x"), durability="memory")
        assert quick["results"] == [{"index": 0, "seq": 1, "duplicate": True}] and first.nothing(0)
        again = second.publish(event("t", 1, id="x"), durability="synced")
        assert again["durability"] == "synced" and again["count"] == 0
        assert not first.nothing(0)


def test_what_waits_is_answered_before_the_hub_ends(slow_hub):
    """SIGTERM while a commit is under way: the answer still comes, exit status 0."""
    hub, control = slow_hub()
    with Dealer(hub) as dealer, Dealer(hub) as other:
        faults.control(control, 700)
        for n in range(20):
            dealer.send({"action": "publish", "request_id": n}, event("t", n))
        wait_until(lambda: position(other)["seq"] == 20, 10, "their numbers")
        hub.stop()
        assert sorted(dealer.recv()["request_id"] for _ in range(20)) == list(range(20))
    hub.start()
    with Dealer(hub) as dealer:
        assert position(dealer)["seq"] == 20 and position(dealer)["voids"] == []


def test_a_slow_disk_makes_publishers_wait_and_loses_nothing(slow_hub):
    """Backlog full: PUSH and publish wait, health and history go on, everything arrives in the end."""
    hub, control = slow_hub("--hub-journal-max-pending-bytes", "1MiB", "--hub-history-events", "100")
    with Dealer(hub) as dealer, Dealer(hub) as other, Push(hub) as push:
        faults.control(control, 150)
        for n in range(3000):
            push.send(event("push", {"n": n, "pad": "x" * 1000}))
        for n in range(200):
            dealer.send({"action": "publish", "request_id": n, "durability": "journaled"},
                        *[event("ack", {"n": n * 10 + i, "pad": "x" * 1000}) for i in range(10)])
        wait_until(lambda: figures(other)["pending_bytes"] >= 1 << 20, 20, "a full backlog")
        for _ in range(20):
            assert other.request({"action": "health"})["success"]
            assert position(other)["journal"]["state"] == "ready"
            assert other.request({"action": "history", "limit": 1})["success"]
            assert figures(other)["pending_bytes"] < 6 << 20
        faults.control(control, 0)
        answers = [dealer.recv(60) for _ in range(200)]
        assert all(a["success"] and a["durability"] == "synced" for a in answers), answers[0]
        assert figures(other)["backlog_full"] >= 1 and "event=journal_backlog_full" in hub.stderr
        wait_until(lambda: position(other)["seq"] == 5000, 60, "all events")
    hub.restart()
    with Dealer(hub) as dealer:
        seen = {"push": [], "ack": []}
        since = "earliest"
        while True:
            dealer.send({"action": "history", "since": since, "limit": 1000})
            frames = dealer.recv_frames()
            for line in frames[2:]:
                value = json.loads(line)
                seen[value["event_type"]].append(value["data"]["n"])
            answer = json.loads(frames[1])
            since = answer["next"]
            if not answer["more"]:
                break
        assert seen == {"push": list(range(3000)), "ack": list(range(2000))}


def test_an_end_with_a_full_backlog_waits_for_the_disk(slow_hub):
    """SIGTERM while publishers wait: what was taken is written and answered, what was not is told, exit status 0."""
    hub, control = slow_hub("--hub-journal-max-pending-bytes", "1MiB")
    with Dealer(hub) as dealer, Dealer(hub) as other, Push(hub) as push:
        faults.control(control, 200)
        for n in range(500):
            push.send(event("push", {"n": n, "pad": "x" * 1000}))
        for n in range(300):
            dealer.send({"action": "publish", "request_id": n}, *[event("ack", {"pad": "x" * 1000}) for _ in range(10)])
        wait_until(lambda: figures(other)["pending_bytes"] >= 1 << 20, 20, "a full backlog")
        hub.stop(60)
        answers = []
        while not dealer.nothing(500):
            answers.append(dealer.recv())
    # What a slow machine could not read in the time for draining was never taken, and is not answered.
    assert sorted(a["request_id"] for a in answers) == list(range(len(answers)))
    assert {a.get("code") for a in answers} <= {None, "shutting_down"}
    promised = {a["first_seq"] + i for a in answers if a["success"] for i in range(10)}
    assert promised
    hub.start()
    with Dealer(hub) as dealer:
        events, gaps = history(dealer)
        assert gaps == [] and promised <= {e["seq"] for e in events}
        pushed = [e["data"]["n"] for e in events if e["event_type"] == "push"]
        assert pushed == list(range(len(pushed)))


def test_a_full_house_of_waiting_publishers_is_told_so(slow_hub):
    """Beyond what is held back a publish is refused before it is numbered, and every one gets an answer."""
    hub, control = slow_hub("--hub-journal-max-pending-bytes", "1MiB")
    with Dealer(hub) as dealer, Dealer(hub) as other:
        faults.control(control, 400)
        big = event("t", "x" * (1 << 20))
        for n in range(100):
            dealer.send({"action": "publish", "request_id": n}, big)
        refused = dealer.recv(60)
        while refused["success"]:
            refused = dealer.recv(60)
        assert refused["code"] == "unavailable"
        assert other.request({"action": "health"})["success"]
        faults.control(control, 0)


def test_replay_is_not_held_up_by_the_disk(slow_hub):
    """A flush that takes a second does not delay pages of what is stored already."""
    hub, control = slow_hub("--hub-history-events", "10")
    with Dealer(hub) as dealer, Dealer(hub) as writer:
        fill(dealer, 500, durability="synced")
        faults.control(control, round(seconds(4) * 1000))
        writer.send({"action": "publish"}, event())
        for _ in range(10):
            assert numbers(page(dealer, limit=20)[1])[0] == 1
        assert writer.nothing(0)
        faults.control(control, 0)
