"""Which mirrors are in force, and under which names."""

from dataclasses import replace
from decimal import Decimal

from gatekeeper.core.model import Backend, Rule, Service, Version, When
from gatekeeper.core.shadow.model import Compare, Mirror
from gatekeeper.core.shadow.runs import runs

MIRROR = Mirror("green", 5.0)


def service(mirror: Mirror | None = MIRROR, *rules: Rule) -> Service:
    versions = {name: Version(name, (Backend(f"http://{name}"),)) for name in ("blue", "green", "red")}
    return Service("shop", versions, "blue", {"blue": Decimal(100)}, rules=rules, mirror=mirror)


def test_without_a_mirror_and_with_one_of_nothing_there_is_nothing():
    assert runs(service(None)) is None
    assert runs(service(replace(MIRROR, percent=0.0))) is None


def test_a_rule_has_the_services_mirror_or_its_own():
    rules = (Rule("a", When(), "blue"), Rule("b", When(), "blue", mirror=Mirror("red", 1.0)))
    found = runs(service(MIRROR, *rules)) or {}
    assert {place: run.mirror.to for place, run in found.items()} == {None: "green", "a": "green", "b": "red"}
    assert found[None].id == found["a"].id != found["b"].id


def test_a_rule_may_have_none_where_the_service_has_one():
    found = runs(service(MIRROR, Rule("a", When(), "blue", mirror=Mirror("green", 0.0)))) or {}
    assert [*found] == [None]


def test_more_of_the_same_is_the_same_run_and_anything_else_is_not():
    def number(mirror: Mirror, build: str | None = None) -> str:
        of = service(mirror)
        green = replace(of.versions["green"], build=build)
        return (runs(replace(of, versions={**of.versions, "green": green})) or {})[None].id

    assert number(MIRROR) == number(replace(MIRROR, percent=50.0)) == number(replace(MIRROR, in_flight=1))
    others = [replace(MIRROR, methods=("GET",)), replace(MIRROR, compare=Compare(ignore=("$.a",)))]
    assert len({number(MIRROR), number(MIRROR, "7"), *map(number, others)}) == 4


def test_a_version_that_is_not_there_any_more_gets_no_copies():
    of = service()
    assert runs(replace(of, versions={"blue": of.versions["blue"]})) is None


def test_only_safe_methods_are_asked_twice():
    assert MIRROR.asks_again("GET")
    assert not MIRROR.asks_again("POST")
    assert not replace(MIRROR, compare=Compare(noise=False)).asks_again("GET")
