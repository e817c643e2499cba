# ctest: timeout=600
"""journal and power cuts: what was answered as synced is there whatever the cut left of the rest, and no number is
given out twice. The files that a cut may leave are made from a record of all writes and flushes (support/faults.py).

NHUB_CUTS sets how many cuts a mode gets (20), NHUB_SEED the seed (printed when it fails).
"""
import os
import random

import pytest

from support import faults
from support.daemons import program
from support.journal import history, position
from support.zmq_clients import Dealer, event

CUTS = int(os.environ.get("NHUB_CUTS", "20"))
SEED = int(os.environ.get("NHUB_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)


def publish_and_note(dealer, log, rng, rounds):
    """Publishes in many ways; [(bytes of the record when the answer was there, durability, {number: id})]."""
    notes = []
    waiting = {}
    for n in range(rounds):
        durability = rng.choice(("memory", "journaled", "synced", "synced"))
        ids = [f"{n}/{i}" for i in range(rng.choice((1, 2, 20)))]
        dealer.send({"action": "publish", "request_id": n, "durability": durability},
                    *[event("t", {"pad": "x" * rng.randrange(400)}, id=identity) for identity in ids])
        waiting[n] = ids
        while waiting and (len(waiting) > 8 or n == rounds - 1):
            answer = dealer.recv()
            assert answer["success"], answer
            numbers = {answer["first_seq"] + i: identity for i, identity in enumerate(waiting.pop(answer["request_id"]))}
            notes.append((os.path.getsize(log), answer["durability"], numbers))
    return notes


def offsets(operations):
    """Where each operation ends in the record."""
    at = 0
    for operation in operations:
        at += faults.HEAD.size + len(operation.name.encode()) + len(operation.data)
        yield at


@pytest.mark.parametrize("sync", ["commit", "interval"])
def test_a_power_cut_loses_nothing_that_was_synced(start_hub, tmp_path, sync):
    """Cuts at random places of the record, each with another choice of what the disk had taken."""
    print(f"NHUB_SEED={SEED}")
    rng = random.Random(f"{SEED} {sync}")
    log = str(tmp_path / "record")
    flags = ("--hub-journal-sync", sync, "--hub-journal-interval-ms", "50", "--hub-stats-interval-s", "0")
    hub = start_hub(*flags, wait=False)
    hub.env = faults.environment(hub.journal_folder, program(hub.program_name), log=log)
    hub.start()
    epoch = hub.epoch
    begun = os.path.getsize(log)
    with Dealer(hub) as dealer:
        notes = publish_and_note(dealer, log, rng, 150)
    hub.kill()
    operations = faults.read_log(log)
    ends = list(offsets(operations))
    after_start = next(i for i, end in enumerate(ends) if end >= begun)
    for cut in range(CUTS):
        count = len(operations) if cut == 0 else rng.randrange(after_start + 1, len(operations) + 1)
        image = tmp_path / f"cut{cut}"
        faults.power_cut(operations[:count], str(image), seed=rng.randrange(1 << 32))
        reborn = start_hub("--hub-journal-path", str(image), *flags[:2])
        assert reborn.epoch == epoch
        with Dealer(reborn) as dealer:
            kept = {e["seq"]: e["id"] for e in history(dealer)[0]}
            for size, durability, numbers in notes:
                if durability == "synced" and size <= ends[count - 1]:
                    for number, identity in numbers.items():
                        assert kept.get(number) == identity, f"cut {cut} after {count}: {number} was synced"
            given = max(number for size, _, numbers in notes for number in numbers)
            first = dealer.publish(event("t"), durability="synced")["first_seq"]
            assert first > given, "a number that was given out before the cut"
            told = position(dealer)["voids"]
            at = 0
            for number in [*sorted(kept), first]:
                for void in told:
                    if void["from"] == at + 1:
                        at = void["to"]
                assert number == at + 1
                at = number
        reborn.stop()
