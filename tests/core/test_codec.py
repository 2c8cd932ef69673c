"""The codec brings back exactly what it was given, and nothing that does not fit its type."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core import model
from gatekeeper.core.codec import CodecError, dump, load
from gatekeeper.core.model import (
    Backend,
    HealthCheck,
    Pattern,
    PatternKind,
    Rule,
    Running,
    Service,
    ServiceState,
    Settings,
    Split,
    State,
    Sticky,
    StickyMode,
    Undo,
    UnitKind,
    UnitSource,
    Version,
    Weights,
    When,
)
from gatekeeper.errors import Source

WEIGHTS = {"green": Decimal("0.50"), "blue": Decimal(90)}
SERVICE = Service(
    name="shop",
    versions={
        "green": Version("green", (Backend("http://10.0.0.5:9001", 2),), build="7", health=HealthCheck()),
        "blue": Version("blue", (Backend("unix:/run/b.sock"),)),
    },
    stable="blue",
    split=WEIGHTS,
    hosts=("shop.example.com",),
    sticky=Sticky((UnitSource(UnitKind.HEADER, "x-user-id"),), StickyMode.PIN),
    rules=(
        Rule("staff", When(cookies=(("staff", Pattern(PatternKind.EXACT, ("1",))),)), to="green"),
        Rule("half", When(path=Pattern(PatternKind.PREFIX, ("/v2",)), methods=("GET",)), split=WEIGHTS),
    ),
    testers=model.Testers(keys=("k1", "k2")),
)
RUNNING = Running(
    split=Split(WEIGHTS, {"blue": ((0, 7), (9, 8)), "green": ((7, 8),)}, "ab"),
    secret="cd",
    rules={"half": Split(WEIGHTS, {"blue": ((0, 9),)}, "ef")},
    undo=(Undo(3, WEIGHTS),),
    superseded={"red": 1.5},
    since={"blue": 2},
    revision=4,
    changed_at=1_700_000_000.25,
)
STATE = State(5, Settings(workers=2), {"shop": ServiceState(SERVICE, RUNNING)})


def through_json(value: object) -> Any:
    return json.loads(json.dumps(dump(value)))


def test_a_whole_state_survives_json():
    assert load(State, through_json(STATE)) == STATE


def test_the_order_of_mappings_is_kept():
    """Versions give and take points in the order of definition, so losing it would move users."""
    back = load(State, through_json(STATE)).services["shop"]
    assert list(back.definition.versions) == ["green", "blue"]
    assert list(back.running.split.weights) == ["green", "blue"]


def test_decimals_keep_their_digits():
    assert dump(WEIGHTS) == {"green": "0.50", "blue": "90"}
    assert str(load(Weights, {"a": "0.50"})["a"]) == "0.50"


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_every_finite_decimal_survives(number):
    assert load(Decimal, through_json(number)).as_tuple() == number.as_tuple()


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_survives(number):
    assert load(float, through_json(number)) == number


def test_a_missing_field_takes_its_default():
    """A value written before a field existed can still be read."""
    data = through_json(RUNNING)
    del data["since"], data["undo"]
    assert load(Running, data) == replace(RUNNING, since={}, undo=())


def test_enums_are_written_as_their_values():
    assert dump(Source.UPSTREAM_RESET) == 3
    assert dump(StickyMode.RAMP) == "ramp"
    assert load(Source, 3) is Source.UPSTREAM_RESET


def test_an_integer_is_a_float_but_not_the_other_way():
    assert load(float, 3) == 3.0
    assert isinstance(load(float, 3), float)
    with pytest.raises(CodecError):
        load(int, 3.0)


def spoilt(*path: str | int, value: object) -> Any:
    data = through_json(STATE)
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return data


SHOP = ("services", "shop")


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("revision",), "5", "revision"),
        (("revision",), True, "revision"),
        (("revision",), None, "revision"),
        (("settings", "workers"), 1.5, "settings.workers"),
        ((*SHOP, "running", "split", "weights", "blue"), "many", "services.shop.running.split.weights.blue"),
        ((*SHOP, "running", "split", "weights", "blue"), "NaN", "services.shop.running.split.weights.blue"),
        ((*SHOP, "running", "split", "weights", "blue"), 90, "services.shop.running.split.weights.blue"),
        ((*SHOP, "running", "split", "stacks", "blue"), [[0, 7, 9]], "services.shop.running.split.stacks.blue[0]"),
        ((*SHOP, "running", "split", "stacks", "blue"), [[0, "7"]], "services.shop.running.split.stacks.blue[0][1]"),
        ((*SHOP, "running", "undo"), {}, "services.shop.running.undo"),
        ((*SHOP, "running", "changed_at"), 10**400, "services.shop.running.changed_at"),
        ((*SHOP, "running", "changed_at"), float("nan"), "services.shop.running.changed_at"),
        ((*SHOP, "running", "superseded"), [], "services.shop.running.superseded"),
        ((*SHOP, "running", "newer"), 1, "services.shop.running.newer"),
        ((*SHOP, "definition", "on_unavailable"), "explode", "services.shop.definition.on_unavailable"),
        ((*SHOP, "definition", "on_unavailable"), ["fail"], "services.shop.definition.on_unavailable"),
        ((*SHOP, "definition", "strip_prefix"), 1, "services.shop.definition.strip_prefix"),
        ((*SHOP, "definition", "stable"), 1, "services.shop.definition.stable"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_path(path, value, named):
    with pytest.raises(CodecError) as caught:
        load(State, spoilt(*path, value=value))
    assert caught.value.path == named
    assert str(caught.value).startswith(f"{named}: ")


def test_a_missing_required_field_is_named():
    data = through_json(STATE)
    del data["services"]["shop"]["running"]["secret"]
    with pytest.raises(CodecError, match=r"^services\.shop\.running\.secret: missing$"):
        load(State, data)


def test_a_mistake_at_the_top_is_still_named():
    with pytest.raises(CodecError, match=r"^value: found 'x'; allowed: an object$"):
        load(State, "x")


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(CodecError) as caught:
        load(int, "x" * 1_000_000)
    assert len(str(caught.value)) < 120


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_data_loads_or_raises_codec_error(data):
    """Nothing else may escape: the callers turn a CodecError into advice, and any other error into a crash."""
    for cls in (State, Running, Split, Settings, Weights, Source, Decimal):
        try:
            load(cls, data)
        except CodecError:
            continue


def test_types_without_a_json_form_are_refused():
    with pytest.raises(CodecError, match="bytes"):
        dump({"a": b"x"})

    @dataclass
    class Ambiguous:
        value: int | str
        more: Mapping[str, int] | None = None

    with pytest.raises(CodecError, match="union"):
        load(Ambiguous, {"value": 1})
    with pytest.raises(CodecError, match="bytes"):
        load(bytes, "x")
