"""A gateway meets a hub that it does not understand: it says so, stays up, and is ready when the right one comes."""
import json
import threading

import pytest
import zmq

from support.daemons import run_program
from support.http import get, post
from support.waiting import wait_until
from support.zmq_clients import event, unpacked


class FakeHub:
    """Answers each request with what `answer(request)` gives; sends no events."""

    def __init__(self, ports, answer):
        self.answer = answer
        self.asked = 0
        self._stop = threading.Event()
        self._context = zmq.Context()
        self._pub = self._context.socket(zmq.XPUB)
        self._pub.bind(f"tcp://127.0.0.1:{ports[1]}")
        self._router = self._context.socket(zmq.ROUTER)
        self._router.bind(f"tcp://127.0.0.1:{ports[2]}")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            if self._router.poll(20):
                identity, frame = self._router.recv_multipart()
                _, text, *_ = unpacked(frame)
                self.asked += 1
                frames = self.answer(json.loads(text))
                self._router.send_multipart([identity, b"RESPONSE", *frames])
        for sock in (self._pub, self._router):
            sock.close(0)
        self._context.term()

    def close(self):
        self._stop.set()
        self._thread.join()


def frames(value):
    return [json.dumps(value).encode()]


def good_position(request, **more):
    return frames({"success": True, "protocol": 1, "epoch": "abcdefgh", "seq": 0, "oldest": 1, "voids": [],
                   "durability": "memory", "stats_event": "", "max_event_bytes": 1000000, "dedup": False,
                   "timestamp": 0, "request_id": request["request_id"], **more})


@pytest.mark.parametrize("key", ["hub.publisher_port", "hub.requests_port"])
def test_a_hub_on_any_free_port_is_refused_as_bad_configuration(key):
    done = run_program("notifyhub-gateway", "--gateway-listen", "127.0.0.1:0", f"--{key.translate({46: '-', 95: '-'})}", "0")
    assert done.returncode == 2 and done.stdout == "", done
    assert f"key={key} " in done.stderr and "ready line" in done.stderr


def test_an_unknown_protocol_is_refused_in_clear_words(reserve_port, start_gateway):
    ports = [reserve_port() for _ in range(3)]
    fake = FakeHub(ports, lambda request: good_position(request, protocol=99))
    try:
        gateway = start_gateway(tuple(ports))
        wait_until(lambda: "protocol 99" in get(gateway.port, "/health/ready").text, 10,
                   lambda: get(gateway.port, "/health/ready").text)
        assert get(gateway.port, "/health").status == 200
        post(gateway.port, "/events", event()).problem(503, "hub_unavailable")
        assert gateway.stderr.count("hub_refused") == 1
    finally:
        fake.close()
    fake = FakeHub(ports, good_position)
    try:
        gateway.wait_connected()
    finally:
        fake.close()


def test_garbage_from_a_hub_harms_nothing(reserve_port, start_gateway):
    ports = [reserve_port() for _ in range(3)]
    answers = [[b"not json"], [b"{}"], [b"[]"], [b"\xff\xfe"], frames({"success": True}), [b"{}", b"x", b"y"],
               frames({"success": True, "request_id": 2 ** 70}), frames({"success": True, "request_id": "x"})]

    def answer(request):
        return answers[fake.asked % (len(answers) + 1)] if fake.asked % (len(answers) + 1) < len(answers) \
            else good_position(request, epoch="BAD")

    fake = FakeHub(ports, answer)
    try:
        gateway = start_gateway(tuple(ports))
        wait_until(lambda: fake.asked > 3, 20, "some questions")
        assert get(gateway.port, "/health").status == 200
        assert get(gateway.port, "/health/ready").status == 503
        gateway.wait_log("hub_sent_bad_message")
    finally:
        fake.close()
