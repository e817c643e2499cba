# ctest: timeout=400
"""The notifyhub command against the hub: what it prints, and its exit status."""
import json
import os
import re
import subprocess
import time

import pytest

from support.cli import RunningCommand, hub_env, notifyhub
from support.daemons import program
from support.waiting import seconds, wait_until, within
from support.zmq_clients import Dealer, event

DONE, NEGATIVE, USAGE, UNREACHABLE, REFUSED, GAP = range(6)


def expect(done, status, out=None, err=None):
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    if out is not None:
        assert re.fullmatch(out, done.stdout), done.stdout
    if err is not None:
        assert re.search(err, done.stderr), done.stderr
    return done


@pytest.fixture
def nowhere(reserve_port):
    return tuple(reserve_port() for _ in range(3))


def history(hub):
    with Dealer(hub) as dealer:
        dealer.send({"action": "history", "since": "earliest"})
        return [json.loads(frame) for frame in dealer.recv_frames()[2:]]


# --- health, status, stop ---

def test_health(hub, nowhere):
    expect(notifyhub(hub, "health"), DONE, "healthy\n")
    expect(notifyhub(hub, "health", "--quiet"), DONE, "")
    expect(notifyhub(hub, "health", "--json"), DONE, r'\{"healthy":true\}\n')

    def ask_nobody():
        start = time.monotonic()
        expect(notifyhub(nowhere, "health", "--timeout", "300ms"), NEGATIVE, "", "not healthy: no hub answers at 127.0.0.1")
        return time.monotonic() - start

    within(5, ask_nobody)
    hub.pause()
    expect(notifyhub(hub, "health", "--timeout", "0.3"), NEGATIVE, "", "not healthy: no (hub|answer)")
    hub.resume()


def test_a_health_probe_is_quick(hub):
    def ten_probes():
        start = time.monotonic()
        for _ in range(10):
            expect(notifyhub(hub, "health"), DONE)
        return time.monotonic() - start

    within(10, ten_probes)


def test_status_tells_ports_counters_and_position(hub, nowhere):
    notifyhub(hub, "pub", "t")
    done = expect(notifyhub(hub, "status"), DONE)
    lines = dict(line.split(":", 1) for line in done.stdout.splitlines())
    values = {key.strip(): value.strip() for key, value in lines.items()}
    assert values["collector port"] == str(hub.collector)
    assert values["publisher port"] == str(hub.publisher)
    assert values["requests port"] == str(hub.requests)
    assert values["events received"] == "1"
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", values["last message"])
    assert values["epoch"] == hub.epoch and values["newest number"] == "1"
    status = json.loads(expect(notifyhub(hub, "status", "--json"), DONE).stdout)
    assert (status["epoch"], status["seq"], status["oldest"], status["events_published"]) == (hub.epoch, 1, 1, 1)
    assert (status["durability"], status["durability_max"], status["journal"], status["journal_why"]) == (
        "synced", "synced", "ready", "")
    assert values["journal"] == "ready" and values["durability"] == "synced"
    expect(notifyhub(nowhere, "status", "-t", "0.2"), UNREACHABLE, "", "no hub answers at")


def test_stop_waits_until_the_hub_is_gone(hub, nowhere):
    hub.expected_exit = 0
    expect(notifyhub(hub, "stop"), DONE, "stopped\n")
    hub.wait(2)
    expect(notifyhub(hub, "stop", "-t", "0.3"), UNREACHABLE, "")
    hub.start()
    expect(notifyhub(hub, "health"), DONE)


def test_a_hub_that_does_not_obey_refuses_to_stop(start_hub):
    hub = start_hub("--hub-allow-terminate", "never")
    expect(notifyhub(hub, "stop"), REFUSED, "", "refused")
    expect(notifyhub(hub, "health"), DONE)


# --- pub ---

def test_pub_prints_the_position(hub):
    expect(notifyhub(hub, "pub", "new_setup", '{"setup_id":"0001234"}', "--source", "cm"), DONE, f"{hub.epoch}-1\n")
    expect(notifyhub(hub, "pub", "t", "--quiet"), DONE, "")
    answer = json.loads(expect(notifyhub(hub, "pub", "t", "--json"), DONE).stdout)
    assert (answer["seq"], answer["duplicate"], answer["durability"]) == (3, False, "synced")
    first = history(hub)[0]
    assert (first["event_type"], first["source_service"], first["data"]) == ("new_setup", "cm", {"setup_id": "0001234"})


def test_pub_passes_every_field_on(hub):
    expect(notifyhub(hub, "pub", "t", "-s", "s", "-i", "id-1", "-c", "corr", "-k", "created", "-m", "a=1", "--meta=b=x=y",
                     "--timestamp", "2026-03-01T12:00:00Z", "-d", "memory", "[1]"), DONE)
    expect(notifyhub(hub, "pub", "t", "--timestamp", "1.5"), DONE)
    got = history(hub)
    assert {**got[0], "seq": 0, "epoch": ""} == {
        "event_type": "t", "source_service": "s", "data": [1], "timestamp": 1772366400.0, "correlation_id": "corr",
        "id": "id-1", "kind": "created", "metadata": {"a": "1", "b": "x=y"}, "seq": 0, "epoch": ""}
    assert got[1]["timestamp"] == 1.5


def test_pub_reads_data_from_stdin(hub):
    expect(notifyhub(hub, "pub", "t", "-", input_text='{"n": 1e400}\n'), DONE)
    with Dealer(hub) as dealer:
        dealer.send({"action": "history", "since": "earliest"})
        assert b'"data":{"n": 1e400}' in dealer.recv_frames()[2]


def test_the_same_id_is_a_duplicate(hub):
    expect(notifyhub(hub, "pub", "t", "--id", "x"), DONE, f"{hub.epoch}-1\n")
    expect(notifyhub(hub, "pub", "t", "--id", "x"), DONE, f"{hub.epoch}-1 duplicate\n")
    expect(notifyhub(hub, "pub", "t", "2", "--id", "x"), REFUSED, "", "refused: duplicate_conflict")


@pytest.mark.parametrize("args, err", [
    (["t", "{bad"], "not valid JSON"), (["t", "1,2"], "not valid JSON"), (["hub.x"], "reserved"), ([""], "event_type"),
    ([], "TYPE is missing"), (["a", "1", "2"], "too many"), (["t", "--kind", "odd"], "kind"), (["t", "--meta", "x"], "key=value"),
    (["t", "--durability", "forever"], "memory, journaled, synced"), (["t", "--timestamp", "soon"], "RFC 3339"),
    (["t", "--colour"], "unknown option --colour"), (["t", "--id"], "needs a value"), (["t", "-Z"], "unknown option -Z"),
    (["t", "--timeout", "fast"], "500ms"), (["t", "--requests-port", "70000"], "a port")])
def test_wrong_usage_is_told_and_nothing_is_sent(hub, args, err):
    expect(notifyhub(hub, "pub", *args), USAGE, "", err)
    assert history(hub) == []


def test_pub_without_a_hub(nowhere):
    expect(notifyhub(nowhere, "pub", "t", "-t", "0.3"), UNREACHABLE, "", "no hub answers at")
    expect(notifyhub(nowhere, "pub", "t", "-t", "0.3", "-f"), UNREACHABLE, "", "not sent")


def test_no_answer_is_called_unknown(hub):
    hub.pause()
    expect(notifyhub(hub, "pub", "t", "-t", "0.4"), UNREACHABLE, "", "outcome unknown|no hub answers at")
    hub.resume()


def test_fire_and_forget(hub):
    expect(notifyhub(hub, "pub", "t", "1", "--fire-and-forget"), DONE, "")
    wait_until(lambda: len(history(hub)) == 1)


def lines_of(*events):
    return "".join(json.dumps(e) + "\n" for e in events)


def test_ndjson_publishes_every_line(hub):
    text = lines_of(*[event("t", n) for n in range(2500)])
    expect(notifyhub(hub, "pub", "--ndjson", input_text=text), DONE,
           f"accepted 2500, duplicates 0, refused 0, from {hub.epoch}-1 to {hub.epoch}-2500\n")
    answer = json.loads(expect(notifyhub(hub, "pub", "--ndjson", "--json", input_text=lines_of(event("t", 1, id="a"))
                                         + "\n\r\n" + json.dumps(event("t", 1, id="a"))), DONE).stdout)
    assert answer == {"accepted": 1, "duplicates": 1, "refused": 0, "first": f"{hub.epoch}-2501", "last": f"{hub.epoch}-2501"}


def test_ndjson_stops_at_the_first_refused_line(hub):
    text = lines_of(*[event("t", n) for n in range(1200)]) + "\nnot json\n" + lines_of(event("t", 9999))
    expect(notifyhub(hub, "pub", "--ndjson", input_text=text), REFUSED, "accepted 1200, .*, refused 1, .*\n",
           "line 1202: refused: bad_json")
    with Dealer(hub) as dealer:
        assert dealer.request({"action": "position"})["seq"] == 1200


def test_ndjson_can_keep_going(hub):
    text = lines_of(event("t", 1)) + "x\n" + lines_of(event("t", 2), {"event_type": "t"}, event("t", 3))
    expect(notifyhub(hub, "pub", "--ndjson", "--keep-going", input_text=text), REFUSED, "accepted 3, .*refused 2.*\n",
           "line 2: refused: bad_json(.|\n)*line 4: refused: missing_field")
    assert [e["data"] for e in history(hub)] == [1, 2, 3]


def test_ndjson_fire_and_forget(hub):
    text = lines_of(*[event("t", n) for n in range(3000)])
    expect(notifyhub(hub, "pub", "--ndjson", "-f", input_text=text), DONE, "accepted 3000, .*\n")
    with Dealer(hub) as dealer:
        wait_until(lambda: dealer.request({"action": "position"})["seq"] == 3000)


# --- sub ---

def test_sub_prints_json_lines_until_ctrl_c(hub):
    with RunningCommand(hub, "sub", "wanted", "also.*") as sub, Dealer(hub) as dealer:
        time.sleep(0.1)

        def probe():
            dealer.publish(event("wanted", "probe"))
            return sub.lines

        wait_until(probe, poll=0.05)
        dealer.publish(event("also.this", 2), event("not.this", 3), event("wanted", 4))
        wait_until(lambda: sub.lines and json.loads(sub.lines[-1])["data"] == 4)
        sub.interrupt()
        assert sub.wait() == DONE
        got = [json.loads(line) for line in sub.lines]
        assert {e["event_type"] for e in got} == {"wanted", "also.this"}
        assert [e["seq"] for e in got] == sorted(e["seq"] for e in got)
        assert sub.errors == []


def test_sub_since_and_count(hub):
    with Dealer(hub) as dealer:
        dealer.publish(*[event("t", n) for n in range(10)])
    done = expect(notifyhub(hub, "sub", "--since", f"{hub.epoch}-4", "--count", "3"), DONE)
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [5, 6, 7]
    done = expect(notifyhub(hub, "sub", "--since", "earliest", "--timeout", "0.7"), DONE)
    assert len(done.stdout.splitlines()) == 10
    expect(notifyhub(hub, "sub", "--since", "earliest", "--count", "11", "--timeout", "0.7"), NEGATIVE)


def test_sub_human_form(hub):
    notifyhub(hub, "pub", "new_setup", '{"a":1}', "-s", "cm")
    expect(notifyhub(hub, "sub", "--since", "earliest", "-n", "1", "--human"), DONE,
           rf'\d\d:\d\d:\d\d\.\d\d\d {hub.epoch}-1 new_setup cm \{{"a":1\}}\n')


def test_sub_tells_a_gap_and_its_status_says_so(start_hub):
    hub = start_hub("--hub-journal-enabled", "false", "--hub-history-events", "5", "--hub-stats-interval-s", "0")
    with Dealer(hub) as dealer:
        dealer.publish(*[event("t", n) for n in range(10)])
    args = ["sub", "--since", f"{hub.epoch}-1", "-n", "5"]
    done = expect(notifyhub(hub, *args, "--json"), GAP, None, f"gap: events behind {hub.epoch}-1 up to {hub.epoch}-5")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0] == {"op": "gap", "from": f"{hub.epoch}-1", "to": f"{hub.epoch}-5", "reason": "retention"}
    assert [e["seq"] for e in lines[1:]] == [6, 7, 8, 9, 10]
    done = expect(notifyhub(hub, *args), GAP)
    assert len(done.stdout.splitlines()) == 5


def test_sub_without_a_hub_waits_and_says_so(nowhere):
    expect(notifyhub(nowhere, "sub", "-t", "2.6"), UNREACHABLE, "", "waiting for a hub at")


def test_sub_into_a_closed_pipe_ends_quietly(hub):
    with Dealer(hub) as dealer:
        dealer.publish(*[event("t", "x" * 1000) for n in range(500)])
    done = subprocess.run(["bash", "-c", '"$0" sub --since earliest | head -n 1; echo "${PIPESTATUS[0]}"', program("notifyhub")],
                          env={**os.environ, **hub_env(hub)}, capture_output=True, text=True, timeout=seconds(20), check=False)
    assert done.stdout.splitlines()[1] == str(DONE), done
    assert done.stderr == ""


@pytest.mark.parametrize("args, err", [(["--since", "tomorrow"], "since"), (["a\nb"], "no pattern"), (["--count", "0"], "from 1 on")])
def test_sub_usage(hub, args, err):
    expect(notifyhub(hub, "sub", *args), USAGE, "", err)


# --- history ---

def test_history_pages_patterns_and_limits(hub):
    with Dealer(hub) as dealer:
        for first in range(0, 3000, 1000):
            dealer.publish(*[event("a" if n % 2 else "b", n) for n in range(first, first + 1000)])
    done = expect(notifyhub(hub, "history"), DONE)
    assert [json.loads(line)["data"] for line in done.stdout.splitlines()] == list(range(3000))
    done = expect(notifyhub(hub, "history", "b", "--limit", "1200", "--next"), DONE, None, f"next: {hub.epoch}-2399")
    assert [json.loads(line)["data"] for line in done.stdout.splitlines()] == list(range(0, 2400, 2))
    done = expect(notifyhub(hub, "history", "--since", f"{hub.epoch}-2998"), DONE)
    assert len(done.stdout.splitlines()) == 2
    expect(notifyhub(hub, "history", "--since", "latest"), DONE, "", "^$")


def test_history_gap(start_hub):
    hub = start_hub("--hub-journal-enabled", "false", "--hub-history-events", "5", "--hub-stats-interval-s", "0")
    with Dealer(hub) as dealer:
        dealer.publish(*[event("t", n) for n in range(10)])
    expect(notifyhub(hub, "history"), DONE)
    done = expect(notifyhub(hub, "history", "--since", f"{hub.epoch}-0", "--json"), GAP, None, "gap: ")
    assert json.loads(done.stdout.splitlines()[0])["op"] == "gap"
    assert len(done.stdout.splitlines()) == 6


def test_history_without_a_hub(nowhere):
    expect(notifyhub(nowhere, "history", "-t", "0.2"), UNREACHABLE, "", "no hub")


# --- bench ---

@pytest.mark.parametrize("args", [[], ["--acked", "--publishers", "2", "--subscribers", "2"], ["--rate", "2000", "--size", "0"]])
def test_bench(hub, args):
    done = expect(notifyhub(hub, "bench", "--events", "1000", "--json", *args, limit=60), DONE)
    result = json.loads(done.stdout)
    subscribers = 2 if "--subscribers" in args else 1
    assert (result["published"], result["received"], result["lost"]) == (1000, 1000 * subscribers, 0)
    assert result["acked"] == (1000 if "--acked" in args else 0)
    assert 0 < result["delivery_us"]["p50"] <= result["delivery_us"]["p99"] <= result["delivery_us"]["max"]
    if "--rate" in args:
        assert 0.3 < result["seconds"] < 10


def test_bench_text_and_progress(hub):
    done = expect(notifyhub(hub, "bench", "-n", "1500", "-r", "1000", limit=60), DONE, None, r"published \d+ of 1500")
    assert re.search(r"^published  1500 events of 200 bytes in .* s: \d+/s", done.stdout, re.M)
    assert re.search(r"^lost       0 ", done.stdout, re.M)
    assert re.search(r"^delivery   p50 \d+ us, p99 \d+ us, p99.9 \d+ us", done.stdout, re.M)
    assert "\r" not in done.stderr


def test_bench_without_a_hub(nowhere):
    expect(notifyhub(nowhere, "bench", "-n", "10", "-t", "1"), UNREACHABLE, "", "does not answer")


# --- where the hub is ---

def test_the_daemons_file_and_flags_count(hub, tmp_path):
    config = tmp_path / "hub.yaml"
    config.write_text(f"hub:\n  collector_port: {hub.collector}\n  publisher_port: {hub.publisher}\n"
                      f"  requests_port: {hub.requests}\n")
    expect(notifyhub(None, "health", "--config", config), DONE)
    expect(notifyhub(None, "health", env={"NOTIFYHUB_CONFIG": str(config)}), DONE)
    expect(notifyhub(None, "health", "--hub-requests-port", hub.requests), DONE)
    expect(notifyhub(None, "--hub-requests-port", hub.requests, "health"), DONE)
    expect(notifyhub(None, "health", "--requests-port", hub.requests, "--hub", "localhost"), DONE)
    config.write_text("hub:\n  no_such_key: 1\n")
    expect(notifyhub(None, "health", "--config", config), USAGE, "", "no_such_key")
    expect(notifyhub(None, "health", "--config"), USAGE, "", "needs a file")
