"""natives: subscribers beside the gateway: a raw SUB, `notifyhub sub` (libnotifyhub), and pollers of history."""
import json
import os
import select
import subprocess
import time
import urllib.parse

import re

import zmq

from .kept_http import connect, exchange
from .lines import parse_position
from .transcript import Reading

# An event inside a page: values of the checker hold no such end, so the raw bytes can be cut out of the page. A dead letter
# has a whole event in it, which is followed by a brace.
PAGE_EVENT = re.compile(rb'\{"event_type":.*?,"epoch":"[a-z2-7]{8}"\}(?=\s*(?:,|\Z))', re.S)


class RawSub:
    """A plain SUB as the original's clients have it. It promises order and no repeats, not completeness: libzmq drops
    for it silently at the high-water mark, and a reconnect loses what was sent meanwhile."""

    def __init__(self, spec, ports):
        self.spec = spec
        self.reading = Reading(spec["name"], "sub", spec["patterns"], is_complete=False)
        self.mark = -1
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SUBSCRIBE, spec.get("prefix", "").encode())
        self.socket.connect(f"tcp://127.0.0.1:{ports['publisher']}")

    def step(self):
        count = 0
        while count < 5000:
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            count += 1
            line = frames[1]
            if self.reading.start is None:
                at = line.rindex(b'"seq":')
                self.reading.begins(f"{line[-10:-2].decode()}-{int(line[at + 6:-20]) - 1}")
            mark = self.reading.event(line)
            if mark is not None:
                self.mark = mark
        return count

    def end(self):
        self.socket.close()


class CommandSub:
    """`notifyhub sub --json`: libnotifyhub's subscriber, or with spec["at"] (a name in `ports`) the command's own over a
    gateway. It is killed and started again with --since now and then."""

    def __init__(self, spec, ports):
        self.spec, self.ports = spec, ports
        self.reading = Reading(spec["name"], "command", spec["patterns"], **spec.get("traits", {}))
        self.mark, self.last, self.process = -1, None, None
        self.runs = 0

    def start(self):
        patterns = self.spec["patterns"]
        since = ["--since", self.last] if self.last else []
        door = (["--gateway", f"http://127.0.0.1:{self.ports[self.spec['at']]}"] if self.spec.get("at") else
                ["--publisher-port", str(self.ports["publisher"]), "--requests-port", str(self.ports["requests"])])
        errors = open(self.spec["errors"], "ab")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            [self.ports["program"], "sub", "--json", *door, *since, *patterns],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        errors.close()
        os.set_blocking(self.process.stdout.fileno(), False)
        self.data = b""
        self.runs += 1

    def step(self):
        if self.process is None:
            if self.last is None and self.spec.get("start"):
                self.last = self.spec["start"]
                self.reading.begins(self.last)
            self.start()
        try:
            piece = os.read(self.process.stdout.fileno(), 1 << 18)
        except BlockingIOError:
            return 0
        if not piece:
            self.reading.notes.append(f"notifyhub sub ended by itself with {self.process.wait()}")
            self.process = None
            return 0
        *lines, self.data = (self.data + piece).split(b"\n")
        for line in lines:
            self.take(line)
        return len(lines)

    def take(self, line):
        if line.startswith(b'{"op":'):
            message = json.loads(line)
            if message["reason"] == "unknown":
                self.reading.resumed("unknown")
            self.last = self.reading.gap(message["from"], message["to"], message["reason"])
            return
        mark = self.reading.event(line)
        if mark is not None:
            self.mark = mark
        at = line.rindex(b'"seq":')
        self.last = f"{line[-10:-2].decode()}-{line[at + 6:-20].decode()}"

    def again(self):
        """Ends it without warning; the next run goes on from the last line that was read whole."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    end = again


class Poller:
    """Reads GET /events page by page, like a job that runs every second. spec["at"]: the names of its gateways in `ports`;
    each connection goes to the next one."""

    def __init__(self, spec, ports):
        self.spec, self.ports = spec, ports
        self.reading = Reading(spec["name"], "history", spec["patterns"], **spec.get("traits", {}))
        self.mark, self.last, self.next_at = -1, spec["start"], 0.0
        self.reading.begins(self.last)
        self.sock, self.connects = None, -1

    def step(self):
        if time.monotonic() < self.next_at:
            return 0
        query = [("event_type", p) for p in self.spec["patterns"]] + [("since", self.last), ("limit", self.spec["limit"])]
        status, body = self.get("/events?" + urllib.parse.urlencode(query))
        if status != 200:
            if status not in (None, 503, 504, 429):
                self.reading.notes.append(f"history answered {status} {body[:300]!r}")
            self.next_at = time.monotonic() + 0.3
            return 0
        first, last = body.find(b'"events":[') + 10, body.rindex(b'],"result":')
        rest = json.loads(b"{" + body[last + 2:])
        if rest["result"] == "unknown":
            self.reading.resumed("unknown")
        if "gap" in rest:
            self.reading.gap(rest["gap"]["from"], rest["gap"]["to"], rest["gap"]["reason"])
        count = 0
        for match in PAGE_EVENT.finditer(body, first, last):
            count += 1
            mark = self.reading.event(match.group(0))
            if mark is not None:
                self.mark = mark
        if parse_position(rest["next"]) != parse_position(self.last):
            self.last = rest["next"]
        if not rest["more"]:
            self.next_at = time.monotonic() + self.spec.get("every", 0.5)
        return count

    def get(self, path):
        try:
            if self.sock is None:
                names = self.spec.get("at", ["http"])
                self.connects += 1
                self.sock = connect(self.ports[names[self.connects % len(names)]], 8)
            status, body, is_kept = exchange(self.sock, "GET", path)
        except OSError:
            status, body, is_kept = None, b"", False
        if not is_kept:
            self.end()
        return status, body

    def end(self):
        if self.sock is not None:
            self.sock.close()
            self.sock = None


KINDS = {"sub": RawSub, "command": CommandSub, "history": Poller}


class NativeWorker:
    """Subscribers of these kinds, in one process."""

    def __init__(self, control, specs, ports):
        self.control = control
        self.readers = [KINDS[spec["door"]](spec, ports) for spec in specs]

    def step(self, timeout):
        if sum(reader.step() for reader in self.readers) == 0:
            waits = [self.control] + [r.process.stdout for r in self.readers if getattr(r, "process", None)]
            select.select(waits, [], [], min(timeout, 0.02))

    def handle(self, word, *arguments):
        if word == "status":
            return {r.spec["name"]: (r.mark, getattr(r, "last", None), getattr(r, "runs", 1), True) for r in self.readers}
        if word == "again":
            for reader in self.readers:
                if reader.spec["name"] in arguments[0]:
                    reader.again()
        elif word == "collect":
            readings = []
            for reader in self.readers:
                readings.append(reader.reading)
                reader.reading = reader.reading.successor()
            return readings
        elif word == "end":
            for reader in self.readers:
                reader.end()
        return None
