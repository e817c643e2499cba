"""faults: runs programs over the library in tests/support/faults, and makes the files that a power cut would leave.

    env = faults.environment(folder, program("store_driver"), log=log, stop="7 before")
    …run a program with env…
    faults.power_cut(faults.read_log(log), image, seed=1)

What the variables do and what the log holds stands in tests/support/faults/faults.h. Control files are made with
control(path, text) and removed with os.unlink(); a program sees both at its next operation.
"""
import contextlib
import dataclasses
import functools
import os
import random
import re
import struct
import subprocess
import tempfile

from .daemons import BIN_DIR

LIBRARY = os.path.join(os.path.dirname(BIN_DIR), "lib", "libnhub_faults.so")
CREATE, WRITE, TRUNCATE, SYNC, SYNC_RANGE, RENAME, REMOVE, SYNC_FOLDER = range(1, 9)
SECTOR = 512
HEAD = struct.Struct("=4sIQQII")


@functools.lru_cache
def sanitizer_runtimes(program):
    """The sanitizers' libraries of a program: they have to be loaded in front of ours."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return re.findall(r"=> (\S*lib[atul]+san\.so\S*)", done.stdout)


def environment(folder, program, *, log=None, stop=None, fail=None, delay=None, clock=None, fstype=None):
    """Variables for a process whose files below `folder` are watched; add them to its environment."""
    assert os.path.exists(LIBRARY), f"{LIBRARY} is not built (target nhub_faults)"
    env = {"LD_PRELOAD": " ".join([*sanitizer_runtimes(program), LIBRARY]), "NHUB_FAULTS_DIR": os.path.realpath(folder)}
    for name, value in (("LOG", log), ("STOP", stop), ("FAIL", fail), ("DELAY", delay), ("CLOCK", clock),
                        ("FSTYPE", fstype)):
        if value is not None:
            env[f"NHUB_FAULTS_{name}"] = str(value)
    return env


def control(path, text):
    """Makes a control file whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(path), delete=False) as file:
        file.write(str(text))
    os.replace(file.name, path)


@contextlib.contextmanager
def while_failing(path, text="ENOSPC"):
    """Operations fail inside the block; path is the `fail` of environment()."""
    control(path, text)
    try:
        yield
    finally:
        os.unlink(path)


@dataclasses.dataclass
class Operation:
    kind: int
    name: str
    offset: int
    length: int
    data: bytes


def read_log(path):
    """All operations; one that was cut off by a kill is not one."""
    with open(path, "rb") as file:
        raw = file.read()
    found, at = [], 0
    while at + HEAD.size <= len(raw):
        magic, kind, offset, length, name_len, _ = HEAD.unpack_from(raw, at)
        assert magic == b"FLT1", f"the log is broken at {at}"
        at += HEAD.size
        name = raw[at:at + name_len].decode()
        data = raw[at + name_len:at + name_len + length]
        at += name_len + length
        if at > len(raw):
            break
        found.append(Operation(kind, name, offset, length, data))
    return found


class _Content:
    """A file's bytes and its size; the empty tail of a long sparse file is not kept in memory."""

    def __init__(self, bytes_=b"", size=0):
        self.bytes, self.size = bytearray(bytes_), size

    def copy(self):
        return _Content(self.bytes, self.size)

    def apply(self, offset, data):
        """A write, or with data None a truncation to the offset."""
        if data is None:
            del self.bytes[offset:]
            self.size = offset
            return
        end = offset + len(data)
        self.bytes.extend(bytes(max(0, end - len(self.bytes))))
        self.bytes[offset:end] = data
        self.size = max(self.size, end)


class _File:
    """What is safe of a file, and what came after that and may or may not be on the disk."""

    def __init__(self):
        self.safe = _Content()
        self.pending = []  # (offset, bytes), or (size, None) for a truncation

    def sync(self):
        for change in self.pending:
            self.safe.apply(*change)
        self.pending = []

    def sync_last(self):
        """The last write is safe; what came before it elsewhere may still be lost."""
        offset, data = self.pending.pop()
        self.safe.apply(offset, data)
        self.pending = [(o, d) for o, d in self.pending if d is None or o + len(d) <= offset or o >= offset + len(data)]

    def after_cut(self, rng):
        """One of the contents that a power cut may leave: nothing or all of what is pending, its beginning or its end,
        some of the writes, or some of the sectors of each."""
        content = self.safe.copy()
        way = rng.choice(("none", "all", "prefix", "late", "writes", "sectors", "sectors"))
        border = rng.randrange(len(self.pending) + 1)
        for i, (offset, data) in enumerate(self.pending):
            if way == "sectors" and data is not None:
                self._apply_sectors(content, offset, data, rng)
            elif (way == "all" or (way == "prefix" and i < border) or (way == "late" and i >= border)
                  or (way in ("writes", "sectors") and rng.random() < 0.5)):
                content.apply(offset, data)
        return content

    @staticmethod
    def _apply_sectors(content, offset, data, rng):
        at = 0
        while at < len(data):
            size = min(SECTOR - (offset + at) % SECTOR, len(data) - at)
            if rng.random() < 0.5:
                content.apply(offset + at, data[at:at + size])
            at += size


class Disk:
    """The state of a folder while a log is played: play() operations, then ask for images."""

    def __init__(self):
        self.names = {}       # as programs see them
        self.safe_names = {}  # as they are on the disk
        self.name_changes = []

    def load(self, folder):
        """What is in this folder is the safe beginning."""
        for name in sorted(os.listdir(folder)):
            file = _File()
            with open(os.path.join(folder, name), "rb") as content:
                whole = content.read()
            file.safe = _Content(whole, len(whole))
            self.names[name] = file
        self.safe_names = dict(self.names)

    def _file(self, name):
        if name not in self.names:
            self._change(("set", name, _File()))
        return self.names[name]

    @staticmethod
    def _apply_name(names, change):
        word, name, value = change
        if word == "set":
            names[name] = value
        elif word == "rename" and name in names:
            names[value] = names.pop(name)
        elif word == "remove":
            names.pop(name, None)

    def _change(self, change):
        self._apply_name(self.names, change)
        self.name_changes.append(change)

    def play(self, operation):
        kind, name = operation.kind, operation.name
        if kind == CREATE:
            self._change(("set", name, _File()))
        elif kind == WRITE:
            self._file(name).pending.append((operation.offset, operation.data))
        elif kind == TRUNCATE:
            self._file(name).pending.append((operation.offset, None))
        elif kind == SYNC:
            self._file(name).sync()
        elif kind == SYNC_RANGE:
            self._file(name).sync_last()
        elif kind == RENAME:
            self._change(("rename", name, operation.data.decode()))
        elif kind == REMOVE:
            self._change(("remove", name, None))
        elif kind == SYNC_FOLDER:
            self.safe_names = dict(self.names)
            self.name_changes = []

    def power_cut(self, folder, seed, skip=("-lock",)):
        """Writes the files that a power cut now could leave; which of them, the seed says."""
        rng = random.Random(seed)
        names = dict(self.safe_names)
        for change in self.name_changes[:rng.randrange(len(self.name_changes) + 1)]:  # a file system keeps their order
            self._apply_name(names, change)
        os.makedirs(folder, exist_ok=True)
        for name, file in names.items():
            if not name.endswith(tuple(skip)):
                content = file.after_cut(rng)
                with open(os.path.join(folder, name), "wb") as out:
                    out.write(content.bytes)
                    out.truncate(content.size)


def power_cut(operations, folder, seed):
    """The files that a power cut after these operations could leave, written into a folder."""
    disk = Disk()
    for operation in operations:
        disk.play(operation)
    disk.power_cut(folder, seed)
