"""members: members of consumer groups, over ROUTER and over HTTP, that acknowledge most, give some back, and forget some.

What a member does with a delivery follows from its position and attempt, so that a run can be repeated. Other doors:
members_ws.py, members_command.py.
"""
import json
import re
import threading
import time
from zlib import crc32

from .kept_http import connect, exchange
from .lines import line_type, parse_line, parse_position
from .transcript import RANKS, Delivery, Gap
from .walk import Asker

EXTEND_MS = 5000
KEEP_S = 2.8  # an extended delivery is acknowledged so late, when its first time is over
SLOW, SLOW_S = 4001, 3.2  # whoever gets an event whose number is a multiple of this first works longer than it is given
HOPELESS = 7  # in a group that gives up, every event whose number is a multiple of this fails whoever gets it
DELIVERY = re.compile(rb'"delivery":"([a-z][a-z2-7]{7})-(\d+)\.(\d+)".*?"event":(\{"event_type":.*?,"epoch":"[a-z2-7]{8}"\})', re.S)


def is_hopeless(spec, seq):
    """Does each attempt of this event fail, so that it must become a dead letter?"""
    return spec["max_attempts"] > 0 and seq % HOPELESS == 0


class Member(threading.Thread):
    """spec: name, group, door, max, ordered, max_attempts, at (which of `ports` leads to its gateway)."""

    def __init__(self, spec, ports, worker):
        super().__init__(daemon=True)
        self.spec, self.ports, self.worker = spec, ports, worker
        self.is_ended = self.must_leave = self.is_away = False
        self.sock = None
        self.kept = []  # deliveries that were extended, to be acknowledged later

    def run(self):
        while not self.is_ended:
            if self.must_leave:
                self.must_leave = False
                self.drop()
            if self.is_away:
                self.drop()
                time.sleep(0.1)
                continue
            found = self.fetch()
            if found is None:
                self.drop()
                time.sleep(0.1)
            elif found:
                self.work(found)
            self.finish_kept()
        self.drop()

    def work(self, deliveries):
        """Acknowledges all but a few: some are given back, some are left until their time is over. Where order is kept
        everything else of a type waits for that, so there they are fewer."""
        if not self.spec["ordered"] and any(d.attempt == 1 and d.where[1] % SLOW == 0 for d in deliveries):
            time.sleep(SLOW_S)  # others have them by now, or not: what is acknowledged below may be stale
        acks, nacks, extends = [], [], []
        given_back, left, longer = (3, 4, 4) if self.spec["ordered"] else (20, 25, 35)
        for delivery in deliveries:
            roll = (delivery.where[1] * 2654435761 + delivery.attempt * 40503) % 1000
            if is_hopeless(self.spec, delivery.where[1]):
                nacks.append(delivery)
            elif delivery.attempt == 1 and roll < given_back:
                nacks.append(delivery)
            elif delivery.attempt == 1 and left <= roll < longer:
                extends.append(delivery)
            elif delivery.attempt > 3 or roll >= left:
                acks.append(delivery)
        self.acknowledge(acks)
        if nacks:
            self.settle("nack", nacks, {"delay_ms": 200}, "nacked")
        if extends:
            self.extend(extends)

    def acknowledge(self, deliveries):
        now = time.monotonic()
        for delivery in deliveries:
            delivery.tried = now
            delivery.end = "unknown"
        if deliveries:
            self.settle("ack", deliveries, {}, "acked")

    def extend(self, deliveries):
        """Asks for more time, and comes back to them when the first time is over."""
        now = time.monotonic()
        self.settle("extend", deliveries, {"visibility_ms": EXTEND_MS}, "left")
        for delivery in deliveries:
            if delivery.settled is not None and delivery.end == "left":
                delivery.until, delivery.settled = now + EXTEND_MS / 1000, None
                self.kept.append(delivery)

    def finish_kept(self):
        due = [d for d in self.kept if time.monotonic() >= d.handed + KEEP_S]
        if due:
            self.kept = [d for d in self.kept if d not in due]
            self.acknowledge(due)

    def settle(self, action, deliveries, more, word):
        names = [f"{d.where[0]}-{d.where[1]}.{d.attempt}" for d in deliveries]
        answer = self.call(action, {"deliveries": names, **more})
        now = time.monotonic()
        if answer is None or answer.get("success") is False or "code" in answer and "count" not in answer:
            return  # nobody knows; what was not done comes again
        failed = {item["delivery"] for item in answer.get("failed", ())}
        for name, delivery in zip(names, deliveries):
            delivery.end = "stale" if name in failed else word
            delivery.settled, delivery.rank = now, RANKS[answer["durability"]]

    def take(self, where, attempt, line, now, asked=None):
        """Notes a delivery. attempt None: this door does not tell it; asked: when the member asked for it, if it did."""
        _, _, pn = parse_line(line)
        delivery = Delivery(where, attempt, crc32(line), pn, line_type(line), now, asked)
        reading = self.worker.readings[self.spec["group"]]
        reading.deliveries.append(delivery)
        reading.doors[self.spec["door"]] += 1
        return delivery

    def take_gap(self, gap):
        self.worker.readings[self.spec["group"]].gaps.append(
            Gap(parse_position(gap["from"]), parse_position(gap["to"]), gap["reason"]))

    def note(self, text):
        self.worker.readings[self.spec["group"]].notes.append(text)

    def is_behind(self):
        """Was something settled that is not noted yet?"""
        return False

    def fetch(self):
        raise NotImplementedError

    def call(self, action, fields):
        raise NotImplementedError

    def drop(self):
        if self.sock is not None:
            self.sock.close()
            self.sock = None


class RouterMember(Member):
    def ask(self, request, limit):
        if self.sock is None:
            self.sock = Asker(self.ports["requests"])
        return self.sock.ask({**request, "group": self.spec["group"]}, limit=limit)

    def fetch(self):
        asked = time.monotonic()
        found = self.ask({"action": "fetch", "member": self.spec["name"], "max": self.spec["max"], "wait_ms": 500}, 4)
        if found is None:
            return None
        answer, lines = found
        if not answer["success"]:
            if answer.get("code") not in ("unavailable", "shutting_down", "journal_unavailable", "durability_unavailable"):
                self.note(f"fetch: {answer}")
            return None
        if "gap" in answer:
            self.take_gap(answer["gap"])
        now = time.monotonic()
        return [self.take(parse_position(d["delivery"].rsplit(".", 1)[0]), d["attempt"], line, now, asked)
                for d, line in zip(answer["deliveries"], lines)]

    def call(self, action, fields):
        found = self.ask({"action": action, **fields}, 8)
        return found[0] if found else None


class HttpMember(Member):
    def post(self, path, body):
        try:
            if self.sock is None:
                self.sock = connect(self.ports[self.spec.get("at", "http")], 9)
            status, body, is_kept = exchange(self.sock, "POST", path, body)
        except OSError:
            status, body, is_kept = None, b"", False
        if not is_kept:
            self.drop()
        return status, body

    def fetch(self):
        asked = time.monotonic()
        status, body = self.post(f"/groups/{self.spec['group']}/fetch?max={self.spec['max']}&wait_ms=500&member={self.spec['name']}", b"")
        if status != 200:
            if status not in (None, 503, 429, 504):
                self.note(f"fetch: {status} {body[:300]!r}")
            return None
        now, result = time.monotonic(), []
        for match in DELIVERY.finditer(body):
            result.append(self.take((match.group(1).decode(), int(match.group(2))), int(match.group(3)), match.group(4), now, asked))
        if b'"gap":{' in body:
            self.take_gap(json.loads(body)["gap"])
        return result

    def call(self, action, fields):
        status, body = self.post(f"/groups/{self.spec['group']}/{action}", json.dumps(fields).encode())
        return json.loads(body) if status == 200 else None
