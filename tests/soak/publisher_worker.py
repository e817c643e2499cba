"""publisher_worker: the publishers of one process."""
import time

from .publishers import Http, Router, WebSocket
from .publishers_native import Command, Library, Push
from .workers import check_alive

DOORS = {"http": Http, "ws": WebSocket, "router": Router, "push": Push, "command": Command, "library": Library}


class PublisherWorker:
    """The publishers of one process."""

    def __init__(self, control, specs, ports, run):
        self.control = control
        self.publishers = [DOORS[spec["door"]](spec, ports, run) for spec in specs]
        for publisher in self.publishers:
            publisher.start()

    def step(self, timeout):
        self.control.poll(timeout)
        check_alive(self.publishers, "publishers")

    def handle(self, word, *arguments):
        if word == "start":
            for publisher in self.publishers:
                publisher.is_running = True
        elif word == "pause":
            for publisher in self.publishers:
                publisher.paused_at = time.monotonic()
                publisher.is_running = False
        elif word == "speed":
            for publisher in self.publishers:
                publisher.speed = arguments[0]
        elif word == "busy":
            return [p.spec["p"] for p in self.publishers if not p.is_idle]
        elif word == "collect":
            logs = []
            for publisher in self.publishers:
                logs.append(publisher.log)
                publisher.log = publisher.log.successor()
            return logs
        elif word == "end":
            for publisher in self.publishers:
                publisher.is_running, publisher.is_ended = False, True
            for publisher in self.publishers:
                publisher.join(5)
        return None
