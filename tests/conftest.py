"""Fixtures of the integration and end-to-end tests: the real daemons, and clients for every door.

    def test_it(start_hub, start_gateway):
        hub = start_hub()                              # or start_hub("--hub-stats-interval-s", "1")
        gateway = start_gateway(hub).wait_connected()
        with SseReader(gateway.port, "/events?event_type=a") as stream:
            stream.wait_open()
            assert post(gateway.port, "/events", {"event_type": "a", "data": {}}).status == 202
            assert stream.wait_events(1)[0]["event_type"] == "a"

Imports: `from support.http import get, post, request, raw, KeepAlive`, `from support.sse import SseReader`,
`from support.ws import WsClient`, `from support.zmq_clients import Push, Sub, Dealer, event`,
`from support.waiting import wait_until, seconds`, `from support.daemons import run_program, program, ReservedPort`.

Daemons have restart(), stop() (SIGTERM, exit status 0 expected), kill() (SIGKILL), pause() and resume() (SIGSTOP,
SIGCONT), wait(expect=…), wait_log(regex), stdout, stderr, rss_kib(). At the end of each test every daemon is stopped,
and the test fails if one ended in another way than expected or if a sanitizer wrote a report.

Environment: NHUB_BIN_DIR (default build/release/bin), NHUB_TEST_TIMEOUT_FACTOR (stretches all deadlines),
NHUB_TEST_WRAPPER (a command before each daemon, for example valgrind), NHUB_TEST_KEEP_LOGS=1 (prints daemons' logs of
failed tests in full).
"""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from support.daemons import BIN_DIR, Gateway, Hub, ReservedPort  # noqa: E402
from support.group_hub import GroupHub  # noqa: E402

sys.dont_write_bytecode = True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Lets the fixtures see whether the test failed, and shows the daemons' logs with a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        tail = None if os.environ.get("NHUB_TEST_KEEP_LOGS") else 60
        for daemon in getattr(item, "nhub_daemons", []):
            lines = daemon.stderr.splitlines()
            text = "\n".join(lines if tail is None else lines[-tail:])
            report.sections.append((f"log of {daemon.program_name} ({call.when})", text))


class _Started:
    """What a test started, ended in the reverse order."""

    def __init__(self, item):
        self.daemons = []
        item.nhub_daemons = self.daemons

    def finish(self):
        problems = []
        for daemon in reversed(self.daemons):
            try:
                daemon.finish()
            except AssertionError as error:
                problems.append(str(error))
        if problems:
            pytest.fail("\n\n".join(problems), pytrace=False)


@pytest.fixture
def daemons(request):
    """The list of this test's daemons; a test that makes a Daemon by hand appends it here."""
    started = _Started(request.node)
    yield started.daemons
    started.finish()


@pytest.fixture
def start_hub(daemons, tmp_path):
    """start_hub(*flags, env=…, any_port=False, wait=True) -> Hub that is ready (wait=False: not even started).

    any_port=True starts it with port 0 for all three sockets; otherwise it gets three reserved free ports."""
    def start(*flags, env=None, any_port=False, wait=True):
        hub = Hub(tmp_path / f"hub{len(daemons)}", flags, env, any_port)
        daemons.append(hub)
        return hub.start() if wait else hub
    return start


@pytest.fixture
def start_gateway(daemons, tmp_path):
    """start_gateway(hub, *flags, env=…, any_port=False, wait=True) -> Gateway that printed its ready line.

    hub: a Hub, which may be down, or (collector, publisher, requests). Call .wait_connected() to wait for the link.
    gateway.drain_s is 0 unless a flag says otherwise, so that tests end at once."""
    def start(hub, *flags, env=None, any_port=False, wait=True):
        gateway = Gateway(tmp_path / f"gateway{len(daemons)}", hub, flags, env, any_port)
        daemons.append(gateway)
        return gateway.start() if wait else gateway
    return start


@pytest.fixture
def hub(start_hub):
    """A hub with default settings."""
    return start_hub()


@pytest.fixture
def gateway(hub, start_gateway):
    """A gateway with default settings, connected to `hub`."""
    return start_gateway(hub).wait_connected()


@pytest.fixture
def reserve_port():
    """reserve_port() -> the number of a free port that nobody else gets during this test."""
    ports = []

    def reserve():
        ports.append(ReservedPort())
        return ports[-1].number

    yield reserve
    for port in ports:
        port.close()


@pytest.fixture
def stand_in(reserve_port):
    """stand_in() -> a GroupHub (support/group_hub.py) at stand_in.ports; again, after its close(), a new one there."""
    hubs = []
    ports = tuple(reserve_port() for _ in range(3))

    def start():
        hubs.append(GroupHub(ports))
        return hubs[-1]

    start.ports = ports
    yield start
    for hub in hubs:
        hub.close()


def pytest_report_header(config):
    del config
    return f"programs under test: {BIN_DIR}"
