"""Certificates on their way to the workers: before the state that names them, and in use when ``renew`` returns."""

import asyncio

import pytest

from gatekeeper.core.model import KeyPair
from gatekeeper.tls.material import Material
from gatekeeper.tls.pem import Pair
from tests.control.fleet.test_workers import fleet_of, messages, service_state, state, until

PATHS = KeyPair("a.pem", "a.key")


def material(text):
    return Material({PATHS: Pair(text, "key")}, {"ca.pem": "ca"})


def certs(path):
    return [message["pairs"][0][2] for message in messages(path, "credentials")]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


async def test_a_worker_gets_them_before_its_first_state(log):
    async with fleet_of(2, start=False, log=str(log)) as fleet:
        await fleet.start(state(), {"shop": {}}, material("first"))
        for worker in "01":
            kinds = [
                m["type"] for kind in ("credentials", "state") for m in messages(log, kind) if m["worker"] == worker
            ]
            assert kinds == ["credentials", "state"]
        order = [line for line in log.read_text().splitlines() if '"worker": "0"' in line]
        assert '"credentials"' in order[0]


async def test_a_fleet_without_tls_sends_none(log):
    async with fleet_of(log=str(log)):
        assert messages(log, "credentials") == []


async def test_a_state_that_names_new_files_brings_them_along_in_front_of_it(log):
    async with fleet_of(log=str(log)) as fleet:
        acks = await fleet.publish(state(2, shop=service_state(blue=50)), None, material("second"))
        assert acks.acknowledged == 1
        kinds = [line.partition('"type": "')[2].partition('"')[0] for line in log.read_text().splitlines()]
        kinds = [kind for kind in kinds if kind in {"credentials", "state"}]
        assert kinds == ["state", "credentials", "state"]


async def test_a_renewal_is_in_use_everywhere_when_it_is_done_and_replaces_nobody(log):
    async with fleet_of(3, log=str(log)) as fleet:
        before = fleet.pids
        await fleet.renew(material("new"))
        assert certs(log) == ["new"] * 3
        assert fleet.pids == before
        assert fleet.events == []


async def test_several_renewals_at_once_are_told_apart():
    async with fleet_of() as fleet:
        await asyncio.gather(*(fleet.renew(material(str(at))) for at in range(5)))


@pytest.mark.parametrize(
    ("vice", "reason"),
    [
        ({"mute_credentials": True}, "no answer within 0.4 s"),
        ({"nack_credentials": "I cannot read it"}, "I cannot read it"),
    ],
)
async def test_who_does_not_take_a_renewal_is_replaced_by_one_that_begins_with_it(log, vice, reason):
    """It would go on showing a certificate that everybody believes replaced."""
    async with fleet_of(log=str(log), **vice) as fleet:
        await fleet.renew(material("new"))
        await until(lambda: fleet.view()[0].restarts == 1 and fleet.view()[0].state == "ready")
        assert fleet.events[0]["reason"] == f"did not take up new certificates: {reason}"
        assert certs(log) == ["new", "new"]


async def test_a_worker_that_dies_meanwhile_holds_nobody_up():
    async with fleet_of(2) as fleet:
        renewal = asyncio.create_task(fleet.renew(material("new")))
        await asyncio.sleep(0)
        fleet._slots[0].worker.kill("for the test")
        async with asyncio.timeout(5):
            await renewal


async def test_a_successor_begins_with_what_was_sent_last(log):
    async with fleet_of(log=str(log)) as fleet:
        await fleet.renew(material("new"))
        fleet._slots[0].worker.kill("for the test")
        await until(lambda: fleet.view()[0].restarts == 1 and fleet.view()[0].state == "ready")
        assert certs(log) == ["new", "new"]
