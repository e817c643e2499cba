"""notifyhub top: the overview in a real terminal (tmux), and as one page of text."""
import json
import os
import shlex
import subprocess

import pytest

from support.cli import RunningCommand, hub_env, notifyhub
from support.daemons import BIN_DIR
from support.http import get, post, request
from support.sse import SseReader
from support.waiting import wait_until
from support.zmq_clients import Push


class Terminal:
    """`notifyhub top` in a tmux server of its own."""

    def __init__(self, folder, environment, *arguments, width=110, height=30):
        self.socket = str(folder / "tmux.sock")
        command = shlex.join([os.path.join(BIN_DIR, "notifyhub"), "top", *arguments])
        status = folder / "status"
        self.status_file = status
        script = f"{command}; echo $? > {shlex.quote(str(status))}; exec sleep 600"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-s", "top", "-x", str(width), "-y", str(height), script,
                  environment={**os.environ, **environment, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"})

    def tmux(self, *arguments, environment=None):
        return subprocess.run(["tmux", "-u", "-S", self.socket, *arguments], env=environment, capture_output=True, text=True,
                              check=True).stdout

    @property
    def screen(self):
        return self.tmux("capture-pane", "-p", "-t", "top")

    def press(self, *keys):
        self.tmux("send-keys", "-t", "top", *keys)

    def wait_for(self, *texts):
        wait_until(lambda: all(text in self.screen for text in texts), 30, lambda: self.screen)
        return self.screen

    def exit_status(self):
        wait_until(lambda: self.status_file.exists() and self.status_file.read_text(encoding="ascii").strip() != "", 30,
                   lambda: self.screen)
        return int(self.status_file.read_text(encoding="ascii"))

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def open_terminal(tmp_path, hub):
    opened = []

    def start(*arguments, **size):
        opened.append(Terminal(tmp_path, hub_env(hub), *arguments, **size))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def line(screen, name):
    return next((text for text in screen.splitlines() if text.startswith(name)), "")


def test_the_terminal_shows_what_happens(open_terminal, hub, gateway):
    terminal = open_terminal("--gateway", gateway.url, "--interval", "200ms")
    terminal.wait_for("ready", "running", "every 0.2 s", "q quit")
    with SseReader(gateway.port):
        wait_until(lambda: line(terminal.screen, "  SSE").split()[1:2] == ["1"], 30, lambda: terminal.screen)

        def moves():
            post(gateway.port, "/events", {"event_type": "top"})
            words = line(terminal.screen, "  SSE").split()
            return len(words) > 3 and words[3] != "0"

        wait_until(moves, 30, lambda: terminal.screen)
    seq = get(gateway.port, "/stats").json["hub"]["seq"]
    terminal.wait_for(f"-{seq} ")
    hub.kill()
    terminal.wait_for("not ready, no hub", "it does not answer")
    hub.start()
    wait_until(lambda: line(terminal.screen, "gateway").split()[1:2] == ["ready"], 30, lambda: terminal.screen)
    terminal.press("q")
    assert terminal.exit_status() == 0


def test_keys(open_terminal, hub, gateway):
    terminal = open_terminal("--gateway", gateway.url, "--interval", "1s", width=80, height=12)
    terminal.wait_for("every 1 s")
    terminal.press("+")
    terminal.wait_for("every 0.5 s")
    terminal.press("-")
    terminal.press("-")
    terminal.wait_for("every 2 s")
    terminal.press("p")
    terminal.wait_for("paused")
    post(gateway.port, "/events", {"event_type": "top"})
    terminal.press("p")
    terminal.press("Space")
    terminal.wait_for("every 2 s", "-1 ")
    terminal.tmux("resize-window", "-t", "top", "-x", "60", "-y", "8")
    terminal.wait_for("q quit")
    terminal.press("C-c")
    assert terminal.exit_status() == 0


def test_a_gateway_that_goes_away(open_terminal, hub, gateway):
    terminal = open_terminal("--gateway", gateway.url, "--interval", "200ms")
    terminal.wait_for("ready", "running")
    gateway.kill()  # a stop may still tell that it drains
    screen = terminal.wait_for("no answer for")
    assert "gateway       ready" in screen, "the old figures stay"
    gateway.start()
    wait_until(lambda: "no answer for" not in terminal.screen, 30, lambda: terminal.screen)


def test_the_hub_alone(open_terminal, hub):
    terminal = open_terminal("--interval", "200ms")
    screen = terminal.wait_for("hub  ", "running", "native subscriptions 0")
    assert "gateway" not in screen


def test_one_page_of_text(hub, gateway):
    post(gateway.port, "/events", {"event_type": "top"})
    done = notifyhub(hub, "top", "--once", "--interval", "100ms", "--gateway", gateway.url)
    assert done.returncode == 0 and done.stderr == ""
    assert "gateway       ready" in done.stdout and "WebSocket" in done.stdout and "ZeroMQ" in done.stdout
    assert "\x1b" not in done.stdout
    done = notifyhub(hub, "top", "--once", "--interval", "100ms")
    assert done.returncode == 0 and "received 1 " in done.stdout


def json_lines(command, wanted):
    """The lines so far, when one of them is as wanted."""
    lines = [json.loads(text) for text in command.lines]
    return lines if any(wanted(found) for found in lines) else None


def test_lines_of_json(hub, gateway):
    with RunningCommand(hub, "top", "--json", "--interval", "100ms", "--gateway", gateway.url) as command:
        with SseReader(gateway.port):
            def arrives():
                post(gateway.port, "/events", {"event_type": "top"})
                return json_lines(command, lambda found: found["out_per_s"] and found["in_per_s"] and found["doors"]["sse"]["subscribers"] == 1)

            wait_until(arrives, 30, lambda: command.lines[-3:])
        assert post(gateway.port, "/events", "{nonsense").status == 400
        wait_until(lambda: json_lines(command, lambda found: found["gateway"]["refused"].get("bad_json") == 1), 30, lambda: command.lines[-3:])
        with Push(hub) as push:
            push.send('{"event_type":"native","source_service":"t","data":1}')
            wait_until(lambda: json_lines(command, lambda found: found["doors"]["zeromq"]["in_per_s"]), 30, lambda: command.lines[-3:])
        hub.kill()
        wait_until(lambda: json_lines(command, lambda found: found["hub"] is None and found["in_per_s"] is None), 30, lambda: command.lines[-3:])
        gateway.stop()
        wait_until(lambda: json_lines(command, lambda found: "error" in found), 30, lambda: command.lines[-3:])
        command.interrupt()
        assert command.wait() == 0 and command.errors == []


def test_one_line_of_json(hub, gateway):
    post(gateway.port, "/events", {"event_type": "top"})
    done = notifyhub(hub, "top", "--once", "--json", "--interval", "100ms")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and done.stdout.count("\n") == 1
    assert found["gateway"] is None and found["hub"]["received"] == 1 and 0.05 < found["interval_s"] and list(found["doors"]) == ["zeromq"]


def test_the_lag_of_groups(hub, gateway):
    post(gateway.port, "/events", {"event_type": "job"})
    assert request(gateway.port, "PUT", "/groups/workers", {"event_type": ["job"], "since": "earliest"}).status in (200, 201)

    def figures():
        return json.loads(notifyhub(hub, "top", "--once", "--json", "--interval", "100ms", "--gateway", gateway.url).stdout)["hub"]["groups"]

    assert figures() == {"count": 1, "lag": 1, "pending": 0, "dead_letters": 0}


def test_wrong_use(hub, gateway):
    assert notifyhub(hub, "top", "--interval", "1ms").returncode == 2
    assert notifyhub(hub, "top", "now").returncode == 2
    assert notifyhub(hub, "top", "--once", "--gateway", "not a url").returncode == 2
    done = notifyhub(hub, "top")
    assert done.returncode == 1 and "needs a terminal" in done.stderr
    gateway.stop()
    done = notifyhub(hub, "top", "--once", "--gateway", gateway.url)
    assert done.returncode == 3 and "cannot read the figures" in done.stderr
