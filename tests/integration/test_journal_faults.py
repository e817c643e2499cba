# ctest: timeout=400
"""journal on a disk that is full or fails: nothing pretends to be stored, everything else goes on, and it recovers."""
import json
import os
import signal
import subprocess

import pytest

from support import faults
from support.cli import notifyhub
from support.daemons import program
from support.journal import figures, fill, history, numbers, page, position
from support.waiting import wait_until
from support.zmq_clients import Dealer, Push, Sub, event


@pytest.fixture
def fault_hub(start_hub, tmp_path):
    """A hub whose disk fails while the control file is there: (hub, the control file)."""
    def start(*flags):
        control = str(tmp_path / "fail")
        hub = start_hub("--hub-stats-interval-s", "0", *flags, wait=False)
        hub.env = faults.environment(hub.journal_folder, program(hub.program_name), fail=control)
        return hub.start(), control
    return start


def wait_state(dealer, state):
    return wait_until(lambda: position(dealer) if position(dealer)["journal"]["state"] == state else None, 20,
                      lambda: f"state {state}: {position(dealer)}")


def degrade(dealer, control, text):
    """Makes the disk fail and publishes until the hub has noticed; the answers that said durability_lost."""
    faults.control(control, text)
    lost = []
    while True:
        answer = dealer.publish(event("t", "meets the fault"), durability="synced")
        assert answer["success"] is False, answer
        if answer["code"] == "durability_unavailable":
            return lost
        assert answer["code"] == "durability_lost"
        lost.append(answer)


# --- what happens while it fails ---

@pytest.mark.parametrize("fault", ["ENOSPC", "EIO", "EIO writes", "EIO syncs", "EDQUOT", "EROFS"])
@pytest.mark.parametrize("sync", ["commit", "interval"])
def test_degraded_and_back(fault_hub, sync, fault):
    """Lost ones are told, durable publishing is refused before a number is given, memory and PUSH go on live and into
    the ring; after recovery everything is durable again and the range is a void as soon as memory has forgotten it."""
    hub, control = fault_hub("--hub-journal-sync", sync, "--hub-history-events", "100")
    epoch = hub.epoch
    with Dealer(hub) as dealer, Push(hub) as push, Sub(hub, "t", "p") as sub:
        sub.sync(push)
        fill(dealer, 20, durability="synced")
        kept = position(dealer)["seq"]
        lost = degrade(dealer, control, fault)
        assert len(lost) == 1 and lost[0]["first_seq"] == kept + 1 and lost[0]["durability"] == "memory"
        now = position(dealer)
        assert (now["durability"], now["durability_max"], now["seq"]) == ("memory", "synced", kept + 1)
        assert now["journal"]["state"] == "degraded" and now["journal"]["why"]
        # Live goes on: without a wish, with memory, by PUSH.
        assert dealer.publish(event("t", "no wish"))["durability"] == "memory"
        assert dealer.publish(event("t", "memory"), durability="memory")["success"]
        push.send(event("p", "pushed"))
        seen = [sub.recv()["data"] for _ in range(24)][20:]
        assert seen == ["meets the fault", "no wish", "memory", "pushed"]
        assert dealer.publish(event("t", 1), durability="journaled")["code"] == "durability_unavailable"
        # The ring has them, so for now they can be had.
        answer, events = page(dealer, since=kept)
        assert answer["result"] == "replayed" and len(events) == 4 and answer["voids"] == []
        wait_until(lambda: figures(dealer)["not_stored"] == 4, 10, "the last one to come back")
        assert figures(dealer)["state"] == "degraded"
        health = dealer.request({"action": "health"})
        assert health["status"] == "ok" and health["journal"] == now["journal"], "alive, and honest"
        told = notifyhub(hub, "health")
        assert told.returncode == 0 and told.stdout == f"healthy, but degraded: {now['journal']['why']}\n", told
        assert json.loads(notifyhub(hub, "health", "--json").stdout)["degraded"] == now["journal"]["why"]

        os.unlink(control)
        wait_state(dealer, "ready")
        assert "journal" not in dealer.request({"action": "health"})
        assert dealer.publish(event("t", "again"), durability="synced")["first_seq"] == kept + 5
        assert dealer.publish(event("t", "twice", id="x"), durability="synced")["durability"] == "synced"
        assert position(dealer)["voids"] == []
        fill(dealer, 200)  # the ring forgets
        void = {"from": kept + 1, "to": kept + 4, "reason": "not_stored"}
        assert position(dealer)["voids"] == [void]
        events, gaps = history(dealer, since=kept)
        assert gaps == [{"from": f"{epoch}-{kept}", "to": f"{epoch}-{kept + 4}", "reason": "not_stored"}]
        assert numbers(events) == list(range(kept + 5, kept + 207))
        assert "journal_degraded" in hub.stderr and "journal_recovered" in hub.stderr
    hub.restart()
    assert hub.epoch == epoch
    with Dealer(hub) as dealer:
        assert position(dealer)["voids"] == [void] and position(dealer)["seq"] == kept + 206
        events, gaps = history(dealer)
        assert numbers(events) == [n for n in range(1, kept + 207) if not kept < n < kept + 5]
        assert dealer.publish(event("t", "twice", id="x"))["results"][0]["seq"] == kept + 6


def test_a_duplicate_of_what_was_lost_is_told_that_it_is(fault_hub):
    """The publisher tries again with the same id: its event went out live and is not stored, then and later."""
    hub, control = fault_hub()
    with Dealer(hub) as dealer:
        fill(dealer, 3, durability="synced")
        faults.control(control, "EIO")
        lost = dealer.publish(event("t", 1, id="x"), durability="synced")
        assert lost["code"] == "durability_lost" and lost["first_seq"] == 4
        again = dealer.publish(event("t", 1, id="x"), durability="memory")
        assert again["success"] and again["results"] == [{"index": 0, "seq": 4, "duplicate": True}]
        os.unlink(control)
        wait_state(dealer, "ready")
        again = dealer.publish(event("t", 1, id="x"), durability="synced")
        assert (again["code"], again["durability"]) == ("durability_lost", "memory")
        assert again["results"] == [{"index": 0, "seq": 4, "duplicate": True}]
        both = dealer.publish(event("t", 1, id="x"), event("t", 2), durability="synced")
        assert both["code"] == "durability_lost" and both["count"] == 1 and both["first_seq"] == 5


def test_a_duplicate_of_what_the_disk_has_after_all_is_told_the_truth(fault_hub):
    """Written, and then forcing it fails: durability_lost, since nobody knows what the disk has. When the disk has been
    looked at again it is known, and the publisher who tries again is told: kept, and how well."""
    hub, control = fault_hub("--hub-journal-sync", "interval", "--hub-journal-interval-ms", "60000")
    with Dealer(hub) as dealer:
        fill(dealer, 3, durability="journaled")
        faults.control(control, "EIO syncs 1")  # the commit passes, what is to force it does not
        lost = dealer.publish(event("t", 1, id="x"), durability="synced")
        assert (lost["code"], lost["first_seq"]) == ("durability_lost", 4)
        assert dealer.publish(event("t", 1, id="x"), durability="journaled")["code"] == "durability_unavailable"
        assert dealer.publish(event("t", 1, id="x"))["durability"] == "memory"
        os.unlink(control)
        wait_state(dealer, "ready")
        for durability in ("journaled", "synced"):
            again = dealer.publish(event("t", 1, id="x"), durability=durability)
            assert again["success"] and again["durability"] == "synced", again
            assert again["results"] == [{"index": 0, "seq": 4, "duplicate": True}]
        assert position(dealer)["voids"] == []
    hub.kill()
    hub.start()
    with Dealer(hub) as dealer:
        assert numbers(history(dealer)[0]) == [1, 2, 3, 4]
        again = dealer.publish(event("t", 1, id="x"), durability="synced")
        assert again["success"] and again["results"] == [{"index": 0, "seq": 4, "duplicate": True}]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_was_not_stored_stays_so_until_its_id_is_forgotten(fault_hub, end):
    """It never becomes stored, also when memory has forgotten it, and no answer says otherwise. A restart knows the ids of
    what is stored only: there the event is a new one, and is kept."""
    hub, control = fault_hub("--hub-history-events", "10")
    with Dealer(hub) as dealer:
        fill(dealer, 3, durability="synced")
        faults.control(control, "EIO")
        assert dealer.publish(event("t", 1, id="x"), durability="synced")["first_seq"] == 4
        os.unlink(control)
        wait_state(dealer, "ready")
        fill(dealer, 30, durability="synced")  # memory forgets it
        assert position(dealer)["voids"] == [{"from": 4, "to": 4, "reason": "not_stored"}]
        again = dealer.publish(event("t", 1, id="x"), durability="synced")
        assert (again["code"], again["results"]) == ("durability_lost", [{"index": 0, "seq": 4, "duplicate": True}])
    getattr(hub, end)()
    hub.start()
    with Dealer(hub) as dealer:
        again = dealer.publish(event("t", 1, id="x"), durability="synced")
        assert again["success"] and again["count"] == 1 and "results" not in again
        assert again["first_seq"] in numbers(history(dealer)[0])


@pytest.mark.parametrize("door", ["hub", "gateway"])
def test_the_command_has_a_status_for_what_was_not_kept(fault_hub, start_gateway, door):
    """Accepted and not kept is none of done, refused and unknown: `notifyhub pub` says so by 6, as its --help does."""
    hub, control = fault_hub()
    flags = ["--gateway", start_gateway(hub).wait_connected().url] if door == "gateway" else []
    with Dealer(hub) as dealer:
        for args, text in (["t", "1"], None), (["--ndjson"], json.dumps(event("t", 2)) + "\n"):
            faults.control(control, "EIO")
            done = notifyhub(hub, "pub", *args, *flags, input_text=text)
            assert done.returncode == 6 and "durability_lost" in done.stderr, done
            os.unlink(control)
            wait_state(dealer, "ready")
            wait_until(lambda: notifyhub(hub, "pub", "t", "3", "--durability", "synced", *flags).returncode == 0, 20,
                       "the door to take it again")
    told = notifyhub(hub, "pub", "--help").stdout
    assert "6 accepted" in told and "1 " not in told[told.index("Exit status"):]


def test_a_line_whose_first_one_was_lost_is_not_said_to_be_refused(fault_hub):
    """It is numbered, and comes beside others that are kept: the command names the line, and its status is 6."""
    hub, control = fault_hub()
    with Dealer(hub) as dealer:
        faults.control(control, "EIO")
        assert dealer.publish(event("t", 1, id="x"), durability="synced")["code"] == "durability_lost"
        os.unlink(control)
        wait_state(dealer, "ready")
    text = "".join(json.dumps(line) + "\n" for line in (event("t", 2), event("t", 1, id="x"), event("t", 3)))
    done = notifyhub(hub, "pub", "--ndjson", "--keep-going", "--durability", "synced", input_text=text)
    assert "accepted 2, duplicates 1, refused 0" in done.stdout, done
    assert f"line 2: accepted as {hub.epoch}-1, but not kept as safely as asked for: durability_lost" in done.stderr, done
    assert done.returncode == 6, done
    bad = notifyhub(hub, "pub", "--ndjson", "--keep-going", "--durability", "synced", input_text=text + "x\n")
    assert (bad.returncode, "refused 1" in bad.stdout) == (4, True), bad


def test_a_disk_that_fails_again_and_again(fault_hub):
    """Each time it recovers, and each range is told."""
    hub, control = fault_hub("--hub-history-events", "10")
    with Dealer(hub) as dealer:
        expected = []
        for _ in range(3):
            fill(dealer, 20)
            assert dealer.publish(event("t"), durability="synced")["success"]
            before = position(dealer)["seq"]
            degrade(dealer, control, "EIO")
            fill(dealer, 15)
            expected.append((before + 1, position(dealer)["seq"]))
            os.unlink(control)
            wait_state(dealer, "ready")
        fill(dealer, 20, durability="synced")
        assert [(v["from"], v["to"]) for v in position(dealer)["voids"]] == expected
        events, gaps = history(dealer)
        assert len(gaps) == 3
        hidden = {n for low, high in expected for n in range(low, high + 1)}
        assert numbers(events) == [n for n in range(1, position(dealer)["seq"] + 1) if n not in hidden]


def test_an_end_while_degraded_is_not_clean_and_loses_only_what_it_said(fault_hub):
    """Exit status 0; the next start knows that it does not know."""
    hub, control = fault_hub()
    with Dealer(hub) as dealer:
        fill(dealer, 10, durability="synced")
        degrade(dealer, control, "EIO")
        fill(dealer, 5)
        hub.stop()
    assert "journal_not_clean" in hub.stderr
    os.unlink(control)
    hub.start()
    with Dealer(hub) as dealer:
        now = position(dealer)
        assert now["voids"] == [{"from": 11, "to": now["seq"], "reason": "unclean_stop"}]
        assert numbers(history(dealer)[0]) == list(range(1, 11))


def test_a_restart_on_a_failing_disk_is_refused_in_words(fault_hub):
    """Without a reservation no number can be given out."""
    hub, control = fault_hub()
    hub.stop()
    faults.control(control, "EIO")
    hub.spawn().wait(expect=1)
    assert "event=start_failed" in hub.stderr
    os.unlink(control)
    hub.start()


# --- a disk that is really full ---

@pytest.fixture
def small_disk(tmp_path):
    """A file system of 48 MiB, where mounting is allowed."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("mounting is not allowed here; the injected ENOSPC tests the same paths")
    yield str(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_up(folder):
    """Something else takes all the room there is; the file to be removed."""
    ballast = os.path.join(folder, "ballast")
    with open(ballast, "wb") as file:
        try:
            while True:
                file.write(b"x" * 65536)
                file.flush()
        except OSError:
            return ballast


def test_a_full_disk_and_room_again(start_hub, small_disk):
    """Something else fills the disk: degraded, live goes on; when there is room again it recovers by itself. What was
    answered as synced is there."""
    hub = start_hub("--hub-journal-path", os.path.join(small_disk, "data"), "--hub-history-events", "10")
    synced = []
    with Dealer(hub) as dealer:
        ballast = fill_up(small_disk)
        while True:
            answer = dealer.publish(event("t", {"pad": "x" * 20000}), durability="synced")
            if not answer["success"]:
                break
            synced.append(answer["first_seq"])
        assert answer["code"] in ("durability_lost", "durability_unavailable")
        assert "full" in position(dealer)["journal"]["why"]
        assert dealer.publish(event("t"), durability="memory")["success"]
        os.unlink(ballast)
        wait_state(dealer, "ready")
        synced.append(dealer.publish(event("t"), durability="synced")["first_seq"])
        assert os.path.exists(os.path.join(small_disk, "data", "reserve"))
    hub.kill()
    hub.start()
    with Dealer(hub) as dealer:
        assert set(synced) <= set(numbers(history(dealer)[0]))


def test_a_first_start_on_a_full_disk_says_so(start_hub, small_disk):
    """No journal can be made: refused in words, and with room it starts."""
    hub = start_hub("--hub-journal-path", os.path.join(small_disk, "data"), wait=False)
    ballast = fill_up(small_disk)
    hub.spawn().wait(expect=1)
    assert "the disk is full; make room on it" in hub.stderr
    os.unlink(ballast)
    hub.start()


def test_a_journal_that_outgrows_its_disk_is_degraded_until_it_may_trim(start_hub, small_disk):
    """max_bytes is more than the disk has: full, told, and after a restart with a limit that fits it trims and goes on."""
    path = os.path.join(small_disk, "data")
    hub = start_hub("--hub-journal-path", path, "--hub-history-events", "10")
    with Dealer(hub) as dealer:
        answer = {"success": True}
        sent = 0
        while answer["success"] and sent < 200:
            answer = dealer.publish(*[event("t", {"pad": "x" * 10000}) for _ in range(50)], durability="synced")
            sent += 1
        assert answer["code"] in ("durability_lost", "durability_unavailable")
        assert position(dealer)["journal"]["state"] == "degraded"
        hub.stop()
    hub.args += ["--hub-journal-max-bytes", "10MiB"]
    hub.start()
    with Dealer(hub) as dealer:
        for _ in range(30):
            assert dealer.publish(*[event("t", {"pad": "x" * 10000}) for _ in range(50)], durability="memory")["success"]
        wait_until(lambda: dealer.publish(event("t"), durability="synced")["success"], 30, "room by trimming")
        wait_until(lambda: figures(dealer)["bytes"] <= 10 << 20, 30, "trimming")


# --- a disk that does not deliver ---

def test_a_page_that_cannot_be_read_ends_the_hub_and_nothing_synced_is_lost(start_hub, start_gateway):
    """What GUARANTEES.md says of it. A map that ends before the page that is asked for raises the same signal as a disk
    that fails to deliver it; here the file is cut under the hub, and whole again when it comes back."""
    hub = start_hub("--hub-history-events", "10", "--hub-stats-interval-s", "0")
    gateway = start_gateway(hub).wait_connected()
    with Dealer(hub) as dealer:
        fill(dealer, 3000, durability="synced")
        path = os.path.join(hub.journal_folder, "events.mdb")
        with open(path, "rb") as file:
            whole = file.read()
        os.truncate(path, 8 * 4096)
        hub.expected_exit = -signal.SIGBUS
        dealer.send({"action": "history", "since": "earliest"})
        hub.wait(expect=-signal.SIGBUS)
    assert "event=journal_unreadable" in hub.stderr
    assert gateway.running, "its probes and its readers are served"
    answer = notifyhub(hub, "pub", "t", "1", "--gateway", gateway.url)
    assert answer.returncode == 3, answer
    with open(path, "r+b") as file:
        file.write(whole)
    hub.start()
    with Dealer(hub) as dealer:
        assert numbers(history(dealer)[0]) == list(range(1, 3001))
        assert [v["reason"] for v in position(dealer)["voids"]] == ["unclean_stop"]
    wait_until(lambda: notifyhub(hub, "pub", "t", "2", "--durability", "synced", "--gateway", gateway.url).returncode == 0,
               30, "publishing by the gateway that stayed")


# --- damage ---

def test_a_damaged_record_becomes_a_gap_and_nothing_else(start_hub):
    """A bit that flipped on the disk: its number is told as not stored, its neighbours are served."""
    hub = start_hub("--hub-history-events", "10")
    with Dealer(hub) as dealer:
        fill(dealer, 1000)
        dealer.publish(event("t", "marker to be damaged"), durability="synced")
        fill(dealer, 1000, first=2000, durability="synced")
    hub.stop()
    path = os.path.join(hub.journal_folder, "events.mdb")
    with open(path, "r+b") as file:
        content = file.read()
        file.seek(0)
        file.write(content.replace(b"marker to be damaged", b"Marker to be damaged"))
    hub.start()
    with Dealer(hub) as dealer:
        events, gaps = history(dealer)
        assert numbers(events) == [n for n in range(1, 2002) if n != 1001]
        assert gaps == [{"from": f"{hub.epoch}-1000", "to": f"{hub.epoch}-1001", "reason": "not_stored"}]
        assert figures(dealer)["damaged"] == 1
        answer = dealer.request({"action": "count", "epoch": hub.epoch, "from": 990, "to": 1010})
        assert answer["complete"] is False
        assert json.dumps(events).count("arker to be damaged") == 0
    assert hub.stderr.count("event=journal_record_damaged") == 1
