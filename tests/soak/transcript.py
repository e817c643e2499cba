"""transcript: what one publisher or one subscriber saw during one round, in a form that is small and quick to write.

A transcript is plain data: it is filled by a worker process, sent to the judge, and can be doctored by a test.
"""
from array import array
from collections import Counter
from zlib import crc32

from .lines import DEAD_LETTER, MARK, OTHER, SEQ_BITS, line_type, parse_letter, parse_line, parse_position

# What a publisher knows about one of its events.
SENT, ACKED, UNKNOWN, REFUSED = range(4)
# How well an event is kept.
MEMORY, JOURNALED, SYNCED = range(3)
RANKS = {"memory": MEMORY, "journaled": JOURNALED, "synced": SYNCED}
RANK_NAMES = {rank: name for name, rank in RANKS.items()}


class Gap:
    """A told gap: everything behind `start` up to and including `end`, each (epoch, seq)."""

    __slots__ = ("start", "end", "reason", "dropped", "at")

    def __init__(self, start, end, reason, dropped=0, at=0):
        self.start, self.end, self.reason, self.dropped, self.at = start, end, reason, dropped, at

    def __repr__(self):
        return f"({self.start[0]}-{self.start[1]}, {self.end[0]}-{self.end[1]}] {self.reason} dropped={self.dropped}"


class Reading:
    """What a subscriber got.

    keys, crcs, pns: one entry for each event, in the order of arrival (keys with this reading's own epoch indexes);
    epochs: names in the order of their appearance; gaps: told gaps with `at` = how many events came before;
    others: key -> type of events that are not the checker's; letters: key -> Letter of those that are dead letters;
    notes: what is wrong already on the face of it.
    `start` is the position (epoch, seq) before the first event that may come, `end` the one up to which this reading
    claims to be complete.
    """

    def __init__(self, name, door, patterns, policy="disconnect", **traits):
        self.name, self.door, self.patterns, self.policy = name, door, list(patterns), policy
        self.is_late_allowed = traits.get("is_late_allowed", False)  # events may come out of order (but once)
        self.is_complete = traits.get("is_complete", True)  # claims to miss nothing
        self.is_contiguous = traits.get("is_contiguous", False)  # sees every number
        self.keys, self.crcs, self.pns = array("Q"), array("I"), array("Q")
        self.epochs, self.gaps, self.others, self.letters, self.notes = [], [], {}, {}, []
        self.start = self.end = None
        self.resumes = {}
        self.marks = 0
        self._epoch = b""
        self._base = 0

    def _index(self, epoch):
        if epoch not in self.epochs:
            self.epochs.append(epoch)
        return self.epochs.index(epoch)

    def event(self, line):
        """Takes one line (bytes). Returns the round when it is a mark, else None."""
        epoch, seq, pn = parse_line(line)
        if epoch != self._epoch:
            self._base = self._index(epoch.decode("ascii")) << SEQ_BITS
            self._epoch = epoch
        key = self._base | seq
        self.keys.append(key)
        self.crcs.append(crc32(line))
        self.pns.append(pn)
        if pn >= 1 << 32:
            if pn == OTHER:
                self.others[key] = line_type(line)
                if self.others[key] == DEAD_LETTER:
                    self.letters[key] = parse_letter(line)
            return None
        if line_type(line) == MARK:
            self.marks += 1
            return pn
        return None

    def gap(self, start, end, reason, dropped=0):
        """Takes a told gap; start and end are positions as text. Returns the end's text."""
        gap = Gap(parse_position(start), parse_position(end), reason, dropped, len(self.keys))
        for epoch, _ in (gap.start, gap.end):
            self._index(epoch)
        self.gaps.append(gap)
        return end

    def begins(self, position):
        """The position (text) before the first event, when it is not known yet."""
        if self.start is None:
            self.start = self.end = parse_position(position)
            self._index(self.start[0])

    def resumed(self, result):
        self.resumes[result] = self.resumes.get(result, 0) + 1
        if result == "unknown":
            self.notes.append("a resume from a position that the hub had given was answered `unknown`")

    def last(self):
        """The position up to which everything was delivered or told, (epoch, seq)."""
        last = self.start
        if len(self.keys):
            last = self.position_of(self.keys[-1])
        if self.gaps and self.gaps[-1].at == len(self.keys):
            end = self.gaps[-1].end
            if last is None or last[0] != end[0] or last[1] < end[1]:
                last = end
        return last

    def position_of(self, key):
        return self.epochs[key >> SEQ_BITS], key & ((1 << SEQ_BITS) - 1)

    def successor(self):
        """An empty reading that goes on where this one ends; this one is closed."""
        self.end = self.last()
        after = Reading(self.name, self.door, self.patterns, self.policy, is_late_allowed=self.is_late_allowed,
                        is_complete=self.is_complete, is_contiguous=self.is_contiguous)
        after.start = after.end = self.end
        if self.end:
            after._index(self.end[0])
        return after


class Outcome:
    """What is known about one event of a publisher: kind; where (epoch, seq) or None when it was acknowledged as a
    duplicate without a number; rank of durability; when the answer came (monotonic); was it tried more than once."""

    __slots__ = ("kind", "where", "rank", "when", "retried")

    def __init__(self, kind, where=None, rank=MEMORY, when=0.0, retried=False):
        self.kind, self.where, self.rank, self.when, self.retried = kind, where, rank, when, retried


class Publishing:
    """What a publisher did: outcomes by n, from `first` up to but not including `next`."""

    def __init__(self, p, door, has_id=False, first=0):
        self.p, self.door, self.has_id = p, door, has_id
        self.first = self.next = first
        self.outcomes = {}
        self.notes = []
        self.answers = {}

    def take_number(self):
        n = self.next
        self.next += 1
        return n

    def set(self, n, kind, where=None, rank=MEMORY, when=0.0):
        """Notes an outcome. Once an attempt had an unknown outcome a later refusal does not undo it."""
        before = self.outcomes.get(n)
        if before is None:
            self.outcomes[n] = Outcome(kind, where, rank, when)
            return
        before.retried = True
        if before.kind in (UNKNOWN, SENT) and kind == REFUSED:
            return
        before.kind, before.where, before.rank, before.when = kind, where, rank, when

    def count(self, word):
        self.answers[word] = self.answers.get(word, 0) + 1

    def successor(self):
        return Publishing(self.p, self.door, self.has_id, self.next)


class Delivery:
    """One hand-out of an event by a group: where, attempt, CRC of the line, and what became of it: "acked", "nacked",
    "left" (timed out on purpose), "unknown" (the answer to the ack never came), "stale". Times are monotonic: handed
    (the fetch was answered), tried (the ack was sent), settled (its answer came); rank: how well the ack is kept.
    attempt None: not told; asked: when the fetch was sent, None where a member does not ask for each; until: before that
    the event is nobody else's, as the delivery was extended (None: it was not, or was given back)."""

    __slots__ = ("where", "attempt", "crc", "pn", "type", "end", "handed", "tried", "settled", "rank", "asked", "until")

    def __init__(self, where, attempt, crc, pn, type_, handed, asked=None):
        self.where, self.attempt, self.crc, self.pn, self.type = where, attempt, crc, pn, type_
        self.handed, self.tried, self.settled, self.end, self.rank = handed, None, None, "left", SYNCED
        self.asked, self.until = asked, None


class GroupReading:
    """What all members of a consumer group got together. max_attempts 0: no limit; hold: retention waits for it."""

    def __init__(self, name, start, patterns, ordered=False, max_attempts=0, hold=False):
        self.name, self.patterns, self.ordered, self.max_attempts = name, list(patterns), ordered, max_attempts
        self.hold = hold
        self.is_away = False  # its members were away, and it need not have come to the end
        self.arrears = []  # (position, CRC) of events of earlier rounds that it still had to hand out
        self.start, self.end = start, start  # positions (epoch, seq): behind start, up to end
        self.deliveries, self.gaps, self.notes = [], [], []
        self.doors = Counter()  # deliveries by the members' doors
