"""What differs between two plans, and between those who are told: in the words of the file, and without secrets."""

from dataclasses import fields, replace
from decimal import Decimal

import pytest

from gatekeeper.core.judge.analysis import Analysis, Burst, Demand, Guard, Query
from gatekeeper.core.release.changes import compare_releasing
from gatekeeper.core.release.plan import Approval, Group, Notify, OnFail, Plan, Releasing, Step, Window
from gatekeeper.core.release.words import host
from tests.core.releases import HEALTHZ, SMOKE, plan


def between(old: Plan, new: Plan) -> dict[str, tuple[object, object]]:
    changes = compare_releasing(Releasing({"careful": old}), Releasing({"careful": new}))
    return {change.path.removeprefix("plans.careful."): (change.before, change.after) for change in changes}


def test_each_key_of_a_plan_that_differs_is_a_difference_of_its_own():
    window = Window((0,), 540, 960, "UTC")
    new = plan(
        verify=(HEALTHZ,),
        at=1_764_565_200.0,
        window=window,
        approve=Approval(("product",)),
        on_fail=OnFail.PAUSE,
        max_hold=60.0,
        retain=0.0,
    )
    check = {"http": {"path": "/healthz", "status": [200], "body_contains": "", "within": 2.0}}
    assert between(plan(), new) == {
        "verify": (None, [check]),
        "start.at": (None, 1_764_565_200.0),
        "start.window": (None, {"days": [0], "start": 540, "end": 960, "timezone": "UTC"}),
        "approve": (None, {"groups": ["product"], "expires": 86400.0}),
        "on_fail": ("rollback", "pause"),
        "max_hold": (86400.0, 60.0),
        "retain": (3600.0, 0.0),
    }
    assert {path: (after, before) for path, (before, after) in between(new, plan()).items()} == between(plan(), new)


def test_steps_are_compared_one_by_one_and_those_that_one_plan_has_more_are_shown_whole():
    old = plan((10, 60), (100, 60))
    (first, last) = old.steps
    new = replace(old, steps=(replace(first, hold=90.0, pause=True, verify=(SMOKE,)), Step(Decimal("50.5")), last))
    found = between(old, new)
    assert found["steps[0].hold"] == (60, 90.0)
    assert found["steps[0].pause"] == (None, True)
    assert found["steps[0].verify"][0] is None
    assert found["steps[1].weight"] == (100, 50.5)
    assert found["steps[2]"] == (None, {"weight": 100, "hold": 60})
    assert set(found) == {"steps[0].hold", "steps[0].pause", "steps[0].verify", "steps[1].weight", "steps[1].hold",
                          "steps[2]"}  # fmt: skip


def test_a_plan_that_comes_or_goes_is_one_difference():
    (change,) = compare_releasing(Releasing({}), Releasing({"careful": plan()}))
    assert (change.path, change.before, change.after) == ("plans.careful", None, {"steps": [10, 50, 100]})
    (change,) = compare_releasing(Releasing({"careful": plan()}), Releasing({}))
    assert change.after is None


OTHERS = {
    "alpha": ("alpha", 0.02, (0.01, 0.02)),
    "beta": ("promote_beta", 0.1, (0.05, 0.1)),
    "tolerate_errors": ("tolerate.errors", 0.001, ("0.05pt", "0.1pt")),
    "tolerate_latency": ("tolerate.latency", 0.1, ("5% + 2ms", "10% + 2ms")),
    "tolerate_floor": ("tolerate.latency", 0.005, ("5% + 2ms", "5% + 5ms")),
    "promote_errors": ("promote_within.errors", (1.0, 0.01), ("0.5pt", "1pt")),
    "promote_p95": ("promote_within.p95", (2.0, 0.01), ("x1.5 + 1pt", "x2 + 1pt")),
    "promote_p99": ("promote_within.p99", (1.5, 0.01), ("x1.5 + 0.5pt", "x1.5 + 1pt")),
    "latency": ("latency", False, (True, False)),
    "min_bake": ("min_bake", 60, (300, 60)),
    "min_events": ("min_events", 5, (3, 5)),
    "warm_up": ("warm_up", 30, (0, 30)),
    "deadline": ("deadline", 60.0, (3600.0, 60.0)),
    "steps": ("steps", Demand.PASSED, ("no_alarm", "passed")),
    "routes": ("routes", ("/checkout",), (None, ["/checkout"])),
    "guard": ("guard.errors", Guard(0.05), (None, 0.05)),
    "burst": ("burst.cap", Burst(60, 20.0), (None, 20.0)),
    "queries": (
        "metrics.depth",
        (Query("depth", "http://prometheus", "up", max=3.0),),
        (None, {"prometheus": "http://prometheus", "query": "up", "max": 3.0, "every": 30.0, "failures": 3}),
    ),
}
NOT_IN_THE_FILE = {"tolerate_ratio", "services"}


@pytest.mark.parametrize("name", [each.name for each in fields(Analysis) if each.name not in NOT_IN_THE_FILE])
def test_every_part_of_an_analysis_differs_under_its_key_in_the_file(name):
    key, value, shown = OTHERS[name]
    old = plan(analysis=Analysis())
    found = between(old, replace(old, analysis=replace(Analysis(), **{name: value})))
    assert found[f"analysis.{key}"] == shown


def test_an_analysis_that_comes_or_goes_is_one_difference():
    assert between(plan(), plan(analysis=Analysis(alpha=0.5))) == {"analysis": (None, "on")}
    assert between(plan(analysis=Analysis()), plan()) == {"analysis": ("on", None)}


# Who is told


def told(*urls: str, secret: str = "s" * 16) -> Releasing:
    return Releasing(notify=tuple(Notify(url, secret, ("tripped",)) for url in urls))


def test_of_a_webhook_only_the_host_is_shown_since_the_rest_may_be_its_secret():
    old, new = "https://ann:pw@hooks.example.com/services/T0/B0/one", "https://hooks.example.com:8443/two?k=three"
    (change,) = compare_releasing(told(old), told(new))
    assert change.before == ["https://hooks.example.com: tripped"]
    assert change.after == ["https://hooks.example.com:8443: tripped"]


@pytest.mark.parametrize("new", [told("https://h/two"), told("https://h/one", secret="t" * 16)])
def test_another_path_or_secret_is_only_said_to_be_another(new):
    (change,) = compare_releasing(told("https://h/one"), new)
    assert change.before == ["https://h: tripped"]
    assert change.after == ["https://h: tripped", "with another path or secret"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h.example.com/a/b", "https://h.example.com"),
        ("http://[::1]:9000/x", "http://[::1]:9000"),
        ("http://ann:secret@h:1/", "http://h:1"),
        ("http://h:port/", "http://h"),
    ],
)
def test_the_host_of_an_address_is_all_that_is_shown_of_it(url, shown):
    assert host(url) == shown


def test_groups_and_defaults_differ_by_their_names():
    old = Releasing(groups={"front": Group(("shop",))}, defaults={"shop": "careful"})
    new = Releasing(groups={"front": Group(("shop", "cart"))}, defaults={"cart": "careful"})
    assert [change.path for change in compare_releasing(old, new)] == [
        "releases.front", "services.shop.plan", "services.cart.plan",
    ]  # fmt: skip
