"""disk: the journal's folder: on a small file system of its own that can be filled, and under a library that can cut
the power and set the clock (tests/support/faults).

Mounting needs rights that not every machine gives; without them the library says that the disk is full.
"""
import os
import shutil
import subprocess

from support import faults
from support.daemons import program

PIECE = bytes(1 << 20)


class Disk:
    """folder: of the journal; beside: a folder for control files, the log of writes and the image of the last start."""

    def __init__(self, folder, beside, megabytes=256):
        self.folder, self.beside = folder, beside
        self.fail, self.clock, self.log, self.image = (os.path.join(beside, name) for name in ("fail", "clock", "log", "image"))
        self.has_library = os.path.exists(faults.LIBRARY)
        self.is_logging = False
        os.makedirs(beside, exist_ok=True)
        self.filler = os.path.join(folder, "filler")
        os.makedirs(folder, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "none", folder],
                              capture_output=True, check=False)
        self.is_possible = done.returncode == 0

    def fill(self):
        """Not a byte of room is left."""
        if not self.is_possible:
            faults.control(self.fail, "ENOSPC")
            return
        with open(self.filler, "ab", buffering=0) as file:
            size = len(PIECE)
            while size:
                try:
                    file.write(PIECE[:size])
                except OSError:
                    size //= 4

    def free(self):
        if os.path.exists(self.fail):
            os.unlink(self.fail)
        if os.path.exists(self.filler):
            os.unlink(self.filler)

    def can_be_full(self):
        return self.is_possible or self.has_library

    # --- the library ---

    def environment(self, with_log):
        """For the next start of the hub. with_log: writes are noted from now on, for a power cut."""
        self.is_logging = False
        if not self.has_library:
            return {}
        shutil.rmtree(self.image, ignore_errors=True)
        if os.path.exists(self.log):
            os.unlink(self.log)
        if with_log:
            # A start finds what programs see; whether that had reached the disk is another power cut's matter.
            shutil.copytree(self.folder, self.image, ignore=shutil.ignore_patterns("filler"))
            self.is_logging = True
        return faults.environment(self.folder, program("notifyhub-hub"), log=self.log if with_log else None,
                                  fail=self.fail, clock=self.clock)

    def cut_power(self, seed):
        """The hub is dead: leaves in the folder what a power cut at that moment could have left."""
        disk = faults.Disk()
        disk.load(self.image)
        for operation in faults.read_log(self.log):
            disk.play(operation)
        self.free()
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        disk.power_cut(self.folder, seed)

    def step_clock(self, seconds):
        faults.control(self.clock, f"{seconds:.3f}")

    def straight_clock(self):
        if os.path.exists(self.clock):
            os.unlink(self.clock)

    def close(self):
        if self.is_possible:
            self.is_possible = False
            subprocess.run(["umount", "-l", self.folder], capture_output=True, check=False)
