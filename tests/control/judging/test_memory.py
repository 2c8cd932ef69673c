"""The memory of units is one piece of memory for several processes, and is there after a kill."""

import errno
import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gatekeeper.control.judging import memory as module
from gatekeeper.control.judging.memory import WHOLE, Memory
from gatekeeper.core.judge.units import SIZE, Units, first_seen

ROOT = Path(__file__).parents[3]

KILLED = """
import os, sys
from gatekeeper.control.judging.memory import Memory
from gatekeeper.core.judge.units import Units
memory = Memory.create(sys.argv[1])
units = Units.begin(memory.view)
units.is_new(4711)
memory.last = 42
os.kill(os.getpid(), 9)
"""


def test_a_kill_loses_nothing_of_it(tmp_path):
    path = str(tmp_path / "a.units")
    child = subprocess.run([sys.executable, "-c", KILLED, path], cwd=ROOT, check=False)
    assert child.returncode == -signal.SIGKILL
    found = Memory.open(path)
    assert found.last == 42
    assert not Units(found.view).is_new(4711)


def test_workers_see_what_is_written_at_once(tmp_path):
    made = Memory.create(str(tmp_path / "a.units"))
    units = Units.begin(made.view)
    handle = os.open(made.path, os.O_RDONLY)
    seen = memoryview(mmap.mmap(handle, SIZE, prot=mmap.PROT_READ))
    os.close(handle)
    assert not first_seen(seen, 7)
    units.is_new(7)
    assert first_seen(seen, 7)


def test_a_new_one_takes_the_place_of_an_old_one_that_others_still_read(tmp_path):
    path = str(tmp_path / "a.units")
    old = Memory.create(path)
    old.last = 5
    new = Memory.create(path)
    assert (old.last, new.last) == (5, -1)
    assert Memory.open(path).last == -1
    assert Path(path).stat().st_mode & 0o777 == 0o600


def test_all_of_its_room_is_taken_when_it_is_made(tmp_path):
    made = Memory.create(str(tmp_path / "a.units"))
    assert Path(made.path).stat().st_blocks * 512 >= WHOLE


@pytest.mark.parametrize("call", ["open", "posix_fallocate"])
def test_without_room_nothing_is_left_behind(tmp_path, monkeypatch, call):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, call, full)
    with pytest.raises(OSError, match="No space"):
        Memory.create(str(tmp_path / "a.units"))
    assert not [*tmp_path.iterdir()]


def test_one_that_is_not_whole_or_not_there_or_no_file_is_none(tmp_path):
    path = tmp_path / "a.units"
    assert Memory.open(str(path)) is None
    path.write_bytes(bytes(WHOLE - 1))
    assert Memory.open(str(path)) is None
    path.unlink()
    path.symlink_to(tmp_path / "b.units")
    (tmp_path / "b.units").write_bytes(bytes(WHOLE))
    assert Memory.open(str(path)) is None


def test_a_private_one_has_no_file_and_works_the_same():
    made = Memory.private()
    assert (made.path, made.last) == (None, -1)
    assert Units.begin(made.view).is_new(3)
    made.flush()
    made.remove()


def test_it_is_removed_while_others_have_it(tmp_path):
    made = Memory.create(str(tmp_path / "a.units"))
    made.remove()
    made.remove()
    made.last = 9
    assert made.last == 9
    assert not [*tmp_path.iterdir()]
