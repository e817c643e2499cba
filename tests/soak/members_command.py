"""members_command: `notifyhub consume` as a member of a consumer group: libnotifyhub's consumer, and the command's own over
a gateway.

Two ways: what is printed is acknowledged by the command (it does not tell which attempt that was, and that it was kept is
only known from an end without a word on stderr); or it runs a command for each event, which fails for some.
"""
import array
import fcntl
import json
import os
import select
import subprocess
import termios
import time

from .lines import parse_position
from .members import HOPELESS, Member, is_hopeless
from .transcript import MEMORY

# The delivery in front of the event; the status gives back what is hopeless. POSIX sh.
SCRIPT = ('printf "%s " "$NOTIFYHUB_DELIVERY"; cat; p=${NOTIFYHUB_DELIVERY%.*}; '
          f'[ $((${{p#*-}} % {HOPELESS})) -ne 0 ]')
GOOD_ENDS = (0, 1, 3, 5)  # also: --timeout came first, something failed, nobody answered, a gap was told


def read_now(pipe):
    """What there is; empty at the end, None when there is nothing."""
    try:
        return os.read(pipe.fileno(), 1 << 18)
    except BlockingIOError:
        return None


def unread(pipe):
    """How many bytes wait in it; 0 when it was closed meanwhile."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(pipe.fileno(), termios.FIONREAD, count)
    except (OSError, ValueError):
        return 0
    return count[0]


class CommandMember(Member):
    """max: events of one run; the process ends then, and the next one is started. at: None = straight to the hub."""

    process, runs, is_reading = None, 0, False

    def is_behind(self):
        """Has the command said what is not noted yet? It acknowledges without waiting for its reader."""
        process = self.process
        return self.is_reading or (process is not None and unread(process.stdout) > 0)

    def command(self):
        spec = self.spec
        door = (["--gateway", f"http://127.0.0.1:{self.ports[spec['at']]}"] if spec.get("at")
                else ["--requests-port", str(self.ports["requests"])])
        self.runs += 1
        length = 10 if self.runs % 3 == 0 else 1  # each third run is a long one, over what happens to the hub meanwhile
        return [self.ports["program"], "consume", spec["group"], "--json", "--member", spec["name"],
                "--max", str(spec["max"] * length), "--timeout", str(4 * length), *door, *self.how()]

    def how(self):
        return ["--prefetch", "50"]

    def fetch(self):
        """One run of the command, from its start to its end. It settles its deliveries itself."""
        asked = time.monotonic()
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for pipe in (self.process.stdout, self.process.stderr):
            os.set_blocking(pipe.fileno(), False)
        self.taken, self.errors = [], b""
        data = {self.process.stdout: b"", self.process.stderr: b""}
        while data and not (self.is_ended or self.must_leave or self.is_away):
            for pipe in select.select(list(data), [], [], 0.2)[0]:
                self.is_reading = True
                self.read(pipe, data, asked)
            self.is_reading = False
        if not data:
            self.over(self.process.wait())
        self.drop()
        return []

    def read(self, pipe, data, asked):
        piece = read_now(pipe)
        if piece is None:
            return  # confirm_former() was here first
        if not piece:
            del data[pipe]
        elif pipe is self.process.stderr:
            self.errors += piece
        else:
            *lines, data[pipe] = (data[pipe] + piece).split(b"\n")
            for line in lines:
                self.line(line, asked)

    def line(self, line, asked):
        if line.startswith(b'{"op":'):
            self.take_gap(json.loads(line))
            return
        self.note_line(line, asked)

    def note_line(self, line, asked):
        at = line.rindex(b'"seq":')
        delivery = self.take((line[-10:-2].decode(), int(line[at + 6:-20])), None, line, time.monotonic(), asked)
        delivery.tried, delivery.end = delivery.handed, "unknown"
        self.taken.append(delivery)

    def over(self, status):
        if status not in GOOD_ENDS:
            self.note(f"notifyhub consume ended with {status}: {self.errors[-500:].decode('utf-8', 'replace')}")
        if status in GOOD_ENDS and not self.errors:
            self.confirm(self.taken)

    @staticmethod
    def confirm(deliveries):
        """Acknowledged, for all that can be known: how well that is kept is not told."""
        now = time.monotonic()
        for delivery in deliveries:
            delivery.end, delivery.settled, delivery.rank = "acked", now, MEMORY

    def drop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process.stderr.close()
            self.process = None


class ExecMember(CommandMember):
    """Runs a command for each event, one at a time, in a group that gives up: what it exits with decides."""

    def how(self):
        return ["--exec", SCRIPT, "--delay", "200ms"]

    def note_line(self, line, asked):
        self.confirm_former()  # it was settled before this one was begun
        name, line = line.split(b" ", 1)
        where, attempt = name.decode().rsplit(".", 1)
        delivery = self.take(parse_position(where), int(attempt), line, time.monotonic(), asked)
        if is_hopeless(self.spec, delivery.where[1]):
            delivery.end = "nacked"
        else:
            delivery.tried, delivery.end = delivery.handed, "unknown"
            self.taken.append(delivery)

    def over(self, status):
        super().over(status)
        self.confirm_former()

    def confirm_former(self):
        """What the command says nothing about was acknowledged."""
        while piece := read_now(self.process.stderr):
            self.errors += piece
        self.confirm([d for d in self.taken if f"{d.where[0]}-{d.where[1]}.{d.attempt} ".encode() not in self.errors])
        self.taken = []
