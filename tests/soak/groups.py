"""groups: the consumer groups of the checker, and their members in one process, a thread each."""
import time

from .members import HttpMember, RouterMember
from .members_command import CommandMember, ExecMember
from .members_ws import WsMember
from .transcript import GroupReading
from .workers import check_alive

VISIBILITY_MS = 2500
NOTE_S = 10.0  # for noting what was settled, before a round is compared

# name: settings. `fussy` gives up: what fails three times becomes a dead letter. `held`: the journal keeps what it lacks.
GROUPS = {
    "shared": {"patterns": ["soak.[ac].*"]},
    "in-order": {"patterns": ["soak.b.2", "soak.d.1"], "ordered": True},
    "fussy": {"patterns": ["soak.rare"], "max_attempts": 3},
    "held": {"patterns": ["soak.rare"], "hold": True},
}
MEMBERS = [
    {"name": "r1", "group": "shared", "door": "router", "max": 100}, {"name": "r2", "group": "shared", "door": "router", "max": 30},
    {"name": "h1", "group": "shared", "door": "http", "max": 50}, {"name": "w1", "group": "shared", "door": "ws", "max": 60},
    {"name": "c1", "group": "shared", "door": "command", "max": 400},
    {"name": "r3", "group": "in-order", "door": "router", "max": 20}, {"name": "h2", "group": "in-order", "door": "http", "max": 40},
    {"name": "w2", "group": "in-order", "door": "ws", "max": 20, "at": "http2"},
    {"name": "r4", "group": "fussy", "door": "router", "max": 10}, {"name": "w3", "group": "fussy", "door": "ws", "max": 10},
    {"name": "e1", "group": "fussy", "door": "exec", "max": 60, "at": "http2"},
    {"name": "c2", "group": "held", "door": "command", "max": 200, "at": "http"},
    {"name": "h3", "group": "held", "door": "http", "max": 20, "at": "http2"},
]
AWAY = ("held",)  # groups whose members are away for whole rounds now and then
DOORS = {"router": RouterMember, "http": HttpMember, "ws": WsMember, "command": CommandMember, "exec": ExecMember}


def request_of(name, since):
    """The `group_create` of one of GROUPS."""
    spec = GROUPS[name]
    return {"action": "group_create", "group": name, "event_type": spec["patterns"], "since": since, "visibility_ms": VISIBILITY_MS,
            "max_attempts": spec.get("max_attempts", 0), "ordered": spec.get("ordered", False), "hold": spec.get("hold", False)}


class GroupWorker:
    """start: the position (epoch, seq) at which the groups begin."""

    def __init__(self, control, ports, start):
        self.control = control
        self.readings = {name: GroupReading(name, start, **spec) for name, spec in GROUPS.items()}
        self.members = []
        for spec in MEMBERS:
            group = GROUPS[spec["group"]]
            whole = {**spec, "ordered": group.get("ordered", False), "max_attempts": group.get("max_attempts", 0)}
            self.members.append(DOORS[spec["door"]](whole, ports, self))
        for member in self.members:
            member.start()

    def step(self, timeout):
        self.control.poll(timeout)
        check_alive(self.members, "members")

    def handle(self, word, *arguments):
        if word == "collect":
            end = arguments[0]
            until = time.monotonic() + NOTE_S
            while any(member.is_behind() for member in self.members) and time.monotonic() < until:
                time.sleep(0.01)
            result = []
            for name, reading in self.readings.items():
                reading.end = end
                result.append(reading)
                after = self.readings[name] = GroupReading(name, end, **GROUPS[name])
                late = [d for d in reading.deliveries if d.where[0] == end[0] and d.where[1] > end[1]]
                after.deliveries += late  # came behind the mark: the next round's
                reading.deliveries = [d for d in reading.deliveries if d not in late]
            return result
        if word == "away":  # members of these groups are away until further notice
            for member in self.members:
                member.is_away = member.spec["group"] in arguments[0]
        elif word == "leave":
            for member in self.members:
                member.must_leave |= member.spec["name"] in arguments[0]
        elif word == "end":
            for member in self.members:
                member.is_ended = True
            for member in self.members:
                member.join(5)
        return None
