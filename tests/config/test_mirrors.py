"""``mirror`` of a service, of a rule and of a plan's verify: what it comes to, and each kind of mistake."""

import json

import pytest

from gatekeeper.config import ConfigError, load_text
from gatekeeper.core.codec import dump, load
from gatekeeper.core.model import Definition
from gatekeeper.core.release.plan import MirrorCheck
from gatekeeper.core.shadow.model import BodyComparison, Compare, Keep, Mirror

FILE = """
services:
  shop:
    versions: {blue: {backends: ["http://a"]}, green: {backends: ["http://b"]}}
    %s
plans:
  careful:
    verify: [%s]
    steps: [{weight: 100}]
"""
HTTP = "http: /"
FULL = """mirror: {to: green, percent: 2.5, methods: [GET, POST], body: 1KiB, keep: [cookie, authorization],
      timeout: 2s, in_flight: 8,
      compare: {body: exact, headers: [X-A], ignore: ["$.a[*].b"], bytes: 2KiB, noise: false}}"""
WHOLE = Mirror(
    to="green",
    percent=2.5,
    methods=("GET", "POST"),
    body=1024,
    keep=(Keep.COOKIE, Keep.AUTHORIZATION),
    compare=Compare(BodyComparison.EXACT, ("x-a",), ("$.a[*].b",), 2048, noise=False),
    timeout=2.0,
    in_flight=8,
)


def loaded(service: str = "hosts: [a.b]", check: str = f"{{{HTTP}}}") -> Definition:
    return load_text(FILE % (service, check), "gk.yaml", ".")


def test_a_service_without_a_mirror_has_none():
    assert loaded().services["shop"].mirror is None


def test_the_smallest_mirror_has_the_defaults_of_the_values():
    assert loaded("mirror: {to: green, percent: 5}").services["shop"].mirror == Mirror("green", 5.0)


def test_every_key_is_taken_up():
    assert loaded(FULL).services["shop"].mirror == WHOLE


def test_a_rule_has_one_of_its_own():
    found = loaded("rules: [{when: {}, to: blue, mirror: {to: green, percent: 0}}]").services["shop"]
    assert found.rules[0].mirror == Mirror("green", 0.0)


def test_a_check_has_the_same_keys_and_plain_percentages():
    (check,) = loaded(check="{mirror: {}}").releasing.plans["careful"].verify
    assert check.mirror == MirrorCheck(Mirror("", 5.0), 600.0, 0.001, 100)
    assert check.name == "mirror 5 %"
    text = "{mirror: {percent: 0.5, for: 1h, max_different: 2, at_least: 7, methods: [GET], compare: {body: none}}}"
    (check,) = loaded(check=text).releasing.plans["careful"].verify
    mirror = Mirror("", 0.5, methods=("GET",), compare=Compare(body=BodyComparison.NONE))
    assert check.mirror == MirrorCheck(mirror, 3600.0, 0.02, 7)


def test_what_was_read_is_the_same_after_it_was_stored():
    found = loaded(FULL, "{mirror: {percent: 0.5}}")
    assert load(Definition, json.loads(json.dumps(dump(found)))) == found


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("mirror: {percent: 5}", "mirror.to", "is required"),
        ("mirror: {to: green}", "mirror.percent", "is required"),
        ("mirror: {to: gren, percent: 5}", "mirror.to", "did you mean green?"),
        ("mirror: {to: green, percent: 101}", "mirror.percent", "is too large"),
        ("mirror: {to: green, percent: 5, methods: []}", "mirror.methods", "is empty"),
        ("mirror: {to: green, percent: 5, methods: [get]}", "mirror.methods[0]", "GET"),
        ("mirror: {to: green, percent: 5, keep: [set-cookie]}", "mirror.keep[0]", "cookie or authorization"),
        ("mirror: {to: green, percent: 5, body: 2MiB}", "mirror.body", "is too large"),
        ("mirror: {to: green, percent: 5, timeout: 0}", "mirror.timeout", "needs a unit"),
        ("mirror: {to: green, percent: 5, in_flight: 0}", "mirror.in_flight", "is too small"),
        ("mirror: {to: green, percent: 5, for: 1s}", "mirror.for", "unknown key"),
        ("mirror: {to: green, percent: 5, compare: {body: jsn}}", "mirror.compare.body", "did you mean json?"),
        ("mirror: {to: green, percent: 5, compare: {bytes: 1}}", "mirror.compare.bytes", "is too small"),
        ("mirror: {to: green, percent: 5, compare: {headers: [A, a]}}", "mirror.compare.headers[1]", "is the same"),
        ("mirror: {to: green, percent: 5, compare: {ignore: [time]}}", "mirror.compare.ignore[0]", "begin with $"),
        ("mirror: {to: green, percent: 5, compare: {ignore: ['$.a[3]']}}", "mirror.compare.ignore[0]", "written [*]"),
        ("rules: [{when: {}, to: blue, mirror: {to: red, percent: 5}}]", "rules[0].mirror.to", "no such version"),
    ],
)
def test_a_mistake_is_told_at_its_place(text, path, message):
    with pytest.raises(ConfigError) as caught:
        loaded(text)
    said = [str(problem) for problem in caught.value.problems if problem.path == f"services.shop.{path}"]
    assert any(message in line for line in said), str(caught.value)


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("{mirror: {to: green}}", "mirror.to", "unknown key"),
        ("{mirror: {percent: 0}}", "mirror.percent", "is too small"),
        ("{mirror: {for: 25h}}", "mirror.for", "is too large"),
        ("{mirror: {at_least: 0}}", "mirror.at_least", "is too small"),
        ("{mirror: {}, http: /}", "", "exactly one of http, command, released_in, mirror"),
    ],
)
def test_a_mistake_of_a_check_is_told_at_its_place(text, path, message):
    with pytest.raises(ConfigError) as caught:
        loaded(check=text)
    where = ".".join(filter(None, ("plans.careful.verify[0]", path)))
    said = [str(problem) for problem in caught.value.problems if problem.path == where]
    assert any(message in line for line in said), str(caught.value)
