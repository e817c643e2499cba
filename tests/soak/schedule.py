"""schedule: which fault comes when: a pure function of a seed and the round, so that a seed is a repeatable run.

A fault is a line of TABLE: how often it is drawn, what it works on (two faults of one target do not overlap), and the
actions at its begin and at its end. Actions are names that the arena carries out.
"""
import random

# name: (weight, target, shortest and longest duration in s, begin, end, is it fit for a steady run)
TABLE = {
    "hub_kill": (4, "hub", (0.2, 3), "kill_hub", "start_hub", False),
    "hub_term": (3, "hub", (0.2, 2), "stop_hub", "start_hub", False),
    "hub_freeze": (2, "hub", (0.5, 6), "freeze_hub", "thaw_hub", True),
    "gateway_kill": (3, "gateway", (0.2, 2), "kill_gateway", "start_gateway", False),
    "gateway_term": (2, "gateway", (0.2, 2), "stop_gateway", "start_gateway", False),
    "gateway_freeze": (2, "gateway", (0.5, 8), "freeze_gateway", "thaw_gateway", True),
    "gateway2_kill": (2, "gateway2", (0.2, 3), "kill_gateway2", "start_gateway2", False),
    "gateway2_term": (1, "gateway2", (0.2, 2), "stop_gateway2", "start_gateway2", False),
    "gateway2_freeze": (2, "gateway2", (0.5, 8), "freeze_gateway2", "thaw_gateway2", True),
    "all_kill": (1, "hub gateway gateway2", (0.5, 2), "kill_all", "start_all", False),
    "answers_lost": (2, "hub hub_link hub2_link native_link", (0.3, 1.2), "mute_answers", "lose_answers", False),
    "hub_link_cut": (2, "hub_link", (0, 0), "cut_hub_link", "", True),
    "hub_link_closed": (2, "hub_link", (0.5, 5), "close_hub_link", "open_hub_link", True),
    "hub_link_silent": (2, "hub_link", (0.5, 6), "silence_hub_link", "open_hub_link", True),
    "hub_link_slow": (2, "hub_link", (1, 6), "slow_hub_link", "open_hub_link", True),
    "hub2_link_cut": (1, "hub2_link", (0, 0), "cut_hub2_link", "", True),
    "hub2_link_silent": (2, "hub2_link", (0.5, 6), "silence_hub2_link", "open_hub2_link", True),
    "client2_link_cut": (1, "client2_link", (0, 0), "cut_client2_link", "", True),
    "client_link_cut": (3, "client_link", (0, 0), "cut_client_link", "", True),
    "client_link_closed": (1, "client_link", (0.5, 3), "close_client_link", "open_client_link", True),
    "client_link_silent": (1, "client_link", (0.5, 5), "silence_client_link", "open_client_link", True),
    "client_link_slow": (2, "client_link", (1, 6), "slow_client_link", "open_client_link", True),
    "native_link_cut": (2, "native_link", (0, 0), "cut_native_link", "", True),
    "native_link_silent": (1, "native_link", (0.5, 4), "silence_native_link", "open_native_link", True),
    "nap": (5, "nap", (1, 6), "nap", "", True),
    "readers_leave": (3, "leave", (0, 0), "readers_leave", "", True),
    "members_leave": (3, "leave", (0, 0), "members_leave", "", True),
    "burst": (3, "burst", (1, 3), "fast", "normal", True),
    "disk_full": (2, "disk", (1, 6), "fill_disk", "free_disk", True),
    "power_cut": (2, "hub", (0.5, 2), "cut_power", "start_hub", False),
    "clock_step": (2, "clock", (1, 8), "step_clock", "straight_clock", True),
}


class Fault:
    def __init__(self, name, begin, end, dice):
        self.name, self.begin, self.end, self.dice = name, begin, end, dice

    def __str__(self):
        return f"{self.begin:5.1f} s {self.name}" + (f" for {self.end - self.begin:.1f} s" if self.end > self.begin else "")


def plan(seed, round_number, length, per_minute, allowed, is_steady):
    """The faults of one round of `length` seconds, by their begin. `allowed`: names that this machine can do."""
    dice = random.Random(f"{seed}/{round_number}")
    names = [name for name in TABLE if TABLE[name][5] or not is_steady]
    weights = [TABLE[name][0] for name in names]
    busy, faults = {}, []
    for _ in range(round(per_minute * length / 60)):
        name = dice.choices(names, weights)[0]
        _, target, (shortest, longest), _, _, _ = TABLE[name]
        begin = dice.uniform(0.05, 0.85) * length
        end = min(begin + dice.uniform(shortest, longest), 0.95 * length)
        roll = dice.random()
        if name not in allowed:
            continue  # drawn all the same, so that the others are the same on every machine
        # Who is stopped, killed or frozen twice at once would only make the bookkeeping of this test complicated.
        if any(begin < until + 0.3 and end + 0.3 > since for t in target.split() for since, until in busy.get(t, ())):
            continue
        for t in target.split():
            busy.setdefault(t, []).append((begin, end))
        faults.append(Fault(name, begin, end, roll))
    return sorted(faults, key=lambda f: f.begin)


def actions(faults):
    """The plan as (time, action, dice), in order."""
    result = []
    for fault in faults:
        _, _, _, begin, end, _ = TABLE[fault.name]
        result.append((fault.begin, begin, fault.dice))
        if end:
            result.append((fault.end, end, fault.dice))
    return sorted(result, key=lambda a: a[0])
