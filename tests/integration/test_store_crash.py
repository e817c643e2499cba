# ctest: timeout=300
"""The store under kills and power cuts at every single write, truncation and sync.

A script of words runs over the faults library, which ends the process at its n-th operation, for every n until the script
comes to its end by itself. Each word is one transaction, so whatever stopped it, the store is in the state after some word:
after a kill, the last one that was acknowledged or the one that was under way; after a power cut, not before the last one
that was acknowledged as synced. Nothing needs repair, nothing is refused, and no number is given out twice.
"""
import os
import shutil
import subprocess

import pytest

from support import faults
from support.daemons import SANITIZER_REPORT, program
from support.store import drive_each, driver
from support.waiting import FACTOR, seconds

# (word and its arguments, the fact that it is done). In mode interval only the marked ones are synced.
SCRIPT = [
    (("reserve", 400), "reserved", True),
    (("batch", 3, 100), "committed", False),
    (("batch", 30, 60), "committed", False),
    (("note", "group/a", "one"), "note", False),
    (("sync",), "synced", True),
    (("id",), None, False),
    (("batch", 2, 9000), "committed", False),
    (("trim", 15000), "trimmed", False),
    (("batch", 20, 200), "committed", False),
    (("void", 5), "void", False),
    (("batch", 4, 4000), "committed", False),
    (("sync",), "synced", True),
    (("reserve", 400), "reserved", True),
    (("trim", 20000), "trimmed", False),
    (("batch", 10, 1000), "committed", False),
    (("note", "group/a", "two"), "note", False),
    (("epoch", "secondep"), "epoch", True),
    (("reserve", 100), "reserved", True),
    (("batch", 5, 100), "committed", False),
    (("trim", 9000), "trimmed", False),
    (("batch", 5, 100), "committed", False),
    (("clean",), "clean", True),
]
WORDS = [str(part) for words, _, _ in SCRIPT for part in words]
IMAGES = 16 if FACTOR == 1 else 3


def numbers(facts):
    """What `list` printed; the first epoch has a random name."""
    found = []
    for word, rest in facts:
        if word == "number":
            epoch, seq = rest.split("-")
            found.append((epoch if epoch == "secondep" else "first", int(seq)))
    return found


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    """What is in the store after each number of words: index 0 is the new store."""
    folder = tmp_path_factory.mktemp("states")
    found = []
    for count in range(len(SCRIPT) + 1):
        words = [str(part) for words, _, _ in SCRIPT[:count] for part in words]
        found.append(numbers(driver(folder / str(count), "interval", *words, "list").facts))
    assert found[-1][0] != ("first", 1) and ("secondep", 10) in found[-1]  # trimmed, and gone on
    return found


def words_done(facts):
    """How many words of the script have been acknowledged, and how many may have been done."""
    done = 0
    waiting = [(i, fact) for i, (_, fact, _) in enumerate(SCRIPT) if fact]
    for word, _ in facts:
        if waiting and word == waiting[0][1]:
            done = waiting.pop(0)[0] + 1
    begun = waiting[0][0] + 1 if waiting else done
    return done, begun


def acknowledged(text, mode):
    """(word, rest) of each line; in mode commit each `committed` is followed by a `synced` that is no word's."""
    facts = [tuple(line.split(" ", 1)) for line in text.splitlines() if " " in line]
    return [fact for i, fact in enumerate(facts)
            if mode != "commit" or fact[0] != "synced" or facts[i - 1][0] != "committed"]


def highest(state, epoch):
    return max((seq for name, seq in state if name == epoch), default=0)


def run_and_stop(folder, mode, stop, log):
    """Returns what was acknowledged, and whether the script came to its end."""
    env = {**os.environ, **faults.environment(folder, program("store_driver"), log=log, stop=stop)}
    done = subprocess.run([program("store_driver"), folder, mode, *WORDS], capture_output=True, text=True, env=env,
                          timeout=seconds(60), check=False)
    assert not SANITIZER_REPORT.search(done.stderr), done.stderr
    assert done.returncode in (0, -9), (done.returncode, done.stderr)
    return acknowledged(done.stdout, mode), done.returncode == 0


def check(facts, states, first, last, reserved, where):
    """The store that was opened is in one of these states, and goes on behind every number that was ever used."""
    assert facts and facts[0][0] == "opened", (where, facts)
    found = numbers(facts)
    assert found in states[first:last + 1], (where, first, last, found)
    epoch, reserved_to, *_ = facts[0][1].split(" ")
    resumed = int(dict(facts)["resumed"])
    in_second = epoch == "secondep"
    used = max(highest(state, "secondep" if in_second else "first") for state in states[:last + 1])
    assert resumed >= used, (where, facts[0], used)
    if reserved and in_second == (reserved[0] == "secondep"):
        assert int(reserved_to) >= reserved[1], (where, facts[0], reserved)
    assert ("verified", "0") in facts, (where, [fact for fact in facts if fact[0] == "problem"])
    assert not [fact for fact in facts if fact[0] == "failed"], (where, facts)


def last_reservation(facts):
    """The last reservation that was acknowledged, and of which epoch."""
    epoch, found = "first", None
    for word, rest in facts:
        if word == "epoch":
            epoch, found = "secondep", None
        elif word == "reserved":
            found = (epoch, int(rest))
    return found


def synced_words(done, mode):
    """How many words a power cut cannot take back any more."""
    if mode == "commit":
        return done
    return max((i + 1 for i, (_, _, is_synced) in enumerate(SCRIPT[:done]) if is_synced), default=0)


CHECK = ("list", "resume", "reserve", 10, "batch", 2, 50, "verify", "clean")


@pytest.mark.parametrize("mode", ["commit", "interval"])
@pytest.mark.parametrize("when", ["before", "mid"])
def test_a_kill_at_any_operation_loses_nothing_that_was_committed(mode, when, states, tmp_path):
    stops = {}
    n, ended = 0, False
    while not ended:
        n += 1
        folder = tmp_path / str(n)
        stops[str(folder)], ended = run_and_stop(folder, mode, f"{n} {when}", None)
    assert n > 60
    found, errors = drive_each(stops, "commit", *CHECK)
    assert errors == ""
    for folder, facts in stops.items():
        done, begun = words_done(facts)
        check(found[folder], states, done, begun, last_reservation(facts), (folder, when))


@pytest.mark.parametrize("mode", ["commit", "interval"])
def test_a_power_cut_at_any_operation_loses_nothing_that_was_synced(mode, states, tmp_path):
    n, ended = 0, False
    while not ended:
        n += 1
        folder = tmp_path / "live"
        facts, ended = run_and_stop(folder, mode, f"{n} before", tmp_path / "log")
        operations = faults.read_log(tmp_path / "log")
        images = [tmp_path / f"image{seed}" for seed in range(IMAGES)]
        for seed, image in enumerate(images):
            faults.power_cut(operations, image, seed=n * 1000 + seed)
        found, errors = drive_each(images, "commit", *CHECK)
        done, begun = words_done(facts)
        for image in images:
            check(found[str(image)], states, synced_words(done, mode), begun, last_reservation(facts),
                  (mode, n, str(image), errors))
            shutil.rmtree(image)
        shutil.rmtree(folder, ignore_errors=True)
        os.unlink(tmp_path / "log")
    assert n > 60


def test_a_second_kill_while_it_recovers_changes_nothing(states, tmp_path):
    """The first kill comes in the middle; the second one at every operation of the start that follows."""
    first = tmp_path / "first"
    facts, _ = run_and_stop(first, "interval", "40 mid", None)
    done, begun = words_done(facts)
    assert 3 < done < len(SCRIPT)
    stops, n, ended = [], 0, False
    while not ended:
        n += 1
        folder = tmp_path / str(n)
        shutil.copytree(first, folder)
        env = {**os.environ, **faults.environment(folder, program("store_driver"), stop=f"{n} mid")}
        run = subprocess.run([program("store_driver"), folder, "commit", "resume"], capture_output=True, text=True, env=env,
                             timeout=seconds(60), check=False)
        ended = run.returncode == 0
        stops.append(folder)
    found, errors = drive_each(stops, "commit", *CHECK)
    assert errors == "" and n > 3
    for folder in stops:
        check(found[str(folder)], states, done, begun, last_reservation(facts), folder)
