"""campaign: a whole run: phases, rounds, progress, and the summary for programs and for people."""
import os
import pickle
import sys
import time
from collections import Counter

from .arena import Arena
from .rounds import Runner
from .schedule import TABLE
from .slopes import Sampler

LATE_S = 5.0  # who settles later than that is named
FAULTY_ROUNDS = 10  # then it has seen enough
SHORTEST_FOR_SLOPES_S = 900


class Campaign:
    def __init__(self, folder, options, say=print):
        self.folder, self.options, self.say = folder, options, say
        self.rounds, self.problems = [], []
        self.totals, self.injected = Counter(), Counter()
        self.sampler = Sampler()
        self.began = time.monotonic()
        self.length = options.minutes * 60
        self.steady_s = self.length * options.steady if self.length >= SHORTEST_FOR_SLOPES_S else 0.0
        self.load_s = 0.0

    def run(self):
        options = self.options
        self.say(f"seed {options.seed}: {options.minutes:g} min, rounds of {options.round:g} s, about {options.rate:g} events/s, "
                 f"{options.faults_per_minute:g} faults/min; steady for the first {self.steady_s:.0f} s")
        arena = Arena(os.path.join(self.folder, "arena"), f"s{options.seed}", options.rate, options.hub_flag, options.gateway_flag)
        try:
            arena.begin()
            names = set(options.faults.split(",")) if options.faults else set(TABLE)
            allowed = names & arena.abilities()
            missing = sorted(names - allowed)
            if missing:
                self.say(f"not possible here, and left out: {', '.join(missing)}")
            runner = Runner(arena, options.seed, {"length": options.round, "per_minute": options.faults_per_minute,
                                                  "allowed": allowed}, self.progress, self.sampler)
            number = options.first_round
            while not self.is_over():
                self.one(runner, arena, number)
                number += 1
        except (AssertionError, RuntimeError, OSError, EOFError) as error:
            self.problems.append(f"{type(error).__name__}: {error}")
            self.say(f"stopped: {error}")
        except KeyboardInterrupt:
            self.problems.append("interrupted")
        finally:
            self.problems += arena.end()
        return self.is_good()

    def is_over(self):
        """By the clock, or after options.rounds of them."""
        rounds = getattr(self.options, "rounds", None)
        if rounds is not None:
            return len(self.rounds) >= rounds
        left = self.length - (time.monotonic() - self.began)
        faulty = sum(bool(r.verdict.faults) for r in self.rounds)
        return left < self.options.round * 0.5 or faulty >= FAULTY_ROUNDS

    def one(self, runner, arena, number):
        is_steady = time.monotonic() - self.began < self.steady_s
        result = runner.run(number, is_steady)
        self.sampler.settled(arena)
        self.rounds.append(result)
        self.load_s += self.options.round
        self.totals.update(result.verdict.counts)
        self.injected.update(f.name for f in result.faults)
        counts = result.verdict.counts
        self.say(f"  {'ok' if not result.verdict.faults else 'FAULTY'}: {counts['numbers']} numbers, {counts['deliveries']} deliveries, "
                 f"{counts['told missing']} told missing, {counts['lost']} lost by the hub; settled {result.settled:.1f} s after the load"
                 f"{''.join(f', {name} {late:.1f} s' for name, late in result.waits if late > LATE_S)}"
                 f"; {(time.monotonic() - self.began) / 60:.1f} of {self.options.minutes:g} min")
        for fault in result.verdict.faults:
            self.say(f"  {fault}")
        if result.verdict.faults:
            with open(os.path.join(self.folder, f"round-{number}.case"), "wb") as file:
                pickle.dump(runner.last_case, file)

    def progress(self, text):
        self.say(text)
        sys.stdout.flush()

    def is_good(self):
        return (not self.problems and bool(self.rounds) and not any(r.verdict.faults for r in self.rounds)
                and not any(line["passed"] is False for line in self.slopes()))

    def slopes(self):
        return self.sampler.lines() if self.steady_s else []

    def summary(self):
        return {
            "passed": self.is_good(), "seed": self.options.seed, "minutes": round((time.monotonic() - self.began) / 60, 1),
            "rounds": len(self.rounds), "load_s": self.load_s, "events_per_s": round(self.totals["numbers"] / max(self.load_s, 1)),
            "deliveries_per_s": round(self.totals["deliveries"] / max(self.load_s, 1)),
            "injected": dict(sorted(self.injected.items())), "counts": dict(sorted(self.totals.items())),
            "slopes": self.slopes(), "problems": self.problems,
            "faults": [{"round": r.number, "fault": str(f)} for r in self.rounds for f in r.verdict.faults],
        }


def text_of(summary):
    """The summary for people."""
    counts = Counter(summary["counts"])
    lines = ["", f"soak, seed {summary['seed']}: {summary['minutes']} min, {summary['rounds']} rounds, {sum(summary['injected'].values())} faults",
             "  injected       " + ", ".join(f"{name} {count}" for name, count in summary["injected"].items()),
             f"  published      {counts['numbers']} numbers ({summary['events_per_s']}/s under load): {counts['acked']} acknowledged "
             f"(memory {counts['acked memory']}, journaled {counts['acked journaled']}, synced {counts['acked synced']}), "
             f"{counts['sent']} fire and forget, {counts['unknown']} outcome unknown, {counts['refused']} refused",
             f"  compared       {counts['deliveries']} deliveries ({summary['deliveries_per_s']}/s under load), {counts['expected']} expected, "
             f"{counts['told missing']} told missing, of these {counts['dropped']} counted drops of slow readers",
             "  doors          " + ", ".join(f"{key.split(' ', 1)[1]} {value}" for key, value in counts.items() if key.startswith("deliveries ")),
             "  resumes        " + (", ".join(f"{key.split(' ', 1)[1]} {value}" for key, value in counts.items() if key.startswith("resume ")) or "none"),
             "  gaps           " + (", ".join(f"{key.split(' ', 1)[1]} {value}" for key, value in counts.items() if key.startswith("gaps ")) or "none")
             + f"; told missing though the hub still had it: {sum(v for k, v in counts.items() if k.startswith('needless '))}",
             f"  groups         {counts['group deliveries']} deliveries, {counts['group redelivered']} of them again, {counts['group expected']} expected "
             f"({counts['group arrears']} of them from earlier rounds), "
             f"{counts['dead letters of groups']} dead letters; "
             + ", ".join(f"{key.split(' ', 2)[2]} {value}" for key, value in counts.items() if key.startswith("handed out "))]
    for line in summary["slopes"]:
        if line["passed"] is None:
            lines.append(f"  {line['daemon']:8} {line['what']}: only {line['samples']} samples, not judged")
        else:
            lines.append(f"  {line['daemon']:8} {line['what']}: mean {line['mean']:.0f}, grew {line['growth']:+.1f} in {line['seconds']} s "
                         f"(allowed {line['allowed']:.0f}), highest {line['highest']}: {'ok' if line['passed'] else 'FAILED'}")
    for problem in summary["problems"]:
        lines.append(f"  PROBLEM: {problem}")
    for fault in summary["faults"]:
        lines.append(f"  FAULT in round {fault['round']}: {fault['fault']}")
    lines.append(f"soak: {'passed' if summary['passed'] else 'FAILED'}")
    return "\n".join(lines)
