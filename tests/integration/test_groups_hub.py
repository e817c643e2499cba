# ctest: timeout=240
"""Consumer groups over ROUTER: sharing, acknowledging, redelivery, dead letters, order, gaps, wrong input."""
import json
import time

import pytest

from support.groups import Batch, Group
from support.waiting import wait_until
from support.zmq_clients import Dealer, Push, Sub, event


@pytest.fixture(params=["memory", "disk"])
def hub(request, start_hub):
    """With "disk" next to nothing is in memory, so that what members get is read from the journal's file."""
    if request.param == "memory":
        return start_hub("--hub-journal-enabled", "false")
    return start_hub("--hub-history-events", "2")


@pytest.fixture
def dealer(hub):
    with Dealer(hub) as d:
        yield d


@pytest.fixture
def make_group(hub):
    """make_group(name, **settings) -> a Group that exists and begins at the first event."""
    made = []

    def make(name="g", of=None, **settings):
        group = Group(of or hub, name)
        made.append(group)
        group.create(**{"since": "earliest", **settings})
        return group

    yield make
    for group in made:
        group.close()


def publish(dealer, count, event_type="a", first=0):
    """Numbered events of one type; returns their seqs."""
    answer = dealer.publish(*[event(event_type, first + i) for i in range(count)])
    assert answer["success"], answer
    return range(answer["first_seq"], answer["last_seq"] + 1)


def test_what_is_acknowledged_does_not_come_again(dealer, make_group):
    group = make_group(visibility_ms=1000)
    seqs = publish(dealer, 10)
    batch = group.fetch(max=4)
    assert [e["seq"] for e in batch.events] == list(seqs)[:4]
    assert batch.attempts == [1] * 4 and batch.answer["visibility_ms"] == 1000
    answer = group.ack(batch.names[:3])
    assert answer["count"] == 3 and answer["failed"] == []
    rest = group.drain(count=7)
    assert sorted(e["seq"] for e in rest) == list(seqs)[3:]
    info = group.info()
    assert (info["acked"], info["pending"], info["delayed"], info["lag"]) == (10, 0, 0, 0)
    assert group.fetch(wait_ms=0).events == []


def test_the_line_is_the_one_that_subscribers_get(hub, dealer, make_group):
    group = make_group()
    with Push(hub) as push, Sub(hub, "exact") as sub:
        sub.sync(push)
        push.send('{"event_type":"exact","source_service":"t","data":{"big":1180591620717411303424,"f":0.10}}')
        line = sub.recv_frames()[1]
    group.send_fetch(max=1000, wait_ms=5000)
    assert line in group.dealer.recv_frames()[2:]


def test_two_members_share_and_each_event_comes_once(dealer, make_group):
    group = make_group()
    other = Group.__new__(Group)
    other.name, other.dealer = group.name, dealer
    seqs = list(publish(dealer, 500))
    got = {"one": [], "two": []}
    while len(got["one"]) + len(got["two"]) < 500:
        for member, door in (("one", group), ("two", other)):
            batch = door.fetch(member, max=7)
            got[member] += [e["seq"] for e in batch.events]
            door.ack(batch.names) if batch.events else None
    assert sorted(got["one"] + got["two"]) == seqs
    assert got["one"] and got["two"]
    members = {m["member"]: m for m in group.info()["members"]}
    assert set(members) == {"one", "two"} and members["one"]["pending"] == 0


def test_only_what_matches_is_delivered(dealer, make_group):
    group = make_group(event_type=["order:*", "exact"])
    everything = make_group("all")
    for kind in ("order:1", "order", "exact", "exact:2", "order:"):
        publish(dealer, 1, kind)
    assert [e["event_type"] for e in group.drain(count=3)] == ["order:1", "exact", "order:"]
    assert group.fetch().events == []
    assert group.info()["lag"] == 0
    assert len(everything.drain(count=5)) == 5


def test_a_waiting_fetch_is_answered_when_something_comes(dealer, make_group):
    group = make_group(event_type="wanted")
    group.send_fetch(max=10, wait_ms=60000)
    publish(dealer, 50, "other")
    assert group.dealer.nothing(100)
    seqs = publish(dealer, 1, "wanted")
    assert [e["seq"] for e in group.recv_batch().events] == list(seqs)


def test_a_fetch_that_finds_nothing_is_answered_when_its_time_is_over(dealer, make_group):
    group = make_group(event_type="wanted")
    begin = time.monotonic()
    assert group.fetch(wait_ms=0).events == []
    assert group.fetch(wait_ms=300).events == []
    assert time.monotonic() - begin >= 0.3


def test_who_waits_first_is_served_first(hub, dealer, make_group):
    group = make_group(event_type="wanted")
    doors = [Group(hub, group.name) for _ in range(5)]
    for i, door in enumerate(doors):
        door.send_fetch(f"m{i}", max=1, wait_ms=60000)
        wait_until(lambda: group.info()["waiting"] == i + 1, 10, "the fetch to wait")
    for i, door in enumerate(doors):
        publish(dealer, 1, "wanted", first=i)
        assert door.recv_batch().data == [i]
        door.close()


def test_max_bytes_bounds_an_answer_but_one_event_always_comes(dealer, make_group):
    group = make_group()
    big = "x" * 3000
    dealer.publish(*[event("a", big) for _ in range(5)])
    assert len(group.fetch(max=10, max_bytes=1)) == 1
    assert len(group.fetch(max=10, max_bytes=7000)) == 2
    assert len(group.fetch(max=10)) == 2


def test_what_a_dead_member_had_is_delivered_to_another(hub, dealer, make_group):
    group = make_group(visibility_ms=300)
    seqs = list(publish(dealer, 3))
    doomed = Group(hub, group.name)
    first = doomed.fetch("doomed", max=3)
    doomed.close()
    batch = group.fetch("heir", max=3, wait_ms=20000)
    assert [e["seq"] for e in batch.events] == seqs and batch.attempts == [2, 2, 2]
    stale = group.ack(first.names)
    assert stale["count"] == 0 and {f["code"] for f in stale["failed"]} == {"stale_delivery"}
    assert group.ack(batch.names)["count"] == 3
    assert group.info()["redelivered"] == 3


def test_an_answer_that_cannot_reach_its_peer_is_given_back(hub, dealer, make_group):
    group = make_group(event_type="wanted", visibility_ms=43200000, max_attempts=1)

    def unroutable():
        return dealer.request({"action": "stats"})["statistics"]["answers"]["unroutable"]

    gone = Group(hub, group.name)
    for i in range(200):  # the first waits longest; the end of the others shows when the hub knows that the peer is gone
        gone.dealer.send({"action": "fetch", "group": group.name, "member": "gone", "request_id": i,
                          "wait_ms": 60000 if i == 0 else 50 * i})
    wait_until(lambda: group.info()["waiting"] > 100, 10, "the fetches to wait")
    gone.close()
    wait_until(lambda: unroutable() > 0, 10, "the hub to know")
    publish(dealer, 1, "wanted")
    batch = group.fetch("here", wait_ms=20000)
    assert len(batch) == 1 and batch.attempts[0] >= 2
    assert group.info()["dead_letters"] == 0 and group.ack(batch.names)["count"] == 1


def test_an_attempt_that_is_over_counts_while_nobody_else_has_it(dealer, make_group):
    group = make_group(visibility_ms=100, max_attempts=0)
    publish(dealer, 1)
    batch = group.fetch()
    wait_until(lambda: group.info()["pending"] == 0, 10, "the attempt to be over")
    assert group.info()["delayed"] == 1
    assert group.ack(batch.names)["count"] == 1
    assert group.fetch().events == []


def test_nack_gives_back_at_once_or_later(dealer, make_group):
    group = make_group(max_attempts=0)
    publish(dealer, 1)
    batch = group.fetch()
    assert group.nack(batch.names)["count"] == 1
    again = group.fetch()
    assert again.attempts == [2]
    begin = time.monotonic()
    assert group.nack(again.names, delay_ms=400)["count"] == 1
    assert group.info()["delayed"] == 1
    third = group.fetch(wait_ms=20000)
    assert third.attempts == [3] and time.monotonic() - begin >= 0.4
    stale = group.ack(again.names)
    assert stale["failed"] == [{"delivery": again.names[0], "code": "stale_delivery"}]


def test_extend_keeps_a_delivery(dealer, make_group):
    group = make_group(visibility_ms=200, max_attempts=1)
    publish(dealer, 1)
    batch = group.fetch()
    assert group.extend(batch.names, visibility_ms=43200000)["count"] == 1
    assert group.fetch("other", wait_ms=600).events == []
    assert group.info()["pending"] == 1
    assert group.extend(batch.names)["count"] == 1  # back to the group's
    wait_until(lambda: group.info()["dead_letters"] == 1, 10, "the extended attempt to be over")


def test_unknown_deliveries_are_told(hub, make_group, dealer):
    group = make_group()
    publish(dealer, 1)
    batch = group.fetch()
    head = dealer.request({"action": "position"})
    names = [f"{head['epoch']}-{head['seq'] + 1000}.1", batch.names[0][:-1] + "2", "abcdefgh-1.1"]
    answer = group.ack(names)
    assert answer["count"] == 0
    assert [f["code"] for f in answer["failed"]] == ["unknown_delivery", "unknown_delivery", "stale_delivery"]
    assert [f["delivery"] for f in answer["failed"]] == names


@pytest.mark.parametrize("reason", ["timeout", "nack"])
def test_after_its_last_attempt_an_event_is_a_dead_letter(hub, dealer, make_group, reason):
    group = make_group(event_type="order", visibility_ms=100 if reason == "timeout" else 30000, max_attempts=2)
    with Push(hub) as push, Sub(hub, "hub.dead_letter") as sub:
        sub.sync(push)
        answer = dealer.publish('{"event_type":"order","source_service":"t","data":{"n":[1.50,NaN]},"id":"x/1"}')
        for attempt in (1, 2):
            batch = group.fetch(wait_ms=20000)
            assert batch.attempts == [attempt]
            if reason == "nack":
                group.nack(batch.names)
        frames = sub.recv_frames()
        letter = json.loads(frames[1])
    assert frames[0] == b"hub.dead_letter" and letter["source_service"] == "nh_cs"
    data = letter["data"]
    assert data["group"] == "g" and data["attempts"] == 2 and data["reason"] == reason
    assert data["position"] == f"{answer['epoch']}-{answer['first_seq']}"
    assert data["event"]["id"] == "x/1" and data["event"]["seq"] == answer["first_seq"]
    assert b'"data":{"n":[1.50,NaN]}' in frames[1]
    info = group.info()
    assert (info["dead_letters"], info["pending"], info["delayed"]) == (1, 0, 0)
    assert group.fetch().events == []


def test_a_dead_letter_too_large_or_too_deep_says_where_the_event_is(start_hub, make_group):
    hub = start_hub("--hub-max-event-bytes", "64KiB")
    with Dealer(hub) as dealer, Push(hub) as push, Sub(hub, "hub.dead_letter") as sub:
        sub.sync(push)
        group = make_group(of=hub, event_type="order", max_attempts=1)
        deep = "[" * 505 + "]" * 505
        large = '"' + "x" * (65536 - 120) + '"'
        for data in (large, deep):
            answer = dealer.publish('{"event_type":"order","source_service":"t","data":%s}' % data)
            assert answer["success"], answer
            group.nack(group.fetch(wait_ms=5000).names)
            letter = sub.recv()["data"]
            if letter["event"] is not None:  # it fits with what stands around it
                assert data == deep
                continue
            assert letter["position"] == f"{answer['epoch']}-{answer['first_seq']}"
        assert group.info()["dead_letters"] == 2


def test_a_dead_letter_that_fails_does_not_become_another(dealer, make_group):
    group = make_group(event_type="order", max_attempts=1)
    letters = make_group("letters", event_type="hub.dead_letter", max_attempts=1)
    publish(dealer, 1, "order")
    group.nack(group.fetch(wait_ms=5000).names)
    letters.nack(letters.fetch(wait_ms=5000).names)
    wait_until(lambda: letters.info()["dead_letters"] == 1, 10, "the letter to be given up")
    assert letters.fetch(wait_ms=100).events == []


def test_released_attempts_do_not_count(dealer, make_group):
    group = make_group(max_attempts=1)
    publish(dealer, 1)
    for attempt in (1, 2, 3):
        batch = group.fetch(wait_ms=5000)
        assert batch.attempts == [attempt]
        assert group.nack(batch.names, release=True)["count"] == 1
    assert group.info()["dead_letters"] == 0
    assert group.ack(group.fetch().names)["count"] == 1


def test_an_ordered_group_hands_out_one_event_of_a_type_at_a_time(dealer, make_group):
    group = make_group(ordered=True, max_attempts=0)
    for i in range(4):
        publish(dealer, 1, "x", first=i)
        publish(dealer, 1, "y", first=i)
    seen = {"x": [], "y": []}
    batch = group.fetch(max=10)
    assert [(e["event_type"], e["data"]) for e in batch.events] == [("x", 0), ("y", 0)]
    assert group.fetch(max=10).events == []
    group.nack(batch.names[0], delay_ms=300)  # x waits, y goes on
    group.ack(batch.names[1])
    seen["y"].append(0)
    while len(seen["x"]) < 4 or len(seen["y"]) < 4:
        batch = group.fetch(max=10, wait_ms=20000)
        assert len({e["event_type"] for e in batch.events}) == len(batch)
        for e in batch.events:
            seen[e["event_type"]].append(e["data"])
        group.ack(batch.names)
    assert seen == {"x": [0, 1, 2, 3], "y": [0, 1, 2, 3]}


def test_the_hub_s_own_events_come_only_to_patterns_that_name_them(start_hub, make_group):
    hub = start_hub("--hub-stats-interval-s", "1")
    plain = make_group("plain", of=hub)
    globs = make_group("globs", of=hub, event_type=["*", "S*"])
    named = make_group("named", of=hub, event_type=["StatsEvent"])
    assert named.fetch(wait_ms=30000).events[0]["event_type"] == "StatsEvent"
    assert plain.fetch().events == [] and globs.fetch().events == []


def test_creating_again_is_no_error_but_other_settings_are(dealer, make_group):
    settings = {"event_type": ["a", "b*"], "visibility_ms": 500, "max_attempts": 0, "ordered": True, "hold": True}
    group = make_group(**settings)
    assert group.create(since="latest", **settings)["created"] is False
    for change in ({"event_type": ["a"]}, {"visibility_ms": 501}, {"max_attempts": 1}, {"ordered": False},
                   {"hold": False}, {"event_type": []}):
        answer = group.ask("group_create", **{**settings, **change})
        assert answer["success"] is False and answer["code"] == "group_exists", (change, answer)
    info = group.info()
    for key, value in settings.items():
        assert info[key] == value
    assert group.delete()["group"] == "g"
    assert group.ask("group")["code"] == "unknown_group"
    assert group.create(**{**settings, "hold": False})["created"] is True


def test_where_a_group_begins(dealer, hub):
    publish(dealer, 3)
    epoch = dealer.request({"action": "position"})["epoch"]
    for since, after in (("earliest", 0), ("latest", 3), (2, 2), (f"{epoch}-1", 1), (None, 3),
                         ("2020-01-01T00:00:00Z", 0), ("2999-01-01T00:00:00Z", 3)):
        group = Group(hub, "begin")
        assert group.create(since=since)["position"] == f"{epoch}-{after}", since
        assert [e["seq"] for e in group.fetch(max=10).events] == list(range(after + 1, 4))
        group.delete()
        group.close()
    group = Group(hub, "begin")
    assert group.ask("group_create", since=99)["code"] == "bad_value"
    assert group.create(since="abcdefgh-7")
    batch = group.fetch(max=10)
    assert batch.gap == {"from": "abcdefgh-7", "to": f"{epoch}-0", "reason": "epoch_changed"}
    assert len(batch) == 3


def test_deleting_a_group_sends_its_waiting_fetches_away(hub, dealer, make_group):
    group = make_group(event_type="never")
    waiting = Group(hub, group.name)
    waiting.send_fetch(wait_ms=60000)
    wait_until(lambda: group.info()["waiting"] == 1, 10, "the fetch to wait")
    group.delete()
    batch = waiting.recv_batch()
    assert batch.answer["success"] is False and batch.answer["code"] == "unknown_group"


def test_groups_lists_all(dealer, make_group):
    for name in ("one", "two"):
        make_group(name, event_type=[name])
    publish(dealer, 2, "one")
    listed = {g["group"]: g for g in dealer.request({"action": "groups"})["groups"]}
    assert set(listed) == {"one", "two"}
    assert listed["one"]["lag"] == 2 and listed["two"]["lag"] == 0 and "members" not in listed["one"]
    assert listed["two"]["event_type"] == ["two"]


def test_retention_wins_and_is_told(start_hub, make_group):
    hub = start_hub("--hub-journal-enabled", "false", "--hub-history-events", "10")
    with Dealer(hub) as dealer:
        group = make_group(of=hub, visibility_ms=100, max_attempts=0)
        epoch = dealer.request({"action": "position"})["epoch"]
        publish(dealer, 5)
        held = group.fetch(max=2)
        publish(dealer, 20)
        batch = group.fetch(max=100, wait_ms=5000)
        assert batch.gap["reason"] == "retention" and batch.gap["to"] == f"{epoch}-15"
        assert [e["seq"] for e in batch.events] == list(range(16, 26))
        assert group.ack(batch.names)["count"] == 10
        # A member may finish what it has; what it does not finish is lost as well.
        assert group.ack(held.names[:1])["count"] == 1
        wait_until(lambda: group.info()["lost"] == 14, 10, "the other one to be lost")
        gap = group.fetch().gap
        assert gap == {"from": f"{epoch}-1", "to": f"{epoch}-2", "reason": "retention"}
        assert group.fetch().gap is None


def test_a_group_that_is_up_to_date_loses_nothing_by_retention(start_hub, make_group):
    hub = start_hub("--hub-journal-enabled", "false", "--hub-history-events", "10")
    with Dealer(hub) as dealer:
        group = make_group(of=hub, event_type="rare")
        assert group.fetch().events == []
        for _ in range(5):
            publish(dealer, 100, "often")
        publish(dealer, 1, "rare")
        publish(dealer, 5, "often")
        batch = group.fetch(max=10)
        assert batch.gap is None and len(batch) == 1 and batch.events[0]["event_type"] == "rare"
        assert group.info()["lost"] == 0


def test_at_most_10000_are_under_way(dealer, make_group):
    group = make_group(visibility_ms=43200000)
    for _ in range(11):
        publish(dealer, 1000)
    count = 0
    while True:
        batch = group.fetch(max=1000)
        if not batch.events:
            break
        count += len(batch)
        last = batch
    assert count == 10000 and group.info()["pending"] == 10000 and group.info()["lag"] == 1000
    group.ack(last.names[:5])
    assert len(group.fetch(max=1000)) == 5


def test_too_many_waiting_fetches_are_refused(dealer, make_group):
    group = make_group(event_type="never")
    for i in range(1001):
        dealer.send({"action": "fetch", "group": "g", "member": "m", "wait_ms": 60000, "request_id": i})
    answer = dealer.recv()
    assert answer["request_id"] == 1000 and answer["code"] == "too_many_waiting"
    group.delete()
    assert {dealer.recv()["code"] for _ in range(1000)} == {"unknown_group"}


def test_too_many_groups_are_refused(start_hub, make_group):
    hub = start_hub("--hub-max-groups", "2")
    make_group("one", of=hub)
    make_group("two", of=hub)
    with Dealer(hub) as dealer:
        answer = dealer.request({"action": "group_create", "group": "three"})
        assert answer["success"] is False and answer["code"] == "too_many_groups"
        assert dealer.request({"action": "group_delete", "group": "one"})["success"]
        assert dealer.request({"action": "group_create", "group": "three"})["success"]


def test_wrong_input_gets_a_clear_error_and_harms_nobody(dealer, make_group):
    make_group()
    name = "abcdefgh-1.1"
    cases = [
        ({"action": "fetch"}, "missing_field"),
        ({"action": "fetch", "group": "g"}, "missing_field"),
        ({"action": "fetch", "group": "nobody", "member": "m"}, "unknown_group"),
        ({"action": "fetch", "group": "g g", "member": "m"}, "bad_group_name"),
        ({"action": "fetch", "group": ["g"], "member": "m"}, "wrong_type"),
        ({"action": "fetch", "group": "g", "member": "m" * 129}, "bad_value"),
        ({"action": "fetch", "group": "g", "member": "m", "max": 1001}, "bad_value"),
        ({"action": "fetch", "group": "g", "member": "m", "wait_ms": -1}, "bad_value"),
        ({"action": "fetch", "group": "g", "member": "m", "max_bytes": 0}, "bad_value"),
        ({"action": "ack", "group": "g"}, "missing_field"),
        ({"action": "ack", "group": "nobody", "deliveries": [name]}, "unknown_group"),
        ({"action": "ack", "group": "g", "deliveries": ["x"]}, "bad_value"),
        ({"action": "ack", "group": "g", "deliveries": [name] * 1001}, "bad_value"),
        ({"action": "nack", "group": "g", "deliveries": [name], "delay_ms": 1e3}, "wrong_type"),
        ({"action": "nack", "group": "g", "deliveries": [name], "release": 1}, "wrong_type"),
        ({"action": "extend", "group": "g", "deliveries": [name], "visibility_ms": 1}, "bad_value"),
        ({"action": "group", "group": "nobody"}, "unknown_group"),
        ({"action": "group_delete", "group": "nobody"}, "unknown_group"),
        ({"action": "group_create", "group": "x" * 65}, "bad_group_name"),
        ({"action": "group_create", "group": "x", "event_type": [""]}, "bad_value"),
        ({"action": "group_create", "group": "x", "since": "soon"}, "bad_value"),
        ({"action": "group_create", "group": "x", "visibility_ms": 99}, "bad_value"),
        ({"action": "group_create", "group": "x", "max_attempts": -1}, "bad_value"),
        ({"action": "group_create", "group": "x", "event_type": ["p%03d" % i + "x" * 250 for i in range(300)]},
         "too_many_patterns"),
    ]
    for i, (body, code) in enumerate(cases):
        answer = dealer.request({**body, "request_id": i})
        assert answer["success"] is False and answer["code"] == code and answer["request_id"] == i, (body, answer)
        assert answer["error"]
    assert dealer.request({"action": "groups"})["groups"][0]["group"] == "g"
    publish(dealer, 1)
    dealer.send({"action": "fetch", "group": "g", "member": "m", "wait_ms": 5000})
    assert len(Batch(dealer.recv_frames())) == 1


def test_requests_without_an_id_are_answered_in_order(dealer, make_group):
    group = make_group(event_type="wanted")
    group.send_fetch(wait_ms=60000)
    group.dealer.send({"action": "health"})
    assert group.dealer.nothing(100)
    publish(dealer, 1, "wanted")
    assert len(group.recv_batch()) == 1
    assert group.dealer.recv()["status"] == "ok"


def test_stats_count_groups(dealer, make_group):
    group = make_group(event_type="a", max_attempts=1)
    publish(dealer, 5)
    batch = group.fetch(max=3)
    group.ack(batch.names[0])
    group.nack(batch.names[1])
    wait_until(lambda: group.info()["dead_letters"] == 1, 10, "the dead letter")
    figures = dealer.request({"action": "stats"})["statistics"]["groups"]
    assert figures["count"] == 1 and figures["pending"] == 1 and figures["acked"] == 1
    assert figures["dead_letters"] == 1 and figures["lag_max"] >= 2 and figures["lost"] == 0
    group.delete()
    figures = dealer.request({"action": "stats"})["statistics"]["groups"]
    assert figures["count"] == 0 and figures["pending"] == 0 and figures["acked"] == 1


def test_a_stop_answers_those_who_wait(start_hub, make_group):
    hub = start_hub()
    group = make_group(of=hub, event_type="never")
    other = Group(hub, group.name)
    group.send_fetch(wait_ms=60000)
    wait_until(lambda: other.info()["waiting"] == 1, 10, "the fetch to wait")
    hub.stop()
    assert group.recv_batch().events == []
    other.close()
