"""The fleet against real processes of a scripted worker: what ends one, and what comes after."""

import asyncio
import json
import os
import re
import signal
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from gatekeeper.channel import encode
from gatekeeper.control.fleet.pace import Pace
from gatekeeper.control.fleet.publish import Acks
from gatekeeper.control.fleet.sockets import Listeners
from gatekeeper.control.fleet.workers import Fleet, FleetError
from gatekeeper.core.model import Backend, Running, Service, ServiceState, Settings, Split, State, Version

FAKE = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))
QUICK = Pace(ping=0.05, pings_unanswered=6, acknowledge=0.4, start=10.0, grace=0.5)


class Memory:
    def __init__(self):
        self.fd = os.memfd_create("test")
        self.settled = 0

    def settle(self):
        self.settled += 1
        return 5, 3


def service_state(name="shop", blue=100):
    weights = {"blue": Decimal(blue), "green": Decimal(100 - blue)}
    versions = {v: Version(v, (Backend(f"http://127.0.0.1:900{i}"),)) for i, v in enumerate(weights)}
    return ServiceState(Service(name, versions, "blue", weights), Running(Split(weights, {}, "00"), "00"))


def state(revision=1, **services):
    return State(revision, Settings(), services or {"shop": service_state()})


def assign(current):
    return {name: {v: i for i, v in enumerate(s.definition.versions, 2)} for name, s in current.services.items()}


@asynccontextmanager
async def fleet_of(
    workers=1, *, pace=QUICK, start=True, warm=dict, hear=lambda *_: None, judge=lambda *_: None, **vices
):
    events, memories = [], [Memory() for _ in range(workers)]
    listeners = Listeners.open(("127.0.0.1:0",), workers)
    os.environ["FAKE_WORKER"] = json.dumps(vices)
    fleet = Fleet(
        memories,
        [listeners.slot(i) for i in range(workers)],
        assign,
        events.append,
        command=FAKE,
        pace=pace,
        warm=warm,
        outcomes=hear,
        recorded=judge,
    )
    fleet.events, fleet.memories, fleet.listeners = events, memories, listeners
    try:
        if start:
            await fleet.start(state(), {"shop": {}})
        yield fleet
    finally:
        await fleet.kill()
        listeners.close()
        for memory in memories:
            os.close(memory.fd)
        del os.environ["FAKE_WORKER"]


async def until(condition, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - processes end when they end
            await asyncio.sleep(0.01)


def runs(pid):
    return Path(f"/proc/{pid}").exists()


def messages(path, kind):
    return [m for m in map(json.loads, path.read_text().splitlines()) if m["type"] == kind]


async def test_all_workers_are_ready_when_start_returns():
    async with fleet_of(2) as fleet:
        assert [(w.state, w.revision, w.restarts) for w in fleet.view()] == [("ready", 1, 0)] * 2
        assert fleet.ready
        assert len(set(fleet.pids)) == 2


async def test_a_killed_worker_is_replaced_within_a_second_with_the_reason_stated():
    async with fleet_of(2) as fleet:
        victim, other = fleet.pids
        began = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        await until(lambda: fleet.view()[0].restarts == 1 and fleet.view()[0].state == "ready")
        assert time.monotonic() - began < 1.0
        assert fleet.pids[0] != victim
        assert fleet.pids[1] == other
        died, replaced = fleet.events
        assert (died["kind"], died["pid"], died["reason"]) == ("worker_died", victim, "killed by SIGKILL")
        assert (died["connections_lost"], died["requests_lost"]) == (5, 3)
        assert (replaced["kind"], replaced["pid"]) == ("worker_replaced", fleet.pids[0])
        assert [memory.settled for memory in fleet.memories] == [1, 0]


async def test_connections_wait_in_the_dead_workers_queue_instead_of_being_refused():
    async with fleet_of() as fleet:
        port = fleet.listeners.slot(0)[0].sock.getsockname()[1]
        os.kill(fleet.pids[0], signal.SIGKILL)
        await until(lambda: fleet.view()[0].restarts == 1)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()


async def test_a_hung_worker_is_ended_and_replaced():
    async with fleet_of() as fleet:
        victim = fleet.pids[0]
        os.kill(victim, signal.SIGSTOP)
        await until(lambda: fleet.view()[0].restarts == 1 and fleet.view()[0].state == "ready")
        assert fleet.events[0]["reason"] == "did not answer for 0.3 s"
        assert not runs(victim)


async def test_a_stopped_supervisor_does_not_blame_its_workers():
    async with fleet_of() as fleet:
        time.sleep(1.0)  # noqa: ASYNC251 - the supervisor's own loop is what hangs here, for 20 pings
        await asyncio.sleep(0.2)
        assert fleet.events == []


@pytest.mark.parametrize(
    ("vice", "reason"),
    [({"garbage": True}, "spoke nonsense"), ({"leave": True}, "closed its channel and ran on")],
)
async def test_a_worker_that_cannot_be_spoken_to_is_replaced(vice, reason):
    async with fleet_of(pace=replace(QUICK, pings_unanswered=1000), **vice) as fleet:
        await until(lambda: fleet.events)
        assert fleet.events[0]["reason"].startswith(reason)


async def test_a_worker_that_keeps_dying_is_started_again_ever_more_slowly():
    async with fleet_of(pace=replace(QUICK, back_off=0.05, back_off_most=0.2)) as fleet:
        os.environ["FAKE_WORKER"] = json.dumps({"die_at_start": 3})
        os.kill(fleet.pids[0], signal.SIGKILL)
        await until(lambda: len(fleet.events) >= 6)
        assert [event["replaced_in"] for event in fleet.events[:6]] == [0.0, 0.05, 0.1, 0.2, 0.2, 0.2]
        assert fleet.events[1]["reason"] == "exit code 3"
        os.environ["FAKE_WORKER"] = "{}"
        await until(lambda: fleet.ready)


async def test_a_long_life_forgives_earlier_deaths():
    async with fleet_of(pace=replace(QUICK, settled=0.0)) as fleet:
        for deaths in range(1, 4):
            await until(lambda: fleet.ready)
            os.kill(fleet.pids[0], signal.SIGKILL)
            await until(lambda n=deaths: fleet.view()[0].restarts == n)
        assert [e["replaced_in"] for e in fleet.events if e["kind"] == "worker_died"] == [0.0, 0.0, 0.0]


async def test_a_worker_that_cannot_start_fails_the_start_and_names_the_reason():
    async with fleet_of(2, start=False, die_at_start=3) as fleet:
        with pytest.raises(FleetError, match=re.escape("worker 0: exit code 3")):
            await fleet.start(state(), {})
        assert fleet.pids == []


async def test_publish_returns_when_every_worker_acknowledged(tmp_path):
    async with fleet_of(2, late_ack=0.1) as fleet:
        assert await fleet.publish(state(2)) == Acks(2, 2)
        assert [worker.revision for worker in fleet.view()] == [2, 2]


async def test_only_what_changed_goes_down_and_a_replaced_worker_gets_the_whole(tmp_path):
    log = tmp_path / "log"
    async with fleet_of(log=str(log)) as fleet:
        first = state(2, shop=service_state(), cart=service_state("cart"), old=service_state("old"))
        await fleet.publish(first)
        second = state(3, shop=service_state(blue=90), cart=first.services["cart"])
        await fleet.publish(second)
        os.kill(fleet.pids[0], signal.SIGKILL)
        await until(lambda: fleet.view()[0].restarts == 1 and fleet.ready)
        start, grown, change, again = messages(log, "state")
        assert (start["base"], grown["base"], set(grown["services"])) == (None, 1, {"cart", "old"})
        assert change["base"] == 2
        assert change["settings"] is None
        assert change["services"].keys() == {"shop", "old"}
        assert change["services"]["old"] is None
        assert change["services"]["shop"]["state"]["running"]["split"]["weights"] == {"blue": "90", "green": "10"}
        assert change["services"]["shop"]["slots"] == {"blue": 2, "green": 3}
        assert (again["base"], again["revision"], set(again["services"])) == (None, 3, {"shop", "cart"})


async def test_a_worker_that_does_not_acknowledge_in_time_is_gone_when_publish_returns():
    async with fleet_of(2, mute_acks=True) as fleet:
        pids = fleet.pids
        assert await fleet.publish(state(2)) == Acks(2, 2)
        assert not any(runs(pid) for pid in pids)
        assert fleet.events[0]["reason"] == "did not take up revision 2: no answer within 0.4 s"
        assert [w.revision for w in fleet.view()] == [2, 2]


async def test_a_worker_that_refuses_a_revision_is_replaced_by_one_that_starts_with_it():
    async with fleet_of(nack_from=2) as fleet:
        assert await fleet.publish(state(2)) == Acks(1, 1)
        assert fleet.events[0]["reason"] == "did not take up revision 2: I do not like it"


async def test_a_worker_that_dies_instead_of_acknowledging_does_not_fail_the_change():
    async with fleet_of(pace=replace(QUICK, acknowledge=30.0), mute_acks=True) as fleet:
        publishing = asyncio.create_task(fleet.publish(state(2)))
        await asyncio.sleep(0.05)
        os.kill(fleet.pids[0], signal.SIGKILL)
        async with asyncio.timeout(5):
            assert await publishing == Acks(1, 1)


async def test_a_change_does_not_wait_for_a_worker_that_keeps_dying():
    async with fleet_of(2, pace=replace(QUICK, back_off=60.0, back_off_most=60.0, patience=1)) as fleet:
        os.environ["FAKE_WORKER"] = json.dumps({"die_at_start": 3})
        os.kill(fleet.pids[0], signal.SIGKILL)
        await until(lambda: fleet.view()[0].restarts == 2)
        os.environ["FAKE_WORKER"] = "{}"
        async with asyncio.timeout(3):
            assert await fleet.publish(state(2)) == Acks(1, 2)


async def test_a_revision_published_while_a_worker_starts_is_the_one_it_serves_by():
    async with fleet_of(2) as fleet:
        os.kill(fleet.pids[0], signal.SIGKILL)
        await until(lambda: fleet.view()[0].state == "starting")
        assert await fleet.publish(state(2)) == Acks(2, 2)
        assert [worker.revision for worker in fleet.view()] == [2, 2]


async def test_the_states_of_backends_follow_the_first_state_and_every_change(tmp_path):
    log = tmp_path / "log"
    async with fleet_of(log=str(log)) as fleet:
        picture = {"shop": {"blue": {"http://127.0.0.1:9000": "ejected"}}}
        fleet.show_backends(picture)
        await until(lambda: len(messages(log, "backends")) == 2)
        os.kill(fleet.pids[0], signal.SIGKILL)
        await until(lambda: len(messages(log, "backends")) == 3)
        assert [m["states"] for m in messages(log, "backends")] == [{"shop": {}}, picture, picture]
        kinds = [m["type"] for m in map(json.loads, log.read_text().splitlines()) if m["type"] != "ping"]
        assert kinds == ["state", "backends", "backends", "state", "backends"]


async def test_no_request_meets_a_new_backend_before_its_state_is_known(tmp_path):
    log = tmp_path / "log"
    async with fleet_of(log=str(log)) as fleet:
        fleet.show_backends({"shop": {"blue": {"old": "ejected"}}})
        await fleet.publish(state(2), {"shop": {"blue": {"new": "pending"}}})
        await until(lambda: len(messages(log, "backends")) == 4)
        said = [m for m in map(json.loads, log.read_text().splitlines()) if m["type"] in {"backends", "state"}]
        before, change, after = said[-3:]
        assert before["states"] == {"shop": {"blue": {"old": "ejected", "new": "pending"}}}
        assert change["revision"] == 2
        assert after["states"] == {"shop": {"blue": {"new": "pending"}}}


async def test_what_a_worker_reports_of_itself_is_shown():
    async with fleet_of() as fleet:
        await until(lambda: fleet.view()[0].load)
        document = fleet.view()[0].document()
        assert document.items() >= {"pid": fleet.pids[0], "state": "ready", "connections": 2, "in_flight": 3}.items()


async def test_a_drain_sums_up_what_was_finished_and_cut_and_nobody_is_replaced():
    async with fleet_of(2) as fleet:
        report = await fleet.drain(5)
        assert (report.finished, report.cut, report.killed) == (8, 2, 0)
        assert fleet.pids == []
        assert fleet.events == []


async def test_a_worker_that_does_not_drain_in_its_time_is_ended_and_its_requests_counted_as_cut():
    async with fleet_of(stubborn=True) as fleet:
        await until(lambda: fleet.view()[0].load)
        report = await fleet.drain(0.1)
        assert (report.finished, report.cut, report.killed) == (0, 3, 1)
        assert fleet.pids == []


async def test_a_second_word_ends_a_drain_at_once():
    async with fleet_of(stubborn=True) as fleet:
        draining = asyncio.create_task(fleet.drain(60))
        await asyncio.sleep(0.05)
        fleet.cut()
        async with asyncio.timeout(5):
            assert (await draining).killed == 1


async def test_stopping_during_a_back_off_does_not_wait_for_it():
    async with fleet_of(pace=replace(QUICK, back_off=60.0, back_off_most=60.0)) as fleet:
        os.environ["FAKE_WORKER"] = json.dumps({"die_at_start": 3})
        os.kill(fleet.pids[0], signal.SIGKILL)
        await until(lambda: fleet.events and fleet.events[-1]["replaced_in"] == 60.0)
        async with asyncio.timeout(5):
            await fleet.drain(1)


# Versions that leave, backends that fail


async def test_every_worker_says_what_became_of_a_version_it_was_told_to_leave():
    async with fleet_of(2) as fleet:
        answers = [worker.leaving("shop", "green") for worker in fleet.workers]
        for worker in fleet.workers:
            worker.send(encode({"type": "leave", "service": "shop", "version": "green", "seconds": 1.0}))
        assert await asyncio.wait_for(asyncio.gather(*answers), 5) == [(2, 1), (2, 1)]


async def test_a_worker_that_dies_before_it_has_left_a_version_keeps_nobody_waiting():
    async with fleet_of(stay=True) as fleet:
        worker = fleet.workers[0]
        answer = worker.leaving("shop", "green")
        os.kill(worker.pid, signal.SIGKILL)
        assert await asyncio.wait_for(answer, 5) == (0, 0)
        assert worker.leaving("shop", "green").result() == (0, 0)


async def test_what_a_worker_reports_of_backends_comes_with_its_slot_and_the_time_it_was_started():
    rows = [["shop", "blue", "http://127.0.0.1:9000", 7, 5, "cannot be reached"]]
    heard = []
    began = time.monotonic()
    async with fleet_of(2, outcomes=rows, hear=lambda *what: heard.append(what)):
        await until(lambda: len(heard) == 2)
    assert sorted(worker for worker, _, _ in heard) == [0, 1]
    assert all(began <= started <= time.monotonic() and found == rows for _, started, found in heard)


async def test_workers_are_told_how_long_backends_have_been_warming_up_when_they_are_told(tmp_path):
    log, ages = tmp_path / "log", iter(range(100))
    async with fleet_of(log=str(log), warm=lambda: {"shop": {"blue": {"a": float(next(ages))}}}) as fleet:
        fleet.show_backends({"shop": {"blue": {"a": "ready"}}})
        await until(lambda: len(messages(log, "backends")) == 2)
        os.kill(fleet.pids[0], signal.SIGKILL)
        await until(lambda: fleet.view()[0].restarts == 1 and fleet.view()[0].state == "ready")
        await until(lambda: len(messages(log, "backends")) == 3)
        assert [m["warm"]["shop"]["blue"]["a"] for m in messages(log, "backends")] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(("told", "name"), [("judge", "cases"), ("mirror", "checks")])
async def test_what_holds_beside_the_state_reaches_all_workers_and_each_new_one(tmp_path, told, name):
    """What is to be recorded for judges, and what is to be mirrored for checks."""
    log, case = tmp_path / "log", ["shop", 7]
    async with fleet_of(2, log=str(log)) as fleet:
        tell = getattr(fleet, told)
        tell([case])
        await until(lambda: len(messages(log, told)) == 2)
        os.kill(fleet.pids[0], signal.SIGKILL)
        await until(lambda: len(messages(log, told)) == 3)
        tell([])
        await until(lambda: len(messages(log, told)) == 5)
        assert [each[name] for each in messages(log, told)] == [[case]] * 3 + [[]] * 2
        # A service that a worker does not know yet would not be recorded by it.
        [first] = [m["worker"] for m in messages(log, told)][2:3]
        order = [m["type"] for m in map(json.loads, log.read_text().splitlines()) if m["worker"] == first]
        assert order.index("state", order.index(told)) < len(order) - order[::-1].index(told)


async def test_what_workers_recorded_comes_with_their_pid():
    heard = []
    said = [{"type": "seconds", "of": [[7, "shop", 3, []]]}, {"type": "routes", "of": {"shop": {"/a": 1}}}]
    async with fleet_of(2, recorded=said, judge=lambda *what: heard.append(what)) as fleet:
        await until(lambda: len(heard) == 4)
        assert sorted(heard, key=lambda each: each[0]) == sorted(
            ((pid, message) for pid in fleet.pids for message in said), key=lambda each: each[0]
        )
        assert sorted(fleet.serving) == sorted(fleet.pids)
