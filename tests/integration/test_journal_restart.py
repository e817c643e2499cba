# ctest: timeout=400
"""journal over restarts: epoch, numbers, bytes, ids and voids go on where they were; every door tells the same."""
import ctypes
import json
import os
import signal
import time

import pytest

from support import faults
from support.cli import notifyhub
from support.daemons import Hub, program
from support.journal import RESERVATION, figures, fill, history, lines, numbers, page, position
from support.waiting import wait_until
from support.zmq_clients import Dealer, Push, Sub, event


def stamp(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1e6):06d}Z"


# --- in order ---

@pytest.mark.parametrize("sync", ["commit", "interval", "off"])
def test_a_clean_restart_loses_nothing_and_goes_on_counting(start_hub, sync):
    """Same epoch, next number, same bytes, no void."""
    hub = start_hub("--hub-journal-sync", sync)
    epoch = hub.epoch
    with Dealer(hub) as dealer:
        fill(dealer, 700)
        before = lines(dealer)
    hub.restart()
    assert hub.epoch == epoch
    with Dealer(hub) as dealer:
        now = position(dealer)
        assert (now["seq"], now["oldest"], now["voids"]) == (700, 1, [])
        assert lines(dealer) == before and len(before) == 700
        assert dealer.publish(event())["first_seq"] == 701
        events, gaps = history(dealer, since=f"{epoch}-650")
        assert numbers(events) == list(range(651, 702)) and gaps == []


def test_what_came_by_push_is_there_after_a_restart(start_hub):
    """PUSH is fire and forget, and journaled too; what is on its way at SIGTERM is taken in."""
    hub = start_hub()
    with Push(hub) as push, Sub(hub, "p") as sub:
        sub.sync(push)
        for n in range(500):
            push.send(event("p", n))
        assert sub.recv()["data"] == 0
        hub.stop()
    hub.start()
    with Dealer(hub) as dealer:
        events, gaps = history(dealer, event_type="p")
        assert [e["data"] for e in events] == list(range(500)) and gaps == []


def test_ids_are_known_after_a_restart(start_hub):
    """The second one gets the first one's number; other bytes are a conflict; so too after a kill, when it was synced."""
    hub = start_hub()
    with Dealer(hub) as dealer:
        first = dealer.publish(event("t", 1, id="x"), durability="synced")
        dealer.publish(event("t", 1, id="memory only"), durability="synced")
    for stop in (hub.stop, hub.kill):
        stop()
        hub.start()
        with Dealer(hub) as dealer:
            again = dealer.publish(event("t", 1, id="x"), durability="synced")
            assert again["count"] == 0 and again["durability"] == "synced"
            assert again["results"] == [{"index": 0, "seq": first["first_seq"], "duplicate": True}]
            other = dealer.publish(event("t", 2, id="x"))
            assert (other["code"], other["seq"]) == ("duplicate_conflict", first["first_seq"])


def test_only_ids_within_window_and_count_are_known_after_a_restart(start_hub):
    """dedup_ids bounds what is remembered over a restart as it does before it."""
    hub = start_hub("--hub-dedup-ids", "10")
    with Dealer(hub) as dealer:
        for n in range(30):
            dealer.publish(event("t", n, id=f"i{n}"))
    hub.restart()
    with Dealer(hub) as dealer:
        assert dealer.request({"action": "stats"})["statistics"]["dedup_ids"] == 10
        assert dealer.publish(event("t", 29, id="i29"))["count"] == 0
        assert dealer.publish(event("t", 19, id="i19"))["count"] == 1
    hub.stop()
    hub.args += ["--hub-dedup-window-s", "1"]
    time.sleep(1.1)  # the window passes by the wall clock, which is what is tested
    hub.start()
    with Dealer(hub) as dealer:
        assert dealer.request({"action": "stats"})["statistics"]["dedup_ids"] == 0
        assert dealer.publish(event("t", 29, id="i29"))["count"] == 1


def test_a_hub_that_was_never_used_starts_again_cleanly(start_hub):
    """Nothing was numbered, so nothing is void."""
    hub = start_hub()
    hub.restart()
    hub.restart()
    with Dealer(hub) as dealer:
        now = position(dealer)
        assert (now["seq"], now["oldest"], now["voids"]) == (0, 1, [])


def test_the_statistics_tell_of_the_journal(start_hub):
    """What is kept, how safely, and what it cost."""
    hub = start_hub()
    with Dealer(hub) as dealer:
        fill(dealer, 50, durability="synced")
        now = figures(dealer)
        assert (now["state"], now["why"], now["oldest"], now["journaled"], now["synced"]) == ("ready", "", 1, 50, 50)
        assert now["records"] == 50 and 50 * 100 < now["bytes"] < now["file_bytes"]
        assert now["commits"] >= 1 and now["commit_max_us"] >= now["commit_p50_us"] > 0
        assert now["max_bytes"] == 1 << 30 and now["pending_bytes"] == 0
        assert (now["trimmed"], now["not_stored"], now["voids"], now["damaged"]) == (0, 0, 0, 0)


# --- one hub a folder ---

def test_a_second_hub_on_the_folder_is_refused(start_hub, daemons, tmp_path):
    """It says who owns it, ends with status 1, and the first one notices nothing."""
    hub = start_hub()
    second = Hub(tmp_path / "second", ["--hub-journal-path", hub.journal_folder])
    daemons.append(second)
    second.spawn().wait(expect=1)
    assert "event=start_failed" in second.stderr and str(hub.pid) in second.stderr
    with Dealer(hub) as dealer:
        assert dealer.publish(event(), durability="synced")["first_seq"] == 1


def test_a_damaged_journal_is_refused_and_left_as_it_is(start_hub):
    """Words that say what to do; the file is not touched."""
    hub = start_hub()
    with Dealer(hub) as dealer:
        fill(dealer, 10, durability="synced")
    hub.stop()
    path = f"{hub.journal_folder}/events.mdb"
    with open(path, "r+b") as file:
        file.write(b"\0" * 8192)
    with open(path, "rb") as file:
        before = file.read()
    hub.spawn().wait(expect=1)
    assert "is damaged" in hub.stderr and "notifyhub journal " in hub.stderr
    with open(path, "rb") as file:
        assert file.read() == before


@pytest.mark.parametrize("left", [0.99, 0.75, 0.5, 0.25])
def test_a_journal_that_was_cut_after_a_clean_stop_is_refused(start_hub, left):
    """An orderly stop leaves no blank end that could be cut off unseen: whatever is missing is missed, and left as it is."""
    hub = start_hub()
    with Dealer(hub) as dealer:
        fill(dealer, 100, size=100, durability="synced")
    hub.stop()
    path = f"{hub.journal_folder}/events.mdb"
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        whole = file.read()
    os.truncate(path, int(size * left))
    hub.spawn().wait(expect=1)
    assert "is damaged" in hub.stderr and "its end is cut off" in hub.stderr and "--salvage" in hub.stderr
    with open(path, "rb") as file:
        assert file.read() == whole[:int(size * left)]
    with open(path, "wb") as file:
        file.write(whole)
    hub.start()
    with Dealer(hub) as dealer:
        assert numbers(history(dealer)[0]) == list(range(1, 101)) and position(dealer)["voids"] == []


# --- the first start ---

def stopped_first_start(start_hub, **fault):
    """A hub whose first start meets the fault; True when it came to its end all the same."""
    hub = start_hub("--hub-stats-interval-s", "0", any_port=True, wait=False)
    hub.env = faults.environment(hub.journal_folder, program(hub.program_name), **fault)
    hub.spawn()
    wait_until(lambda: hub.ready_pattern.search(hub.stdout) or not hub.running, 30, "the start or the kill")
    if hub.running:
        hub.signal(signal.SIGTERM)
    ended = hub.wait(expect=(0, -signal.SIGKILL)) == 0
    hub.env = {}
    return hub, ended


def starts_empty(hub):
    """Nothing was published, so nothing is missing but, perhaps, numbers that were reserved."""
    hub.start()
    with Dealer(hub) as dealer:
        assert numbers(history(dealer)[0]) == []
        now = position(dealer)
        assert now["seq"] in (0, RESERVATION) and len(now["voids"]) == (now["seq"] > 0), now
        assert dealer.publish(event(), durability="synced")["first_seq"] == now["seq"] + 1
    hub.stop()


@pytest.mark.parametrize("when", ["before", "mid"])
def test_a_first_start_may_be_killed_at_any_operation(start_hub, when):
    """Between the making of the file and the first reservation too: the next start finds nothing, or all it needs."""
    n, ended = 0, False
    while not ended:
        n += 1
        hub, ended = stopped_first_start(start_hub, stop=f"{n} {when}")
        starts_empty(hub)
    assert n > 10


def test_a_first_start_may_meet_a_power_cut_at_any_operation(start_hub, tmp_path):
    log = str(tmp_path / "log")
    hub, ended = stopped_first_start(start_hub, log=log)
    operations = faults.read_log(log)
    assert ended and len(operations) > 20
    for n in range(1, len(operations)):
        again = start_hub("--hub-stats-interval-s", "0", any_port=True, wait=False)
        faults.power_cut(operations[:n], again.journal_folder, seed=n)
        starts_empty(again)


def test_a_file_in_which_nothing_was_ever_stored_is_no_obstacle(start_hub):
    """An environment that LMDB made and nobody used has no event, and no number of it was given out."""
    hub = start_hub(wait=False)
    os.makedirs(hub.journal_folder)
    path = os.path.join(hub.journal_folder, "events.mdb")
    lmdb, env = ctypes.CDLL("liblmdb.so.0"), ctypes.c_void_p()
    assert lmdb.mdb_env_create(ctypes.byref(env)) == 0
    assert lmdb.mdb_env_open(env, path.encode(), 0x4000, 0o640) == 0  # MDB_NOSUBDIR
    lmdb.mdb_env_close(env)
    assert os.path.getsize(path) == 8192
    done = notifyhub(hub, "journal", "info", "--path", hub.journal_folder)
    assert done.returncode == 1 and "nothing was ever stored in the file that is there" in done.stderr, done
    starts_empty(hub)


def test_an_empty_file_is_refused_in_words_of_its_own(start_hub):
    """Whether it was a journal nobody knows: it is not replaced."""
    hub = start_hub(wait=False)
    os.makedirs(hub.journal_folder)
    path = os.path.join(hub.journal_folder, "events.mdb")
    with open(path, "wb"):
        pass
    hub.spawn().wait(expect=1)
    assert "it is empty" in hub.stderr and "delete the file" in hub.stderr and os.path.getsize(path) == 0
    done = notifyhub(hub, "journal", "verify", "--path", hub.journal_folder)
    assert done.returncode == 1 and "it is empty" in done.stderr
    os.unlink(path)
    starts_empty(hub)


# --- not in order ---

def killed(hub, stored):
    """Publishes `stored` events that are synced, then kills the hub; starts it again and returns a dealer."""
    with Dealer(hub) as dealer:
        assert fill(dealer, stored, durability="synced")["durability"] == "synced"
    hub.kill()
    hub.start()
    return Dealer(hub)


def test_an_unclean_stop_leaves_a_void_that_every_answer_tells(start_hub):
    """Numbers go on behind the reservation; position, history and count tell the void; synced events are there."""
    hub = start_hub()
    epoch = hub.epoch
    with killed(hub, 20) as dealer:
        void = {"from": 21, "to": 20 + RESERVATION - 20, "reason": "unclean_stop"}
        assert hub.epoch == epoch
        now = position(dealer)
        assert (now["seq"], now["oldest"], now["voids"]) == (void["to"], 1, [void])
        assert dealer.publish(event("t", "after"), durability="synced")["first_seq"] == void["to"] + 1
        # The page ends in front of the void, the next one begins with it.
        answer, events = page(dealer, since=f"{epoch}-5")
        assert answer["result"] == "replayed" and answer["more"] is True and answer["next"] == f"{epoch}-20"
        assert numbers(events) == list(range(6, 21)) and answer["voids"] == [void]
        answer, events = page(dealer, since=answer["next"])
        assert answer["result"] == "gap" and answer["more"] is False
        assert answer["gap"] == {"from": f"{epoch}-20", "to": f"{epoch}-{void['to']}", "reason": "unclean_stop"}
        assert answer["from"] == f"{epoch}-{void['to']}" and [e["data"] for e in events] == ["after"]
        # Somebody saw a number that the journal lost.
        answer, events = page(dealer, since=f"{epoch}-25")
        assert answer["gap"] == {"from": f"{epoch}-25", "to": f"{epoch}-{void['to']}", "reason": "unclean_stop"}
        assert len(events) == 1
        answer, _ = page(dealer, since=void["to"])
        assert answer["result"] == "replayed" and "gap" not in answer
        assert page(dealer, since=void["to"] + 2)[0]["result"] == "unknown"

        def count(low, high):
            answer = dealer.request({"action": "count", "epoch": epoch, "from": low, "to": high})
            return answer["count"], answer["complete"]

        assert count(0, 20) == (20, True)
        assert count(0, 21) == (20, False)
        assert count(0, void["to"] + 1) == (21, False)
        assert count(void["to"], void["to"] + 1) == (1, True)


def test_voids_pile_up_and_all_are_told(start_hub):
    """Three unclean stops, one of them without a single event: neighbours are told as one gap."""
    hub = start_hub()
    killed(hub, 3).close()
    hub.kill()  # nothing was published in this run
    hub.start()
    killed(hub, 2).close()
    with Dealer(hub) as dealer:
        assert dealer.publish(event("t"), durability="synced")["success"]
        events, gaps = history(dealer)
        assert len(events) == 6 and [g["reason"] for g in gaps] == ["unclean_stop", "unclean_stop"]
        seen = numbers(events)
        assert seen == sorted(set(seen))
        # Every number is an event or in a void that was told.
        told = [(int(g["from"].split("-")[1]), int(g["to"].split("-")[1])) for g in gaps]
        at = 0
        for n in seen:
            if n != at + 1:
                assert (at, n - 1) in told
            at = n


def test_memory_events_may_be_lost_and_are_told(start_hub):
    """An event answered with memory is not promised: it is there or in the void."""
    hub = start_hub()
    with Dealer(hub) as dealer:
        fill(dealer, 5, durability="synced")
        for n in range(200):
            dealer.send({"action": "publish", "durability": "memory"}, event("t", n))
        dealer.recv()
        hub.kill()
    hub.start()
    with Dealer(hub) as dealer:
        events, _ = history(dealer)
        void = position(dealer)["voids"][-1]
        assert numbers(events) == list(range(1, void["from"])) and void["from"] >= 6
        assert [e["data"] for e in events[5:]] == list(range(len(events) - 5))


def test_each_run_begins_behind_what_the_last_one_may_have_given_out(start_hub):
    """Also when nothing of a reservation was used, no number is given out twice."""
    hub = start_hub()
    killed(hub, 1).close()
    with Dealer(hub) as dealer:
        assert position(dealer)["seq"] == RESERVATION
        assert dealer.publish(event(), durability="synced")["first_seq"] == RESERVATION + 1
    hub.kill()
    hub.start()
    with Dealer(hub) as dealer:
        assert position(dealer)["seq"] == 2 * RESERVATION
        assert [v["from"] for v in position(dealer)["voids"]] == [2, RESERVATION + 2]


# --- by time, and behind the ring ---

def test_history_goes_from_the_disk_into_memory_without_a_seam(start_hub):
    """A ring of 50 events and 3000 on disk, read while more come in: each number once, in order."""
    hub = start_hub("--hub-history-events", "50")
    with Dealer(hub) as dealer, Dealer(hub) as writer:
        fill(dealer, 3000)
        seen = 0
        since = "earliest"
        sent = 3000
        while seen < 4000:
            if sent < 4000:
                writer.send({"action": "publish", "durability": "memory"}, *[event("t", n) for n in range(10)])
                sent += 10
            answer, events = page(dealer, since=since, limit=97)
            assert numbers(events) == list(range(seen + 1, seen + 1 + len(events)))
            assert "gap" not in answer
            seen += len(events)
            since = answer["next"]


def test_since_a_time_is_found_on_disk_and_in_memory(start_hub):
    """The event at or after it is the first one, wherever it is kept; also over a restart."""
    hub = start_hub("--hub-history-events", "10")
    marks = []
    with Dealer(hub) as dealer:
        for part in range(4):
            fill(dealer, 20, first=part * 20)
            time.sleep(0.02)
            marks.append((time.time(), (part + 1) * 20))
            time.sleep(0.02)

    def check():
        with Dealer(hub) as dealer:
            for at, after in marks[:3]:
                answer, events = page(dealer, since=stamp(at), limit=5)
                assert answer["from"] == f"{hub.epoch}-{after}" and answer["result"] == "replayed"
                assert numbers(events) == list(range(after + 1, after + 6))
                assert position(dealer, since=stamp(at))["resolved"] == f"{hub.epoch}-{after}"
            answer, events = page(dealer, since=stamp(marks[3][0]))
            assert answer["result"] == "caught_up" and events == []
            answer, events = page(dealer, since="1970-01-01T00:00:00Z", limit=1)
            assert answer["result"] == "replayed" and numbers(events) == [1]

    check()
    hub.restart()
    check()


def test_a_clock_that_is_set_back_keeps_times_in_order(start_hub, tmp_path):
    """An operator sets the clock an hour ahead and back again: a time is still found, before and after a restart."""
    clock = str(tmp_path / "clock")
    hub = start_hub("--hub-history-events", "5", wait=False)
    hub.env = faults.environment(hub.journal_folder, program(hub.program_name), clock=clock)
    hub.start()

    def check():
        with Dealer(hub) as dealer:
            for at, after in marks:
                assert position(dealer, since=stamp(at))["resolved"] == f"{hub.epoch}-{after}"
            assert numbers(history(dealer)[0]) == list(range(1, 31))

    with Dealer(hub) as dealer:
        fill(dealer, 10, durability="synced")
        before = time.time() + 0.02
        time.sleep(0.04)
        faults.control(clock, 3600)
        wait_until(lambda: dealer.request({"action": "position"})["timestamp"] > time.time() + 3000, 10, "the clock")
        fill(dealer, 10, first=10, durability="synced")
        faults.control(clock, 0)
        wait_until(lambda: dealer.request({"action": "position"})["timestamp"] < time.time() + 100, 10, "the clock")
        fill(dealer, 10, first=20, durability="synced")
    # Those after the step back count as arrived when the last one before it did.
    marks = [(before, 10), (time.time() + 600, 10), (time.time() + 4000, 30)]
    check()
    hub.restart()
    check()


def test_a_time_in_front_of_a_void_tells_it(start_hub):
    """What came then may have been lost: the gap is told, not skipped."""
    hub = start_hub()
    with killed(hub, 5) as dealer:
        between = time.time()
        time.sleep(0.02)
        dealer.publish(event("t", "after"), durability="synced")
        answer, events = page(dealer, since=stamp(between))
        assert answer["result"] == "gap" and answer["gap"]["reason"] == "unclean_stop"
        assert answer["gap"]["from"] == f"{hub.epoch}-5" and [e["data"] for e in events] == ["after"]
        assert position(dealer, since=stamp(between))["resolved"] == f"{hub.epoch}-5"


def test_many_pages_at_the_same_time_are_all_answered(start_hub):
    """Scans wait for each other in line, not for ever; health is answered meanwhile."""
    hub = start_hub("--hub-history-events", "10")
    with Dealer(hub) as dealer, Dealer(hub) as other:
        fill(dealer, 5000, size=100)
        for n in range(100):
            dealer.send({"action": "history", "limit": 1000, "since": n * 10, "request_id": n})
        assert other.request({"action": "health"})["success"]
        answers = {}
        for _ in range(100):
            frames = dealer.recv_frames()
            answer = json.loads(frames[1])
            assert answer["success"], answer
            answers[answer["request_id"]] = json.loads(frames[2])["seq"]
        assert answers == {n: n * 10 + 1 for n in range(100)}


def test_scans_that_are_under_way_at_the_end_are_answered(start_hub):
    """SIGTERM answers what waits."""
    hub = start_hub("--hub-history-events", "10")
    with Dealer(hub) as dealer:
        fill(dealer, 5000, size=100)
        for n in range(30):
            dealer.send({"action": "history", "limit": 1000, "request_id": n})
        hub.stop()
        got = 0
        while dealer.socket.poll(1000):
            assert json.loads(dealer.recv_frames()[1])["success"]
            got += 1
        assert got == 30
