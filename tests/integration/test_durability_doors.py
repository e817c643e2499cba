"""Durability at the doors: what is asked for, what is given, and what is said when the disk is full or failed.

The hub of these tests is under their command, because a disk that is slow or fails at the right moment is not.
"""
import os
import threading

import pytest

from support import faults
from support.daemons import program
from support.fake_hub import FakeHub
from support.http import get, post
from support.metrics import Metrics
from support.sse import SseReader
from support.waiting import Stalled, seconds, unstalled, wait_until
from support.ws import WsClient
from support.zmq_clients import event

LINES = {"Content-Type": "application/x-ndjson"}
CE_BATCH = {"Content-Type": "application/cloudevents-batch+json"}


@pytest.fixture
def make_fake(reserve_port):
    made = []

    def make(**position):
        made.append(FakeHub([reserve_port() for _ in range(3)], **position))
        return made[-1]

    yield make
    for fake in made:
        fake.close()


class Later:
    """A call in a thread of its own: result() waits for it."""

    def __init__(self, call, *args, **more):
        self._value = None
        self._thread = threading.Thread(target=self._run, args=(call, args, more), daemon=True)
        self._thread.start()

    def _run(self, call, args, more):
        self._value = call(*args, **more)

    @property
    def is_done(self):
        return not self._thread.is_alive()

    def result(self):
        self._thread.join(60)
        assert self.is_done and self._value is not None
        return self._value


def publish(gateway, number, query="", headers=None):
    return post(gateway.port, f"/events{query}", event("n", number), headers, limit=30)


def wait_requests(fake, count):
    wait_until(lambda: len(fake.requests) >= count, 10, lambda: f"{count} requests, not {fake.requests}")


def test_the_word_reaches_the_hub_and_comes_back_in_every_form_of_answer(make_fake, start_gateway):
    fake = make_fake(durability="synced", durability_max="synced")
    gateway = start_gateway(fake.ports).wait_connected()
    fake.on_publish = lambda request, events: fake.number(request, events, request.get("durability", "synced"))
    bodies = [(event("n", 1), None), ([event("n", 1), event("n", 2)], None),
              ('{"event_type":"n"}\n{"event_type":"n"}\n', LINES),
              ([{"specversion": "1.0", "id": "1", "type": "n", "source": "s"}], CE_BATCH)]
    for word in ("memory", "journaled", "synced", None):
        for body, headers in bodies:
            answer = post(gateway.port, "/events" + (f"?durability={word}" if word else ""), body, headers)
            assert answer.status == 202 and answer.json["durability"] == (word or "synced"), answer
            assert fake.requests[-1][0].get("durability") == word
    with WsClient(gateway.port) as ws:
        ws.wait_op("welcome")
        for number, word in enumerate(("memory", "journaled", "synced", None)):
            ws.send({"op": "publish", "id": number, "event": event("n"), **({"durability": word} if word else {})})
            assert ws.wait_op("published", id=number)["durability"] == (word or "synced")
        ws.send({"op": "publish", "id": "bad", "event": event("n"), "durability": "gold"})
        assert ws.wait_op("error", id="bad")["code"] in ("bad_value", "bad_query")
    post(gateway.port, "/events?durability=gold", event("n")).problem(400, "bad_query")


@pytest.mark.parametrize("default, minimum, hub, asked, sent", [
    ("journal", "memory", "synced", None, None),
    ("journaled", "memory", "synced", None, "journaled"),
    ("journaled", "memory", "synced", "memory", "memory"),
    ("journal", "journaled", "synced", "memory", "journaled"),
    ("journal", "journaled", "memory", None, "journaled"),
    ("journal", "journaled", "journaled", None, None),
    ("synced", "journaled", "memory", None, "synced"),
])
def test_what_the_operator_says_counts_at_both_doors(make_fake, start_gateway, default, minimum, hub, asked, sent):
    fake = make_fake(durability=hub, durability_max="synced")
    gateway = start_gateway(fake.ports, "--gateway-durability", default, "--gateway-min-durability", minimum)
    gateway.wait_connected()
    assert publish(gateway, 1, f"?durability={asked}" if asked else "").status == 202
    assert fake.requests[-1][0].get("durability") == sent
    with WsClient(gateway.port) as ws:
        ws.send({"op": "publish", "id": 1, "event": event("n"), **({"durability": asked} if asked else {})})
        ws.wait_op("published", id=1)
    assert fake.requests[-1][0].get("durability") == sent


def test_a_slow_disk_does_not_hold_up_who_did_not_ask_for_it(make_fake, start_gateway):
    fake = make_fake(durability="memory", durability_max="synced")
    gateway = start_gateway(fake.ports, "--gateway-publish-window", "4", "--gateway-ack-timeout-ms",
                            "60000").wait_connected()
    held = []

    def on_publish(request, events):
        if request.get("durability") == "synced":
            held.append((request, events))
            return None
        return fake.number(request, events)

    fake.on_publish = on_publish
    slow = []
    for number in range(8):  # twice the window, each a request of its own
        slow.append(Later(publish, gateway, number, "?durability=synced"))
        if number < 3:
            wait_requests(fake, number + 1)
    for number in range(20):
        assert publish(gateway, 100 + number, "?durability=memory").json["durability"] == "memory"
    assert len(held) == 3 and not any(later.is_done for later in slow)
    # The other ones waited together, and go out as one request.
    for request, events in held[:3]:
        fake.answer(request, **fake.number(request, events, "synced"))
    wait_until(lambda: len(held) == 4, 10, lambda: held)
    assert len(held[3][1]) == 5
    fake.answer(held[3][0], **fake.number(*held[3], "synced"))
    assert all(later.result().json["durability"] == "synced" for later in slow)


def test_one_connections_events_keep_their_order_whatever_they_ask_for(make_fake, start_gateway):
    fake = make_fake(durability="memory", durability_max="synced")
    gateway = start_gateway(fake.ports, "--gateway-publish-window", "1").wait_connected()
    seen = []

    def on_publish(request, events):
        seen.extend(json_data(e) for e in events)
        return fake.number(request, events, request.get("durability", "memory"))

    fake.on_publish = on_publish
    with WsClient(gateway.port) as ws:
        ws.wait_op("welcome")
        words = ["memory", "synced", "memory", None, "journaled", "synced"] * 50
        for number, word in enumerate(words):
            ws.send({"op": "publish", "id": number, "event": event("n", number),
                     **({"durability": word} if word else {})})
        ws.wait_op("published", id=len(words) - 1, limit=30)
    assert seen == list(range(len(words)))
    assert [m["id"] for m in ws.ops("published")] == list(range(len(words)))


def json_data(line):
    import json
    return json.loads(line)["data"]


def test_a_client_that_goes_still_gets_its_publishes_out(make_fake, start_gateway):
    fake = make_fake(durability="memory", durability_max="synced")
    gateway = start_gateway(fake.ports).wait_connected()
    held = []
    fake.on_publish = lambda request, events: held.append((request, events))
    with WsClient(gateway.port) as ws:
        ws.wait_op("welcome")
        ws.send({"op": "publish", "event": event("n", 1), "durability": "synced"})
        ws.send({"op": "publish", "event": event("n", 2), "durability": "memory"})
        wait_requests(fake, 1)
    wait_requests(fake, 2)
    assert json_data(held[1][1][0]) == 2


UNAVAILABLE = {"success": False, "code": "durability_unavailable", "error": "the disk is full"}


def test_a_full_disk_is_said_before_anything_is_numbered(make_fake, start_gateway):
    fake = make_fake(durability="memory", durability_max="synced")
    gateway = start_gateway(fake.ports).wait_connected()
    fake.on_publish = lambda request, events: dict(UNAVAILABLE) if request.get("durability") else fake.number(request, events)
    refused = publish(gateway, 1, "?durability=synced")
    assert refused.problem(503, "durability_unavailable")["detail"] == "the disk is full"
    assert int(refused.headers["Retry-After"]) > 0
    post(gateway.port, "/events?durability=synced", [event("n"), event("n")]).problem(503, "durability_unavailable")
    assert publish(gateway, 1).status == 202
    with WsClient(gateway.port) as ws:
        ws.send({"op": "publish", "id": 7, "event": event("n"), "durability": "journaled"})
        assert ws.wait_op("error", id=7)["code"] == "durability_unavailable"
    assert Metrics(gateway.port).get("notifyhub_rejected_total", door="http", reason="durability_unavailable") == 2


def test_a_disk_that_fails_under_numbered_events_is_told_with_their_numbers(make_fake, start_gateway):
    fake = make_fake(durability="synced", durability_max="synced")
    gateway = start_gateway(fake.ports).wait_connected()

    def lost(request, events):
        return {**fake.number(request, events), "success": False, "code": "durability_lost", "error": "write failed"}

    fake.on_publish = lost
    answer = publish(gateway, 1)
    told = answer.problem(503, "durability_lost")
    assert (told["first_seq"], told["last_seq"], told["epoch"]) == (1, 1, fake.epoch)
    assert "write failed" in told["detail"] and "sent to subscribers" in told["detail"]
    assert "Retry-After" not in answer.headers  # a repeat without an id would be a second event
    told = post(gateway.port, "/events", [event("n"), event("n"), event("n")]).problem(503, "durability_lost")
    assert (told["first_seq"], told["last_seq"]) == (2, 4)
    with WsClient(gateway.port) as ws:
        ws.send({"op": "publish", "id": 7, "event": event("n")})
        error = ws.wait_op("error", id=7)
        assert (error["code"], error["seq"], error["epoch"]) == ("durability_lost", 5, fake.epoch)
        ws.send({"op": "subscribe", "event_type": "n", "since": "earliest"})
        assert [e["seq"] for e in ws.wait_events(5)] == [1, 2, 3, 4, 5]


def test_a_hub_without_numbers_is_unavailable(make_fake, start_gateway):
    fake = make_fake()
    gateway = start_gateway(fake.ports).wait_connected()
    fake.on_publish = lambda request, events: {"success": False, "code": "unavailable", "error": "no numbers"}
    refused = publish(gateway, 1)
    refused.problem(503, "hub_unavailable")
    assert int(refused.headers["Retry-After"]) > 0


def test_repeats_have_the_first_ones_number(make_fake, start_gateway):
    fake = make_fake()
    gateway = start_gateway(fake.ports).wait_connected()
    repeat = [{"index": 0, "seq": 3, "duplicate": True}]
    fake.on_publish = lambda request, events: {"count": 0, "epoch": fake.epoch, "durability": "synced",
                                               "results": repeat}
    one = publish(gateway, 1, headers={"Idempotency-Key": "k"}).json
    assert (one["seq"], one["duplicate"], one["durability"]) == (3, True, "synced")
    fake.on_publish = lambda request, events: {"first_seq": 8, "last_seq": 8, "count": 1, "epoch": fake.epoch,
                                               "durability": "memory", "results": repeat}
    batch = post(gateway.port, "/events", [event("n"), event("n")]).json
    assert (batch["accepted"], batch["duplicates"], batch["first_seq"], batch["results"]) == (1, 1, 8, repeat)
    fake.on_publish = lambda request, events: {"success": False, "code": "duplicate_conflict",
                                               "error": "another event has this id", "index": 0}
    post(gateway.port, "/events", event("n", id="x"), ).problem(422, "duplicate_conflict")


def test_a_degraded_journal_is_said_in_words_and_takes_nobody_out_of_service(make_fake, start_gateway):
    fake = make_fake()
    gateway = start_gateway(fake.ports).wait_connected()
    for path in ("/health", "/health/live", "/livez"):
        assert get(gateway.port, path).json == {"status": "ok"}
    fake.position["journal"] = {"state": "degraded", "why": "no space left on \"/data\""}
    wait_until(lambda: get(gateway.port, "/health").json["status"] == "degraded", 10, "the health to say so")
    for path in ("/health", "/health/live", "/health/ready", "/readyz"):
        answer = get(gateway.port, path)
        assert answer.status == 200 and answer.json["journal"]["why"] == "no space left on \"/data\"", answer
    assert get(gateway.port, "/health/ready").json["status"] == "ready"
    assert get(gateway.port, "/stats").json["gateway"]["link"]["journal"]["state"] == "degraded"
    assert Metrics(gateway.port).get("notifyhub_hub_journal_degraded") == 1
    gateway.wait_log("hub_journal_degraded")
    fake.position["journal"] = {"state": "ready", "why": ""}
    wait_until(lambda: get(gateway.port, "/health").json == {"status": "ok"}, 10, "the recovery")
    gateway.wait_log("hub_journal_recovered")
    assert gateway.stderr.count("hub_journal_degraded") == 1


def test_a_real_disk_that_fills_up_and_has_room_again(start_hub, start_gateway, tmp_path):
    """Readers get everything live and no gap; the publishers are told the truth; who comes later is told what is gone."""
    control = str(tmp_path / "fail")
    hub = start_hub("--hub-stats-event", "", wait=False)
    hub.env = faults.environment(hub.journal_folder, program(hub.program_name), fail=control)
    hub.start()
    gateway = start_gateway(hub).wait_connected()
    with WsClient(gateway.port, "/ws?event_type=n") as ws, SseReader(gateway.port, "/events?event_type=n") as sse:
        ws.wait_op("subscribed")
        sse.wait_open()
        assert publish(gateway, 1, "?durability=synced").json["durability"] == "synced"
        faults.control(control, "ENOSPC")
        told = publish(gateway, 2, "?durability=synced").problem(503, "durability_lost")
        assert (told["first_seq"], told["last_seq"], told["epoch"]) == (2, 2, hub.epoch)
        publish(gateway, 0, "?durability=journaled").problem(503, "durability_unavailable")
        assert publish(gateway, 3).json["durability"] == "memory"
        assert publish(gateway, 4, "?durability=memory").json["durability"] == "memory"
        wait_until(lambda: get(gateway.port, "/health").json["status"] == "degraded", 10, "the health to say so")
        assert get(gateway.port, "/health/ready").status == 200
        ws.send({"op": "publish", "id": 7, "event": event("n"), "durability": "synced"})
        assert ws.wait_op("error", id=7)["code"] == "durability_unavailable"
        os.unlink(control)
        wait_until(lambda: get(gateway.port, "/health").json == {"status": "ok"}, 20, "the recovery")
        assert publish(gateway, 5, "?durability=synced").json["durability"] == "synced"
        hub.restart()
        gateway.wait_connected()
        assert publish(gateway, 6, "?durability=synced").json["seq"] == 6
        for reader, gaps in ((ws, lambda: ws.ops("gap")), (sse, lambda: sse.notices("hub.gap"))):
            assert [e["data"] for e in reader.wait_events(6)] == [1, 2, 3, 4, 5, 6] and gaps() == []
    # This gateway still has what the disk did not take; one that starts now is told that it is gone.
    assert [e["data"] for e in get(gateway.port, f"/events?since={hub.epoch}-1").json["events"]] == [2, 3, 4, 5, 6]
    late = start_gateway(hub).wait_connected()
    wait_until(lambda: get(late.port, "/stats").json["gateway"]["link"]["received_seq"] == 6, 10, "the feed")
    page = get(late.port, f"/events?since={hub.epoch}-1").json
    assert page["gap"] == {"from": f"{hub.epoch}-1", "to": f"{hub.epoch}-4", "reason": "not_stored"}
    assert [e["data"] for e in page["events"]] == [5, 6]


def test_a_lost_repeat_harms_nobody_who_shares_its_request(start_hub, start_gateway, tmp_path):
    """A client sends again what the disk did not take, again and again: it is told so, and the others get what they asked
    for, although the gateway puts all of them into one request."""
    fail, delay = str(tmp_path / "fail"), str(tmp_path / "delay")
    hub = start_hub("--hub-stats-event", "", wait=False)
    hub.env = faults.environment(hub.journal_folder, program(hub.program_name), fail=fail, delay=delay)
    hub.start()
    gateway = start_gateway(hub, "--gateway-publish-window", "1", "--gateway-ack-timeout-ms", "60000").wait_connected()

    def again():
        return post(gateway.port, "/events?durability=synced", event("n", 0, id="x"), limit=30)

    def link():
        return get(gateway.port, "/stats").json["gateway"]["link"]

    faults.control(fail, "EIO")
    assert again().problem(503, "durability_lost")["first_seq"] == 1
    os.unlink(fail)
    wait_until(lambda: publish(gateway, 1, "?durability=synced").status == 202, 20, "the recovery")

    def attempt():
        faults.control(delay, round(seconds(1) * 1000))
        first = Later(publish, gateway, 1, "?durability=synced")
        wait_until(lambda: link()["in_flight"] == 1 or first.is_done, 20, "the first one to be on its way")
        lost = Later(again)
        others = [Later(publish, gateway, n, "?durability=synced") for n in range(4)]
        wait_until(lambda: link()["waiting"] == 5 or first.is_done, 20, "the others to wait for it")
        together = not first.is_done
        os.unlink(delay)
        assert [later.result().status for later in (first, *others)] == [202] * 5, [later.result() for later in others]
        assert {later.result().json["durability"] for later in (first, *others)} == {"synced"}
        told = lost.result().problem(503, "durability_lost")
        assert (told["first_seq"], told["last_seq"], told["epoch"]) == (1, 1, hub.epoch)
        if not together:
            raise Stalled("the first one was answered before the others waited")

    unstalled(attempt)
