"""The store on a disk that fails for a while, and the faults library itself."""
import os
import subprocess
import sys

import pytest

from support import faults
from support.daemons import program
from support.store import driver, events
from support.waiting import seconds


def facts_of(done, *words):
    return [fact for fact in done.facts if fact[0] in words]


# What fails, and after how many operations that still pass.
FAILURES = [f"{error} {which} {passed}" for error in ("ENOSPC", "EIO") for which in ("writes", "syncs", "all")
            for passed in range(5)]


@pytest.mark.parametrize("mode", ["commit", "interval"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_disk_that_failed_goes_on_with_what_was_committed(mode, failure, tmp_path):
    folder, control = tmp_path / "data", tmp_path / "control"
    env = faults.environment(folder, program("store_driver"), fail=control)
    done = driver(folder, mode, "resume", "reserve", 1000, "batch", 10, 100, "sync", "make", control, failure, "batch", 10, 100,
                  "batch", 10, 3000, "sync", "reserve", 50, "remove", control, "reopen", "batch", 7, 100, "sync", "verify", "dump",
                  "clean", env=env, check=False)
    assert facts_of(done, "failed"), "nothing failed"
    for word, why in facts_of(done, "failed"):
        assert why.split(": ")[1] in ("limit reached", "system call failed, see errno, Input/output error"), why
    # What was committed before the failure and what the store had when it was opened anew; nothing else.
    assert ("verified", "0") in done.facts, done.stdout
    reopened = int(dict(done.facts)["reopened"])
    acknowledged = [int(number) for word, number in done.facts[:done.facts.index(("reopened", str(reopened)))] if word == "committed"]
    assert acknowledged[-1] <= reopened
    assert [event["seq"] for event in events(done)] == list(range(1, reopened + 8))
    again = driver(folder, mode, "dump")
    assert events(again) == events(done)


@pytest.mark.parametrize("failure", [f"EIO {which}" for which in ("writes 1", "writes 2", "syncs 0", "syncs 1", "syncs 2")])
def test_a_file_whose_last_commit_failed_keeps_its_end(failure, tmp_path):
    """The disk may have more of that commit than the process can know; only what is known to be blank is cut off."""
    folder, control = tmp_path / "data", tmp_path / "control"
    driver(folder, "commit", "resume", "reserve", 1000, "batch", 10, 100, "clean")
    size = (folder / "events.mdb").stat().st_size
    env = faults.environment(folder, program("store_driver"), fail=control)
    done = driver(folder, "commit", "make", control, failure, "reserve", 1000, "remove", control, env=env, check=False)
    if facts_of(done, "failed"):
        assert (folder / "events.mdb").stat().st_size > size
    driver(folder, "commit", "resume", "reserve", 1000, "batch", 10, 100, "clean")
    assert (folder / "events.mdb").stat().st_size % (1 << 20) != 0, "an orderly stop cuts the blank end off"


@pytest.mark.parametrize("mode", ["commit", "interval"])
def test_a_full_disk_needs_no_opening_anew(mode, tmp_path):
    folder, control = tmp_path / "data", tmp_path / "control"
    env = faults.environment(folder, program("store_driver"), fail=control)
    done = driver(folder, mode, "resume", "reserve", 1000, "batch", 10, 100, "make", control, "ENOSPC writes", "batch", 10, 100,
                  "trim", 0, "note", "a", "b", "remove", control, "batch", 10, 100, "trim", 1000, "verify", "dump", env=env, check=False)
    assert [why for _, why in facts_of(done, "failed")] == ["batch: limit reached", "trim: limit reached", "note: limit reached"]
    assert [int(number) for _, number in facts_of(done, "committed")] == [10, 20]
    assert ("verified", "0") in done.facts and events(done)[-1]["seq"] == 20


@pytest.mark.parametrize("events_of", [(100, 1000), (20, 20000), (1000, 0)])
def test_a_map_that_is_full_to_the_end_can_be_trimmed(events_of, tmp_path):
    done = driver(tmp_path / "data", "interval:1", "reserve", 10_000_000, "fill", *events_of, "fill", 1, 3000, "fill", 1, 0,
                  "trimall", 1_000_000, "batch", 100, 1000, "verify", check=False)
    assert [why for _, why in facts_of(done, "failed")] == ["batch: limit reached"] * 3
    assert ("verified", "0") in done.facts and facts_of(done, "trimmed")
    assert int(facts_of(done, "committed")[-1][1]) == int(facts_of(done, "committed")[-2][1]) + 100


def on_small_disk(folder, size, *words):
    """Runs the words on a file system of that size, which is gone with the process. None where mounts are not allowed."""
    folder.mkdir()
    script = 'mount -t tmpfs -o size="$1" none "$2" || exit 77; shift; folder=$1; shift; exec "$0" "$folder" "$@"'
    done = subprocess.run(["unshare", "--mount", "bash", "-c", script, program("store_driver"), size, str(folder), *map(str, words)],
                          capture_output=True, text=True, timeout=seconds(120), check=False)
    if done.returncode in (1, 77) and not done.stdout:
        return None
    done.facts = [tuple(line.split(" ", 1)) for line in done.stdout.splitlines() if " " in line]
    return done


@pytest.mark.parametrize("mode", ["commit", "interval"])
def test_a_disk_that_is_really_full_can_be_trimmed_with_the_reserve(mode, tmp_path):
    done = on_small_disk(tmp_path / "small", "16m", mode, "keep", "reserve", 1_000_000, "fill", 100, 1000, "fill", 1, 2000,
                         "give", "trimall", 2_000_000, "batch", 100, 1000, "keep", "verify", "clean")
    if done is None:
        pytest.skip("this process may not mount a file system")
    # The file keeps what trimming has freed inside it, so that there is no room for a new reserve.
    assert [why for _, why in facts_of(done, "failed")] == [*["batch: limit reached"] * 2, "keep: limit reached"], done.stdout
    assert ("given", "1") in done.facts and ("verified", "0") in done.facts
    committed = [int(number) for number in (rest for _, rest in facts_of(done, "committed"))]
    assert committed[-1] == committed[-2] + 100 and done.returncode == 1


@pytest.mark.parametrize("fstype, name", [(0x6969, "NFS"), (0xff534d42, "CIFS"), (0xfe534d42, "SMB2"), (0x01021997, "9p"),
                                          (0x00c36400, "Ceph")])
def test_a_network_file_system_is_refused(fstype, name, tmp_path):
    env = faults.environment(tmp_path, program("store_driver"), fstype=hex(fstype))
    for mode in ("commit", "read"):
        done = driver(tmp_path, mode, env=env, check=False)
        assert done.returncode == 3 and f"lies on a network file system ({name}), where a journal is not safe" in done.stderr
        assert "choose a folder on a local disk" in done.stderr
    assert os.listdir(tmp_path) == []


# ---- the library: a program that writes, truncates and syncs in known ways ----

VICTIM = """
import os, sys, time
fd = os.open(sys.argv[1] + "/file", os.O_RDWR | os.O_CREAT, 0o600)
for i in range(4):
    os.pwrite(fd, bytes([65 + i]) * 1024, i * 1024)
    print("wrote", i, flush=True)
os.fdatasync(fd)
print("synced", flush=True)
os.pwritev(fd, [b"x" * 512, b"y" * 512], 4096)
os.ftruncate(fd, 8192)
os.rename(sys.argv[1] + "/file", sys.argv[1] + "/other")
folder = os.open(sys.argv[1], os.O_RDONLY)
os.fsync(folder)
os.unlink(sys.argv[1] + "/other")
print("done", flush=True)
"""


def run_victim(folder, code=VICTIM, **what):
    folder.mkdir(exist_ok=True)
    env = {**os.environ, **faults.environment(folder, sys.executable, **what)}
    return subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, env=env, timeout=seconds(60),
                          check=False)


def test_the_log_has_every_operation_in_order(tmp_path):
    assert run_victim(tmp_path / "d", log=tmp_path / "log").returncode == 0
    log = [(o.kind, o.name, o.offset, len(o.data)) for o in faults.read_log(tmp_path / "log")]
    assert log == [(faults.CREATE, "file", 0, 0), *[(faults.WRITE, "file", n * 1024, 1024) for n in range(4)],
                   (faults.SYNC, "file", 0, 0), (faults.WRITE, "file", 4096, 512), (faults.WRITE, "file", 4608, 512),
                   (faults.TRUNCATE, "file", 8192, 0), (faults.RENAME, "file", 0, 5), (faults.SYNC_FOLDER, "", 0, 0),
                   (faults.REMOVE, "other", 0, 0)]


@pytest.mark.parametrize("stop, printed, size", [
    ("1 before", 0, 0), ("1 mid", 0, 512), ("1 after", 0, 1024), ("2 before", 1, 1024), ("4 after", 3, 4096),
    ("5 before", 4, 4096), ("5 after", 4, 4096), ("6 before", 5, 4096), ("6 mid", 5, 4608), ("6 after", 5, 5120), ("7 after", 5, 8192)])
def test_the_process_ends_where_it_is_told(stop, printed, size, tmp_path):
    done = run_victim(tmp_path / "d", stop=stop)
    assert done.returncode == -9
    assert len(done.stdout.splitlines()) == printed
    assert (tmp_path / "d" / "file").stat().st_size == size


def test_it_fails_while_the_control_file_is_there(tmp_path):
    folder = tmp_path / "d"
    code = """
import errno, os, sys
fd = os.open(sys.argv[1] + "/file", os.O_RDWR | os.O_CREAT, 0o600)
def attempt(call, *args):
    try:
        call(*args)
        print("ok")
    except OSError as error:
        print(errno.errorcode[error.errno])
def control(text):
    with open(sys.argv[1] + "/../control", "w") as file:
        file.write(text)
attempt(os.pwrite, fd, b"a", 0)
control("ENOSPC writes 1")
for _ in range(3):
    attempt(os.pwrite, fd, b"a", 0)
attempt(os.fsync, fd)
control("EIO syncs")
attempt(os.pwrite, fd, b"a", 0)
attempt(os.fsync, fd)
os.unlink(sys.argv[1] + "/../control")
attempt(os.fsync, fd)
"""
    done = run_victim(folder, code, fail=tmp_path / "control")
    assert done.stdout.split() == ["ok", "ok", "ENOSPC", "ENOSPC", "ok", "ok", "EIO", "ok"], done.stderr


def test_a_sync_takes_longer_while_it_is_told_to(tmp_path):
    code = """
import os, sys, time
fd = os.open(sys.argv[1] + "/file", os.O_RDWR | os.O_CREAT, 0o600)
begin = time.monotonic()
os.fdatasync(fd)
print(time.monotonic() - begin)
"""
    faults.control(tmp_path / "control", "300")
    assert float(run_victim(tmp_path / "d", code, delay=tmp_path / "control").stdout) >= 0.3


def test_the_clock_steps_and_steps_back(tmp_path):
    code = """
import os, sys, time
control = sys.argv[1] + "/../control"
before, begin = time.time(), time.monotonic()
def step(text):
    with open(control + ".new", "w") as file:
        file.write(text)
    os.rename(control + ".new", control)
def shifted():
    return time.time() - before - (time.monotonic() - begin)
step("3600")
while not 3599 < shifted() < 3601:
    pass
step("-86400")
while not -86401 < shifted() < -86399:
    pass
os.unlink(control)
while not -1 < shifted() < 1:
    pass
print("good")
"""
    done = run_victim(tmp_path / "d", code, clock=tmp_path / "control")
    assert done.stdout == "good\n", done.stderr


def test_a_power_cut_keeps_what_was_synced_and_mixes_the_rest(tmp_path):
    run_victim(tmp_path / "d", log=tmp_path / "log", stop="8 before")
    operations = faults.read_log(tmp_path / "log")
    found = set()
    for seed in range(200):
        faults.power_cut(operations, tmp_path / str(seed), seed)
        path = tmp_path / str(seed) / "file"
        content = path.read_bytes() if path.exists() else None  # its name was never synced
        found.add(content)
        if content is not None:
            assert content[:4096] == b"".join(bytes([65 + i]) * 1024 for i in range(4))
            assert len(content) in (4096, 4608, 5120, 8192)
    tails = {content[4096:5120] for content in found if content}
    assert {b"", b"x" * 512, b"x" * 512 + b"y" * 512, bytes(512) + b"y" * 512} <= tails and None in found
