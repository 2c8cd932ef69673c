"""Each kind of check looks at what it is to look at, and says what it found."""

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web

from gatekeeper.clock import ManualClock
from gatekeeper.control.health.probe import probe_http
from gatekeeper.control.releases.candidate import Candidate
from gatekeeper.control.releases.checks import ASKED, Examiner
from gatekeeper.control.releases.finding import Finding
from gatekeeper.core.model import Backend, BackendTls, HealthCheck, Service, Settings, Version
from gatekeeper.core.release.plan import Check, CommandCheck, HttpCheck, MirrorCheck, ReleasedInCheck
from gatekeeper.core.shadow.model import Mirror

GREEN = Version("green", (Backend("http://app:9001"), Backend("http://10.0.0.1:9002")), tls=BackendTls(server_name="x"))
SHOP = Service("shop", {"green": GREEN}, "green", {})
CANDIDATE = Candidate(SHOP, GREEN, Settings(listen=("127.0.0.1:8080",)), 3)


class Backends:
    """What each answers; ``asked`` is what they were."""

    def __init__(self):
        self.wrong = {}
        self.asked = []
        self.now = self.most = 0

    async def __call__(self, backend, check, tls):
        self.asked.append((backend, check, tls))
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return self.wrong.get(backend, "")


def ids(service, version, url):
    assert (service, version) == ("shop", "green")
    return [f"{url}#10.0.0.5", f"{url}#10.0.0.6"] if "app" in url else [url]


@pytest.fixture
def backends():
    return Backends()


@pytest.fixture
async def examiner(backends, tmp_path):
    made = Examiner(
        probe=backends,
        ids=ids,
        directory=str(tmp_path),
        state_path=str(tmp_path / "state.db"),
        clock=ManualClock(),
        ours={"PATH": "/usr/bin:/bin", "S": "x"},
    )
    yield made
    await made.close()


async def test_http_asks_every_address_of_the_candidate_as_the_plan_says(examiner, backends):
    check = Check(http=HttpCheck("/ok?x=1", (200, 204), "fine", 1.5))
    found = await examiner.look(check, CANDIDATE)
    assert (found.passed, found.text) == (True, "3 of 3 backends passed")
    assert [asked[0] for asked in backends.asked] == [
        "http://app:9001#10.0.0.5",
        "http://app:9001#10.0.0.6",
        "http://10.0.0.1:9002",
    ]
    wanted = HealthCheck(path="/ok?x=1", status=(200, 204), body_contains="fine", timeout=1.5)
    assert {(asked[1], asked[2]) for asked in backends.asked} == {(wanted, GREEN.tls)}


async def test_http_fails_when_one_backend_does_and_says_which(examiner, backends):
    backends.wrong = {"http://app:9001#10.0.0.6": "answered 500, expected 200"}
    found = await examiner.look(Check(http=HttpCheck("/")), CANDIDATE)
    assert not found.passed
    assert found.text == "2 of 3 backends passed\nhttp://app:9001#10.0.0.6: answered 500, expected 200"


async def test_http_asks_many_backends_some_at_a_time(examiner, backends):
    many = replace(GREEN, backends=tuple(Backend(f"http://10.0.0.1:{port}") for port in range(1, 101)))
    found = await examiner.look(Check(http=HttpCheck("/")), replace(CANDIDATE, version=many))
    assert found.text == "100 of 100 backends passed"
    assert backends.most == ASKED


async def test_http_reads_real_answers(aiohttp_server, tmp_path):
    app = web.Application()

    async def answer(_request):
        return web.Response(status=202, text="all is ok here")

    app.router.add_get("/healthz", answer)
    url = str((await aiohttp_server(app)).make_url("")).rstrip("/")

    async def probe(backend, check, _tls):
        return await probe_http(backend, check)

    examiner = Examiner(
        probe=probe,
        ids=lambda *names: names[2:],
        directory=str(tmp_path),
        state_path=str(tmp_path / "state.db"),
        clock=ManualClock(),
    )
    candidate = replace(CANDIDATE, version=replace(GREEN, backends=(Backend(url),)))
    looks = [HttpCheck("/healthz", (202,), "is ok"), HttpCheck("/healthz", (202,), "is bad"), HttpCheck("/other")]
    found = [await examiner.look(Check(http=each), candidate) for each in looks]
    assert [each.passed for each in found] == [True, False, False]
    assert found[2].text == f"0 of 1 backends passed\n{url}: answered 404, expected 200"
    await examiner.close()


async def test_a_command_runs_beside_the_file_and_knows_the_candidate(examiner, tmp_path):
    script = tmp_path / "smoke.sh"
    script.write_text('#!/bin/sh\necho "$1 $GATEKEEPER_VERSION $GATEKEEPER_RELEASE $S."; pwd; exit "$2"\n')
    script.chmod(0o755)
    found = await examiner.look(Check(command=CommandCheck(("./smoke.sh", "{url}/x", "0"))), CANDIDATE)
    assert (found.passed, found.text) == (True, f"exit code 0\nhttp://app:9001/x green 3 .\n{tmp_path}")
    found = await examiner.look(Check(command=CommandCheck(("./smoke.sh", "", "2"))), CANDIDATE)
    assert (found.passed, found.text.split("\n")[0]) == (False, "exit code 2")


async def test_a_command_that_hangs_fails_in_its_time(examiner):
    found = await examiner.look(Check(command=CommandCheck(("sleep", "60"), 0.1)), CANDIDATE)
    assert (found.passed, found.text) == (False, "did not end within 0.1 s, and was ended")


async def test_released_in_asks_for_the_build_of_the_candidate(examiner, free_port):
    check = Check(released_in=ReleasedInCheck(f"http://127.0.0.1:{free_port}", "shop"))
    assert "has no build" in (await examiner.look(check, CANDIDATE)).text
    built = replace(CANDIDATE, version=replace(GREEN, build="b1"))
    assert (await examiner.look(check, built)).text == f"http://127.0.0.1:{free_port}: connection refused"


async def test_a_check_of_nothing_does_not_pass(examiner):
    assert not (await examiner.look(Check(), CANDIDATE)).passed


async def test_a_mirror_check_is_made_by_who_sees_to_copies_and_fails_where_nobody_does(examiner):
    check, asked = MirrorCheck(Mirror("", 5.0)), []

    async def mirrored(*what):
        asked.append(what)
        return Finding(passed=True, text="0 of 100 answers differ")

    assert not (await examiner.look(Check(mirror=check), CANDIDATE)).passed
    examiner.mirrored = mirrored
    assert (await examiner.look(Check(mirror=check), CANDIDATE)).passed
    assert asked == [(check, CANDIDATE)]
