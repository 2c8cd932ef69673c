"""The admin API over TCP: who may do what, by token; and the socket beside it."""

import hashlib
import json
import stat
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.conftest import _take
from tests.system.parts import running
from tests.system.scripted import Backend
from tests.system.wire import ask

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

ROLES = ("", "viewer", "operator", "admin")
"""In order of what they may; "" has no token."""
TOKENS = {role: f"token-of-the-{role}-which-nobody-guesses" for role in ROLES[1:]}

SPLIT, REVISIONS = "/v1/services/shop/split", "/v1/revisions"

TABLE = [
    ("GET", "/healthz", None, ""),
    ("GET", "/readyz", None, "viewer"),
    ("GET", "/metrics", None, "viewer"),
    ("GET", "/v1/status", None, "viewer"),
    ("GET", "/v1/services", None, "viewer"),
    ("GET", "/v1/services/shop", None, "viewer"),
    ("GET", REVISIONS, None, "viewer"),
    ("GET", "/v1/events?follow=0", None, "viewer"),
    ("POST", "/v1/explain", {"service": "shop", "path": "/"}, "viewer"),
    ("GET", "/v1/plans", None, "viewer"),
    ("GET", "/v1/releases", None, "viewer"),
    ("GET", "/v1/services/shop/releases", None, "viewer"),
    ("PUT", f"{SPLIT}?dry_run=1", {"blue": 1, "green": 1}, "operator"),
    ("POST", "/v1/services/shop/rollback?dry_run=1", {}, "operator"),
    ("POST", "/v1/services/shop/passes", {"versions": ["green"], "ttl": 60}, "operator"),
    ("POST", "/v1/reload?dry_run=1", {}, "operator"),
    ("PUT", "/v1/config?dry_run=1", "the file", "admin"),
]


class Stage:
    def __init__(self, gatekeeper, port, folder):
        self.gatekeeper, self.port, self.folder = gatekeeper, port, folder

    async def ask(self, method, path, role, body=None):
        content = self.gatekeeper.file.read_bytes() if body == "the file" else json.dumps(body).encode()
        fields = {"authorization": f"Bearer {TOKENS[role]}"} if role else {}
        return await ask(self.port, path, method, body=b"" if body is None else content, **fields)

    def token_file(self, role):
        path = self.folder / role
        path.write_text(TOKENS[role] + "\n")
        return str(path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("access")
    tokens = [
        {"name": f"the {role}", "role": role, "sha256": hashlib.sha256(token.encode()).hexdigest()}
        for role, token in TOKENS.items()
    ]
    (folder / "tokens.yaml").write_text(json.dumps(tokens))
    async with AsyncExitStack() as stack:
        held = []
        port, http = _take(held), _take(held)
        for each in held:
            each.close()
        blue = await stack.enter_async_context(Backend.answering("blue"))
        versions = {name: {"backends": [blue.url]} for name in ("blue", "green")}
        services = {"shop": {"versions": versions, "testers": {"keys": ["0123456789abcdef"]}}}
        admin = {"http": f"127.0.0.1:{http}", "tokens": str(folder / "tokens.yaml")}
        gatekeeper = await stack.enter_async_context(running(folder, port, services, admin=admin))
        await gatekeeper.weigh("shop", blue=50, green=50)  # so that there is something to roll back
        yield Stage(gatekeeper, http, folder)


@pytest.mark.parametrize(("method", "path", "body", "least"), TABLE, ids=lambda value: value or "-")
async def test_a_role_may_what_it_may_and_nothing_more(stage, method, path, body, least):
    """200 from the least role on, 403 for those below it, 401 for strangers; the socket may everything."""
    before = await stage.gatekeeper.revision()
    for role in ROLES:
        answer = await stage.ask(method, path, role, body)
        expected = 200 if ROLES.index(role) >= ROLES.index(least) else 403 if role else 401
        assert answer.status == expected, f"{role or 'nobody'}: {answer.body!r}"
        if expected != 200:
            assert answer.get("content-type").startswith("application/problem+json")
            assert json.loads(answer.body)["allowed"]
    content = stage.gatekeeper.file.read_bytes() if body == "the file" else json.dumps(body).encode()
    answer = await ask(stage.gatekeeper.socket, path, method, body=b"" if body is None else content)
    assert answer.status == 200
    assert await stage.gatekeeper.revision() == before


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer wrong",
        "Bearer",
        "Bearer ",
        f"Basic {TOKENS['admin']}",
        TOKENS["admin"],
        f"Bearer {TOKENS['admin']}x",
        f"Bearer {hashlib.sha256(TOKENS['admin'].encode()).hexdigest()}",
        "Bearer " + "x" * 4_000,
    ],
    ids=lambda text: text[:30],
)
async def test_what_is_no_token_of_ours_opens_nothing(stage, authorization):
    """The stored hash among it. A stranger does not even learn which paths there are."""
    for method, path in (("GET", "/v1/status"), ("PUT", SPLIT), ("GET", "/nowhere"), ("DELETE", "/healthz")):
        answer = await ask(stage.port, path, method, authorization=authorization)
        assert answer.status == 401
        assert answer.get("www-authenticate").startswith("Bearer")


async def test_the_history_names_who_it_was(stage):
    """A token by its name, the socket by its user."""
    for role, weights in (("operator", {"blue": 3, "green": 1}), ("admin", {"blue": 1, "green": 3})):
        answer = await stage.ask("PUT", SPLIT, role, weights)
        assert answer.status == 200
    rows = json.loads((await stage.ask("GET", REVISIONS, "viewer")).body)["revisions"]
    assert [row["actor"] for row in rows[:2]] == ["the admin", "the operator"]
    assert not rows[2]["actor"].startswith("the ")


async def test_the_command_line_by_url_and_token(stage, monkeypatch):
    """A viewer looks (0) and is refused a change (4); who has no token is refused (4); nobody there is 3."""
    url = ("--url", f"http://127.0.0.1:{stage.port}")

    run = stage.gatekeeper.command
    viewer = ("--token-file", stage.token_file("viewer"))
    code, out, _ = await run(*url, *viewer, "status")
    assert (code, "shop" in out) == (0, True)
    code, _, err = await run(*url, *viewer, "split", "shop", "blue=1", "green=0")
    assert (code, "the viewer has the role viewer, this needs operator" in err) == (4, True)
    assert (await run(*url, "status"))[0] == 4
    monkeypatch.setenv("GATEKEEPER_TOKEN_FILE", stage.token_file("operator"))
    assert (await run(*url, "split", "shop", "blue=5", "green=5"))[0] == 0
    assert (await run("--url", "http://127.0.0.1:1", "status"))[0] == 3


async def test_a_reload_takes_up_the_tokens_too_and_refuses_a_broken_file_whole(stage):
    """A token that is taken out stops working with the reload; a mistake keeps those of before."""
    file = stage.folder / "tokens.yaml"
    good = file.read_text()
    file.write_text(json.dumps([*json.loads(good), {"name": "x", "role": "king", "sha256": "1"}]))
    code, _, err = await stage.gatekeeper.command("reload")
    assert (code, "[3].role" in err, "[3].sha256" in err) == (2, True, True)
    assert (await stage.ask("GET", "/v1/status", "viewer")).status == 200
    file.write_text(json.dumps([entry for entry in json.loads(good) if entry["role"] != "viewer"]))
    assert (await stage.gatekeeper.command("reload"))[0] == 0
    assert (await stage.ask("GET", "/v1/status", "viewer")).status == 401
    assert (await stage.ask("GET", "/v1/status", "operator")).status == 200
    file.write_text(good)
    assert (await stage.gatekeeper.command("reload"))[0] == 0
    assert (await stage.ask("GET", "/v1/status", "viewer")).status == 200


async def test_the_socket_is_for_its_owner_and_group(stage):
    assert stat.S_IMODE(stage.gatekeeper.socket.stat().st_mode) == 0o660
