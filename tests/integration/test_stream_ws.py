"""The WebSocket door: ops, answers, what bad input gets, publishing."""
import json

import pytest
import websocket

from support.http import get, post
from support.ws import WsClient

TEXT = websocket.ABNF.OPCODE_TEXT
CONTINUATION = websocket.ABNF.OPCODE_CONT
BINARY = websocket.ABNF.OPCODE_BINARY


def send(gateway, event_type, **data):
    answer = post(gateway.port, "/events", {"event_type": event_type, "source_service": "t", "data": data})
    assert answer.status == 202, answer
    return answer.json


def rejected(gateway, reason):
    return get(gateway.port, "/stats").json["gateway"]["rejected"]["ws"].get(reason, 0)


def test_the_url_subscribes_and_the_event_comes_as_it_is(gateway):
    with WsClient(gateway.port, "/ws?event_type=new_setup&event_type=b*", subprotocols=["notifyhub.v1.json"]) as ws:
        assert ws.subprotocol == "notifyhub.v1.json"
        welcome = ws.wait_op("welcome")
        assert welcome["protocol"] == "notifyhub.v1.json"
        subscribed = ws.wait_op("subscribed")
        assert subscribed["position"] == welcome["position"] and "id" not in subscribed
        send(gateway, "other")
        first = send(gateway, "new_setup", setup_id="0001234")
        send(gateway, "bcd")
        events = ws.wait_events(2)
        assert [e["event_type"] for e in events] == ["new_setup", "bcd"]
        assert events[0]["seq"] == first["seq"] and events[0]["epoch"] == first["epoch"]
        assert list(events[0]) == ["event_type", "source_service", "data", "timestamp", "correlation_id", "seq", "epoch"]


def test_a_bare_url_waits_for_a_subscribe(gateway):
    with WsClient(gateway.port) as ws:
        ws.wait_op("welcome")
        before = send(gateway, "a")
        ws.send({"op": "subscribe", "id": {"not": "scalar"}})
        ws.wait_op("error", code="wrong_type")
        ws.send({"op": "subscribe", "id": 1})
        answer = ws.wait_op("subscribed", id=1)
        assert answer["position"] == f"{before['epoch']}-{before['seq']}"
        send(gateway, "b")
        assert [e["event_type"] for e in ws.wait_events(1)] == ["b"]


def test_several_subscribes_form_the_union_in_order_and_once(gateway):
    with WsClient(gateway.port) as ws:
        for i, pattern in enumerate([["a"], "a*", ["b", "a"]]):
            ws.send({"op": "subscribe", "id": i, "event_type": pattern})
            ws.wait_op("subscribed", id=i)
        sent = [send(gateway, t)["seq"] for t in ["a", "b", "ab", "c", "a"]]
        ws.wait_events(4)
        ws.send({"op": "ping", "id": "last"})
        ws.wait_op("pong", id="last")
        assert [e["seq"] for e in ws.events] == [sent[0], sent[1], sent[2], sent[4]]


def test_unsubscribe_takes_patterns_away_and_then_everything(gateway):
    with WsClient(gateway.port) as ws:
        ws.send({"op": "subscribe", "id": 1, "event_type": ["a", "b"]})
        ws.wait_op("subscribed", id=1)
        ws.send({"op": "unsubscribe", "id": 2, "event_type": "a"})
        ws.wait_op("unsubscribed", id=2)
        send(gateway, "a")
        kept = send(gateway, "b")
        assert [e["seq"] for e in ws.wait_events(1)] == [kept["seq"]]
        ws.send({"op": "unsubscribe", "id": 3})
        ws.wait_op("unsubscribed", id=3)
        send(gateway, "b")
        ws.send({"op": "ping", "id": 4})
        ws.wait_op("pong", id=4)
        assert len(ws.events) == 1
        # Nothing is subscribed, so since is allowed again.
        ws.send({"op": "subscribe", "id": 5, "event_type": "b", "since": f"{kept['epoch']}-{kept['seq']}"})
        assert ws.wait_op("subscribed", id=5)["resume"]["result"] == "replayed"
        ws.wait_events(2)


def test_since_on_a_live_stream_is_an_error_and_the_stream_goes_on(gateway):
    with WsClient(gateway.port, "/ws?event_type=a") as ws:
        ws.wait_op("subscribed")
        ws.send({"op": "subscribe", "id": 9, "event_type": "b", "since": "earliest"})
        assert ws.wait_op("error", id=9)["code"] == "since_on_live_stream"
        send(gateway, "a")
        ws.wait_events(1)


def test_reserved_types_come_only_to_those_who_name_them(start_hub, start_gateway):
    gateway = start_gateway(start_hub("--hub-stats-interval-s", "1")).wait_connected()
    with WsClient(gateway.port, "/ws?event_type=*") as everything, \
            WsClient(gateway.port, "/ws?event_type=StatsEvent") as named:
        assert named.wait_events(1)[0]["event_type"] == "StatsEvent"
        assert everything.events == []


@pytest.mark.parametrize("text, code", [
    ("nope", "bad_json"),
    ("[]", "bad_json"),
    ('{"op":"subscribe"', "bad_json"),
    ("{}", "missing_field"),
    ('{"op":1}', "wrong_type"),
    ('{"op":"dance"}', "unknown_op"),
    ('{"op":"subscribe","event_types":["a"]}', "bad_message"),
    ('{"op":"ping","event_type":"a"}', "bad_message"),
    ('{"op":"subscribe","event_type":5}', "wrong_type"),
    ('{"op":"subscribe","event_type":[]}', "bad_value"),
    ('{"op":"subscribe","event_type":["a",1]}', "wrong_type"),
    ('{"op":"subscribe","event_type":"' + "x" * 256 + '"}', "bad_pattern"),
    ('{"op":"subscribe","event_type":["\\u0001"]}', "bad_pattern"),
    ('{"op":"subscribe","event_type":' + json.dumps([f"p{i}" for i in range(65)]) + "}", "too_many_patterns"),
    ('{"op":"subscribe","since":"yesterday"}', "bad_since"),
    ('{"op":"subscribe","policy":"hope"}', "bad_value"),
    ('{"op":"subscribe","snapshot":1}', "wrong_type"),
    ('{"op":"publish"}', "missing_field"),
    ('{"op":"publish","event":[]}', "not_an_object"),
    ('{"op":"publish","event":{"data":1}}', "missing_field"),
    ('{"op":"publish","event":{"event_type":"hub.x"}}', "reserved_type"),
    ('{"op":"publish","event":{"event_type":"StatsEvent"}}', "reserved_type"),
    ('{"op":"publish","event":{"event_type":"a","data":NaN}}', "nonfinite_number"),
    ('{"op":"publish","event":{"event_type":"a"},"durability":"forever"}', "bad_value"),
], ids=lambda value: value[:60])
def test_a_bad_message_gets_an_error_and_the_connection_stays(gateway, text, code):
    with WsClient(gateway.port) as ws:
        ws.wait_op("welcome")
        ws.send(text)
        error = ws.wait_op("error")
        assert error["code"] == code and error["detail"], error
        assert rejected(gateway, code) == 1
        ws.send({"op": "ping", "id": 1})
        ws.wait_op("pong", id=1)


def test_an_error_names_the_request(gateway):
    with WsClient(gateway.port) as ws:
        ws.send({"op": "publish", "id": "p-7", "event": {"event_type": ""}})
        assert ws.wait_op("error")["id"] == "p-7"


def test_publish_is_answered_with_the_number(gateway):
    with WsClient(gateway.port, "/ws?event_type=a") as ws:
        ws.wait_op("subscribed")
        ws.send('{"op":"publish","id":1,"event":{"event_type":"a","data":{"big":123456789012345678901234567890},"mood":"good"}}')
        answer = ws.wait_op("published", id=1)
        event = ws.wait_events(1)[0]
        assert (answer["seq"], answer["epoch"], answer["correlation_id"]) == \
            (event["seq"], event["epoch"], event["correlation_id"])
        assert answer["ignored"] == ["mood"] and answer["durability"] in ("memory", "journaled", "synced")
        assert event["source_service"] == "ws"
        assert '"big":123456789012345678901234567890' in ws.texts[-1] + ws.texts[-2]


def test_a_repeated_id_is_a_duplicate(gateway):
    with WsClient(gateway.port) as ws:
        for i in (1, 2):
            ws.send({"op": "publish", "id": i,
                     "event": {"event_type": "a", "source_service": "s", "id": "same", "correlation_id": "c", "data": 1}})
        first = ws.wait_op("published", id=1)
        second = ws.wait_op("published", id=2)
        assert second["seq"] == first["seq"] and second["duplicate"] is True and "duplicate" not in first


def test_a_flood_of_publishes_is_paced_and_all_are_answered_in_order(gateway):
    count = 2000
    with WsClient(gateway.port, "/ws?event_type=flood") as ws:
        ws.wait_op("subscribed")
        for i in range(count):
            ws.send({"op": "publish", "id": i, "event": {"event_type": "flood", "data": i}})
        ws.wait(lambda w: len(w.ops("published")) == count, 60)
        ws.wait_events(count, 60)
        assert [m["id"] for m in ws.ops("published")] == list(range(count))
        assert [e["data"] for e in ws.events] == list(range(count))
        assert ws.ops("error") == []


def test_publish_without_a_hub_is_an_error_and_never_a_lie(gateway, hub):
    with WsClient(gateway.port) as ws:
        ws.wait_op("welcome")
        hub.kill()
        ws.send({"op": "publish", "id": 1, "event": {"event_type": "a"}})
        assert ws.wait_op("error", id=1, limit=10)["code"] in ("hub_unavailable", "outcome_unknown")
        ws.send({"op": "ping"})
        ws.wait_op("pong")


def test_fragments_are_put_together(gateway):
    with WsClient(gateway.port) as ws:
        ws.wait_op("welcome")
        text = json.dumps({"op": "publish", "id": 1, "event": {"event_type": "é", "data": "x" * 5000}},
                          ensure_ascii=False).encode()
        cut = text.index("é".encode()) + 1  # inside a character
        ws.send_frame(TEXT, text[:cut], fin=0)
        ws.send_frame(websocket.ABNF.OPCODE_PING, b"between")
        ws.send_frame(CONTINUATION, text[cut:3000], fin=0)
        ws.send_frame(CONTINUATION, b"", fin=0)
        ws.send_frame(CONTINUATION, text[3000:], fin=1)
        ws.wait_op("published", id=1)


@pytest.mark.parametrize("opcode, payload, code, reason", [
    (BINARY, b"{}", 1003, "binary_message"),
    (TEXT, b'{"op":"ping\xff"}', 1007, "bad_utf8"),
    (TEXT, b'{"op":"' + b"x" * (1024 * 1024 + 8192), 1009, "too_big"),
], ids=["binary", "bad utf-8", "oversize"])
def test_what_is_no_message_ends_the_connection_with_its_code(gateway, opcode, payload, code, reason):
    with WsClient(gateway.port, "/ws?event_type=a") as other:
        with WsClient(gateway.port) as ws:
            ws.wait_op("welcome")
            ws.send_frame(opcode, payload)
            assert ws.wait_close() == code
        assert rejected(gateway, reason) == 1
        send(gateway, "a")
        other.wait_events(1)


def test_an_endless_message_in_fragments_is_refused(gateway):
    with WsClient(gateway.port) as ws:
        ws.wait_op("welcome")
        try:
            ws.send_frame(TEXT, b"x" * 65536, fin=0)
            for _ in range(40):
                ws.send_frame(CONTINUATION, b"x" * 65536, fin=0)
        except OSError:
            pass
        assert ws.wait_close() == 1009


def test_messages_that_never_end_are_bounded_together(hub, start_gateway):
    """Whoever is longest at a message makes room; the one who has just begun can go on."""
    gateway = start_gateway(hub, "--gateway-max-event-bytes", "64KiB").wait_connected()
    most = 2 * 32 * (64 + 4) * 1024  # MEMORY_MESSAGES_BYTES
    clients = []
    try:
        for _ in range(most // 65536 + 10):
            clients.append(WsClient(gateway.port))
            clients[-1].send_frame(TEXT, b'{"op":"ping","id":1' + b" " * 60000, fin=0)
            clients[-1].send_frame(websocket.ABNF.OPCODE_PING, b"")
        clients[0].wait_close()
        assert (clients[0].close_code, clients[0].close_reason) == (1013, "too many messages are on their way")
        clients[-1].send_frame(CONTINUATION, b"}")
        clients[-1].wait_op("pong", id=1)
        assert len([c for c in clients if not c.ended]) * 65536 <= most
        assert rejected(gateway, "overloaded") > 0
        with WsClient(gateway.port) as ws:
            ws.send({"op": "ping", "id": 2})
            ws.wait_op("pong", id=2)
    finally:
        for client in clients:
            client.close()


def test_an_event_that_is_too_big_is_an_error(start_hub, start_gateway):
    gateway = start_gateway(start_hub(), "--gateway-max-event-bytes", "2000").wait_connected()
    with WsClient(gateway.port) as ws:
        ws.send({"op": "publish", "id": 1, "event": {"event_type": "a", "data": "x" * 2500}})
        assert ws.wait_op("error", id=1)["code"] == "too_big"


def test_cloudevents_on_the_wire(gateway):
    with WsClient(gateway.port, "/ws?event_type=a&format=cloudevents") as ws:
        ws.wait_op("subscribed")
        sent = send(gateway, "a", n=1)
        ws.wait(lambda w: len(w.messages) == 3)
        event = ws.messages[-1]
        assert event["specversion"] == "1.0" and event["type"] == "a" and event["data"] == {"n": 1}
        assert event["nhseq"] == str(sent["seq"]) and event["nhepoch"] == sent["epoch"]


def test_a_long_event_comes_as_one_message(gateway):
    with WsClient(gateway.port, "/ws?event_type=a") as ws:
        ws.wait_op("subscribed")
        send(gateway, "a", text="y" * 700000)
        send(gateway, "a", text="z")
        events = ws.wait_events(2)
        assert len(events[0]["data"]["text"]) == 700000 and events[1]["data"]["text"] == "z"


def test_clients_that_vanish_are_counted_out(gateway):
    clients = [WsClient(gateway.port, "/ws?event_type=a") for _ in range(20)]
    for ws in clients:
        ws.wait_op("subscribed")
    assert get(gateway.port, "/stats").json["gateway"]["subscribers"]["ws"] == 20
    for ws in clients:
        ws.socket.sock.close() if ws.socket.sock else None
        ws.close()
    from support.waiting import wait_until
    wait_until(lambda: get(gateway.port, "/stats").json["gateway"]["subscribers"]["ws"] == 0, 10, "no subscriber")
