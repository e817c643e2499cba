"""A gateway dies under load (SIGKILL) and is started again: whatever was answered 202 and is in the hub's ring reaches
the clients that resume, in order, nothing twice.

ctest: timeout=300
"""
import http.client
import json
import threading
import time

from support.sse import SseReader
from support.waiting import wait_until
from support.ws import WsClient
from support.zmq_clients import event


class Poster(threading.Thread):
    """Publishes numbered events as fast as answers come, through the gateway's death; notes what was accepted."""

    def __init__(self, port, name):
        super().__init__(daemon=True)
        self.port, self.source = port, name
        self.accepted, self.refused, self.broken = {}, 0, 0
        self.stop = threading.Event()
        self.error = None

    def run(self):
        try:
            self._publish()
        except Exception as error:  # noqa: B902 - whatever it is, the test raises it
            self.error = error

    def count(self):
        """How many were accepted."""
        if self.error:
            raise self.error
        return len(self.accepted)

    def finish(self):
        self.stop.set()
        self.join()
        self.count()

    def _publish(self):
        connection, number = None, 0
        while not self.stop.is_set():
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                connection.request("POST", "/events", body=json.dumps(event("n", {"n": number}, source=self.source)))
                response = connection.getresponse()
                body = response.read()
                if response.status == 202:
                    answer = json.loads(body)
                    self.accepted[number] = (answer["epoch"], answer["seq"])
                else:
                    assert response.status == 503, (response.status, body)
                    self.refused += 1
                    time.sleep(0.01)
            except (OSError, http.client.HTTPException):
                self.broken += 1
                connection.close()
                connection = None
                time.sleep(0.01)
            number += 1


class Resumer:
    """A subscriber that reconnects from the last position it saw, as EventSource does."""

    def __init__(self, port):
        self.port, self.seen, self.gaps, self.last_id = port, [], [], None
        self.stream = SseReader(port, "/events?event_type=n")

    def collect(self):
        self.seen += self.stream.events
        self.gaps += self.stream.notices("hub.gap")
        self.last_id = self.stream.last_id
        self.stream.close()

    def resume(self):
        self.stream = SseReader(self.port, "/events?event_type=n", last_event_id=self.last_id)


class WsResumer(Resumer):
    """The same over WebSocket: the position is that of the newest event or notice."""

    def __init__(self, port):
        self.port, self.seen, self.gaps, self.last_id = port, [], [], None
        self.stream = WsClient(port, "/ws?event_type=n")

    def collect(self):
        if self.last_id is None:
            self.last_id = self.stream.wait_op("welcome")["position"]
        self.seen += self.stream.events
        self.gaps += self.stream.ops("gap")
        if self.seen:
            self.last_id = f"{self.seen[-1]['epoch']}-{self.seen[-1]['seq']}"
        self.stream.close()

    def resume(self):
        self.stream = WsClient(self.port, f"/ws?event_type=n&since={self.last_id}")


def test_what_was_accepted_reaches_those_who_resume(start_hub, start_gateway):
    hub = start_hub("--hub-history-events", "1000000", "--hub-history-bytes", "1GiB")
    gateway = start_gateway(hub).wait_connected()
    readers = [Resumer(gateway.port), WsResumer(gateway.port)]
    readers[0].stream.wait_open()
    readers[1].stream.wait_op("welcome")
    posters = [Poster(gateway.port, f"poster{i}") for i in range(4)]
    for poster in posters:
        poster.start()
    for _ in range(3):
        before = sum(p.count() for p in posters)
        wait_until(lambda: sum(p.count() for p in posters) > before + 500, 30, "publishes under load")
        gateway.kill()
        for reader in readers:
            wait_until(lambda: reader.stream.ended, 10, "the end of the stream")
            reader.collect()
        gateway.start()
        gateway.wait_connected()
        for reader in readers:
            reader.resume()
    wait_until(lambda: sum(p.count() for p in posters) > 2500, 30, "publishes at the end")
    for poster in posters:
        poster.finish()
    accepted = {position[1] for p in posters for position in p.accepted.values()}
    last = max(accepted)
    for reader in readers:
        wait_until(lambda: reader.stream.events and reader.stream.events[-1]["seq"] >= last, 30,
                   reader.stream.describe)
        reader.collect()
        seqs = [e["seq"] for e in reader.seen]
        assert seqs == sorted(set(seqs)), "out of order or twice"
        assert accepted <= set(seqs), sorted(accepted - set(seqs))[:20]
        assert reader.gaps == []
    for poster in posters:
        assert poster.broken > 0 and all(epoch == hub.epoch for epoch, _ in poster.accepted.values())


def test_subscribers_of_two_gateways_see_the_same_while_one_dies(start_hub, start_gateway):
    hub = start_hub()
    first, second = start_gateway(hub).wait_connected(), start_gateway(hub).wait_connected()
    poster = Poster(second.port, "poster")
    with SseReader(second.port, "/events?event_type=n") as steady:
        steady.wait_open()
        reader = Resumer(first.port)
        reader.stream.wait_open()
        poster.start()
        wait_until(lambda: poster.count() > 300, 30, "publishes")
        first.kill()
        wait_until(lambda: reader.stream.ended, 10, "the end of the stream")
        reader.collect()
        reader.port = second.port  # a position is good at every gateway
        reader.resume()
        wait_until(lambda: poster.count() > 600, 30, "publishes")
        poster.finish()
        last = max(seq for _, seq in poster.accepted.values())
        for stream in (steady, reader.stream):
            wait_until(lambda: stream.events and stream.events[-1]["seq"] >= last, 30, stream.describe)
        reader.collect()
        assert [e["seq"] for e in reader.seen] == [e["seq"] for e in steady.events]
        assert poster.refused == 0 and poster.broken == 0
