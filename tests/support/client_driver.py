"""client_driver: libnotifyhub in a process of its own, told line by line what to do (integration/client_driver.c)."""
import json
import os
import queue
import signal
import subprocess
import threading

from .daemons import SANITIZER_REPORT, program
from .waiting import seconds


class ClientDriver:
    """`driver("publish 1000 - t {}")` sends a command and returns its answer, a dict. Lines that come before it
    (events and gaps while `run` works) are in `.events` and `.gaps`."""

    program_name = "client_driver"

    def __init__(self, hub, host="127.0.0.1"):
        ports = self.ports_of(hub)
        self.process = subprocess.Popen([program(self.program_name), host, *map(str, ports)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.events, self.gaps, self.log = [], [], []
        self._lines = queue.Queue()
        self._threads = [threading.Thread(target=self._read_out, daemon=True),
                         threading.Thread(target=self._read_err, daemon=True)]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def ports_of(hub):
        return hub if isinstance(hub, tuple) else (hub.collector, hub.publisher, hub.requests)

    def _read_out(self):
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _read_err(self):
        for line in self.process.stderr:
            self.log.append(line.decode("utf-8", "replace"))

    def start(self, command):
        """Sends a command without waiting for its answer; finish() waits."""
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def finish(self, limit=30):
        while True:
            line = self._lines.get(timeout=seconds(limit))
            assert line is not None, f"the driver ended: {self.process.wait()}\n{''.join(self.log)[-6000:]}"
            answer = json.loads(line)
            if "event" in answer and "err" not in answer:
                self.events.append(answer)
            elif "delivery" in answer:
                self.events.append(answer["delivery"])
            elif "gap" in answer:
                self.gaps.append(answer["gap"])
            else:
                assert "bad_command" not in answer, "the driver does not know this command"
                return answer

    def __call__(self, command, limit=30):
        self.start(command)
        return self.finish(limit)

    def ok(self, command, limit=30):
        answer = self(command, limit)
        assert answer["err"] == 0, (command, answer)
        return answer

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def waiting(self):
        """How many lines of a command that was started have come so far."""
        return self._lines.qsize()

    def seqs(self):
        return [e["event"]["seq"] for e in self.events]

    def wait_ready(self):
        """Until the subscriber knows its position: what is published from then on must reach it."""
        for _ in range(200):
            self.ok("run 50 0")
            if self("position")["epoch"] and self("stats")["connected"]:
                return self
            self("run 20 1000000")
        raise AssertionError("the subscriber did not connect: " + "".join(self.log))

    def close(self):
        if self.process.poll() is None:
            self.resume()
            self.process.stdin.close()
            try:
                status = self.process.wait(seconds(20))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                status = "hung"
        else:
            status = self.process.returncode
        for thread in self._threads:
            thread.join(10)
        self.process.stdout.close()
        self.process.stderr.close()
        log = "".join(self.log)
        assert not SANITIZER_REPORT.search(log), log[:8000]
        assert status == 0, f"the driver ended with {status}\n{log[-4000:]}"

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self.process.kill()
            self.process.wait()


class ConsumerDriver(ClientDriver):
    """The same for a consumer (integration/consumer_driver.c); deliveries of `take` are in `.events`. hub: a Hub, or the
    port for requests."""

    program_name = "consumer_driver"

    @staticmethod
    def ports_of(hub):
        return (hub if isinstance(hub, int) else hub.requests,)
