"""The requests of hub/wire/PROTOCOL.md: envelope, errors word for word, publish, position, history, count, stats."""
import json
import time

import pytest

from support.waiting import wait_until
from support.zmq_clients import Dealer, Push, Sub, event, packed


@pytest.fixture
def dealer(hub):
    with Dealer(hub) as client:
        yield client


def page(dealer, **fields):
    """A page of history: the answer and its events."""
    dealer.send({"action": "history", **fields})
    kind, head, *lines = dealer.recv_frames()
    assert kind == b"RESPONSE"
    return json.loads(head), [json.loads(line) for line in lines]


def fill(dealer, count, kind="t", first=0):
    """Publishes numbered events in batches; returns the last answer."""
    answer = None
    for start in range(first, first + count, 1000):
        answer = dealer.publish(*[event(kind, {"n": n}) for n in range(start, min(start + 1000, first + count))])
        assert answer["success"], answer
    return answer


# --- envelope ---

WORD_FOR_WORD = [
    (b"not json", {"success": False, "error": "Invalid JSON format"}),
    (b"", {"success": False, "error": "Invalid JSON format"}),
    (b"\xff\xfe", {"success": False, "error": "Invalid JSON format"}),
    (b'{"action":', {"success": False, "error": "Invalid JSON format"}),
    (b"{}", {"success": False, "error": "Missing required field: action"}),
    (b'{"action":""}', {"success": False, "error": "Missing required field: action"}),
    (b'{"action":null}', {"success": False, "error": "Missing required field: action"}),
    (b'{"other":1}', {"success": False, "error": "Missing required field: action"}),
    (b'{"action":"dance"}', {"success": False, "error": "Unknown action: dance"}),
    (b'{"action":"Health"}', {"success": False, "error": "Unknown action: Health"}),
    ('{"action":"grüße"}'.encode(), {"success": False, "error": "Unknown action: grüße"}),
    (b'{"action":"x","request_id":9}', {"success": False, "error": "Unknown action: x", "request_id": 9}),
]


@pytest.mark.parametrize("text,answer", WORD_FOR_WORD, ids=[repr(w[0][:24]) for w in WORD_FOR_WORD])
def test_error_answers_are_word_for_word(dealer, text, answer):
    """CG-8: the original's errors have exactly its members."""
    assert dealer.request(text) == answer


def test_health_has_exactly_the_originals_members(dealer):
    """CG-8: health."""
    answer = dealer.request({"action": "health"})
    assert set(answer) == {"success", "status", "timestamp"}
    assert isinstance(answer["timestamp"], int) and abs(answer["timestamp"] - time.time()) < 5


def test_unknown_types_and_short_messages_are_not_answered(dealer):
    """CG-8: no answer, no harm, a counter."""
    dealer.send({"action": "health"}, kind="QUESTION")
    dealer.send({"action": "health"}, kind=b"")
    dealer.send({"action": "health"}, kind=b"req")
    dealer.send_frames(b"REQ")
    dealer.send_frames(b"")
    dealer.send({"action": "health", "request_id": "mine"})
    assert dealer.recv()["request_id"] == "mine"  # the first answer that comes
    assert dealer.nothing(100)
    requests = dealer.request({"action": "stats"})["statistics"]["requests"]
    assert requests["unknown_message_type"] == 3 and requests["short_message"] == 2


# --- packed ---

def without_time(answer):
    return {k: v for k, v in answer.items() if k not in ("timestamp", "epoch", "first_seq", "last_seq", "correlation_id")}


@pytest.mark.parametrize("text,answer", WORD_FOR_WORD, ids=[repr(w[0][:24]) for w in WORD_FOR_WORD])
def test_packed_errors_are_the_same(dealer, text, answer):
    dealer.send_packed(text)
    assert dealer.recv() == answer


def test_packed_requests_get_the_same_answers(dealer):
    e = json.dumps
    publish = {"action": "publish", "request_id": 1}
    cases = [({"action": "health"},), ({"action": "position", "request_id": 3},), (publish,), (publish, e(event("a"))),
             (publish, *[e(event("b", {"n": n})) for n in range(100)]), (publish, e(event("c")), "[]", e(event("c"))),
             ({**publish, "atomic": False}, e(event("d")), "{", "", e(event("d"))),
             ({**publish, "acks": "batched"}, e(event("e"))), (publish, "x"), ({"action": "history", "limit": 0}, "ignored")]
    for case in cases:
        dealer.send(*case)
        plain = dealer.recv_frames()
        dealer.send_packed(*case)
        packed_answer = dealer.recv_frames()
        assert plain[0] == packed_answer[0] == b"RESPONSE" and len(plain) == len(packed_answer)
        ours, theirs = without_time(json.loads(plain[1])), without_time(json.loads(packed_answer[1]))
        for changing in ("seq", "next", "from"):
            ours.pop(changing, None), theirs.pop(changing, None)
        assert ours == theirs, case


def test_packed_events_are_kept_byte_for_byte_in_order(dealer):
    sizes = [0, 1, 5, 33, 34, 200, 70000]
    lines = [event("packed", {"n": n, "fill": "x" * sizes[n % len(sizes)]}) for n in range(700)]
    dealer.send_packed({"action": "publish"}, *lines)
    answer = dealer.recv()
    assert answer["count"] == 700 and answer["last_seq"] - answer["first_seq"] == 699
    seen, since = [], f"{answer['epoch']}-{answer['first_seq'] - 1}"
    while True:
        head, events = page(dealer, since=since, limit=10000)
        seen += [one["data"] for one in events]
        since = head["next"]
        if not head["more"]:
            break
    assert seen == [line["data"] for line in lines]


def test_packed_limits_are_the_same(dealer):
    dealer.send_packed({"action": "publish"}, *["{}"] * 10001)
    assert dealer.recv()["code"] == "too_many_events"
    dealer.send_packed({"action": "publish"}, *["x" * (1 << 20)] * 17)
    assert dealer.recv()["code"] == "too_big"
    dealer.send_packed({"action": "publish"}, event("fits"))
    assert dealer.recv()["count"] == 1


def test_packed_wrongly_is_a_message_of_too_few_frames(dealer):
    """No answer, no harm, the counter."""
    good = packed("REQ", {"action": "health"})
    bad = [b"\x01", b"\x01\0", b"\x01\0\0\0", good[:-1], good + b"\0", good + b"\0\0\0\1", b"\x01\xff\xff\xff\xff",
           packed("REQ"), packed(), good[:1] + b"\x7f" + good[2:]]
    for frame in bad:
        dealer.send_frames(frame)
    dealer.send_frames(good, good)  # not alone: the first one is a message type that does not exist
    dealer.send_frames(packed("QUESTION", {"action": "health"}))
    dealer.send_packed({"action": "health", "request_id": "mine"})
    assert dealer.recv()["request_id"] == "mine"
    assert dealer.nothing(100)
    requests = dealer.request({"action": "stats"})["statistics"]["requests"]
    assert requests["short_message"] == len(bad) and requests["unknown_message_type"] == 2


def test_a_packed_request_may_want_no_answer(dealer):
    dealer.send_packed({"action": "publish"}, event("silent"), kind="REQ_NO_REPLY")
    wait_until(lambda: page(dealer, since="earliest", event_type="silent")[1], 10, lambda: "not published")
    assert dealer.nothing(50)


def test_an_empty_delimiter_frame_is_not_understood(dealer):
    """CG-8: what a REQ socket sends has an empty frame first, which is no message type."""
    dealer.send_frames(b"", b"REQ", b'{"action":"health"}')
    assert dealer.nothing(100)
    assert dealer.request({"action": "health"})["success"]


@pytest.mark.parametrize("kind", ["REQ_NO_REPLY", "RESPONSE", "NOTIF", "HB"])
def test_other_known_types_are_carried_out_without_an_answer(dealer, kind):
    """CG-9: every known type is carried out, only REQ is answered."""
    dealer.send({"action": "publish"}, event("silent"), kind=kind)
    dealer.send(b"not json", kind=kind)
    answer, events = page(dealer, since="earliest")
    assert answer["success"] and [e["event_type"] for e in events] == ["silent"]
    assert dealer.nothing(50)


def test_answers_come_in_order(dealer):
    """Requests without request_id are answered strictly in order."""
    actions = ["health", "info", "position", "history", "stats", "nope", "count"] * 30
    for action in actions:
        dealer.send({"action": action})
    marks = {"health": "timestamp", "info": "collector_port", "position": "max_event_bytes", "history": "result",
             "stats": "statistics", "nope": "error", "count": "error"}
    for action in actions:
        assert marks[action] in dealer.recv(), action


@pytest.mark.parametrize("request_id", [1, "a", None, [1, 2], {"x": {"y": 1}}, 1.5, "ü\n", True], ids=repr)
def test_request_id_of_any_kind_comes_back(dealer, request_id):
    """A request_id is any JSON value."""
    for action in ("health", "info", "position", "history", "stats", "publish", "unknown"):
        assert dealer.request({"action": action, "request_id": request_id})["request_id"] == request_id


def test_a_request_id_that_is_too_long_is_refused(dealer):
    """At most 256 bytes of JSON."""
    answer = dealer.request({"action": "health", "request_id": "x" * 255})
    assert answer["success"] is False and answer["code"] == "bad_value"


def test_a_request_of_a_megabyte_is_refused(dealer):
    """The JSON frame is bounded; the connection stays."""
    answer = dealer.request({"action": "health", "filler": "x" * (1 << 20)})
    assert answer["success"] is False and answer["code"] == "too_big"
    assert dealer.request({"action": "health"})["success"]


# --- publish ---

def test_publish_one_event(hub, dealer):
    """Numbered, answered, published, kept."""
    with Sub(hub, "a") as sub, Push(hub) as push:
        sub.sync(push)
        answer = dealer.publish(event("a", {"n": 1}), request_id=7)
        got = sub.recv()
    assert answer == {"success": True, "first_seq": got["seq"], "last_seq": got["seq"], "count": 1, "epoch": hub.epoch,
                      "durability": "synced", "correlation_id": got["correlation_id"], "request_id": 7}


def test_publish_keeps_a_given_correlation_id(dealer):
    """The answer tells the event's own."""
    assert dealer.publish(event(correlation_id="caller's"))["correlation_id"] == "caller's"


def test_publish_many_is_contiguous(hub, dealer):
    """Ten thousand events, one answer, numbers without holes, in order."""
    with Sub(hub, "many") as sub, Push(hub) as push:
        probes = sub.sync(push)
        answer = dealer.publish(*[event("many", {"n": n}) for n in range(10000)])
        events = sub.recv_many(10000)
    assert answer["count"] == 10000 and answer["last_seq"] - answer["first_seq"] == 9999
    assert answer["first_seq"] == probes + 1 and "correlation_id" not in answer
    assert [e["data"]["n"] for e in events] == list(range(10000))
    assert [e["seq"] for e in events] == list(range(answer["first_seq"], answer["last_seq"] + 1))


def test_a_bad_event_refuses_an_atomic_batch(hub, dealer):
    """All or nothing is the default: the answer says which event, and nothing was numbered or sent."""
    with Sub(hub, "") as sub, Push(hub) as push:
        probes = sub.sync(push)
        answer = dealer.publish(event("a"), event("b"), b'{"event_type":"c",,}', event("d"), request_id="r")
        assert sub.nothing(100)
    assert answer == {"success": False, "error": answer["error"], "code": "bad_json", "index": 2, "offset": 18,
                      "request_id": "r"}
    assert answer["error"].startswith("event 2: ")
    assert dealer.request({"action": "position"})["seq"] == probes


def test_not_atomic_each_event_stands_for_itself(dealer):
    """The good ones are numbered in a row, the others listed with what happened."""
    dealer.publish(event("a", 1, id="known"))
    answer = dealer.publish(event("a", 0), b"bad", event("a", 1, id="known"), event("a", 2, id="known"), event("a", 5),
                            event("hub.x"), b"", atomic=False)
    assert answer["success"] is True and answer["count"] == 2
    assert (answer["first_seq"], answer["last_seq"]) == (2, 3)
    results = {r["index"]: r for r in answer["results"]}
    assert sorted(results) == [1, 2, 3, 5, 6]
    assert results[1]["code"] == "bad_json" and results[1]["offset"] == 0 and results[1]["error"]
    assert results[2] == {"index": 2, "seq": 1, "duplicate": True}
    assert results[3]["code"] == "duplicate_conflict"
    assert results[5]["code"] == "reserved_type" and results[5]["field"] == "event_type"
    assert results[6]["code"] == "bad_json"
    _, events = page(dealer, since=1)
    assert [(e["seq"], e["data"]) for e in events] == [(2, 0), (3, 5)]


def test_a_batch_of_nothing_new_has_no_numbers(dealer):
    """first_seq and last_seq are absent when count is 0."""
    dealer.publish(event("a", 1, id="x"))
    answer = dealer.publish(event("a", 1, id="x"))
    assert answer["success"] is True and answer["count"] == 0
    assert "first_seq" not in answer and "last_seq" not in answer
    assert answer["results"] == [{"index": 0, "seq": 1, "duplicate": True}]


@pytest.mark.parametrize("frames,code", [([], "no_events"), ([event("t")] * 10001, "too_many_events"),
                                         ([b" " * (1 << 20)] * 17, "too_big")], ids=["none", "many", "big"])
def test_batches_over_the_limits(dealer, frames, code):
    """A clear error and nothing numbered; the next request is as good as ever."""
    frames = [json.dumps(f).encode() if isinstance(f, dict) else f for f in frames]
    assert dealer.publish(*frames)["code"] == code
    assert dealer.publish(event())["first_seq"] == 1


@pytest.mark.parametrize("fields,code", [({"durability": "golden"}, "bad_value"), ({"durability": 5}, "wrong_type"),
                                         ({"atomic": "yes"}, "wrong_type"), ({"acks": "some"}, "bad_value")], ids=str)
def test_publish_refuses_what_it_cannot_do(dealer, fields, code):
    """Bad fields are an error before anything is numbered."""
    answer = dealer.publish(event(), request_id=1, **fields)
    assert answer["success"] is False and answer["code"] == code and answer["request_id"] == 1
    assert dealer.request({"action": "position"})["seq"] == 0


def test_a_hub_without_a_journal_gives_memory_and_no_more(start_hub):
    """More durability than the ring gives is an error before anything is numbered."""
    with Dealer(start_hub("--hub-journal-enabled", "false")) as dealer:
        for durability in ("journaled", "synced"):
            answer = dealer.publish(event(), request_id=1, durability=durability)
            assert answer["success"] is False and answer["code"] == "durability_unavailable"
        position = dealer.request({"action": "position"})
        assert (position["seq"], position["durability"], position["durability_max"]) == (0, "memory", "memory")
        assert position["journal"] == {"state": "off", "why": ""}
        assert dealer.publish(event())["durability"] == "memory"
        assert dealer.publish(event(), durability="memory")["durability"] == "memory"


def test_ignored_fields_are_named(dealer):
    """Unknown top-level fields, each once, at most 16."""
    answer = dealer.publish(event(one=1, two=2), event(two=3, three=4))
    assert answer["ignored"] == ["one", "two", "three"]
    many = dealer.publish(event(**{f"f{n}": n for n in range(40)}))
    assert len(many["ignored"]) == 16
    assert "ignored" not in dealer.publish(event())


@pytest.mark.parametrize("bad", [event("hub.x"), event("StatsEvent")], ids=["hub", "stats"])
def test_reserved_types_are_refused(dealer, bad):
    """Types of the hub itself are not for publishers."""
    answer = dealer.publish(bad)
    assert answer["code"] == "reserved_type" and answer["index"] == 0 and answer["field"] == "event_type"


def test_batched_acks_come_as_arrays(dealer):
    """One RESPONSE may carry many answers; each request has exactly one, in order."""
    for n in range(500):
        dealer.send({"action": "publish", "acks": "batched", "request_id": n}, event("b", n))
    answers, messages = [], 0
    while len(answers) < 500:
        got = dealer.recv()
        messages += 1
        answers += got if isinstance(got, list) else [got]
    assert [a["request_id"] for a in answers] == list(range(500))
    assert [a["first_seq"] for a in answers] == list(range(1, 501))
    assert messages < 500
    assert dealer.nothing(50)


def test_batched_acks_do_not_mix_peers(hub):
    """Two publishers with batched acks at once: each gets its own answers."""
    with Dealer(hub) as one, Dealer(hub) as two:
        for n in range(300):
            one.send({"action": "publish", "acks": "batched", "request_id": ["one", n]}, event("b"))
            two.send({"action": "publish", "acks": "batched", "request_id": ["two", n]}, event("b"))
        for name, client in (("one", one), ("two", two)):
            ids = []
            while len(ids) < 300:
                got = client.recv()
                ids += [a["request_id"] for a in (got if isinstance(got, list) else [got])]
            assert ids == [[name, n] for n in range(300)]


# --- de-duplication ---

def test_a_duplicate_is_answered_with_the_first_number(hub, dealer):
    """Sent again with the same content: the first number, not published again."""
    with Sub(hub, "d") as sub, Push(hub) as push:
        sub.sync(push)
        first = dealer.publish(event("d", {"v": 1}, id="i-1"))
        again = dealer.publish(event("d", {"v": 1}, id="i-1", timestamp=9))
        other = dealer.publish(event("d", {"v": 1}, id="i-1", source="another"))
        assert again["results"] == [{"index": 0, "seq": first["first_seq"], "duplicate": True}]
        assert other["count"] == 1
        assert [e["source_service"] for e in sub.recv_many(2)] == ["tests", "another"]
        assert sub.nothing(50)
    statistics = dealer.request({"action": "stats"})["statistics"]
    assert statistics["duplicates"] == 1 and statistics["dedup_ids"] == 2


@pytest.mark.parametrize("change", [{"data": {"v": 2}}, {"event_type": "e"}], ids=["data", "type"])
def test_a_known_id_with_other_content_is_a_conflict(dealer, change):
    """Same id, other type or data: refused, with the number that the id has."""
    first = dealer.publish(event("d", {"v": 1}, id="i-1"))
    answer = dealer.publish({**event("d", {"v": 1}, id="i-1"), **change})
    assert answer["success"] is False and answer["code"] == "duplicate_conflict"
    assert answer["seq"] == first["first_seq"] and answer["index"] == 0


def test_one_id_twice_in_a_batch(dealer):
    """The second is a duplicate of the first, or its conflict, and then the batch leaves nothing behind."""
    answer = dealer.publish(event("d", 1, id="x"), event("d", 1, id="x"), event("d", 3))
    assert answer["count"] == 2 and answer["results"] == [{"index": 1, "seq": 1, "duplicate": True}]
    assert dealer.publish(event("d", 1, id="y"), event("d", 2, id="y"))["code"] == "duplicate_conflict"
    fresh = dealer.publish(event("d", 2, id="y"))
    assert fresh["count"] == 1 and fresh["first_seq"] == 3


def test_ids_are_compared_decoded(dealer):
    """Two spellings of one id are one id."""
    assert dealer.publish(b'{"event_type":"d","source_service":"s","data":1,"id":"\\u0061"}')["count"] == 1
    assert dealer.publish(b'{"event_type":"d","source_service":"\\u0073","data":1,"id":"a"}')["count"] == 0


def test_push_is_deduplicated_too(hub, dealer):
    """A duplicate by PUSH is dropped and counted; one with other content too."""
    with Push(hub) as push:
        for data in (1, 1, 2):
            push.send(event("d", data, id="x"))
        wait_until(lambda: dealer.request({"action": "stats"})["statistics"]["rejected"]["duplicate_conflict"] == 1, 10,
                   "the conflict")
    statistics = dealer.request({"action": "stats"})["statistics"]
    assert (statistics["events_received"], statistics["events_published"], statistics["duplicates"]) == (2, 1, 1)


@pytest.mark.parametrize("flag", ["--hub-dedup-ids", "--hub-dedup-window-s"])
def test_deduplication_can_be_switched_off(start_hub, flag):
    """0 = off; position tells."""
    hub = start_hub(flag, "0")
    with Dealer(hub) as dealer:
        assert dealer.request({"action": "position"})["dedup"] is False
        for seq in (1, 2):
            assert dealer.publish(event("d", 1, id="x"))["first_seq"] == seq


def test_ids_leave_with_the_window_and_with_the_limit(start_hub):
    """hub.dedup_window_s and hub.dedup_ids."""
    hub = start_hub("--hub-dedup-window-s", "1", "--hub-dedup-ids", "2")
    with Dealer(hub) as dealer:
        assert [dealer.publish(event("d", 1, id=i))["count"] for i in "abcca"] == [1, 1, 1, 0, 1]
        wait_until(lambda: dealer.publish(event("d", 1, id="c"))["count"] == 1, 10, "the window to pass")


# --- position ---

def test_position(hub, dealer):
    """All fields, and the number before and after an event."""
    answer = dealer.request({"action": "position"})
    assert {k: v for k, v in answer.items() if k != "timestamp"} == {
        "success": True, "protocol": 1, "epoch": hub.epoch, "seq": 0, "oldest": 1, "voids": [], "durability": "synced",
        "durability_max": "synced", "journal": {"state": "ready", "why": ""}, "stats_event": "StatsEvent", "max_event_bytes": 4 << 20, "dedup": True, "dedup_window_s": 300}
    assert abs(answer["timestamp"] - time.time()) < 5
    fill(dealer, 3)
    answer = dealer.request({"action": "position"})
    assert (answer["seq"], answer["oldest"]) == (3, 1)


def test_position_resolves_a_since(hub, dealer):
    """since: the point before the first event at or after it."""
    fill(dealer, 2)
    time.sleep(0.01)
    middle = time.time()
    fill(dealer, 2, first=2)

    def resolved(since):
        return dealer.request({"action": "position", "since": since})["resolved"]

    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(middle)) + f".{int(middle % 1 * 1e6):06d}Z"
    assert resolved(stamp) == f"{hub.epoch}-2"
    assert resolved("1970-01-01T00:00:00Z") == f"{hub.epoch}-0"
    assert resolved("2999-01-01T00:00:00Z") == f"{hub.epoch}-4"
    assert resolved("earliest") == f"{hub.epoch}-0"
    assert resolved("latest") == f"{hub.epoch}-4"
    assert resolved("3") == resolved(3) == resolved(f"{hub.epoch}-3") == f"{hub.epoch}-3"
    assert dealer.request({"action": "position", "since": "soon"})["code"] == "bad_value"


# --- history ---

def test_history_pages_through_everything(hub, dealer):
    """limit, next, more: pages join without a seam."""
    fill(dealer, 2500)
    position, numbers, pages = f"{hub.epoch}-0", [], 0
    while True:
        answer, events = page(dealer, since=position, limit=1000)
        assert answer["success"] and answer["result"] == "replayed" and answer["from"] == position
        assert answer["count"] == len(events) and answer["oldest"] == 1 and answer["seq"] == 2500
        assert answer["epoch"] == hub.epoch and answer["voids"] == [] and "gap" not in answer
        numbers += [e["seq"] for e in events]
        position, pages = answer["next"], pages + 1
        if not answer["more"]:
            break
    assert numbers == list(range(1, 2501)) and pages == 3
    answer, events = page(dealer, since=position)
    assert (answer["result"], answer["more"], events) == ("caught_up", False, [])
    assert answer["from"] == answer["next"] == f"{hub.epoch}-2500"


def test_history_lines_are_those_of_pub(hub, dealer):
    """Byte for byte."""
    with Sub(hub, "") as sub, Push(hub) as push:
        probes = sub.sync(push)
        push.send(b'{"event_type":"r","source_service":"s","data":{"x":1.10,"y":"\\u00fc"},"timestamp":7}')
        dealer.publish(event("r", {"n": 2}))
        lines = [sub.recv_frames()[1] for _ in range(2)]
    dealer.send({"action": "history", "since": probes})
    assert dealer.recv_frames()[2:] == lines


def test_history_filters_by_patterns(dealer):
    """event_type: one or several patterns; a page that is filtered empty still moves on."""
    dealer.publish(*[event(kind) for kind in ("a", "ab", "b", "a:b", "c")])
    for patterns, wanted in [(["a"], ["a"]), ("a", ["a"]), (["a*"], ["a", "ab", "a:b"]), (["?"], ["a", "b", "c"]),
                             (["[bc]", "ab"], ["ab", "b", "c"]), (["zzz"], []), ([], ["a", "ab", "b", "a:b", "c"])]:
        answer, events = page(dealer, since="earliest", event_type=patterns)
        assert [e["event_type"] for e in events] == wanted
        assert answer["more"] is False and answer["next"].endswith("-5")


def test_history_gap_by_retention(start_hub):
    """What the ring does not keep any more is told exactly."""
    hub = start_hub("--hub-history-events", "100", "--hub-journal-enabled", "false")
    with Dealer(hub) as dealer:
        fill(dealer, 250)
        answer, events = page(dealer, since=f"{hub.epoch}-20")
        assert answer["result"] == "gap" and answer["oldest"] == 151
        assert answer["gap"] == {"from": f"{hub.epoch}-20", "to": f"{hub.epoch}-150", "reason": "retention"}
        assert answer["from"] == f"{hub.epoch}-150"
        assert [e["seq"] for e in events] == list(range(151, 251))
        answer, _ = page(dealer, since=150)
        assert answer["result"] == "replayed" and "gap" not in answer
        answer, _ = page(dealer, since="earliest")
        assert answer["result"] == "replayed" and answer["from"] == f"{hub.epoch}-150"
        answer, _ = page(dealer, since="1970-01-01T00:00:00Z")
        assert answer["result"] == "gap" and answer["gap"]["reason"] == "retention"


def test_history_of_another_epoch(start_hub):
    """Without a journal a restart is a new epoch: a gap, and the page begins at the oldest record."""
    hub = start_hub("--hub-journal-enabled", "false")
    with Dealer(hub) as dealer:
        fill(dealer, 3)
        old = f"{hub.epoch}-2"
        hub.restart()
        assert hub.epoch != old.split("-")[0]
        fill(dealer, 2)
        answer, events = page(dealer, since=old)
        assert answer["result"] == "gap"
        assert answer["gap"] == {"from": old, "to": f"{hub.epoch}-0", "reason": "epoch_changed"}
        assert [e["seq"] for e in events] == [1, 2]


def test_history_of_a_number_never_given_out(hub, dealer):
    """unknown: nothing is replayed, next is the head."""
    fill(dealer, 3)
    for since in ("4", f"{hub.epoch}-99"):
        answer, events = page(dealer, since=since)
        assert answer["result"] == "unknown" and events == [] and answer["next"] == f"{hub.epoch}-3"
        assert answer["more"] is False


def test_history_by_time_and_latest(hub, dealer):
    """RFC 3339 and the two words."""
    fill(dealer, 3)
    assert page(dealer, since="latest")[0]["result"] == "caught_up"
    assert len(page(dealer, since="2001-01-01T00:00:00+02:00")[1]) == 3
    assert page(dealer, since="2999-01-01T00:00:00Z")[0]["next"] == f"{hub.epoch}-3"
    assert len(page(dealer)[1]) == 3


def test_history_pages_are_bounded_by_bytes(hub, dealer):
    """4 MiB a page, but at least one event."""
    for n in range(6):
        dealer.publish(event("big", "x" * (1 << 20)))
    answer, events = page(dealer, since="earliest")
    assert len(events) == 3 and answer["more"] is True and answer["next"] == f"{hub.epoch}-3"
    dealer.publish(event("big", "x" * ((4 << 20) - 200)))
    answer, events = page(dealer, since=6)
    assert len(events) == 1 and answer["more"] is False


@pytest.mark.parametrize("fields,code", [({"since": "x"}, "bad_value"), ({"since": -1}, "bad_value"),
                                         ({"since": {}}, "wrong_type"), ({"limit": "many"}, "wrong_type"),
                                         ({"event_type": 5}, "wrong_type"), ({"event_type": ["a", 5]}, "wrong_type"),
                                         ({"event_type": [""]}, "bad_value"),
                                         ({"event_type": ["a"] * 1025}, "too_many_patterns")], ids=str)
def test_history_refuses_bad_fields(dealer, fields, code):
    """A clear error with a stable word."""
    answer = dealer.request({"action": "history", "request_id": 5, **{k: v for k, v in fields.items()}})
    assert answer["success"] is False and answer["code"] == code and answer["request_id"] == 5


def test_statistics_events_in_history(start_hub):
    """No pattern means everything, so that a gateway can refill; a pattern must name the statistics event."""
    hub = start_hub("--hub-stats-interval-s", "1")
    with Dealer(hub) as dealer:
        wait_until(lambda: dealer.request({"action": "position"})["seq"] >= 1, 10, "a statistics event")
        assert [e["event_type"] for e in page(dealer, limit=1)[1]] == ["StatsEvent"]
        assert page(dealer, event_type="*")[1] == []
        assert [e["event_type"] for e in page(dealer, limit=1, event_type="StatsEvent")[1]] == ["StatsEvent"]


# --- count ---

def test_count_by_prefixes(hub, dealer):
    """a < seq <= b, types that begin with one of the prefixes."""
    dealer.publish(*[event(kind) for kind in ("a", "ab", "b", "abc", "c")])

    def count(low, high, *prefixes, epoch=hub.epoch):
        return dealer.request({"action": "count", "epoch": epoch, "from": low, "to": high, "prefixes": list(prefixes)})

    assert count(0, 5, "a") == {"success": True, "count": 3, "complete": True}
    assert count(1, 4, "a")["count"] == 2
    assert count(0, 5, "ab", "c")["count"] == 3
    assert count(0, 5, "")["count"] == 5
    assert count(0, 5)["count"] == 5
    assert count(3, 3, "a")["count"] == 0
    assert count(0, 5, "a", epoch="zzzzzzzz") == {"success": True, "count": 0, "complete": False}


def test_count_tells_when_a_part_is_not_kept(start_hub):
    """complete is false when the range begins before the oldest record."""
    hub = start_hub("--hub-history-events", "10", "--hub-journal-enabled", "false")
    with Dealer(hub) as dealer:
        fill(dealer, 30)

        def count(low, high):
            return dealer.request({"action": "count", "epoch": hub.epoch, "from": low, "to": high, "prefixes": ["t"]})

        assert count(20, 30) == {"success": True, "count": 10, "complete": True}
        assert count(19, 30) == {"success": True, "count": 10, "complete": False}


@pytest.mark.parametrize("fields,code", [({"from": 0, "to": 1}, "missing_field"),
                                         ({"epoch": "abcdefgh", "to": 1}, "missing_field"),
                                         ({"epoch": "ABC", "from": 0, "to": 1}, "bad_value"),
                                         ({"epoch": "abcdefgh", "from": 2, "to": 1}, "bad_value"),
                                         ({"epoch": "abcdefgh", "from": "0", "to": 1}, "wrong_type")], ids=str)
def test_count_refuses_bad_fields(dealer, fields, code):
    """A clear error with a stable word."""
    assert dealer.request({"action": "count", **fields})["code"] == code


# --- stats ---

def test_stats_count_what_happened(hub, dealer):
    """Figures after known work."""
    with Push(hub) as push:
        push.send(event("a", "x" * 10, odd=1))
        push.send(b'{"event_type":"a","source_service":"s","data":NaN}')
        push.send(b"bad")
        wait_until(lambda: dealer.request({"action": "stats"})["statistics"]["rejected_total"] == 1, 10, "the refusal")
    dealer.publish(event("a"))
    dealer.publish(b"bad")
    statistics = dealer.request({"action": "stats"})["statistics"]
    assert statistics["events_received"] == 3 and statistics["events_published"] == 3
    assert statistics["rejected"]["bad_json"] == 2 and statistics["rejected_total"] == 2
    assert statistics["ignored_fields"] == 1 and statistics["nonfinite"] == 1
    assert statistics["requests"]["publish"] == 2 and statistics["requests"]["refused"] == 1
    assert statistics["ring"]["events"] == 3 and statistics["seq"] == 3 and statistics["epoch"] == hub.epoch
    assert statistics["received_bytes"] > 100 and statistics["published_bytes"] > statistics["received_bytes"]
