"""judge_groups: what consumer groups promise: at least once, one member at a time, in order when asked for, a dead letter
for what fails too often, and nothing lost to retention where the group holds it."""


def judge_group(judge, group):
    """Adds the broken promises of one GroupReading to the judge's verdict."""
    _Group(judge, group).run()


TURN_S = 0.1  # the hub reckons from the begin of a turn of its loop, which may lie before the request was sent


def _is_after(delivery, ack):
    """Was this surely handed out after the answer to that acknowledgement? An earlier attempt may have been under way all
    the time, on a slow link; where no attempt is told, only one that was asked for later is a later one."""
    if delivery.attempt is None or ack.attempt is None:
        return delivery.asked is not None and delivery.asked > ack.settled
    return delivery.handed > ack.settled and delivery.attempt > ack.attempt


class _Group:
    def __init__(self, judge, group):
        self.judge, self.group, self.verdict = judge, group, judge.verdict
        self.by_key = {}
        self.arrears = {judge.key(where): crc for where, crc in group.arrears if where[0] in judge.epoch_index}

    def run(self):
        group, verdict = self.group, self.verdict
        for note in group.notes[:5]:
            verdict.fault("note", f"group {group.name}", note)
        for delivery in group.deliveries:
            if delivery.where[0] in self.judge.epoch_index:
                self.by_key.setdefault(self.judge.key(delivery.where), []).append(delivery)
        for door, count in group.doors.items():
            verdict.counts[f"handed out {door}"] += count
        verdict.counts["group deliveries"] += len(group.deliveries)
        verdict.counts["group redelivered"] += sum(len(found) - 1 for found in self.by_key.values())
        self.check_bytes()
        self.check_each_once_acked()
        self.check_after_ack()
        self.check_attempts()
        self.check_extended()
        self.check_dead_letters()
        self.check_hold()
        if group.ordered:
            self.check_order()

    def fault(self, what, text):
        self.verdict.fault(what, f"group {self.group.name}", text)

    def may_forget(self):
        """A hand-out need not be remembered over the death of the hub, or while its disk takes nothing. An orderly stop
        forgets nothing."""
        return any(kind != "stop" for _, kind in self.judge.case.disasters) or not self.judge.case.is_durable

    def check_bytes(self):
        for key, deliveries in self.by_key.items():
            known = self.judge.truth.get(key, [self.arrears.get(key)])
            for delivery in deliveries:
                if known[0] is not None and known[0] != delivery.crc:
                    self.fault("bytes", f"{self.judge.name(key)} is not what another door gave for it")
                    return

    def check_each_once_acked(self):
        from .judge import _Intervals
        told = _Intervals(self.judge, self.group.gaps)
        expected = [*self.arrears, *self.judge.expected(self.judge.key(self.group.start), self.judge.key(self.group.end),
                                                        self.group.patterns)]
        missing = []
        for key in expected:
            ends = {d.end for d in self.by_key.get(key, ())}
            # Lost numbers (a void) are nobody's any more; the subscribers' part of the judge looks at them.
            is_dead = (self.group.name, key) in self.judge.letters
            if not ends & {"acked", "unknown"} and not is_dead and not told.covers(key) and key not in self.judge.lost:
                missing.append(key)
        self.verdict.counts["group expected"] += len(expected) - len(self.arrears)
        self.verdict.counts["group arrears"] += len(self.arrears)
        if self.group.is_away:
            crcs = {key: self.judge.truth.get(key, [self.arrears.get(key)])[0] for key in missing}
            self.verdict.arrears[self.group.name] = [(self.judge.position(key), crc) for key, crc in crcs.items()]
        elif missing:
            never = sum(key not in self.by_key for key in missing)
            self.fault("group_hole", f"{len(missing)} events were never acknowledged ({never} never handed out) though the group "
                       f"says that nothing is left, the first is {self.judge.name(missing[0])}")

    def check_after_ack(self):
        for key, deliveries in self.by_key.items():
            done = [a for a in deliveries if a.end == "acked" and not self.judge.may_be_lost(a.rank, a.settled)]
            if any(_is_after(d, a) for a in done for d in deliveries):
                self.fault("group_after_ack", f"{self.judge.name(key)} was handed out after it had been acknowledged")
                return

    def check_attempts(self):
        if self.may_forget():
            return
        for key, deliveries in self.by_key.items():
            attempts = [d.attempt for d in deliveries if d.attempt is not None]
            if len(set(attempts)) != len(attempts):
                self.fault("group_two_members", f"{self.judge.name(key)}: one attempt was handed out twice: {attempts}")
                return

    def check_extended(self):
        """What was extended is not handed out again before that time is over. Over restarts the wall clock counts, which
        is stepped on purpose."""
        if self.judge.case.disasters:
            return
        for key, deliveries in self.by_key.items():
            for kept in deliveries:
                if kept.until is None or kept.attempt is None:
                    continue
                self.verdict.counts["group extended"] += 1
                if any(d.attempt is not None and d.attempt > kept.attempt and d.handed < kept.until - TURN_S for d in deliveries):
                    self.fault("group_extended", f"{self.judge.name(key)} was handed out again before its extended time was over")
                    return

    def check_order(self):
        """No event is handed out while an earlier one of its type is not done."""
        done, seen = {}, {}
        for key, deliveries in sorted(self.by_key.items()):
            first = min(d.handed for d in deliveries)
            kind = deliveries[0].type
            if kind in seen and first < seen[kind][1]:
                self.fault("group_order", f"{self.judge.name(key)} ({kind}) was handed out before {self.judge.name(seen[kind][0])}")
                return
            if kind in done and done[kind][1] is not None and first < done[kind][1]:
                self.fault("group_order", f"{self.judge.name(key)} ({kind}) was handed out before {self.judge.name(done[kind][0])} was done")
                return
            seen[kind] = (key, first)
            tried = [d.tried for d in deliveries if d.tried is not None]
            done[kind] = (key, min(tried) if tried else None)

    # --- what failed too often ---

    def check_dead_letters(self):
        limit = self.group.max_attempts
        for (name, key), letters in self.judge.letters.items():
            if name == self.group.name:
                self.verdict.counts["dead letters of groups"] += 1
                self.check_letter(key, letters)
        for key, deliveries in self.by_key.items() if limit and not self.may_forget() else ():
            if len(deliveries) > limit:
                self.fault("dead_letter", f"{self.judge.name(key)} was handed out {len(deliveries)} times, and {limit} are allowed")
                return

    def check_letter(self, key, letters):
        """The dead letters of one event: there is one, it is right, and the event was not acknowledged."""
        what, limit = self.judge.name(key), self.group.max_attempts
        known = self.judge.truth.get(key)
        for _, letter in letters:
            if letter.attempts != limit or letter.reason not in ("nack", "timeout"):
                self.fault("dead_letter", f"{what}: {letter.attempts} attempts, {letter.reason}; {limit} are allowed")
            if letter.crc is None and known is not None and key in self.judge.stored:
                self.fault("dead_letter", f"{what} is in the hub's history, and its dead letter says that it is not")
            elif letter.crc is not None and known is not None and known[0] is not None and letter.crc != known[0]:
                self.fault("bytes", f"{what} is another event in its dead letter")
        if self.may_forget():
            return  # the letter may have been kept and the note that it was written not, or the other way round
        if len(letters) > 1:
            self.fault("dead_letter", f"{what} has {len(letters)} dead letters: {', '.join(self.judge.name(k) for k, _ in letters)}")
        if any(d.end == "acked" for d in self.by_key.get(key, ())):
            self.fault("dead_letter", f"{what} was acknowledged, and has a dead letter: {self.judge.name(letters[0][0])}")

    def check_hold(self):
        for gap in self.group.gaps:
            if self.group.hold and gap.reason == "retention":
                self.fault("group_hold", f"it holds what it lacks, and was told {gap}")
                return
