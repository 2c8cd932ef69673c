"""Disks that fail, for the state file of a gatekeeper that runs: as real as the machine and its user allow."""

import contextlib
import os
import resource
import subprocess
from pathlib import Path


class Disk:
    """A folder for a state file. ``fail`` makes every write to it fail, ``heal`` ends that."""

    why = ""
    """A part of what the system says of a write that failed."""
    heals_under_use = True
    """Whether ``heal`` may be called while a supervisor has its files open."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def use(self, pid):
        """``pid`` is the process that writes here."""

    def fail(self):
        raise NotImplementedError

    def heal(self):
        raise NotImplementedError

    def close(self):
        self.heal()


class FullDisk(Disk):
    """A small file system of its own that something else fills to the last byte. Needs the right to mount."""

    why = "full"

    def __init__(self, folder):
        super().__init__(folder)
        _run("mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "gatekeeper-test", str(folder))

    def fail(self):
        with contextlib.suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as file:
            while file.write(b"x" * 4096) == 4096:
                pass

    def heal(self):
        (self.folder / "filler").unlink(missing_ok=True)

    def close(self):
        _run("umount", str(self.folder))


class LimitedDisk(Disk):
    """No file of that process may grow: what a quota that is used up comes to. Needs no rights."""

    why = "disk I/O error"

    def use(self, pid):
        self._pid = pid

    def fail(self):
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def heal(self):
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class ReadOnlyDisk(Disk):
    """An ext4 of its own that meets an error, so that the kernel lets nobody write to it any more (mount(8),
    errors=remount-ro). It heals as it would for an operator: nobody may have a file open there. Needs root.
    """

    why = "disk I/O error"
    heals_under_use = False

    def __init__(self, folder):
        super().__init__(folder)
        self._image = folder.with_suffix(".ext4")
        with self._image.open("wb") as file:
            file.truncate(16 * 1024 * 1024)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        self._mount()

    def _mount(self):
        _run("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.folder))

    def fail(self):
        if not self.failing:
            device = self.folder.stat().st_dev
            name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
            Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("an error of the disk")

    @property
    def failing(self):
        try:
            (self.folder / "probe").touch()
        except OSError:
            return True
        return False

    def heal(self):
        if self.failing:
            _run("umount", str(self.folder))
            _run("e2fsck", "-fy", str(self._image), fine=(0, 1))  # 1: errors were corrected
            self._mount()

    def close(self):
        _run("umount", str(self.folder))


def _run(*command, fine=(0,)):
    """Raises OSError with what the program says when it fails, or when it is not there."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in fine:
        raise OSError(f"{command[0]}: {done.stderr.strip()}")
