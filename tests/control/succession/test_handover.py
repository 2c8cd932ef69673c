"""Both ends of a hand-over against real processes: what a new program may do wrong, and what comes of it."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

import pytest

from gatekeeper import __version__
from gatekeeper.control.succession import handover
from gatekeeper.control.succession.estate import Estate
from gatekeeper.control.succession.given import Given
from gatekeeper.control.succession.handover import VARIABLE, HandoverError, Predecessor, Successor, own_command

SCRIPT = str(Path(__file__).with_name("new_program.py"))


@pytest.fixture
async def successor(tmp_path):
    made = []

    def make(*plan):
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "TOLD": str(tmp_path / "told"),
            "EXTRA": "passed on",
        }
        made.append(Successor([sys.executable, SCRIPT, *plan], environment))
        return made[-1]

    yield make
    for each in made:
        await each.end()


@pytest.fixture
def estate():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield Estate(pid=os.getpid(), sockets=[Given(sock, "web", "web", 0)])


def gone(pid):
    return not Path(f"/proc/{pid}").exists()


async def until(condition, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another process acts when it acts
            await asyncio.sleep(0.01)


async def told(tmp_path):
    await until(lambda: (tmp_path / "told").exists() and (tmp_path / "told").read_text().endswith("}"))
    return json.loads((tmp_path / "told").read_text())


async def test_a_hand_over_that_succeeds(successor, estate, tmp_path):
    new = successor("inherit", "ready", "events")
    await new.start()
    assert (new.version, new.state_path) == (__version__, "/state")
    assert await new.give(estate) == {("web", 0)}
    await new.release()
    assert await new.send({"type": "event", "event": {"kind": "old_program_ended"}})
    new.forget()
    assert await told(tmp_path) == {
        "env": False,  # its workers and its own successors must not find it
        "extra": "passed on",
        "sockets": [["web", 0]],
        "follows": True,
        "events": [{"kind": "old_program_ended"}],
    }


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (["die"], r"it ended \(exit code 3\); look for its messages on stderr"),
        (["fail"], "the file says nonsense"),
        (["hang"], "it did not say 'hello' within 0.5 s"),
        (["nonsense"], "speaks nonsense"),
        (["old-protocol"], r"version 9.9 hands over by protocol 2, this one .* by 1; restart instead"),
    ],
)
async def test_a_new_program_that_does_not_get_to_hello_is_ended_and_its_reason_told(
    successor, monkeypatch, plan, reason
):
    if plan == ["hang"]:
        monkeypatch.setattr(handover, "HELLO_SECONDS", 0.5)
    new = successor(*plan)
    with pytest.raises(HandoverError, match=reason):
        await new.start()
    await new.end()
    assert gone(new.pid)


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (["inherit", "die"], "exit code 3"),
        (["inherit", "fail"], "the file says nonsense"),
        (["inherit", "hang"], "it did not say 'ready' within 0.5 s"),
    ],
)
async def test_a_new_program_that_does_not_get_ready_is_ended_and_its_reason_told(
    successor, estate, monkeypatch, plan, reason
):
    new = successor(*plan)
    await new.start()
    monkeypatch.setattr(handover, "READY_SECONDS", 0.5)
    with pytest.raises(HandoverError, match=reason):
        await new.give(estate)
    await new.end()
    assert gone(new.pid)


async def test_a_program_that_cannot_be_started_is_named():
    new = Successor(["/no/such/python"], {})
    with pytest.raises(HandoverError, match=r"/no/such/python cannot be started \(No such file"):
        await new.start()
    await new.end()


async def test_the_loop_turns_while_a_new_program_takes_its_time(successor):
    new, turns = successor("late", "inherit"), 0
    starting = asyncio.create_task(new.start())
    while not starting.done():
        await asyncio.sleep(0.01)
        turns += 1
    await starting
    assert turns > 50


async def test_a_new_program_whose_starter_dies_before_handing_over_gives_up():
    ours, theirs = socket.socketpair()
    ours.close()
    predecessor = Predecessor(theirs)
    with pytest.raises(HandoverError, match="nothing was handed over"):
        await predecessor.inherit("/state")
    predecessor.close()


async def test_a_new_program_whose_starter_dies_afterwards_goes_on(successor, estate, tmp_path):
    new = successor("inherit", "ready")
    await new.start()
    await new.give(estate)
    new.forget()  # as if dead: the line is gone
    assert (await told(tmp_path))["follows"] is False


def test_an_ordinary_start_follows_nobody_and_a_stray_variable_is_named(tmp_path):
    assert Predecessor.from_environment({}) is None
    for stray in ("9999", "x"):
        environment = {VARIABLE: stray}
        with pytest.raises(HandoverError, match=f"{VARIABLE}={stray} in the environment names no socket"):
            Predecessor.from_environment(environment)
        assert environment == {}


def test_the_same_command_is_started_again():
    assert own_command() == [sys.executable, *sys.orig_argv[1:]]
