# ctest: timeout=400
"""The notifyhub command against a gateway: HTTP and SSE instead of ZeroMQ, the same answers."""
import json
import re

import pytest

from support.cli import RunningCommand, notifyhub
from support.http import post
from support.waiting import wait_until
from support.zmq_clients import Dealer, event

DONE, NEGATIVE, USAGE, UNREACHABLE, REFUSED, GAP = range(6)


def expect(done, status, out=None, err=None):
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    if out is not None:
        assert re.fullmatch(out, done.stdout), done.stdout
    if err is not None:
        assert re.search(err, done.stderr), done.stderr
    return done


def run(gateway, command, *args, **more):
    return notifyhub(None, command, "--gateway", gateway.url, *args, **more)


def test_health_and_readiness(gateway, hub, reserve_port):
    expect(run(gateway, "health"), DONE, "healthy\n")
    expect(run(gateway, "health", "--ready"), DONE, "healthy\n")
    hub.pause()
    wait_until(lambda: run(gateway, "health", "--ready").returncode == NEGATIVE, 10)
    expect(run(gateway, "health"), DONE)
    expect(run(gateway, "health", "--ready", "--json"), NEGATIVE, r'\{"healthy":false,"reason":".*"\}\n')
    hub.resume()
    wait_until(lambda: run(gateway, "health", "--ready").returncode == DONE, 15)
    expect(notifyhub(None, "health", "-g", f"http://127.0.0.1:{reserve_port()}"), NEGATIVE, "", "not healthy: ")
    expect(notifyhub(None, "health", "-g", "localhost:1"), USAGE, "", "URL")
    expect(notifyhub(None, "health", "--ready"), USAGE, "", "needs --gateway")
    expect(notifyhub(None, "health", env={"NOTIFYHUB_URL": gateway.url}), DONE)


def test_pub(gateway, hub):
    expect(run(gateway, "pub", "t", '{"a":1}', "-s", "me"), DONE, f"{hub.epoch}-1\n")
    expect(run(gateway, "pub", "t", "--id", "x"), DONE, f"{hub.epoch}-2\n")
    expect(run(gateway, "pub", "t", "--id", "x"), DONE, f"{hub.epoch}-2( duplicate)?\n")
    answer = json.loads(expect(run(gateway, "pub", "t", "--json", "-d", "memory"), DONE).stdout)
    assert (answer["seq"], answer["durability"]) == (3, "memory")
    expect(run(gateway, "pub", "t", "NaN"), REFUSED, "", "nonfinite_number")
    expect(run(gateway, "pub", "t", "-f"), USAGE)
    expect(run(gateway, "stop"), USAGE)


def test_pub_when_the_hub_is_away(start_gateway, start_hub):
    hub = start_hub(wait=False)
    gateway = start_gateway(hub)
    expect(run(gateway, "pub", "t"), UNREACHABLE, "", "answers 503")


def test_ndjson(gateway, hub):
    text = "".join(json.dumps(event("t", n)) + "\n" for n in range(1500))
    expect(run(gateway, "pub", "--ndjson", input_text=text), DONE,
           f"accepted 1500, duplicates 0, refused 0, from {hub.epoch}-1 to {hub.epoch}-1500\n")
    bad = json.dumps(event("t", 1)) + "\nnot json\n" + json.dumps(event("t", 2)) + "\n"
    expect(run(gateway, "pub", "--ndjson", input_text=bad), REFUSED, "accepted 1, .*refused 1.*\n", "line 2: refused: bad_json")
    expect(run(gateway, "pub", "--ndjson", "--keep-going", input_text=bad), REFUSED, "accepted 2, .*refused 1.*\n", "line 2:")
    with Dealer(hub) as dealer:
        assert dealer.request({"action": "position"})["seq"] == 1503


def test_sub_over_sse(gateway, start_gateway):
    for n in range(5):
        assert post(gateway.port, "/events", {"event_type": "a" if n % 2 else "b", "data": n}).status == 202
    done = expect(run(gateway, "sub", "--since", "earliest", "--count", "5"), DONE)
    assert [json.loads(line)["data"] for line in done.stdout.splitlines()] == list(range(5))
    done = expect(run(gateway, "sub", "a", "x*", "--since", "earliest", "--timeout", "1"), DONE)
    assert [json.loads(line)["data"] for line in done.stdout.splitlines()] == [1, 3]
    expect(run(gateway, "sub", "--since", "tomorrow"), USAGE, "", "--since tomorrow: allowed are")
    narrow = start_gateway(gateway.hub, "--gateway-max-patterns", "1").wait_connected()
    expect(run(narrow, "sub", "a", "b"), REFUSED, "", "answers 400 too_many_patterns")


def test_sub_resumes_after_the_gateway_was_away(hub, gateway):
    with RunningCommand(None, "sub", "--gateway", gateway.url, "--since", "earliest") as sub, Dealer(hub) as dealer:
        dealer.publish(event("t", 1), event("t", 2))
        sub.wait_lines(2)
        gateway.stop()
        dealer.publish(event("t", 3))
        gateway.start().wait_connected()
        dealer.publish(event("t", 4))
        sub.wait_lines(4, 30)
        sub.interrupt()
        assert sub.wait() == DONE
        assert [json.loads(line)["data"] for line in sub.lines] == [1, 2, 3, 4]


def test_sub_tells_a_new_epoch(start_hub, start_gateway):
    hub = start_hub("--hub-journal-enabled", "false")
    gateway = start_gateway(hub).wait_connected()
    with RunningCommand(None, "sub", "--gateway", gateway.url, "--since", "earliest", "--json") as sub:
        with Dealer(hub) as dealer:
            dealer.publish(event("t", 1))
        sub.wait_lines(1)
        hub.restart()
        sub.wait_lines(2, 30)
        gap = json.loads(sub.lines[1])
        assert (gap["op"], gap["reason"]) == ("gap", "epoch_changed")
        sub.interrupt()
        assert sub.wait() == GAP


def test_status_is_the_gateways_stats(gateway):
    assert isinstance(json.loads(expect(run(gateway, "status"), DONE).stdout), dict)


def test_history(gateway, hub):
    with Dealer(hub) as dealer:
        for first in range(0, 2500, 500):
            dealer.publish(*[event("a" if n % 2 else "b", n) for n in range(first, first + 500)])
    done = expect(run(gateway, "history"), DONE)
    assert [json.loads(line)["data"] for line in done.stdout.splitlines()] == list(range(2500))
    done = expect(run(gateway, "history", "a", "--limit", "3", "--next"), DONE, None, f"next: {hub.epoch}-")
    assert [json.loads(line)["data"] for line in done.stdout.splitlines()] == [1, 3, 5]


def test_history_keeps_the_bytes(gateway, hub):
    with Dealer(hub) as dealer:
        dealer.send({"action": "publish"}, '{"event_type":"t","source_service":"s","data":{"b": 123456789012345678901, "f":1.10}}')
        dealer.recv()
    assert '"data":{"b": 123456789012345678901, "f":1.10}' in expect(run(gateway, "history"), DONE).stdout


@pytest.mark.parametrize("subscribers", ["0", "2"])
def test_bench(gateway, subscribers):
    done = expect(run(gateway, "bench", "-n", "300", "--json", "--subscribers", subscribers, limit=60), DONE)
    result = json.loads(done.stdout)
    assert (result["published"], result["acked"], result["lost"]) == (300, 300, 0)
    assert result["received"] == 300 * int(subscribers)


def test_keep_going_sends_no_line_twice_for_one_that_is_bad(gateway, hub):
    """A thousand lines, every tenth of them no event: each good one is accepted once, in order, and what is bad never
    travels; ids that are taken with other data are refused by the hub, and cost few lines a second way."""
    lines = [json.dumps(event("t", n)) if n % 10 else "not json" for n in range(1000)]
    done = expect(run(gateway, "pub", "--ndjson", "--keep-going", input_text="\n".join(lines) + "\n"), REFUSED,
                  "accepted 900, duplicates 0, refused 100, .*\n", "line 11: refused: bad_json")
    assert "more lines" in done.stderr
    with Dealer(hub) as dealer:
        dealer.send({"action": "history", "since": "earliest"})
        got = [json.loads(frame)["data"] for frame in dealer.recv_frames()[2:]]
        assert got == [n for n in range(1000) if n % 10]
        dealer.publish(*[event("t", -1, id=f"id-{n}") for n in range(0, 1000, 100)])
    text = "".join(json.dumps(event("t", n, id=f"id-{n}")) + "\n" for n in range(1000))
    expect(run(gateway, "pub", "--ndjson", "--keep-going", input_text=text), REFUSED,
           "accepted 990, duplicates 0, refused 10, .*\n", "line 1: refused: duplicate_conflict(.|\n)*line 901: refused")
    with Dealer(hub) as dealer:
        dealer.send({"action": "history", "since": "earliest", "limit": 10000})
        got = [json.loads(frame) for frame in dealer.recv_frames()[2:]]
        assert [e["data"] for e in got if e.get("id") and e["data"] != -1] == [n for n in range(1000) if n % 100]


def test_a_durability_that_cannot_be_had_is_refused(start_hub, start_gateway):
    hub = start_hub("--hub-journal-enabled", "false")
    gateway = start_gateway(hub).wait_connected()
    expect(run(gateway, "pub", "t", "--durability", "synced"), REFUSED, "", "durability_unavailable")
    expect(notifyhub(hub, "pub", "t", "--durability", "synced"), REFUSED, "", "durability_unavailable")
    expect(run(gateway, "pub", "t", "--durability", "memory"), DONE)


def test_an_unknown_position_is_told(gateway, hub):
    expect(run(gateway, "pub", "t", "1"), DONE)
    done = expect(run(gateway, "sub", "--since", f"{hub.epoch}-1000", "--json", "--timeout", "1"), GAP)
    gap = json.loads(done.stdout.splitlines()[0])
    assert (gap["op"], gap["from"], gap["reason"]) == ("gap", f"{hub.epoch}-1000", "unknown")
    done = expect(notifyhub(hub, "sub", "--since", f"{hub.epoch}-1000", "--json", "--timeout", "1"), GAP)
    assert json.loads(done.stdout.splitlines()[0])["reason"] == "unknown"
    told = []
    for ask in (lambda *args: run(gateway, *args), lambda *args: notifyhub(hub, *args)):
        for since in (f"{hub.epoch}-1000", "1000"):
            gap = json.loads(expect(ask("history", "--since", since, "--json"), GAP, None, "unknown").stdout)
            assert (gap["op"], gap["from"], gap["reason"]) == ("gap", since, "unknown")
            told.append(gap["to"])
    assert len(told) == 4 and set(told) == {f"{hub.epoch}-1"}


@pytest.mark.parametrize("command", ["sub", "history"])
@pytest.mark.parametrize("door", ["hub", "gateway"])
def test_an_unknown_position_is_told_to_people_in_words(gateway, hub, door, command):
    """No gap is claimed where nobody knows of one: what was asked for was never given out, and where it goes on is said."""
    expect(run(gateway, "pub", "t", "1"), DONE)
    timeout = ["--timeout", "1"] if command == "sub" else []
    for since in (f"{hub.epoch}-1000", "1000"):
        flags = [command, "--since", since, *timeout]
        done = run(gateway, *flags) if door == "gateway" else notifyhub(hub, *flags)
        expect(done, GAP, "", rf"^unknown: the hub never gave out the position {since} .*it goes on behind {hub.epoch}-1$")
        assert "gap:" not in done.stderr and "missing: unknown" not in done.stderr
