"""lines: what the checker puts into an event, and what it reads out of a line again.

An event of the checker is `{"event_type":T,"source_service":"pP","data":{"p":P,"n":N,"pad":"…"}…}`: publisher P's event
number N. Its type follows from P and N alone, so that the judge knows without asking which subscriber must get it.
Publisher 0 is the checker itself: its events have the type MARK and end a round; N is the round.

A number in the hub's order is kept as one integer, the *key*: index of the epoch << 48 | seq. Which event it is, is kept
as another, the *pn*: P << 32 | N; events of others (statistics, dead letters) have the pn OTHER. What the bytes of the
line were is kept as their CRC-32.
"""
import re
from collections import namedtuple
from zlib import crc32

MARK = "soak.mark"
OTHER = (1 << 64) - 1
SEQ_BITS = 48
SEQ_MASK = (1 << SEQ_BITS) - 1

# Anchored: the data of a dead letter holds a whole event of ours again.
DATA = re.compile(rb'\{"event_type":"[^"]*","source_service":"[^"]*","data":\{"p":(\d+),"n":(\d+)')
TYPE = re.compile(rb'\{"event_type":"((?:[^"\\]|\\.)*)"')
POSITION = re.compile(r"^([a-z][a-z2-7]{7})-(\d+)$")

# What a hub.dead_letter says: the line that is in it as its CRC, None for null.
DEAD_LETTER = "hub.dead_letter"
LETTER = re.compile(rb'\{"event_type":"hub\.dead_letter","source_service":"[^"]*","data":\{"group":"([^"]*)",'
                    rb'"position":"([a-z][a-z2-7]{7}-\d+)","attempts":(\d+),"reason":"([^"]*)","event":(null|\{.*\})\},"timestamp":', re.S)
Letter = namedtuple("Letter", "group where attempts reason crc")

TYPES = [[f"soak.{letter}.{digit}" for digit in range(3)] for letter in "abcd"]
RARE = "soak.rare"  # each 64th event of a publisher
ALL_TYPES = [*(name for row in TYPES for name in row), RARE]

# Lengths of the padding: mostly short, some that do not fit into one packet, a few that do not fit into a socket buffer.
PADS = ["x" * (7 * (i % 37)) for i in range(997)] + ["y" * 6000, "z" * 6001, "w" * 120000]


def type_of(p, n):
    """The type of event n of publisher p."""
    return MARK if p == 0 else RARE if n & 63 == 63 else TYPES[(p + n) & 3][p % 3]


def pn_of(p, n):
    return p << 32 | n


def type_of_pn(pn):
    return type_of(pn >> 32, pn & 0xFFFFFFFF)


def make_data(p, n):
    """The data of event n of publisher p."""
    return f'{{"p":{p},"n":{n},"pad":"{PADS[(n * 7919 + p) % len(PADS)]}"}}'


def make_line(p, n, with_id, run="r"):
    """The event as its publisher writes it, without a line feed."""
    identity = f',"id":"{run}/{n}"' if with_id else ""
    return f'{{"event_type":"{type_of(p, n)}","source_service":"p{p}","data":{make_data(p, n)}{identity}}}'


def make_mark(round_number):
    return f'{{"event_type":"{MARK}","source_service":"checker","data":{{"p":0,"n":{round_number}}}}}'


def parse_position(text):
    """"epoch-seq" -> (epoch, seq)."""
    match = POSITION.match(text)
    if not match:
        raise ValueError(f"not a position: {text!r}")
    return match.group(1), int(match.group(2))


def parse_line(line):
    """A line as the hub wrote it (bytes) -> (epoch as bytes, seq, pn)."""
    # …,"seq":<digits>,"epoch":"<8>"}  – always the end of the line, so it is read from there.
    seq = int(line[line.rindex(b'"seq":') + 6:-20])
    match = DATA.match(line)
    if match is None:
        return line[-10:-2], seq, OTHER
    return line[-10:-2], seq, int(match.group(1)) << 32 | int(match.group(2))


def line_type(line):
    """The event_type of a line, as text (escapes as they are: the hub's own types have none)."""
    return TYPE.match(line).group(1).decode("utf-8")


def parse_letter(line):
    """A dead letter (bytes) -> Letter, or None when it is not one as the hub writes them."""
    match = LETTER.match(line)
    if match is None:
        return None
    event = match.group(5)
    return Letter(match.group(1).decode(), parse_position(match.group(2).decode()), int(match.group(3)), match.group(4).decode(),
                  None if event == b"null" else crc32(event))


def pattern_regex(pattern):
    """A pattern of the hub as a compiled regular expression over a whole type."""
    out, at = [], 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            out.append(".*")
        elif char == "?":
            out.append(".")
        elif char == "[":
            start = at + 1 if pattern[at:at + 1] == "!" else at
            end = pattern.find("]", start + 1)
            if end < 0:
                out.append(re.escape(char))
                continue
            body = pattern[start:end].replace("\\", "\\\\").replace("^", "\\^").replace("[", "\\[")
            out.append("[" + ("^" if start > at else "") + body + "]")
            at = end + 1
        else:
            out.append(re.escape(char))
    return re.compile("(?s:" + "".join(out) + r")\Z")


class Patterns:
    """A union of patterns, by the hub's rules: no pattern means everything, and the hub's own types come only to those
    that name them."""

    def __init__(self, patterns, stats_event="StatsEvent"):
        self.patterns = list(patterns)
        self.stats_event = stats_event
        self._regexes = [(p, pattern_regex(p)) for p in self.patterns]
        self._cache = {}

    def wants(self, name):
        known = self._cache.get(name)
        if known is None:
            known = self._cache[name] = self._decide(name)
        return known

    def _decide(self, name):
        if name.startswith("hub.") or name == self.stats_event:
            return any(p == name or (p.startswith("hub.") and r.match(name)) for p, r in self._regexes)
        return not self._regexes or any(r.match(name) for _, r in self._regexes)

    def wanted_types(self):
        """Which of the checker's own types are wanted: a set."""
        return {name for name in [*ALL_TYPES, MARK] if self.wants(name)}
