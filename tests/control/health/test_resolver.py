"""Host names of backends: what an answer, a failure and a name server that hangs come to."""

import asyncio
import socket
import threading

import pytest

from gatekeeper.control.health import resolver as module
from gatekeeper.control.health.resolver import MOST, Name, Resolver, backend_id, in_words, look_up, name_in, parts_of
from gatekeeper.core.model import Dns

QUICK = Dns(refresh=0.01, timeout=0.2)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://app:9001", "app"),
        ("https://app.internal:443", "app.internal"),
        ("http://localhost:80", "localhost"),
        ("http://10.0.0.5:9001", ""),
        ("http://[::1]:9001", ""),
        ("unix:/run/app.sock", ""),
        ("unix:/run/a#b", ""),
    ],
)
def test_only_a_host_name_is_looked_up(url, name):
    assert name_in(url) == name


@pytest.mark.parametrize(
    ("backend", "parts"),
    [
        (backend_id("http://app:9001", "10.0.0.5"), ("http://app:9001", "10.0.0.5")),
        (backend_id("http://app:9001", "fe80::1%eth0"), ("http://app:9001", "fe80::1%eth0")),
        ("http://10.0.0.5:9001", ("http://10.0.0.5:9001", "")),
        ("unix:/run/a#b", ("unix:/run/a#b", "")),
    ],
)
def test_an_id_tells_the_url_and_the_address(backend, parts):
    assert parts_of(backend) == parts


# One name


def known(*addresses):
    name = Name("app")
    assert name.answered(addresses) is None
    name.asked.set()
    return name


def test_addresses_are_sorted_as_numbers_and_each_is_there_once():
    name = known("10.0.0.10", "10.0.0.9", "::1", "10.0.0.9")
    assert name.addresses == ("10.0.0.9", "10.0.0.10", "::1")


def test_the_first_answer_and_the_same_again_are_no_news():
    assert known("10.0.0.1", "10.0.0.2").answered(["10.0.0.2", "10.0.0.1"]) is None


def test_another_answer_is_told_with_what_came_and_what_left():
    assert known("10.0.0.1", "10.0.0.2").answered(["10.0.0.3", "10.0.0.2"]) == {
        "kind": "dns_changed",
        "host": "app",
        "addresses": ["10.0.0.2", "10.0.0.3"],
        "came": ["10.0.0.3"],
        "left": ["10.0.0.1"],
        "not_used": 0,
    }


def test_a_failure_keeps_the_last_good_answer_and_is_told_once():
    name = known("10.0.0.1")
    assert name.failed("the name server does not answer") == {
        "kind": "dns_failed",
        "host": "app",
        "reason": "the name server does not answer",
        "kept": ["10.0.0.1"],
    }
    assert name.failed("the host name is not known") is None
    assert (name.addresses, name.trouble) == (("10.0.0.1",), "the host name is not known")
    assert name.answered(["10.0.0.1"])["kind"] == "dns_recovered"
    assert name.trouble == ""


def test_a_name_that_was_never_found_recovers_with_its_first_answer():
    name = Name("app")
    assert name.failed("the host name is not known")["kept"] == []
    assert name.answered(["10.0.0.1"])["came"] == ["10.0.0.1"]


def test_of_too_many_addresses_the_first_in_order_are_used_and_the_rest_is_told():
    name = known("9.9.9.9")
    told = name.answered(f"10.0.{n}.1" for n in range(MOST + 5))
    assert len(name.addresses) == MOST
    assert told["not_used"] == 5
    assert name.addresses[0] == "10.0.0.1"


# All names


class Bench:
    """A resolver whose name server is a mapping: name to addresses, or to what it fails with."""

    def __init__(self):
        self.zone, self.asked, self.events, self.changed = {}, [], [], []
        self.hang = asyncio.Event()
        self.resolver = Resolver(self.events.append, self.changed.append, lookup=self.lookup, chance=lambda: 0.5)

    async def lookup(self, host):
        self.asked.append(host)
        found = self.zone.get(host)
        if found == "hang":
            await self.hang.wait()
            return ["10.9.9.9"]
        if isinstance(found, Exception):
            raise found
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found


@pytest.fixture
async def bench():
    made = Bench()
    yield made
    made.hang.set()
    await made.resolver.stop()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - lookups end when they end
            await asyncio.sleep(0.002)


async def test_after_the_first_round_every_name_was_looked_up_once(bench):
    bench.zone = {"app": ["10.0.0.2", "10.0.0.1"]}
    bench.resolver.follow(["app", "gone"], Dns(refresh=60))
    await bench.resolver.first_round()
    assert sorted(bench.asked) == ["app", "gone"]
    assert bench.resolver.addresses("app") == ("10.0.0.1", "10.0.0.2")
    assert bench.resolver.addresses("gone") == ()
    assert bench.resolver.trouble("gone") == "the host name is not known"


async def test_a_name_is_looked_up_again_and_again_and_a_change_is_told(bench):
    bench.zone = {"app": ["10.0.0.1"]}
    bench.resolver.follow(["app"], QUICK)
    await until(lambda: len(bench.asked) >= 3)
    assert (bench.changed, bench.events) == (["app"], [])
    bench.zone["app"] = ["10.0.0.2"]
    await until(lambda: bench.resolver.addresses("app") == ("10.0.0.2",))
    assert bench.changed == ["app", "app"]
    assert [event["kind"] for event in bench.events] == ["dns_changed"]


async def test_a_name_server_that_fails_leaves_the_addresses_and_is_told_when_it_recovers(bench):
    bench.zone = {"app": ["10.0.0.1"]}
    bench.resolver.follow(["app"], QUICK)
    await bench.resolver.first_round()
    bench.zone["app"] = socket.gaierror(socket.EAI_AGAIN, "Temporary failure")
    await until(lambda: bench.resolver.trouble("app"))
    assert bench.resolver.addresses("app") == ("10.0.0.1",)
    reason = bench.resolver.trouble("app")
    assert bench.resolver.troubles() == [f"app cannot be looked up ({reason}); 10.0.0.1 of before stay"]
    bench.zone["app"] = ["10.0.0.1"]
    await until(lambda: not bench.resolver.trouble("app"))
    assert bench.resolver.troubles() == []
    assert [event["kind"] for event in bench.events] == ["dns_failed", "dns_recovered"]


async def test_a_lookup_that_hangs_fails_in_time_and_is_not_asked_a_second_time_meanwhile(bench):
    bench.zone = {"app": "hang", "other": ["10.0.0.1"]}
    bench.resolver.follow(["app", "other"], QUICK)
    await bench.resolver.first_round()
    assert bench.resolver.trouble("app") == "no answer within 0.2 s"
    assert bench.resolver.addresses("other") == ("10.0.0.1",)
    await until(lambda: bench.asked.count("other") > 20)
    assert bench.asked.count("app") == 1
    bench.hang.set()
    await until(lambda: bench.resolver.addresses("app") == ("10.9.9.9",))


async def test_names_that_hang_take_no_more_threads_than_there_are_places(bench):
    names = [f"n{n}" for n in range(module.CONCURRENT * 3)]
    bench.zone = dict.fromkeys(names, "hang")
    bench.resolver.follow(names, QUICK)
    await bench.resolver.first_round()
    assert len(bench.asked) == module.CONCURRENT
    bench.zone = {name: ["10.0.0.1"] for name in names}
    bench.hang.set()
    await until(lambda: all(bench.resolver.addresses(name) for name in names))


async def test_a_defect_in_a_lookup_does_not_end_the_lookups(bench):
    bench.zone = {"app": RuntimeError("boom")}
    bench.resolver.follow(["app"], QUICK)
    await until(lambda: "boom" in bench.resolver.trouble("app"))
    bench.zone["app"] = ["10.0.0.1"]
    await until(lambda: bench.resolver.addresses("app") == ("10.0.0.1",))


async def test_an_empty_answer_is_a_failure(bench):
    bench.zone = {"app": []}
    bench.resolver.follow(["app"], QUICK)
    await bench.resolver.first_round()
    assert bench.resolver.trouble("app") == "the name has no address"


async def test_names_nobody_needs_are_not_looked_up_and_the_others_stay_known(bench):
    bench.zone = {"app": ["10.0.0.1"], "old": ["10.0.0.2"]}
    bench.resolver.follow(["app", "old"], QUICK)
    await bench.resolver.first_round()
    bench.resolver.follow(["app"], QUICK)
    assert bench.resolver.addresses("old") == ()
    assert bench.resolver.addresses("app") == ("10.0.0.1",)
    bench.asked.clear()
    await until(lambda: len(bench.asked) > 3)
    assert set(bench.asked) == {"app"}


async def test_a_shorter_refresh_holds_at_once(bench):
    bench.zone = {"app": ["10.0.0.1"]}
    bench.resolver.follow(["app"], Dns(refresh=3600))
    await bench.resolver.first_round()
    bench.zone["app"] = ["10.0.0.2"]
    bench.resolver.follow(["app"], QUICK)
    await until(lambda: bench.resolver.addresses("app") == ("10.0.0.2",))


async def test_a_name_that_is_not_followed_can_be_asked_for(bench):
    bench.zone = {"new": ["10.0.0.2", "10.0.0.1"]}
    assert await bench.resolver.ask("new") == ("10.0.0.1", "10.0.0.2")
    with pytest.raises(OSError, match="the host name is not known"):
        await bench.resolver.ask("gone")
    assert bench.events == []


async def test_names_that_are_about_to_be_needed_are_waited_for_but_not_for_ever(bench):
    bench.zone = {"app": ["10.0.0.1"], "new": ["10.0.0.2"], "slow": "hang"}
    bench.resolver.follow(["app"], Dns(refresh=60, timeout=5.0))
    await bench.resolver.learn(["app", "new"], 5.0)
    assert bench.resolver.addresses("new") == ("10.0.0.2",)
    assert bench.asked == ["app", "new"]
    async with asyncio.timeout(2.0):
        await bench.resolver.learn(["slow"], 0.02)
    assert bench.resolver.addresses("slow") == ()
    assert bench.resolver.addresses("app") == ("10.0.0.1",)


async def test_what_the_program_before_found_holds_until_there_is_an_answer(bench):
    bench.zone = {"app": "hang"}
    bench.resolver.follow(["app"], QUICK)
    bench.resolver.adopt("app", ["10.0.0.7"])
    assert bench.resolver.addresses("app") == ("10.0.0.7",)
    assert bench.changed == ["app"]
    bench.resolver.adopt("app", ["10.0.0.8"])
    bench.resolver.adopt("unknown", ["10.0.0.8"])
    assert bench.resolver.addresses("app") == ("10.0.0.7",)


# The system


async def test_the_system_finds_this_machine():
    assert set(await look_up("localhost")) & {"127.0.0.1", "::1"}


async def test_the_system_says_of_a_name_that_cannot_be_that_it_does_not_know_it():
    with pytest.raises(OSError) as caught:
        await look_up("no-such-name.invalid")
    assert in_words(caught.value) in {"the host name is not known", "the name server does not answer"}
    with pytest.raises((OSError, UnicodeError)):
        await look_up("x" * 300)


def test_a_thread_that_outlives_the_loop_harms_nobody(monkeypatch):
    begun, go, raised = threading.Event(), threading.Event(), []
    monkeypatch.setattr(threading, "excepthook", lambda failure: raised.append(failure.exc_value))

    def slow(*_, **__):
        begun.set()
        assert go.wait(5)
        return []

    async def leave():
        task = asyncio.create_task(look_up("app"))
        await asyncio.to_thread(begun.wait)
        task.cancel()

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    asyncio.run(leave())
    go.set()
    for thread in threading.enumerate():
        if thread.name == "lookup of app":
            thread.join(5)
    assert raised == []
