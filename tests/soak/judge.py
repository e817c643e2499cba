"""judge: compares what publishers did with what subscribers saw, and finds every broken promise.

    verdict = judge(case)
    for fault in verdict.faults: print(fault)

The truth is the union of everything that anybody knows: a number (epoch, seq) that was acknowledged, delivered at any
door or is found in the hub's history is an event, and everyone whose patterns select it, and who claims to have passed
it, must have got it once, in order, with the same bytes, or must have been told that it is missing.

The judge is a pure function of its transcripts. test_checker_judge.py feeds it doctored ones.
"""
from bisect import bisect_left, bisect_right
from collections import Counter

from .judge_groups import judge_group
from .lines import OTHER, SEQ_BITS, SEQ_MASK, Patterns, type_of_pn
from .transcript import ACKED, JOURNALED, MEMORY, RANK_NAMES, REFUSED, SENT, SYNCED, UNKNOWN

# An answer may be read this much later than the hub sent it (a stopped process, a delayed link).
LATE_ANSWER_S = 30.0
EXAMPLES = 3
KEPT_GAPS = ("unclean_stop", "retention")  # reasons that may not be given for what the hub still has


class Fault:
    """One broken promise: `what` is a stable word, `where` whose it is, `text` the details."""

    def __init__(self, what, where, text):
        self.what, self.where, self.text = what, where, text

    def __str__(self):
        return f"{self.what}: {self.where}: {self.text}"

    __repr__ = __str__


class Case:
    """Everything about one round.

    disasters: (monotonic time, kind): "stop" (SIGTERM), "kill", "power", "full" (the disk had no room from then on).
    stored: a Reading made of the hub's history after the round. is_durable: the hub has a journal.
    is_push_exact: no fault touched the way of PUSH, so that fire and forget must have arrived too.
    carried: pns of earlier rounds whose outcome is not known. epochs: names in order, as far as known from elsewhere.
    """

    def __init__(self, publishings=(), readings=(), stored=None, groups=(), **facts):
        self.publishings, self.readings, self.stored, self.groups = list(publishings), list(readings), stored, list(groups)
        self.disasters = list(facts.get("disasters", ()))
        self.is_durable = facts.get("is_durable", True)
        self.is_push_exact = facts.get("is_push_exact", False)
        self.carried = facts.get("carried", set())
        self.epochs = list(facts.get("epochs", ()))


class Verdict:
    def __init__(self):
        self.faults = []
        self.counts = Counter()
        self.carried = set()
        self.arrears = {}  # name of a group that was away -> [(position, CRC)]: what it still has to hand out
        self._seen = Counter()

    def fault(self, what, where, text):
        """Notes a fault; of one kind in one place only the first few are worth reading."""
        self.counts[f"faults {what}"] += 1
        self._seen[what, where] += 1
        if self._seen[what, where] <= EXAMPLES:
            self.faults.append(Fault(what, where, text))

    def words(self):
        return {f.what for f in self.faults}


def judge(case):
    """-> Verdict: faults, counts (what was compared), carried and arrears (for the next round)."""
    return _Judge(case).run()


class _Judge:
    def __init__(self, case):
        self.case = case
        self.verdict = Verdict()
        self.epoch_index = {}
        self.truth = {}  # key -> [crc or None, pn]
        self.types = {}  # key -> type of events that are not ours
        self.letters = {}  # (group, key of the event that died) -> [(key of the letter, Letter)]
        self.order = []  # the keys of truth, sorted
        self.places = {}  # pn -> keys
        self.stored = set()
        self.lost = set()

    def run(self):
        case, verdict = self.case, self.verdict
        self.order_epochs()
        everyone = case.readings + ([case.stored] if case.stored else [])
        for reading in everyone:
            self.renumber(reading)
        for reading in everyone:
            self.collect(reading)
        self.collect_letters(everyone)
        for publishing in case.publishings:
            self.collect_acks(publishing)
        self.order = sorted(self.truth)
        for key in self.order:
            pn = self.truth[key][1]
            if pn != OTHER:
                self.places.setdefault(pn, []).append(key)
        if case.stored:
            self.check_stored(case.stored)
        for reading in case.readings:
            self.check_reading(reading)
        for publishing in case.publishings:
            self.check_publishing(publishing)
        for group in case.groups:
            judge_group(self, group)
        verdict.counts["numbers"] = len(self.order)
        return verdict

    # --- the order of everything ---

    def order_epochs(self):
        """One order of all epochs out of the orders in which each saw them."""
        lists = [self.case.epochs] + [r.epochs for r in self.case.readings]
        if self.case.stored:
            lists.append(self.case.stored.epochs)
        names, after = [], {}
        for epochs in lists:
            for name in epochs:
                if name not in names:
                    names.append(name)
            for first, second in zip(epochs, epochs[1:]):
                after.setdefault(second, set()).add(first)
        ordered = []
        while len(ordered) < len(names):
            free = [n for n in names if n not in ordered and after.get(n, set()) <= set(ordered)]
            if not free:
                self.verdict.fault("epoch_order", "all", f"subscribers disagree about the order of epochs: {lists}")
                ordered += [n for n in names if n not in ordered]
                break
            ordered.append(free[0])
        self.epoch_index = {name: i for i, name in enumerate(ordered)}
        self.names = ordered

    def renumber(self, reading):
        """Puts the epoch indexes of all into place of the reading's own."""
        mapping = [self.epoch_index[name] for name in reading.epochs]
        if mapping == list(range(len(mapping))):
            return
        keys = reading.keys
        for i, key in enumerate(keys):
            keys[i] = mapping[key >> SEQ_BITS] << SEQ_BITS | key & SEQ_MASK
        for name in ("others", "letters"):
            old = getattr(reading, name)
            setattr(reading, name, {mapping[k >> SEQ_BITS] << SEQ_BITS | k & SEQ_MASK: v for k, v in old.items()})
        reading.epochs = list(self.names)

    def key(self, position):
        return self.epoch_index[position[0]] << SEQ_BITS | position[1]

    def position(self, key):
        return self.names[key >> SEQ_BITS], key & SEQ_MASK

    def name(self, key):
        return f"{self.names[key >> SEQ_BITS]}-{key & SEQ_MASK}"

    # --- the truth ---

    def collect(self, reading):
        truth, different = self.truth, []
        for key, crc, pn in zip(reading.keys, reading.crcs, reading.pns):
            known = truth.get(key)
            if known is None:
                truth[key] = [crc, pn]
            elif known[0] != crc or known[1] != pn:
                different.append(key)
        self.types.update(reading.others)
        for key in different[:3]:
            self.verdict.fault("bytes", reading.name, f"{self.name(key)} is not what another door gave for it "
                               f"({len(different)} such)")

    def collect_letters(self, readings):
        """Dead letters of all doors, each once: that their bytes are the same everywhere is looked at elsewhere."""
        letters = {key: letter for reading in readings for key, letter in reading.letters.items()}
        for key, letter in sorted(letters.items()):
            if letter is None:
                self.verdict.fault("dead_letter", "hub", f"{self.name(key)} is not written as a dead letter is")
            elif letter.where[0] in self.epoch_index:
                self.letters.setdefault((letter.group, self.key(letter.where)), []).append((key, letter))
        self.verdict.counts["dead letters"] += len(letters)

    def collect_acks(self, publishing):
        for n, outcome in publishing.outcomes.items():
            if outcome.kind != ACKED or outcome.where is None:
                continue
            if outcome.where[0] not in self.epoch_index:
                self.epoch_index[outcome.where[0]] = len(self.names)
                self.names.append(outcome.where[0])
            key, pn = self.key(outcome.where), publishing.p << 32 | n
            known = self.truth.setdefault(key, [None, pn])
            if known[1] != pn:
                self.verdict.fault("ack_mismatch", publishing.door, f"p{publishing.p} event {n} was acknowledged as "
                                   f"{self.name(key)}, which is p{known[1] >> 32} event {known[1] & 0xFFFFFFFF}")

    def type_at(self, key):
        pn = self.truth[key][1]
        return self.types.get(key, "?") if pn == OTHER else type_of_pn(pn)

    # --- what the hub still has ---

    def check_stored(self, stored):
        self.stored = set(stored.keys)
        start, end = self.key(stored.start), self.key(stored.end)
        told = _Intervals(self, stored.gaps)
        holes = []
        for key in self.order[bisect_right(self.order, start):bisect_right(self.order, end)]:
            if key not in self.stored:
                self.lost.add(key)
                if not told.covers(key):
                    holes.append(key)
        if holes:
            self.verdict.fault("history_hole", stored.name, f"{len(holes)} events are not in the history and no gap is told "
                               f"there, the first is {self.name(holes[0])}")
        self.check_order(stored)
        self.check_contiguous(stored, told)
        self.verdict.counts["lost"] += len(self.lost)

    def may_be_lost(self, rank, acked_at):
        """May something that was acknowledged then, and so, be gone after what happened?"""
        for when, kind in self.case.disasters:
            if when + LATE_ANSWER_S < acked_at and kind != "full":
                continue  # it was acknowledged long after that
            if kind == "power" and rank < SYNCED:
                return True
            if kind == "kill" and rank < JOURNALED:
                return True
            if kind == "full" and rank == MEMORY:
                return True
            if kind == "stop" and not self.case.is_durable:
                return True
        return False

    # --- one subscriber ---

    def check_reading(self, reading):
        verdict = self.verdict
        for note in reading.notes[:5]:
            verdict.fault("note", reading.name, note)
        if reading.start is None:
            verdict.fault("no_start", reading.name, "it never learnt a position")
            return
        verdict.counts["deliveries"] += len(reading.keys)
        verdict.counts[f"deliveries {reading.door}"] += len(reading.keys)
        self.check_order(reading)
        self.check_wanted(reading)
        told = _Intervals(self, reading.gaps)
        self.check_complete(reading, told)
        self.check_gaps(reading)
        if reading.is_contiguous:
            self.check_contiguous(reading, told)

    def check_order(self, reading):
        keys = reading.keys
        swapped = [i for i in range(1, len(keys)) if keys[i] <= keys[i - 1]]
        twice = len(keys) - len(set(keys))
        if twice:
            seen = Counter(keys).most_common(1)[0][0]
            self.verdict.fault("duplicate", reading.name, f"{twice} events came twice, for example {self.name(seen)}")
        elif swapped and not reading.is_late_allowed:
            i = swapped[0]
            self.verdict.fault("order", reading.name, f"{self.name(keys[i])} came behind {self.name(keys[i - 1])} "
                               f"({len(swapped)} such)")
        if len(keys) and min(keys) <= self.key(reading.start):
            self.verdict.fault("order", reading.name, f"{self.name(min(keys))} came, but everything up to "
                               f"{reading.start[0]}-{reading.start[1]} had come before")

    def check_wanted(self, reading):
        patterns = Patterns(reading.patterns)
        wanted = patterns.wanted_types()
        for key, pn in zip(reading.keys, reading.pns):
            if pn == OTHER:
                good = patterns.wants(self.types.get(key, "?"))
            else:
                good = type_of_pn(pn) in wanted
            if not good:
                self.verdict.fault("unwanted", reading.name, f"{self.name(key)} ({self.type_at(key)}) was not subscribed")
                return

    def expected(self, start, end, patterns):
        """The keys behind start, up to and with end, that these patterns select."""
        patterns = Patterns(patterns)
        wanted = patterns.wanted_types()
        result = []
        for key in self.order[bisect_right(self.order, start):bisect_right(self.order, end)]:
            pn = self.truth[key][1]
            if (type_of_pn(pn) in wanted) if pn != OTHER else patterns.wants(self.types.get(key, "?")):
                result.append(key)
        return result

    def check_complete(self, reading, told):
        if not reading.is_complete:
            return
        got = set(reading.keys)
        expected = self.expected(self.key(reading.start), self.key(reading.end), reading.patterns)
        missing = [key for key in expected if key not in got]
        holes = [key for key in missing if not told.covers(key)]
        self.verdict.counts["expected"] += len(expected)
        self.verdict.counts["told missing"] += len(missing) - len(holes)
        if holes:
            in_history = sum(key in self.stored for key in holes)
            self.verdict.fault("hole", reading.name, f"{len(holes)} events are missing without a word ({in_history} of them "
                               f"are in the hub's history), the first is {self.name(holes[0])} ({self.type_at(holes[0])}), "
                               f"the last {self.name(holes[-1])}; it read up to {reading.end[0]}-{reading.end[1]}")
        self.check_drops(reading, missing)

    def check_drops(self, reading, missing):
        """What a slow reader was told to have lost is what it lost, by count."""
        slow = [g for g in reading.gaps if g.reason == "slow"]
        if slow and reading.policy == "disconnect":
            self.verdict.fault("drop_count", reading.name, f"it lost events to its slowness, and its policy is disconnect: {slow[0]}")
        dropped = sum(g.dropped for g in slow)
        told = _Intervals(self, slow)
        other = _Intervals(self, [g for g in reading.gaps if g.reason != "slow"])
        really = [key for key in missing if told.covers(key) and not other.covers(key)]
        self.verdict.counts["dropped"] += len(really)
        # What the hub lost, and the gateway never had, may lie in such a range without being anybody's drop.
        certain = sum(key not in self.lost for key in really)
        if not certain <= dropped <= len(really):
            self.verdict.fault("drop_count", reading.name, f"{len(really)} events are missing in the ranges told as slow ({certain} of "
                               f"them are in the hub's history), but the counts told add up to {dropped}")

    def check_gaps(self, reading):
        keys = sorted(reading.keys)
        got = set(keys)
        for gap in reading.gaps:
            start, end = self.key(gap.start), self.key(gap.end)
            self.verdict.counts[f"gaps {gap.reason}"] += 1
            if end < start:
                self.verdict.fault("gap_range", reading.name, f"a gap that ends before it begins: {gap}")
            if gap.reason == "slow":
                continue
            inside = bisect_right(keys, end) - bisect_right(keys, start)
            # A filtered native subscriber cannot see holes: it tells what it could not verify, delivered or not.
            if inside and not reading.is_late_allowed:
                self.verdict.fault("gap_range", reading.name, f"{inside} events of a told gap were delivered all the same: {gap}")
            inner = self.order[bisect_right(self.order, start):bisect_right(self.order, end)]
            kept = [key for key in inner if key in self.stored and key not in got]
            self.verdict.counts[f"needless {gap.reason}"] += len(kept)
            if kept and gap.reason in KEPT_GAPS:
                self.verdict.fault("gap_range", reading.name, f"{len(kept)} events of a told gap are still in the hub's history, "
                                   f"the first is {self.name(kept[0])}: {gap}")

    def check_contiguous(self, reading, told):
        before = self.key(reading.start)
        for key in sorted(reading.keys):
            if key != before + 1 and not told.covers_range(before + 1, key - 1):
                self.verdict.fault("hole", reading.name, f"between {self.name(before)} and {self.name(key)} there are numbers "
                                   "that were neither delivered nor told as a gap")
                return
            before = key

    # --- one publisher ---

    def check_publishing(self, publishing):
        p, verdict, where = publishing.p, self.verdict, f"p{publishing.p} ({publishing.door})"
        for note in publishing.notes[:5]:
            verdict.fault("note", where, note)
        newest, unordered = -1, 0
        mine = sorted(key for pn, keys in self.places.items() if pn >> 32 == p for key in keys)
        for key in mine:
            n = self.truth[key][1] & 0xFFFFFFFF
            outcome = publishing.outcomes.get(n)
            if outcome is None:
                if n >= publishing.next or p << 32 | n not in self.case.carried:
                    verdict.fault("phantom", where, f"{self.name(key)} is event {n}, which it did not publish in this round "
                                  f"(it published {publishing.first} to {publishing.next - 1})")
            elif key in self.lost:
                continue  # seen live, lost, and numbered again when it was sent again
            elif outcome.kind == ACKED and not outcome.retried or outcome.kind == SENT and self.case.is_push_exact:
                unordered += n < newest
                newest = max(n, newest)
        if unordered:
            verdict.fault("publisher_order", where, f"{unordered} events have numbers smaller than events that it published before")
        for n, outcome in publishing.outcomes.items():
            self.check_outcome(publishing, where, n, outcome)

    def check_outcome(self, publishing, where, n, outcome):
        verdict, pn = self.verdict, publishing.p << 32 | n
        keys = self.places.get(pn, [])
        kept = [key for key in keys if key not in self.lost]
        verdict.counts[("sent", "acked", "unknown", "refused")[outcome.kind]] += 1
        if outcome.kind == ACKED:
            verdict.counts[f"acked {RANK_NAMES[outcome.rank]}"] += 1
        if len(kept) > 1 or (len(keys) > 1 and not publishing.has_id):
            verdict.fault("published_twice", where, f"event {n} stands at {', '.join(map(self.name, keys))}")
        if outcome.kind == REFUSED and keys:
            verdict.fault("refused_but_there", where, f"event {n} was refused, and is {self.name(keys[0])}")
        elif outcome.kind == SENT and not keys:
            verdict.counts["sent and lost"] += 1
            if self.case.is_push_exact:
                verdict.fault("push_lost", where, f"event {n} was sent, nothing was disturbed, and nobody knows it")
        elif outcome.kind == ACKED and self.case.stored:
            place = self.key(outcome.where) if outcome.where else None
            if place is not None and place <= self.key(self.case.stored.start):
                return  # a duplicate of what was published before this round
            gone = place in self.lost if place is not None else not kept
            if gone and not self.may_be_lost(outcome.rank, outcome.when):
                verdict.fault("acked_lost", where, f"event {n} was acknowledged as {RANK_NAMES[outcome.rank]}"
                              f"{' at ' + self.name(place) if place is not None else ''} and is not in the hub's history")
        if not keys and outcome.kind in (UNKNOWN, SENT):
            verdict.carried.add(pn)


class _Intervals:
    """Told gaps as disjoint ranges of keys."""

    def __init__(self, judge_, gaps):
        ranges = sorted((judge_.key(g.start) + 1, judge_.key(g.end)) for g in gaps)
        self.starts, self.ends = [], []
        for start, end in ranges:
            if end < start:
                continue
            if self.ends and start <= self.ends[-1] + 1:
                self.ends[-1] = max(self.ends[-1], end)
            else:
                self.starts.append(start)
                self.ends.append(end)

    def covers(self, key):
        i = bisect_right(self.starts, key) - 1
        return i >= 0 and key <= self.ends[i]

    def covers_range(self, first, last):
        """Is every number of first..last told? Numbers behind the last one of an epoch are told with the next epoch."""
        i = bisect_left(self.starts, first + 1) - 1
        return i >= 0 and last <= self.ends[i]
