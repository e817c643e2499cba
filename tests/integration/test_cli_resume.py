# ctest: timeout=600
"""`notifyhub sub` and `history` over restarts of hub and gateway, and every form of --since, at both doors: nothing
twice, nothing missing, and what is not to be had any more is told on stderr, by the exit status, and with --json in its
place among the events."""
import datetime
import json

import pytest

from support.cli import RunningCommand, notifyhub
from support.waiting import wait_until
from support.zmq_clients import Dealer, event

DONE, NEGATIVE, USAGE, UNREACHABLE, REFUSED, GAP = range(6)


def publish(hub, *data, event_type="t"):
    with Dealer(hub) as dealer:
        return dealer.publish(*[event(event_type, n) for n in data])


def flags_of(door, gateway):
    return ["--gateway", gateway.url] if door == "gateway" else []


def data_of(lines):
    return [json.loads(line)["data"] for line in lines]


@pytest.mark.parametrize("door", ["hub", "gateway"])
def test_sub_goes_on_over_restarts_of_the_hub(start_hub, start_gateway, door):
    hub = start_hub()
    gateway = start_gateway(hub).wait_connected()
    publish(hub, -1)
    with RunningCommand(hub, "sub", "t", "--since", "earliest", *flags_of(door, gateway)) as sub:
        sub.wait_lines(1)
        for turn in range(3):
            publish(hub, *range(10 * turn, 10 * turn + 5))
            sub.wait_lines(1 + 10 * turn + 5, 30)
            hub.restart()
            publish(hub, *range(10 * turn + 5, 10 * turn + 10))
        sub.wait_lines(31, 30)
        sub.interrupt()
        assert sub.wait() == DONE, sub.errors
    assert data_of(sub.lines) == list(range(-1, 30))
    assert not [line for line in sub.errors if "gap" in line]


def test_sub_goes_on_over_restarts_of_the_gateway(hub, start_gateway):
    gateway = start_gateway(hub).wait_connected()
    publish(hub, -1)
    with RunningCommand(hub, "sub", "t", "--since", "earliest", "--gateway", gateway.url) as sub:
        sub.wait_lines(1)
        for turn in range(2):
            publish(hub, *range(10 * turn, 10 * turn + 5))
            sub.wait_lines(1 + 10 * turn + 5, 30)
            gateway.stop()
            publish(hub, *range(10 * turn + 5, 10 * turn + 10))
            gateway.start()
        sub.wait_lines(21, 30)
        sub.interrupt()
        assert sub.wait() == DONE, sub.errors
    assert data_of(sub.lines) == list(range(-1, 20))


@pytest.mark.parametrize("door", ["hub", "gateway"])
def test_an_unclean_stop_is_told_once(start_hub, start_gateway, door):
    hub = start_hub()
    gateway = start_gateway(hub).wait_connected()
    publish(hub, 0)
    with RunningCommand(hub, "sub", "t", "--since", "earliest", "--json", *flags_of(door, gateway)) as sub:
        sub.wait_lines(1)
        hub.kill()
        hub.start()
        answer = publish(hub, 1)
        sub.wait_lines(3, 30)
        sub.interrupt()
        assert sub.wait() == GAP
    lines = [json.loads(line) for line in sub.lines]
    assert lines[0]["data"] == 0 and lines[2]["data"] == 1
    assert lines[1] == {"op": "gap", "from": f"{hub.epoch}-1", "to": f"{hub.epoch}-{answer['first_seq'] - 1}",
                        "reason": "unclean_stop"}
    assert len([line for line in sub.errors if line.startswith("gap:")]) == 1


@pytest.mark.parametrize("command", ["sub", "history"])
@pytest.mark.parametrize("door", ["hub", "gateway"])
def test_every_since_behind_a_restart(start_hub, start_gateway, command, door):
    hub = start_hub()
    publish(hub, 0, 1)
    with Dealer(hub) as dealer:
        first = dealer.request({"action": "position"})["timestamp"]

        def is_later():
            return dealer.request({"action": "position"})["timestamp"] > first + 0.05

        wait_until(is_later)
    hub.restart()
    publish(hub, 2, 3)
    gateway = start_gateway(hub).wait_connected()
    between = datetime.datetime.fromtimestamp(first + 0.02, datetime.timezone.utc).isoformat()
    forms = {"earliest": [0, 1, 2, 3], f"{hub.epoch}-1": [1, 2, 3], "3": [3], between: [2, 3],
             between.replace("+00:00", "Z"): [2, 3]}
    for since, expected in forms.items():
        more = ["--count", str(len(expected))] if command == "sub" else []
        done = notifyhub(hub, command, "t", "--since", since, *more, *flags_of(door, gateway))
        assert (done.returncode, data_of(done.stdout.splitlines())) == (DONE, expected), (since, done)


@pytest.mark.parametrize("door", ["hub", "gateway"])
def test_history_tells_every_void_in_its_place(start_hub, start_gateway, door):
    hub = start_hub()
    publish(hub, 0)
    seqs = []
    for turn in (1, 2):
        hub.kill()
        hub.start()
        seqs.append(publish(hub, turn)["first_seq"])
    gateway = start_gateway(hub).wait_connected()
    done = notifyhub(hub, "history", "t", "--since", f"{hub.epoch}-0", "--json", *flags_of(door, gateway))
    assert done.returncode == GAP, done
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line.get("data", line.get("reason")) for line in lines] == [0, "unclean_stop", 1, "unclean_stop", 2]
    assert [line["to"] for line in lines if "op" in line] == [f"{hub.epoch}-{seq - 1}" for seq in seqs]


@pytest.mark.parametrize("command", ["sub", "history"])
@pytest.mark.parametrize("door", ["hub", "gateway"])
def test_mistakes_are_the_same_at_both_doors(reserve_port, command, door):
    """Wrong usage is seen before anybody is asked, so neither hub nor gateway has to be there."""
    flags = ["--gateway", f"http://127.0.0.1:{reserve_port()}"] if door == "gateway" else []
    for args, told in ((["--since", "tomorrow"], "--since tomorrow: allowed are a position, a number"),
                       (["--since", ""], "--since : allowed are"), (["a", "b\nc"], "is no pattern"), ([""], "is no pattern")):
        done = notifyhub(None, command, *args, *flags)
        assert done.returncode == USAGE and told in done.stderr and done.stdout == "", (args, done)
