"""POST /events: what is taken, what is refused with which word, and that nobody else notices."""
import base64
import json
import socket
import subprocess

import pytest

from support.http import KeepAlive, connect, get, post, request
from support.metrics import Metrics
from support.sse import SseReader
from support.waiting import seconds, wait_until

JSON = {"Content-Type": "application/json"}


def history(gateway, query="since=earliest&limit=10000"):
    answer = get(gateway.port, f"/events?{query}")
    assert answer.status == 200, answer
    return answer.json["events"]


def wait_history(gateway, count, query="since=earliest&limit=10000"):
    """The cache follows the hub's answer by a moment."""
    return wait_until(lambda: (lambda e: e if len(e) >= count else None)(history(gateway, query)), 10,
                      f"{count} events in the history")


def curl(*args, data=None):
    done = subprocess.run(["curl", "-sS", "--max-time", str(seconds(20)), *args], input=data, capture_output=True,
                          check=False, timeout=seconds(30))
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- what is taken ---


def test_the_first_command_of_the_readme(gateway):
    """Exactly so, with curl's own content type."""
    answer = json.loads(curl(f"localhost:{gateway.port}/events", "-d",
                             '{"event_type":"new_setup","source_service":"cm","data":{"setup_id":"0001234"}}'))
    assert answer["seq"] == 1 and answer["epoch"] == gateway.hub.epoch and answer["durability"] == "synced"
    event = wait_history(gateway, 1)[0]
    assert event["event_type"] == "new_setup" and event["source_service"] == "cm"
    assert event["data"] == {"setup_id": "0001234"} and event["correlation_id"] == answer["correlation_id"]


@pytest.mark.parametrize("content_type", [None, "application/json", "application/json; charset=utf-8", "text/plain",
                                          "application/x-www-form-urlencoded"])
def test_content_types_for_json(gateway, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    answer = post(gateway.port, "/events", b' {"event_type":"a","data":[1]}', headers)
    assert answer.status == 202 and answer.json["seq"] == 1
    answer = post(gateway.port, "/events", b'[{"event_type":"a"},{"event_type":"b"}]', headers)
    assert answer.status == 202
    assert answer.json == {"accepted": 2, "first_seq": 2, "last_seq": 3, "epoch": gateway.hub.epoch,
                           "durability": "synced"}


def test_missing_values_are_filled_in_and_unknown_ones_named(gateway):
    answer = post(gateway.port, "/events", {"event_type": "a", "colour": "red", "size": 3})
    assert answer.status == 202 and answer.json["ignored"] == ["colour", "size"]
    event = wait_history(gateway, 1)[0]
    assert event["source_service"] == "http" and event["data"] == {} and event["timestamp"] > 1e9
    assert event["correlation_id"] == answer.json["correlation_id"]
    assert "colour" not in event


def test_values_are_kept_byte_for_byte(gateway):
    data = '{"big":123456789012345678901234567890,"float":1.10,"text":"\\u00e9\\n\u00e9"}'
    assert post(gateway.port, "/events", ('{"event_type":"a","data":%s}' % data).encode(), JSON).status == 202
    wait_history(gateway, 1)
    assert data in get(gateway.port, "/events?since=earliest").text


def test_a_thousand_lines(gateway):
    with SseReader(gateway.port, "/events") as stream:
        stream.wait_open()
        lines = "".join(json.dumps({"event_type": "n", "data": {"i": i}}) + "\n" for i in range(1000))
        answer = post(gateway.port, "/events", lines, {"Content-Type": "application/x-ndjson"})
        assert answer.status == 202
        assert (answer.json["accepted"], answer.json["first_seq"], answer.json["last_seq"]) == (1000, 1, 1000)
        assert [e["data"]["i"] for e in stream.wait_events(1000)] == list(range(1000))


def test_an_idempotency_key_publishes_once(gateway):
    first = post(gateway.port, "/events", {"event_type": "a", "data": 1}, {"Idempotency-Key": "k-1"}).json
    again = post(gateway.port, "/events", {"event_type": "a", "data": 1}, {"Idempotency-Key": '"k-1"'})
    assert again.status == 202 and again.json["seq"] == first["seq"] and again.json["duplicate"] is True
    assert "correlation_id" not in again.json  # the one made for the second try belongs to no event
    post(gateway.port, "/events", {"event_type": "a", "data": 2}, {"Idempotency-Key": "k-1"}).problem(
        422, "duplicate_conflict")
    batch = [{"event_type": "b", "data": i} for i in range(3)]
    first = post(gateway.port, "/events", batch, {"Idempotency-Key": "k-2"}).json
    assert first["accepted"] == 3 and "duplicate" not in first
    answer = post(gateway.port, "/events", batch, {"Idempotency-Key": "k-2"}).json
    assert answer["accepted"] == 0 and answer["duplicates"] == 3 and answer["duplicate"] is True
    assert (answer["first_seq"], answer["last_seq"]) == (first["first_seq"], first["last_seq"])
    assert [r["seq"] for r in answer["results"]] == list(range(first["first_seq"], first["last_seq"] + 1))
    assert [e["id"] for e in wait_history(gateway, 4)] == ["k-1", "k-2/0", "k-2/1", "k-2/2"]


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/x-ndjson"}], ids=["array", "ndjson"])
def test_a_batch_of_one_is_known_again(gateway, headers):
    """It shares a request with the single events of others; its answer is a batch's all the same."""
    line = json.dumps({"event_type": "a", "data": 1, "id": "one"})
    body = line if headers else f"[{line}]"
    first = post(gateway.port, "/events", body, headers).json
    assert first["accepted"] == 1
    again = post(gateway.port, "/events", body, headers).json
    assert (again["accepted"], again["duplicates"], again["duplicate"]) == (0, 1, True)
    assert again["first_seq"] == again["last_seq"] == first["first_seq"]
    assert again["results"] == [{"index": 0, "seq": first["first_seq"], "duplicate": True}]


def test_part_of_a_batch_may_be_known(gateway):
    """What is new has its numbers in a row, what is known is named; a batch of known ones from here and there has no row."""
    def send(*ids):
        return post(gateway.port, "/events", [{"event_type": "a", "data": 1, "id": i} for i in ids]).json

    assert send("a")["first_seq"] == 1
    some = send("a", "b", "c")
    assert (some["accepted"], some["first_seq"], some["last_seq"], some["duplicates"]) == (2, 2, 3, 1)
    assert some["results"] == [{"index": 0, "seq": 1, "duplicate": True}] and "duplicate" not in some
    mixed = send("c", "a")
    assert (mixed["accepted"], mixed["duplicates"]) == (0, 2) and "first_seq" not in mixed and "duplicate" not in mixed
    assert [r["seq"] for r in mixed["results"]] == [3, 1]


def test_trace_context_travels_with_the_event(gateway):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"traceparent": trace, "tracestate": "vendor=1"}
    assert post(gateway.port, "/events", {"event_type": "a", "metadata": {"k": "v"}}, headers).status == 202
    assert post(gateway.port, "/events", {"event_type": "a"}, {"traceparent": "nonsense"}).status == 202
    events = wait_history(gateway, 2)
    assert events[0]["metadata"] == {"k": "v", "traceparent": trace, "tracestate": "vendor=1"}
    assert "metadata" not in events[1]


def test_durability_of_a_hub_without_a_journal(start_hub, start_gateway):
    hub = start_hub("--hub-journal-enabled", "false")
    gateway = start_gateway(hub).wait_connected()
    assert post(gateway.port, "/events?durability=memory", {"event_type": "a"}).json["durability"] == "memory"
    post(gateway.port, "/events?durability=journaled", {"event_type": "a"}).problem(503, "durability_unavailable")
    post(gateway.port, "/events?durability=synced", {"event_type": "a"}).problem(503, "durability_unavailable")
    post(gateway.port, "/events?durability=gold", {"event_type": "a"}).problem(400, "bad_query")
    strict = start_gateway(hub, "--gateway-min-durability", "journaled").wait_connected()
    post(strict.port, "/events?durability=memory", {"event_type": "a"}).problem(503, "durability_unavailable")
    post(strict.port, "/events", {"event_type": "a"}).problem(503, "durability_unavailable")


# --- CloudEvents ---

CLOUD = {"specversion": "1.0", "id": "c-1", "source": "/probe/7", "type": "com.example.read", "subject": "s",
         "time": "2026-11-21T10:00:00.5Z", "tenant": "t1", "datacontenttype": "application/json", "data": {"v": 1}}


def expect_cloud(event, cloud_id="c-1", data=None):
    assert event["event_type"] == "com.example.read" and event["source_service"] == "/probe/7"
    assert event["id"] == cloud_id and event["data"] == (data if data is not None else {"v": 1})
    assert event["timestamp"] == 1795255200.5
    assert event["metadata"]["ce-subject"] == "s" and event["metadata"]["ce-tenant"] == "t1"


def test_cloudevents_in_three_modes(gateway):
    answer = post(gateway.port, "/events", json.dumps(CLOUD), {"Content-Type": "application/cloudevents+json"})
    assert answer.status == 202 and answer.json["seq"] == 1
    batch = [dict(CLOUD, id=f"b-{i}") for i in range(2)]
    answer = post(gateway.port, "/events", json.dumps(batch), {"Content-Type": "application/cloudevents-batch+json"})
    assert answer.status == 202 and answer.json["accepted"] == 2
    headers = {f"ce-{k}": v for k, v in CLOUD.items() if k not in ("data", "datacontenttype")}
    headers.update({"Content-Type": "application/json", "ce-id": "h-1"})
    answer = post(gateway.port, "/events", b'{"v":1}', headers)
    assert answer.status == 202 and answer.json["seq"] == 4
    events = wait_history(gateway, 4)
    for event, cloud_id in zip(events, ("c-1", "b-0", "b-1", "h-1")):
        expect_cloud(event, cloud_id)
    back = history(gateway, "since=earliest&format=cloudevents")
    for cloud, cloud_id in zip(back, ("c-1", "b-0", "b-1", "h-1")):
        assert cloud["specversion"] == "1.0" and cloud["type"] == CLOUD["type"] and cloud["id"] == cloud_id
        assert cloud["source"] == CLOUD["source"] and cloud["data"] == {"v": 1} and cloud["tenant"] == "t1"


def test_cloudevents_with_bytes(gateway):
    raw_bytes = bytes(range(256))
    headers = {"ce-specversion": "1.0", "ce-id": "x", "ce-source": "/s", "ce-type": "bytes",
               "Content-Type": "application/octet-stream"}
    assert post(gateway.port, "/events", raw_bytes, headers).status == 202
    event = wait_history(gateway, 1)[0]
    assert base64.b64decode(event["data"]) == raw_bytes and event["metadata"]["ce-encoding"] == "base64"


def test_bad_cloudevents(gateway):
    kind = {"Content-Type": "application/cloudevents+json"}
    for missing in ("specversion", "id", "source", "type"):
        cloud = {k: v for k, v in CLOUD.items() if k != missing}
        problem = post(gateway.port, "/events", json.dumps(cloud), kind).problem(400, "missing_field")
        assert missing in problem["detail"]
    post(gateway.port, "/events", json.dumps(dict(CLOUD, type="hub.x")), kind).problem(400, "reserved_type")
    post(gateway.port, "/events", b"[]", kind).problem(400, "not_an_object")
    post(gateway.port, "/events", json.dumps(CLOUD),
         {"Content-Type": "application/cloudevents-batch+json"}).problem(400, "wrong_type")
    post(gateway.port, "/events", b"{}", {"ce-specversion": "1.0"}).problem(400, "missing_field")


# --- what is refused ---

BAD = [
    (b'{"event_type":"a",}', JSON, 400, "bad_json", {"offset": 18}),
    (b'{"event_type":"a"', JSON, 400, "bad_json", {"offset": 17}),
    (b'{"event_type":"a"}}', JSON, 400, "bad_json", {"offset": 18}),
    (b'{"event_type":"\xff"}', JSON, 400, "bad_json", {"offset": 15}),
    (b'{"event_type":"a","data":NaN}', JSON, 400, "nonfinite_number", {"offset": 25}),
    (b"", JSON, 400, "bad_json", {"offset": 0}),
    (b"[" * 600 + b"]" * 600, JSON, 400, "bad_json", {}),
    (b'"text"', JSON, 400, "not_an_object", {}),
    (b"{}", JSON, 400, "missing_field", {"field": "event_type"}),
    (b'{"event_type":7}', JSON, 400, "wrong_type", {"field": "event_type"}),
    (b'{"event_type":"a","metadata":{"k":1}}', JSON, 400, "wrong_type", {"field": "metadata"}),
    (b'{"event_type":"a","timestamp":"now"}', JSON, 400, "wrong_type", {"field": "timestamp"}),
    (b'{"event_type":""}', JSON, 400, "bad_value", {"field": "event_type"}),
    (b'{"event_type":"' + b"x" * 256 + b'"}', JSON, 400, "bad_value", {"field": "event_type"}),
    (b'{"event_type":"a\\n"}', JSON, 400, "bad_value", {"field": "event_type"}),
    (b'{"event_type":"a","kind":"moved"}', JSON, 400, "bad_value", {"field": "kind"}),
    (b'{"event_type":"hub.gap"}', JSON, 400, "reserved_type", {"field": "event_type"}),
    (b'{"event_type":"StatsEvent"}', JSON, 400, "reserved_type", {"field": "event_type"}),
    (b"[]", JSON, 400, "no_events", {}),
    (b'[{"event_type":"a"},{"event_type":1}]', JSON, 400, "wrong_type", {"index": 1}),
    (b'[{"event_type":"a"},{"event_type":"b"]', JSON, 400, "bad_json", {"index": 1, "offset": 37}),
    (b'{"event_type":"a"}\n{"event_type"}\n', {"Content-Type": "application/x-ndjson"}, 400, "bad_json",
     {"index": 1, "line": 2, "offset": 32}),
    (b"\n\n", {"Content-Type": "application/x-ndjson"}, 400, "no_events", {}),
    (b"[" + b",".join([b'{"event_type":"a"}'] * 10001) + b"]", JSON, 413, "too_many_events", {"index": 10000}),
    (b'{"event_type":"a","data":"' + b"x" * (1 << 20) + b'"}', JSON, 413, "too_big", {}),
    (b"<event/>", {"Content-Type": "application/xml"}, 415, "unsupported_content_type", {}),
    (b"event_type=a", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_content_type", {}),
    (b'{"event_type":"a"}', {"Content-Type": "application/json", "Idempotency-Key": "k" * 1019}, 400, "bad_value", {}),
]


def test_bad_input_gets_its_own_word_and_harms_nobody(gateway):
    with SseReader(gateway.port, "/events") as stream:
        stream.wait_open()
        for number, (body, headers, status, code, members) in enumerate(BAD):
            before = Metrics(gateway.port).rejected("http", code)
            problem = post(gateway.port, "/events", body, headers).problem(status, code)
            for name, value in members.items():
                assert problem[name] == value, (body[:60], problem)
            assert Metrics(gateway.port).rejected("http", code) == before + 1
            assert post(gateway.port, "/events", {"event_type": "good", "data": number}).status == 202
        events = stream.wait_events(len(BAD))
        assert [e["data"] for e in events] == list(range(len(BAD)))  # nothing of the bad ones, no hole
        assert [e["seq"] for e in events] == list(range(1, len(BAD) + 1))


def test_a_body_over_the_limit(gateway):
    """The answer arrives although the client is still sending, for curl as for a client that only writes."""
    before = Metrics(gateway.port).rejected("http", "too_big")
    out = curl("-i", f"localhost:{gateway.port}/events", "--data-binary", "@-", "-H", "Expect:", data=b"x" * 12_000_000)
    assert out.startswith(b"HTTP/1.1 413 ") and b'"code":"too_big"' in out
    out = curl("-i", f"localhost:{gateway.port}/events", "--data-binary", "@-", data=b"x" * 12_000_000)  # with Expect
    assert b"HTTP/1.1 413 " in out and b"100 Continue" not in out
    with connect(gateway.port) as sock:
        head = b"POST /events HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        sock.sendall(head + b"".join(b"100000\r\n" + b"[" * 0x100000 + b"\r\n" for _ in range(12)) + b"0\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 413 ")
    assert Metrics(gateway.port).rejected("http", "too_big") == before + 3
    assert get(gateway.port, "/health").status == 200


def test_a_body_that_never_ends_is_cut_off(gateway):
    with connect(gateway.port) as sock:
        sock.sendall(b"POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000000\r\n\r\n")
        sent = 0
        try:
            while sent < 64 << 20:
                sent += sock.send(b"x" * 65536)
        except OSError:
            pass
        assert sent < 40 << 20  # 16 MiB and what the kernels' buffers hold


# --- connections ---


def test_keep_alive_and_pipelining(gateway):
    with KeepAlive(gateway.port) as connection:
        for seq in range(1, 4):
            assert connection.request("POST", "/events", {"event_type": "a"}).json["seq"] == seq
        connection.request("POST", "/events", b"{", JSON).problem(400, "bad_json")
        connection.request("POST", "/events", b"<a/>", {"Content-Type": "text/xml"}).problem(
            415, "unsupported_content_type")
        assert connection.request("POST", "/events", {"event_type": "a"}).json["seq"] == 4
    body = b'{"event_type":"p"}'
    one = b"POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    last = one.replace(b"Host: h", b"Host: h\r\nConnection: close")
    with connect(gateway.port) as sock:
        sock.sendall(one * 5 + last)
        received = b""
        while piece := sock.recv(65536):
            received += piece
    answers = [json.loads(line) for line in received.split(b"\n") if line.startswith(b"{")]
    assert [a["seq"] for a in answers] == [5, 6, 7, 8, 9, 10]


def test_expect_100_continue(gateway):
    with connect(gateway.port) as sock:
        sock.sendall(b"POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b'{"event_type":"a"}')
        assert sock.recv(65536).startswith(b"HTTP/1.1 202 ")
    with connect(gateway.port) as sock:
        sock.sendall(b"POST /events HTTP/1.1\r\nHost: h\r\nContent-Type: text/xml\r\nContent-Length: 18\r\n"
                     b"Expect: 100-continue\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 415 ")


def test_a_body_in_three_pieces(gateway):
    with connect(gateway.port) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(b"POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\n{")
        get(gateway.port, "/health")
        sock.sendall(b'"event_type"')
        get(gateway.port, "/health")
        sock.sendall(b':"a"}')
        assert sock.recv(65536).startswith(b"HTTP/1.1 202 ")


def test_a_client_that_leaves_in_the_middle_of_a_body(gateway):
    for rest in (b"{", b"", b"\r"):
        for _ in range(20):
            with connect(gateway.port) as sock:
                sock.sendall(b"POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + rest)
    with connect(gateway.port) as sock:  # half a close: it still wants to know
        sock.sendall(b"POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n{")
        sock.shutdown(socket.SHUT_WR)
        answer = sock.recv(65536)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    with connect(gateway.port) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert post(gateway.port, "/events", {"event_type": "a"}).json["seq"] == 1
    wait_until(lambda: get(gateway.port, "/stats").json["gateway"]["connections"]["open"] <= 1, 10,
               "the connections to be gone")


def test_other_methods(gateway):
    for method in ("PUT", "DELETE", "PATCH"):
        answer = request(gateway.port, method, "/events", b"{}", JSON)
        answer.problem(405, "method_not_allowed")
        assert answer.headers["Allow"] == "POST, GET, HEAD, OPTIONS"
    assert request(gateway.port, "POST", "/stats", b"{}", JSON).headers["Allow"] == "GET, HEAD, OPTIONS"
