"""daemons: the real programs under test, each with a temporary folder, its own free ports and its own logs.

Ports are picked by the kernel and *reserved* for the life of the test by a socket that is bound but never listens: with
SO_REUSEADDR on both sides the daemon can still bind and listen there, may be stopped and started again on the same
port, and meanwhile no other process can be given it, not even as the local port of an outgoing connection.

A Daemon asserts at the end (`finish`) that it ended as the test expected and that its stderr shows no sanitizer report.
"""
import os
import re
import shlex
import signal
import socket
import subprocess

from .waiting import seconds, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN_DIR = os.environ.get("NHUB_BIN_DIR") or os.path.join(ROOT, "build", "release", "bin")
# A command in front of each daemon, for example valgrind with its flags.
WRAPPER = shlex.split(os.environ.get("NHUB_TEST_WRAPPER", ""))

SANITIZER_REPORT = re.compile(
    r"ERROR: \w+Sanitizer|WARNING: \w+Sanitizer|SUMMARY: \w+Sanitizer|: runtime error: |Assertion .* failed"
    r"|\*\*\* stack smashing|free\(\): |malloc\(\): |double free|terminate called")


def program(name):
    """The path of one of our programs: "notifyhub-hub", "notifyhub-gateway", "notifyhub"."""
    return os.path.join(BIN_DIR, name)


class ReservedPort:
    """A free TCP port on loopback that stays ours until close()."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number = self._socket.getsockname()[1]

    def close(self):
        self._socket.close()


class Daemon:
    """One run (or several, one after the other) of a daemon. Subclasses know flags and ready lines.

    Attributes: `args` (flags, changed freely before a start()), `env`, `folder`, `stdout_path`, `stderr_path`,
    `ready_line`, `pid`, `returncode`, `expected_exit` (a status, a tuple of them, or None for "whatever").
    """

    program_name = ""
    ready_pattern = re.compile(r"^ready .*$", re.M)

    def __init__(self, folder, args=(), env=None):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.args = list(args)
        self.env = dict(env or {})
        self.process = None
        self.ready_line = None
        self.expected_exit = 0
        self.runs = 0
        self.stdout_path = self.stderr_path = None
        self._ended = []  # (returncode, expected, stderr path) of the runs that are over

    # --- life ---

    def command(self):
        return [*WRAPPER, program(self.program_name), *self.args]

    def spawn(self):
        """Starts the process and does not wait for anything. For starts that are meant to fail, and for races."""
        assert self.process is None or self.returncode is not None, "it still runs"
        self._note_end()
        self.runs += 1
        self.stdout_path = os.path.join(self.folder, f"stdout.{self.runs}")
        self.stderr_path = os.path.join(self.folder, f"stderr.{self.runs}")
        self.ready_line = None
        self.expected_exit = 0
        env = {k: v for k, v in os.environ.items() if not k.startswith("NOTIFYHUB_") and k != "NOTIFY_SOCKET"}
        env.update(self.env)
        with open(self.stdout_path, "wb") as out, open(self.stderr_path, "wb") as err:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            cwd=self.folder, env=env)
        return self

    def start(self, limit=15):
        """Starts the process and waits for its ready line."""
        self.spawn()
        self.wait_ready_line(limit)
        return self

    def wait_ready_line(self, limit=15):
        def look():
            match = self.ready_pattern.search(self.stdout)
            if not match and self.process.poll() is not None:
                raise AssertionError(f"{self.program_name} ended with {self.process.returncode} before it was ready:\n"
                                     f"{self.stderr[-4000:]}")
            return match

        match = wait_until(look, limit, lambda: f"ready line of {self.program_name}; stderr:\n{self.stderr[-4000:]}")
        self.ready_line = match.group(0)
        self.on_ready(match)

    def on_ready(self, match):
        """For subclasses: reads the ports out of the ready line."""

    def restart(self, limit=15):
        """Stops it if it still runs, and starts it again with the same ports."""
        if self.running:
            self.stop()
        return self.start(limit)

    def signal(self, number):
        # A wrapper such as valgrind execs or runs the program inside its own process: the pid is the same.
        self.process.send_signal(number)

    def stop(self, limit=30, expect=0):
        """SIGTERM, then waits for an orderly end with this exit status."""
        self.expected_exit = expect
        self.signal(signal.SIGTERM)
        return self.wait(limit, expect)

    def kill(self):
        """SIGKILL: an unclean death, which the test wants."""
        self.expected_exit = -signal.SIGKILL
        self.signal(signal.SIGKILL)
        return self.wait(10, -signal.SIGKILL)

    def pause(self):
        """SIGSTOP: the process is there and does not answer, like a machine that hangs. Waits until it has stopped."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: self._state() == "T", 10, "the process to stop")

    def resume(self):
        self.signal(signal.SIGCONT)

    def wait(self, limit=30, expect=0):
        """Waits until it has ended by itself, and asserts its exit status (None: any)."""
        self.expected_exit = expect
        try:
            self.process.wait(seconds(limit))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.program_name} did not end within {seconds(limit):.0f} s; stderr:\n"
                                 f"{self.stderr[-4000:]}") from None
        self._check(self.process.returncode, expect, self.stderr_path)
        return self.process.returncode

    # --- looks ---

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def returncode(self):
        return self.process.poll() if self.process else None

    @property
    def pid(self):
        return self.process.pid

    @property
    def stdout(self):
        return _read(self.stdout_path)

    @property
    def stderr(self):
        return _read(self.stderr_path)

    def wait_log(self, pattern, limit=10):
        """Waits until a line of the log (stderr) matches the regular expression; returns the match."""
        compiled = re.compile(pattern, re.M)
        return wait_until(lambda: compiled.search(self.stderr), limit,
                          lambda: f"{pattern!r} in the log:\n{self.stderr[-4000:]}")

    def rss_kib(self):
        """Resident memory in KiB."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"^VmRSS:\s+(\d+)", status.read(), re.M).group(1))

    def anon_kib(self):
        """Resident memory without mapped files, in KiB: pages of a journal on disk come and go as the kernel likes."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"^RssAnon:\s+(\d+)", status.read(), re.M).group(1))

    def open_files(self):
        """How many descriptors the process has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def _state(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0]

    # --- end of the test ---

    def finish(self):
        """Ends what still runs (politely first) and checks every run. Called by the fixtures."""
        problems = []
        if self.running:
            try:
                self.signal(signal.SIGCONT)
                self.stop()
            except AssertionError as error:
                problems.append(str(error))
                if self.running:
                    self.process.kill()
                    self.process.wait()
        self._note_end()
        for returncode, expected, path in self._ended:
            try:
                self._check(returncode, expected, path)
            except AssertionError as error:
                problems.append(str(error))
        self._ended = []
        assert not problems, "\n".join(dict.fromkeys(problems))

    def _note_end(self):
        if self.process is not None:
            self._ended.append((self.process.returncode, self.expected_exit, self.stderr_path))
            self.process = None

    def _check(self, returncode, expected, stderr_path):
        log = _read(stderr_path)
        report = SANITIZER_REPORT.search(log)
        if report:
            start = max(0, report.start() - 500)
            raise AssertionError(f"{self.program_name}: a sanitizer report or abort:\n{log[start:start + 8000]}")
        allowed = expected if isinstance(expected, tuple) else (expected,)
        if expected is not None and returncode not in allowed:
            raise AssertionError(f"{self.program_name} ended with {returncode}, expected {expected}; stderr:\n{log[-4000:]}")


class Hub(Daemon):
    """notifyhub-hub. After start(): `collector`, `publisher`, `requests` (ports), `epoch`.

    Its journal is on, as by default, in a folder of its own that outlives restarts: `journal_folder`. A test of what a
    hub does in memory alone says "--hub-journal-enabled", "false"; one that wants another folder says --hub-journal-path.
    With any_port=True it is started with port 0 and finds its own ports; otherwise on three reserved ones.
    """

    program_name = "notifyhub-hub"
    ready_pattern = re.compile(
        r"^ready hub collector=(\d+) publisher=(\d+) requests=(\d+) epoch=([a-z][a-z2-7]{7})$", re.M)

    def __init__(self, folder, args=(), env=None, any_port=False):
        super().__init__(folder, args, env)
        self._reserved = [] if any_port else [ReservedPort() for _ in range(3)]
        self.collector, self.publisher, self.requests = [p.number for p in self._reserved] or (0, 0, 0)
        self.epoch = None
        self.journal_folder = os.path.join(self.folder, "data")

    def command(self):
        ports = ["--hub-collector-port", str(self.collector), "--hub-publisher-port", str(self.publisher),
                 "--hub-requests-port", str(self.requests), "--hub-journal-path", self.journal_folder]
        return [*WRAPPER, program(self.program_name), *ports, *self.args]

    def on_ready(self, match):
        self.collector, self.publisher, self.requests = (int(match.group(i)) for i in (1, 2, 3))
        self.epoch = match.group(4)

    def finish(self):
        try:
            super().finish()
        finally:
            for port in self._reserved:
                port.close()


class Gateway(Daemon):
    """notifyhub-gateway. After start(): `port` (HTTP, SSE, WebSocket), `hub_state` ("connected" or "waiting"), `url`."""

    program_name = "notifyhub-gateway"
    ready_pattern = re.compile(r"^ready gateway http=(\d+) hub=(connected|waiting)$", re.M)

    def __init__(self, folder, hub, args=(), env=None, any_port=False):
        """hub: a Hub (running or not), or a tuple (collector, publisher, requests) of ports."""
        super().__init__(folder, args, env)
        self.hub = hub
        self._reserved = None if any_port else ReservedPort()
        self.port = 0 if any_port else self._reserved.number
        self.hub_state = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self):
        return f"ws://127.0.0.1:{self.port}"

    def command(self):
        hub = self.hub if isinstance(self.hub, tuple) else (self.hub.collector, self.hub.publisher, self.hub.requests)
        flags = ["--gateway-listen", f"127.0.0.1:{self.port}", "--gateway-hub-host", "127.0.0.1",
                 "--hub-collector-port", str(hub[0]), "--hub-publisher-port", str(hub[1]),
                 "--hub-requests-port", str(hub[2])]
        if not any(a.startswith("--gateway-drain-s") for a in self.args):
            flags += ["--gateway-drain-s", "0"]  # tests that look at the paced end ask for it
        return [*WRAPPER, program(self.program_name), *flags, *self.args]

    def on_ready(self, match):
        self.port = int(match.group(1))
        self.hub_state = match.group(2)

    def wait_connected(self, limit=15):
        """Waits until /health/ready says 200: the link to the hub works in both directions."""
        from .http import get

        def look():
            assert self.running, f"the gateway ended with {self.returncode}:\n{self.stderr[-4000:]}"
            try:
                return get(self.port, "/health/ready").status == 200
            except OSError:
                return False

        wait_until(look, limit, lambda: f"the gateway to be ready; its log:\n{self.stderr[-4000:]}")
        return self

    def wait_unready(self, limit=10):
        """Waits until /health/ready says 503: the gateway has noticed that the hub is away, or is about to end."""
        from .http import get

        return wait_until(lambda: (lambda a: a if a.status == 503 else None)(get(self.port, "/health/ready")), limit,
                          lambda: f"the gateway to be not ready; its log:\n{self.stderr[-4000:]}")

    def finish(self):
        try:
            super().finish()
        finally:
            if self._reserved:
                self._reserved.close()


def run_program(name, *args, input_text=None, limit=30, env=None, cwd=None):
    """Runs one of our programs to its end; returns subprocess.CompletedProcess with text. A sanitizer report fails."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("NOTIFYHUB_")}
    clean.update(env or {})
    done = subprocess.run([program(name), *map(str, args)], input=input_text, capture_output=True, text=True,
                          timeout=seconds(limit), env=clean, cwd=cwd, check=False)
    assert not SANITIZER_REPORT.search(done.stderr), done.stderr[:8000]
    return done


def _read(path):
    if path is None or not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
