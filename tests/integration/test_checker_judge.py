"""The checker must be able to fail: its judge is fed doctored transcripts, one defect each, and must find every one."""
import json
import os
import subprocess
import sys
from zlib import crc32

import pytest

from soak.judge import Case, judge
from soak.lines import OTHER, Patterns, make_mark, parse_letter, parse_line, pattern_regex, type_of
from soak.schedule import TABLE, plan
from soak.slopes import Sampler
from soak.transcript import (ACKED, JOURNALED, MEMORY, REFUSED, SENT, SYNCED, UNKNOWN, Delivery, Gap, GroupReading,
                             Publishing, Reading)

EPOCHS = ("aaaaaaaa", "bbbbbbbb")
WHOLE = ["*", "StatsEvent", "hub.*"]


def line(seq, p=1, n=None, epoch=EPOCHS[0], pad="x"):
    n = seq if n is None else n
    return (f'{{"event_type":"{type_of(p, n)}","source_service":"p{p}","data":{{"p":{p},"n":{n},"pad":"{pad}"}},'
            f'"timestamp":1.5,"correlation_id":"c","seq":{seq},"epoch":"{epoch}"}}').encode()


class World:
    """A round in which nothing is wrong: publisher 1 published 1..20 (acknowledged), all three readers got them."""

    def __init__(self, rank=SYNCED, count=20):
        self.publishing = Publishing(1, "http", has_id=True, first=1)
        self.count = count
        for n in range(1, count + 1):
            self.publishing.take_number()
            self.publishing.set(n, ACKED, (EPOCHS[0], n), rank, 100.0)
        self.whole = self.reader("whole", WHOLE, is_contiguous=True)
        self.some = self.reader("some", ["soak.b.1", "soak.c.*"])
        self.stored = self.reader("stored", WHOLE, is_contiguous=True)
        self.facts = {}
        self.groups = []

    def reader(self, name, patterns, numbers=None, **traits):
        reading = Reading(name, "ws", patterns, traits.pop("policy", "disconnect"), **traits)
        reading.begins(f"{EPOCHS[0]}-0")
        wants = Patterns(patterns).wants
        for n in range(1, self.count + 1) if numbers is None else numbers:
            if wants(type_of(1, n)):
                reading.event(line(n))
        reading.end = (EPOCHS[0], self.count)
        return reading

    def case(self):
        return Case([self.publishing], [self.whole, self.some], self.stored, self.groups, **self.facts)

    def words(self):
        return judge(self.case()).words()


def without(numbers, count=20):
    return [n for n in range(1, count + 1) if n not in numbers]


def test_a_round_without_defects_passes():
    verdict = judge(World().case())
    assert not verdict.faults and verdict.counts["deliveries"] > 25 and verdict.counts["acked synced"] == 20


def test_a_hole_is_found():
    world = World()
    world.whole = world.reader("whole", WHOLE, without({7}))
    assert world.words() == {"hole"}


def test_a_hole_at_the_end_is_found():
    world = World()
    world.whole = world.reader("whole", WHOLE, without({20}))
    assert world.words() == {"hole"}


def test_a_hole_that_only_numbers_show_is_found():
    world = World()
    world.publishing.outcomes.pop(7)  # nobody knows the event, but everything must be seen or told by this reader
    for name in ("whole", "some", "stored"):
        setattr(world, name, world.reader(name, WHOLE, without({7}), is_contiguous=True))
    assert world.words() == {"hole"}


def test_a_hole_in_a_filtered_stream_is_found():
    world = World()
    wanted = [n for n in range(1, 21) if Patterns(["soak.b.*"]).wants(type_of(1, n))]
    world.some = world.reader("some", ["soak.b.*"], without({wanted[2]}))
    assert world.words() == {"hole"}


def test_an_acknowledged_event_that_nobody_saw_is_missed():
    world = World()
    for name in ("whole", "some"):
        setattr(world, name, world.reader(name, WHOLE, without({7})))
    world.stored = None
    assert world.words() == {"hole"}


def test_a_told_gap_is_no_hole():
    world = World()
    world.whole = world.reader("whole", WHOLE, without({7, 8}), is_contiguous=True)
    world.whole.gap("aaaaaaaa-6", "aaaaaaaa-8", "not_stored")
    assert world.words() == set()


def test_a_gap_that_is_too_short_is_found():
    world = World()
    world.whole = world.reader("whole", WHOLE, without({7, 8}), is_contiguous=True)
    world.whole.gap("aaaaaaaa-6", "aaaaaaaa-7", "not_stored")
    assert world.words() == {"hole"}


def test_a_gap_over_what_was_delivered_is_found():
    world = World()
    world.whole = world.reader("whole", WHOLE, without({7, 8}))
    world.whole.gap("aaaaaaaa-5", "aaaaaaaa-8", "not_stored")
    assert world.words() == {"gap_range"}


def test_a_gap_over_what_the_hub_still_has_is_found():
    world = World()
    world.whole = world.reader("whole", WHOLE, without({7, 8}))
    world.whole.gap("aaaaaaaa-6", "aaaaaaaa-8", "unclean_stop")
    assert world.words() == {"gap_range"}


def test_a_gap_that_ends_before_it_begins_is_found():
    world = World()
    world.whole.gap("aaaaaaaa-20", "aaaaaaaa-8", "not_stored")
    assert "gap_range" in world.words()


def test_a_duplicate_is_found():
    world = World()
    world.whole = world.reader("whole", WHOLE, [1, 2, 3, 3, *range(4, 21)])
    assert world.words() == {"duplicate"}


def test_a_duplicate_of_before_the_start_is_found():
    world = World()
    world.some.start = (EPOCHS[0], 1)
    assert Patterns(world.some.patterns).wants(type_of(1, 1)) and world.words() == {"order"}


def test_a_late_duplicate_is_found_where_late_events_are_allowed():
    world = World()
    world.whole = world.reader("whole", WHOLE, [*range(1, 21), 3], is_late_allowed=True)
    assert world.words() == {"duplicate"}


def test_swapped_order_is_found_unless_it_is_allowed():
    world = World()
    swapped = [1, 2, 4, 3, *range(5, 21)]
    world.whole = world.reader("whole", WHOLE, swapped)
    assert world.words() == {"order"}
    world.whole = world.reader("whole", WHOLE, swapped, is_late_allowed=True)
    assert world.words() == set()


def test_changed_bytes_are_found():
    world = World()
    world.some = world.reader("some", WHOLE, range(1, 20))
    world.some.event(line(20, pad="y"))
    assert world.words() == {"bytes"}


def test_another_event_under_the_same_number_is_found():
    world = World()
    world.publishing.outcomes[7].where = (EPOCHS[0], 8)
    assert "ack_mismatch" in world.words()


def test_an_event_that_was_not_subscribed_is_found():
    world = World()
    world.some = world.reader("some", WHOLE)
    world.some.patterns = ["soak.a.1"]
    assert world.words() == {"unwanted"}


def test_a_missing_synced_event_is_found_whatever_happened():
    for disaster in ("kill", "power", "full", "stop"):
        world = World(SYNCED)
        world.facts["disasters"] = [(101.0, disaster)]
        world.stored = world.reader("stored", WHOLE, without({7}), is_contiguous=True)
        world.stored.gap("aaaaaaaa-6", "aaaaaaaa-7", "unclean_stop")
        assert world.words() == {"acked_lost"}, disaster


@pytest.mark.parametrize("rank, disaster, allowed", [
    (JOURNALED, "kill", False), (JOURNALED, "power", True), (JOURNALED, "full", False), (JOURNALED, "stop", False),
    (MEMORY, "kill", True), (MEMORY, "power", True), (MEMORY, "full", True), (MEMORY, "stop", False), (MEMORY, None, False)])
def test_each_durability_survives_what_it_says(rank, disaster, allowed):
    world = World(rank)
    world.facts["disasters"] = [(101.0, disaster)] if disaster else []
    world.stored = world.reader("stored", WHOLE, without({7}), is_contiguous=True)
    world.stored.gap("aaaaaaaa-6", "aaaaaaaa-7", "unclean_stop")
    assert world.words() == (set() if allowed else {"acked_lost"})


def test_a_disaster_of_long_before_is_no_excuse():
    world = World(MEMORY)
    world.facts["disasters"] = [(1.0, "kill")]
    world.stored = world.reader("stored", WHOLE, without({7}), is_contiguous=True)
    world.stored.gap("aaaaaaaa-6", "aaaaaaaa-7", "unclean_stop")
    assert world.words() == {"acked_lost"}


def test_a_history_that_hides_a_loss_is_found():
    world = World(MEMORY)
    world.facts["disasters"] = [(101.0, "kill")]
    world.stored = world.reader("stored", WHOLE, without({7}))
    assert "history_hole" in world.words()


def test_an_acknowledged_duplicate_without_a_number_must_be_there_too():
    world = World(SYNCED)
    world.facts["disasters"] = [(101.0, "power")]
    world.publishing.outcomes[7].where = None
    world.stored = world.reader("stored", WHOLE, without({7}), is_contiguous=True)
    world.stored.gap("aaaaaaaa-6", "aaaaaaaa-7", "unclean_stop")
    assert world.words() == {"acked_lost"}


def drop_world(dropped):
    world = World()
    world.whole = world.reader("whole", WHOLE, without({7, 8, 9}), policy="drop_oldest")
    world.whole.gap("aaaaaaaa-6", "aaaaaaaa-9", "slow", dropped)
    return world


def test_counted_drops_pass_and_others_are_found():
    assert drop_world(3).words() == set()
    assert drop_world(2).words() == {"drop_count"}
    assert drop_world(4).words() == {"drop_count"}


def test_what_the_hub_lost_is_nobodys_drop():
    world = drop_world(2)
    world.publishing.outcomes[8].rank = MEMORY
    world.facts["disasters"] = [(101.0, "kill")]
    world.stored = world.reader("stored", WHOLE, without({8}), is_contiguous=True)
    world.stored.gap("aaaaaaaa-7", "aaaaaaaa-8", "unclean_stop")
    assert world.words() == set()
    world.whole.gaps[0].dropped = 1
    assert world.words() == {"drop_count"}


def test_an_unreported_drop_is_found():
    world = drop_world(3)
    world.whole.gaps = []
    assert world.words() == {"hole"}


def test_a_drop_for_a_reader_who_did_not_ask_for_it_is_found():
    world = drop_world(3)
    world.whole.policy = "disconnect"
    assert world.words() == {"drop_count"}


def test_an_event_that_was_published_twice_is_found():
    world = World()
    world.count = 21
    for name in ("whole", "some", "stored"):
        reading = world.reader(name, WHOLE, range(1, 21))
        reading.event(line(21, n=7))
        setattr(world, name, reading)
    assert "published_twice" in world.words()


def test_an_event_that_was_lost_and_published_again_is_no_duplicate():
    world = World(MEMORY)
    world.facts["disasters"] = [(101.0, "kill")]
    world.count = 21
    for name, gone in (("whole", set()), ("some", set()), ("stored", {7})):
        reading = world.reader(name, WHOLE, without(gone), is_contiguous=True)
        reading.event(line(21, n=7))
        setattr(world, name, reading)
    world.stored.gap("aaaaaaaa-6", "aaaaaaaa-7", "unclean_stop")
    world.publishing.set(7, ACKED, (EPOCHS[0], 21), MEMORY, 102.0)
    assert world.words() == set()


def test_a_refused_event_that_appears_is_found():
    world = World()
    world.publishing.outcomes[7].kind = REFUSED
    assert world.words() == {"refused_but_there"}


def test_a_refusal_does_not_undo_an_unknown_outcome():
    world = World()
    world.publishing.outcomes.pop(7)
    world.publishing.set(7, UNKNOWN)
    world.publishing.set(7, REFUSED)
    assert world.words() == set()


def test_an_event_that_nobody_published_is_found():
    world = World()
    world.publishing.outcomes.pop(20)
    world.publishing.next = 20
    assert world.words() == {"phantom"}


def test_an_order_that_is_not_the_publishers_is_found():
    world = World()
    order = [1, 2, 4, 3, *range(5, 21)]
    for name in ("whole", "some", "stored"):
        reading = world.reader(name, WHOLE, [])
        for seq, n in enumerate(order, 1):
            reading.event(line(seq, n=n))
        setattr(world, name, reading)
    for seq, n in enumerate(order, 1):
        world.publishing.outcomes[n].where = (EPOCHS[0], seq)
    assert world.words() == {"publisher_order"}


def test_a_pushed_event_that_is_lost_without_a_cause_is_found():
    world = World()
    world.publishing.take_number()
    world.publishing.set(21, SENT)
    assert world.words() == set()
    world.facts["is_push_exact"] = True
    assert world.words() == {"push_lost"}


def test_epochs_in_different_order_are_found():
    world = World()
    world.whole.event(line(1, n=21, epoch=EPOCHS[1]))
    world.some = Reading("some", "ws", WHOLE, is_complete=False)
    world.some.begins("bbbbbbbb-0")
    world.some.event(line(1, n=21, epoch=EPOCHS[1]))
    world.some.event(line(20))
    assert "epoch_order" in world.words()


def test_a_new_epoch_without_a_gap_is_found():
    world = World()
    world.publishing.take_number()
    world.publishing.set(21, ACKED, (EPOCHS[1], 2), SYNCED, 100.0)
    for reading in (world.whole, world.stored):
        reading.event(line(2, n=21, epoch=EPOCHS[1]))
        reading.end = reading.last()
    world.stored.gap("aaaaaaaa-20", "bbbbbbbb-1", "epoch_changed")
    assert world.words() == {"hole"}
    world.whole.gap("aaaaaaaa-20", "bbbbbbbb-1", "epoch_changed")
    assert world.words() == set()


def test_a_position_that_became_unknown_is_found():
    world = World()
    world.whole.resumed("unknown")
    assert world.words() == {"note"}


# --- groups ---

def group_world(ordered=False):
    world = World()
    group = GroupReading("g", (EPOCHS[0], 0), ["soak.*"], ordered, 3, hold=True)
    group.end = (EPOCHS[0], 20)
    for n in range(1, 21):
        delivery = Delivery((EPOCHS[0], n), 1, crc32(line(n)), 1 << 32 | n, type_of(1, n), 100.0 + n)
        delivery.tried, delivery.settled, delivery.end = 100.2 + n, 100.4 + n, "acked"
        group.deliveries.append(delivery)
    world.groups = [group]
    return world, group


@pytest.mark.parametrize("ordered", [False, True])
def test_a_group_without_defects_passes(ordered):
    world, _ = group_world(ordered)
    assert world.words() == set()


def test_an_event_that_a_group_never_got_is_found():
    world, group = group_world()
    del group.deliveries[6]
    assert world.words() == {"group_hole"}
    group.gaps.append(Gap((EPOCHS[0], 6), (EPOCHS[0], 7), "not_stored"))
    assert world.words() == set()


def test_an_event_that_nobody_acknowledged_is_found_unless_it_is_a_dead_letter():
    world, group = group_world()
    group.deliveries[6].end = "nacked"
    assert world.words() == {"group_hole"}
    bury(world, 7)
    assert world.words() == set()


def letter_line(seq, position, group="g", attempts=3, reason="nack", event=b"null"):
    return (f'{{"event_type":"hub.dead_letter","source_service":"hub","data":{{"group":"{group}","position":"{position}",'
            f'"attempts":{attempts},"reason":"{reason}","event":').encode() + event + (
                f'}},"timestamp":1.5,"correlation_id":"c","seq":{seq},"epoch":"{EPOCHS[0]}"}}').encode()


def bury(world, *numbers, **fields):
    """Events of these numbers have dead letters, from 21 on; everybody who asked for them sees them."""
    world.whole.end = world.stored.end = (EPOCHS[0], 20 + len(numbers))
    for i, n in enumerate(numbers):
        text = letter_line(21 + i, f"{EPOCHS[0]}-{n}", **{"event": line(n), **fields})
        world.whole.event(text)
        world.stored.event(text)


def failed(attempts=3, number=7):
    """A group that tried this event so often in vain, and buried nothing yet."""
    world, group = group_world()
    for attempt in range(1, attempts + 1):
        first = group.deliveries[number - 1]
        again = Delivery(first.where, attempt, first.crc, first.pn, first.type, first.handed + attempt)
        again.end = "nacked"
        group.deliveries.append(again)
    del group.deliveries[number - 1]
    return world, group


def test_an_event_that_fails_three_times_is_a_dead_letter():
    world, _ = failed()
    bury(world, 7)
    verdict = judge(world.case())
    assert not verdict.faults and verdict.counts["dead letters of groups"] == 1


def test_a_dead_letter_that_does_not_come_is_found():
    world, _ = failed()
    assert world.words() == {"group_hole"}
    bury(world, 8)  # another event's is none
    assert world.words() == {"group_hole", "dead_letter"}  # and 8 was acknowledged


def test_a_dead_letter_of_another_group_does_not_count():
    world, _ = failed()
    bury(world, 7, group="h")
    assert world.words() == {"group_hole"}


@pytest.mark.parametrize("disaster, words", [(None, {"dead_letter"}), ("stop", {"dead_letter"}), ("kill", set())])
def test_a_second_dead_letter_is_found_unless_the_hub_died(disaster, words):
    world, _ = failed()
    world.facts["disasters"] = [(101.0, disaster)] if disaster else []
    bury(world, 7, 7)
    assert world.words() == words


def test_a_hand_out_after_the_last_attempt_is_found():
    world, _ = failed(4)
    bury(world, 7)
    assert world.words() == {"dead_letter"}


@pytest.mark.parametrize("fields, word", [
    ({"attempts": 2}, "dead_letter"), ({"reason": "mood"}, "dead_letter"), ({"event": b"null"}, "dead_letter"),
    ({"event": line(8)}, "bytes")])
def test_a_wrong_dead_letter_is_found(fields, word):
    world, _ = failed()
    bury(world, 7, **fields)
    assert world.words() == {word}


def test_a_letter_is_read_as_the_hub_writes_it():
    letter = parse_letter(letter_line(21, "aaaaaaaa-7", event=line(7)))
    assert letter == ("g", (EPOCHS[0], 7), 3, "nack", crc32(line(7)))
    assert parse_letter(letter_line(21, "aaaaaaaa-7")).crc is None
    assert parse_letter(letter_line(21, "nonsense")) is None and parse_letter(line(7)) is None


def test_a_dead_letter_that_is_none_is_found():
    world, _ = failed()
    bury(world, 7)
    text = letter_line(22, "nonsense")
    world.whole.event(text)
    world.stored.event(text)
    world.whole.end = world.stored.end = (EPOCHS[0], 22)
    assert world.words() == {"dead_letter"}


def test_a_dead_letter_that_one_door_hides_is_found():
    world, _ = failed()
    bury(world, 7)
    world.some = world.reader("some", WHOLE)
    world.some.end = (EPOCHS[0], 21)
    assert world.words() == {"hole"}


def test_what_a_group_holds_is_not_lost_to_retention():
    world, group = group_world()
    del group.deliveries[6]
    group.gaps.append(Gap((EPOCHS[0], 6), (EPOCHS[0], 7), "retention"))
    assert world.words() == {"group_hold"}
    group.hold = False
    assert world.words() == set()


def test_a_hand_out_within_an_extended_time_is_found():
    world, group = group_world()
    first = group.deliveries[6]
    first.end, first.until = "left", first.handed + 5
    again = Delivery(first.where, 2, first.crc, first.pn, first.type, first.until + 0.1)
    again.end = "acked"
    again.tried = again.settled = again.handed + 0.1
    group.deliveries.append(again)
    assert world.words() == set()
    again.handed = first.until - 0.2
    assert world.words() == {"group_extended"}
    first.until = None  # it was given back
    assert world.words() == set()


def away(world, group, numbers):
    """The members of the group were away; it handed out only these. Returns what is left for later."""
    group.deliveries = [d for d in group.deliveries if d.where[1] in numbers]
    group.is_away = True
    verdict = judge(world.case())
    assert not verdict.faults
    return verdict.arrears["g"]


def test_what_a_group_did_not_hand_out_while_it_was_away_is_asked_for_later():
    world, group = group_world()
    world.facts["disasters"] = [(101.0, "kill")]
    arrears = away(world, group, range(1, 11))
    assert [where[1] for where, _ in arrears] == [*range(11, 21)] and arrears[0][1] == crc32(line(11))
    # The next round: nobody published, and the group comes back.
    later, group = group_world()
    full = group.deliveries
    for reading in (later.whole, later.some, later.stored):
        reading.__init__(reading.name, reading.door, reading.patterns)
        reading.begins(f"{EPOCHS[0]}-20")
        reading.end = (EPOCHS[0], 20)
    later.publishing = later.publishing.successor()
    group.start, group.arrears = (EPOCHS[0], 20), arrears
    group.deliveries = [d for d in full if d.where[1] > 10]
    assert later.words() == set()
    group.deliveries[0].crc ^= 1
    assert later.words() == {"bytes"}
    del group.deliveries[0]
    assert later.words() == {"group_hole"}
    group.is_away = True
    assert later.words() == set() and [where[1] for where, _ in judge(later.case()).arrears["g"]] == [11]


def test_a_delivery_whose_attempt_is_not_told_is_judged_by_when_it_was_asked_for():
    world, group = group_world()
    first = group.deliveries[6]
    again = Delivery(first.where, None, first.crc, first.pn, first.type, 200.0, asked=first.settled - 0.1)
    again.end = "unknown"
    group.deliveries.append(again)
    assert world.words() == set()  # handed out before, perhaps
    again.asked = first.settled + 0.1
    assert world.words() == {"group_after_ack"}


def test_a_delivery_after_the_acknowledgement_is_found():
    world, group = group_world()
    again = Delivery((EPOCHS[0], 7), 2, group.deliveries[6].crc, 1 << 32 | 7, type_of(1, 7), 200.0)
    group.deliveries.append(again)
    assert world.words() == {"group_after_ack"}
    again.attempt, group.deliveries[6].attempt = 1, 2  # handed out before, and on its way for a long time
    assert world.words() == set()


def test_one_attempt_for_two_members_is_found():
    world, group = group_world()
    again = Delivery((EPOCHS[0], 7), 1, group.deliveries[6].crc, 1 << 32 | 7, type_of(1, 7), 107.1)
    group.deliveries.append(again)
    assert world.words() == {"group_two_members"}


def test_a_broken_order_of_a_group_is_found():
    world, group = group_world(ordered=True)
    group.deliveries[4].handed = 100.5  # before event 1, which has the same type, was done
    assert type_of(1, 5) == type_of(1, 1)
    assert world.words() == {"group_order"}


def test_other_bytes_for_a_group_are_found():
    world, group = group_world()
    group.deliveries[4].crc ^= 1
    assert world.words() == {"bytes"}


# --- the parts ---

def test_lines_are_read_as_the_hub_writes_them():
    assert parse_line(line(42, p=3, n=9)) == (b"aaaaaaaa", 42, 3 << 32 | 9)
    dead = (b'{"event_type":"hub.dead_letter","source_service":"hub","data":{"group":"g","event":' + line(7)
            + b'},"timestamp":1,"correlation_id":"c","seq":43,"epoch":"aaaaaaaa"}')
    assert parse_line(dead) == (b"aaaaaaaa", 43, OTHER)
    assert json.loads(make_mark(3))["data"] == {"p": 0, "n": 3}


@pytest.mark.parametrize("pattern, good, bad", [
    ("a*", ["a", "ab", "a.b:c"], ["ba"]), ("a?c", ["abc"], ["ac", "abbc"]), ("[ab]x", ["ax", "bx"], ["cx"]),
    ("[!ab]x", ["cx"], ["ax"]), ("a[", ["a["], ["a"]), ("[a-c]", ["b"], ["d"]), ("a.b", ["a.b"], ["axb"])])
def test_patterns_are_the_hubs(pattern, good, bad):
    regex = pattern_regex(pattern)
    assert all(regex.match(text) for text in good) and not any(regex.match(text) for text in bad)


def test_the_hubs_own_types_come_only_to_those_that_name_them():
    assert not Patterns([]).wants("StatsEvent") and not Patterns(["*"]).wants("hub.dead_letter")
    assert Patterns(["hub.*"]).wants("hub.dead_letter") and Patterns(["StatsEvent"]).wants("StatsEvent")


def grown(kib_per_s, seconds=900):
    """What a Sampler says of a process that grows like this, with noise and a warm-up in front."""
    sampler = Sampler()
    noise = [0, 300, -200, 120, -260, 90]
    points = [(float(t), 30000 + min(t, 200) * 50 + kib_per_s * t + noise[t % 6]) for t in range(seconds)]
    sampler.rss = {("hub", 1): points, ("gateway", 2): points}
    sampler.fds = {("hub", 1): [(t, 40) for t, _ in points[::30]], ("gateway", 2): [(t, 40 + int(t / 60)) for t, _ in points[::30]]}
    return [line["passed"] for line in sampler.lines()]


def test_growth_is_found_and_noise_is_not():
    assert grown(0) == [True, True, True, False]
    assert grown(20) == [False, False, True, False]
    assert grown(20, 200) == [None] * 4  # too short to say anything


def test_a_seed_is_a_schedule():
    def text(seed, number):
        return [str(f) for f in plan(seed, number, 60, 20, set(TABLE), False)]

    assert text(7, 0) == text(7, 0) and text(7, 0) != text(7, 1) and text(7, 0) != text(8, 0)
    steady = {f.name for seed in range(50) for f in plan(seed, 0, 60, 20, set(TABLE), True)}
    assert steady and all(TABLE[name][5] for name in steady)
    other = subprocess.run([sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1])\n"
                            "from soak.schedule import TABLE, plan\n"
                            "print([str(f) for f in plan(7, 0, 60, 20, set(TABLE), False)])",
                            os.path.dirname(os.path.dirname(os.path.abspath(__file__)))],
                           capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(text(7, 0))
