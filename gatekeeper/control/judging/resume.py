"""A case as a start finds it: how much of its past is there, and whether that is enough to go on. See ``judging``.

It blocks for as long as the disk does.
"""

import contextlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gatekeeper.control.judging.case import Case, Task
from gatekeeper.control.judging.memory import Memory
from gatekeeper.control.judging.seconds import SecondsLog
from gatekeeper.control.store.rows import Document, Judgement
from gatekeeper.core import codec
from gatekeeper.core.judge.gather import Gathering
from gatekeeper.core.judge.judge import Judge
from gatekeeper.core.judge.second import Second
from gatekeeper.core.judge.units import Units

log = logging.getLogger("gatekeeper.judge")

FORGOTTEN: Final = 30
"""Seconds that were judged and may be missing. After a power cut those since the last dump are; to begin again before
them gives luck a second chance of these seconds alone. More than that is no accident of a moment."""

BOOT: Final = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True, slots=True)
class Here:
    """Now: steady seconds of this boot, wall seconds, and which boot it is (empty: not known)."""

    now: float
    wall: float
    boot: str


def boot_id() -> str:
    """By which a boot of this machine is known; empty where the system does not say."""
    try:
        return Path(BOOT).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def begin(task: Task, stem: str, directory: str, here: Here) -> tuple[Case, str]:
    """A new case, and why the disk does not keep its memory of units, if so."""
    memory, trouble = _empty(stem)
    return Case.begin(task, memory, SecondsLog(directory, task.release, task.service), here.boot), trouble


def resume(task: Task, row: Judgement | None, stem: str, directory: str, here: Here) -> tuple[Case, str]:
    """The case that ``row`` was kept of, going on; or a new one whose judge knows that its past is gone.

    ``task`` is as it would be for a new one. The text is as of ``begin``.
    """
    seconds = SecondsLog(directory, task.release, task.service)
    with contextlib.suppress(OSError):
        seconds.mend()
    try:
        case = _found(task, row, stem, seconds, here) if row is not None else None
    except (codec.CodecError, KeyError, TypeError, ValueError) as error:
        log.error("a judge cannot be read", extra={"release": task.release, "reason": str(error)})  # noqa: TRY400
        case = None
    if case is not None:
        return case, ""
    case, trouble = begin(task, stem, directory, here)
    case.lost("what the judge knew is not there any more")
    return case, trouble


def _found(task: Task, row: Judgement, stem: str, seconds: SecondsLog, here: Here) -> Case | None:
    dump = row.dump
    judge = Judge.load(dump["judge"])
    origin, began = float(dump["origin"]), float(dump["began"])
    same_boot = bool(here.boot) and dump["boot"] == here.boot and here.now - origin > judge.last
    if same_boot:
        # What was written before a power cut is not asked for: the memory of units may be older than that.
        for each in seconds.after(judge.last) or ():
            judge.add(codec.load(Second, each))
    units_found = Memory.open(f"{stem}.units")
    memory = units_found
    lost = ""
    if memory is None:
        memory, _ = _empty(stem)
        lost = "the memory of units is not there any more"
    elif memory.last - judge.last > FORGOTTEN:
        lost = f"the evidence of {memory.last - judge.last} s is not there any more"
    reached = max(judge.last, memory.last)
    if not same_boot:
        # The steady clock began anew; the seconds of the release go on.
        origin = here.now - (reached + 1)
        began = here.wall - (reached + 1)
    first = max(reached + 1, int(here.now - origin))
    task = replace(task, units=bool(dump["units"]), routes=tuple(dump["routes"]), origin=origin, began=began)
    units = None
    if task.units:
        try:
            units = Units(memory.view)
        except ValueError:
            units = Units.begin(memory.view)
            lost = lost or "the memory of units cannot be read"
    gathering = Gathering.load(dump["gathering"], units, first=first)
    case = Case(task, judge, gathering, memory, seconds, here.boot)
    case.ask_as(overdue=dump["overdue"] is True, whole=dump["whole"] is True)
    if lost:
        case.lost(lost)
    return case


def recorded(dump: Document) -> Judge:
    """The judge in what was kept. Raises CodecError, KeyError."""
    return Judge.load(dump["judge"])


def _empty(stem: str) -> tuple[Memory, str]:
    try:
        return Memory.create(f"{stem}.units"), ""
    except OSError as error:
        return Memory.private(), f"{stem}.units: {(error.strerror or str(error)).lower()}"
