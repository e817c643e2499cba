"""The gateway's life under a supervisor: notifications, reload, and the end: paced, and at once when asked twice.

ctest: timeout=300
"""
import http.client
import os
import signal
import socket
import threading
import time

from support.http import KeepAlive, get, post
from support.sse import SseReader
from support.waiting import Stalled, seconds, stalled_after, unstalled, wait_until, within
from support.ws import WsClient
from support.zmq_clients import event


def publish(gateway, number):
    return post(gateway.port, "/events", event("n", {"n": number}))


def ask_while_it_drains(gateway):
    assert "drain" in gateway.wait_unready(2).text
    assert get(gateway.port, "/health").status == 200
    assert publish(gateway, 1).status == 202
    with SseReader(gateway.port, "/events") as late:
        late.wait_end()
        assert late.status == 503 and int(late.headers["retry-after"]) > 0


def no_longer_than(limit, started):
    if time.monotonic() - started >= seconds(limit):
        raise Stalled(f"the drain took more than {seconds(limit)} s")


def drain_with_sessions(hub, start_gateway):
    gateway = start_gateway(hub, "--gateway-drain-s", "3").wait_connected()
    sessions = [WsClient(gateway.port, "/ws?event_type=n") for _ in range(15)]
    sessions += [SseReader(gateway.port, "/events?event_type=n") for _ in range(15)]
    try:
        for session in sessions:
            session.wait_op("welcome") if isinstance(session, WsClient) else session.wait_open()
        started = time.monotonic()
        gateway.expected_exit = 0
        gateway.signal(signal.SIGTERM)
        with stalled_after(1.5, started):  # half of the drain is left
            ask_while_it_drains(gateway)
        ends = []
        while len(ends) < len(sessions):
            no_longer_than(8, started)
            ends = [s for s in sessions if s.ended]
            if len(ends) > 15:  # half of them are not gone before about half of the time
                assert len(ends) == len(sessions) or time.monotonic() - started > 1
            time.sleep(0.01)
        gateway.wait(10)
        assert time.monotonic() - started > 2
        no_longer_than(8, started)
        for session in sessions:
            if isinstance(session, WsClient):
                assert session.close_code == 1012, session.describe()
            else:
                assert [b for b in session.blocks if b.retry is not None], session.describe()
            # Who was still there got the event that was published meanwhile.
        assert any(s.events for s in sessions)
    finally:
        for session in sessions:
            session.close()


def test_a_drain_closes_sessions_evenly_and_serves_the_rest(hub, start_gateway):
    """The requests have to come while it drains: a try in which that took too long is another one's turn."""
    unstalled(lambda: drain_with_sessions(hub, start_gateway))


def test_without_sessions_the_end_is_at_once(hub, start_gateway):
    def end():
        gateway = start_gateway(hub, "--gateway-drain-s", "60").wait_connected()
        started = time.monotonic()
        gateway.stop()
        return time.monotonic() - started

    within(5, end)


def end_by_a_second_signal(hub, start_gateway):
    gateway = start_gateway(hub, "--gateway-drain-s", "600").wait_connected()
    sessions = [WsClient(gateway.port, "/ws") for _ in range(5)]
    try:
        for session in sessions:
            session.wait_op("welcome")
        gateway.signal(signal.SIGINT)
        gateway.wait_unready(2)
        started = time.monotonic()
        gateway.stop()
        took = time.monotonic() - started
        for session in sessions:
            assert session.wait_close() in (1001, 1012), session.describe()
    finally:
        for session in sessions:
            session.close()
    return took


def test_a_second_signal_ends_the_drain(hub, start_gateway):
    within(5, lambda: end_by_a_second_signal(hub, start_gateway))


def test_publishes_under_way_at_the_end_get_their_answer(hub, start_gateway):
    gateway = start_gateway(hub).wait_connected()
    with KeepAlive(gateway.port) as connection:
        assert connection.request("POST", "/events", event("n", {"n": 0})).status == 202
        gateway.signal(signal.SIGTERM)
        try:
            answer = connection.request("POST", "/events", event("n", {"n": 1}))
            assert answer.status in (202, 503)
        except (OSError, http.client.HTTPException):
            pass  # closed before it was read: nothing was claimed
        gateway.wait(10)


def test_probes_on_an_open_connection_survive_the_end(hub, start_gateway):
    """They look at every loop of the process, up to the moment in which their connection is closed."""
    for _ in range(5):
        gateway = start_gateway(hub).wait_connected()
        asked = [0] * 4

        def probe(i, port):
            try:
                with KeepAlive(port) as connection:
                    while True:
                        connection.request("GET", "/health")
                        connection.request("GET", "/health/ready")
                        asked[i] += 1
            except (OSError, http.client.HTTPException):
                pass

        threads = [threading.Thread(target=probe, args=(i, gateway.port)) for i in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: min(asked) > 3, 10, "probes on each connection")
        gateway.stop()
        for thread in threads:
            thread.join()


class NotifySocket:
    """What systemd would be told."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setblocking(False)
        self.lines = []

    def read(self):
        while True:
            try:
                self.lines += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.lines

    def wait(self, text, count=1, limit=10):
        wait_until(lambda: sum(line.startswith(text) for line in self.read()) >= count, limit,
                   lambda: f"{text} in {self.lines}")


def test_the_supervisor_is_told(hub, start_gateway, tmp_path):
    notify = NotifySocket(str(tmp_path / "notify"))
    gateway = start_gateway(hub, env={"NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "400000"}, wait=False)
    gateway.start()
    notify.wait("READY=1")
    notify.wait("WATCHDOG=1", 5)
    gateway.signal(signal.SIGHUP)
    notify.wait("RELOADING=1")
    gateway.stop()
    notify.wait("STOPPING=1")


def test_a_reload_takes_the_log_level_and_keeps_the_connections(hub, start_gateway, tmp_path):
    path = tmp_path / "notifyhub.yaml"
    path.write_text("log:\n  level: info\n", encoding="utf-8")
    gateway = start_gateway(hub, "--config", str(path)).wait_connected()
    with WsClient(gateway.port, "/ws?event_type=n") as ws:
        ws.wait_op("welcome")
        path.write_text("log:\n  level: nonsense\n", encoding="utf-8")
        gateway.signal(signal.SIGHUP)
        gateway.wait_log("log.level")
        path.write_text("log:\n  level: debug\n", encoding="utf-8")
        gateway.signal(signal.SIGHUP)
        gateway.wait_log("config_reloaded")
        assert publish(gateway, 1).status == 202
        ws.wait_events(1)
    assert os.path.exists(path)


class Publisher:
    """Publishes numbers one after the other until its connection ends, and keeps what it was told of each."""

    def __init__(self, gateway, door, base):
        self.gateway, self.door, self.base = gateway, door, base
        self.accepted, self.refused, self.unknown = {}, [], []
        self.under_way = False  # something was answered: a drain that begins now finds this one at its door
        self.error = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _note(self, number, answer):
        if answer is None:
            self.unknown.append(number)
        elif "seq" in answer:
            self.accepted[number] = answer["seq"]
        elif answer["code"] == "outcome_unknown":
            self.unknown.append(number)
        else:
            self.refused.append(number)

    def _run(self):
        try:
            self._http() if self.door == "http" else self._ws()
        except Exception as error:  # noqa: B902 - whatever it is, the test raises it
            self.error = error

    def check(self):
        if self.error:
            raise self.error
        return True

    def _http(self):
        number = self.base
        with KeepAlive(self.gateway.port, 30) as connection:
            while True:
                try:
                    answer = connection.request("POST", "/events", event("n", {"n": number}))
                except (OSError, http.client.HTTPException):
                    self._note(number, None)
                    return
                self._note(number, answer.json)
                self.under_way = True
                number += 1

    def _ws(self):
        number = self.base
        with WsClient(self.gateway.port, "/ws", limit=30) as ws:
            while not ws.ended:
                try:
                    for _ in range(5):  # several under way
                        ws.send({"op": "publish", "id": number, "event": event("n", {"n": number})})
                        number += 1
                except Exception:  # noqa: B902 - the library has many words for a connection that is closed
                    number += 1
                    break
                wait_until(lambda: ws.ended or ws.ops("published", id=number - 1) or ws.ops("error", id=number - 1), 30,
                           "an answer")
                self.under_way = True
            self.close_code = ws.wait_close()
            answers = {m["id"]: m for m in ws.messages if m.get("op") in ("published", "error")}
            for sent in range(self.base, number):
                self._note(sent, answers.get(sent))

    def join(self):
        self._thread.join(seconds(60))
        assert not self._thread.is_alive()
        self.check()


def test_what_is_accepted_while_it_drains_is_there_once(start_hub, start_gateway):
    """Publishers at both doors go on until they are sent away: each of their events is told and there, or neither."""
    hub = start_hub("--hub-stats-event", "")
    gateway = start_gateway(hub, "--gateway-drain-s", "2").wait_connected()
    other = start_gateway(hub).wait_connected()
    watchers = [WsClient(gateway.port, "/ws?event_type=none") for _ in range(10)]
    publishers = [Publisher(gateway, door, 1000000 * i) for i, door in enumerate(["http", "ws"] * 3)]
    try:
        wait_until(lambda: get(gateway.port, "/stats").json["gateway"]["published_total"]["ws"] > 100, 20, "publishes")
        wait_until(lambda: all(p.check() and p.under_way for p in publishers), 20, "an answer to each publisher")
        gateway.expected_exit = 0
        gateway.signal(signal.SIGTERM)
        gateway.wait(30)
        for publisher in publishers:
            publisher.join()
    finally:
        for watcher in watchers:
            watcher.close()
    head = get(other.port, "/stats").json["gateway"]["link"]["seq"]
    wait_until(lambda: get(other.port, "/stats").json["gateway"]["link"]["received_seq"] >= head, 20, "the feed")
    kept, since = {}, "earliest"
    while True:
        page = get(other.port, f"/events?event_type=n&limit=10000&since={since}").json
        for e in page["events"]:
            assert e["data"]["n"] not in kept
            kept[e["data"]["n"]] = e["seq"]
        since = page["next"]
        if not page["more"]:
            break
    for publisher in publishers:
        assert publisher.accepted and not publisher.refused or publisher.door == "http", publisher.refused
        for number, seq in publisher.accepted.items():
            assert kept[number] == seq
        for number in publisher.refused:
            assert number not in kept
        if publisher.door == "ws":
            assert publisher.close_code in (1012, None)
    told = sum(len(p.accepted) for p in publishers)
    doubtful = sum(len(p.unknown) for p in publishers)
    print(f"{told} accepted, {doubtful} in doubt, {len(kept)} kept")
    assert told <= len(kept) <= told + doubtful
