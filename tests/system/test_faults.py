"""Backends that refuse, hang, reset, cut short, lie and talk garbage: the right answer in time, the blame where it
belongs, and the other version untouched.
"""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.conftest import _take
from tests.system.parts import Gatekeeper, Load, running, until
from tests.system.scripted import Backend, Request, Script, Wire, reply
from tests.system.wire import Connection, CutShortError

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

CONNECT, RESPONSE = 0.4, 1.0
"""Timeouts of the services whose fault is to be slow, seconds. The others have the defaults, so that a machine which
does other things for a while does not make their backends slow."""
LATE = 2.0
"""What a machine that does other things may add to them."""
TIMES = 4
"""Requests to the faulty version at once."""

CUT = 0
"""Instead of a status: the answer had begun, so the connection ends short of its end."""


def say(*parts: bytes, then: Callable[[Wire], None] | None = None) -> Script:
    """Write these bytes to every request, then end in some way."""

    def script(wire: Wire, _request: Request) -> None:
        for part in parts:
            wire.send(part)
        if then is not None:
            then(wire)

    return script


def soon(end: Callable[[Wire], None]) -> Callable[[Wire], None]:
    """What was written before is on its way by then, so that a reset does not overtake it."""
    return lambda wire: asyncio.get_running_loop().call_later(0.05, end, wire)


def silent(wire: Wire, request: Request) -> None:
    """Take the request and never answer."""


def late(wire: Wire, _request: Request) -> None:
    wire.later(RESPONSE + 0.3, reply("late"))


def drip(wire: Wire, _request: Request) -> None:
    """A head that never ends, a byte at a time."""
    for index, byte in enumerate(b"HTTP/1.1 200 Slow\r\nX-A: " + b"a" * 100):
        wire.later(index * 0.1, bytes([byte]))


def head(*lines: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([status, *lines, "", ""]).encode()


SHORT = head("Content-Length: 100") + b"not a hundred"
CHUNKS = head("Transfer-Encoding: chunked") + b"5\r\nhello\r\n"
END, RESET = Wire.end, Wire.reset


@dataclass(frozen=True)
class Fault:
    name: str
    script: Script | None
    status: int
    source: str
    slow: float = 0.0
    """The timeout after which the answer must come; 0: at once."""


FAULTS = [
    Fault("refuses", None, 502, "upstream_connect"),
    Fault("accepts-no-more", None, 504, "upstream_connect", CONNECT),
    Fault("never-answers", silent, 504, "upstream_timeout", RESPONSE),
    Fault("answers-late", late, 504, "upstream_timeout", RESPONSE),
    Fault("drips-its-head", drip, 504, "upstream_timeout", RESPONSE),
    Fault("closes", say(then=END), 502, "upstream_reset"),
    Fault("resets", say(then=RESET), 502, "upstream_reset"),
    Fault("closes-within-head", say(b"HTTP/1.1 200 OK\r\nContent-", then=END), 502, "upstream_protocol"),
    Fault("resets-within-head", say(b"HTTP/1.1 200 OK\r\nConte", then=soon(RESET)), 502, "upstream_protocol"),
    Fault("garbage", say(b"\x16\x03\x01\x02\x00 no http at all\r\n\r\n"), 502, "upstream_protocol"),
    Fault("half-a-status-line", say(b"HTTP/1.1 2\r\n\r\n"), 502, "upstream_protocol"),
    Fault("other-protocol", say(b"SSH-2.0-OpenSSH_9.2\r\n"), 502, "upstream_protocol"),
    Fault("http-2", say(head(status="HTTP/2 200")), 502, "upstream_protocol"),
    Fault("endless-head", say(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 10_000), 502, "upstream_protocol"),
    Fault("nul-in-a-field", say(head("X-A: a\0b", "Content-Length: 0")), 502, "upstream_protocol"),
    Fault("two-lengths", say(head("Content-Length: 1", "Content-Length: 2") + b"ab"), 502, "upstream_protocol"),
    Fault("length-is-no-number", say(head("Content-Length: +5") + b"hello"), 502, "upstream_protocol"),
    Fault("length-and-chunked", say(head("Content-Length: 5")[:-2] + CHUNKS[17:]), 502, "upstream_protocol"),
    Fault("upgrade-unasked", say(head("Upgrade: x", status="HTTP/1.1 101 Yes")), 502, "upstream_protocol"),
    Fault("endless-interim", say(head(status="HTTP/1.1 103 Hm") * 30), 502, "upstream_protocol"),
    Fault("cuts-its-length", say(SHORT, then=END), CUT, "upstream_reset"),
    Fault("resets-within-length", say(SHORT, then=soon(RESET)), CUT, "upstream_reset"),
    Fault("cuts-chunks", say(CHUNKS, then=END), CUT, "upstream_reset"),
    Fault("cuts-the-last-chunk", say(CHUNKS + b"0\r\n", then=END), CUT, "upstream_reset"),
    Fault("cuts-within-a-chunk", say(CHUNKS + b"ff\r\nhello", then=END), CUT, "upstream_reset"),
    Fault("resets-within-until-close", say(head() + b"hello", then=soon(RESET)), CUT, "upstream_reset"),
    Fault("broken-chunk-size", say(CHUNKS, b"zz\r\nhello\r\n"), CUT, "upstream_protocol"),
    Fault("stalls-within-length", say(SHORT), CUT, "upstream_timeout", RESPONSE),
    Fault("stalls-within-chunks", say(CHUNKS), CUT, "upstream_timeout", RESPONSE),
]


def of(name: str) -> Fault:
    return next(fault for fault in FAULTS if fault.name == name)


class Stage:
    """One gatekeeper for all faults: each has a service of its own, by host, whose green is that backend."""

    def __init__(self, gatekeeper: Gatekeeper, blue: Backend, greens: dict[str, Backend]) -> None:
        self.gatekeeper, self.blue, self.greens = gatekeeper, blue, greens
        self.port = gatekeeper.port


def full(stack: ExitStack) -> int:
    """A port whose queue of connections is full: the kernel answers no further one."""
    listening = stack.enter_context(socket.socket())
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(listening.getsockname())
    return listening.getsockname()[1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory):
    async with AsyncExitStack() as stack:
        held: list[socket.socket] = []
        port, closed = _take(held), _take(held)
        for each in held:
            each.close()
        blue = await stack.enter_async_context(Backend.answering("blue"))
        ports = {"refuses": closed, "accepts-no-more": full(stack.enter_context(ExitStack()))}
        slow = {fault.name for fault in FAULTS if fault.slow}
        greens = {
            fault.name: await stack.enter_async_context(Backend(fault.script)) for fault in FAULTS if fault.script
        }
        ports |= {name: backend.port for name, backend in greens.items()}
        services = {
            name: {
                "hosts": [f"{name}.test"],
                "versions": {
                    "blue": {"backends": [blue.url]},
                    "green": {"backends": [f"http://127.0.0.1:{green}"]},
                },
                "rules": [{"when": {"header": {"X-To": "green"}}, "to": "green"}],
                "timeouts": {"connect": f"{CONNECT}s", "response": f"{RESPONSE}s"} if name in slow else {},
                "retries": {"attempts": 0} if name == "refuses" else {},
            }
            for name, green in ports.items()
        }
        silent_one = f"http://127.0.0.1:{ports['accepts-no-more']}"
        services["one-of-two"] = {
            "hosts": ["one-of-two.test"],
            "versions": {"blue": {"backends": [silent_one, blue.url]}},
            "timeouts": {"connect": f"{CONNECT}s"},
        }
        gatekeeper = await stack.enter_async_context(running(tmp_path_factory.mktemp("faults"), port, services))
        yield Stage(gatekeeper, blue, greens)


@dataclass
class Outcome:
    status: int
    seconds: float
    body: bytes = b""
    proxy_status: str = ""


async def one(stage: Stage, fault: Fault, version: str = "1.1", method: str = "GET", body: bytes = b"") -> Outcome:
    connection = await Connection.open(stage.port)
    begun = time.monotonic()
    try:
        answer = await connection.ask("/", method, f"{fault.name}.test", body, version, x_to="green")
    except CutShortError:
        return Outcome(CUT, time.monotonic() - begun)
    finally:
        await connection.close()
    return Outcome(answer.status, time.monotonic() - begun, answer.body, answer.get("proxy-status"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_gives_the_right_answer_in_time_and_blames_its_version_alone(stage, fault):
    """Meanwhile the other version answers everything, and nothing is counted against it."""
    async with Load(stage.port, connections=2, pause=0.002, host=f"{fault.name}.test") as load:
        outcomes = await asyncio.gather(*(one(stage, fault) for _ in range(TIMES)))
        await load.more(20)
    assert {outcome.status for outcome in outcomes} == {fault.status}
    for outcome in outcomes:
        assert fault.slow <= outcome.seconds + 0.01
        assert outcome.seconds < fault.slow + LATE
        if fault.status:
            assert "gatekeeper" in outcome.proxy_status
            assert b"127.0.0.1" not in outcome.body
    assert load.failures == []
    found = await stage.gatekeeper.scrape()
    assert found.errors(fault.name, "green") == {fault.source: TIMES}
    assert found.codes(fault.name, "green") == {str(fault.status or 200): TIMES}
    assert found.errors(fault.name, "blue") == {}
    assert found.codes(fault.name, "blue") == {"200": len(load.bodies)}
    assert found.sum("gatekeeper_inflight", service=fault.name) == 0


@pytest.mark.parametrize("name", ["cuts-chunks", "resets-within-until-close", "stalls-within-chunks"])
async def test_a_cut_answer_never_looks_complete_even_to_http_1_0(stage, name):
    """To HTTP/1.0 the end of the connection is the end of the answer: so it must be reset."""
    assert (await one(stage, of(name), version="1.0")).status == CUT


@pytest.mark.parametrize("name", ["closes", "resets", "closes-within-head", "garbage"])
async def test_a_request_with_a_body_reaches_a_failing_backend_once(stage, name):
    """POST is never sent twice once a byte is out."""
    green = stage.greens[name]
    before = len(green.asked)
    assert (await one(stage, of(name), method="POST", body=b"order=1")).status == 502
    assert len(green.asked) == before + 1


async def test_an_answer_that_comes_too_late_reaches_nobody(stage):
    """The next request on the client's connection gets its own answer."""
    connection = await Connection.open(stage.port)
    for _ in range(2):
        assert (await connection.ask(host="answers-late.test", x_to="green")).status == 504
        await asyncio.sleep(0.35)
        assert (await connection.ask(host="answers-late.test")).body == b"blue"
    await connection.close()


async def test_a_backend_that_does_not_accept_is_left_for_the_other_one_after_one_wait(stage):
    """Nothing was sent, so a POST goes to the other backend too."""
    for method, body in (("GET", b""), ("POST", b"order=1")) * 2:
        begun = time.monotonic()
        answer = await stage.gatekeeper.ask("/", method, host="one-of-two.test", body=body)
        assert (answer.status, answer.body) == (200, b"blue")
        assert time.monotonic() - begun < CONNECT + LATE
    found = await stage.gatekeeper.scrape()
    retried = found.sum("gatekeeper_retries_total", service="one-of-two")
    assert retried >= 1  # of four requests, one worker has had two, and the backends take turns
    assert found.errors("one-of-two", "blue") == {"upstream_connect": retried}


async def test_a_second_answer_to_one_request_reaches_nobody(stage):
    """Whether it comes with the first or after it: the connection that brought it is not used again."""
    green = stage.greens["closes"]
    honest = green.script
    try:
        for pause in (0.0, 0.02):

            def twice(wire: Wire, request: Request, pause: float = pause) -> None:
                wire.send(reply(request.path))
                wire.later(pause, reply("poison"))

            green.script = twice
            connection = await Connection.open(stage.port)
            for number in range(20):
                answer = await connection.ask(f"/{number}", host="closes.test", x_to="green")
                assert answer.body == f"/{number}".encode()
                await asyncio.sleep(2 * pause)
            await connection.close()
    finally:
        green.script = honest


async def test_a_client_that_gives_up_is_not_the_version_s_failure(stage):
    """Its backend learns that nobody waits, before the timeout, which would be blamed; the blame is the client's."""
    green = stage.greens["never-answers"]
    before = (await stage.gatekeeper.scrape()).errors("never-answers", "green")
    asked = len(green.asked)
    connection = await Connection.open(stage.port)
    waiting = asyncio.create_task(connection.ask("/gone", host="never-answers.test", x_to="green"))
    await until(lambda: len(green.asked) > asked)
    wires = len(green.wires)
    waiting.cancel()
    await connection.close()
    await until(lambda: len(green.wires) < wires)
    after = (await stage.gatekeeper.scrape()).errors("never-answers", "green")
    assert after == before | {"client": before.get("client", 0) + 1}
