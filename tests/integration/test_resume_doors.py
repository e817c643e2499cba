"""Every kind of `since` at every door against the same history: each door gives the same answer.

The history: the events 1 to 5 are not kept any more, 11 to 15 were lost in a crash, 25 and 26 were not taken by the disk,
30 is the last. A gateway that has all of it in its cache and one that has to ask the hub page by page both answer.

ctest: timeout=300
"""
import itertools
import json
import urllib.parse

import pytest

from support.fake_hub import FakeHub
from support.http import get
from support.sse import SseReader
from support.waiting import wait_until
from support.ws import WsClient

E = "abcdefgh"
RETENTION, CRASH, DISK = "retention", "unclean_stop", "not_stored"
ALL = [*range(6, 11), *range(16, 25), *range(27, 31)]


def after(seq):
    return [n for n in ALL if n > seq]


def gap(first, last, reason):
    return (f"{E}-{first}", f"{E}-{last}", reason)


VOID1, VOID2 = gap(10, 15, CRASH), gap(24, 26, DISK)

# since: (result, gaps, events)
TABLE = {
    "earliest": ("gap", [VOID1, VOID2], ALL),
    "latest": ("caught_up", [], []),
    f"{E}-0": ("gap", [gap(0, 5, RETENTION), VOID1, VOID2], ALL),
    f"{E}-3": ("gap", [gap(3, 5, RETENTION), VOID1, VOID2], ALL),
    f"{E}-5": ("gap", [VOID1, VOID2], ALL),
    f"{E}-8": ("gap", [VOID1, VOID2], after(8)),
    f"{E}-10": ("gap", [VOID1, VOID2], after(10)),
    f"{E}-11": ("gap", [gap(11, 15, CRASH), VOID2], after(15)),
    f"{E}-13": ("gap", [gap(13, 15, CRASH), VOID2], after(15)),
    f"{E}-15": ("gap", [VOID2], after(15)),
    f"{E}-24": ("gap", [VOID2], after(26)),
    f"{E}-26": ("replayed", [], after(26)),
    f"{E}-28": ("replayed", [], after(28)),
    f"{E}-30": ("caught_up", [], []),
    f"{E}-31": ("unknown", [], []),
    f"{E}-9999999999": ("unknown", [], []),
    "0": ("gap", [gap(0, 5, RETENTION), VOID1, VOID2], ALL),
    "8": ("gap", [VOID1, VOID2], after(8)),
    "13": ("gap", [gap(13, 15, CRASH), VOID2], after(15)),
    "27": ("replayed", [], after(27)),
    "30": ("caught_up", [], []),
    "31": ("unknown", [], []),
    "zzzzzzz2-17": ("gap", [("zzzzzzz2-17", f"{E}-5", "epoch_changed"), VOID1, VOID2], ALL),
    "1970-01-01T00:00:02Z": ("gap", [gap(0, 5, RETENTION), VOID1, VOID2], ALL),
    "1970-01-01T00:00:08Z": ("gap", [VOID1, VOID2], after(7)),
    "1970-01-01T00:00:27.5Z": ("replayed", [], after(27)),
    "1970-01-01T01:00:28+01:00": ("replayed", [], after(27)),
    "1970-01-01T00:00:31Z": ("caught_up", [], []),
}
POSITIONS = [since for since in TABLE if "-" in since and "T" not in since]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    from support.daemons import Gateway, ReservedPort
    ports = [ReservedPort() for _ in range(3)]
    fake = FakeHub([p.number for p in ports], epoch=E)
    fake.page_limit = 4  # many pages
    for number in range(1, 31):
        fake.emit("a" if number % 2 else "b", number)
    fake.lose(11, 15, CRASH)
    fake.lose(25, 26, DISK)
    fake.trim(6)
    gateways = [Gateway(tmp_path_factory.mktemp(name), fake.ports, flags)
                for name, flags in (("cached", []), ("asking", ["--gateway-cache-events", "2"]))]
    for gateway in gateways:
        gateway.start().wait_connected()
        wait_until(lambda g=gateway: get(g.port, "/stats").json["gateway"]["link"]["received_seq"] == 30, 10, "the feed")
    yield fake, gateways
    for gateway in gateways:
        gateway.finish()
    fake.close()
    for port in ports:
        port.close()


class Told:
    """What a door said: the result, the gaps in order, the numbers of the events in order, and how many were announced."""

    def __init__(self, resume, gaps, events, resumed):
        self.gaps = [(g["from"], g["to"], g["reason"]) for g in gaps]
        self.events = [e["seq"] for e in events]
        # A replay of several pages meets later gaps on its way; an answer that knows them says so at once.
        self.result = "gap" if resume["result"] == "replayed" and self.gaps else resume["result"]
        if "gap" in resume:
            first = resume["gap"]
            assert (first["from"], first["to"], first["reason"]) == self.gaps[0]
        self.count = resume.get("count", resumed["count"] if resumed else 0)
        if resumed:
            assert "count" not in resume and resumed["gaps"] == len(self.gaps), (resume, resumed)

    def check(self, since):
        assert (self.result, self.gaps, self.events) == TABLE[since]
        assert self.count == len(self.events)


def is_complete(count, gaps, resume, resumed):
    return resume and ("count" in resume or resume["result"] in ("caught_up", "unknown") or resumed) \
        and count >= (resume.get("count") or (resumed or {}).get("count") or 0) and ("gap" not in resume or gaps)


def at_sse(gateway, since, how):
    path, header = "/events", None
    if how == "header":
        header = since
    else:
        path += f"?{how}=" + urllib.parse.quote(since)
    with SseReader(gateway.port, path, last_event_id=header) as stream:
        def all_there(s):
            resume, resumed = s.notices("hub.resume"), s.notices("hub.resumed")
            return is_complete(len(s.events), s.notices("hub.gap"), resume and resume[0], resumed and resumed[0])
        stream.wait(all_there)
        resume = stream.notices("hub.resume")[0]
        header = stream.headers["notifyhub-resume"]
        assert header == "pending" or header.split(";")[0] == resume["result"]
        if "count=" in header:
            assert f"count={resume['count']}" in header
        return Told(resume, stream.notices("hub.gap"), stream.events, (stream.notices("hub.resumed") or [None])[0])


def at_ws(gateway, since, how):
    path = "/ws" + (f"?since={urllib.parse.quote(since)}" if how == "url" else "")
    with WsClient(gateway.port, path) as ws:
        if how == "op":
            ws.send({"op": "subscribe", "id": 5, "since": since})

        def all_there(w):
            resume, resumed = w.ops("subscribed"), w.ops("resumed")
            return is_complete(len(w.events), w.ops("gap"), resume and resume[0]["resume"], resumed and resumed[0])
        ws.wait(all_there)
        answer, resumed = ws.ops("subscribed")[0], (ws.ops("resumed") or [None])[0]
        assert how == "url" or answer["id"] == 5
        assert not resumed or resumed.get("id") == answer.get("id")
        return Told(answer["resume"], ws.ops("gap"), ws.events, resumed)


def at_history(gateway, since, _):
    events, gaps, results, query = [], [], [], f"limit=3&since={urllib.parse.quote(since)}"
    for _ in range(40):
        page = get(gateway.port, f"/events?{query}").json
        events += page["events"]
        gaps += [page["gap"]] if "gap" in page else []
        results.append(page["result"])
        assert ("gap" in page) == (page["result"] == "gap"), page
        if not page["more"]:
            break
        query = f"limit=3&since={page['next']}"
    result = "gap" if gaps else "replayed" if events else results[0]
    return Told({"result": result, "count": len(events)}, gaps, events, None)


DOORS = {"sse since": (at_sse, "since"), "sse Last-Event-ID": (at_sse, "header"), "sse lastEventId": (at_sse, "lastEventId"),
         "ws url": (at_ws, "url"), "ws subscribe": (at_ws, "op"), "history": (at_history, None)}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("which", ["cached", "asking"])
def test_every_since_is_answered_alike(world, door, which):
    fake, gateways = world
    gateway = gateways[which == "asking"]
    ask, how = DOORS[door]
    for since in TABLE if "astE" not in door and "ast-E" not in door else POSITIONS:
        try:
            ask(gateway, since, how).check(since)
        except AssertionError as error:
            raise AssertionError(f"since={since}: {error}") from error
    assert fake.seq == 30


@pytest.mark.parametrize("since", ["earliest", "8", f"{E}-8", "1970-01-01T00:00:27.5Z", "31", "zzzzzzz2-17"])
def test_the_head_of_a_stream_waits_for_what_only_the_hub_knows(world, since):
    """But not for long: where this machine needed longer than the head waits, the next try tells."""
    fake, (_, gateway) = world

    tries = itertools.count()

    def told():
        before = get(gateway.port, "/clients").json["total"]
        query = f"event_type=*&event_type=try-{next(tries)}&since=" + urllib.parse.quote(since)  # a page of its own
        with fake.lock:  # no answers
            stream = SseReader(gateway.port, f"/events?{query}")
            wait_until(lambda: get(gateway.port, "/clients").json["total"] > before, 10, "the stream in the gateway")
        with stream:
            resume, first = stream.wait_notice("hub.resume")[0], stream.blocks[0]
        wait_until(lambda: get(gateway.port, "/clients").json["total"] == before, 10, "its end")
        header = stream.headers["notifyhub-resume"]
        assert header.split(";")[0] in (resume["result"], "pending")
        if header != "pending":
            assert first.retry and first.id and first.data is None
        return header != "pending"
    wait_until(told, 20, "a head with the result")


@pytest.mark.parametrize("since", ["tomorrow", f"{E}-", f"{E}--3", "-1", "abc-3", f"{E}-03", "2026-13-01T00:00:00Z"])
def test_what_is_no_since_is_refused_at_every_door(world, since):
    gateway = world[1][0]
    quoted = urllib.parse.quote(since)
    get(gateway.port, f"/events?since={quoted}").problem(400, "bad_since")
    get(gateway.port, f"/events/stream?since={quoted}").problem(400, "bad_since")
    with SseReader(gateway.port, "/events/stream", last_event_id=since) as stream:  # a browser would not come back
        assert stream.wait_open().headers["notifyhub-resume"] == "unknown"
    with WsClient(gateway.port) as ws:
        ws.send({"op": "subscribe", "id": 1, "since": since})
        assert ws.wait_op("error", id=1)["code"] == "bad_since"


def test_a_filtered_resume_tells_the_same_gaps(world):
    for gateway in world[1]:
        with WsClient(gateway.port, f"/ws?event_type=b&since={E}-8") as ws, \
                SseReader(gateway.port, "/events?event_type=b", last_event_id=f"{E}-8") as stream:
            ws.wait_events(8)
            stream.wait_events(8)
            assert [e["seq"] for e in ws.events] == [n for n in after(8) if n % 2 == 0] == [e["seq"] for e in stream.events]
            wait_until(lambda w=ws, s=stream: len(w.ops("gap")) == len(s.notices("hub.gap")) == 2, 10, "the gaps")
            assert json.dumps(ws.ops("gap")[0]["from"]) == f'"{E}-10"'
