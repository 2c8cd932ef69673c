"""The description of the API is true: of every operation, of every answer, of every refusal."""

import getpass
import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema_rs
import pytest
from pydantic import BaseModel

from gatekeeper.control.api import (
    answers,
    bodies,
    codes,
    flag_answers,
    flag_bodies,
    past_answers,
    release_answers,
    release_bodies,
    verdict_answers,
)
from gatekeeper.control.api.answers import Problem
from gatekeeper.control.api.openapi import document
from gatekeeper.control.api.routes import operations
from gatekeeper.control.dashboard import answers as dashboard_answers
from gatekeeper.core.command import Deploy
from gatekeeper.core.model import Backend, Role, User, Version
from tests.control.flagged import NAME, another_share, no_flag
from tests.control.judged import judge
from tests.control.released import ASKING, FULL, RAMP, back_to_blue, begin, checked, with_plans

ROOT = Path(__file__).parents[3]
SHOP = "/v1/services/shop"
SPLIT = f"{SHOP}/split"
MODELS = (answers, bodies, flag_answers, flag_bodies, past_answers, release_answers, release_bodies, verdict_answers)


@pytest.fixture
def table(world):
    return operations(world.parts)


@pytest.fixture
def described(table):
    return document(table)


def refs(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from refs(value)
    elif isinstance(node, list):
        for item in node:
            yield from refs(item)


def operation_of(described, operation):
    return described["paths"][operation.path][operation.method.lower()]


# The document


def test_it_is_served_as_it_is_made_and_needs_no_other_file(described, table):
    assert described["openapi"] == "3.1.0"
    assert {(method.upper(), path) for path, item in described["paths"].items() for method in item} == {
        (each.method, each.path) for each in table
    }
    for ref in refs(described):
        assert ref.removeprefix("#/components/schemas/") in described["components"]["schemas"], ref


async def test_the_endpoint_gives_it(api, table):
    status, served, _ = await api("GET", "/openapi.json")
    assert (status, served) == (200, document(table))


def test_every_schema_is_a_schema(described):
    for name, schema in described["components"]["schemas"].items():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}), name
    for item in described["paths"].values():
        for operation in item.values():
            for parameter in operation["parameters"]:
                jsonschema_rs.meta.validate(parameter["schema"])


def test_every_operation_has_an_id_of_its_own_its_role_and_all_that_is_in_its_path(described, table):
    assert len({each.name for each in table}) == len(table)
    for each in table:
        told = operation_of(described, each)
        assert told["operationId"] == each.name
        assert told["security"] == ([{"token": [each.role.value]}] if each.role is not None else [])
        in_path = {one["name"] for one in told["parameters"] if one["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", each.path))
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


ASKING_ONLY = ("explain", "verify", "reset_shadow", "sign_in", "sign_out", "evaluate_flag", "evaluate_flags")
"""What is not a GET and changes no state."""


def test_every_write_tells_of_its_conditions_and_no_look_does(described, table):
    for each in table:
        told = operation_of(described, each)
        names = {one["name"] for one in told["parameters"]}
        assert {"If-Match", "Idempotency-Key"} <= names if each.writes else not {"If-Match"} & names
        assert each.writes == (each.method != "GET" and each.name not in ASKING_ONLY)
        headers = told["responses"]["200" if each.answer is not None else "204"].get("headers", {})
        assert ("Idempotency-Replayed" in headers) == each.writes
        if each.commands and each.writes:
            assert "dry_run" in names
            assert {"409", "412", "422", "503", "504"} <= set(told["responses"])


def test_every_status_names_its_codes_and_what_they_mean(described, table):
    for each in table:
        told = operation_of(described, each)
        for status, names in codes.by_status(each.problems).items():
            response = told["responses"][str(status)]
            media, model = "application/problem+json", "Problem"
            if each.refusal is not None:
                media, model = "application/json", each.refusal.__name__
            assert response["content"] == {media: {"schema": {"$ref": f"#/components/schemas/{model}"}}}
            for name in names:
                assert f"`{name}`: {codes.CODES[name].meaning}" in response["description"]


def test_what_is_sent_is_closed_and_what_is_got_is_open(described):
    schemas = described["components"]["schemas"]
    closed = {name for name, schema in schemas.items() if schema.get("additionalProperties") is False}
    assert {"RollbackBody", "DrainBody", "PassBody", "DeployBody", "ExplainBody"} <= closed
    assert not closed & {"Status", "ServiceOutcome", "Problem", "Backend", "RevisionInFull"}


def test_every_model_of_a_body_and_an_answer_is_in_it(described):
    """A model that no operation uses would be a promise nobody keeps."""
    apart = {"Answer", "Body"}
    for module in (*MODELS, dashboard_answers):
        for name, model in vars(module).items():
            mine = isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == module.__name__
            if mine and name not in apart and "[" not in name and not name.startswith("_"):
                assert name in described["components"]["schemas"], name


# Real answers


async def everything_there(world):
    """A world in which every kind of answer has something to say."""
    await world.controller.submit(world.split(blue=60, green=40))
    spare = Version("spare", (Backend("http://127.0.0.1:9009"),), build="b1")
    await world.controller.submit(Deploy(actor="anna", service="shop", version=spare, note="a spare one"))
    await another_share(world)


REQUESTS = {
    "revision": [("", None), ("?diff=1", None)],
    "revisions": [("", None), ("?service=shop", None)],
    "events": [("?follow=0", None)],
    "live": [("?follow=0", None), ("?follow=0&service=shop", None)],
    "explain": [("", {"service": "shop"}), ("", {"service": "cart", "path": "/x"})],
    "set_split": [("", {"blue": 1, "green": 2}), ("?dry_run=1", {"blue": 1}), ("?confirm_within=1m", {"blue": 9})],
    "rollback": [("", None)],
    "deploy": [("", {"backends": ["http://127.0.0.1:9010"], "health": {"path": "/healthz"}})],
    "retire": [("", None)],
    "drain": [("", {"seconds": 5}), ("?dry_run=1", None)],
    "reset_trip": [("", None)],
    "issue_pass": [("", {"versions": ["green"]})],
    "restore": [("?service=shop", None)],
    "confirm": [],
    "set_flag": [
        ("?new=1", {"percent": 5}),
        ("", {"percent": 30, "when": {"header": {"X-Country": "DE"}}, "schedule": {"off": "2030-01-01T00:00Z"}}),
        ("?dry_run=1", {"on": False, "description": None}),
        ("?confirm_within=1m", {"percent": 2}),
    ],
    "switch_flag_on": [("", {"reason": "why"})],
    "switch_flag_off": [("", None), ("?dry_run=1", {"kill": True, "reason": "it burns"})],
    "evaluate_flag": [("", {"context": {"targetingKey": "anna"}})],
    "evaluate_flags": [("", {"context": {"targetingKey": "anna"}}), ("", None)],
    "verify": [("", {"version": "green", "plan": "checked"})],
    "start_release": [("", {"to": "spare", "plan": "full"}), ("?dry_run=1", {"to": "spare", "note": "x"})],
    "approve_release": [("", {"reason": "fine"})],
    "reject_release": [("", {"reason": "no"})],
    "skip_release": [("", {"reason": "quiet night"}), ("?dry_run=1", {"reason": "x"})],
    "reload": [("", None)],
    "put_config": [("", {"shop": ["blue", "green"]})],
    "prune_history": [("?dry_run=1", {"older_than": "1d"}), ("", {"before": 2})],
}


RELEASED = {
    "approve_release": ASKING,
    **dict.fromkeys(("all_releases", "releases", "release", "release_report", "status", "services", "service"), FULL),
    **dict.fromkeys(("release_verdict", "release_seconds"), FULL),
    **dict.fromkeys((f"{verb}_release" for verb in ("reject", "pause", "resume", "skip", "promote", "abort")), RAMP),
}
"""Plans of the releases that are under way for a request."""


async def released(world, name):
    """With evidence of every kind where it is looked at."""
    with_plans(world)
    if name in RELEASED:
        release = await begin(world, RELEASED[name], "spare")
    if RELEASED.get(name) is FULL:
        await checked(world)
        judge(world.judges, release.id, world.path.parent)
    root = User(Role.ADMIN, ("engineering",))
    settings = replace(world.controller.state.settings, admin_users={getpass.getuser(): root})
    world.controller.state = replace(world.controller.state, settings=settings)


async def test_real_answers_are_what_the_document_says(world, api, described, table):
    schemas = described["components"]
    for each in table:
        if each.name in ("confirm", "sign_in"):
            continue  # each has a test of its own
        for query, body in REQUESTS.get(each.name, [("", None)]):
            await back_to_blue(world)
            await everything_there(world)
            await released(world, each.name)
            if query == "?new=1":
                await no_flag(world)
            revision = world.controller.state.revision
            path = (
                each.path.format(
                    service="shop", version="spare", revision=revision, release="last", path="main.js", flag=NAME
                )
                + query
            )
            key = {"Idempotency-Key": f"{each.name}{query}"} if each.writes else {}
            data = None if body is None else json.dumps(body)
            status, found, headers = await api(each.method, path, data=data, headers=key)
            assert status == (200 if each.answer is not None else 204), (path, found)
            check(each, found, headers, schemas)
            if each.writes and "dry_run" not in query:
                status, again, headers = await api(each.method, path, data=data, headers=key)
                assert (status, headers.get("Idempotency-Replayed")) == (200, "true"), path
                check(each, again, headers, schemas)
            for change in world.controller.state.pending:
                await api("POST", "/v1/confirm", json={"revision": change.revision})


async def test_a_confirmation_is_what_the_document_says(world, api, described, table):
    await api("PUT", f"{SPLIT}?confirm_within=30s", json={"blue": 2, "green": 3})
    (confirm,) = [each for each in table if each.name == "confirm"]
    _, status, headers = await api("GET", "/v1/status")
    check(next(each for each in table if each.name == "status"), status, headers, described["components"])
    assert status["pending"][0]["services"] == ["shop"]
    code, found, headers = await api("POST", "/v1/confirm")
    assert code == 200
    check(confirm, found, headers, described["components"])


def check(operation, found, headers, components):
    if operation.answer is None:
        assert found == ""
        return
    if isinstance(operation.answer, str):
        assert headers["Content-Type"].startswith(operation.answer)
        return
    operation.answer.model_validate(found)  # forbids what it does not know
    schema = {"$ref": f"#/components/schemas/{operation.answer.__name__}", "components": components}
    jsonschema_rs.Draft202012Validator(schema).validate(found)
    assert ("ETag" in headers) == (operation.tags or operation.revalidates)


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "/v1/services/none", {}, 404),
        ("GET", f"{SHOP}/versions/none", {}, 404),
        ("GET", "/v1/revisions/99", {}, 404),
        ("GET", "/v1/revisions/x", {}, 404),
        ("GET", "/v1/status?x=1", {}, 400),
        ("PUT", SPLIT, {"data": "{"}, 400),
        ("PUT", SPLIT, {"json": {"gren": 1}}, 422),
        ("PUT", SPLIT, {"json": {"green": 1}, "headers": {"If-Match": '"7"'}}, 412),
        ("PUT", SPLIT, {"json": {"green": 1}, "headers": {"Idempotency-Key": "a b"}}, 400),
        ("PUT", f"{SHOP}/versions/x", {"json": {"backend": []}}, 422),
        ("DELETE", f"{SHOP}/versions/blue", {}, 409),
        ("POST", f"{SHOP}/rollback", {}, 409),
        ("POST", "/v1/history/prune", {"json": {}}, 422),
        ("POST", "/v1/confirm", {}, 409),
        ("GET", f"{SHOP}/releases/last", {}, 404),
        ("POST", f"{SHOP}/releases", {"json": {"to": "gren"}}, 404),
        ("POST", f"{SHOP}/releases", {"json": {"to": "blue"}}, 409),
        ("POST", f"{SHOP}/releases", {"json": {"to": "green", "at": "2030-01-01T00:00"}}, 422),
        ("POST", f"{SHOP}/releases/7/pause", {}, 404),
        ("POST", f"{SHOP}/verify", {"json": {"version": "green"}}, 409),
        ("GET", "/v1/flags/none", {}, 404),
        ("GET", "/v1/flags/none/history", {}, 404),
        ("PUT", "/v1/flags/none", {"json": {"percent": 5}}, 404),
        ("PUT", "/v1/flags/new?new=1", {"json": {"percent": 500, "onn": True}}, 422),
        ("POST", "/v1/flags/none/on", {}, 404),
        ("POST", "/v1/flags/none/off", {"json": {"kil": True}}, 422),
        ("DELETE", "/v1/flags/none", {}, 404),
    ],
)
async def test_real_refusals_are_what_the_document_says(api, described, table, method, path, more, status):
    found, problem, _ = await api(method, path, **more)
    assert found == status, problem
    Problem.model_validate(problem)
    template = [each for each in table if each.method == method and matches(each.path, path.partition("?")[0])]
    assert problem["code"] in template[0].problems
    schema = {"$ref": "#/components/schemas/Problem", "components": described["components"]}
    jsonschema_rs.Draft202012Validator(schema).validate(problem)


def matches(template, path):
    return re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) is not None
