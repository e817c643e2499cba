"""durability: what it costs to be told that an event is kept (memory, journaled, synced; 1, 16 and 256 publishes under way),
beside what the disk does when nobody but fdatasync asks it; how fast one client reads the journal; and what ten million
stored events change.

Both use libnotifyhub. A figure of acknowledged publishing only says something beside the disk's in the same run: the
machine's disk is shared, and a window of n publishes can at best be kept by one sync each.
"""
import os
import shutil
import statistics

from .load import program, start_ms
from .systems import FOLDERS, Hub, Ours, new_folder

DURABILITIES = ("memory", "journaled", "synced")
WINDOWS = (1, 16, 256)
EVENT_BYTES = 300
RECORD_BYTES = 400  # of such an event in the journal: with number, epoch and the record's head


def fdatasync(window):
    def measure(e):
        with Ours(gateway=False) as s:
            return program("bench_publish", "fdatasync", s.folder, e.pick(1.5, 0.2), window * RECORD_BYTES)
    return measure


def acked(durability, window):
    def measure(e):
        with Ours(gateway=False) as s:
            return program("bench_publish", s.hub.requests, window, e.pick(1.5, 0.3), EVENT_BYTES, durability)
    return measure


def replay(e):
    with Ours(gateway=False, hub_flags=["--hub-stats-interval-s", "0"]) as s:
        program("bench_replay", "fill", s.hub.requests, e.pick(1000000, 20000), EVENT_BYTES)
        return program("bench_replay", "read", s.hub.requests, 10000)


# ---- growth: a journal with many events beside one with none ----

STORED = 10_000_000
STORED_BYTES = 200
MAX_BYTES = 6 << 30  # of the journals: more than they will have, so that nothing is trimmed
DISK_BYTES_PER_EVENT = 260  # with the pages around it


class StoredEvents:
    """The folder of a journal with many events, made when it is first asked for, and removed at the end of the run."""

    def __init__(self):
        self.folder = None
        self.count = 0
        self.error = None

    def get(self, count):
        if self.error:
            raise RuntimeError(self.error)
        if self.count != count:
            self.remove()
            try:
                self.fill(count)
            except BaseException as error:
                self.remove()
                self.error = str(error)  # it is not tried again in the next round
                raise
        return os.path.join(self.folder, "data")

    def fill(self, count):
        self.folder = new_folder()
        needed, free = count * DISK_BYTES_PER_EVENT + (512 << 20), shutil.disk_usage(self.folder).free
        if free < needed:
            raise RuntimeError(f"a journal with {count:,} events needs {needed / 2**30:.1f} GiB, and {FOLDERS} has "
                               f"{free / 2**30:.1f} GiB free; NHUB_BENCH_DIR names another folder")
        program("bench_fill", os.path.join(self.folder, "data"), count, STORED_BYTES, MAX_BYTES, limit=1800)
        self.count = count

    def remove(self):
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder, self.count = None, 0


STORED_EVENTS = StoredEvents()


def stored(e):
    """A synced publish, one at a time, at a hub with many stored events and at one with none, both alive, on one disk,
    in turn: medians over short turns of each."""
    flags = ["--hub-journal-max-bytes", str(MAX_BYTES)]
    with Ours(gateway=False, hub_flags=flags) as none:
        hub = Hub(os.path.join(none.folder, "stored"), flags)
        hub.journal_folder = STORED_EVENTS.get(e.pick(STORED, 20000))
        try:
            figures = {"start_ms": start_ms(hub), "none_start_ms": start_ms(none.hub)}
            taken = {"": [], "none_": []}
            for turn in range(e.pick(6, 2)):
                pair = [("", hub), ("none_", none.hub)]
                for prefix, asked in pair if turn % 2 == 0 else reversed(pair):
                    taken[prefix].append(program("bench_publish", asked.requests, 1, e.pick(0.8, 0.2), STORED_BYTES, "synced"))
        finally:
            hub.finish()
    return {**figures, **{prefix + key: statistics.median(turn[key] for turn in turns) for prefix, turns in taken.items()
                          for key in ("per_s", "p50_us", "p99_us")}}


QUICK = {
    **{f"sync_{window}": fdatasync(window) for window in WINDOWS},
    **{f"publish_{durability}_{window}": acked(durability, window) for durability in DURABILITIES for window in WINDOWS},
}
MEASURES = {**QUICK, "replay": replay, "stored": stored}


def middle(rounds, measure, key):
    found = [figures[key] for figures in rounds.get(measure, []) if figures]
    return statistics.median(found) if found else None


def cell(value):
    return "-" if value is None else f"{value:,.0f}".replace(",", " ")


def print_table(rounds):
    """Acknowledged publishing, a line for each window; "disk": windows that fdatasync alone would keep, times its size."""
    if not any(name in rounds for name in QUICK):
        return
    print(f"\n{'acked publish':<14} " + " ".join(f"{word + '/s':>12} {'p50 µs':>8} {'p99 µs':>8}" for word in DURABILITIES)
          + f" {'disk: syncs/s':>14} {'p50 µs':>8} {'p99 µs':>8} {'= events/s':>11}")
    for window in WINDOWS:
        cells = [f"{window:>3} under way ".ljust(14)]
        for word in DURABILITIES:
            name = f"publish_{word}_{window}"
            cells.append(f"{cell(middle(rounds, name, 'per_s')):>12} {cell(middle(rounds, name, 'p50_us')):>8} "
                         f"{cell(middle(rounds, name, 'p99_us')):>8}")
        syncs = middle(rounds, f"sync_{window}", "per_s")
        cells.append(f"{cell(syncs):>14} {cell(middle(rounds, f'sync_{window}', 'p50_us')):>8} "
                     f"{cell(middle(rounds, f'sync_{window}', 'p99_us')):>8} "
                     f"{cell(None if syncs is None else syncs * window):>11}")
        print(" ".join(cells))
