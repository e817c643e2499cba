"""slopes: do the daemons grow? Resident memory and open descriptors over time, as straight lines.

A line through the samples (least squares) says how much a process grew over the whole time, with less noise than the
difference of two samples. It is taken from one life of a process, after a warm-up in which caches fill. What counts is
the growth over the measured time:

  memory       anonymous pages only (RssAnon): pages of the journal's file that happen to be in memory are the kernel's to
               take back. Allowed: 6 MiB or 8 % of the mean, whichever is more; at 1500 events/s over 15 minutes that is
               less than 5 bytes for each event, so that a leak for each event, request or reconnect shows.
  descriptors  read while nothing is going on (between rounds). Allowed: 4.
"""
import os
import re
import time

RSS_FLOOR_KIB = 6 * 1024
RSS_SHARE = 0.08
FDS_ALLOWED = 4.0
WARM_UP = 0.3
WARM_UP_S = 300  # the hub's memory of 100 000 ids takes that long to fill
FEWEST = 20


def line_through(points):
    """-> (slope, mean of y) of [(x, y)]."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if spread == 0:
        return 0.0, mean_y
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread, mean_y


def rss_anon_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"^RssAnon:\s+(\d+)", status.read(), re.M).group(1))


def after_warm_up(points):
    """What is left behind the warm-up of [(time, value)]."""
    if not points:
        return []
    begin, end = points[0][0], points[-1][0]
    return [p for p in points if p[0] - begin >= max(WARM_UP * (end - begin), WARM_UP_S)]


class Sampler:
    """tick() as often as one likes, settled() between rounds; lines() at the end."""

    def __init__(self, every=1.0):
        self.every, self.next_at = every, 0.0
        self.rss, self.fds = {}, {}  # (name, pid) -> [(time, value)]

    def tick(self, arena):
        now = time.monotonic()
        if now < self.next_at:
            return
        self.next_at = now + self.every
        self._sample(arena, now, False)

    def settled(self, arena):
        self._sample(arena, time.monotonic(), True)

    def _sample(self, arena, now, is_settled):
        for name, daemon in arena.daemons().items():
            if not daemon.running:
                continue
            try:
                self.rss.setdefault((name, daemon.pid), []).append((now, rss_anon_kib(daemon.pid)))
                if is_settled:
                    self.fds.setdefault((name, daemon.pid), []).append((now, len(os.listdir(f"/proc/{daemon.pid}/fd"))))
            except (OSError, AttributeError):
                pass  # it ended just now

    def lines(self):
        """The growth of the longest life of each daemon: a list of dicts; "passed" is None when there is too little."""
        result = []
        for what, series, floor, share, fewest in (("RssAnon KiB", self.rss, RSS_FLOOR_KIB, RSS_SHARE, FEWEST),
                                                   ("descriptors", self.fds, FDS_ALLOWED, 0.0, 5)):
            for name in dict.fromkeys(name for name, _ in series):
                lives = [points for (daemon, _), points in series.items() if daemon == name]
                points = max(lives, key=len, default=[])
                points = after_warm_up(points)
                if len(points) < fewest:
                    result.append({"daemon": name, "what": what, "passed": None, "samples": len(points)})
                    continue
                slope, mean = line_through(points)
                length = points[-1][0] - points[0][0]
                allowed = max(floor, share * mean)
                result.append({"daemon": name, "what": what, "samples": len(points), "seconds": round(length),
                               "mean": round(mean, 1), "growth": round(slope * length, 1), "allowed": round(allowed, 1),
                               "per_hour": round(slope * 3600, 1), "highest": max(v for _, v in points),
                               "passed": slope * length <= allowed})
        return result
