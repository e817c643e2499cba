"""deploy_up: the one command to have everything running: starts, stops in order, and says clearly what is in the way.

Runs what the build under test has built (--no-install --no-build); that it also builds on a bare machine is checked by
running it there.
"""
import contextlib
import os
import pty
import re
import select
import signal
import socket
import subprocess
import time

import pytest

from support.daemons import BIN_DIR, ROOT
from support.http import get, post
from support.waiting import seconds, wait_until, within

UP = os.path.join(ROOT, "deploy", "up")
FREE_PORTS = ["--port", "0", "--hub-collector-port", "0", "--hub-publisher-port", "0", "--hub-requests-port", "0"]


def environment():
    env = {k: v for k, v in os.environ.items() if not k.startswith("NOTIFYHUB_")}
    return {**env, "NHUB_BUILD_DIR": os.path.dirname(BIN_DIR), "NOTIFYHUB_GATEWAY_DRAIN_S": "0"}


def up(*arguments, limit=60):
    """Runs deploy/up to its end."""
    return subprocess.run([UP, "--no-install", "--no-build", *arguments], env=environment(), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=seconds(limit), check=False)


def children(pid):
    """The daemons below a process: {name: pid}."""
    found = {}
    for line in subprocess.run(["ps", "-eo", "pid=,ppid=,comm="], capture_output=True, text=True, check=True).stdout.splitlines():
        child, parent, name = line.split(None, 2)
        if int(parent) == pid and name.startswith("notifyhub-"):
            found[name] = int(child)
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Up:
    """deploy/up in the background; `output` is what it has printed so far."""

    def __init__(self, folder, *arguments):
        self.path = folder / "up.out"
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen([UP, "--no-install", "--no-build", "--data", str(folder / "data"), *arguments],
                                            env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            start_new_session=True)

    @property
    def output(self):
        return self.path.read_text(encoding="utf-8")

    def wait_running(self):
        wait_until(lambda: "  stop            ctrl-C" in self.output or self.process.poll() is not None, 60,
                   lambda: self.output)
        assert self.process.poll() is None, self.output
        self.port = int(re.search(r"http://localhost:(\d+)/", self.output).group(1))
        self.daemons = children(self.process.pid)
        assert sorted(self.daemons) == ["notifyhub-gatew", "notifyhub-hub"], self.daemons
        return self

    def wait_end(self):
        self.process.wait(seconds(60))
        return self.process.returncode

    def finish(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.wait_end()


@pytest.fixture
def start_up(tmp_path):
    started = []

    def start(*arguments):
        started.append(Up(tmp_path, *(arguments or FREE_PORTS)))
        return started[-1]

    yield start
    for item in started:
        item.finish()


def assert_ended_in_order(output):
    order = re.findall(r"^stopping (\S+)$", output, re.M)
    assert order == ["notifyhub-gateway", "notifyhub-hub"], output
    assert output.rstrip().endswith("stopped"), output


def test_help_tells_ports_data_and_how_to_stop():
    done = up("--help")
    assert done.returncode == 0
    for text in ("8080", "4245", "4246", "4247", "--hub-collector-port", "--data DIR", "./data", "ctrl-C", "--config FILE"):
        assert text in done.stdout, text


def test_runs_and_stops_in_order(start_up):
    started = time.monotonic()
    running = start_up().wait_running()
    assert time.monotonic() - started < seconds(5), "a second start has nothing to do"
    assert post(running.port, "/events", {"event_type": "hello"}).status == 202
    assert b"<title>Notification Hub</title>" in get(running.port, "/").body
    assert "data directory" in running.output and "ctrl-C" in running.output
    running.process.send_signal(signal.SIGINT)
    assert running.wait_end() == 0, running.output
    assert_ended_in_order(running.output)
    assert not any(alive(pid) for pid in running.daemons.values())


def test_ctrl_c_in_a_terminal(tmp_path):
    """The terminal sends SIGINT to the whole foreground group; the order is kept nevertheless."""
    command = [UP, "--no-install", "--no-build", "--data", str(tmp_path), *FREE_PORTS]
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.execve(command[0], command, environment())
        finally:
            os._exit(127)
    output = b""
    pressed = False
    end = time.monotonic() + seconds(60)
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # the other side is closed
                break
            output += piece
        if b"stop            ctrl-C" in output and not pressed:
            os.write(terminal, b"\x03")
            pressed = True
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    text = output.decode("utf-8").replace("\r\n", "\n")
    assert os.waitstatus_to_exitcode(status) == 0, text
    assert_ended_in_order(text)


def test_a_line_broken_off_by_a_signal_is_said_again():
    """A terminal's write() ends with EINTR when ctrl-C arrives in the middle of it."""
    script = f"""
        set -e
        eval "$(grep '^say() ' {UP})"
        failures=$1
        printf() {{ if [ "$failures" -gt 0 ]; then failures=$((failures - 1)); return 1; fi; builtin printf "$@"; }}
        say a line
        say the next
    """
    for failures, expected in (("0", "a line\nthe next\n"), ("1", "a line\nthe next\n"), ("2", "the next\n")):
        done = subprocess.run(["bash", "-c", script, "bash", failures], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, expected), (failures, done)


@pytest.mark.parametrize("flag", ["--port", "--hub-collector-port", "--hub-publisher-port", "--hub-requests-port"])
def test_a_taken_port_is_named_with_its_flag(flag):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = up(*FREE_PORTS, flag, str(port))
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr and flag + " N" in done.stderr, done.stderr
    assert "ready" not in done.stdout, "nothing was started"


def test_all_taken_ports_are_named_at_once():
    flags = ["--hub-collector-port", "--hub-publisher-port", "--hub-requests-port", "--port"]
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in flags]
        done = up(*(word for flag, port in zip(flags, ports) for word in (flag, str(port))))
    told = re.findall(r"^error: port (\d+) is taken.*; choose another one with (\S+) N$", done.stderr, re.M)
    assert (done.returncode, told) == (1, [(str(port), flag) for flag, port in zip(flags, ports)]), done.stderr


@pytest.mark.parametrize("name", ["notifyhub-hub", "notifyhub-gateway"])
def test_a_dying_daemon_is_told_and_the_other_ends(start_up, name):
    running = start_up().wait_running()
    os.kill(running.daemons[name[:15]], signal.SIGKILL)
    assert running.wait_end() == 1
    assert f"error: {name} ended by itself with status 137; its last lines:" in running.output
    assert "    time=" in running.output, "the last lines of its log"
    assert not any(alive(pid) for pid in running.daemons.values())


def test_daemons_do_not_outlive_the_script(start_up):
    running = start_up().wait_running()
    running.process.kill()
    running.wait_end()
    wait_until(lambda: not any(alive(pid) for pid in running.daemons.values()), 30, "the daemons to end")


def test_configuration_file_and_flags(start_up, tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text("hub:\n  collector_port: 0\n  publisher_port: 0\n  requests_port: 0\n  source_service: mine\n"
                      "gateway:\n  listen: \"127.0.0.1:0\"\nlog:\n  format: json\n", encoding="utf-8")
    running = start_up("--config", str(config), "--log-level=debug").wait_running()
    assert '"level":"info"' in running.output.replace(" ", "")
    assert str(tmp_path / "data") in running.output


@pytest.mark.parametrize("arguments, status, text", [
    (["--bogus"], 2, "unknown option: --bogus"),
    (["--port"], 2, "--port needs a value"),
    (["--config", "/nonexistent.yaml"], 1, "cannot read the configuration file /nonexistent.yaml"),
    (["--hub-collector-port", "99999"], 2, "--hub-collector-port"),
    (["--hub-no-such-key", "1"], 2, "hub-no-such-key"),
])
def test_wrong_use(arguments, status, text):
    done = up(*arguments)
    assert done.returncode == status and text in done.stderr, (done.returncode, done.stderr)


def test_missing_packages_and_nobody_to_install_them():
    script = f"""
        . {ROOT}/deploy/packages.sh
        packages_run+=(no-such-package-anywhere)
        id() {{ echo 1000; }}
        command() {{ [ "$2" != sudo ] && builtin command "$@"; }}
        install_packages run
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "apt-get install --no-install-recommends" in done.stderr and "no-such-package-anywhere" in done.stderr


def test_nothing_missing_is_fast_and_silent():
    def look():
        started = time.monotonic()
        done = subprocess.run(["bash", "-c", f". {ROOT}/deploy/packages.sh && install_packages build run"],
                              capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        return time.monotonic() - started

    within(2, look)


def test_tests_run_help_and_mistakes():
    command = os.path.join(ROOT, "tests", "run")
    done = subprocess.run([command, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "--soak MINUTES" in done.stdout
    for wrong in (["--bogus"], ["--part", "nothing"], ["--jobs", "many"], ["--only"]):
        done = subprocess.run([command, *wrong], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and done.stderr.startswith("error: "), wrong
