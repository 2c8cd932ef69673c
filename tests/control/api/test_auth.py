"""Who may do what, and how the token file is read."""

import asyncio
import hashlib
import json
import os
import socket

import aiohttp
import pytest

from gatekeeper.control.api import auth
from gatekeeper.control.api.admin import Admin, AdminError
from gatekeeper.control.api.tokens import Tokens, TokensError
from gatekeeper.core.model import Role


async def test_a_stranger_learns_nothing_not_even_what_there_is(tcp):
    for method, path in (
        ("DELETE", "/"),
        ("GET", "/v1/nothing"),
        ("DELETE", "/v1/status"),
        ("GET", "/v1/services/none"),
    ):
        assert (await tcp(method, path))[0] == 401
    _, problem, _ = await tcp("GET", "/v1/status")
    assert "admin.tokens" in problem["allowed"]
    assert (await tcp("GET", "/healthz"))[1] == {"status": "ok"}


@pytest.mark.parametrize(
    "header",
    ["token-of-admin", "Basic token-of-admin", "Bearer", "Bearer ", "Bearer token-of-admi", "Bearer " + "x" * 4000],
)
async def test_what_is_not_a_valid_bearer_token_opens_nothing(tcp, header):
    assert (await tcp("GET", "/v1/status", headers={"Authorization": header}))[0] == 401


async def test_the_history_names_the_user_on_the_socket_and_the_token_over_tcp(world, tcp):
    await tcp.with_token("token-of-operator")("PUT", "/v1/services/shop/split", json={"blue": 1, "green": 1})
    connector = aiohttp.UnixConnector(str(world.path.with_name("tcp.sock")))
    async with aiohttp.ClientSession(connector=connector) as session:
        headers = {"Authorization": "Bearer token-of-viewer"}
        async with session.put("http://g/v1/services/shop/split", json={"blue": 2}, headers=headers) as response:
            assert response.status == 200, "on the socket a token says nothing"
    actors = [row.actor for row in await world.store.revisions(limit=2)]
    assert actors == [auth._user_name(os.geteuid()), "operator"]


async def test_a_user_without_a_name_is_named_by_number(monkeypatch):
    assert auth._user_name(4_000_000_001) == "uid:4000000001"


def test_the_peer_is_known_on_the_supervisors_event_loop_too(tmp_path):
    """uvloop hands out a stand-in for the socket that has no getsockopt."""
    import uvloop

    async def ask():
        seen = asyncio.get_running_loop().create_future()

        async def serve(_reader, writer):
            seen.set_result(await auth.peer(writer.transport, {}))
            writer.close()

        server = await asyncio.start_unix_server(serve, tmp_path / "s")
        _, writer = await asyncio.open_unix_connection(tmp_path / "s")
        actor = await seen
        writer.close()
        server.close()
        return actor

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        actor = runner.run(ask())
    assert (actor.name, actor.role) == (auth._user_name(os.geteuid()), Role.ADMIN)


# The socket itself.


async def test_the_socket_is_open_to_owner_and_group_alone_and_gone_after_the_stop(world, tmp_path):
    path = tmp_path / "a.sock"
    admin = Admin(world.parts, path=str(path))
    before = os.umask(0)
    try:
        await admin.start()
        assert os.umask(0) == 0, "the process's own mask is put back"
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o660
    await admin.stop()
    assert not path.exists()


async def test_the_socket_of_a_killed_process_is_replaced_and_that_of_a_living_one_is_not(world, tmp_path):
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    first, second = (Admin(world.parts, path=str(path)) for _ in range(2))
    await first.start()
    with pytest.raises(AdminError, match="another gatekeeper listens there"):
        await second.start()
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
        session.get("http://g/healthz") as response,
    ):
        assert response.status == 200
    await first.stop()


async def test_a_successors_socket_survives_the_stop_of_its_predecessor(world, tmp_path):
    path = tmp_path / "a.sock"
    first, second = (Admin(world.parts, path=str(path)) for _ in range(2))
    await first.start()
    path.unlink()
    await second.start()
    await first.stop()
    assert path.exists()
    await second.stop()


async def test_a_place_where_it_cannot_listen_is_named_and_nothing_is_left(world, tmp_path, free_port):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(AdminError, match="is no socket"):
        await Admin(world.parts, path=str(tmp_path / "file")).start()
    assert (tmp_path / "file").read_text() == "precious"
    with pytest.raises(AdminError, match="make its directory"):
        await Admin(world.parts, path=str(tmp_path / "none" / "a.sock")).start()
    with pytest.raises(AdminError, match="longer than 107 bytes"):
        await Admin(world.parts, path="/" + "x" * 200).start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        with pytest.raises(AdminError, match=rf"127.0.0.1:{free_port}.*in use"):
            await Admin(world.parts, path=str(tmp_path / "a.sock"), http=f"127.0.0.1:{free_port}").start()
    assert not (tmp_path / "a.sock").exists()


# The token file.

DIGEST = hashlib.sha256(b"secret").hexdigest()


def written(tmp_path, text):
    path = tmp_path / "tokens.yaml"
    path.write_text(text)
    return str(path)


def test_a_token_is_found_by_its_hash_alone(tmp_path):
    tokens = Tokens.load(
        written(tmp_path, f"- {{name: anna, role: operator, groups: [engineering], sha256: {DIGEST}}}\n")
    )
    actor = tokens.find("secret")
    assert (actor.name, actor.role, actor.groups) == ("anna", Role.OPERATOR, ("engineering",))
    for wrong in ("", "Secret", DIGEST, "secret\n", "s\udce9cret", "x" * 1000):
        assert tokens.find(wrong) is None
    assert Tokens().find("") is None


def test_every_mistake_in_the_file_is_named_with_its_place_and_no_secret(tmp_path):
    path = written(
        tmp_path,
        json.dumps(
            [
                {"name": "a", "role": "operatr", "sha256": "my-plain-token"},
                {"name": "", "role": [], "sha256": DIGEST, "group": ["x"]},
                "text",
                {"name": "b", "role": "viewer", "sha256": DIGEST, "groups": "x"},
                {"name": "b", "role": "viewer", "sha256": "0" * 64},
            ]
        ),
    )
    with pytest.raises(TokensError) as caught:
        Tokens.load(path)
    found = {problem["path"]: problem["message"] for problem in caught.value.problems}
    assert list(found) == [
        "[0].role",
        "[0].sha256",
        "[1].group",
        "[1].name",
        "[1].role",
        "[2]",
        "[3].groups",
        "[3].sha256",
        "[4].name",
    ]
    assert found["[1].group"] == "unknown key; did you mean groups?"
    assert "my-plain-token" not in str(caught.value)
    assert path in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "just text", "{a: 1}", "\x00", "[" * 5000, "x" * 1_100_000])
def test_a_file_that_is_no_list_of_tokens_is_refused(tmp_path, text):
    with pytest.raises(TokensError):
        Tokens.load(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TokensError, match=r"cannot be read .No such file"):
        Tokens.load(str(tmp_path / "none"))


async def test_a_reload_takes_up_the_token_file_or_refuses_as_a_whole(world, tcp, tmp_path):
    other = hashlib.sha256(b"other").hexdigest()
    world.parts.tokens_path = written(tmp_path, f"- {{name: eve, role: admin, sha256: {other}}}\n")
    admin = tcp.with_token("token-of-admin")
    assert (await admin("POST", "/v1/reload?dry_run=1"))[0] == 200
    assert (await tcp.with_token("other")("GET", "/v1/status"))[0] == 401, "a dry run changes nothing"
    assert (await admin("POST", "/v1/reload"))[0] == 200
    assert (await admin("GET", "/v1/status"))[0] == 401, "revoked"
    eve = tcp.with_token("other")
    assert (await eve("GET", "/v1/status"))[0] == 200
    written(tmp_path, "- {name: eve}\n")
    status, problem, _ = await eve("POST", "/v1/reload")
    assert (status, problem["code"]) == (422, "invalid_file")
    assert {entry["path"] for entry in problem["problems"]} == {"[0].role", "[0].sha256"}
    assert (await eve("GET", "/v1/status"))[0] == 200
