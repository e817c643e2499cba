# ctest: serial timeout=240
"""The checker for a minute: publishers and subscribers at every door, faults by fixed seeds, everything compared.

The same with more time: tests/run --soak MINUTES, or tests/soak/run 5 --seed N for another schedule of faults. A seed that
fails here fails there with `--seed N --round 10 --faults-per-minute 80` (a schedule depends on the length of the rounds).
"""
from types import SimpleNamespace

import pytest

from soak.campaign import Campaign, text_of
from support.waiting import FACTOR

ROUND_S = 10
# Each seed is two rounds. Together they have every fault of the schedule at least once (the last test looks).
SEEDS = (8053, 29048)
PER_MINUTE = 80


def options(seed):
    return SimpleNamespace(minutes=1, seed=seed, rate=800 / FACTOR, round=ROUND_S, faults_per_minute=PER_MINUTE, faults=None,
                           steady=0.0, first_round=0, rounds=2, hub_flag=[], gateway_flag=[])


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_silently(tmp_path, seed):
    campaign = Campaign(str(tmp_path), options(seed))
    is_good = campaign.run()
    summary = campaign.summary()
    print(text_of(summary))
    assert is_good, text_of(summary)
    counts = summary["counts"]
    assert counts["numbers"] > 100 and counts["acked"] > 50 and counts["expected"] > counts["numbers"]
    for door in ("ws", "sse", "history", "command", "sub"):
        assert counts[f"deliveries {door}"] > 0, door
    for door in ("router", "http", "ws", "command"):
        assert counts[f"handed out {door}"] > 0, door
    if FACTOR == 1:  # with fewer events hardly any are of the rare type, which is what these live on
        assert counts["handed out exec"] > 0 and counts["dead letters of groups"] > 0


def test_these_seeds_have_every_fault():
    from soak.schedule import TABLE, plan
    seen = {f.name for seed in SEEDS for number in (0, 1) for f in plan(seed, number, ROUND_S, PER_MINUTE, set(TABLE), False)}
    assert seen == set(TABLE)
