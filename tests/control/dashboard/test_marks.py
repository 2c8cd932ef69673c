"""Marks on the time axis: which events are some, of which service, in which words."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatekeeper.control.dashboard.marks import MARKS, TEXT, Marks, marks_of
from gatekeeper.control.store.rows import Event

WEIGHTS = {"blue": 90, "green": 10}


def event(kind, at=5.0, revision=7, **data):
    return Event(3, at, kind, revision, data)


@pytest.mark.parametrize(
    ("happened", "marks"),
    [
        (event("split", service="shop", after=WEIGHTS, actor="anna"), {"shop": "blue 90, green 10"}),
        (event("rollback", service="shop", after=WEIGHTS), {"shop": "rolled back: blue 90, green 10"}),
        (
            event("tripped", service="shop", version="green", reason="50 % errors"),
            {"shop": "green tripped: 50 % errors"},
        ),
        (event("trip_reset", service="shop", versions=["green"]), {"shop": "trip-wire reset: green"}),
        (event("deployed", service="shop", version="green", build="b1"), {"shop": "green deployed, build b1"}),
        (event("retired", service="shop", version="green"), {"shop": "green retired"}),
        (event("version_draining", service="shop", version="green"), {"shop": "green drains"}),
        (
            event("release_step", services={"shop": "green", "cart": "v2"}, text="10 %"),
            {"shop": "10 %", "cart": "10 %"},
        ),
        (event("release_verdict", services={"shop": "green"}, text="rollback: worse"), {"shop": "rollback: worse"}),
        (
            event("undone", services=["shop", "cart"], undid=3),
            dict.fromkeys(("shop", "cart"), "the change undid itself"),
        ),
        (
            event(
                "reload", changes=[{"path": "services.a.b.split", "after": WEIGHTS}, {"path": "services.shop.hosts"}]
            ),
            {"a.b": "blue 90, green 10"},
        ),
        (event("backend_ejected", service="shop", version="green"), {}),
        (event("release_waiting", services={"shop": "green"}, text="for product"), {}),
        (event("worker_died"), {}),
    ],
    ids=lambda value: value.kind if isinstance(value, Event) else "",
)
def test_each_event_that_moves_users_is_one_line(happened, marks):
    assert {service: mark["text"] for service, mark in marks_of(happened).items()} == marks


def test_a_mark_says_when_by_whom_and_which_version():
    mark = marks_of(event("deployed", service="shop", version="green", build=None, actor="anna"))["shop"]
    assert mark == {
        "at": 5.0,
        "kind": "deployed",
        "text": "green deployed",
        "revision": 7,
        "version": "green",
        "actor": "anna",
    }


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KINDS = ["split", "rollback", "restored", "tripped", "trip_reset", "deployed", "reload", "undone", "release_step", "x"]
KEYS = [
    "service",
    "services",
    "version",
    "versions",
    "changes",
    "after",
    "text",
    "reason",
    "build",
    "actor",
    "restored",
]


@settings(max_examples=300, deadline=None)
@example("undone", {"services": [[]]})
@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(KEYS), values))
def test_no_event_of_whatever_gatekeeper_breaks_it(kind, data):
    for mark in marks_of(event(kind, **data)).values():
        assert isinstance(mark["text"], str)
        assert len(mark["text"]) <= TEXT
        assert mark["version"] is None or isinstance(mark["version"], str)


def test_a_long_text_is_cut_and_the_newest_marks_are_kept():
    marks = Marks()
    for at in range(MARKS + 50):
        marks.hear(event("tripped", at=float(at), service="shop", version="green", reason="x" * 5000))
    kept = marks.of("shop", 0.0)
    assert (len(kept), kept[0]["at"], kept[-1]["at"]) == (MARKS, 50.0, MARKS + 49.0)
    assert len(kept[0]["text"]) == TEXT
    assert [mark["at"] for mark in marks.of("shop", 245.0)] == [245.0, 246.0, 247.0, 248.0, 249.0]
    assert len(marks.fresh()["shop"]) == MARKS


def test_new_ones_are_told_once_and_those_of_services_that_are_gone_are_forgotten():
    marks = Marks()
    marks.hear(event("split", service="shop", after=WEIGHTS))
    assert [*marks.fresh()] == ["shop"]
    assert marks.fresh() == {}
    marks.keep({"cart"})
    assert marks.of("shop", 0.0) == []


async def test_a_start_recalls_what_happened_before_it(world):
    await world.controller.submit(world.split(blue=1, green=1))
    world.clock.advance(590)
    await world.controller.submit(world.split(blue=1, green=2))
    world.clock.advance(20)
    marks = Marks()
    await marks.recall(world.store, world.clock.wall())
    assert [mark["text"] for mark in marks.of("shop", 0.0)] == ["blue 1, green 2"]
