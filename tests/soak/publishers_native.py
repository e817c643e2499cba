"""publishers_native: publishers beside the gateway that are not requests of our own: PUSH, `notifyhub pub`, libnotifyhub."""
import json
import select
import subprocess
import time

import zmq

from .lines import make_data, type_of
from .publishers import NOT_KEPT, Publisher
from .transcript import ACKED, RANKS, REFUSED, SENT


class Push(Publisher):
    """Fire and forget over PUSH."""

    socket = None

    def work(self):
        if self.socket is None:
            self.socket = zmq.Context.instance().socket(zmq.PUSH)
            self.socket.setsockopt(zmq.SNDHWM, 20000)
            self.socket.connect(f"tcp://127.0.0.1:{self.ports['collector']}")
        count = self.allowed()
        if count == 0:
            time.sleep(0.002)
            return
        for _ in range(min(count, 500)):
            if not self.socket.poll(0, zmq.POLLOUT):
                self._credit = 0.0
                self.log.count("queue full")
                time.sleep(0.05)
                return
            n = self.numbers(1)[0]
            self.log.set(n, SENT, when=time.monotonic())
            self.socket.send(self.line(n).encode())

    def close(self):
        if self.socket is not None:
            self.socket.close(linger=0)
            self.socket = None


class Command(Publisher):
    """`notifyhub pub --ndjson`, a process for each batch: libnotifyhub's publisher and the command over it, or with
    spec["at"] (a name in `ports`) the command's own over a gateway."""

    def work(self):
        if self.allowed() < self.batch:
            time.sleep(0.02)
            return
        numbers = self.numbers(self.batch)
        while not self.attempt(numbers) and self.may_try_again():
            self.log.count("again")
            time.sleep(0.3)

    def attempt(self, numbers):
        more = ["--durability", self.durability] if self.durability else []
        door = (["--gateway", f"http://127.0.0.1:{self.ports[self.spec['at']]}"] if self.spec.get("at") else
                ["--requests-port", str(self.ports["requests"])])
        done = subprocess.run([self.ports["program"], "pub", "--ndjson", "--json", "--timeout", "5", *door, *more],
                              input="\n".join(self.line(n) for n in numbers) + "\n", capture_output=True, text=True,
                              timeout=60, check=False)
        self.log.count(f"exit {done.returncode}")
        # The command cuts its input into batches of its own choice: only the sum is told.
        if done.returncode == 0:
            answer = json.loads(done.stdout)
            if answer["accepted"] + answer["duplicates"] != len(numbers):
                self.log.notes.append(f"{len(numbers)} events published, and {answer}")
            where, rank = None, RANKS.get(self.durability, 0)
            if answer["accepted"] == len(numbers):
                epoch, seq = answer["first"].rsplit("-", 1)
                last = int(answer["last"].rsplit("-", 1)[1])
                where = (epoch, int(seq)) if last - int(seq) + 1 == len(numbers) else None
            for i, n in enumerate(numbers):
                self.log.set(n, ACKED, where and (where[0], where[1] + i), rank, time.monotonic())
            return True
        self.unknown(numbers)
        return NOT_KEPT in done.stderr


class Library(Publisher):
    """libnotifyhub's acknowledged publisher in one long life over every cut (integration/client_driver.c), one event at a
    time. While an answer is missing the library asks again by itself, as the events have ids; when it gives up, we do."""

    OK, TIMEOUT, CLOSED, NOT_DURABLE, NOT_KEPT = 0, -4, -5, -17, -18  # nhub_err
    REFUSALS = (-10, -11, NOT_DURABLE)
    process = None

    def work(self):
        if self.allowed() < 1:
            time.sleep(0.005)
            return
        n = self.numbers(1)[0]
        while not self.attempt(n) and self.may_try_again():
            self.log.count("again")
            time.sleep(0.05)

    def attempt(self, n):
        """True when no other attempt is needed."""
        if self.process is None:
            self.open()
        p = self.spec["p"]
        answer = self.ask(f"publish 5000 {self.run_name}/{n} {type_of(p, n)} {make_data(p, n)}")
        if answer is None:
            self.close()
            self.log.notes.append("libnotifyhub's publisher does not come back from a call with a time-out")
            self.unknown([n])
            return False
        self.log.count(f"library {answer['err']}{' resent' if answer['resent'] else ''}")
        if answer["err"] == self.OK:
            self.log.set(n, ACKED, (answer["epoch"], answer["seq"]), answer["durability"] - 1, time.monotonic())
            return True
        if answer["err"] in self.REFUSALS:
            self.log.set(n, REFUSED)
            return self.log.outcomes[n].kind == REFUSED
        self.unknown([n])
        if answer["err"] not in (self.TIMEOUT, self.CLOSED, self.NOT_KEPT):
            self.log.notes.append(f"an odd error: {answer}")
        return answer["err"] == self.NOT_KEPT

    def open(self):
        ports = self.ports
        self.data = b""
        self.process = subprocess.Popen([ports["driver"], "127.0.0.1", *(str(ports[x]) for x in ("collector", "publisher", "requests"))],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.ask("publisher 1 5000 0")

    def ask(self, command, limit=30):
        """The answer of the driver, None when it gives none in time."""
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        while b"\n" not in self.data:
            if not select.select([self.process.stdout], [], [], limit)[0]:
                return None
            piece = self.process.stdout.read1()
            if not piece:
                raise RuntimeError(f"client_driver ended with {self.process.wait()}")
            self.data += piece
        line, self.data = self.data.split(b"\n", 1)
        return json.loads(line)

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None
