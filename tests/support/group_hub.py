"""group_hub: a stand-in for the hub that knows consumer groups as a gateway needs them, for what a real hub cannot be made to
do at will: answer late, not at all, or wrongly, and for seeing each request as it came.

    hub = GroupHub(ports)                  # ports: (collector, publisher, requests), reserved by the test
    hub.add_group("g"); hub.push("g", {"n": 1})
    hub.requests("ack")                    # what came so far
    hub.mute = {"ack"}                     # these actions get no answer
    hub.close()

An event pushed to a group goes to the fetch that waits longest. Deliveries come back by `nack` only: there are no time limits.
"""
import json
import threading
import time

import zmq

from .zmq_clients import unpacked

EPOCH = "abcdefgh"


class GroupHub:
    def __init__(self, ports):
        self.groups = {}
        self.seen = []
        self.mute = set()
        self.override = {}  # action -> function(request) -> answer
        self.seq = 0
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._context = zmq.Context()
        self._pub = self._context.socket(zmq.XPUB)
        self._pub.bind(f"tcp://127.0.0.1:{ports[1]}")
        self._router = self._context.socket(zmq.ROUTER)
        self._router.bind(f"tcp://127.0.0.1:{ports[2]}")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # What tests call.

    def add_group(self, name):
        with self._lock:
            self.groups[name] = {"ready": [], "held": {}, "waiting": [], "acked": []}

    def push(self, name, data, event_type="t"):
        """One more event for the group; returns its seq."""
        with self._lock:
            self.seq += 1
            line = json.dumps({"event_type": event_type, "source_service": "s", "data": data, "timestamp": 1,
                               "correlation_id": "c"}, separators=(",", ":"))[:-1]
            line += f',"seq":{self.seq},"epoch":"{EPOCH}"}}'
            self.groups[name]["ready"].append((self.seq, 1, line.encode()))
            return self.seq

    def requests(self, action):
        with self._lock:
            return [r for r in self.seen if r["action"] == action]

    def waiting(self, name):
        """Fetches that wait now."""
        with self._lock:
            return len(self.groups[name]["waiting"])

    def close(self):
        self._stop.set()
        self._thread.join()

    # The hub.

    def _run(self):
        while not self._stop.is_set():
            while self._router.poll(2):
                identity, frame = self._router.recv_multipart()
                _, text, *_ = unpacked(frame)
                request = json.loads(text)
                with self._lock:
                    self._take(identity, request)
            with self._lock:
                for name in self.groups:
                    self._serve(name)
        for sock in (self._pub, self._router):
            sock.close(0)
        self._context.term()

    def _answer(self, identity, request, value, lines=()):
        value = {"success": True, "request_id": request["request_id"], **value}
        self._router.send_multipart([identity, b"RESPONSE", json.dumps(value).encode(), *lines])

    def _fail(self, identity, request, code):
        self._answer(identity, request, {"success": False, "error": f"refused: {code}", "code": code})

    def _take(self, identity, request):
        action = request["action"]
        if action == "position":
            self._answer(identity, request, {
                "protocol": 1, "epoch": EPOCH, "seq": 0, "oldest": 1, "voids": [], "durability": "memory",
                "stats_event": "", "max_event_bytes": 1000000, "dedup": False, "timestamp": 0})
            return
        self.seen.append(request)
        if action in self.mute:
            return
        if action in self.override:
            self._answer(identity, request, self.override[action](request))
            return
        group = self.groups.get(request.get("group"))
        if action == "group_create":
            self.add_group(request["group"])
            self._answer(identity, request, {"group": request["group"], "created": group is None,
                                             "durability": "memory"})
        elif action == "groups":
            self._answer(identity, request, {"groups": [{"group": name} for name in self.groups]})
        elif group is None:
            self._fail(identity, request, "unknown_group")
        elif action == "fetch":
            group["waiting"].append((identity, request, time.monotonic() + request["wait_ms"] / 1000))
        elif action in ("ack", "nack", "extend"):
            self._change(identity, request, group, action)
        elif action == "group_delete":
            for waiting in group["waiting"]:
                self._fail(waiting[0], waiting[1], "unknown_group")
            del self.groups[request["group"]]
            self._answer(identity, request, {"group": request["group"], "durability": "memory"})
        else:
            self._answer(identity, request, {"group": request["group"], "lag": len(group["ready"])})

    def _change(self, identity, request, group, action):
        done, failed = 0, []
        for name in request["deliveries"]:
            if name not in group["held"]:
                failed.append({"delivery": name, "code": "stale_delivery"})
                continue
            done += 1
            if action == "extend":
                continue
            seq, attempt, line = group["held"].pop(name)
            if action == "ack":
                group["acked"].append(seq)
            else:
                group["ready"].append((seq, attempt + 1, line))
                group["ready"].sort()
        value = {"group": request["group"], "count": done, "durability": "memory"}
        self._answer(identity, request, {**value, "failed": failed} if failed else value)

    def _serve(self, name):
        group = self.groups[name]
        for waiting in list(group["waiting"]):
            identity, request, due = waiting
            if not group["ready"] and time.monotonic() < due:
                continue
            group["waiting"].remove(waiting)
            given = group["ready"][:request["max"]]
            del group["ready"][:request["max"]]
            deliveries = []
            for seq, attempt, line in given:
                delivery = f"{EPOCH}-{seq}.{attempt}"
                group["held"][delivery] = (seq, attempt, line)
                deliveries.append({"delivery": delivery, "attempt": attempt})
            self._answer(identity, request, {"group": name, "count": len(given), "deliveries": deliveries,
                                             "visibility_ms": 30000}, [line for _, _, line in given])
