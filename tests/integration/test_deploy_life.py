"""deploy_life: one whole life of both daemons: start, work at every door, be restarted, stop. Short on purpose: tests/run
runs this one under valgrind too, where everything is twenty times slower."""
import json

from support.daemons import program, run_program
from support.http import KeepAlive, get, post, raw
from support.sse import SseReader
from support.ws import WsClient
from support.zmq_clients import Dealer, Push, Sub, event


def work(hub, gateway):
    """A little of everything, good and bad; returns how many events were numbered."""
    with Push(hub) as push, Sub(hub, "life.") as sub, Dealer(hub) as dealer, \
            SseReader(gateway.port, "/events?event_type=life.*", limit=30) as stream, \
            WsClient(gateway.port, "/ws?event_type=life.*", limit=30) as socket:
        sub.sync(push)
        stream.wait_open()
        socket.wait_op("subscribed")

        push.send(event("life.push", {"n": 1}))
        stream.wait_events(1)
        assert dealer.publish(event("life.dealer", {"n": 2}), event("life.dealer", {"n": 3}, id="x"))["count"] == 2
        assert dealer.publish(event("life.dealer", {"n": 3}, id="x"))["results"][0]["duplicate"]
        assert post(gateway.port, "/events", {"event_type": "life.http", "data": {"n": 4}}).status == 202
        batch = [{"event_type": "life.batch", "data": {"n": n}} for n in (5, 6)]
        assert post(gateway.port, "/events", batch).json["accepted"] == 2
        ndjson = "\n".join(json.dumps({"event_type": "life.lines", "data": {"n": n}}) for n in (7, 8))
        assert post(gateway.port, "/events", ndjson, {"Content-Type": "application/x-ndjson"}).json["accepted"] == 2
        socket.send({"op": "publish", "id": 1, "event": {"event_type": "life.ws", "data": {"n": 9}}})
        socket.wait_op("published", id=1)
        push.send("not json", '{"event_type":""}')
        assert dealer.request("not json")["error"] == "Invalid JSON format"
        post(gateway.port, "/events", "{nonsense").problem(400, "bad_json")
        post(gateway.port, "/nowhere", {}).problem(404, "not_found")
        socket.send("nonsense")
        socket.wait_op("error")
        assert raw(gateway.port, b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")

        expected = list(range(1, 10))
        assert [e["data"]["n"] for e in sub.recv_many(9, 30)] == expected
        assert [e["data"]["n"] for e in stream.wait_events(9, 30)] == expected
        assert [e["data"]["n"] for e in socket.wait_events(9, 30)] == expected
        with SseReader(gateway.port, "/events?event_type=life.*&since=earliest", limit=30) as late:
            assert [e["data"]["n"] for e in late.wait_events(9, 30)] == expected
        with KeepAlive(gateway.port, 30) as http:
            for path in ("/health", "/health/ready", "/stats", "/metrics", "/openapi.json", "/asyncapi.json", "/",
                         "/icon.svg", "/events?event_type=life.*&limit=3"):
                assert http.request("GET", path).status == 200, path
    for door in ([], ["--gateway", gateway.url]):
        done = run_program("notifyhub", "health", *door, env=ports_in_environment(hub))
        assert done.returncode == 0, done


def ports_in_environment(hub):
    return {"NOTIFYHUB_HUB_COLLECTOR_PORT": str(hub.collector), "NOTIFYHUB_HUB_PUBLISHER_PORT": str(hub.publisher),
            "NOTIFYHUB_HUB_REQUESTS_PORT": str(hub.requests)}


def test_start_work_stop(start_hub, start_gateway):
    hub = start_hub("--hub-stats-interval-s", "1")
    gateway = start_gateway(hub).wait_connected(60)
    work(hub, gateway)
    # Stopped while clients are there: all of them are told, nothing is left behind.
    with SseReader(gateway.port, "/events", limit=60) as stream, WsClient(gateway.port, "/ws", limit=60) as socket:
        stream.wait_open()
        socket.wait_op("welcome")
        gateway.stop(limit=60)
        stream.wait_end()
        assert socket.wait_close() == 1012
    hub.stop(limit=60)


def test_hub_goes_and_comes_back(start_hub, start_gateway):
    hub = start_hub()
    gateway = start_gateway(hub).wait_connected(60)
    with SseReader(gateway.port, "/events", limit=60) as stream:
        stream.wait_open()
        hub.restart()
        gateway.wait_connected(60)
        work(hub, gateway)
        assert stream.wait_events(1) and not stream.notices("hub.gap")


def test_a_hub_that_keeps_nothing_comes_back_anew(start_hub, start_gateway):
    hub = start_hub("--hub-journal-enabled=false")
    gateway = start_gateway(hub).wait_connected(60)
    with SseReader(gateway.port, "/events", limit=60) as stream:
        stream.wait_open()
        hub.restart()
        gateway.wait_connected(60)
        assert stream.wait_notice("hub.gap")[0]["reason"] == "epoch_changed"
        work(hub, gateway)


def test_terminate_by_request(start_hub):
    hub = start_hub()
    with Dealer(hub) as dealer:
        assert dealer.request({"action": "terminate"})["status"] == "terminating"
    hub.wait(limit=60)


def test_a_gateway_without_a_hub_ends_at_once(start_hub, start_gateway):
    gateway = start_gateway(start_hub(wait=False))
    assert gateway.hub_state == "waiting"
    assert get(gateway.port, "/health").status == 200
    assert get(gateway.port, "/health/ready").status == 503
    post(gateway.port, "/events", {"event_type": "a"}).problem(503, "hub_unavailable")
    gateway.stop(limit=60)


def test_programs_are_there():
    for name in ("notifyhub-hub", "notifyhub-gateway", "notifyhub"):
        done = run_program(name, "--version")
        assert done.returncode == 0 and name in done.stdout, (program(name), done)
