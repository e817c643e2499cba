# ctest: timeout=300
"""notifyhub journal and a real hub: looking beside it while it works, and a hub that goes on in an imported folder."""
import json
import threading

from support.cli import notifyhub
from support.journal import fill, history, numbers, position
from support.zmq_clients import Dealer, event

VOID = 2 * 2 ** 24


def journal(word, folder, *args, **more):
    return notifyhub(None, "journal", word, "--path", folder, *args, **more)


def test_looking_beside_a_hub_that_works(start_hub):
    """info, verify and export while events come in: nothing is refused, nothing looks wrong, what was synced is there."""
    hub = start_hub("--hub-journal-sync", "interval")
    is_over = threading.Event()

    def publish():
        with Dealer(hub) as dealer:
            while not is_over.is_set():
                fill(dealer, 200, size=100)

    with Dealer(hub) as dealer:
        fill(dealer, 100, durability="synced")
        publisher = threading.Thread(target=publish)
        publisher.start()
        try:
            for _ in range(5):
                info = json.loads(journal("info", hub.journal_folder, "--json").stdout)
                assert info["condition"] == "in_use" and info["owner"].startswith(f"pid {hub.pid} on ")
                assert info["epoch"] == hub.epoch and info["reserved_to"] >= info["newest"] >= 100
                done = journal("verify", hub.journal_folder)
                assert done.returncode == 0, (done.stdout, done.stderr)
                lines = journal("export", hub.journal_folder).stdout.splitlines()
                assert [json.loads(line)["seq"] for line in lines] == list(range(1, len(lines) + 1)) and len(lines) >= 100
        finally:
            is_over.set()
            publisher.join()
        answer = dealer.publish(event("last"), durability="synced")
        lines = journal("export", hub.journal_folder, "--event-type", "last").stdout.splitlines()
        assert [json.loads(line)["seq"] for line in lines] == [answer["last_seq"]]


def test_a_hub_goes_on_in_an_imported_folder(start_hub, tmp_path):
    """Same epoch, same numbers and bytes; the next number lies behind a void, and who asks for the void is told."""
    first = start_hub()
    with Dealer(first) as dealer:
        fill(dealer, 300)
        dealer.publish(event("named", 1, id="x"), durability="synced")
        epoch = first.epoch
        dealer.send({"action": "history", "limit": 10000})
        before = dealer.recv_frames()[2:]
    first.stop()
    lines = journal("export", first.journal_folder).stdout
    done = journal("import", tmp_path / "copy", input_text=lines)
    assert done.returncode == 0, done.stderr

    second = start_hub("--hub-journal-path", str(tmp_path / "copy"))
    assert second.epoch == epoch
    with Dealer(second) as dealer:
        dealer.send({"action": "history", "limit": 10000})
        assert dealer.recv_frames()[2:] == before
        assert position(dealer)["voids"] == [{"from": 302, "to": 301 + VOID, "reason": "unclean_stop"}]
        assert dealer.publish(event("next"), durability="synced")["first_seq"] == 302 + VOID
        events, gaps = history(dealer, since=f"{epoch}-300")
        assert numbers(events) == [301, 302 + VOID]
        assert gaps == [{"from": f"{epoch}-301", "to": f"{epoch}-{301 + VOID}", "reason": "unclean_stop"}]
    second.stop()
    assert journal("verify", tmp_path / "copy").returncode == 0


def test_a_hub_begins_a_new_epoch_behind_a_part(start_hub, tmp_path):
    """Events of an import with --new-epoch are kept and exported; the hub's own numbers begin at 1 in another epoch."""
    first = start_hub()
    with Dealer(first) as dealer:
        fill(dealer, 30)
    first.stop()
    part = journal("export", first.journal_folder, "--since", "20").stdout
    assert journal("import", tmp_path / "copy", "--new-epoch", input_text=part).returncode == 0
    second = start_hub("--hub-journal-path", str(tmp_path / "copy"))
    assert second.epoch != first.epoch
    with Dealer(second) as dealer:
        assert dealer.publish(event("next"), durability="synced")["first_seq"] == 1
        answer = dealer.request({"action": "history", "since": f"{first.epoch}-25"})
        assert answer["result"] == "gap" and answer["gap"]["reason"] == "epoch_changed"
    second.stop()
    lines = journal("export", tmp_path / "copy").stdout.splitlines()
    assert lines[:-1] == part.splitlines() and json.loads(lines[-1])["epoch"] == second.epoch
    assert journal("verify", tmp_path / "copy").returncode == 0
