"""rows: what the figures say: each row a figure, or a ratio of two, with its goal.

`ours` and `base` get the figures of one round, by measure; the row's value is ours, or ours ÷ base. Ratios are taken
within a round, where both were measured one after the other, and only then their median. A row without a limit has no
goal: it stands beside one that has, and says more about it.
"""
import re
from collections import namedtuple

Row = namedtuple("Row", "number name goal limit at_least needs ours base unit")


def row(number, name, goal, needs, ours, base=None, unit="", at_least=False):
    """goal: a number, or None. At most so much, or at_least."""
    text = "" if goal is None else f"{'≥' if at_least else '≤'} {goal:,}".replace(",", " ")
    return Row(number, name, text, goal, at_least, needs.split(), ours, base, unit)


def figure(measure, key, scale=1.0):
    return lambda m: m[measure][key] * scale


def per_delivery(measure):
    return figure(measure, "cpu_us_per_delivery")


def delivered(measure):
    return figure(measure, "delivered_per_s")


def growth(measure):
    """Of the CPU time of a delivery, from 100 subscribers to 10 000."""
    return lambda m: m[f"{measure}_10000"]["cpu_us_per_delivery"] / m[f"{measure}_100"]["cpu_us_per_delivery"]


def growth_without_event(m):
    """Publishing an event costs something, too: among 100 deliveries it is seen, and would hide growth, among 10 000 not."""
    event = m["ws_1"]["cpu_us_per_event"] - m["ws_100"]["cpu_us_per_delivery"]
    return m["ws_10000"]["cpu_us_per_delivery"] / (m["ws_100"]["cpu_us_per_delivery"] - max(0, event) / 100)


def slower(key):
    return lambda m: max(m["start"][f"hub_{key}"], m["start"][f"gateway_{key}"])


def matches(word, number):
    """"4" is 4 and 4b, "4b" is that one; "S" is S1a, S1b, …"""
    return re.fullmatch(re.escape(word) + ("[0-9]*" if word.isalpha() else "") + "[a-z]?", number) is not None


CPU, RATE = "µs", "/s"

ROWS = [
    row("1", "WebSocket, 1000 × 100/s: CPU per delivery ÷ raw", 1.25, "ws_steady raw_steady_ws",
        per_delivery("ws_steady"), per_delivery("raw_steady_ws"), CPU),
    row("2", "SSE, 1000 × 100/s: CPU per delivery ÷ raw", 1.15, "sse_steady raw_steady_sse",
        per_delivery("sse_steady"), per_delivery("raw_steady_sse"), CPU),
    row("3a", "WebSocket at full speed ÷ raw, all pending in a write", 0.6, "ws_full raw_full_ws",
        delivered("ws_full"), delivered("raw_full_ws"), RATE, True),
    row("3b", "SSE at full speed ÷ raw, all pending in a write", 0.6, "sse_full raw_full_sse",
        delivered("sse_full"), delivered("raw_full_sse"), RATE, True),
    row("3c", "WebSocket at full speed ÷ NATS", 2.5, "ws_full nats_full",
        delivered("ws_full"), delivered("nats_full"), RATE, True),
    row("3d", "SSE at full speed ÷ NATS", 2.5, "sse_full nats_full",
        delivered("sse_full"), delivered("nats_full"), RATE, True),
    row("4", "POST, wrk, 64 connections: accepted ÷ nchan's", 0.7, "post nchan_post",
        figure("post", "accepted_per_s"), figure("nchan_post", "accepted_per_s"), RATE, True),
    row("4b", "POST, wrk: share of it that is delivered", 1.0, "post",
        figure("post", "delivered_share"), at_least=True),
    row("4c", "POST, wrk: share that nchan delivers", None, "nchan_post", figure("nchan_post", "delivered_share")),
    row("5", "POST of NDJSON, 100 events each: events/s", 400000, "ndjson",
        figure("ndjson", "accepted_per_s"), unit=RATE, at_least=True),
    row("6", "PUSH → hub → SUB, 200 bytes ÷ forwarder without a look", 0.7, "push forward",
        delivered("push"), delivered("forward"), RATE, True),
    row("6b", "the same: CPU of the hub per event ÷ the forwarder's", None, "push forward",
        figure("push", "cpu_us_per_event"), figure("forward", "cpu_us_per_event"), CPU),
    row("7", "acked publish, 256 under way, memory ÷ echo", 0.6, "acked echo",
        figure("acked", "per_s"), figure("echo", "per_s"), RATE, True),
    row("7b", "the same without a journal ÷ echo", None, "acked_ring echo",
        figure("acked_ring", "per_s"), figure("echo", "per_s"), RATE),
    row("7c", "the same, each answer in a message of its own ÷ echo", None, "acked_each echo",
        figure("acked_each", "per_s"), figure("echo", "per_s"), RATE),
    row("8a", "POST → WebSocket, 10 subscribers: p50 ÷ nchan's", 1.6, "latency_pair",
        figure("latency_pair", "p50_us"), figure("latency_pair", "nchan_p50_us"), CPU),
    row("8b", "POST → WebSocket, 10 subscribers: p99 ÷ nchan's", 2.0, "latency_pair",
        figure("latency_pair", "p99_us"), figure("latency_pair", "nchan_p99_us"), CPU),
    row("9", "idle WebSocket at 10 000: KiB RSS", 4.0, "ws_idle", figure("ws_idle", "bytes_per_connection", 1 / 1024), unit="KiB"),
    row("10", "idle SSE at 10 000: KiB RSS", 6.0, "sse_idle", figure("sse_idle", "bytes_per_connection", 1 / 1024), unit="KiB"),
    row("11", "WebSocket connects/s at 10 000 ÷ nchan's", 1.0, "ws_idle nchan_ws_idle",
        figure("ws_idle", "connects_per_s"), figure("nchan_ws_idle", "connects_per_s"), RATE, True),
    row("12", "CPU per delivery, 10 000 ÷ 100 subscribers, over raw's own", 1.2, "ws_10000 ws_100 raw_10000 raw_100",
        growth("ws"), growth("raw"), "×"),
    row("12b", "the same, what an event itself costs taken off our 100", None, "ws_10000 ws_100 ws_1 raw_10000 raw_100",
        growth_without_event, growth("raw"), "×"),
    row("13a", "hub CPU per event: 100 000 types, 10 000 filters ÷ one", 1.5, "push_many push_one",
        figure("push_many", "cpu_us_per_event"), figure("push_one", "cpu_us_per_event"), CPU),
    row("13b", "gateway CPU per delivery: 10 000 pattern sets ÷ one", 1.5, "ws_patterns_distinct ws_patterns_same",
        per_delivery("ws_patterns_distinct"), per_delivery("ws_patterns_same"), CPU),
    row("14a", "journal interval: events/s ÷ without", 0.8, "push_interval push",
        delivered("push_interval"), delivered("push"), RATE, True),
    row("14b", "journal commit: events/s ÷ without", 0.5, "push_commit push",
        delivered("push_commit"), delivered("push"), RATE, True),
    row("14c", "acked publish, 256 under way, synced: events/s", 100000, "publish_synced_256",
        figure("publish_synced_256", "per_s"), unit=RATE, at_least=True),
    row("14d", "the same ÷ 256 events with each of the disk's fdatasyncs", None, "publish_synced_256 sync_256",
        figure("publish_synced_256", "per_s"), figure("sync_256", "per_s", 256), RATE),
    row("14e", "one client reads the journal: events/s", 500000, "replay", figure("replay", "per_s"), unit=RATE, at_least=True),
    row("15a", "start to ready, the slower of both: ms", 100, "start", slower("start_ms"), unit="ms"),
    row("15b", "idle CPU, the busier of both: % of a core", 0.5, "start", lambda m: 100 * slower("idle_share")(m), unit="%"),
    row("15c", "hub, idle: MiB RSS", 10, "start", figure("start", "hub_rss_mib"), unit="MiB"),
    row("15d", "gateway, idle: MiB RSS", 16, "start", figure("start", "gateway_rss_mib"), unit="MiB"),
    row("16a", "synced publish: p99 with 10 million stored events ÷ none", 1.5, "stored",
        figure("stored", "p99_us"), figure("stored", "none_p99_us"), CPU),
    row("16b", "the same: p50", None, "stored", figure("stored", "p50_us"), figure("stored", "none_p50_us"), CPU),
    row("16c", "start to ready with 10 million stored events: ms", None, "stored", figure("stored", "start_ms"),
        figure("stored", "none_start_ms"), "ms"),
]

SLOW = [("S1", "slow_ws", "WebSockets that never read"), ("S2", "slow_sse", "SSE streams that nobody reads"),
        ("S3", "slow_ws_disconnect", "such, sent away and back again"), ("S4", "slow_sse_disconnect", "such, sent away and back again"),
        ("S5", "slow_ws_latest", "such, with the newest only")]
for number, measure, who in SLOW:
    ROWS += [row(number + "a", f"1000 {who}: others' p99 ÷ without", 1.2, measure,
                 figure(measure, "p99_us"), figure(measure, "without_p99_us"), CPU),
             row(number + "b", "the same: largest RSS of the gateway ÷ its ceiling", 1.0, measure,
                 figure(measure, "rss_mib"), figure(measure, "ceiling_mib"), "MiB"),
             row(number + "c", "the same: CPU of hub and gateway ÷ without", None, measure,
                 figure(measure, "cpu_cores"), figure(measure, "without_cpu_cores"), "cores")]

# Beside the goals: what the peers do.
PEERS = ["nchan_ws", "nchan_sse", "mosquitto", "nats", "node"]
