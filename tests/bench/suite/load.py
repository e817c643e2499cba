"""load: runs our load generators; each prints one line of JSON with its figures."""
import json
import os
import subprocess
import time

from .systems import BIN_DIR

EVENT = {"before": '{"event_type":"bench","source_service":"bench","data":', "after": "}"}
FIVE = {"before": '{"event_type":"bench","source_service":"bench","timestamp":1795225771.962952,'
                  '"correlation_id":"0f3a2b1c-5d6e-4f70-8a91-b2c3d4e5f607","data":', "after": "}"}
PATIENCE_S = 90  # longer than any of them takes: what hangs is ended, and the run goes on


class Effort:
    """How large and how long."""

    def __init__(self, name, phase_s=None):
        self.is_smoke = name == "smoke"
        self.phase_s = phase_s

    def pick(self, normal, smoke):
        return smoke if self.is_smoke else normal


def finish(process, words, allowed, limit):
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise RuntimeError(f"{os.path.basename(words[0])} did not end within {limit:.0f} s") from None
    if process.returncode not in allowed:
        raise RuntimeError(f"{os.path.basename(words[0])} ended with {process.returncode}: {err.strip()[-400:]}")
    return json.loads(out)


def program(name, *words, allowed=(0,), limit=PATIENCE_S, background=False):
    """Runs one of our load generators; returns its figures (in the background: a function that waits for them)."""
    words = [os.path.join(BIN_DIR, name), *map(str, words)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if background:
        return lambda: finish(process, words, allowed, limit)
    try:
        return finish(process, words, allowed, limit)
    except BaseException:
        process.kill()
        raise


def load(system, background=False, **options):
    """bench_load on a system."""
    words = ["--pid", ",".join(map(str, system.pids))]
    for name, value in options.items():
        words += ["--" + name.replace("_", "-"), str(value)]
    return program("bench_load", *words, background=background, limit=PATIENCE_S + float(options.get("idle", 0)))


def start_ms(daemon, until=lambda: None):
    """Stops the daemon if it runs, starts it, and returns the milliseconds from its start to its ready line.

    The line is read from a pipe, at once; the test's own way to start a daemon looks into a file now and then. The daemon is
    then started again in that way, and is what it was.
    """
    if daemon.running:
        daemon.stop()
    env = {key: value for key, value in os.environ.items() if not key.startswith("NOTIFYHUB_")}
    began = time.monotonic()
    with subprocess.Popen(daemon.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          cwd=daemon.folder, env=env) as process:
        line = process.stdout.readline()
        taken = (time.monotonic() - began) * 1000
        process.terminate()
        process.communicate()
    if not daemon.ready_pattern.search(line.decode()):
        raise RuntimeError(f"{daemon.program_name} did not start: {line!r}")
    daemon.start()
    until()
    return taken
