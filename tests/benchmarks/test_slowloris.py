"""The verdict on an attack, and the attacker itself."""

import asyncio
import contextlib
from collections import Counter

import pytest

from benchmarks.dripper import Dripper, Tally
from benchmarks.slowloris import Round, Visits, ended_in_time, markdown, visit


def took(p99):
    """A hundred visits of which two take ``p99``."""
    return Visits([0.0001] * 98 + [p99, p99], 0.1)


def played(calm, attacked, longest=10.1, under_way=0):
    tally = Tally(opened=9, under_way=under_way, longest=longest, ends=Counter({"408": 9 - under_way}))
    return Round([took(calm), took(calm * 100)], took(attacked), tally)


def test_the_calm_figure_is_the_better_one():
    assert played(0.001, 0.002).factor == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("attacked", "verdict"), [(0.0019, "1.90 (median of rounds), reached"), (0.003, "3.00 (median of rounds), missed")]
)
def test_the_verdict_is_the_median_of_the_rounds(attacked, verdict):
    rounds = [played(0.001, attacked), played(0.001, 0.001), played(0.001, 0.1)]
    assert verdict in markdown(rounds, 5000, {"cpu": "x"})


def test_who_outlives_the_header_timeout_or_never_ends_is_a_failure():
    assert ended_in_time([played(0.001, 0.001)])
    assert not ended_in_time([played(0.001, 0.001), played(0.001, 0.001, longest=11.5)])
    assert not ended_in_time([played(0.001, 0.001, under_way=1)])


async def test_a_dripper_keeps_its_number_up_and_tells_what_became_of_each():
    came = Counter()

    async def talk(reader, writer):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                while data := await reader.read(1000):
                    came[data[-1:]] += 1
        writer.write(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    dripper = Dripper(server.sockets[0].getsockname()[1], 10, period=0.1)
    running = asyncio.create_task(dripper.run())
    await asyncio.wait_for(dripper.full(), 5)
    await asyncio.sleep(0.5)
    dripper.again = False
    await asyncio.wait_for(running, 5)
    server.close()
    tally = dripper.tally
    assert tally.most == 10
    assert tally.opened >= 20
    assert (tally.ends, tally.under_way) == ({"408": tally.opened}, 0)
    assert 0.2 <= tally.longest < 2
    assert came[b"a"] > 10, "heads drip on"


async def test_a_request_that_is_kept_waiting_is_late_from_when_it_was_due():
    """A proxy that stalls for 0.2 s makes all late that were due in that time."""
    answered = 0

    async def talk(reader, writer):
        nonlocal answered
        while await reader.read(1000):
            answered += 1
            if answered == 20:
                await asyncio.sleep(0.2)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    times = await visit(server.sockets[0].getsockname()[1], 0.5, 1000.0)
    server.close()
    assert len(times) == 500
    assert times[-1] > 0.19
    assert sum(each > 0.01 for each in times) >= 10, "those of the stalled connection that came after it"
