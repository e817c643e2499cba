# ctest: timeout=600
"""journal and kill -9 at random moments: no number twice, nothing that was answered is lost, every hole is told.

NHUB_KILLS sets how many kills a mode gets (60), NHUB_SEED the seed (printed when it fails).
"""
import json
import os
import random
import time

import pytest

from support.journal import history, numbers, position
from support.zmq_clients import Dealer, Sub, event

KILLS = int(os.environ.get("NHUB_KILLS", "60"))
SEED = int(os.environ.get("NHUB_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
WINDOW = 64
ORDER = ["memory", "journaled", "synced"]


class Witness:
    """What a test has seen of a hub over all its lives: numbers, bytes and promises."""

    def __init__(self):
        self.lines = {}     # number -> line, as sent live or read again
        self.promised = {}  # number -> id of an event whose answer promised that it survives
        self.verified = 0   # everything up to this number was compared

    def saw(self, line):
        value = json.loads(line)
        known = self.lines.setdefault(value["seq"], line)
        assert known == line, f"number {value['seq']} was given out twice:\n{known}\n{line}"

    def compare(self, dealer, epoch):
        """Reads the journal again from where it was read last."""
        now = position(dealer)
        assert now["epoch"] == epoch
        since = f"{epoch}-{self.verified}"
        kept, gaps = {}, []
        while True:
            dealer.send({"action": "history", "since": since, "limit": 5000})
            frames = dealer.recv_frames()
            answer = json.loads(frames[1])
            if "gap" in answer:
                gap = answer["gap"]
                assert gap["reason"] == "unclean_stop", gap
                gaps.append((int(gap["from"].split("-")[1]), int(gap["to"].split("-")[1])))
            for line in frames[2:]:
                self.saw(line)
                kept[json.loads(line)["seq"]] = json.loads(line)["id"]
            since = answer["next"]
            if not answer["more"]:
                break
        at = self.verified
        told = dict(gaps)
        for number in [*sorted(kept), now["seq"] + 1]:
            while at in told:
                at = told[at]
            assert number == at + 1, f"numbers {at + 1}..{number - 1} are neither kept nor told: {gaps}"
            at = number
        for number, identity in self.promised.items():
            if number > self.verified:
                assert kept.get(number) == identity, f"number {number} was promised"
        self.promised = {}
        self.verified = now["seq"]
        return kept


def publish_until(dealer, witness, rng, run, durabilities, until):
    """Keeps a window of publishes in flight until the time is over; returns what is still unanswered."""
    waiting = {}
    sent = 0
    while time.monotonic() < until:
        while len(waiting) < WINDOW:
            durability = rng.choice(durabilities)
            ids = [f"{run}/{sent}/{i}" for i in range(rng.choice((1, 1, 1, 7)))]
            fields = {"durability": durability} if durability else {}
            dealer.send({"action": "publish", "request_id": sent, **fields},
                        *[event("t", {"pad": "x" * rng.randrange(300)}, id=identity) for identity in ids])
            waiting[sent] = (ids, durability)
            sent += 1
        if dealer.socket.poll(2):
            take_answer(dealer, witness, waiting)
    return waiting


def take_answer(dealer, witness, waiting):
    answer = dealer.recv()
    ids, durability = waiting.pop(answer["request_id"])
    assert answer["success"] is True, answer
    assert durability is None or ORDER.index(answer["durability"]) >= ORDER.index(durability)
    if answer["durability"] != "memory":
        for i, identity in enumerate(ids):
            witness.promised[answer["first_seq"] + i] = identity


@pytest.mark.parametrize("sync", ["commit", "interval", "off"])
def test_kill_at_random_moments(start_hub, sync):
    """A publisher with 64 requests in flight, a subscriber, and no mercy."""
    print(f"NHUB_SEED={SEED}")
    rng = random.Random(f"{SEED} {sync}")
    hub = start_hub("--hub-journal-sync", sync, "--hub-journal-interval-ms", "20", "--hub-history-events", "200",
                    "--hub-stats-interval-s", "0")
    epoch = hub.epoch
    durabilities = [None, *ORDER[:2 if sync == "off" else 3]]
    witness = Witness()
    for run in range(KILLS):
        with Dealer(hub) as dealer, Sub(hub, "") as sub:
            waiting = publish_until(dealer, witness, rng, run, durabilities, time.monotonic() + rng.random() * 0.08)
            hub.kill()
            while dealer.socket.poll(0):
                take_answer(dealer, witness, waiting)
            while sub.socket.poll(0):
                witness.saw(sub.socket.recv_multipart()[1])
        hub.start()
        assert hub.epoch == epoch
        with Dealer(hub) as dealer:
            kept = witness.compare(dealer, epoch)
            if kept:  # what is kept is known by its id
                number = rng.choice(sorted(kept))
                again = dealer.publish(event("t", json.loads(witness.lines[number])["data"], id=kept[number]))
                assert again["results"][0]["seq"] == number, again
    assert len(witness.lines) > KILLS
    with Dealer(hub) as dealer:
        witness.verified = 0
        kept = witness.compare(dealer, epoch)
    hub.restart()
    with Dealer(hub) as dealer:
        assert numbers(history(dealer)[0]) == sorted(kept)
