# ctest: timeout=600
"""`notifyhub consume` and `notifyhub groups`, over ZeroMQ and over a gateway."""
import json
import os
import subprocess

import pytest

from support.cli import RunningCommand, hub_env, notifyhub
from support.daemons import program
from support.waiting import Stalled, seconds, unstalled, wait_until
from support.zmq_clients import Dealer, event

DONE, NEGATIVE, USAGE, UNREACHABLE, REFUSED, GAP = range(6)


def publish(hub, *data, event_type="t"):
    with Dealer(hub) as dealer:
        dealer.publish(*[event(event_type, n) for n in data])


def group(hub, name="g"):
    with Dealer(hub) as dealer:
        return dealer.request({"action": "group", "group": name})


@pytest.fixture(params=["hub", "gateway"])
def door(request, hub):
    """The flags that lead to the hub: none, or those of a gateway before it."""
    if request.param == "hub":
        return []
    gateway = request.getfixturevalue("start_gateway")(hub).wait_connected()
    return ["--gateway", gateway.url]


def data_of(text):
    return [json.loads(line)["data"] for line in text.splitlines()]


def run(hub, door, *args, status=DONE, **more):
    done = notifyhub(hub, *args, *door, **more)
    allowed = status if isinstance(status, tuple) else (status,)
    assert done.returncode in allowed, (done.returncode, done.stdout, done.stderr)
    return done


def answered_in_time(command):
    """What the first command did that was not told "nobody answered": a short --timeout may end before the answer."""
    def attempt():
        done = command()
        if done.returncode == UNREACHABLE:
            assert done.stdout == "", done
            raise Stalled(done.stderr)
        return done
    return unstalled(attempt)


def test_what_is_printed_is_done(hub, door):
    publish(hub, *range(5))
    publish(hub, "no", event_type="other")
    done = run(hub, door, "consume", "g", "--create", "t", "--since", "earliest", "--max", "3")
    assert data_of(done.stdout) == [0, 1, 2]
    assert group(hub)["acked"] == 3
    done = answered_in_time(lambda: run(hub, door, "consume", "g", "--timeout", "1", status=(DONE, UNREACHABLE)))
    assert (done.returncode, data_of(done.stdout)) == (DONE, [3, 4])
    assert (group(hub)["acked"], group(hub)["pending"]) == (5, 0)


def test_it_waits_for_events_and_ends_with_ctrl_c(hub, door):
    with RunningCommand(hub, "consume", "g", "--create", "t", *door) as command:
        wait_until(lambda: group(hub).get("waiting"))
        publish(hub, 1, 2)
        command.wait_lines(2)
        command.interrupt()
        assert command.wait() == DONE
    assert data_of("\n".join(command.lines)) == [1, 2] and command.errors == []
    assert group(hub)["acked"] == 2


def test_a_command_for_each_event(hub, door, tmp_path):
    out = tmp_path / "out"
    publish(hub, *range(3))
    run(hub, door, "consume", "g", "--create", "--since", "earliest", "--max", "3",
        "--exec", f'echo "$NOTIFYHUB_EVENT_TYPE $NOTIFYHUB_ATTEMPT $NOTIFYHUB_DELIVERY" >> {out}; cat >> {out}')
    lines = out.read_text().splitlines()
    assert lines[0] == f"t 1 {hub.epoch}-1.1" and json.loads(lines[1])["seq"] == 1
    assert [json.loads(line)["data"] for line in lines[1::2]] == [0, 1, 2]
    assert group(hub)["acked"] == 3


def test_an_event_whose_command_fails_comes_again(hub, door, tmp_path):
    tries = tmp_path / "tries"
    publish(hub, 1)
    done = run(hub, door, "consume", "g", "--create", "--since", "earliest", "--max", "3", "--delay", "100ms", "--exec",
               f"echo x >> {tries}; test $(wc -l < {tries}) -ge 3", status=NEGATIVE)
    assert "exited with 1" in done.stderr
    assert tries.read_text() == "x\n" * 3
    assert (group(hub)["acked"], group(hub)["pending"], group(hub)["delayed"]) == (1, 0, 0)


def test_a_command_that_runs_long_keeps_its_event(hub, door, tmp_path):
    runs = tmp_path / "runs"
    publish(hub, 1)
    run(hub, door, "consume", "g", "--create", "--since", "earliest", "--visibility", "600ms", "--max", "1",
        "--exec", f"echo x >> {runs}; sleep 2")
    assert runs.read_text() == "x\n"
    assert (group(hub)["acked"], group(hub)["redelivered"]) == (1, 0)


def test_a_command_that_does_not_read_gets_a_large_event(hub, door):
    publish(hub, "x" * 300000)
    run(hub, door, "consume", "g", "--create", "--since", "earliest", "--max", "1", "--exec", "true")
    assert group(hub)["acked"] == 1


def test_what_nobody_reads_is_not_done(hub, door):
    publish(hub, *["y" * 5000] * 400)
    run(hub, door, "groups", "create", "g", "--since", "earliest")
    done = subprocess.run(["bash", "-c", '"$0" "$@" | head -n 1 > /dev/null; echo "${PIPESTATUS[0]}"', program("notifyhub"),
                           "consume", "g", *door], env={**os.environ, **hub_env(hub)}, capture_output=True, text=True,
                          timeout=seconds(60), check=False)
    assert done.stdout == f"{DONE}\n", done
    assert 0 < group(hub)["acked"] < 400


def test_without_the_group(hub, door):
    done = run(hub, door, "consume", "nobody", status=REFUSED)
    assert "nobody" in done.stderr or "unknown" in done.stderr or "group" in done.stderr


def test_other_settings_are_a_conflict(hub, door):
    run(hub, door, "groups", "create", "g", "a*")
    done = run(hub, door, "consume", "g", "--create", "b*", "--timeout", "5", status=REFUSED)
    assert "settings" in done.stderr or "group" in done.stderr


def test_fewer_than_asked_for(hub, door):
    publish(hub, 1)
    done = answered_in_time(lambda: run(hub, door, "consume", "g", "--create", "--since", "earliest", "--max", "2", "--timeout",
                                        "1", status=(NEGATIVE, UNREACHABLE)))
    assert done.returncode == NEGATIVE


def test_nobody_answers(reserve_port):
    nowhere = tuple(reserve_port() for _ in range(3))
    done = run(nowhere, [], "consume", "g", "--timeout", "2.5", status=UNREACHABLE)
    assert "waiting for a hub at" in done.stderr
    run(nowhere, ["--gateway", f"http://127.0.0.1:{nowhere[0]}"], "consume", "g", "--timeout", "1", status=UNREACHABLE)


@pytest.mark.parametrize("args, err", [
    ([], "GROUP is missing"), (["a/b"], "1 to 64"), (["g", "t"], "--create"), (["g", "--since", "earliest"], "--create"),
    (["g", "--create", "--since", "soon"], "--since"), (["g", "--create", "--visibility", "1ms"], "100ms"),
    (["g", "--max", "0"], "from 1 on"), (["g", "--member", ""], "--member"), (["g", "--create", ""], "PATTERN"),
    (["g", "--prefetch", "2000"], "1 to 1000")])
def test_wrong_usage(hub, args, err):
    done = notifyhub(hub, "consume", *args)
    assert done.returncode == USAGE and err in done.stderr, done


def test_restarts_of_the_hub_cost_nothing(start_hub, start_gateway):
    hub = start_hub()
    gateway = start_gateway(hub).wait_connected()
    for flags in ([], ["--gateway", gateway.url]):
        name = "g" + str(len(flags))
        with RunningCommand(hub, "consume", name, "--create", "t", *flags) as command:
            wait_until(lambda name=name: group(hub, name).get("waiting"))
            publish(hub, *range(10))
            command.wait_lines(10)
            hub.kill()
            hub.start()
            publish(hub, *range(10, 20))
            command.wait_lines(20, 30)
            command.interrupt()
            # A kill leaves a void, which may be told; no event was in it.
            assert command.wait() in (DONE, GAP)
        events = [line for line in command.lines if "op" not in json.loads(line)]
        assert sorted({json.loads(line)["data"] for line in events}) == list(range(20))
        assert group(hub, name)["lag"] == 0


def test_a_restart_of_the_gateway_costs_nothing(hub, start_gateway):
    gateway = start_gateway(hub).wait_connected()
    with RunningCommand(hub, "consume", "g", "--create", "t", "--gateway", gateway.url) as command:
        wait_until(lambda: group(hub).get("waiting"))
        publish(hub, *range(5))
        command.wait_lines(5)
        gateway.restart()
        publish(hub, *range(5, 10))
        command.wait_lines(10, 30)
        command.interrupt()
        assert command.wait() == DONE
    assert sorted(set(data_of("\n".join(command.lines)))) == list(range(10))


def test_a_hub_that_forgot_the_group_gets_it_anew(start_hub, start_gateway):
    hub = start_hub("--hub-journal-enabled", "false")
    gateway = start_gateway(hub).wait_connected()
    for flags in ([], ["--gateway", gateway.url]):
        with RunningCommand(hub, "consume", "g", "--create", "t", "--json", *flags) as command:
            wait_until(lambda: group(hub).get("waiting"))
            publish(hub, 1)
            command.wait_lines(1)
            hub.restart()
            publish(hub, 2)
            command.wait_lines(3, 30)
            command.interrupt()
            assert command.wait() == GAP
        gap = json.loads(command.lines[1])
        assert (gap["op"], gap["reason"], json.loads(command.lines[2])["data"]) == ("gap", "epoch_changed", 2)


# --- groups ---

def test_groups_are_made_shown_and_deleted(hub, door):
    assert run(hub, door, "groups").stdout == "no groups\n"
    assert run(hub, door, "groups", "create", "mail", "a", "b*", "--visibility", "5s", "--attempts", "0",
               "--ordered").stdout.startswith("created ")
    assert run(hub, door, "groups", "create", "mail", "a", "b*", "--visibility", "5s", "--attempts", "0",
               "--ordered").stdout.startswith("exists ")
    run(hub, door, "groups", "create", "mail", "a", status=REFUSED)
    shown = json.loads(run(hub, door, "groups", "mail", "--json").stdout)
    assert (shown["group"], shown["event_type"], shown["visibility_ms"], shown["max_attempts"], shown["ordered"]) == (
        "mail", ["a", "b*"], 5000, 0, True)
    assert "success" not in shown
    table = run(hub, door, "groups").stdout.splitlines()
    assert table[0].split() == ["GROUP", "LAG", "PENDING", "DELAYED", "ACKED", "DEAD", "LOST"]
    assert table[1].split()[0] == "mail"
    assert json.loads(run(hub, door, "groups", "--json").stdout)["group"] == "mail"
    assert "event_type      [\"a\",\"b*\"]" in run(hub, door, "groups", "show", "mail").stdout
    assert run(hub, door, "groups", "delete", "mail").stdout == "deleted\n"
    assert "no group" in run(hub, door, "groups", "mail", status=NEGATIVE).stderr
    run(hub, door, "groups", "delete", "mail", status=NEGATIVE)


def test_a_group_shows_its_members(hub, door):
    publish(hub, 1)
    with RunningCommand(hub, "consume", "g", "--create", "--since", "earliest", "--member", "worker-1", "--exec", "sleep 30",
                        *door) as command:
        wait_until(lambda: group(hub).get("pending") == 1)
        assert "member          worker-1: pending 1" in run(hub, door, "groups", "g").stdout
        os.kill(command.process.pid, 9)


@pytest.mark.parametrize("args", [["create"], ["delete"], ["a b"], ["x", "y"], ["x", "--hold"], ["create", "x", "--since", "z"]])
def test_wrong_usage_of_groups(hub, args):
    assert notifyhub(hub, "groups", *args).returncode == USAGE
