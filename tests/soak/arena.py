"""arena: the daemons under test, the links between them and their clients, the workers, and the hands of the injector."""
import os
import signal
import time

from support.daemons import Gateway, Hub, program
from support.waiting import wait_until

from .disk import Disk
from .groups import GROUPS, MEMBERS, GroupWorker, request_of
from .lines import parse_position
from .links import Links
from .natives import NativeWorker
from .publisher_worker import PublisherWorker
from .schedule import TABLE
from .streams import StreamWorker
from .walk import Asker, durability_max
from .workers import Worker

EVERYTHING = ["*", "StatsEvent", "hub.*"]
MARKED = ["soak.mark"]

HUB_FLAGS = ["--hub-stats-interval-s", "5", "--hub-history-events", "60000", "--hub-dedup-ids", "100000",
             "--hub-journal-max-bytes", "64MiB"]
GATEWAY_FLAGS = ["--gateway-cache-events", "30000", "--gateway-session-max-bytes", "256KiB",
                 "--gateway-send-buffer-bytes", "64KiB", "--gateway-drain-s", "1"]


def stream_specs():
    whole = {"is_contiguous": True}
    return [
        {"name": "ws everything", "door": "ws", "patterns": EVERYTHING, "traits": whole},
        {"name": "sse everything", "door": "sse", "patterns": EVERYTHING, "traits": whole},
        {"name": "sse exact", "door": "sse", "patterns": ["soak.a.0", "soak.c.1", *MARKED]},
        {"name": "ws glob", "door": "ws", "patterns": ["soak.[ab].*", *MARKED]},
        {"name": "sse glob", "door": "sse", "patterns": ["soak.?.[!01]", *MARKED]},
        {"name": "ws other", "door": "ws", "patterns": EVERYTHING, "traits": whole, "at": ["http2"]},
        {"name": "sse other", "door": "sse", "patterns": ["soak.[cd].*", "soak.rare", "hub.*", *MARKED], "at": ["http2"]},
        {"name": "sse both", "door": "sse", "patterns": EVERYTHING, "traits": whole, "at": ["http", "http2"]},
        {"name": "ws both", "door": "ws", "patterns": ["soak.*"], "at": ["http2", "http"]},
        {"name": "ws slow", "door": "ws", "patterns": ["soak.*"], "buffer": 8192},
        {"name": "sse slow", "door": "sse", "patterns": ["soak.*"], "buffer": 8192},
        {"name": "ws drop_oldest", "door": "ws", "patterns": ["soak.*"], "policy": "drop_oldest", "buffer": 8192},
        {"name": "sse drop_oldest", "door": "sse", "patterns": ["soak.*"], "policy": "drop_oldest", "buffer": 8192},
        {"name": "ws latest", "door": "ws", "patterns": ["soak.*"], "policy": "latest", "buffer": 8192},
        {"name": "sse latest", "door": "sse", "patterns": ["soak.*"], "policy": "latest", "buffer": 8192},
    ]


SLEEPERS = [s["name"] for s in stream_specs() if s.get("buffer")]


def native_specs(folder, start):
    errors = os.path.join(folder, "commands.stderr")
    return [
        {"name": "sub raw", "door": "sub", "patterns": EVERYTHING},
        {"name": "command everything", "door": "command", "patterns": EVERYTHING, "start": start, "errors": errors},
        {"name": "command glob", "door": "command", "patterns": ["soak.b.*", *MARKED], "start": start, "errors": errors,
         "traits": {"is_late_allowed": True}},
        {"name": "command gateway", "door": "command", "patterns": ["soak.[cd].?", *MARKED], "start": start, "errors": errors,
         "at": "http2"},
        {"name": "history everything", "door": "history", "patterns": EVERYTHING, "limit": 2000, "start": start,
         "traits": {"is_contiguous": True}},
        {"name": "history glob", "door": "history", "patterns": ["*.1", *MARKED], "limit": 300, "start": start, "every": 1.0,
         "at": ["http2", "http"]},
    ]


def publisher_specs(rate, has_journal):
    """rate: events/s of all together, roughly."""
    synced, journaled = ("synced", "journaled") if has_journal else (None, None)
    specs = [
        {"door": "push", "share": 0.25},
        {"door": "push", "share": 0.10},
        {"door": "router", "share": 0.15, "batch": 10, "window": 16},
        {"door": "router", "share": 0.10, "batch": 5, "window": 8, "durability": "memory", "has_id": True, "acks": "batched"},
        {"door": "router", "share": 0.10, "batch": 20, "window": 4, "durability": synced, "has_id": True},
        {"door": "http", "share": 0.03, "durability": journaled},
        {"door": "http", "share": 0.03, "has_id": True, "at": ["http2"]},
        {"door": "http", "share": 0.08, "batch": 20, "shape": "ndjson", "has_id": True, "at": ["http", "http2"]},
        {"door": "http", "share": 0.05, "batch": 10, "shape": "array", "durability": synced},
        {"door": "ws", "share": 0.04, "window": 8},
        {"door": "ws", "share": 0.04, "window": 4, "has_id": True, "durability": synced, "at": ["http", "http2"]},
        {"door": "command", "share": 0.03, "batch": 60, "has_id": True, "durability": journaled},
        {"door": "command", "share": 0.02, "batch": 40, "has_id": True, "at": "http2"},
        {"door": "library", "share": 0.02, "has_id": True},
    ]
    for p, spec in enumerate(specs, 1):
        spec["p"] = p
        spec["rate"] = max(1.0, rate * spec.pop("share"))
    return specs


class Arena:
    """Everything that runs. Actions of the schedule are methods act_<name>(dice)."""

    def __init__(self, folder, run, rate, hub_flags=(), gateway_flags=()):
        self.folder, self.run, self.rate = folder, run, rate
        os.makedirs(folder, exist_ok=True)
        self.disk = Disk(os.path.join(folder, "hub", "data"), os.path.join(folder, "disk"))
        self.hub = Hub(os.path.join(folder, "hub"), [*HUB_FLAGS, *hub_flags])
        ports = (self.hub.collector, self.hub.publisher, self.hub.requests)
        self.gateway, self.gateway2 = (Gateway(os.path.join(folder, name), ports, [*GATEWAY_FLAGS, *gateway_flags])
                                       for name in ("gateway", "gateway2"))
        self.links = Links({"hub": ports[1:], "hub2": ports[1:], "native": ports, "client": [self.gateway.port],
                            "client2": [self.gateway2.port]})
        for gateway, link in ((self.gateway, "hub"), (self.gateway2, "hub2")):
            gateway.hub = (ports[0], self.links.port(link, ports[1]), self.links.port(link, ports[2]))
        self.asker = Asker(self.hub.requests)
        self.epochs, self.disasters, self.touched = [], [], set()
        self.frozen, self.away, self.keeps_log, self.has_journal = set(), set(), False, False
        self.publishers, self.streams, self.natives, self.group_worker = [], None, None, None

    def begin(self):
        """Starts everything; end() is to be called whatever comes of it."""
        self.act_start_hub(0)
        self.has_journal = durability_max(self.hub.requests) != "memory"
        self.gateway.start()
        self.gateway2.start()
        self.make_workers(self.rate)

    def make_workers(self, rate):
        hub = self.hub
        native = {"collector": self.links.port("native", hub.collector), "publisher": self.links.port("native", hub.publisher),
                  "requests": self.links.port("native", hub.requests), "http": self.links.port("client", self.gateway.port),
                  "http2": self.links.port("client2", self.gateway2.port), "program": program("notifyhub"),
                  "driver": program("client_driver")}
        # The workers fork before this process uses ZeroMQ itself.
        self.streams = Worker(StreamWorker, native, stream_specs())
        specs = publisher_specs(rate, self.has_journal)
        self.publishers = [Worker(PublisherWorker, [s for s in specs if s["door"] in doors], native, self.run)
                           for doors in (("push", "router"), ("http", "ws", "command", "library"))]
        start = f"{self.hub.epoch}-{self.position()[1]}"
        if self.has_journal:
            self.make_groups(start)
            self.group_worker = Worker(GroupWorker, native, parse_position(start))
        self.natives = Worker(NativeWorker, native_specs(self.folder, start), native)
        self.gateway.wait_connected()
        self.gateway2.wait_connected()
        wait_until(lambda: all(s[3] and s[1] for s in self.streams.ask("status").values()), 30, "all streams to be open")

    def make_groups(self, start):
        for name in GROUPS:
            found = self.asker.ask(request_of(name, start))
            if found is None or not found[0]["success"]:
                raise RuntimeError(f"no group can be made: {found}")

    def groups_behind(self, mark):
        """What groups still have to do up to this position (epoch, seq): texts, empty when nothing."""
        behind = []
        for name in GROUPS if self.group_worker else ():
            if name in self.away:
                continue
            found = self.asker.ask({"action": "group", "group": name})
            state = found[0] if found else {}
            if not state.get("success"):
                behind.append(f"group {name}: {state}")
                continue
            position = parse_position(state["position"])
            if position[0] != mark[0] or position[1] < mark[1] or state["pending"] or state["delayed"]:
                behind.append(f"group {name}: at {state['position']}, pending {state['pending']}, delayed {state['delayed']}")
        return behind

    def send_away(self, names):
        """The members of these groups are away from now on, all others are there."""
        self.away = set(names)
        if self.group_worker:
            self.group_worker.ask("away", names)

    def position(self):
        """Where the hub is, (epoch, seq)."""
        found = self.asker.ask({"action": "position"})
        if found is None:
            raise RuntimeError("the hub does not answer")
        return found[0]["epoch"], found[0]["seq"]

    def abilities(self):
        """The faults of the schedule that can be done here."""
        names = {name for name, row in TABLE.items() if hasattr(self, f"act_{row[3]}")}
        if not self.has_journal or not self.disk.can_be_full():
            names.discard("disk_full")
        if not self.has_journal or not self.disk.has_library:
            names -= {"power_cut", "clock_step"}
        return names

    def prepare(self, faults):
        """Before a round with these faults: a power cut needs a hub whose writes are noted."""
        wants_log = any(fault.name == "power_cut" for fault in faults)
        if wants_log != self.disk.is_logging and self.has_journal and self.disk.has_library:
            self.hub.stop(60)
            self.disaster("stop")
            self.keeps_log = wants_log
            self.act_start_hub(0)
            self.touched.add("hub")

    # --- hands ---

    def act(self, name, dice):
        getattr(self, f"act_{name}")(dice)

    def disaster(self, kind):
        self.disasters.append((time.monotonic(), kind))

    def act_kill_hub(self, _):
        self.hub.kill()
        self.disaster("kill")
        self.touched.add("hub")

    def act_stop_hub(self, _):
        self.hub.stop(60)
        self.disaster("stop")
        self.touched.add("hub")

    def act_start_hub(self, _):
        self.disk.free()  # a hub does not start without any room; the operator makes some
        self.hub.env = self.disk.environment(self.keeps_log)
        self.hub.start(30)
        self.asker.close()
        if self.hub.epoch not in self.epochs:
            self.epochs.append(self.hub.epoch)

    def act_freeze_hub(self, _):
        self.hub.pause()
        self.frozen.add(self.hub)

    def act_thaw_hub(self, _):
        self.hub.resume()
        self.frozen.discard(self.hub)

    def act_fill_disk(self, _):
        self.disk.fill()
        self.disaster("full")

    def act_free_disk(self, _):
        self.disk.free()

    def act_cut_power(self, dice):
        self.hub.kill()
        self.disaster("power")
        self.touched.add("hub")
        self.disk.cut_power(int(dice * 1e9))

    def act_step_clock(self, dice):
        self.disk.step_clock((dice - 0.5) * 240)

    def act_straight_clock(self, _):
        self.disk.straight_clock()

    def act_mute_answers(self, _):
        for link in ("hub", "hub2", "native"):
            self.links.mute(link)

    def act_lose_answers(self, dice):
        """The hub has taken and kept what was sent, and dies before anybody hears of it."""
        self.act_kill_hub(dice)
        for link in ("hub", "hub2", "native"):
            self.links.cut(link)
        self.act_start_hub(dice)

    def act_kill_all(self, _):
        self.hub.kill()
        self.gateway.kill()
        self.gateway2.kill()
        self.disaster("kill")
        self.touched.add("hub")

    def act_start_all(self, dice):
        self.act_start_hub(dice)
        self.act_start_gateway(dice)
        self.act_start_gateway2(dice)

    def act_nap(self, dice):
        chosen, rest = int(dice * 1000) % (len(SLEEPERS) + 3), dice * 1000 % 1
        pieces = max(0, int(rest * 1000) % 12 - 4)
        for name in SLEEPERS[chosen:chosen + 1] or SLEEPERS:  # one, or now and then all
            self.streams.ask("nap", name, 1.0 + 5.0 * rest, pieces)

    def act_readers_leave(self, dice):
        names = [s["name"] for s in stream_specs()]
        count = 1 + int(dice * len(names))
        self.streams.ask("drop", names[:count] if count % 2 else names[-count:], dice)
        self.natives.ask("again", ["command everything", "command gateway"] if count % 2 else ["command glob"])

    def act_members_leave(self, dice):
        """Members of groups break their connections, or die, with what they hold."""
        names = [m["name"] for m in MEMBERS]
        count = 1 + int(dice * len(names))
        if self.group_worker:
            self.group_worker.ask("leave", names[:count] if count % 2 else names[-count:])

    def act_fast(self, dice):
        for worker in self.publishers:
            worker.ask("speed", 3.0 + 7.0 * dice)

    def act_normal(self, _):
        for worker in self.publishers:
            worker.ask("speed", 1.0)

    def heal(self):
        """Everything runs again and nothing is in the way."""
        for name in ("hub", "hub2", "native", "client", "client2"):
            self.links.open(name)
        self.disk.free()
        self.disk.straight_clock()
        for daemon in list(self.frozen):
            daemon.resume()
        self.frozen.clear()
        for daemon, start in ((self.hub, self.act_start_hub), (self.gateway, self.act_start_gateway),
                              (self.gateway2, self.act_start_gateway2)):
            if not daemon.running and daemon.returncode != -signal.SIGABRT:  # check_alive() tells of an abort
                start(0)
        self.act_normal(0)
        self.streams.ask("wake")
        self.check_alive()

    def daemons(self):
        return {"hub": self.hub, "gateway": self.gateway, "gateway2": self.gateway2}

    def check_alive(self):
        for daemon in self.daemons().values():
            if not daemon.running:
                raise AssertionError(f"{daemon.program_name} ended by itself with {daemon.returncode}:\n{daemon.stderr[-4000:]}")

    # --- the end ---

    def end(self):
        """Ends everything; returns what was wrong with the daemons' ends."""
        for worker in self.every_worker():
            worker.end()
        self.asker.close()
        problems = []
        for daemon in (self.gateway, self.gateway2, self.hub):
            try:
                daemon.finish()
            except AssertionError as error:
                problems.append(str(error))
        self.links.end()
        self.disk.close()
        return problems

    def every_worker(self):
        workers = (*self.publishers, self.streams, self.natives, self.group_worker)
        return [worker for worker in workers if worker is not None]


def _link_actions(name, link):
    def close(self, _):
        self.links.close(link)
        self.touched.add(link)

    def cut(self, _):
        self.links.cut(link)
        self.touched.add(link)

    def silence(self, _):
        self.links.silence(link)
        self.touched.add(link)

    def slow(self, dice):
        self.links.delay(link, 0.01 + 0.2 * dice)

    def open_(self, _):
        self.links.open(link)

    for word, action in (("close", close), ("cut", cut), ("silence", silence), ("slow", slow), ("open", open_)):
        setattr(Arena, f"act_{word}_{name}", action)


def _gateway_actions(name):
    def kill(self, _):
        getattr(self, name).kill()

    def stop(self, _):
        getattr(self, name).stop(60)

    def start(self, _):
        getattr(self, name).start(30)

    def freeze(self, _):
        getattr(self, name).pause()
        self.frozen.add(getattr(self, name))

    def thaw(self, _):
        getattr(self, name).resume()
        self.frozen.discard(getattr(self, name))

    for word, action in (("kill", kill), ("stop", stop), ("start", start), ("freeze", freeze), ("thaw", thaw)):
        setattr(Arena, f"act_{word}_{name}", action)


for _link in ("hub", "hub2", "client", "client2", "native"):
    _link_actions(f"{_link}_link", _link)
for _gateway in ("gateway", "gateway2"):
    _gateway_actions(_gateway)
