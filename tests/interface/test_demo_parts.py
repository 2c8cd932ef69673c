import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from gatekeeper.interface import demo_metrics, demo_stage
from gatekeeper.interface.demo_backend import Backend
from gatekeeper.interface.demo_load import Answer, Connection, Load, Move, User
from gatekeeper.interface.demo_stage import DemoError, Stage


@pytest.fixture
async def serve():
    """Start a backend in this process; returns its port."""
    servers = []

    async def start(backend):
        server = await asyncio.start_server(backend.connected, "127.0.0.1", 0)
        servers.append(server)
        return server.sockets[0].getsockname()[1]

    yield start
    for server in servers:
        server.close()


async def test_a_backend_counts_users_and_not_health_checks(serve):
    backend = Backend("blue")
    port = await serve(backend)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for path in ("/healthz", "/_demo/seen", "/", "/page?x=1"):
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
        await reader.readexactly(length)
    writer.close()
    assert backend.served == 2
    assert 0 <= time.monotonic() - backend.last < 5


async def test_a_faulty_backend_is_healthy_all_the_same(serve):
    connection = Connection(await serve(Backend("bad", errors=1.0)))
    answer = await connection.ask(0, User())
    connection.close()
    assert (answer.status, answer.version) == (500, "bad")


async def test_users_keep_their_cookies_and_their_moves_are_noted():
    names = iter(["blue", "blue", "green", "green"])
    cookies = []

    async def answer(reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            cookies.append([line for line in head.decode().split("\r\n") if line.startswith("Cookie")])
            extra = "Set-Cookie: gatekeeper-shop=abc; Path=/; HttpOnly\r\n" if len(cookies) == 1 else ""
            version = next(names, "green")
            writer.write(f"HTTP/1.1 200 OK\r\nX-Demo-Version: {version}\r\n{extra}Content-Length: 0\r\n\r\n".encode())

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    load = Load(port, users=1, per_second=200, connections=1)
    load.start()
    await _answers(load, 4)
    await load.stop()
    server.close()
    assert cookies[:3] == [[], ["Cookie: gatekeeper-shop=abc"], ["Cookie: gatekeeper-shop=abc"]]
    assert [(move.before, move.after) for move in load.moves] == [("blue", "green")]


async def test_a_lost_request_is_written_down_with_its_reason_and_never_retried(unused_tcp_port):
    load = Load(unused_tcp_port, users=2, per_second=100, connections=1)
    load.start()
    await _answers(load, 2)
    await load.stop()
    assert {answer.status for answer in load.answers} == {0}
    assert all(answer.lost for answer in load.answers)


async def test_an_answer_cut_short_is_a_lost_request():
    async def cut(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    connection = Connection(server.sockets[0].getsockname()[1])
    answer = await connection.ask(0, User())
    server.close()
    assert (answer.status, bool(answer.lost)) == (0, True)


def test_only_what_was_sent_after_a_moment_belongs_to_it():
    load = Load(1, users=1, per_second=1, connections=1)
    early = Answer(0, sent=1.0, received=5.0, status=200, version="blue")
    late = Answer(0, sent=4.0, received=6.0, status=200, version="green")
    load.answers.extend([Answer(0, sent=1.0, received=2.0, status=200, version="blue"), early, late])
    assert load.since(3.0) == [late]


def test_a_user_who_sees_errors_of_the_proxy_has_not_moved():
    load = Load(1, users=1, per_second=1, connections=1)
    for version in ("blue", "", "blue", "green"):
        load._note(Answer(0, sent=1.0, received=2.0, status=200, version=version))
    assert load.moves == [Move(0, 1.0, "blue", "green")]


METRICS = """\
# HELP gatekeeper_requests_total Requests answered.
# TYPE gatekeeper_requests_total counter
gatekeeper_requests_total{service="shop",version="green",code="200",forced="false"} 90.0
gatekeeper_requests_total{service="shop",version="green",code="500",forced="false"} 10.0
gatekeeper_requests_total{service="shop",version="green",code="200",forced="true"} 7.0
gatekeeper_requests_total{service="shop",version="blue",code="200",forced="false"} 300.0
gatekeeper_requests_total{service="other",version="blue",code="200",forced="false"} 1.0
# HELP gatekeeper_request_duration_seconds Time.
# TYPE gatekeeper_request_duration_seconds histogram
gatekeeper_request_duration_seconds_bucket{service="shop",version="green",le="+Inf"} 100.0
gatekeeper_request_duration_seconds_count{service="shop",version="green"} 100.0
gatekeeper_request_duration_seconds_sum{service="shop",version="green"} 2.5
"""


def test_the_metrics_of_a_service_are_read_without_testers():
    found = demo_metrics.read(METRICS, "shop")
    assert set(found) == {"blue", "green"}
    green = found["green"]
    assert (green.requests, green.errors, green.mean) == (100, 10, 0.025)


def test_shares_are_of_what_flowed_between_two_readings():
    earlier = {"blue": demo_metrics.Sample({"200": 270.0})}
    found = demo_metrics.shares(demo_metrics.read(METRICS, "shop"), earlier)
    assert found == {"green": 100 / 130, "blue": 30 / 130}
    assert demo_metrics.shares({}, {}) == {}


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _answers(load, count):
    async with asyncio.timeout(10):
        while len(load.answers) < count:  # noqa: ASYNC110 - the load tells nobody; a test may ask
            await asyncio.sleep(0.01)


async def test_nothing_is_left_of_the_stage_whatever_happened_on_it():
    stage = Stage()

    async def play():
        async with stage:
            await stage.start_backend("blue")
            stage.write_file()
            assert _alive(stage._backends["blue"][0].pid)
            raise DemoError("on purpose")

    with pytest.raises(DemoError, match="on purpose"):
        await play()
    process = stage._backends["blue"][0]
    assert not stage.directory.exists()
    assert not _alive(process.pid)


async def test_a_process_that_dies_is_noticed():
    async with Stage() as stage:
        await stage.start_backend("blue")
        process = stage._backends["blue"][0]
        process.kill()
        await process.wait()
        with pytest.raises(DemoError, match="blue's process ended"):
            stage.check_alive()


async def test_a_backend_asks_itself_what_it_has_seen():
    async with Stage() as stage:
        port = await stage.start_backend("blue")
        connection = Connection(port)
        await connection.ask(0, User())
        connection.close()
        assert (await stage.seen("blue"))["served"] == 1


async def test_a_gatekeeper_that_does_not_start_is_told_with_the_end_of_its_log(monkeypatch, tmp_path):
    program = tmp_path / "broken"
    program.write_text("#!/bin/sh\necho the port is taken\nexit 1\n")
    program.chmod(0o700)
    async with Stage() as stage:
        monkeypatch.setattr(demo_stage.sys, "executable", str(program))
        with pytest.raises(DemoError, match=r"(?s)ended with code 1.*the port is taken"):
            await stage.start_gatekeeper()


def test_a_backend_does_not_outlive_whoever_started_it():
    command = [sys.executable, "-m", "gatekeeper.interface.demo_backend", "blue"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert int(process.stdout.readline()) > 0
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_removes_what_it_made(tmp_path_factory, number):
    tmp_path = tmp_path_factory.mktemp("demo")  # short enough for a socket in it
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "gatekeeper", "demo", "--headless"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        while b"blue runs" not in process.stdout.readline():
            assert process.poll() is None
        assert any(tmp_path.iterdir())
        process.send_signal(number)
        process.communicate(timeout=20)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert not any(tmp_path.iterdir())
