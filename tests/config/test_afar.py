"""A configuration from afar cannot make gatekeeper read this machine and show what is there."""

import json
import os

import pytest

from gatekeeper.config import ConfigError, load_text
from gatekeeper.core.model import Definition

GOOD = {"services": {"shop": {"versions": {"blue": {"backends": ["http://127.0.0.1:9001"]}}}}}


def with_service(**more):
    return {"services": {"shop": {**GOOD["services"]["shop"], **more}}}


def refused(document, tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_text(json.dumps(document), "body", tmp_path, local=False)
    return caught.value.problems


def test_an_ordinary_one_is_taken_as_it_is(tmp_path):
    assert isinstance(load_text(json.dumps(GOOD), "body", tmp_path, local=False), Definition)
    quoted = with_service(testers={"keys": ["$${literally}" * 2]})
    definition = load_text(json.dumps(quoted), "body", tmp_path, local=False)
    assert definition.services["shop"].testers.keys == ("${literally}" * 2,)


def test_include_references_and_error_pages_are_refused_each_with_its_place_and_the_way_out(tmp_path):
    document = {
        "include": "other.yaml",
        **with_service(error_pages={"502": "/etc/hostname"}, testers={"keys": ["${HOME}", "${file:/etc/hostname}"]}),
        "state": "${GATEKEEPER_NO_SUCH_VARIABLE}",
    }
    found = {problem.path: problem for problem in refused(document, tmp_path)}
    assert set(found) == {
        "include",
        "services.shop.error_pages",
        "services.shop.testers.keys[0]",
        "services.shop.testers.keys[1]",
        "state",
    }
    assert {problem.allowed for problem in found.values()} == {
        "on the admin socket, by root or the user gatekeeper runs as"
    }


@pytest.mark.parametrize("name", ["HOME", "GATEKEEPER_NO_SUCH_VARIABLE", "file:/etc/hostname", "file:/no/such/file"])
def test_not_even_whether_something_is_there_is_said(tmp_path, name):
    (problem,) = refused(with_service(testers={"keys": [f"${{{name}}}"]}), tmp_path)
    assert problem.message == "${...} cannot be used from afar"
    assert os.environ["HOME"] not in str(problem)


def test_what_is_included_is_not_even_opened(tmp_path):
    (tmp_path / "other.yaml").write_text("nonsense: [")
    (problem,) = refused({"include": "other.yaml", **GOOD}, tmp_path)
    assert problem.path == "include"


def test_on_the_machine_itself_all_of_it_works(tmp_path, monkeypatch):
    monkeypatch.setenv("A_KEY", "k" * 32)
    document = with_service(testers={"keys": ["${A_KEY}"]})
    assert load_text(json.dumps(document), "body", tmp_path).services["shop"].testers.keys == ("k" * 32,)


def with_check(check):
    return {**GOOD, "plans": {"p": {"verify": [check], "steps": [{"weight": 100, "verify": [{"http": "/"}, check]}]}}}


@pytest.mark.parametrize(
    ("check", "path"),
    [
        ({"command": {"run": ["/bin/sh", "-c", "id"]}}, "command"),
        (
            {"released_in": {"gatekeeper": "http://h", "service": "s", "token_file": "/etc/shadow"}},
            "released_in.token_file",
        ),
    ],
)
def test_a_program_to_run_and_a_file_to_send_cannot_come_from_afar(tmp_path, check, path):
    found = refused(with_check(check), tmp_path)
    places = [f"plans.p.{where}.{path}" for where in ("verify[0]", "steps[0].verify[1]")]
    assert sorted((problem.path, problem.message) for problem in found) == sorted(
        (place, "cannot be used from afar") for place in places
    )
    assert isinstance(load_text(json.dumps(with_check(check)), "body", tmp_path), Definition)


def test_the_token_of_a_metric_cannot_come_from_afar(tmp_path):
    metric = {"name": "a", "prometheus": "http://h", "query": "q", "max": 1}
    plan = {"steps": [{"weight": 5}, {"weight": 100}], "analysis": {"metrics": [metric]}}
    assert load_text(json.dumps({**GOOD, "plans": {"p": plan}}), "body", tmp_path, local=False).releasing.plans
    metric["token_file"] = "/etc/shadow"
    (problem,) = refused({**GOOD, "plans": {"p": plan}}, tmp_path)
    assert (problem.path, problem.message) == (
        "plans.p.analysis.metrics[0].token_file",
        "cannot be used from afar",
    )


def test_other_checks_may_come_from_afar(tmp_path):
    asked = with_check({"released_in": {"gatekeeper": "http://h", "service": "s"}})
    assert load_text(json.dumps(asked), "body", tmp_path, local=False).releasing.plans
