"""The hub's life: ports and settings, the ready line, signals, statistics, terminate and who may, a port that is taken."""
import json
import os
import re
import signal
import socket
import time

import pytest
import zmq

from support.daemons import program, run_program
from support.waiting import seconds, wait_until, within
from support.zmq_clients import Dealer, Push, Sub, event


def info(hub):
    with Dealer(hub) as dealer:
        return dealer.request({"action": "info"})


def test_ready_line_and_any_free_port(start_hub):
    """CG-13: port 0 means any free one; the ready line and info tell which."""
    hub = start_hub(any_port=True)
    assert re.fullmatch(r"ready hub collector=\d+ publisher=\d+ requests=\d+ epoch=[a-z][a-z2-7]{7}", hub.ready_line)
    answer = info(hub)
    ports = [answer[k] for k in ("collector_port", "publisher_port", "requests_port")]
    assert ports == [hub.collector, hub.publisher, hub.requests]
    assert len(set(ports)) == 3 and all(p > 0 for p in ports)


def test_ports_from_file_environment_and_flags(start_hub, tmp_path, reserve_port):
    """CG-13: later wins: file, environment, flag."""
    a, b, c, d, e, f = (reserve_port() for _ in range(6))
    config = tmp_path / "hub.yaml"
    config.write_text(f"hub:\n  collector_port: {a}\n  publisher_port: {b}\n  requests_port: {c}\n")
    hub = start_hub("--config", str(config), wait=False)
    hub.command = lambda: [program("notifyhub-hub"), *hub.args]
    hub.start()
    assert (hub.collector, hub.publisher, hub.requests) == (a, b, c)
    hub.stop()
    hub.env["NOTIFYHUB_HUB_PUBLISHER_PORT"] = str(d)
    hub.env["NOTIFYHUB_HUB_REQUESTS_PORT"] = str(e)
    hub.args.append(f"--hub-requests-port={f}")
    hub.start()
    assert (hub.collector, hub.publisher, hub.requests) == (a, d, f)
    assert info(hub)["requests_port"] == f
    hub.stop()
    hub.env["NOTIFYHUB_CONFIG"] = str(config)
    hub.args = []
    hub.start()
    assert (hub.collector, hub.publisher, hub.requests) == (a, d, e)


def test_check_config(tmp_path):
    """--check-config prints the effective values, or says what is wrong and where, and never starts."""
    config = tmp_path / "hub.yaml"
    config.write_text("hub:\n  collector_port: 5000\n")
    done = run_program("notifyhub-hub", "--config", config, "--check-config")
    assert done.returncode == 0 and "5000" in done.stdout and "ready" not in done.stdout
    config.write_text("hub:\n  colector_port: 5000\n")
    done = run_program("notifyhub-hub", "--config", config, "--check-config")
    assert done.returncode == 2 and "colector_port" in done.stderr and ":2:" in done.stderr.replace(", line ", ":")
    done = run_program("notifyhub-hub", "--hub-collector-port", "70000")
    assert done.returncode == 2 and "65535" in done.stderr


def test_help_tells_the_keys():
    """--help names the flags of its sections."""
    done = run_program("notifyhub-hub", "--help")
    assert done.returncode == 0
    for flag in ("--hub-collector-port", "--hub-history-events", "--log-level", "--check-config"):
        assert flag in done.stdout


@pytest.mark.parametrize("which", ["collector", "publisher", "requests"])
def test_a_taken_port_is_named_with_its_key_and_flag(start_hub, which):
    """Exit status 1, and a text that says what to do."""
    hub = start_hub(wait=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        hub.args = [f"--hub-{which}-port", str(port)]
        hub.spawn()
        hub.wait(10, expect=1)
    for part in (str(port), f"hub.{which}_port", f"--hub-{which}-port", "in use"):
        assert part in hub.stderr, part
    assert hub.stdout == ""


def test_an_address_that_is_not_ours(start_hub):
    """hub.bind that cannot be bound: exit status 1 with the address in the text."""
    hub = start_hub("--hub-bind", "203.0.113.7", wait=False)
    hub.spawn()
    hub.wait(10, expect=1)
    assert "203.0.113.7" in hub.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_hub_in_order(start_hub, number):
    """CG-21: as orderly as terminate: status 0 within 2 s, and it starts again at once."""
    hub = start_hub()

    def end():
        with Dealer(hub) as dealer, Push(hub) as push:
            push.send(event())
            assert dealer.request({"action": "health"})["success"]
            started = time.monotonic()
            hub.signal(number)
            hub.wait(expect=0)
            took = time.monotonic() - started
        hub.start()
        return took

    for _ in range(3):
        within(2, end)


def kernel_holds(port):
    """Bytes on their way to a port of loopback or not read there yet, as the kernel tells them of both ends."""
    total = 0
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in list(table)[1:]:
            fields = line.split()
            if f"0100007F:{port:04X}" in fields[1:3] and fields[3] == "01":  # established
                total += sum(int(queue, 16) for queue in fields[4].split(":"))
    return total


def test_the_end_takes_what_publishers_have_sent(start_hub):
    """Nothing that reached the hub is lost at its end: PULL is drained, and PUB is flushed."""
    hub = start_hub()
    with Sub(hub, "last") as sub, Push(hub) as push, Dealer(hub) as dealer:
        sub.sync(push)
        dealer.request({"action": "health"})
        wait_until(lambda: kernel_holds(hub.collector) == 0, 10, "the probes to be read")
        hub.pause()
        texts = [json.dumps(event("last", {"n": n})).encode() for n in range(5000)]
        for text in texts:
            push.send(text)
        dealer.send({"action": "terminate"})
        size = sum(len(text) + 2 for text in texts)  # each is one short frame
        wait_until(lambda: kernel_holds(hub.collector) == size, 10,
                   lambda: f"{size} bytes in the kernel: {kernel_holds(hub.collector)}")
        hub.resume()
        assert [e["data"]["n"] for e in sub.recv_many(5000)] == list(range(5000))
        assert dealer.recv()["status"] == "terminating"
        hub.wait(3, expect=0)


def all_until_disconnected(peer, monitor):
    """All messages of a peer up to the end of its connection: no silence is long enough to tell that nothing else comes."""
    assert monitor.poll(seconds(10) * 1000), "the connection does not end"
    messages = []
    while peer.socket.poll(0):
        messages.append(json.loads(peer.socket.recv_multipart()[1]))
    peer.socket.disable_monitor()
    return messages


def test_publish_while_the_hub_ends_is_never_a_lie(start_hub):
    """Each acked publish around the end is either numbered and seen by the subscriber, or refused, or unanswered."""
    hub = start_hub()
    with Sub(hub, "end") as sub, Push(hub) as push, Dealer(hub) as dealer:
        sub.sync(push)
        ends = [peer.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED) for peer in (dealer, sub)]
        for n in range(3000):
            dealer.send({"action": "publish", "request_id": n}, event("end", {"n": n}))
            if n == 1500:
                hub.signal(signal.SIGTERM)
        hub.wait(3, expect=0)  # neither socket has a limit, so the hub does not wait for us to read
        answers, seen = (all_until_disconnected(peer, end) for peer, end in zip((dealer, sub), ends))
    numbered = [a["request_id"] for a in answers if a["success"]]
    assert numbered, "the hub answered nothing"
    assert {a["code"] for a in answers if not a["success"]} <= {"shutting_down"}
    assert [e["data"]["n"] for e in seen if e["event_type"] == "end"] == numbered


def end_beside_a_stalled_subscriber(hub):
    with Push(hub) as push:
        stalled = zmq.Context.instance().socket(zmq.SUB)
        stalled.setsockopt(zmq.LINGER, 0)
        stalled.setsockopt(zmq.RCVHWM, 1)
        stalled.setsockopt(zmq.RCVBUF, 4096)
        stalled.setsockopt(zmq.SUBSCRIBE, b"")
        stalled.connect(f"tcp://127.0.0.1:{hub.publisher}")
        with Sub(hub, "flood") as sub:
            sub.sync(push)
            for _ in range(2000):
                push.send(event("flood", "x" * 10000))
            sub.recv_many(2000)
        started = time.monotonic()
        hub.signal(signal.SIGTERM)
        hub.wait(expect=0)
        took = time.monotonic() - started
        stalled.close()
    return took


def test_a_stalled_subscriber_does_not_hold_up_the_end(start_hub):
    """Lingering is bounded: the hub ends within 2 s although a subscriber takes nothing."""
    within(2, lambda: end_beside_a_stalled_subscriber(start_hub()))


@pytest.mark.parametrize("allowed,granted", [("loopback", True), ("any", True), ("never", False)])
def test_who_may_terminate(start_hub, allowed, granted):
    """hub.allow_terminate, asked from loopback."""
    hub = start_hub("--hub-allow-terminate", allowed)
    with Dealer(hub) as dealer:
        answer = dealer.request({"action": "terminate", "request_id": 1})
        assert answer["success"] is granted and answer["request_id"] == 1
        if granted:
            hub.wait(2, expect=0)
        else:
            assert answer["code"] == "terminate_refused" and "hub.allow_terminate" in answer["error"]
            assert dealer.request({"action": "health"})["success"]
            dealer.send({"action": "terminate"}, kind="REQ_NO_REPLY")
            assert dealer.request({"action": "health"})["success"]
    if not granted:
        hub.wait_log("event=terminate_refused peer=127.0.0.1")


def outer_address():
    """An address of this machine that is not loopback, or None. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = probe.getsockname()[0]
        return None if address.startswith("127.") else address


def test_terminate_from_elsewhere_is_refused(start_hub):
    """A peer that does not come from loopback may not end the hub by default."""
    address = outer_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    hub = start_hub("--hub-bind", "*")
    outside = zmq.Context.instance().socket(zmq.DEALER)
    outside.setsockopt(zmq.LINGER, 0)
    outside.connect(f"tcp://{address}:{hub.requests}")
    outside.send_multipart([b"REQ", b'{"action":"terminate"}'])
    assert outside.poll(seconds(5) * 1000)
    answer = json.loads(outside.recv_multipart()[1])
    outside.close()
    assert answer["success"] is False and answer["code"] == "terminate_refused"
    with Dealer(hub) as dealer:  # binding to everything takes IPv4 loopback along
        assert dealer.request({"action": "terminate"})["success"]
    hub.wait(2, expect=0)


def test_statistics_go_to_the_log(start_hub):
    """CG-14: each hub.stats_interval_s."""
    hub = start_hub("--hub-stats-interval-s", "1", "--hub-stats-event", "")
    with Push(hub) as push:
        push.send(event())
        hub.wait_log(r"level=info .*event=statistics events_received=1 events_published=1 .*last_message=\d{4}-")
        wait_until(lambda: hub.stderr.count("event=statistics") >= 2, 10, "the second line")
    assert info(hub)["statistics"]["events_published"] == 1
    with Dealer(hub) as dealer:  # switched off: no event was numbered but ours
        assert dealer.request({"action": "position"})["seq"] == 1


def test_statistics_event(start_hub):
    """CG-15: type StatsEvent, source nh_cs, data = the statistics, numbered like any other."""
    hub = start_hub("--hub-stats-interval-s", "1")
    with Sub(hub, "StatsEvent") as sub, Sub(hub, "") as everything, Push(hub) as push, Dealer(hub) as dealer:
        everything.sync(push)
        sub.sync(push)
        first, second = sub.recv_many(2)
        numbers = [e["seq"] for e in everything.recv_many(2)]
        answer = dealer.request({"action": "stats"})["statistics"]
    assert first["source_service"] == "nh_cs" and first["event_type"] == "StatsEvent"
    assert first["seq"] < second["seq"] and numbers == [first["seq"], second["seq"]]
    assert 0.5 < second["timestamp"] - first["timestamp"] < seconds(3)
    assert set(first["data"]) == set(answer)
    assert set(first["data"]) >= {"events_received", "events_published", "last_message_time", "start_time", "rejected",
                                  "duplicates", "received_bytes", "subscriptions", "requests", "answers", "ring",
                                  "events_per_s"}
    assert first["data"]["subscriptions"]["now"] >= 2
    assert second["data"]["events_published"] == second["data"]["events_received"]


def test_statistics_event_of_another_name(start_hub):
    """CG-15: name and source are settings; the old name is free for publishers then."""
    hub = start_hub("--hub-stats-interval-s", "1", "--hub-stats-event", "hub-numbers", "--hub-source-service", "me")
    with Sub(hub, "hub-numbers") as sub, Push(hub) as push, Dealer(hub) as dealer:
        sub.sync(push)
        assert sub.recv()["source_service"] == "me"
        assert dealer.publish(event("StatsEvent"))["success"]
        assert dealer.publish(event("hub-numbers"))["code"] == "reserved_type"


def test_statistics_can_be_switched_off(start_hub):
    """CG-15: interval 0 = never."""
    hub = start_hub("--hub-stats-interval-s", "0")
    with Sub(hub, "StatsEvent") as sub, Push(hub) as push:
        sub.sync(push)
        assert sub.nothing(1500)
    assert "event=statistics" not in hub.stderr


def test_sighup_changes_the_log_level(start_hub, tmp_path):
    """SIGHUP re-reads the file: the level changes, connections and events stay."""
    config = tmp_path / "hub.yaml"
    config.write_text("log:\n  level: error\n")
    hub = start_hub("--config", str(config))
    with Push(hub) as push, Dealer(hub) as dealer:
        push.send(b"bad")
        wait_until(lambda: dealer.request({"action": "stats"})["statistics"]["rejected_total"] == 1, 10, "a refusal")
        assert "event_refused" not in hub.stderr
        config.write_text("log:\n  level: info\n")
        hub.signal(signal.SIGHUP)
        hub.wait_log("event=config_reloaded")
        push.send(b"bad")
        hub.wait_log("event=event_refused")
        config.write_text("log:\n  level: loud\n")
        hub.signal(signal.SIGHUP)
        hub.wait_log("event=config_not_reloaded")
        assert dealer.request({"action": "health"})["success"]


def test_json_log(start_hub):
    """--log-format json: each line is an object."""
    hub = start_hub("--log-format", "json")
    hub.stop()
    lines = [json.loads(line) for line in hub.stderr.splitlines()]
    assert {line["event"] for line in lines} >= {"started", "drained", "stopped"}
    assert all(line["process"] == "hub" for line in lines)


def test_each_start_without_a_journal_is_a_new_epoch(start_hub):
    """Numbers begin again with 1 in another epoch, and nothing is written anywhere."""
    hub = start_hub("--hub-journal-enabled", "false")
    epochs = set()
    for _ in range(3):
        with Dealer(hub) as dealer:
            assert dealer.publish(event())["first_seq"] == 1
        epochs.add(hub.epoch)
        hub.restart()
    assert len(epochs) == 3
    assert not os.path.exists(hub.journal_folder)


def test_supervisor_is_told(start_hub, tmp_path):
    """sd_notify: READY, WATCHDOG while it runs, STOPPING at the end."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(path)
        supervisor.settimeout(seconds(10))
        hub = start_hub(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"})
        heard = []
        while heard.count("WATCHDOG=1") < 3:
            heard.append(supervisor.recv(4096).decode())
        assert "READY=1" in heard
        hub.stop()
        supervisor.setblocking(False)
        while "STOPPING=1" not in heard:
            heard.append(supervisor.recv(4096).decode())


def test_memory_of_the_ring_is_bounded(start_hub):
    """hub.history_bytes bounds what is kept, whatever the events' sizes."""
    hub = start_hub("--hub-history-bytes", "1MiB", "--hub-journal-enabled", "false")
    with Dealer(hub) as dealer:
        for n in range(200):
            dealer.publish(*[event("t", "x" * (n * 37 % 3000)) for _ in range(50)])
        ring = dealer.request({"action": "stats"})["statistics"]["ring"]
        assert 900_000 < ring["bytes"] <= 1 << 20 and ring["max_bytes"] == 1 << 20
        assert ring["trimmed"] + ring["events"] == 10000
        dealer.publish(event("t", "x" * (3 << 20)))  # more than the whole ring
        assert dealer.publish(event("t"))["success"]
        answer = dealer.request({"action": "position"})
        assert answer["seq"] == 10002 and answer["oldest"] == 10002
