"""The admin API as programs see it: what it shows, what it changes, and what it says about both."""

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatekeeper.control.api.codes import CODES
from gatekeeper.control.api.routes import operations
from gatekeeper.control.store.statefile import StoreError
from gatekeeper.core import passes
from gatekeeper.errors import GatekeeperError

ROOT = Path(__file__).parents[3]
SPLIT = "/v1/services/shop/split"
ROLLBACK = "/v1/services/shop/rollback"
PASSES = "/v1/services/shop/passes"


def paths(problem):
    return [entry["path"] for entry in problem["problems"]]


# Reading.


async def test_status_tells_everything_an_operator_asks_first(world, api):
    status, document, headers = await api("GET", "/v1/status")
    assert status == 200
    assert headers["ETag"] == '"1"'
    assert headers["Server"] == "gatekeeper"
    assert {"version", "pid", "started", "revision", "ready", "problems", "workers", "services"} <= set(document)
    assert document["workers"] == [{"pid": 7, "revision": 1, "state": "ready"}]
    shop = document["services"][0]
    assert (shop["name"], shop["stable"], shop["split"]) == ("shop", "blue", {"blue": 100, "green": 0})
    blue = shop["versions"]["blue"]
    assert blue["backends"] == [
        {
            "url": "http://127.0.0.1:9001",
            "id": "http://127.0.0.1:9001",
            "weight": 1,
            "state": "ready",
            "reason": "the check passes",
            "since": 0.0,
        }
    ]
    assert blue["live"]["errors"] == pytest.approx(1 / 200)
    assert blue["live"]["share"] == 0.5


async def test_status_shows_that_the_state_file_takes_no_writes(world, api):
    world.controller.trouble = "disk full"
    assert (await api("GET", "/v1/status"))[1]["problems"] == ["the state file does not take writes: disk full"]


async def test_status_shows_that_events_cannot_be_stored_although_nobody_asked_for_a_change(world, api, monkeypatch):
    async def full(*_):
        raise StoreError("state.db", "cannot be used (disk full)", "free space")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "tell", full)
        world.feed.tell({"kind": "worker_died"})
        await world.feed.flush()
    problem = "the state file does not take writes: state.db: cannot be used (disk full); free space"
    assert (await api("GET", "/v1/status"))[1]["problems"] == [problem]
    world.feed.tell({"kind": "worker_replaced"})
    await world.feed.flush()
    assert (await api("GET", "/v1/status"))[1]["problems"] == []


async def test_a_service_is_shown_with_its_definition_and_without_its_secrets(world, api):
    await api("PUT", SPLIT, json={"blue": 0.5, "green": 99.5})
    status, document, headers = await api("GET", "/v1/services/shop")
    assert status == 200
    assert headers["ETag"] == '"2"'
    assert (document["revision"], document["split"]) == (2, {"blue": 0.5, "green": 99.5})
    assert document["undo"] == [{"revision": 2, "split": {"blue": 100, "green": 0}}]
    assert document["definition"]["testers"]["keys"] == 1
    running = world.controller.state.services["shop"].running
    text = json.dumps(document)
    assert "k" * 32 not in text
    assert running.secret not in text
    assert running.split.salt not in text


async def test_the_list_of_services_and_one_that_is_not_there(api):
    _, document, _ = await api("GET", "/v1/services")
    assert [service["name"] for service in document["services"]] == ["shop", "cart"]
    status, problem, headers = await api("GET", "/v1/services/shpo")
    assert (status, problem["code"], problem["allowed"]) == (404, "unknown_service", "shop, cart")
    assert problem["problems"][0]["suggestion"] == "shop"
    assert "did you mean shop?" in problem["detail"]
    assert headers["Content-Type"] == "application/problem+json"
    status, problem, _ = await api("GET", "/v1/services/nothing-like-it")
    assert (status, problem["detail"]) == (404, "there is no service nothing-like-it")


async def test_alive_ready_and_metrics(world, api):
    assert (await api("GET", "/healthz"))[0] == 200
    assert (await api("GET", "/readyz"))[1] == {"status": "ready"}
    world.not_ready[:] = ["no worker serves", "service shop: no backend is ready"]
    status, problem, _ = await api("GET", "/readyz")
    assert (status, [entry["message"] for entry in problem["problems"]]) == (503, world.not_ready)
    assert (await api("GET", "/healthz"))[0] == 200
    _, text, headers = await api("GET", "/metrics")
    assert (text, headers["Content-Type"]) == ("up 1\n", "text/plain; version=0.0.4")


async def test_the_history_of_all_and_of_one_service(api):
    await api("PUT", SPLIT + "?note=first%20step", json={"blue": 90, "green": 10})
    await api("PUT", "/v1/services/cart/split", json={"v2": 1})
    _, document, _ = await api("GET", "/v1/revisions?service=shop&limit=5")
    assert [(row["revision"], row["action"], row["weights"]) for row in document["revisions"]] == [
        (2, "split", {"blue": 90, "green": 10}),
        (1, "start", {"blue": 100, "green": 0}),
    ]
    assert document["revisions"][0]["note"] == "first step"
    assert document["revisions"][0]["changes"][0]["after"] == {"blue": 90, "green": 10}
    _, document, _ = await api("GET", "/v1/revisions?before=3&limit=1")
    assert [row["splits"] for row in document["revisions"]] == [{"shop": {"blue": 90, "green": 10}}]
    assert (await api("GET", "/v1/revisions?service=shpo"))[0] == 404


# Changing.


async def test_a_split_is_answered_with_its_revision_and_who_took_it_up(world, api):
    status, document, headers = await api("PUT", SPLIT, json={"blue": 90, "green": 10})
    assert status == 200
    assert headers["ETag"] == '"2"'
    assert document.pop("ms") >= 0
    assert document == {
        "revision": 2,
        "base": 1,
        "dry_run": False,
        "service": "shop",
        "split": {"blue": 90, "green": 10},
        "changes": [
            {"path": "services.shop.split", "before": {"blue": 100, "green": 0}, "after": {"blue": 90, "green": 10}}
        ],
        "workers": {"acknowledged": 2, "total": 2},
        "confirm_by": None,
    }


async def test_the_reply_comes_only_after_every_worker_acknowledged(world, api):
    world.publisher.hold = asyncio.Event()
    reply = asyncio.create_task(api("PUT", SPLIT, json={"green": 1}))
    await asyncio.sleep(0.1)
    assert not reply.done()
    assert (await api("GET", "/v1/status"))[1]["revision"] == 1, "looking goes on meanwhile"
    world.publisher.hold.set()
    assert (await reply)[1]["revision"] == 2


# Rollback, reload, config.


async def test_rollback_without_a_body_goes_one_back_and_with_to_anywhere(api):
    for green in (10, 20, 30):
        await api("PUT", SPLIT, json={"blue": 100 - green, "green": green})
    assert (await api("POST", ROLLBACK))[1]["split"] == {"blue": 80, "green": 20}
    assert (await api("POST", ROLLBACK, json={}))[1]["split"] == {"blue": 90, "green": 10}
    _, document, _ = await api("POST", ROLLBACK, json={"to": 4, "note": "it was fine"})
    assert (document["revision"], document["split"]) == (7, {"blue": 70, "green": 30})
    status, problem, _ = await api("POST", ROLLBACK, json={"to": 99})
    assert (status, problem["code"]) == (404, "unknown_revision")
    assert (await api("POST", ROLLBACK, json={"to": -1}))[0] == 422
    status, problem, _ = await api("POST", "/v1/services/cart/rollback")
    assert (status, problem["code"]) == (409, "nothing_to_undo")
    assert problem["allowed"]


@dataclass(frozen=True)
class Mistake:
    file: str
    line: int
    path: str
    message: str


class WrongFileError(GatekeeperError):
    problems = (Mistake("gk.yaml", 3, "services.shop.stabel", "unknown key"), Mistake("gk.yaml", 9, "workers", "bad"))


async def test_a_reload_with_mistakes_names_them_all_and_changes_nothing(world, api):
    world.files.problem = WrongFileError("2 problems")
    for method, path in (("POST", "/v1/reload"), ("PUT", "/v1/config"), ("POST", "/v1/reload?dry_run=1")):
        status, problem, _ = await api(method, path)
        assert (status, problem["code"]) == (422, "invalid_file")
        assert [(entry["line"], entry["path"]) for entry in problem["problems"]] == [
            (3, "services.shop.stabel"),
            (9, "workers"),
        ]
    assert world.controller.state.revision == world.disk()[0] == 1
    assert len(world.publisher.sent) == 1


async def test_a_reload_keeps_the_running_splits_unless_told_otherwise(world, api, definition_of, made_service):
    await api("PUT", SPLIT, json={"blue": 60, "green": 40})
    world.files.definition = definition_of(made_service("shop", "blue", "green", path_prefix="/s"))
    status, document, _ = await api("POST", "/v1/reload", json={"note": "prefix"})
    assert (status, document["revision"]) == (200, 3)
    changed = {change["path"] for change in document["changes"]}
    assert changed == {"services.shop.path_prefix", "services.shop.testers.keys", "services.cart"}
    assert "k" * 32 not in json.dumps(document)
    assert world.weights() == {"blue": 60, "green": 40}
    assert (await api("POST", "/v1/reload"))[1]["revision"] == 3, "nothing new, no revision"
    assert (await api("POST", "/v1/reload", json={"reset_split": True}))[1]["revision"] == 4
    assert world.weights() == {"blue": 100, "green": 0}


async def test_what_needs_a_restart_is_refused_by_a_reload(world, api, edited):
    settings = edited(world.files.definition.settings, workers=3, state="/elsewhere")
    world.files.definition = edited(world.files.definition, settings=settings)
    status, problem, _ = await api("POST", "/v1/reload")
    assert (status, problem["code"], set(paths(problem))) == (409, "needs_restart", {"workers", "state"})
    assert world.controller.state.revision == 1


async def test_a_configuration_from_the_body_runs_and_says_how_long(world, api):
    body = '{"shop": ["blue", "green", "red"], "cart": ["v1", "v2"]}'
    status, document, _ = await api("PUT", "/v1/config", data=body)
    assert (status, document["revision"]) == (200, 2)
    assert "until the next reload, or until a restart finds the file edited" in document["note"]
    assert list(world.controller.state.services["shop"].definition.versions) == ["blue", "green", "red"]
    assert (await api("PUT", "/v1/config", data=b"\xff"))[0] == 400


async def test_a_configuration_from_afar_is_read_as_such(world, api, tcp):
    body = '{"shop": ["blue", "green"], "cart": ["v1", "v2"]}'
    await api("PUT", "/v1/config", data=body)
    assert world.files.local is True, "on the socket by the user gatekeeper runs as"
    await tcp.with_token("token-of-admin")("PUT", "/v1/config", data=body)
    assert world.files.local is False


# Passes and explaining.


async def test_a_pass_opens_the_versions_it_names_until_it_expires_and_is_told_without_the_token(world, api):
    watcher = world.feed.watch()
    status, document, _ = await api("POST", PASSES, json={"versions": ["green"], "ttl": 60})
    assert status == 200
    now = world.clock.wall()
    assert document["expires"] == now + 60
    assert passes.verify(document["pass"], ["k" * 32], "shop", now + 59) == {"green"}
    assert passes.verify(document["pass"], ["k" * 32], "shop", now + 61) is None
    event = await watcher.next(1)
    assert (event.kind, event.data["versions"]) == ("pass_issued", ["green"])
    assert document["pass"] not in json.dumps(event.document())


async def test_a_pass_that_cannot_be_is_refused(api):
    status, problem, _ = await api("POST", PASSES, json={"versions": ["gren", "nope"], "ttl": 10**9})
    assert status == 422
    assert paths(problem) == ["ttl", "versions[0]", "versions[1]"]
    assert problem["problems"][1]["suggestion"] == "green"
    assert (await api("POST", PASSES))[0] == 422
    status, problem, _ = await api("POST", "/v1/services/cart/passes", json={"versions": ["v1"]})
    assert (status, problem["code"]) == (409, "no_keys")
    assert "testers.keys" in problem["allowed"]


async def test_explain_gives_the_tables_own_decision(api):
    _, document, headers = await api("POST", "/v1/explain", json={"service": "shop", "path": "/x?y=1"})
    assert (document["service"], document["version"], document["reason"]) == ("shop", "blue", "split")
    assert document["sets_cookie"] == ["gatekeeper-shop"]
    assert document["because"] == "the split, for a new unit"
    assert headers["ETag"] == '"1"'
    forced = {"service": "shop", "headers": [["X-Gatekeeper-Version", "green"]]}
    _, document, _ = await api("POST", "/v1/explain", json=forced)
    assert (document["version"], document["forced"]) == ("green", True), "from loopback, as the default testers may"
    _, document, _ = await api("POST", "/v1/explain", json={**forced, "client_ip": "203.0.113.9"})
    assert (document["version"], document["forced"]) == ("blue", False)
    _, document, _ = await api("POST", "/v1/explain", json={"headers": [["Cookie", "gatekeeper-shop=" + "a" * 32]]})
    assert document["reason"] == "sticky"
    await api("PUT", SPLIT, json={"blue": 50, "green": 50})
    _, document, _ = await api("POST", "/v1/explain", json={"service": "shop"})
    assert document["because"] == "the split, for a new unit: another such request may get another version"


async def test_explain_follows_hosts_and_prefixes(world, api, definition_of, made_service):
    world.files.definition = definition_of(
        made_service("shop", "blue", "green", hosts=("*.shop.example",), path_prefix="/s"),
        made_service("other", "a", "b", hosts=("o.example",)),
    )
    await api("POST", "/v1/reload")
    assert (await api("POST", "/v1/explain", json={"service": "shop"}))[1]["service"] == "shop"
    for host in ({"host": "O.example:8080"}, {"headers": [["Host", "o.example"]]}):
        assert (await api("POST", "/v1/explain", json=host))[1]["service"] == "other"
    for host in ({"host": "o.example"}, {"headers": [["Host", "o.example"]]}):
        document = (await api("POST", "/v1/explain", json={"service": "shop", **host}))[1]
        assert "belong to service other" in document["note"]
    status, problem, _ = await api("POST", "/v1/explain", json={"host": "x.shop.example", "path": "/t"})
    assert (status, problem["code"]) == (404, "no_service")
    for wrong in ({"path": "x"}, {"client_ip": "here"}, {"headers": [["a", "b\r\nc: d"]]}, {"headers": {}}):
        assert (await api("POST", "/v1/explain", json=wrong))[0] == 422
    assert (await api("POST", "/v1/explain", json={"service": "none"}))[0] == 404


# Whatever else.


def test_the_document_names_every_endpoint_with_its_role_and_every_code(world):
    text = (ROOT / "docs" / "admin-api.md").read_text()
    for operation in operations(world.parts):
        names = {"service": "S", "version": "V", "revision": "N", "release": "ID", "path": "PATH", "flag": "F"}
        path = operation.path.format_map(names)
        role = operation.role.value if operation.role is not None else "everybody"
        row = f"| `{operation.method} {path}` | {role} |"
        assert row in text, row
    for code, known in CODES.items():
        row = f"| `{code}` | {', '.join(map(str, known.statuses))} | {known.meaning} |"
        assert row in text, row


def test_the_table_of_codes_holds_every_code_with_its_statuses_and_no_other():
    room = ROOT / "gatekeeper"
    made = re.compile(r'(?:ProblemError|Refused)\(\s*(\d+),\s*"(\w+)"')
    found = {}
    for source in [*(room / "control").rglob("*.py"), *(room / "core").rglob("*.py")]:
        for status, code in made.findall(source.read_text()):
            found.setdefault(code, set()).add(int(status))
    assert len(found) > 30
    # Those of documents that are read carry their code as an argument, and a 404 is made by what was not found.
    apart = {
        "bad_request": 400,
        **dict.fromkeys(("unknown_service", "unknown_version"), 404),
        **dict.fromkeys(("nothing_to_confirm", "which_revision"), 409),
        **dict.fromkeys(("invalid_file", "invalid_version"), 422),
    }
    for code, status in apart.items():
        found.setdefault(code, set()).add(status)
    assert {code: sorted(statuses) for code, statuses in sorted(found.items())} == {
        code: sorted(known.statuses) for code, known in sorted(CODES.items())
    }


async def test_a_failure_of_its_own_tells_nothing_of_the_inside(world, api, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(world.parts, "metrics", broken)
    status, problem, _ = await api("GET", "/metrics")
    assert (status, problem["code"]) == (500, "internal")
    assert "secret detail" not in json.dumps(problem)
    assert "secret detail" in caplog.text


async def test_a_history_that_cannot_be_read_is_said_to_be_so(world, api):
    world.store._read_connection.execute("PRAGMA query_only=0")
    world.store._read_connection.execute("DROP TABLE weights")
    status, problem, _ = await api("GET", "/v1/revisions")
    assert (status, problem["code"]) == (503, "store_failed")
