"""judge_groups: what consumer groups promise: at least once, one member at a time, in order when asked for."""


def judge_group(judge, group):
    """Adds the broken promises of one GroupReading to the judge's verdict."""
    _Group(judge, group).run()


class _Group:
    def __init__(self, judge, group):
        self.judge, self.group, self.verdict = judge, group, judge.verdict
        self.by_key = {}

    def run(self):
        group, verdict = self.group, self.verdict
        for note in group.notes[:5]:
            verdict.fault("note", f"group {group.name}", note)
        for delivery in group.deliveries:
            if delivery.where[0] in self.judge.epoch_index:
                self.by_key.setdefault(self.judge.key(delivery.where), []).append(delivery)
        verdict.counts["group deliveries"] += len(group.deliveries)
        verdict.counts["group redelivered"] += sum(d.attempt > 1 for d in group.deliveries)
        self.check_bytes()
        self.check_each_once_acked()
        self.check_after_ack()
        self.check_attempts()
        if group.ordered:
            self.check_order()

    def fault(self, what, text):
        self.verdict.fault(what, f"group {self.group.name}", text)

    def check_bytes(self):
        for key, deliveries in self.by_key.items():
            known = self.judge.truth.get(key)
            for delivery in deliveries:
                if known is not None and known[0] is not None and known[0] != delivery.crc:
                    self.fault("bytes", f"{self.judge.name(key)} is not what another door gave for it")
                    return

    def check_each_once_acked(self):
        from .judge import _Intervals
        told = _Intervals(self.judge, self.group.gaps)
        expected = self.judge.expected(self.judge.key(self.group.start), self.judge.key(self.group.end), self.group.patterns)
        dead = {self.judge.key(where) for where in self.judge.case.dead_letters if where[0] in self.judge.epoch_index}
        missing = []
        for key in expected:
            ends = {d.end for d in self.by_key.get(key, ())}
            # Lost numbers (a void) are nobody's any more; the subscribers' part of the judge looks at them.
            if not ends & {"acked", "unknown"} and key not in dead and not told.covers(key) and key not in self.judge.lost:
                missing.append(key)
        self.verdict.counts["group expected"] += len(expected)
        if missing:
            never = sum(key not in self.by_key for key in missing)
            self.fault("group_hole", f"{len(missing)} events were never acknowledged ({never} never handed out) though the group "
                       f"says that nothing is left, the first is {self.judge.name(missing[0])}")

    def check_after_ack(self):
        for key, deliveries in self.by_key.items():
            done = [a for a in deliveries if a.end == "acked" and not self.judge.may_be_lost(a.rank, a.settled)]
            # An earlier attempt may have been under way all the time, on a slow link.
            if any(d.handed > a.settled and d.attempt > a.attempt for a in done for d in deliveries):
                self.fault("group_after_ack", f"{self.judge.name(key)} was handed out after it had been acknowledged")
                return

    def check_attempts(self):
        if self.judge.case.disasters:
            return  # a hand-out need not be remembered over the death of the hub
        for key, deliveries in self.by_key.items():
            attempts = [d.attempt for d in deliveries]
            if len(set(attempts)) != len(attempts):
                self.fault("group_two_members", f"{self.judge.name(key)}: one attempt was handed out twice: {attempts}")
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
