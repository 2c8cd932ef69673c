"""Shadow traffic over real sockets: differences are found and noise is not, and whatever a candidate does, no user
notices.

Each service is another candidate behind one gatekeeper; users get blue, and every request is copied.
"""

import asyncio
import itertools
import json
import random
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.system.judged import free_port
from tests.system.parts import running, until
from tests.system.scripted import Backend, reply
from tests.system.wire import Connection

# On a busy machine copies are shed, as they should be.
pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.asyncio(loop_scope="module")]

MOST_MIRRORED = 200
"""Within so many requests all planted differences must be found."""
MOST_ASKED = 2000
ENDS = ("compared", "not_compared", "refused", "broken", "timeout", "shed")
"""What a request comes to: one of these."""
GIGABYTE = 1 << 30
PIECE = b"x" * (256 * 1024)
GROWTH = 48 * 1024 * 1024
"""Bytes: 32 MiB are what copies may hold, the rest is what a worker grows by at any traffic."""
NOTICED = 0.9
"""Seconds within which every user has an answer, with a machine's bad moments; a copy has a second."""


def application(*, candidate: bool):
    """A shop whose answers differ from themselves in a time and an id. The candidate has three faults."""
    ids = random.Random(1)

    def answer(wire, request):
        path = request.path.partition("?")[0]
        if path == "/gone":
            wire.send(reply("", 404 if not candidate else 410, Content_Type="text/plain"))
        elif path == "/old":
            wire.send(reply("", 302, Location="/new" if not candidate else "/newer"))
        else:
            total = 12 if not candidate else 13
            document = {
                "time": time.time(), "request": ids.getrandbits(64), "total": total,
                "items": [{"name": "tea", "seen": ids.random()}, {"name": "mug", "seen": ids.random()}],
                "password": f"hunter{candidate:d}",
            }  # fmt: skip
            wire.send(reply(json.dumps(document), Content_Type="application/json"))

    return answer


def silent(_wire, _request):
    """It takes requests, and that is all."""


def endless(wire, _request):
    """It answers with a gigabyte, as fast as it is taken."""

    async def pour():
        sent = 0
        while sent < GIGABYTE and not wire.transport.is_closing():
            if wire.transport.get_write_buffer_size() < len(PIECE):
                wire.transport.write(PIECE)
                sent += len(PIECE)
            await asyncio.sleep(0)

    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" if wire.backend.announces else b"HTTP/1.1 200 OK\r\n\r\n"
    wire.send(head % GIGABYTE if wire.backend.announces else head)
    wire.backend.pouring.append(asyncio.get_running_loop().create_task(pour()))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory):
    """A gatekeeper with a service for each kind of candidate, and these candidates by the service's name."""
    candidates = {
        "differing": Backend(application(candidate=True)),
        "hanging": Backend(silent),
        "refusing": Backend(silent),
        "huge": Backend(endless),
        "unending": Backend(endless),
    }
    async with AsyncExitStack() as stack:
        stable = await stack.enter_async_context(Backend(application(candidate=False)))
        services = {}
        for name, candidate in candidates.items():
            candidate.announces, candidate.pouring = name == "huge", []
            await stack.enter_async_context(candidate)
            services[name] = {
                "hosts": [f"{name}.test"],
                "versions": {"blue": {"backends": [stable.url]}, "green": {"backends": [candidate.url]}},
                "mirror": {"to": "green", "percent": 100, "timeout": "1s", "in_flight": 16},
            }
        await candidates["refusing"].stop()
        made = await stack.enter_async_context(
            running(tmp_path_factory.mktemp("shadow"), free_port(), services, workers=1)
        )
        made.stable, made.candidates = stable, candidates
        yield made


async def use(site, service, count, paths=("/",), pause=0.0):
    """So many requests one after the other; the longest time of one. All must be answered by blue."""
    connection = await Connection.open(site.port)
    longest = 0.0
    for path in itertools.islice(itertools.cycle(paths), count):
        began = time.monotonic()
        answer = await connection.ask(path, host=f"{service}.test")
        longest = max(longest, time.monotonic() - began)
        assert answer.status in {200, 302, 404}
        await asyncio.sleep(pause)
    await connection.close()
    return longest


async def run_of(site, service):
    status, found = await site.admin("GET", f"/v1/services/{service}/shadow")
    assert status == 200, found
    return found["runs"][0] if found["runs"] else {"outcomes": {}, "asked": 0}


async def mirrored(site, service, batch, paths=("/",), **least):
    """Users come, so many at a time, until so many of their requests have come to these ends: the run, how many came,
    and the longest time of one. Where the machine is busy, a worker sheds copies, and it takes more of them.
    """
    asked, longest = 0, 0.0
    run = await run_of(site, service)

    async def told():
        nonlocal run
        run = await run_of(site, service)
        found = run["outcomes"]
        return sum(found.get(name, 0) for name in ENDS) == asked

    while any(run["outcomes"].get(name, 0) < many for name, many in least.items()):
        assert asked < MOST_ASKED, run["outcomes"]
        longest = max(longest, await use(site, service, batch, paths, pause=0.004))
        asked += batch
        await until(told)
    return run, asked, longest


def resident(site):
    (pid,) = site.worker_pids()
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


async def test_three_planted_differences_are_found_and_noise_is_not_reported(site, tell):
    paths = ("/cart", "/cart", "/gone", "/old?from=a")
    run, _, _ = await mirrored(site, "differing", 100, paths, compared=40)
    assert run["mirrored"] <= MOST_MIRRORED
    found = {(row["kind"], row["path"]): row for row in run["differences"]}
    assert found.keys() == {("status", ""), ("header", "location"), ("json", "$.total"), ("json", "$.password")}
    noise = {row["path"] for row in run["noise"]}
    assert noise == {"$.time", "$.request", "$.items[*].seen"}
    assert found["json", "$.total"]["samples"][0] == {"left": "12", "right": "13", "request": "GET /cart"}
    assert "hunter" not in json.dumps(run)
    assert run["share"] == 1
    tell(mirrored=run["mirrored"], compared=run["compared"])


async def test_a_candidate_that_hangs_is_counted_and_no_user_waits_for_it(site):
    before = resident(site)
    run, asked, longest = await mirrored(site, "hanging", 60, timeout=1)
    assert longest < NOTICED
    assert run["outcomes"]["timeout"] + run["outcomes"]["shed"] == asked
    assert run["differences"][0]["path"] == "timeout"
    assert resident(site) - before < GROWTH


async def test_a_candidate_that_refuses_is_counted_and_no_user_notices(site):
    run, asked, longest = await mirrored(site, "refusing", 20, refused=1)
    assert longest < NOTICED
    assert run["outcomes"]["refused"] + run["outcomes"]["shed"] == asked


@pytest.mark.parametrize("service", ["huge", "unending"])
async def test_of_a_gigabyte_only_the_beginning_is_read_and_memory_stays_bounded(site, service):
    before = resident(site)
    run, asked, longest = await mirrored(site, service, 20, too_large=1)
    assert longest < NOTICED
    assert run["outcomes"]["too_large"] + run["outcomes"]["shed"] == asked
    assert resident(site) - before < GROWTH
    pouring = site.candidates[service].pouring
    await until(lambda: all(each.done() for each in pouring))


async def test_the_users_version_is_told_which_of_its_requests_are_copies(site):
    await mirrored(site, "differing", 100, compared=1)
    marks = [request.all("x-gatekeeper-shadow") for request in site.stable.asked]
    assert [] in marks
    assert ["1"] in marks
    for candidate in site.candidates.values():
        assert all(request.all("x-gatekeeper-shadow") == ["1"] for request in candidate.asked)
        assert all(request.all("x-gatekeeper-version") == ["green"] for request in candidate.asked)


async def test_nothing_of_it_counts_for_users_or_blames_a_backend(site):
    await mirrored(site, "refusing", 20, refused=1)
    await mirrored(site, "hanging", 60, timeout=1)
    metrics = await site.scrape()
    for service in site.candidates:
        assert metrics.codes(service, "green") == {}
        assert metrics.errors(service, "green") == {}
    assert metrics.sum("gatekeeper_shadow_requests_total", service="refusing", version="green", outcome="refused") > 0
    assert metrics.sum("gatekeeper_shadow_requests_total", service="hanging", version="green", outcome="timeout") > 0
