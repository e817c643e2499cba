# ctest: timeout=400
"""--help: it exists for every command, and its examples work when they are run."""
import os
import re
import shutil
import subprocess

import pytest

from support.cli import hub_env, notifyhub
from support.daemons import BIN_DIR, SANITIZER_REPORT
from support.waiting import seconds
from support.zmq_clients import Dealer, event

COMMANDS = ["pub", "sub", "history", "consume", "groups", "health", "status", "stop", "top", "bench"]
OFFLINE = ["journal"]  # its examples run in test_cli_journal.py


def examples(text):
    block = text.split("\nExamples:\n", 1)[1].split("\n\n", 1)[0]
    lines = [line.strip() for line in block.splitlines()]
    assert lines and all("notifyhub" in line for line in lines), lines
    return lines


def test_the_overview_names_every_command():
    done = notifyhub(None, "--help")
    assert done.returncode == 0 and done.stderr == ""
    for command in COMMANDS + OFFLINE:
        assert re.search(rf"^  {command} +\w", done.stdout, re.M), command
    assert notifyhub(None).returncode == 2
    assert notifyhub(None, "dance").returncode == 2
    assert re.fullmatch(r"notifyhub \d+\.\d+\.\d+\n", notifyhub(None, "--version").stdout)


@pytest.mark.parametrize("command", COMMANDS + OFFLINE)
def test_each_command_explains_itself(command):
    done = notifyhub(None, command, "--help")
    assert done.returncode == 0 and done.stderr == ""
    for part in (f"Usage: notifyhub {command} ", "--hub HOST", "--gateway URL", "--timeout TIME", "Examples:", "Exit status:"):
        assert part in done.stdout, part
    lines = done.stdout.splitlines()
    assert max(len(line) for line in lines) <= 110
    assert not [line for line in lines if line != line.rstrip()]
    assert "(null)" not in done.stdout
    # Each status once, with a sign between two of them.
    statuses = done.stdout.split("\nExit status:\n", 1)[1].split()
    numbers = [word for word in statuses if re.fullmatch(r"\d", word)]
    assert numbers[0] == "0" and sorted(set(numbers)) == numbers
    assert " ".join(statuses).count(" · ") == len(numbers) - 1


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_work(command, hub, gateway, tmp_path):
    """With the ports of this test: those of the hub from the environment, the gateway's in the URL."""
    if command == "stop":
        hub.expected_exit = 0
    with Dealer(hub) as dealer:
        types = ("new_setup", "sensor.lab", "order.1", "alarm")
        dealer.publish(*[event(types[n % 4], n) for n in range(100)])
    for line in examples(notifyhub(None, command, "--help").stdout):
        if "jq" in line and not shutil.which("jq"):
            line = re.sub(r"\| jq.*", "| cat", line)
        line = line.replace("http://localhost:8080", gateway.url).replace("--requests-port 6127", "")
        line = line.replace(" --requests-port 6127", "").replace("--events 100000", "--events 1000")
        # What would run until ctrl-C is ended by a time limit.
        if re.match(r"notifyhub sub", line) and "--timeout" not in line and "--count" not in line:
            line = line.replace("notifyhub sub", "notifyhub sub --timeout 1", 1)
        if "2026-03-01" in line:
            line = line.replace("2026-03-01", "2020-03-01")
        env = {"PATH": f"{BIN_DIR}:/usr/bin:/bin", "HOME": str(tmp_path), **hub_env(hub)}
        env.update({name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")})
        if command == "stop" and not hub.running:
            hub.start()
        done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, env=env,
                              timeout=seconds(60), check=False)
        allowed = (0, 1) if "--count" in line else (0,)
        assert done.returncode in allowed, (line, done.returncode, done.stdout[-500:], done.stderr[-2000:])
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
