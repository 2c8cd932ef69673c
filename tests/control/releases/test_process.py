"""A program that is run for a check is watched to its end, whatever it does, and nothing of it is left."""

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop

from gatekeeper.control.releases import process
from gatekeeper.control.releases.leftovers import Leftovers
from gatekeeper.control.releases.process import Ended, Programs


@pytest.fixture
async def programs(monkeypatch, tmp_path):
    monkeypatch.setattr(process, "END_SECONDS", 0.2)
    with ThreadPoolExecutor(2) as threads:
        made = Programs(threads, Leftovers(str(tmp_path / "state.db")))
        yield made
        await made.close()


async def run(programs, *arguments, seconds=10.0, directory="/", **environment):
    environment = {"PATH": os.environ["PATH"], **environment}
    return await programs.run(arguments, environment=environment, directory=str(directory), seconds=seconds)


async def sh(programs, script, **more):
    return await run(programs, "sh", "-c", script, **more)


def alive(pid):
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until_gone(pid):
    async with asyncio.timeout(5):
        while alive(pid):  # noqa: ASYNC110 - the system tells nobody of somebody else's child
            await asyncio.sleep(0.01)


async def pid_in(path):
    async with asyncio.timeout(5):
        while True:
            with suppress(FileNotFoundError, ValueError):
                return int(path.read_text())
            await asyncio.sleep(0.005)


def children():
    """Our own processes, zombies too."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                parts = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(parts[1]) == os.getpid():
                    found.append(entry.name)
    return found


def descriptors():
    return len([*Path("/proc/self/fd").iterdir()])


async def test_exit_code_0_passes_and_all_it_says_is_kept_in_its_order(programs):
    ended = await sh(programs, "echo one; echo two >&2; echo three")
    assert ended == Ended(passed=True, how="exit code 0", output="one\ntwo\nthree\n")


@pytest.mark.parametrize(
    ("script", "how"),
    [("exit 3", "exit code 3"), ("kill -SEGV $$", "ended by SIGSEGV"), ("kill -40 $$", "ended by signal 40")],
)
async def test_any_other_end_fails_and_is_said_in_words(programs, script, how):
    assert await sh(programs, script) == Ended(passed=False, how=how)


async def test_it_runs_in_its_directory_with_its_environment_alone_and_nothing_to_read(programs, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_SUPERVISOR", "yes")
    ended = await sh(programs, "pwd; env; cat", directory=tmp_path, MINE="1")
    first, *rest = ended.output.split("\n")
    assert (ended.passed, first) == (True, str(tmp_path))
    assert {line.partition("=")[0] for line in rest if line} <= {"PATH", "MINE", "PWD", "OLDPWD", "SHLVL", "_"}
    assert "MINE=1" in rest


async def test_one_that_takes_too_long_is_ended_with_all_it_started(programs, tmp_path):
    script = f"sleep 60 & echo $! > {tmp_path}/child; echo begun; wait"
    began = time.monotonic()
    ended = await sh(programs, script, seconds=0.3)
    assert ended == Ended(passed=False, how="did not end within 0.3 s, and was ended", output="begun\n")
    assert time.monotonic() - began < 2
    await until_gone(await pid_in(tmp_path / "child"))


async def test_one_that_ignores_being_asked_to_end_is_ended_by_force(programs):
    ended = await sh(programs, "trap '' TERM; while :; do sleep 0.05; done", seconds=0.1)
    assert ended.how == "did not end within 0.1 s, and was ended"


async def test_one_that_cleans_up_when_asked_to_end_has_the_time_to(programs):
    ended = await sh(programs, "trap 'echo cleaned; exit 0' TERM; sleep 60 & wait", seconds=0.2)
    assert ended == Ended(passed=False, how="did not end within 0.2 s, and was ended", output="cleaned\n")


async def test_what_it_left_running_ends_with_it_and_is_not_waited_for(programs, tmp_path):
    ended = await sh(programs, f"sleep 60 & echo $! > {tmp_path}/child; echo done", seconds=5)
    assert ended == Ended(passed=True, how="exit code 0", output="done\n")
    await until_gone(await pid_in(tmp_path / "child"))


async def test_one_that_closes_its_output_is_still_waited_for(programs):
    assert await sh(programs, "exec >&- 2>&-; sleep 0.2; exit 4") == Ended(passed=False, how="exit code 4")
    ended = await sh(programs, "exec >&- 2>&-; sleep 60", seconds=0.2)
    assert ended.how == "did not end within 0.2 s, and was ended"


async def test_somebody_outside_its_group_who_holds_its_output_open_is_not_waited_for(programs, tmp_path):
    script = f"setsid sh -c 'echo $$ > {tmp_path}/child; while sleep 0.02; do echo x; done' & sleep 0.1; echo done"
    ended = await sh(programs, script, seconds=5)
    child = await pid_in(tmp_path / "child")
    assert ended.passed
    assert "done\n" in ended.output
    await until_gone(child)  # nobody reads what it says any more


async def test_one_that_says_very_much_is_neither_stopped_nor_kept_whole(programs):
    ended = await sh(programs, "head -c 20000000 /dev/zero; echo end")
    assert ended.passed
    assert len(ended.output) < 4200
    assert ended.output.endswith("end\n")


async def test_who_is_cancelled_does_not_wait_and_the_program_is_ended_behind(programs, tmp_path):
    script = f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.05; done"
    task = asyncio.create_task(sh(programs, script))
    pid = await pid_in(tmp_path / "pid")
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 0.15
    assert programs.running == 1
    await programs.close()
    assert (programs.running, alive(pid), children()) == (0, False, [])


async def test_one_cancelled_while_it_is_started_does_not_run_on(programs, tmp_path):
    for _ in range(20):
        task = asyncio.create_task(sh(programs, f"sleep 1; touch {tmp_path}/ran"))
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await programs.close()
    assert not (tmp_path / "ran").exists()
    assert children() == []


async def test_no_zombie_and_no_descriptor_is_left(programs):
    before = descriptors()
    for script in ("true", "exit 1", "sleep 60 & exit 0", "kill -9 $$"):
        await sh(programs, script)
    await sh(programs, "sleep 60", seconds=0.05)
    await run(programs, "/nowhere")
    assert children() == []
    assert descriptors() == before


async def test_one_that_cannot_be_started_fails_with_the_way_out(programs, tmp_path):
    (tmp_path / "plain").write_text("echo")
    (tmp_path / "odd").write_text("#!/no/such/interpreter\n")
    (tmp_path / "odd").chmod(0o755)
    (tmp_path / "text").write_text("\x00\x01\x02 no program")
    (tmp_path / "text").chmod(0o755)
    how = {}
    for name in ("./missing", "missing-program", "./plain", "./odd", "./text"):
        ended = await run(programs, name, directory=tmp_path)
        assert not ended.passed
        how[name] = ended.how
    assert how["./missing"] == f"{tmp_path}/missing was not found; put it there, or name it by its whole path"
    assert how["missing-program"].startswith("missing-program was not found in PATH (")
    assert how["./plain"].startswith(f"{tmp_path}/plain may not be run by uid {os.geteuid()}; chmod +x it")
    assert "the interpreter that its first line names is missing" in how["./odd"]
    assert how["./text"] == f"{tmp_path}/text is no program; give it a first line such as #!/bin/sh"
    assert (
        "directory /gone, that of the configuration file, is gone"
        in (await run(programs, "true", directory="/gone")).how
    )
    assert "null byte" in (await run(programs, "a\0b")).how


async def test_without_descriptors_it_fails_and_nothing_runs_on(programs, monkeypatch, tmp_path):
    def none_left(_pid):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", none_left)
    ended = await sh(programs, f"sleep 0.5; touch {tmp_path}/ran")
    assert ended.how == "sh could not be started: too many open files; look at the limits of this machine and user"
    assert children() == []


async def test_the_loop_of_the_supervisor_does_it_all_as_well(tmp_path):
    async def several():
        with ThreadPoolExecutor(2) as threads:
            programs = Programs(threads, Leftovers(str(tmp_path / "state.db")))
            try:
                return [
                    await sh(programs, "echo hello; exit 3"),
                    await sh(programs, "exec >&- 2>&-; sleep 60", seconds=0.1),
                    await sh(programs, "sleep 60 & exit 0"),
                    await run(programs, "./missing", directory=tmp_path),
                ]
            finally:
                await programs.close()

    ended = await asyncio.to_thread(uvloop.run, several())
    assert [each.how for each in ended] == [
        "exit code 3",
        "did not end within 0.1 s, and was ended",
        "exit code 0",
        f"{tmp_path}/missing was not found; put it there, or name it by its whole path",
    ]
    assert ended[0].output == "hello\n"
    assert children() == []
