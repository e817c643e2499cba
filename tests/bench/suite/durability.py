"""durability: what it costs to be told that an event is kept (memory, journaled, synced; 1, 16 and 256 publishes under way),
beside what the disk does when nobody but fdatasync asks it; and how fast one client reads the journal.

Both use libnotifyhub. A figure of acknowledged publishing only says something beside the disk's in the same run: the
machine's disk is shared, and a window of n publishes can at best be kept by one sync each.
"""
import json
import os
import statistics
import subprocess

from .systems import BIN_DIR, Ours

DURABILITIES = ("memory", "journaled", "synced")
WINDOWS = (1, 16, 256)
EVENT_BYTES = 300
RECORD_BYTES = 400  # of such an event in the journal: with number, epoch and the record's head


def run(program, *words):
    done = subprocess.run([os.path.join(BIN_DIR, program), *map(str, words)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def fdatasync(window):
    def measure(e):
        with Ours(gateway=False) as s:
            return run("bench_publish", "fdatasync", s.folder, e.pick(2, 0.2), window * RECORD_BYTES)
    return measure


def acked(durability, window):
    def measure(e):
        with Ours(gateway=False) as s:
            return run("bench_publish", s.hub.requests, window, e.pick(3, 0.3), EVENT_BYTES, durability)
    return measure


def replay(e):
    with Ours(gateway=False, hub_flags=["--hub-stats-interval-s", "0"]) as s:
        run("bench_replay", "fill", s.hub.requests, e.pick(1000000, 20000), EVENT_BYTES)
        return run("bench_replay", "read", s.hub.requests, 10000)


MEASURES = {
    **{f"sync_{window}": fdatasync(window) for window in WINDOWS},
    **{f"publish_{durability}_{window}": acked(durability, window) for durability in DURABILITIES for window in WINDOWS},
    "replay": replay,
}


def middle(rounds, measure, key):
    return statistics.median(figures[key] for figures in rounds[measure]) if measure in rounds else None


def cell(value):
    return "-" if value is None else f"{value:,.0f}".replace(",", " ")


def print_table(rounds):
    """Acknowledged publishing, a line for each window; "disk": windows that fdatasync alone would keep, times its size."""
    if not any(name in rounds for name in MEASURES):
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
    if "replay" in rounds:
        print(f"replay of the journal by one client: {cell(middle(rounds, 'replay', 'per_s'))} events/s")
