"""Large bodies, both ways, to readers slower than their senders: they arrive whole and cost a worker little memory."""

import sys
import time
from pathlib import Path
from subprocess import Popen

import pytest

from benchmarks import bodies
from tests.system.programs import answers, end, until

pytestmark = pytest.mark.system

ROOT = Path(bodies.__file__).parents[1]
MIB = 1 << 20


@pytest.fixture
def body_backend(free_ports):
    """The url of a process that sends and takes bodies of any size."""
    (port,) = free_ports(1)
    process = Popen([sys.executable, "-m", "benchmarks.body_backend", str(port)], cwd=ROOT)
    try:
        until(lambda: answers(port), what="the backend")
        yield f"http://127.0.0.1:{port}"
    finally:
        end(process)


def told_rss(gatekeeper) -> int:
    """What the only worker says it occupies; asked for once a second."""
    return gatekeeper.status()["workers"][0]["rss"]


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_gigabyte_of_bodies_to_slow_readers_costs_a_worker_little_memory(serve, body_backend, tell, long, direction):
    """64 KiB to 256 MiB each, half of them chunked, every one whole; beside them readers that hardly read.

    The full length, 10 GB each way, is `python -m benchmarks.bodies`.
    """
    gatekeeper = serve({"blue": body_backend, "green": body_backend}, workers=1)
    (pid,) = gatekeeper.workers()
    for _ in range(100):
        assert gatekeeper.get("/10").status == 200
    total = 10_000 * MIB if long else 512 * MIB
    carried = bodies.carry(direction, gatekeeper.port, pid, total, rate=400e6, streams=4, crawling=16)
    tell(growth_mib=carried.growth / MIB, mb_per_s=carried.size / carried.seconds / 1e6)
    assert carried.growth < bodies.GROWTH_LIMIT
    time.sleep(1.1)
    assert told_rss(gatekeeper) - carried.rss < bodies.GROWTH_LIMIT
