"""rows: what the figures say: each row a ratio (or a figure) with its goal.

`value` gets the figures of one round, by measure; rows whose measures were not run are left out.
"""
from collections import namedtuple

Row = namedtuple("Row", "number name goal limit at_least needs value")


def per_delivery(m, name):
    return m[name]["cpu_us_per_delivery"]


def rate(m, name, key="delivered_per_s"):
    return m[name][key]


def row(number, name, goal, limit, needs, value, at_least=False):
    return Row(number, name, goal, limit, at_least, needs.split(), value)


ROWS = [
    row("1", "WebSocket, 1000 × 100/s: CPU per delivery ÷ raw", "≤ 1.25", 1.25, "ws_steady raw_steady",
        lambda m: per_delivery(m, "ws_steady") / per_delivery(m, "raw_steady")),
    row("2", "SSE, 1000 × 100/s: CPU per delivery ÷ raw", "≤ 1.15", 1.15, "sse_steady raw_steady",
        lambda m: per_delivery(m, "sse_steady") / per_delivery(m, "raw_steady")),
    row("3a", "WebSocket at full speed ÷ raw, all pending in a write", "≥ 0.6", 0.6, "ws_full raw_full_ws",
        lambda m: rate(m, "ws_full") / rate(m, "raw_full_ws"), True),
    row("3b", "SSE at full speed ÷ raw, all pending in a write", "≥ 0.6", 0.6, "sse_full raw_full_sse",
        lambda m: rate(m, "sse_full") / rate(m, "raw_full_sse"), True),
    row("3c", "WebSocket at full speed ÷ NATS", "≥ 2.5", 2.5, "ws_full nats_full",
        lambda m: rate(m, "ws_full") / rate(m, "nats_full"), True),
    row("4", "POST, wrk, 64 connections: accepted ÷ nchan's", "≥ 0.7", 0.7, "post nchan_post",
        lambda m: rate(m, "post", "accepted_per_s") / rate(m, "nchan_post", "accepted_per_s"), True),
    row("4b", "POST: share delivered (nchan's: see figures)", "= 1", 1.0, "post",
        lambda m: m["post"]["delivered_share"], True),
    row("5", "POST of NDJSON, 100 events each: events/s", "≥ 400 000", 400000, "ndjson",
        lambda m: rate(m, "ndjson", "accepted_per_s"), True),
    row("6", "PUSH → hub → SUB ÷ forwarder without a look", "≥ 0.7", 0.7, "push forward",
        lambda m: rate(m, "push") / rate(m, "forward"), True),
    row("7", "acked publish, 256 under way, memory ÷ echo", "≥ 0.6", 0.6, "acked echo",
        lambda m: rate(m, "acked", "per_s") / rate(m, "echo", "per_s"), True),
    row("8a", "POST → WebSocket, 10 subscribers: p50 ÷ nchan's", "≤ 1.6", 1.6, "latency nchan_ws_latency",
        lambda m: m["latency"]["p50_us"] / m["nchan_ws_latency"]["p50_us"]),
    row("8b", "POST → WebSocket, 10 subscribers: p99 ÷ nchan's", "≤ 2", 2.0, "latency nchan_ws_latency",
        lambda m: m["latency"]["p99_us"] / m["nchan_ws_latency"]["p99_us"]),
    row("9", "idle WebSocket at 10 000: KiB RSS", "≤ 4", 4.0, "ws_idle",
        lambda m: m["ws_idle"]["bytes_per_connection"] / 1024),
    row("10", "idle SSE at 10 000: KiB RSS", "≤ 6", 6.0, "sse_idle",
        lambda m: m["sse_idle"]["bytes_per_connection"] / 1024),
    row("11", "WebSocket connects/s ÷ nchan's", "≥ 1.0", 1.0, "ws_idle nchan_ws_idle",
        lambda m: m["ws_idle"]["connects_per_s"] / m["nchan_ws_idle"]["connects_per_s"], True),
    row("12", "CPU per delivery, 10 000 ÷ 100 subscribers, over raw's own", "≤ 1.2", 1.2,
        "ws_10000 ws_100 raw_10000 raw_100",
        lambda m: (per_delivery(m, "ws_10000") / per_delivery(m, "ws_100")) /
        (per_delivery(m, "raw_10000") / per_delivery(m, "raw_100"))),
    row("13a", "hub CPU per event: 100 000 types, 10 000 filters ÷ one", "≤ 1.5", 1.5, "push_many push_one",
        lambda m: m["push_many"]["cpu_us_per_event"] / m["push_one"]["cpu_us_per_event"]),
    row("13b", "gateway CPU per delivery: 10 000 pattern sets ÷ one", "≤ 1.5", 1.5,
        "ws_patterns_distinct ws_patterns_same",
        lambda m: per_delivery(m, "ws_patterns_distinct") / per_delivery(m, "ws_patterns_same")),
    row("14a", "journal interval: events/s ÷ without", "≥ 0.8", 0.8, "push_interval push",
        lambda m: rate(m, "push_interval") / rate(m, "push"), True),
    row("14b", "journal commit: events/s ÷ without", "≥ 0.5", 0.5, "push_commit push",
        lambda m: rate(m, "push_commit") / rate(m, "push"), True),
    row("14c", "acked publish, 256 under way, synced: events/s", "≥ 100 000", 100000, "publish_synced_256",
        lambda m: rate(m, "publish_synced_256", "per_s"), True),
    row("14d", "the same ÷ 256 events with each of the disk's fdatasyncs", "≥ 0.25", 0.25, "publish_synced_256 sync_256",
        lambda m: rate(m, "publish_synced_256", "per_s") / (256 * rate(m, "sync_256", "per_s")), True),
    row("14e", "one client reads the journal: events/s", "≥ 500 000", 500000, "replay",
        lambda m: rate(m, "replay", "per_s"), True),
    row("15a", "start to ready, the slower of both: ms", "< 100", 100, "start",
        lambda m: max(m["start"]["hub_start_ms"], m["start"]["gateway_start_ms"])),
    row("15b", "idle CPU, the busier of both: % of a core", "< 0.5", 0.5, "start",
        lambda m: 100 * max(m["start"]["hub_idle_share"], m["start"]["gateway_idle_share"])),
    row("15c", "hub, idle: MiB RSS", "< 10", 10, "start", lambda m: m["start"]["hub_rss_mib"]),
    row("15d", "gateway, idle: MiB RSS", "< 16", 16, "start", lambda m: m["start"]["gateway_rss_mib"]),
]

# Beside the goals: what the peers do, as multiples of the same baselines.
PEERS = ["nchan_ws", "nchan_sse", "mosquitto", "nats", "node"]
