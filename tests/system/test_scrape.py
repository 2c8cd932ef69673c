"""A scrape of ten services of three versions is the supervisor's work alone, and little of it."""

import contextlib
import os
import signal
import time

import pytest

from tests.system.programs import UnixConnection

pytestmark = pytest.mark.system

SERVICES, VERSIONS, TIMES = 10, 3, 15
PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


def test_a_scrape_takes_20_ms_at_most_and_nothing_of_a_worker(nginx, serve, tell):
    backend = nginx("blue")
    versions = {f"v{number}": {"backends": [backend.url]} for number in range(VERSIONS)}
    weights = dict.fromkeys(versions, 1)
    services = {
        f"s{number}": {
            "hosts": [f"s{number}.test"], "versions": versions, "split": weights, "sticky": {"mode": "none"},
        }
        for number in range(SERVICES)
    }  # fmt: skip
    gatekeeper = serve({"blue": backend.url}, services=services, workers=1)
    for number in range(SERVICES):
        for _ in range(2 * VERSIONS):
            gatekeeper.get("/", {"Host": f"s{number}.test"})
    took = []
    [worker] = gatekeeper.workers()
    os.kill(worker, signal.SIGSTOP)  # it could not answer anybody
    try:
        with contextlib.closing(UnixConnection(gatekeeper.socket)) as connection:
            for _ in range(TIMES):
                began = time.perf_counter()
                connection.request("GET", "/metrics", headers={"Accept": PROMETHEUS})
                page = connection.getresponse().read()
                took.append(time.perf_counter() - began)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert page.endswith(b"# EOF\n")
    assert page.count(b"gatekeeper_weight{") == SERVICES * VERSIONS
    tell(scrape_ms=1000 * min(took), usual_ms=1000 * sorted(took)[TIMES // 2], kib=len(page) / 1024)
    # The quickest of them: the others waited for a core.
    assert min(took) <= 0.020
