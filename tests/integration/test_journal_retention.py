# ctest: timeout=400
"""journal and retention: by bytes and by age, on disk and in memory alike, told exactly, also over restarts."""
import threading

from support.journal import figures, fill, history, numbers, page, position
from support.waiting import wait_until
from support.zmq_clients import Dealer, Push, event

MIB = 1 << 20


def while_nothing_is_trimmed(dealer, look):
    """look(oldest) with the oldest event that there is before and after it: the journal trims when it has time."""
    while True:
        oldest = position(dealer)["oldest"]
        found = look(oldest)
        if position(dealer)["oldest"] == oldest:
            return oldest, found


def test_bytes_are_kept_under_the_limit(start_hub):
    """max_bytes holds at every look, while the file stays small and the newest are there."""
    hub = start_hub("--hub-journal-max-bytes", "2MiB", "--hub-history-events", "100")
    with Dealer(hub) as dealer:
        for n in range(60):
            fill(dealer, 200, first=n * 200, size=500, durability="synced", batch=50)
            assert figures(dealer)["bytes"] <= 2 * MIB
        oldest, (now, behind_5, of_all, count) = while_nothing_is_trimmed(dealer, lambda oldest: (
            figures(dealer), page(dealer, since=5), page(dealer, since="1970-01-01T00:00:00Z", limit=1),
            dealer.request({"action": "count", "epoch": hub.epoch, "from": oldest - 2, "to": 12000})))
        assert now["trimmed"] == oldest - 1 and now["records"] == 12000 - oldest + 1
        assert now["bytes"] > MIB and now["file_bytes"] < 16 * MIB
        answer, events = behind_5
        assert answer["gap"] == {"from": f"{hub.epoch}-5", "to": f"{hub.epoch}-{oldest - 1}", "reason": "retention"}
        assert numbers(events)[0] == oldest
        answer, _ = of_all
        assert answer["gap"] == {"from": f"{hub.epoch}-0", "to": f"{hub.epoch}-{oldest - 1}", "reason": "retention"}
        assert (count["count"], count["complete"]) == (12000 - oldest + 1, False)
    hub.restart()
    with Dealer(hub) as dealer:
        assert position(dealer)["oldest"] >= oldest  # trimming may have had more to do
        oldest, ((answer, _), events) = while_nothing_is_trimmed(dealer, lambda _: (
            page(dealer, since="1970-01-01T00:00:00Z", limit=1), history(dealer)[0]))
        assert answer["gap"]["reason"] == "retention"
        assert numbers(events) == list(range(oldest, 12001))


def test_what_the_disk_has_dropped_memory_has_too(start_hub):
    """A ring larger than the journal does not keep what retention says is gone."""
    hub = start_hub("--hub-journal-max-bytes", "1MiB")
    with Dealer(hub) as dealer:
        fill(dealer, 8000, size=500, durability="journaled", batch=100)
        oldest, (ring, answer) = while_nothing_is_trimmed(dealer, lambda oldest: (
            dealer.request({"action": "stats"})["statistics"]["ring"], page(dealer, since=oldest - 2, limit=1)[0]))
        assert oldest > 5000
        assert ring["oldest"] == oldest
        assert answer["gap"]["reason"] == "retention"


def test_age_trims_without_traffic(start_hub):
    """Events older than max_age go by themselves; what is left of them is the gap."""
    hub = start_hub("--hub-journal-max-age", "1")
    with Dealer(hub) as dealer:
        fill(dealer, 100, durability="synced")
        wait_until(lambda: position(dealer)["oldest"] == 101, 30, "the age")
        assert figures(dealer)["records"] == 0 and figures(dealer)["trimmed"] == 100
        answer, events = page(dealer, since=10)
        assert events == [] and answer["gap"] == {"from": f"{hub.epoch}-10", "to": f"{hub.epoch}-100",
                                                 "reason": "retention"}
        assert page(dealer, since="1970-01-01T00:00:00Z")[0]["gap"]["reason"] == "retention"
        assert page(dealer, since="earliest")[0]["result"] == "caught_up"
        assert dealer.publish(event("t"), durability="synced")["first_seq"] == 101
        assert position(dealer)["oldest"] == 101
    hub.restart()
    with Dealer(hub) as dealer:
        assert position(dealer)["seq"] == 101


def test_a_reader_that_follows_next_is_told_every_hole_while_trimming_goes_on(start_hub):
    """Full-rate publisher, a small journal, readers from the beginning: each number once, or in a gap."""
    hub = start_hub("--hub-journal-max-bytes", "1MiB", "--hub-history-events", "200", "--hub-journal-sync", "interval")
    stop = threading.Event()

    def publish():
        with Push(hub) as push:
            n = 0
            while not stop.is_set() and n < 60000:
                push.send(event("t", {"n": n, "pad": "x" * 200}))
                n += 1

    with Dealer(hub) as dealer:
        fill(dealer, 3000, size=200)
        thread = threading.Thread(target=publish)
        thread.start()
        try:
            gaps = 0
            for _ in range(10):
                at, since = None, "earliest"
                for _ in range(12):
                    answer, events = page(dealer, since=since, limit=700)
                    begin = int(answer["from"].split("-")[1])
                    if at is not None and begin != at:
                        assert answer["gap"]["from"] == f"{hub.epoch}-{at}" and answer["gap"]["reason"] == "retention"
                        assert answer["gap"]["to"] == answer["from"]
                        gaps += 1
                    assert numbers(events) == list(range(begin + 1, begin + 1 + len(events)))
                    at = int(answer["next"].split("-")[1])
                    assert at == begin + len(events)
                    since = answer["next"]
        finally:
            stop.set()
            thread.join()
        assert gaps > 0 or position(dealer)["oldest"] < 5000  # a machine that was too slow to outrun the reader


def test_an_event_larger_than_the_whole_journal_is_stored_and_goes_next(start_hub):
    """It is kept until something else comes; nothing is degraded by it."""
    hub = start_hub("--hub-journal-max-bytes", "1MiB", "--hub-journal-hold-max-bytes", "0", "--hub-max-event-bytes", "64MiB",
                    "--hub-stats-interval-s", "0")
    with Dealer(hub, limit=60) as dealer:
        for n in range(3):
            answer = dealer.publish(event("t", "x" * (60 * MIB)), durability="synced")
            assert answer["success"] and answer["first_seq"] == n + 1, answer
        fill(dealer, 10, first=100, durability="synced")
        wait_until(lambda: figures(dealer)["bytes"] <= MIB, 30, "trimming")
        assert position(dealer)["journal"]["state"] == "ready" and position(dealer)["voids"] == []
        assert numbers(history(dealer)[0]) == list(range(4, 14))


def test_a_smaller_limit_at_a_restart_is_reached_soon(start_hub):
    """max_bytes may be lowered: what is too much goes, in pieces, while the hub works."""
    hub = start_hub()
    with Dealer(hub) as dealer:
        fill(dealer, 20000, size=300, durability="memory")
        dealer.publish(event("t"), durability="synced")
    hub.stop()
    hub.args += ["--hub-journal-max-bytes", "1MiB"]
    hub.start()
    with Dealer(hub) as dealer:
        assert dealer.publish(event("t"), durability="synced")["success"]
        wait_until(lambda: figures(dealer)["bytes"] <= MIB, 30, "trimming")
        assert numbers(history(dealer)[0])[-1] == 20002
