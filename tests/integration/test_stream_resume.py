"""Resume at both doors: each answer, from the cache, from the hub, over a new epoch."""
import pytest

from support.http import get, post
from support.sse import SseReader
from support.waiting import wait_until
from support.ws import WsClient


def send_many(gateway, count, event_type="a", first=0):
    last = None
    for start in range(0, count, 500):
        body = "\n".join(f'{{"event_type":"{event_type}","source_service":"t","data":{first + i}}}'
                         for i in range(start, min(start + 500, count)))
        answer = post(gateway.port, "/events", body, headers={"Content-Type": "application/x-ndjson"})
        assert answer.status == 202, answer
        last = answer.json
    return last


def position(answer, seq=None):
    return f"{answer['epoch']}-{answer['last_seq'] if seq is None else seq}"


def caught_up(gateway, answer):
    """The gateway's cache has reached this answer's last event."""
    want = answer["last_seq"]
    wait_until(lambda: get(gateway.port, "/stats").json["gateway"]["link"]["received_seq"] >= want, 10, "the feed")


def test_a_reconnecting_reader_misses_nothing(gateway):
    with SseReader(gateway.port, "/events?event_type=a") as stream:
        stream.wait_open()
        send_many(gateway, 10)
        stream.wait_events(10)
        last_id = stream.last_id
    send_many(gateway, 5, first=10)
    with SseReader(gateway.port, "/events?event_type=a", last_event_id=last_id) as stream:
        assert [e["data"] for e in stream.wait_events(5)] == [10, 11, 12, 13, 14]
        assert stream.headers["notifyhub-resume"].startswith("replayed; count=5")
        result = stream.notices("hub.resume")[0]
        assert result["result"] == "replayed" and result["count"] == 5 and result["from"] == last_id
        send_many(gateway, 1, first=15)
        stream.wait_events(6)
        assert [e["data"] for e in stream.events] == list(range(10, 16))


def test_the_first_block_names_the_position_before_the_first_event(gateway):
    sent = send_many(gateway, 3)
    caught_up(gateway, sent)
    with SseReader(gateway.port, "/events?event_type=a") as stream:
        stream.wait_open()
        first = stream.blocks[0]
        assert first.id == position(sent) and first.data is None and first.retry
        assert "notifyhub-resume" not in stream.headers
        assert stream.headers["cache-control"] == "no-store" and stream.headers["x-accel-buffering"] == "no"


def test_caught_up(gateway):
    sent = send_many(gateway, 3)
    caught_up(gateway, sent)
    with SseReader(gateway.port, f"/events?event_type=a&since={position(sent)}") as stream:
        assert stream.wait_notice("hub.resume")[0]["result"] == "caught_up"
        assert stream.headers["notifyhub-resume"] == "caught_up"
    with WsClient(gateway.port, f"/ws?event_type=nothing&since={position(sent, 1)}") as ws:
        answer = ws.wait_op("subscribed")
        assert answer["resume"]["result"] == "caught_up" and answer["position"] == position(sent)


@pytest.mark.parametrize("since, want", [("earliest", 12), ("{epoch}-0", 12), ("4", 8), ("latest", 0)])
def test_each_way_to_say_since(gateway, since, want):
    sent = send_many(gateway, 12)
    caught_up(gateway, sent)
    since = since.format(epoch=sent["epoch"])
    with WsClient(gateway.port, f"/ws?event_type=a&since={since}") as ws:
        answer = ws.wait_op("subscribed")["resume"]
        assert answer["result"] == ("replayed" if want else "caught_up"), answer
        assert answer.get("count", 0) == want
        ws.wait_events(want)
        send_many(gateway, 1, first=12)
        ws.wait_events(want + 1)
        assert [e["data"] for e in ws.events] == list(range(12 - want, 13))


def test_since_a_time(gateway):
    import datetime
    import time
    send_many(gateway, 3)
    time.sleep(0.05)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    time.sleep(0.05)
    send_many(gateway, 2, first=3)
    with WsClient(gateway.port, f"/ws?event_type=a&since={now}") as ws:
        assert ws.wait_op("subscribed")["resume"]["result"] == "replayed"
        assert [e["data"] for e in ws.wait_events(2)] == [3, 4]


def test_a_position_that_nobody_gave_out_is_unknown_and_live_goes_on(gateway):
    sent = send_many(gateway, 3)
    caught_up(gateway, sent)
    with WsClient(gateway.port, f"/ws?event_type=a&since={position(sent, 4000)}") as ws:
        answer = ws.wait_op("subscribed")
        assert answer["resume"]["result"] == "unknown" and answer["position"] == position(sent)
        send_many(gateway, 1, first=3)
        assert [e["data"] for e in ws.wait_events(1)] == [3]


@pytest.mark.parametrize("foreign", ["42abc", "some-other-server-7", "e5f1c2d4-9b1a-4a44-8f43-0d0a1b2c3d4e", "\xe4", "x" * 2000])
def test_a_last_event_id_of_another_server_is_unknown_and_live_goes_on(gateway, foreign):
    """An EventSource does not come back after an error, so this is none."""
    sent = send_many(gateway, 3)
    caught_up(gateway, sent)
    with SseReader(gateway.port, "/events?event_type=a", last_event_id=foreign) as stream:
        stream.wait_open()
        assert stream.headers["notifyhub-resume"] == "unknown"
        assert stream.blocks[0].id == position(sent)
        assert stream.notices("hub.resume") == [{"result": "unknown"}]
        send_many(gateway, 2, first=3)
        assert [e["data"] for e in stream.wait_events(2)] == [3, 4]


def test_what_left_the_cache_comes_from_the_hub_in_pages(start_hub, start_gateway):
    gateway = start_gateway(start_hub(), "--gateway-cache-events", "50").wait_connected()
    sent = send_many(gateway, 4000)
    caught_up(gateway, sent)
    with SseReader(gateway.port, f"/events?event_type=a&since={position(sent, 10)}") as stream:
        stream.wait_events(3990, 30)
        assert [e["seq"] for e in stream.events] == list(range(11, 4001))
        assert stream.headers["notifyhub-resume"].split(";")[0] in ("replayed", "pending")
        assert stream.notices("hub.resume")[0]["result"] == "replayed"
        assert stream.notices("hub.gap") == []


def test_live_events_during_a_long_replay_come_after_it_and_once(start_hub, start_gateway):
    gateway = start_gateway(start_hub(), "--gateway-cache-events", "200").wait_connected()
    send_many(gateway, 3000)
    with WsClient(gateway.port, "/ws?event_type=a&since=earliest") as ws:
        send_many(gateway, 2000, first=3000)
        ws.wait_events(5000, 60)
        assert [e["data"] for e in ws.events] == list(range(5000))


def test_what_nobody_has_any_more_is_a_gap(start_hub, start_gateway):
    gateway = start_gateway(start_hub("--hub-journal-enabled", "false", "--hub-history-events", "100"),
                            "--gateway-cache-events", "50").wait_connected()
    sent = send_many(gateway, 1000)
    caught_up(gateway, sent)
    since = position(sent, 5)
    with WsClient(gateway.port, f"/ws?event_type=a&since={since}") as ws:
        resume = ws.wait_op("subscribed")["resume"]
        assert resume["result"] == "gap" and resume["gap"]["reason"] == "retention"
        assert resume["gap"]["from"] == since
        first = int(resume["gap"]["to"].split("-")[1]) + 1
        ws.wait_events(1001 - first)
        assert [e["seq"] for e in ws.events] == list(range(first, 1001))
        gap = ws.ops("gap")[0]
        assert (gap["from"], gap["to"], gap["reason"]) == (since, resume["gap"]["to"], "retention")


def test_a_new_epoch_of_the_hub_is_told_to_everybody(start_hub, start_gateway):
    hub = start_hub("--hub-journal-enabled", "false")
    gateway = start_gateway(hub).wait_connected()
    with SseReader(gateway.port, "/events?event_type=a") as stream, WsClient(gateway.port, "/ws?event_type=a") as ws:
        stream.wait_open()
        ws.wait_op("subscribed")
        sent = send_many(gateway, 5)
        stream.wait_events(5)
        ws.wait_events(5)
        hub.kill()
        hub.restart()
        gap = ws.wait_op("gap", limit=20)
        assert gap["reason"] == "epoch_changed" and gap["from"] == position(sent)
        assert stream.wait_notice("hub.gap")[0]["to"] == gap["to"]
        gateway.wait_connected(20)
        after = send_many(gateway, 1, first=100)
        assert after["epoch"] != sent["epoch"]
        assert stream.wait_events(6)[5]["data"] == 100
        assert ws.wait_events(6)[5]["data"] == 100
        # The order on the wire: the gap before the first event of the new epoch.
        assert ws.messages.index(gap) < ws.messages.index(ws.events[5])
    # Old positions: the cache, then the gap, then the new epoch.
    with WsClient(gateway.port, f"/ws?event_type=a&since={position(sent, 3)}") as ws:
        resume = ws.wait_op("subscribed")["resume"]
        assert resume["result"] == "gap" and resume["gap"]["reason"] == "epoch_changed"
        assert [e["data"] for e in ws.wait_events(3)] == [3, 4, 100]
        assert [m.get("op", "event") for m in ws.messages[2:]] == ["event", "event", "gap", "event"]


def test_an_epoch_that_is_not_known_is_a_gap_and_all_that_there_is(gateway):
    sent = send_many(gateway, 4)
    caught_up(gateway, sent)
    with WsClient(gateway.port, "/ws?event_type=a&since=zzzzzzz2-17") as ws:
        resume = ws.wait_op("subscribed")["resume"]
        assert resume["result"] == "gap" and resume["gap"]["reason"] == "epoch_changed"
        assert [e["data"] for e in ws.wait_events(4)] == [0, 1, 2, 3]


def test_the_cache_serves_while_the_hub_is_away(start_hub, start_gateway):
    hub = start_hub()
    gateway = start_gateway(hub).wait_connected()
    sent = send_many(gateway, 6)
    caught_up(gateway, sent)
    hub.kill()
    with SseReader(gateway.port, f"/events?event_type=a&since={position(sent, 2)}") as stream:
        assert [e["data"] for e in stream.wait_events(4)] == [2, 3, 4, 5]
    page = get(gateway.port, f"/events?event_type=a&since={position(sent, 4)}").json
    assert [e["data"] for e in page["events"]] == [4, 5] and page["more"] is False


def test_a_resume_that_needs_the_hub_waits_for_it(start_hub, start_gateway):
    hub = start_hub()
    gateway = start_gateway(hub, "--gateway-cache-events", "10").wait_connected()
    sent = send_many(gateway, 100)
    caught_up(gateway, sent)
    hub.pause()
    gateway.wait_unready()
    where = f"?event_type=a&since={position(sent, 50)}"
    with SseReader(gateway.port, f"/events{where}") as stream, WsClient(gateway.port, f"/ws{where}") as ws:
        stream.wait_open()
        assert stream.headers["notifyhub-resume"] == "pending" and stream.events == []
        # For as long as it takes: nobody but the hub can say that something is gone.
        told = {"position": position(sent, 50), "reason": "hub_unavailable"}
        stream.wait(lambda r: r.notices("hub.waiting"), 60, "to be told that the hub is waited for")
        assert stream.notices("hub.waiting")[0] == told
        assert ws.wait_op("waiting", 60) == {"op": "waiting", **told}
        page = get(gateway.port, f"/events{where}")
        page.problem(503, "hub_unavailable")
        assert int(page.headers["Retry-After"]) > 0
        hub.resume()
        assert [e["seq"] for e in stream.wait_events(50, 20)] == list(range(51, 101))
        assert stream.notices("hub.resume")[0]["result"] == "replayed" and stream.notices("hub.gap") == []
        assert [e["seq"] for e in ws.wait_events(50, 20)] == list(range(51, 101))
        assert ws.ops("gap") == []


def test_a_gateway_that_starts_before_its_hub_tells_the_position_later(start_hub, start_gateway):
    hub = start_hub(wait=False)
    gateway = start_gateway(hub)
    with WsClient(gateway.port, "/ws?event_type=a") as ws, SseReader(gateway.port, "/events?event_type=a") as stream:
        assert ws.wait_op("welcome")["position"] is None
        assert ws.wait_op("subscribed")["position"] is None
        stream.wait_open()
        assert stream.blocks[0].id is None
        hub.start()
        told = ws.wait_op("position", limit=20)["position"]
        stream.wait(lambda s: s.last_id == told)
        gateway.wait_connected()
        send_many(gateway, 1)
        assert ws.wait_events(1) and stream.wait_events(1)


def test_snapshot_brings_the_newest_of_each_type_and_then_live(gateway):
    for i in range(3):
        for kind in ("s.x", "s.y", "t"):
            post(gateway.port, "/events", {"event_type": kind, "source_service": "t", "data": f"{kind}{i}"})
    sent = send_many(gateway, 1, event_type="end")
    caught_up(gateway, sent)
    with WsClient(gateway.port, "/ws?event_type=s.*&snapshot=true") as ws, \
            SseReader(gateway.port, "/events?event_type=s.*&snapshot=true") as stream:
        assert [e["data"] for e in ws.wait_events(2)] == ["s.x2", "s.y2"]
        assert [e["data"] for e in stream.wait_events(2)] == ["s.x2", "s.y2"]
        post(gateway.port, "/events", {"event_type": "s.x", "source_service": "t", "data": "new"})
        assert [e["data"] for e in ws.wait_events(3)] == ["s.x2", "s.y2", "new"]
        stream.wait_events(3)
        assert stream.events == ws.events


def test_named_and_cloudevents_streams(gateway):
    with SseReader(gateway.port, "/events?event_type=a&named=true") as named, \
            SseReader(gateway.port, "/events?event_type=a&format=cloudevents") as ce:
        named.wait_open()
        ce.wait_open()
        send_many(gateway, 1)
        assert named.wait_events(1) and named.messages[0].event == "a"
        assert ce.wait_events(1)[0]["specversion"] == "1.0" and ce.messages[0].event == "message"


def test_an_idle_stream_is_told_where_it_is(gateway):
    with SseReader(gateway.port, "/events?event_type=never") as stream, WsClient(gateway.port, "/ws?event_type=never") as ws:
        stream.wait_open()
        ws.wait_op("subscribed")
        sent = send_many(gateway, 3)
        stream.wait(lambda s: s.last_id == position(sent), 25)
        ws.wait_op("position", limit=25)
        assert ws.ops("position")[0]["position"] == position(sent)
        assert stream.events == [] and ws.events == []


def test_history_pages_join_without_a_seam(start_hub, start_gateway):
    gateway = start_gateway(start_hub(), "--gateway-cache-events", "300").wait_connected()
    sent = send_many(gateway, 1500)
    caught_up(gateway, sent)
    seen, since = [], "earliest"
    for _ in range(20):
        page = get(gateway.port, f"/events?event_type=a&limit=200&since={since}").json
        seen += [e["data"] for e in page["events"]]
        since = page["next"]
        if not page["more"]:
            break
    assert seen == list(range(1500)) and since == position(sent)


def test_events_with_bare_nan_are_strict_json_for_browsers(hub, gateway):
    from support.zmq_clients import Push
    with WsClient(gateway.port, "/ws?event_type=n") as ws, SseReader(gateway.port, "/events?event_type=n") as stream, \
            Push(hub) as push:
        ws.wait_op("subscribed")
        stream.wait_open()
        push.send('{"event_type":"n","source_service":"t","data":[NaN,"NaN",-Infinity,1e400]}')
        assert '"data":[null,"NaN",null,1e400]' in (ws.wait_events(1) and ws.texts[-1])
        stream.wait_events(1)
        assert '"data":[null,"NaN",null,1e400]' in stream.messages[0].data
        assert '[null,"NaN",null,1e400]' in get(gateway.port, "/events?event_type=n&since=0").text
