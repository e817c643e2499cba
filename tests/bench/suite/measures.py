"""measures: one function for each thing that is measured. Each starts what it needs, loads it, and returns figures (a dict
of numbers); `effort` says how much: "smoke" (does it work?), "normal".

An event of 200 bytes is the payload; ours adds its five fields, number and epoch around it, and the raw baselines send
as many bytes as ours put on the wire.
"""
import json
import os
import re
import subprocess
import tempfile
import time

from . import durability
from .systems import BIN_DIR, Forward, Mosquitto, Nats, NodeWs, Nchan, Ours, Raw, install_node_ws

EVENT = {"before": '{"event_type":"bench","source_service":"bench","data":', "after": "}"}
FIVE = {"before": '{"event_type":"bench","source_service":"bench","timestamp":1795225771.962952,'
                  '"correlation_id":"0f3a2b1c-5d6e-4f70-8a91-b2c3d4e5f607","data":', "after": "}"}
WS_BYTES, SSE_BYTES = 376, 400  # of one of our events on the wire, with frame and number


class Effort:
    """How large and how long."""

    def __init__(self, name):
        self.is_smoke = name == "smoke"

    def pick(self, normal, smoke):
        return smoke if self.is_smoke else normal


def load(system, **options):
    """Runs bench_load; returns its figures."""
    words = [os.path.join(BIN_DIR, "bench_load"), "--pid", ",".join(map(str, system.pids))]
    for name, value in options.items():
        words += ["--" + name.replace("_", "-"), str(value)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"bench_load failed: {' '.join(words)}")
    return json.loads(done.stdout)


# ---- how each system is subscribed and published ----

def ours_ws(s):
    return {"subscriber": "ws", "sub_port": s.port, "sub_path": "/ws?event_type=bench", "ready_frames": 2}


def ours_sse(s):
    return {"subscriber": "sse", "sub_port": s.port, "sub_path": "/events/stream?event_type=bench", "idle": 0.3}


def ours_post(s, connections=1):
    return {"publisher": "http", "pub_port": s.port, "pub_path": "/events?durability=memory", "pub_connections": connections,
            **EVENT}


def raw(s, size):
    return {"subscriber": "raw", "sub_port": s.sub_port, "publisher": "raw", "pub_port": s.pub_port, "size": size}


def nchan(s, kind, connections=1):
    return {"subscriber": kind, "sub_port": s.port, "sub_path": "/sub", "publisher": "http", "pub_port": s.port,
            "pub_path": "/pub", "pub_connections": connections, "idle": 0.3}


def mosquitto(s):
    return {"subscriber": "mqtt-ws", "sub_port": s.port, "ready_frames": 2, "publisher": "mqtt", "pub_port": s.mqtt_port}


def nats(s):
    return {"subscriber": "nats-ws", "sub_port": s.port, "ready_frames": 2, "publisher": "nats", "pub_port": s.nats_port}


def node_ws(s, connections=1):
    return {"subscriber": "ws", "sub_port": s.port, "sub_path": "/ws", "publisher": "http", "pub_port": s.port,
            "pub_path": "/pub", "pub_connections": connections}


def peer(name, make, options):
    """The measures of a peer: steady, full, latency, idle connections."""
    def steady(e):
        with make() as s:
            return load(s, **options(s), subscribers=e.pick(1000, 50), rate=100, seconds=e.pick(4, 0.5))

    def full(e):
        with make() as s:
            return load(s, **many(options(s)), subscribers=e.pick(1000, 50), window=256, seconds=e.pick(4, 0.5))

    def latency(e):
        with make() as s:
            return load(s, **options(s), subscribers=10, rate=50, seconds=e.pick(8, 0.5))

    def idle(e):
        with make() as s:
            words = {**options(s), "publisher": "none", "idle": e.pick(2, 0.3)}
            return load(s, **words, subscribers=e.pick(10000, 100))

    def many(words):
        return {**words, **({"pub_connections": 64} if words["publisher"] == "http" else {})}

    return {f"{name}_steady": steady, f"{name}_full": full, f"{name}_latency": latency, f"{name}_idle": idle}


# ---- fan-out ----

def steady(door, subscribers=1000, rate=100):
    def run(e):
        with Ours() as s:
            return load(s, **door(s), **ours_post(s), subscribers=e.pick(subscribers, min(subscribers, 50)), rate=rate,
                        seconds=e.pick(4, 0.5))
    return run


def raw_steady(size, subscribers=1000, rate=100):
    def run(e):
        with Raw("each", size) as s:
            return load(s, **raw(s, size), subscribers=e.pick(subscribers, min(subscribers, 50)), rate=rate,
                        seconds=e.pick(4, 0.5))
    return run


def full(door):
    def run(e):
        with Ours() as s:
            return load(s, **door(s), publisher="zmq", pub_port=s.hub.collector, **EVENT, subscribers=e.pick(1000, 50),
                        window=1024, seconds=e.pick(4, 0.5))
    return run


def raw_full(size):
    def run(e):
        with Raw("batch", size) as s:
            return load(s, **raw(s, size), subscribers=e.pick(1000, 50), window=1024, seconds=e.pick(4, 0.5))
    return run


def distinct_patterns(door, patterns):
    """10 000 sessions with one pattern set, or with as many different ones."""
    def run(e):
        sessions, events, rate = e.pick((10000, 40, 5), (50, 20, 100))
        with Ours(hub_flags=["--hub-stats-interval-s", "0"]) as s:
            done = subprocess.run(
                [os.path.join(BIN_DIR, "bench_streams"), "--http", str(s.port), "--collector", str(s.hub.collector),
                 "--pid", ",".join(map(str, s.pids)), "--door", door, "--patterns", patterns, "--sessions", str(sessions),
                 "--events", str(events), "--rate", str(rate)], stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode == 2:
                raise RuntimeError("bench_streams failed")
            return json.loads(done.stdout)
    return run


# ---- publishing over HTTP ----

WRK_SCRIPT = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '%s'
"""


def wrk(s, path, body, seconds, subscriber):
    """wrk with 64 keep-alive connections, beside one subscriber that counts what is delivered."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(WRK_SCRIPT % body)
        script.flush()
        words = [os.path.join(BIN_DIR, "bench_load"), "--pid", ",".join(map(str, s.pids)), "--publisher", "none"]
        for name, value in {**subscriber, "idle": seconds + 3, "subscribers": 1}.items():
            words += ["--" + name.replace("_", "-"), str(value)]
        counter = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        time.sleep(0.5)
        done = subprocess.run(["wrk", "-t1", "-c64", f"-d{seconds}s", "-s", script.name, f"http://127.0.0.1:{s.port}{path}"],
                              capture_output=True, text=True, check=True)
        delivered = json.loads(counter.communicate()[0])["delivered"]
    requests = int(re.search(r"(\d+) requests in", done.stdout).group(1))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    accepted = requests - int(refused.group(1) if refused else 0)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1))
    # Requests that are under way when wrk ends are delivered and not counted by it.
    return {"accepted_per_s": rate * accepted / requests, "delivered_share": min(1.0, delivered / accepted),
            "lost": max(0, accepted - delivered)}


PAYLOAD = '{"m":"^000000000000000000000000^","p":"' + "x" * 161 + '"}'


def post_ours(e):
    with Ours() as s:
        return wrk(s, "/events?durability=memory", EVENT["before"] + PAYLOAD + EVENT["after"], e.pick(4, 1), ours_sse(s))


def post_nchan(e):
    with Nchan() as s:
        words = nchan(s, "sse")
        return wrk(s, "/pub", PAYLOAD, e.pick(4, 1), {k: words[k] for k in ("subscriber", "sub_port", "sub_path")})


def ndjson(e):
    with Ours() as s:
        return load(s, **ours_ws(s), **{**ours_post(s, 8), "content_type": "application/x-ndjson", "per_request": 100},
                    subscribers=1, window=16384, seconds=e.pick(4, 0.5))


# ---- the hub alone ----

def push(*flags, types=0, filters=0):
    def run(e):
        with Ours(hub_flags=flags, gateway=False) as s:
            words = dict(FIVE)
            if types:
                words["before"] = words["before"].replace('"bench"', '"bench#"', 1)
                words["types"] = types
            return load(s, subscriber="zmq", sub_port=s.hub.publisher, publisher="zmq", pub_port=s.hub.collector,
                        filters=filters, window=20000, seconds=e.pick(4, 0.5), size=200 - 60, **words)
    return run


def forward(e):
    with Forward() as s:
        return load(s, subscriber="zmq", sub_port=s.publisher, publisher="zmq", pub_port=s.collector, window=20000,
                    seconds=e.pick(4, 0.5), size=200 - 60, **FIVE)


def requests(s, port, window, durability, e):
    done = subprocess.run([os.path.join(BIN_DIR, "bench_requests"), str(port), str(window), str(e.pick(3, 0.5)), "300",
                           str(s.pids[0]), durability], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def acked(window=256, durability="memory", flags=()):
    def run(e):
        with Ours(hub_flags=flags, gateway=False) as s:
            return requests(s, s.hub.requests, window, durability, e)
    return run


def echo(e):
    with Forward() as s:
        return requests(s, s.requests, 256, "memory", e)


# ---- latency, connections, start ----

def latency_ours(e):
    with Ours() as s:
        return load(s, **ours_ws(s), **ours_post(s), subscribers=10, rate=50, seconds=e.pick(8, 0.5))


def idle_ours(door):
    def run(e):
        with Ours() as s:
            # The pages that the first thousands of connections make the libraries touch belong to them.
            return load(s, **{**door(s), "publisher": "none", "idle": e.pick(2, 0.3)}, subscribers=e.pick(10000, 100))
    return run


def start_and_rest(e):
    """Start to the ready line, then the share of a core and the memory of daemons that nobody asks anything."""
    figures = {}
    began = time.monotonic()
    with Ours(gateway=False) as s:
        figures["hub_start_ms"] = (time.monotonic() - began) * 1000
    with Ours() as s:
        began = time.monotonic()
        s.gateway.stop()
        s.gateway.start()
        figures["gateway_start_ms"] = (time.monotonic() - began) * 1000
        s.gateway.wait_connected()
        time.sleep(e.pick(1, 0.2))
        for name, daemon in (("hub", s.hub), ("gateway", s.gateway)):
            before, at = cpu_s(daemon.pid), time.monotonic()
            time.sleep(e.pick(4, 0.5))
            figures[f"{name}_idle_share"] = (cpu_s(daemon.pid) - before) / (time.monotonic() - at)
            figures[f"{name}_rss_mib"] = daemon.rss_kib() / 1024
    return figures


def cpu_s(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        ns = int(file.read().split()[0])
    for task in os.listdir(f"/proc/{pid}/task"):
        if int(task) != pid:
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                ns += int(file.read().split()[0])
    return ns / 1e9


OWN = {
    "raw_steady": raw_steady(WS_BYTES),
    "ws_steady": steady(ours_ws),
    "sse_steady": steady(ours_sse),
    "raw_full_ws": raw_full(WS_BYTES),
    "ws_full": full(ours_ws),
    "raw_full_sse": raw_full(SSE_BYTES),
    "sse_full": full(ours_sse),
    "post": post_ours,
    "ndjson": ndjson,
    "forward": forward,
    "push": push("--hub-journal-enabled=false"),
    "echo": echo,
    "acked": acked(),
    "latency": latency_ours,
    "ws_idle": idle_ours(ours_ws),
    "sse_idle": idle_ours(ours_sse),
    "raw_100": raw_steady(WS_BYTES, 100, 200),
    "raw_10000": raw_steady(WS_BYTES, 10000, 4),
    "ws_100": steady(ours_ws, 100, 200),
    "ws_10000": steady(ours_ws, 10000, 4),
    "push_one": push("--hub-journal-enabled=false", types=1, filters=1),
    "push_many": push("--hub-journal-enabled=false", types=100000, filters=10000),
    "ws_patterns_same": distinct_patterns("ws", "same"),
    "ws_patterns_distinct": distinct_patterns("ws", "distinct"),
    "push_interval": push("--hub-journal-sync=interval"),
    "push_commit": push("--hub-journal-sync=commit"),
    "start": start_and_rest,
    **durability.MEASURES,
}


def peers():
    """The measures of what is installed of the peers."""
    modules = install_node_ws()
    found = {"nchan_post": post_nchan,
             **peer("nchan_ws", Nchan, lambda s: nchan(s, "ws")),
             **peer("nchan_sse", Nchan, lambda s: nchan(s, "sse")),
             **peer("mosquitto", Mosquitto, mosquitto),
             **peer("nats", Nats, nats)}
    if modules:
        found.update(peer("node", lambda: NodeWs(modules), node_ws))
    return found
