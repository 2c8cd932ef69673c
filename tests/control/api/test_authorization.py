"""Every endpoint and everybody who may ask: who gets in, who is turned away, and with which status."""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from gatekeeper.control.api.admin import Admin
from gatekeeper.control.api.auth import Actor, of_user
from gatekeeper.control.api.routes import operations
from gatekeeper.control.api.tokens import Tokens
from gatekeeper.core.command import Deploy, Drain
from gatekeeper.core.model import Backend, Role, User, Version
from tests.control.conftest import Api, World
from tests.control.flagged import NAME, a_flag, another_share
from tests.control.judged import judge
from tests.control.released import ASKING, back_to_blue, begin, with_plans

NOBODY = 65534

# Who asks, by how: ``None`` is a request over TCP without a token.
TOKENS = {
    "none": None,
    "wrong": "no-token-of-ours",
    "viewer": "viewer",
    "operator": "operator",
    "admin": "admin",
    "elsewhere": "elsewhere",
    "expired": "expired",
    "revoked": "revoked",
}
SOCKET = ("owner", "other uid", "other uid, viewer")
WHO = (*TOKENS, *SOCKET)


def row(*statuses: int) -> dict[str, int]:
    return dict(zip(WHO, statuses, strict=True))


# Written out by hand: the code's own table must not be its own witness. ``elsewhere`` is an operator of another group;
# ``owner`` is the user gatekeeper runs as; ``other uid`` another one, of whom ``admin.users`` says nothing.
#               none wrong viewer operator admin elsewhere expired revoked owner other other,viewer
EVERYBODY = row(200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200)
VIEWERS = row(401, 401, 200, 200, 200, 200, 401, 401, 200, 200, 200)
OPERATORS = row(401, 401, 403, 200, 200, 200, 401, 401, 200, 200, 403)
# ``operator`` is in a group that the plan asks; who may approve and is not asked hears that.
ASKED = row(401, 401, 403, 200, 409, 409, 401, 401, 409, 409, 403)
ADMINS = row(401, 401, 403, 403, 200, 403, 401, 401, 200, 403, 403)
EVERYBODY_BUT_ON_THE_SOCKET = row(204, 204, 204, 204, 204, 204, 204, 204, 409, 409, 409)
WHO_CAME_IN = row(401, 401, 204, 204, 204, 204, 401, 401, 204, 204, 204)
TABLE = {
    ("GET", "/"): EVERYBODY,
    ("GET", "/assets/{path}"): EVERYBODY,
    ("POST", "/session"): EVERYBODY_BUT_ON_THE_SOCKET,
    ("GET", "/session"): VIEWERS,
    ("DELETE", "/session"): WHO_CAME_IN,
    ("GET", "/v1/live"): VIEWERS,
    ("GET", "/healthz"): EVERYBODY,
    ("GET", "/readyz"): VIEWERS,
    ("GET", "/metrics"): VIEWERS,
    ("GET", "/openapi.json"): VIEWERS,
    ("GET", "/v1/status"): VIEWERS,
    ("GET", "/v1/services"): VIEWERS,
    ("GET", "/v1/services/{service}"): VIEWERS,
    ("GET", "/v1/services/{service}/versions/{version}"): VIEWERS,
    ("GET", "/v1/services/{service}/shadow"): VIEWERS,
    ("POST", "/v1/services/{service}/shadow/reset"): OPERATORS,
    ("GET", "/v1/revisions"): VIEWERS,
    ("GET", "/v1/revisions/{revision}"): VIEWERS,
    ("GET", "/v1/audit"): OPERATORS,
    ("GET", "/v1/events"): VIEWERS,
    ("POST", "/v1/explain"): VIEWERS,
    ("GET", "/v1/plans"): VIEWERS,
    ("GET", "/v1/flags"): VIEWERS,
    ("GET", "/v1/flags/{flag}"): VIEWERS,
    ("GET", "/v1/flags/{flag}/history"): VIEWERS,
    ("PUT", "/v1/flags/{flag}"): OPERATORS,
    ("POST", "/v1/flags/{flag}/on"): OPERATORS,
    ("POST", "/v1/flags/{flag}/off"): OPERATORS,
    ("POST", "/v1/flags/{flag}/rollback"): OPERATORS,
    ("DELETE", "/v1/flags/{flag}"): OPERATORS,
    ("POST", "/ofrep/v1/evaluate/flags"): VIEWERS,
    ("POST", "/ofrep/v1/evaluate/flags/{flag}"): VIEWERS,
    ("GET", "/v1/releases"): VIEWERS,
    ("GET", "/v1/services/{service}/releases"): VIEWERS,
    ("GET", "/v1/services/{service}/releases/{release}"): VIEWERS,
    ("GET", "/v1/services/{service}/releases/{release}/report"): VIEWERS,
    ("GET", "/v1/services/{service}/releases/{release}/verdict"): VIEWERS,
    ("GET", "/v1/services/{service}/releases/{release}/seconds"): VIEWERS,
    ("POST", "/v1/services/{service}/verify"): OPERATORS,
    ("POST", "/v1/services/{service}/releases"): OPERATORS,
    ("POST", "/v1/services/{service}/releases/{release}/approve"): ASKED,
    ("POST", "/v1/services/{service}/releases/{release}/reject"): OPERATORS,
    ("POST", "/v1/services/{service}/releases/{release}/pause"): OPERATORS,
    ("POST", "/v1/services/{service}/releases/{release}/resume"): OPERATORS,
    ("POST", "/v1/services/{service}/releases/{release}/skip"): OPERATORS,
    ("POST", "/v1/services/{service}/releases/{release}/promote"): OPERATORS,
    ("POST", "/v1/services/{service}/releases/{release}/abort"): OPERATORS,
    ("PUT", "/v1/services/{service}/split"): OPERATORS,
    ("POST", "/v1/services/{service}/rollback"): OPERATORS,
    ("PUT", "/v1/services/{service}/versions/{version}"): OPERATORS,
    ("DELETE", "/v1/services/{service}/versions/{version}"): OPERATORS,
    ("POST", "/v1/services/{service}/versions/{version}/drain"): OPERATORS,
    ("POST", "/v1/services/{service}/trip/reset"): OPERATORS,
    ("POST", "/v1/services/{service}/passes"): OPERATORS,
    ("POST", "/v1/revisions/{revision}/restore"): OPERATORS,
    ("POST", "/v1/confirm"): OPERATORS,
    ("POST", "/v1/reload"): OPERATORS,
    ("PUT", "/v1/config"): ADMINS,
    ("POST", "/v1/history/prune"): ADMINS,
}

# What makes a request that is let in succeed.
BODIES = {
    "set_split": {"blue": 1, "green": 1},
    "issue_pass": {"versions": ["green"]},
    "put_config": {"shop": ["blue", "green"], "cart": ["v1", "v2"]},
    "explain": {"service": "shop"},
    "set_flag": {"percent": 5},
    "evaluate_flag": {"context": {"targetingKey": "anna"}},
    "deploy": {"backends": ["http://127.0.0.1:9009"]},
    "prune_history": {"before": 1},
    "start_release": {"to": "green", "plan": "ramp"},
    "verify": {"version": "green", "plan": "checked"},
    "reject_release": {"reason": "no"},
    "skip_release": {"reason": "quiet night"},
    "sign_in": {"token": "operator"},
}


async def another_split(world: World) -> None:
    await world.controller.submit(world.split(blue=1, green=1 + world.controller.state.revision))


async def spare_version(world: World) -> None:
    version = Version("spare", (Backend(f"http://127.0.0.1:{9100 + world.controller.state.revision}"),))
    await world.controller.submit(Deploy(actor="anna", service="shop", version=version))


async def waiting_change(world: World) -> None:
    if not world.controller.state.pending:
        split = world.split(blue=2, green=7 + world.controller.state.revision)
        await world.controller.submit(replace(split, confirm_within=60.0))


async def asking(world: World) -> None:
    await begin(world, ASKING)


async def judged(world: World) -> None:
    judge(world.judges, (await begin(world)).id, world.path.parent)


BEFORE: dict[str, Callable[[World], Awaitable[object]]] = {
    "rollback": another_split,
    "retire": spare_version,
    "drain": spare_version,
    "version": spare_version,
    "confirm": waiting_change,
    "start_release": back_to_blue,
    "verify": back_to_blue,
    **dict.fromkeys(("release", "release_report", "release_verdict", "approve_release", "reject_release"), asking),
    "release_seconds": judged,
    **dict.fromkeys(
        ("flag", "flag_history", "remove_flag", "switch_flag_on", "switch_flag_off", "evaluate_flag"), a_flag
    ),
    **dict.fromkeys(("set_flag", "rollback_flag"), another_share),
    **dict.fromkeys((f"{verb}_release" for verb in ("pause", "resume", "skip", "promote", "abort")), begin),
}


class Door(NamedTuple):
    """All ways in: ``await door(who, method, path, body)`` gives status, document and headers."""

    ask: Callable[[str, str, str, Any], Awaitable[tuple[int, Any, Any]]]
    world: World

    async def __call__(self, who: str, method: str, path: str, body: Any = None) -> tuple[int, Any, Any]:
        return await self.ask(who, method, path, body)


CHILD = """
import http.client, json, os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
for line in sys.stdin:
    method, path, body = json.loads(line)
    connection = http.client.HTTPConnection("gatekeeper")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(sys.argv[1])
    connection.request(method, path, body=body)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    print(json.dumps([response.status, text, dict(response.getheaders())]), flush=True)
"""


@contextlib.asynccontextmanager
async def another_user(socket: Path) -> AsyncIterator[Callable[..., Awaitable[tuple[int, Any, Any]]]]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD, str(socket), str(NOBODY)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**22,
    )
    assert child.stdin is not None
    assert child.stdout is not None

    async def ask(method: str, path: str, body: Any) -> tuple[int, Any, Any]:
        child.stdin.write(json.dumps([method, path, body]).encode() + b"\n")
        status, text, headers = json.loads(await asyncio.wait_for(child.stdout.readline(), 20))
        kind = headers.get("Content-Type", "").partition(";")[0]
        return status, json.loads(text) if kind.endswith(("/json", "+json")) else text, headers

    try:
        yield ask
    finally:
        child.stdin.close()
        await child.wait()


def public_folder() -> Path:
    """A place that another user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="gk-door-"))
    folder.chmod(0o755)
    return folder


@pytest.fixture
async def door(world: World, free_port: int) -> AsyncIterator[Door]:
    groups = {"elsewhere": ("marketing",), "operator": ("engineering",)}
    roles = {"elsewhere": Role.OPERATOR, "expired": Role.ADMIN, "revoked": Role.ADMIN}
    actors = {
        hashlib.sha256(token.encode()).hexdigest(): Actor(
            who,
            roles.get(who) or Role(who),
            groups.get(who, ()),
            expires=world.clock.wall() - 1 if who == "expired" else None,
        )
        for who, token in TOKENS.items()
        if token is not None and who not in ("wrong", "revoked")
    }
    world.parts.tokens = Tokens(actors)
    folder = public_folder()
    admin = Admin(world.parts, path=str(folder / "s"), http=f"127.0.0.1:{free_port}")
    await admin.start()
    (folder / "s").chmod(0o666)
    try:
        async with contextlib.AsyncExitStack() as stack:
            here = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(folder / "s")))
            owner = Api(await stack.enter_async_context(here), "http://gatekeeper")
            tcp = Api(await stack.enter_async_context(aiohttp.ClientSession()), f"http://127.0.0.1:{free_port}")
            other = None

            async def ask(who: str, method: str, path: str, body: Any) -> tuple[int, Any, Any]:
                nonlocal other
                data = None if body is None else json.dumps(body)
                if who in TOKENS:
                    return await tcp.with_token(TOKENS[who])(method, path, data=data)
                if who == "owner":
                    return await owner(method, path, data=data)
                if other is None:
                    other = await stack.enter_async_context(another_user(folder / "s"))
                users = {name_of(NOBODY): User(Role.VIEWER)} if who == "other uid, viewer" else {}
                state = world.controller.state
                world.controller.state = replace(state, settings=replace(state.settings, admin_users=users))
                return await other(method, path, data)

            yield Door(ask, world)
    finally:
        await admin.stop()
        shutil.rmtree(folder)


def name_of(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"


def test_the_table_names_every_endpoint_and_no_other(world):
    assert {(each.method, each.path) for each in operations(world.parts)} == set(TABLE)


@pytest.mark.parametrize("endpoint", TABLE, ids=" ".join)
async def test_each_endpoint_answers_whom_it_should_and_nobody_else(door, endpoint):
    world = door.world
    (operation,) = [each for each in operations(world.parts) if (each.method, each.path) == endpoint]
    version = "green" if operation.name == "deploy" else "spare"
    with_plans(world)
    path = operation.path.format(service="shop", version=version, revision=1, release="last", path="main.js", flag=NAME)
    path += "?follow=0" if operation.streams else ""
    for who, expected in TABLE[endpoint].items():
        if who.startswith("other uid") and os.geteuid() != 0:
            continue  # told apart below, where it is skipped with its reason
        await BEFORE.get(operation.name, another_split)(world)
        before = world.controller.state
        status, document, headers = await door(who, operation.method, path, BODIES.get(operation.name))
        assert status == expected, (who, document)
        if status in (401, 403):
            if operation.refusal is None:
                assert document["status"] == status
                assert document["allowed"]
            else:
                operation.refusal.model_validate(document)
            assert ("WWW-Authenticate" in headers) == (status == 401)
            assert world.controller.state.revision == before.revision, "who is turned away changes nothing"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a program as another user")
async def test_the_kernel_says_who_is_on_the_socket_and_the_file_what_he_may(door):
    await door("other uid", "PUT", "/v1/services/shop/split", {"blue": 3, "green": 4})
    assert (await door.world.store.revisions(limit=1))[0].actor == name_of(NOBODY)
    status, problem, _ = await door("other uid", "POST", "/v1/history/prune", {"before": 1})
    assert (status, problem["code"]) == (403, "forbidden")
    assert "operator" in problem["detail"]
    status, problem, _ = await door("other uid, viewer", "PUT", "/v1/services/shop/split", {"blue": 1})
    assert (status, "has the role viewer" in problem["detail"]) == (403, True)


def test_root_and_the_owner_may_everything_whatever_the_file_says():
    users = {"anna": User(Role.VIEWER, ("product",)), "root": User(Role.VIEWER)}
    for uid in (0, os.geteuid()):
        actor = of_user(uid, "root", users)
        assert (actor.role, actor.local) == (Role.ADMIN, True)
    anna = of_user(4242, "anna", users)
    assert (anna.role, anna.groups, anna.via, anna.local) == (Role.VIEWER, ("product",), "uid 4242", False)
    assert of_user(4243, "eve", users).role is Role.OPERATOR


async def test_a_token_that_expires_says_so_and_opens_nothing_from_that_second_on(door):
    world = door.world
    (digest,) = (each.token for each in world.parts.tokens._actors.values() if each.name == "viewer")
    actor = Actor("viewer", Role.VIEWER, expires=world.clock.wall() + 10)
    world.parts.tokens = Tokens({digest: actor})
    assert (await door("viewer", "GET", "/v1/status"))[0] == 200
    world.clock.advance(10)
    status, problem, headers = await door("viewer", "GET", "/v1/status")
    assert (status, problem["code"]) == (401, "token_expired")
    assert "gatekeeper token add" in problem["allowed"]
    assert "WWW-Authenticate" in headers


async def test_who_tried_what_he_may_not_stands_in_the_audit(door):
    await door("viewer", "DELETE", "/v1/services/shop/versions/green")
    await door("none", "DELETE", "/v1/services/shop/versions/green")
    _, document, _ = await door("owner", "GET", "/v1/audit")
    found = [(one["actor"], one["via"], one["action"], one["service"], one["outcome"]) for one in document["audit"]]
    assert ("viewer", "token", "retire", "shop", "refused") in found
    assert len([one for one in found if one[2] == "retire"]) == 1, "a stranger writes nothing to our disk"


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("PUT", "/v1/services/shop/split", "split"),
        ("PUT", "/v1/config", "reload"),
        ("POST", "/v1/history/prune", "prune"),
        ("POST", "/v1/services/shop/passes", "pass"),
        ("POST", "/v1/services/shop/trip/reset", "reset_trip"),
    ],
)
async def test_the_audit_has_one_word_for_an_action_whether_it_was_allowed_or_not(door, method, path, action):
    await door("viewer", method, path)
    _, document, _ = await door("owner", "GET", "/v1/audit")
    row = document["audit"][0]
    assert (row["actor"], row["action"], row["outcome"]) == ("viewer", action, "refused")


async def test_a_drained_version_can_be_seen_by_a_viewer(door):
    await spare_version(door.world)
    await door.world.controller.submit(Drain(actor="anna", service="shop", version="spare", seconds=30))
    _, document, _ = await door("viewer", "GET", "/v1/services/shop/versions/spare")
    assert document["draining"] == door.world.clock.wall() + 30
