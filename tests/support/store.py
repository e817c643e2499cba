"""store: runs store_driver (tests/integration/store_driver.c) and reads what it says."""
import json
import os
import re
import subprocess

from .daemons import SANITIZER_REPORT, program
from .waiting import seconds


def driver(folder, mode, *words, env=None, check=True, limit=60):
    """Runs the words on the store in the folder; returns the finished process, `facts` its lines as (word, rest)."""
    done = subprocess.run([program("store_driver"), str(folder), mode, *map(str, words)], capture_output=True, text=True,
                          env={**os.environ, **(env or {})}, timeout=seconds(limit), check=False)
    assert not SANITIZER_REPORT.search(done.stderr), done.stderr
    if check:
        assert done.returncode == 0, (done.returncode, done.stdout[-2000:], done.stderr)
    done.facts = [tuple(line.split(" ", 1)) for line in done.stdout.splitlines() if " " in line]
    return done


def drive_each(folders, mode, *words, env=None, limit=120):
    """The same words on each of these folders in one process: a dictionary of the lists of facts."""
    done = subprocess.run([program("store_driver"), "-", mode, *map(str, words)], capture_output=True, text=True,
                          input="".join(f"{folder}\n" for folder in folders), env={**os.environ, **(env or {})},
                          timeout=seconds(limit), check=False)
    assert done.returncode in (0, 1, 3) and not SANITIZER_REPORT.search(done.stderr), (done.returncode, done.stderr)
    found, facts = {}, None
    for line in done.stdout.splitlines():
        word, _, rest = line.partition(" ")
        if word == "folder":
            facts = found.setdefault(rest, [])
        else:
            facts.append((word, rest))
    return found, done.stderr


def events(done):
    """The events that `dump` printed."""
    return [json.loads(rest) for word, rest in done.facts if word == "event"]


def opened(done):
    """What the store was when it was opened."""
    epoch, reserved, clean, oldest, newest = re.fullmatch(
        r"(\w{8}) (\d+) ([01]) (\d+) (\d+)", dict(done.facts[:1])["opened"]).groups()
    return {"epoch": epoch, "reserved": int(reserved), "clean": clean == "1", "oldest": int(oldest), "newest": int(newest)}
