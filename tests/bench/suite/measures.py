"""measures: one function for each thing that is measured. Each starts what it needs, loads it, and returns figures (a dict
of numbers); `effort` says how much: "smoke" (does it work?), "normal".

An event of 200 bytes is the payload; ours adds its five fields, number and epoch around it, and the raw baselines send
as many bytes as ours put on the wire. Only where a row speaks of events with all five fields, all is 200 bytes together.
"""
import json
import os
import re
import statistics
import subprocess
import tempfile
import time

from . import durability, slow
from .load import EVENT, FIVE, load, program, start_ms
from .systems import Forward, Mosquitto, Nats, NodeWs, Nchan, Ours, Raw

WS_BYTES, SSE_BYTES = 376, 400  # of one of our events on the wire, with frame and number
WINDOW = 256  # events under way in fan-out at full speed, the same for everybody; readers further behind count as slow
NDJSON_WINDOW = 2400  # no more than a reader may be behind by default (1 MiB): at this rate that is 6 ms, and nobody is slow then
PUSH_SIZE = 200 - len(FIVE["before"]) - len(FIVE["after"])


# ---- how each system is subscribed and published ----

LATENCY = {"subscribers": 10, "rate": 50, "warm": 0.25}

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


def held_back(words):
    """HTTP has answers that hold a publisher back; a stream has none, and gets a window."""
    return {} if words["publisher"] == "http" else {"window": WINDOW}


def peer(name, make, options):
    """The measures of a peer: steady, full, latency, idle connections, publishing."""
    def steady(e):
        with make() as s:
            return load(s, **options(s), subscribers=e.pick(1000, 50), rate=100, seconds=e.pick(3, 0.5))

    def full(e):
        with make() as s:
            return load(s, **many(options(s)), subscribers=e.pick(1000, 50), window=WINDOW, seconds=e.pick(3, 0.5))

    def latency(e):
        with make() as s:
            return load(s, **options(s), **LATENCY, seconds=e.pick(5, 0.5))

    def idle(e):
        with make() as s:
            words = {**options(s), "publisher": "none", "idle": e.pick(1.5, 0.3)}
            return load(s, **words, subscribers=e.pick(10000, 100))

    def publish(e):
        with make() as s:
            words = many(options(s))
            return load(s, **words, **held_back(words), subscribers=1, seconds=e.pick(2.5, 0.5))

    def many(words):
        return {**words, **({"pub_connections": 64} if words["publisher"] == "http" else {})}

    return {f"{name}_steady": steady, f"{name}_full": full, f"{name}_latency": latency, f"{name}_idle": idle,
            f"{name}_publish": publish}


# ---- fan-out ----

def steady(door, subscribers=1000, rate=100):
    def run(e):
        with Ours() as s:
            return load(s, **door(s), **ours_post(s), subscribers=e.pick(subscribers, min(subscribers, 50)), rate=rate,
                        seconds=e.pick(3, 0.5))
    return run


def raw_steady(size, subscribers=1000, rate=100):
    def run(e):
        with Raw("each", size) as s:
            return load(s, **raw(s, size), subscribers=e.pick(subscribers, min(subscribers, 50)), rate=rate,
                        seconds=e.pick(3, 0.5))
    return run


def full(door):
    def run(e):
        with Ours() as s:
            return load(s, **door(s), publisher="zmq", pub_port=s.hub.collector, **EVENT, subscribers=e.pick(1000, 50),
                        window=WINDOW, seconds=e.pick(3, 0.5))
    return run


def raw_full(size):
    def run(e):
        with Raw("batch", size) as s:
            return load(s, **raw(s, size), subscribers=e.pick(1000, 50), window=WINDOW, seconds=e.pick(3, 0.5))
    return run


def distinct_patterns(door, patterns):
    """10 000 sessions with one pattern set, or with as many different ones."""
    def run(e):
        sessions, events, rate = e.pick((10000, 20, 5), (50, 20, 100))
        with Ours(hub_flags=["--hub-stats-interval-s", "0"]) as s:
            return program("bench_streams", "--http", s.port, "--collector", s.hub.collector, "--pid", s.gateway.pid,
                           "--door", door, "--patterns", patterns, "--sessions", sessions, "--events", events, "--rate", rate,
                           allowed=(0, 1))
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
        counter = load(s, background=True, **{**subscriber, "publisher": "none", "idle": seconds + 2, "subscribers": 1})
        time.sleep(0.5)
        done = subprocess.run(["wrk", "-t1", "-c64", f"-d{seconds}s", "-s", script.name, f"http://127.0.0.1:{s.port}{path}"],
                              capture_output=True, text=True, check=True, timeout=seconds + 60)
        delivered = counter()["delivered"]
    requests = int(re.search(r"(\d+) requests in", done.stdout).group(1))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    accepted = requests - int(refused.group(1) if refused else 0)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1))
    # Up to 64 requests are under way when wrk ends: delivered, and not counted by it. More would have come twice.
    return {"accepted_per_s": rate * accepted / requests, "delivered_share": min(1.0, delivered / accepted),
            "lost": max(0, accepted - delivered), "duplicates": max(0, delivered - accepted - 64)}


PAYLOAD = '{"m":"^000000000000000000000000^","p":"' + "x" * 161 + '"}'


def post_ours(e):
    with Ours() as s:
        return wrk(s, "/events?durability=memory", EVENT["before"] + PAYLOAD + EVENT["after"], e.pick(3, 1), ours_sse(s))


def post_nchan(e):
    with Nchan() as s:
        words = nchan(s, "sse")
        return wrk(s, "/pub", PAYLOAD, e.pick(3, 1), {k: words[k] for k in ("subscriber", "sub_port", "sub_path")})


def ndjson(e):
    with Ours() as s:
        return load(s, **ours_ws(s), **{**ours_post(s, 8), "content_type": "application/x-ndjson", "per_request": 100},
                    subscribers=1, window=NDJSON_WINDOW, seconds=e.pick(3, 0.5))


def publish(e):
    with Ours() as s:
        return load(s, **ours_ws(s), **ours_post(s, 64), subscribers=1, seconds=e.pick(2.5, 0.5))


# ---- the hub alone ----

def push(*flags, types=0, filters=0):
    def run(e):
        with Ours(hub_flags=flags, gateway=False) as s:
            words = dict(FIVE)
            if types:
                words["before"] = words["before"].replace('"bench"', '"bench#"', 1)
                words["types"] = types
            return load(s, subscriber="zmq", sub_port=s.hub.publisher, publisher="zmq", pub_port=s.hub.collector,
                        filters=filters, window=20000, seconds=e.pick(3, 0.5), size=PUSH_SIZE, **words)
    return run


def forward(e):
    with Forward() as s:
        return load(s, subscriber="zmq", sub_port=s.publisher, publisher="zmq", pub_port=s.collector, window=20000,
                    seconds=e.pick(3, 0.5), size=PUSH_SIZE, **FIVE)


def requests(s, port, acks, e):
    return program("bench_requests", port, 256, e.pick(2, 0.5), 200, s.pids[0], "memory", acks)


def acked(acks="batched", flags=()):
    def run(e):
        with Ours(hub_flags=flags, gateway=False) as s:
            return requests(s, s.hub.requests, acks, e)
    return run


def echo(e):
    with Forward() as s:
        return requests(s, s.requests, "batched", e)


# ---- latency, connections, start ----

def latency_ours(door):
    def run(e):
        with Ours() as s:
            return load(s, **door(s), **ours_post(s), **LATENCY, seconds=e.pick(5, 0.5))
    return run


def latency_pair(e):
    """Ours and nchan, both alive, asked in turn: what the machine does in a second then meets both."""
    taken = {"": [], "nchan_": []}
    with Ours() as s, Nchan() as n:
        for turn in range(e.pick(6, 2)):
            pair = [("", s, {**ours_ws(s), **ours_post(s)}), ("nchan_", n, nchan(n, "ws"))]
            for prefix, system, words in pair if turn % 2 == 0 else reversed(pair):
                taken[prefix].append(load(system, **words, **LATENCY, seconds=e.pick(1.5, 0.5)))
    return {**{prefix + key: statistics.median(figures[key] for figures in all_figures)
               for prefix, all_figures in taken.items() for key in ("p50_us", "p99_us")},
            "lost": sum(figures["lost"] for figures in taken[""])}


def idle_ours(door):
    def run(e):
        with Ours() as s:
            # The pages that the first thousands of connections make the libraries touch belong to them.
            return load(s, **{**door(s), "publisher": "none", "idle": e.pick(1.5, 0.3)}, subscribers=e.pick(10000, 100))
    return run


def start_and_rest(e):
    """Start to the ready line, then the share of a core and the memory of daemons that nobody asks anything."""
    with Ours() as s:
        s.gateway.stop()
        figures = {"hub_start_ms": start_ms(s.hub), "gateway_start_ms": start_ms(s.gateway, lambda: s.gateway.wait_connected())}
        time.sleep(e.pick(1, 0.2))
        daemons, at = (("hub", s.hub), ("gateway", s.gateway)), time.monotonic()
        before = {name: cpu_s(daemon.pid) for name, daemon in daemons}
        time.sleep(e.pick(5, 0.5))
        for name, daemon in daemons:
            figures[f"{name}_idle_share"] = (cpu_s(daemon.pid) - before[name]) / (time.monotonic() - at)
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
    "raw_steady_ws": raw_steady(WS_BYTES),
    "ws_steady": steady(ours_ws),
    "sse_steady": steady(ours_sse),
    "raw_steady_sse": raw_steady(SSE_BYTES),
    "raw_full_ws": raw_full(WS_BYTES),
    "ws_full": full(ours_ws),
    "sse_full": full(ours_sse),
    "raw_full_sse": raw_full(SSE_BYTES),
    "post": post_ours,
    "ndjson": ndjson,
    "publish": publish,
    "forward": forward,
    "push": push("--hub-journal-enabled=false"),
    "push_interval": push("--hub-journal-sync=interval"),
    "push_commit": push("--hub-journal-sync=commit"),
    "push_one": push("--hub-journal-enabled=false", types=1, filters=1),
    "push_many": push("--hub-journal-enabled=false", types=100000, filters=10000),
    "echo": echo,
    "acked": acked(),
    "acked_ring": acked(flags=["--hub-journal-enabled=false"]),
    "acked_each": acked("each"),
    "latency": latency_ours(ours_ws),
    "sse_latency": latency_ours(ours_sse),
    "ws_idle": idle_ours(ours_ws),
    "sse_idle": idle_ours(ours_sse),
    "raw_100": raw_steady(WS_BYTES, 100, 200),
    "ws_1": steady(ours_ws, 1, 200),
    "ws_100": steady(ours_ws, 100, 200),
    "raw_10000": raw_steady(WS_BYTES, 10000, 4),
    "ws_10000": steady(ours_ws, 10000, 4),
    "ws_patterns_same": distinct_patterns("ws", "same"),
    "ws_patterns_distinct": distinct_patterns("ws", "distinct"),
    "start": start_and_rest,
    **durability.MEASURES,
    **slow.MEASURES,
}


def node_system():
    return NodeWs()


PEERS = {
    "nchan_post": post_nchan,
    "latency_pair": latency_pair,
    **peer("nats", Nats, nats),
    **peer("nchan_ws", Nchan, lambda s: nchan(s, "ws")),
    **peer("nchan_sse", Nchan, lambda s: nchan(s, "sse")),
    **peer("mosquitto", Mosquitto, mosquitto),
    **peer("node", node_system, node_ws),
}

# What a measure needs besides our own programs: a name of systems.PEER_PROGRAMS.
NEEDS = {"post": ["wrk"], "nchan_post": ["wrk", "nchan"], "latency_pair": ["nchan"],
         **{name: [name.split("_")[0]] for name in PEERS if name not in ("nchan_post", "latency_pair")}}

# About how long a measure takes, where it is not the usual four seconds: for the time that is told before anything is known.
SECONDS = {"post": 6, "nchan_post": 6, "latency_pair": 21, "latency": 6, "sse_latency": 6, "start": 8, "replay": 9,
           "ws_patterns_same": 8, "ws_patterns_distinct": 9, "stored": 12, "slow_ws": 28, "slow_sse": 28,
           **{name: 6.5 for name in PEERS if name.endswith("_latency")}, **{name: 2 for name in durability.QUICK},
           "echo": 3, "acked": 3, "acked_ring": 3, "acked_each": 3, "ws_idle": 2.5, "sse_idle": 2.5}
