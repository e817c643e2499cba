"""cli: runs the notifyhub command against a hub or a gateway of a test."""
import os
import signal
import subprocess
import threading

from .daemons import SANITIZER_REPORT, program, run_program
from .waiting import seconds, wait_until


def hub_env(hub):
    """The environment that tells the command where the hub is."""
    ports = hub if isinstance(hub, tuple) else (hub.collector, hub.publisher, hub.requests)
    return {f"NOTIFYHUB_HUB_{name}_PORT": str(port) for name, port in zip(("COLLECTOR", "PUBLISHER", "REQUESTS"), ports)}


def notifyhub(hub, *args, input_text=None, limit=30, env=None):
    """Runs `notifyhub ARGS` to its end; hub may be None (then only the flags count)."""
    return run_program("notifyhub", *args, input_text=input_text, limit=limit,
                       env={"NO_COLOR": "", **({} if hub is None else hub_env(hub)), **(env or {})})


class RunningCommand:
    """A command that runs beside the test: `lines` and `errors` grow; interrupt() is ctrl-C; wait() gives its status."""

    def __init__(self, hub, *args, env=None):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("NOTIFYHUB_")}
        clean.update({**({} if hub is None else hub_env(hub)), **(env or {})})
        self.process = subprocess.Popen([program("notifyhub"), *map(str, args)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean, text=True)
        self.lines, self.errors = [], []
        self._threads = [threading.Thread(target=self._read, args=(self.process.stdout, self.lines), daemon=True),
                         threading.Thread(target=self._read, args=(self.process.stderr, self.errors), daemon=True)]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _read(stream, into):
        for line in stream:
            into.append(line.rstrip("\n"))

    def wait_error(self, part, limit=15):
        """Waits until a line on stderr contains this text."""
        return wait_until(lambda: any(part in line for line in self.errors), limit,
                          lambda: f"{part!r} on stderr: {self.errors}")

    def wait_lines(self, count, limit=15):
        wait_until(lambda: len(self.lines) >= count, limit, lambda: f"{count} lines: {self.lines} {self.errors}")
        return self.lines

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def wait(self, limit=15):
        status = self.process.wait(seconds(limit))
        for thread in self._threads:
            thread.join(10)
        errors = "\n".join(self.errors)
        assert not SANITIZER_REPORT.search(errors), errors
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
