"""rounds: load and faults for a while, then silence, then the comparison; again and again until the time is over."""
import time

from support.waiting import seconds

from .groups import AWAY
from .judge import Case, judge
from .lines import make_mark
from .schedule import actions, plan
from .walk import walk

SETTLE_S = 90.0
# A group that holds what it lacks is away for a round, and later for so many that the journal would have let go of it.
AWAY_CYCLE, AWAY_ROUNDS = 8, (0, 4, 5, 6)


class Round:
    """The result of one round."""

    def __init__(self, number, faults):
        self.number, self.faults, self.verdict = number, faults, None
        self.took = self.settled = 0.0
        self.waits = []  # what had to be waited for after the load, with the time at which it was last seen to be behind


class Runner:
    def __init__(self, arena, seed, options, say=print, sampler=None):
        self.arena, self.seed, self.options, self.say, self.sampler = arena, seed, options, say, sampler
        self.carried, self.arrears, self.last_case = set(), {}, None
        self.stored_start = self.mark = arena.position()

    def run(self, number, is_steady):
        """One round; returns the Round."""
        arena, options = self.arena, self.options
        faults = plan(self.seed, number, options["length"], options["per_minute"], options["allowed"], is_steady)
        result = Round(number, faults)
        arena.disasters, arena.touched = [], set()
        self.say(f"round {number}: {options['length']:.0f} s, faults: "
                 + ("; ".join(str(f).strip() for f in faults) or "none"))
        arena.send_away(AWAY if number % AWAY_CYCLE in AWAY_ROUNDS else ())
        arena.prepare(faults)
        begin = time.monotonic()
        for worker in arena.publishers:
            worker.ask("start")
        self.inject(begin, actions(faults), options["length"])
        for worker in arena.publishers:
            worker.ask("pause")
        arena.heal()
        problems = self.settle(number, result)
        result.settled = time.monotonic() - begin - options["length"]
        result.verdict = self.compare(problems)
        result.took = time.monotonic() - begin
        return result

    def inject(self, begin, todo, length):
        for when, name, dice in [*todo, (length, None, 0)]:
            while True:
                left = begin + when - time.monotonic()
                if self.sampler:
                    self.sampler.tick(self.arena)
                if left <= 0:
                    break
                time.sleep(min(left, 0.2))
            if name:
                self.arena.act(name, dice)

    def settle(self, number, result):
        """Waits until the publishers know everything, the hub is quiet and every subscriber has reached the mark."""
        arena, problems, begin = self.arena, [], time.monotonic()
        end = begin + seconds(SETTLE_S)

        def waited_for(name):
            result.waits = [w for w in result.waits if w[0] != name] + [(name, time.monotonic() - begin)]

        while time.monotonic() < end:
            busy = [p for worker in arena.publishers for p in worker.ask("busy")]
            for p in busy:
                waited_for(f"publisher {p}")
            if not busy:
                break
            time.sleep(0.1)
        arena.check_alive()
        before, since = None, time.monotonic()
        while time.monotonic() < end and time.monotonic() - since < 1.0:
            now = arena.position()
            if before is None or now[0] != before[0] or now[1] > before[1] + 1:  # statistics go on
                since = time.monotonic()
            before = now
            time.sleep(0.1)
        while time.monotonic() < end:
            found = arena.asker.ask({"action": "publish"}, make_mark(number).encode())
            if found and found[0]["success"]:
                mark = self.mark = (found[0]["epoch"], found[0]["last_seq"])
                break
            time.sleep(0.2)
        else:
            problems.append(("no_mark", "hub", "the hub accepts nothing though all is well again"))
            return problems
        while True:
            arena.check_alive()
            behind = {name: state for worker in (arena.streams, arena.natives)
                      for name, state in worker.ask("status").items() if state[0] < number and name != "sub raw"}
            groups = arena.groups_behind(mark) if not behind else []
            for name in (*behind, *groups):
                waited_for(name.split(":", 1)[0])
            if not behind and not groups:
                return problems
            if time.monotonic() > end:
                problems += [("stalled", name, f"it never saw the mark at the end of the round; mark {state[0]}, position "
                              f"{state[1]}, {state[2]} connects, open {state[3]}") for name, state in behind.items()]
                problems += [("stalled", "groups", text) for text in groups]
                return problems
            time.sleep(0.05)

    def compare(self, problems):
        arena = self.arena
        readings = [r for worker in (arena.streams, arena.natives) for r in worker.ask("collect")]
        publishings = [p for worker in arena.publishers for p in worker.ask("collect")]
        groups = arena.group_worker.ask("collect", self.mark) if arena.group_worker else []
        for group in groups:
            group.is_away, group.arrears = group.name in arena.away, self.arrears.get(group.name, [])
        stored = walk(arena.asker, self.stored_start)
        self.stored_start = stored.end
        case = Case(publishings, readings, stored, groups, disasters=arena.disasters, is_durable=arena.has_journal,
                    is_push_exact=not arena.touched & {"hub", "native"}, carried=self.carried, epochs=arena.epochs)
        self.last_case = case
        verdict = judge(case)
        self.arrears = verdict.arrears
        self.carried = set(list(self.carried)[-100000:]) | verdict.carried
        for what, where, text in problems:
            verdict.fault(what, where, text)
        for publishing in publishings:
            for word, count in publishing.answers.items():
                verdict.counts[f"answer {word}"] += count
        for reading in readings:
            for word, count in reading.resumes.items():
                verdict.counts[f"resume {word}"] += count
        return verdict
