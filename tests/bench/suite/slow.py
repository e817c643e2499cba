"""slow: a thousand subscribers that never read, beside ten that do, while somebody publishes at a high rate.

What is asked: does the latency of those that read grow (99th percentile, POST to WebSocket), and does the gateway's memory
stay under the ceiling that it prints at its start? Short phases without and with the thousand take turns at the same two
daemons, and their medians are compared: what else happens on the machine then meets both.
"""
import json
import re
import statistics
import time

from support.http import get
from support.never_reading import NeverReading, figures
from support.waiting import wait_until

from .load import load, program
from .systems import Ours

RATE = (50000, 5000)  # normal, smoke: events a second that the thousand ask for and do not take
TURNS = 2  # of without and with, in a round
PHASE_S = 5
FILL_S = 2  # of the flood, before anything is measured: the kernel's buffers of a thousand who do not read take 700 MB


def flood(s, seconds, rate):
    """Events of another type than the healthy ask for, in the background."""
    return program("bench_load", "--subscribers", 0, "--subscriber", "ws", "--publisher", "zmq", "--pub-port", s.hub.collector,
                   "--before", '{"event_type":"flood","source_service":"bench","data":', "--after", "}", "--rate", rate,
                   "--seconds", seconds, "--pid", s.hub.pid, background=True)


def healthy(s, seconds):
    return load(s, subscriber="ws", sub_port=s.port, sub_path="/ws?event_type=healthy", ready_frames=2, subscribers=10,
                publisher="http", pub_port=s.port, pub_path="/events?durability=memory", rate=100, seconds=seconds, warm=0.2,
                before='{"event_type":"healthy","source_service":"bench","data":', after="}")


def phase(s, seconds, rate, fill=FILL_S):
    flooded = flood(s, seconds + fill + 0.5, rate)
    time.sleep(fill)
    taken = healthy(s, seconds)
    taken["flood_per_s"] = flooded()["published_per_s"]
    return taken


def largest_rss_mib(gateway):
    with open(f"/proc/{gateway.pid}/status", encoding="ascii") as status:
        return int(re.search(r"^VmHWM:\s+(\d+)", status.read(), re.M).group(1)) / 1024


def never_read(door, policy):
    def run(e):
        count, seconds, rate = e.pick(1000, 50), e.phase_s or e.pick(PHASE_S, 0.5), e.pick(*RATE)
        fill = e.pick(FILL_S, 0.3)
        taken = {False: [], True: []}
        with Ours() as s:
            ceiling = figures(s.gateway)["memory"]["resident_ceiling_bytes"]
            phase(s, e.pick(1, 0.3), rate, fill)  # the first seconds of two fresh daemons are nobody's
            for turn in range(e.pick(TURNS, 1)):
                for with_them in (False, True) if turn % 2 == 0 else (True, False):
                    crowd = NeverReading(s.gateway, door, f"event_type=flood&policy={policy}", count) if with_them else None
                    try:
                        if crowd:
                            wait_until(lambda: figures(s.gateway)["subscribers"][door] >= count, 60, "those who never read")
                        taken[with_them].append(phase(s, seconds, rate, fill))
                    finally:
                        if crowd:
                            crowd.close()
                    wait_until(lambda: figures(s.gateway)["subscribers"][door] == 0, 60, "those who never read to go")
            dropped = json.loads(get(s.port, "/stats").body)["gateway"]["dropped"]
            return {**{prefix + key: statistics.median(t[key] for t in taken[with_them])
                       for prefix, with_them in (("", True), ("without_", False))
                       for key in ("p50_us", "p99_us", "cpu_cores", "flood_per_s")},
                    "rss_mib": largest_rss_mib(s.gateway), "ceiling_mib": ceiling / 2**20, "dropped": sum(dropped.values()),
                    "lost": sum(t["lost"] for turns in taken.values() for t in turns)}
    return run


MEASURES = {"slow_ws": never_read("ws", "drop_oldest"), "slow_sse": never_read("sse", "drop_oldest"),
            "slow_ws_disconnect": never_read("ws", "disconnect"), "slow_sse_disconnect": never_read("sse", "disconnect"),
            "slow_ws_latest": never_read("ws", "latest")}
# These are measured when they are asked for by name.
BY_NAME = ["slow_ws_disconnect", "slow_sse_disconnect", "slow_ws_latest"]
