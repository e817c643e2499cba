"""deploy_systemd: the units' command lines, run for real with the test in the place of systemd, and the units themselves
looked at by systemd's own tools."""
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess

import pytest

from support.daemons import BIN_DIR, ROOT, Daemon, Gateway, Hub
from support.waiting import seconds, wait_until

UNITS = os.path.join(ROOT, "deploy", "systemd")
NAMES = ["notifyhub-hub", "notifyhub-gateway"]


def read_unit(name):
    """{section: {key: [values]}} of a unit file."""
    sections, current = {}, None
    with open(os.path.join(UNITS, name + ".service"), encoding="utf-8") as file:
        for line in file.read().replace("\\\n", " ").splitlines():
            if line.startswith("["):
                current = sections.setdefault(line.strip("[]"), {})
            elif line and line[0] not in "#;":
                key, value = line.split("=", 1)
                current.setdefault(key, []).append(value)
    return sections


class Supervisor:
    """systemd's end of sd_notify(3)."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.lines = []

    def read(self):
        while True:
            try:
                self.lines += self.socket.recv(65536).decode("utf-8").splitlines()
            except BlockingIOError:
                return self.lines

    def wait(self, line, count=1, limit=20):
        wait_until(lambda: self.read().count(line) >= count, limit, lambda: f"{count} x {line}; came: {self.lines}")


@pytest.fixture
def supervisor(tmp_path):
    end = Supervisor(tmp_path)
    yield end
    end.socket.close()


def as_unit(name, folder, supervisor, ready):
    """A Daemon with the unit's ExecStart, in which only the installed paths stand for those of this test."""
    service = read_unit(name)["Service"]
    assert len(service["ExecStart"]) == 1
    state = folder / "state"
    state.mkdir(exist_ok=True)
    words = []
    for word in shlex.split(service["ExecStart"][0]):
        word = re.sub(r"^/usr/bin(?=/)", BIN_DIR, word)
        word = word.replace("/etc/notifyhub/notifyhub.yaml", os.path.join(ROOT, "deploy", "config", "notifyhub.yaml"))
        words.append(word.replace(f"/var/lib/{name}", str(state)))
    unit = Daemon(folder / name, env={
        "NOTIFY_SOCKET": supervisor.path, "WATCHDOG_USEC": "400000", "NOTIFYHUB_HUB_COLLECTOR_PORT": "0",
        "NOTIFYHUB_HUB_PUBLISHER_PORT": "0", "NOTIFYHUB_HUB_REQUESTS_PORT": "0", "NOTIFYHUB_GATEWAY_LISTEN": "127.0.0.1:0",
        "NOTIFYHUB_GATEWAY_DRAIN_S": "0"})
    unit.program_name = name
    unit.command = lambda: words
    unit.ready_pattern = ready
    return unit


def start_unit(name, daemons, start_hub, tmp_path, supervisor):
    unit = as_unit(name, tmp_path, supervisor, (Hub if name == "notifyhub-hub" else Gateway).ready_pattern)
    if name == "notifyhub-gateway":
        hub = start_hub()
        unit.env.update({"NOTIFYHUB_HUB_COLLECTOR_PORT": str(hub.collector),
                         "NOTIFYHUB_HUB_PUBLISHER_PORT": str(hub.publisher), "NOTIFYHUB_HUB_REQUESTS_PORT": str(hub.requests)})
    daemons.append(unit)
    return unit.start()


@pytest.mark.parametrize("name", NAMES)
def test_ready_watchdog_reload_stop(name, daemons, start_hub, tmp_path, supervisor):
    unit = start_unit(name, daemons, start_hub, tmp_path, supervisor)
    supervisor.wait("READY=1")
    supervisor.wait("WATCHDOG=1", count=5)
    # ExecReload
    assert read_unit(name)["Service"]["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    unit.signal(signal.SIGHUP)
    supervisor.wait("RELOADING=1")
    supervisor.wait("READY=1", count=2)
    assert any(re.fullmatch(r"MONOTONIC_USEC=\d+", line) for line in supervisor.lines), "RELOADING needs its time"
    unit.stop()
    supervisor.wait("STOPPING=1")


@pytest.mark.parametrize("name", NAMES)
def test_a_daemon_that_hangs_is_silent(name, daemons, start_hub, tmp_path, supervisor):
    """The watchdog's sign of life comes from the loop: nothing comes from a process that hangs."""
    unit = start_unit(name, daemons, start_hub, tmp_path, supervisor)
    supervisor.wait("WATCHDOG=1")
    unit.pause()
    supervisor.read()
    seen = len(supervisor.lines)
    with pytest.raises(AssertionError):
        wait_until(lambda: len(supervisor.read()) > seen, 1 / max(1, seconds(1)), "a sign of life")
    unit.resume()
    supervisor.wait("WATCHDOG=1", count=supervisor.lines.count("WATCHDOG=1") + 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_configuration_is_no_reason_to_try_again_for_ever(name, tmp_path):
    service = read_unit(name)["Service"]
    unit = read_unit(name)["Unit"]
    assert service["Restart"] == ["on-failure"]
    assert int(unit["StartLimitBurst"][0]) <= 20 and int(unit["StartLimitIntervalSec"][0]) >= 30


@pytest.mark.parametrize("name", NAMES)
def test_times_fit(name):
    service = read_unit(name)["Service"]
    assert service["Type"] == ["notify"]
    assert int(service["WatchdogSec"][0]) >= 10, "the programs' own limit for a stuck loop is 10 s"
    assert int(service["TimeoutStopSec"][0]) > 10 + 5, "longer than gateway.drain_s"
    assert int(service["LimitNOFILE"][0]) == 65536


@pytest.mark.parametrize("name", NAMES)
def test_systemd_understands_the_units(name, tmp_path):
    text = open(os.path.join(UNITS, name + ".service"), encoding="utf-8").read()
    path = tmp_path / (name + ".service")
    path.write_text(text.replace("/usr/bin/notifyhub", BIN_DIR + "/notifyhub"), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if name in line]
    assert done.returncode == 0 and not complaints, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_the_units_are_hardened(name):
    assert shutil.which("systemd-analyze")
    done = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=20",
                           os.path.join(UNITS, name + ".service")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, "exposure over 2.0:\n" + done.stdout
    service = read_unit(name)["Service"]
    for key, value in {"DynamicUser": "yes", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "PrivateTmp": "yes",
                       "CapabilityBoundingSet": "", "MemoryDenyWriteExecute": "yes"}.items():
        assert service[key] == [value], key
