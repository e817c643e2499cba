"""docs_readme: every command of README.md, run as it stands there. Only the ports are this test's own."""
import os
import re
import subprocess
import sys

import pytest

from support.daemons import BIN_DIR, ROOT, SANITIZER_REPORT
from support.readme import KINDS, blocks, blocks_of
from support.waiting import seconds, wait_until


def test_every_block_is_of_a_kind_that_some_test_runs():
    unknown = [(line, kind) for kind, _, line in blocks() if kind not in KINDS]
    assert not unknown, unknown
    assert {kind for kind, _, _ in blocks()} == KINDS, "each kind is still there"


def test_links_lead_somewhere():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        text = file.read()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("http") or os.path.exists(os.path.join(ROOT, target)), target
    tree = next(block for kind, block, _ in blocks() if kind == "text")
    for folder in re.findall(r"^(\S+/)", tree, re.M):
        assert os.path.isdir(os.path.join(ROOT, folder)), folder
    for name in re.findall(r"`(deploy/up|tests/run)((?: --[a-z-]+)*)", text):
        shown = subprocess.run([os.path.join(ROOT, name[0]), "--help"], capture_output=True, text=True, check=True).stdout
        for flag in name[1].split():
            assert flag in shown, (name[0], flag)


class Shell:
    """Runs blocks with the ports of this test's daemons in the place of the default ones."""

    def __init__(self, hub, gateway, home):
        self.ports = {"8080": gateway.port, "4245": hub.collector, "4246": hub.publisher, "4247": hub.requests}
        self.env = {**{k: v for k, v in os.environ.items() if not k.startswith("NOTIFYHUB_")}, "HOME": str(home)}
        for name in ("COLLECTOR", "PUBLISHER", "REQUESTS"):
            self.env[f"NOTIFYHUB_HUB_{name}_PORT"] = str(getattr(hub, name.lower()))
        # What the tour's first command sets up, for programs built elsewhere.
        self.setup = f'export PATH="{BIN_DIR}:$PATH"\n'

    def script(self, text):
        for default, port in self.ports.items():
            text = re.sub(rf"\b{default}\b", str(port), text)
        return self.setup + "set -eo pipefail\n" + text

    def run(self, text):
        done = subprocess.run(["bash", "-c", self.script(text)], cwd=ROOT, env=self.env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=seconds(60), check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        return done.stdout

    def watch(self, text, path):
        with open(path, "wb") as out:
            return subprocess.Popen(["bash", "-c", self.script("exec " + text)], cwd=ROOT, env=self.env, stdout=out,
                                    stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)


@pytest.fixture
def shell(hub, gateway, tmp_path):
    return Shell(hub, gateway, tmp_path)


def test_the_tour(shell, tmp_path, hub):
    """All watchers at once, then all other commands; each watcher sees the events of each door."""
    watchers = []
    try:
        for i, (_, text, line) in enumerate(blocks_of("sh watch")):
            watchers.append((line, shell.watch(text, tmp_path / f"watch{i}"), tmp_path / f"watch{i}"))
        assert len(watchers) >= 3

        def ready():
            # Whoever subscribes from now on needs its connection first: publish until everybody has seen one.
            shell.run("""curl -sS localhost:8080/events -d '{"event_type":"new_probe","data":{}}'\n"""
                      """curl -sS localhost:8080/events -d '{"event_type":"new_setup","data":"probe"}'""")
            return all(b"probe" in path.read_bytes() for _, _, path in watchers)

        wait_until(ready, 30, lambda: [path.read_text() for _, _, path in watchers], poll=0.2)
        ran = 0
        for _, text, line in blocks_of("sh"):
            out = shell.run(text)
            assert out or text.startswith(("export", "/usr/bin/python3")), f"line {line} prints something"
            ran += text.count("curl ") + text.count("notifyhub ")
        assert ran >= 15
        setups = ["0001234", "0001236", "0001237"]  # by curl, by PUSH, by the command
        for line, process, path in watchers:
            wait_until(lambda path=path: all(s in path.read_text() for s in setups), 30,
                       lambda path=path, line=line: f"README line {line}: {path.read_text()}")
            assert process.poll() is None, f"line {line} goes on until it is interrupted"
            text = path.read_text()
            assert [text.index(s) for s in setups] == sorted(text.index(s) for s in setups), "in order"
    finally:
        for _, process, _ in watchers:
            process.terminate()
            process.wait(seconds(20))


def test_answers_are_as_described(shell):
    by_text = {text: shell.run(text) for _, text, _ in blocks_of("sh")}
    mistakes = next(out for text, out in by_text.items() if "oops" in text)
    assert '"accepted":2' in mistakes and '"code":"bad_json"' in mistakes and '"offset"' in mistakes
    first = next(out for text, out in by_text.items() if "0001234" in text)
    assert re.search(r'"seq":\d+,"epoch":"[a-z2-7]{8}"', first) and '"durability":"synced"' in first
    again = next(out for text, out in by_text.items() if "order-17" in text)
    assert again.count('"seq"') == 2 and again.count('"duplicate":true') == 1, again
    group = next(out for text, out in by_text.items() if "/groups/billing/fetch" in text)
    assert '"delivery"' in group and "order.created" in group, group
    well = next(out for text, out in by_text.items() if "/metrics" in text)
    assert "notifyhub_" in well and well.count("healthy") == 2


def test_deploy_up_installs_what_the_tour_runs():
    """A bare Debian has no curl and no python3-zmq."""
    tour = "".join(text for _, text, _ in blocks_of("sh", "sh watch"))
    commands = set(re.findall(r"(?:^|\| )([\w./-]+) ", re.sub(r"'[^']*'", "''", tour), re.M))
    modules = set(re.findall(r"\w+", " ".join(re.findall(r"^import (.*)$", tour, re.M)))) - sys.stdlib_module_names
    known = {"curl": "curl", "/usr/bin/python3": "python3", "zmq": "python3-zmq"}
    foreign = (commands | modules) - {"export", "printf", "notifyhub", "notifyhub-hub"}
    assert foreign == set(known), foreign
    done = subprocess.run(["bash", "-c", '. deploy/packages.sh && printf "%s\\n" "${packages_tour[@]}"'], cwd=ROOT,
                          capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == set(known.values())
    with open(os.path.join(ROOT, "deploy", "up"), encoding="utf-8") as file:
        assert re.search(r"^ *install_packages\b.* tour\b", file.read(), re.M)


def test_the_two_commands():
    """They are run for real in test_deploy_up.py, and by whoever runs this test; here: they are what README says."""
    assert [text for _, text, _ in blocks_of("sh up")] == ["deploy/up\n"]
    assert [text for _, text, _ in blocks_of("sh tests")] == ["tests/run\n"]


def test_building_and_installing(tmp_path):
    """Presets and install for real, against the tree that is under test: building it again would not show more."""
    presets = {kind: subprocess.run(["cmake", f"--list-presets={kind}"], cwd=ROOT, capture_output=True, text=True,
                                    check=True).stdout for kind in ("configure", "build", "test")}
    build = os.environ.get("NHUB_BUILD_DIR") or os.path.dirname(BIN_DIR)
    for _, text, _ in blocks_of("sh build"):
        for command in text.splitlines():
            kind = {"cmake --preset": "configure", "cmake --build --preset": "build", "ctest --preset": "test"}
            for start, presets_of in kind.items():
                if command.startswith(start):
                    assert f'"{command.split()[start.count(" ") + 1]}"' in presets[presets_of], command
                    break
            else:
                assert command.startswith("cmake --install build/release --prefix ~/.local"), command
                command = command.replace("build/release", build)
                done = subprocess.run(["bash", "-c", command], cwd=ROOT, env={**os.environ, "HOME": str(tmp_path)},
                                      capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
    for path in ("bin/notifyhub", "bin/notifyhub-hub", "bin/notifyhub-gateway", "include/notifyhub/notifyhub.h",
                 "share/notifyhub/web/index.html"):
        assert os.path.exists(tmp_path / ".local" / path), path
