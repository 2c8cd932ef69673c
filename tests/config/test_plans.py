"""Plans, groups, freezes and webhooks: what is written becomes the values that releases go by."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from gatekeeper.config import load_file, plans
from gatekeeper.core.release import plan as core

EXAMPLE = """
plans:
  careful:
    verify:
      - http: {path: /healthz, status: 200, body_contains: ok, within: 3s}
      - http: /ready
      - command: {run: ["./smoke.sh", "{url}"], timeout: 3m}
      - released_in: {gatekeeper: "https://staging:9900/", service: shop, token_file: staging.token}
    start: {at: 2026-12-01T06:00, timezone: Europe/Berlin, window: {days: mon-thu, hours: "09:00-16:00"}}
    approve: {groups: [engineering, product]}
    steps:
      - {weight: 1, hold: 5m}
      - {weight: 12.5%, hold: 10m, pause: true}
      - {weight: 50, hold: 10m, approve: {groups: [product], expires: 2h}, verify: [{command: {run: [smoke]}}]}
      - {weight: 100, hold: 30m}
    on_fail: pause
    max_hold: 12h
    retain: 2h
"""


@pytest.fixture
def releasing(load):
    def releasing(top="", service=""):
        return load(service, top).releasing

    return releasing


def at(*parts):
    return datetime(*parts, tzinfo=UTC).timestamp()


def test_a_plan_with_everything_is_read_whole(releasing, tmp_path):
    smoke = core.CommandCheck((f"{tmp_path}/smoke.sh", "{url}"), timeout=180)
    staging = core.ReleasedInCheck("https://staging:9900", "shop", f"{tmp_path}/staging.token")
    assert releasing(EXAMPLE).plans["careful"] == core.Plan(
        name="careful",
        verify=(
            core.Check(http=core.HttpCheck("/healthz", (200,), "ok", 3)),
            core.Check(http=core.HttpCheck("/ready")),
            core.Check(command=smoke),
            core.Check(released_in=staging),
        ),
        at=at(2026, 12, 1, 5),
        window=core.Window((0, 1, 2, 3), 540, 960, "Europe/Berlin"),
        approve=core.Approval(("engineering", "product")),
        steps=(
            core.Step(Decimal(1), 300),
            core.Step(Decimal("12.5"), 600, pause=True),
            core.Step(
                Decimal(50),
                600,
                core.Approval(("product",), 7200),
                verify=(core.Check(command=core.CommandCheck(("smoke",))),),
            ),
            core.Step(Decimal(100), 1800),
        ),
        on_fail=core.OnFail.PAUSE,
        max_hold=43200,
        retain=7200,
    )


def test_what_is_left_out_is_what_the_program_does_without_it(releasing):
    found = releasing("plans: {p: {steps: [{weight: 100}]}}")
    assert found.plans == {"p": core.Plan("p", (core.Step(Decimal(100)),))}
    assert found == core.Releasing(plans=found.plans)
    assert releasing() == core.Releasing()
    checks = "plans: {p: {steps: [{weight: 100}], verify: [{http: {path: /}}, {command: {run: [a]}}, %s]}}"
    checked = releasing(checks % "{released_in: {gatekeeper: 'http://h', service: s}}").plans["p"].verify
    assert checked == (
        core.Check(http=core.HttpCheck("/")),
        core.Check(command=core.CommandCheck(("a",))),
        core.Check(released_in=core.ReleasedInCheck("http://h", "s")),
    )


@pytest.mark.parametrize(
    ("start", "at_", "window"),
    [
        ("at: 2026-12-01T06:00+01:00", at(2026, 12, 1, 5), None),
        ("at: 2026-03-29T02:30, timezone: Europe/Berlin", at(2026, 3, 29, 1), None),
        ("at: 2026-10-25T02:30, timezone: Europe/Berlin", at(2026, 10, 25, 0, 30), None),
        ("window: {hours: '22:00-06:00'}", None, core.Window((0, 1, 2, 3, 4, 5, 6), 1320, 360, "UTC")),
        ("window: {days: [mon, fri-sat, sat]}", None, core.Window((0, 4, 5), 0, 1440, "UTC")),
        ("timezone: Asia/Tokyo, window: {days: sun}", None, core.Window((6,), 0, 1440, "Asia/Tokyo")),
        (
            "at: 2026-12-01T06:00Z, timezone: Asia/Tokyo, window: {days: sun}",
            at(2026, 12, 1, 6),
            core.Window((6,), 0, 1440, "Asia/Tokyo"),
        ),
        (
            "at: 2026-12-01T06:00, timezone: Asia/Tokyo, window: {days: sun, timezone: UTC}",
            at(2026, 11, 30, 21),
            core.Window((6,), 0, 1440, "UTC"),
        ),
    ],
)
def test_when_a_plan_starts(releasing, start, at_, window):
    plan = releasing(f"plans: {{p: {{start: {{{start}}}, steps: [{{weight: 100}}]}}}}").plans["p"]
    assert (plan.at, plan.window) == (at_, window)


def test_a_program_with_a_slash_starts_at_the_file_that_names_it_and_one_without_is_looked_up(tmp_path):
    (tmp_path / "team").mkdir()
    run = "plans: {%s: {steps: [{weight: 100, verify: [{command: {run: [%s, ./x]}}]}]}}\n"
    (tmp_path / "team" / "a.yaml").write_text(run % ("a", "bin/smoke"))
    (tmp_path / "team" / "b.yaml").write_text(run % ("b", "smoke"))
    main = "include: team/*.yaml\nservices: {s: {versions: {v: {backends: 'http://h'}}}}\n" + run % ("c", "/bin/smoke")
    (tmp_path / "main.yaml").write_text(main)
    found = load_file(tmp_path / "main.yaml").releasing.plans
    programs = {name: plan.steps[0].verify[0].command.run for name, plan in found.items()}
    assert programs == {"c": ("/bin/smoke", "./x"), "a": (f"{tmp_path}/team/bin/smoke", "./x"), "b": ("smoke", "./x")}


def test_freezes_of_the_top_are_for_all_and_those_of_a_service_for_it(releasing):
    top = """\
freeze:
  - {from: 2026-12-20T00:00, until: 2027-01-02T00:00, timezone: Europe/Berlin, reason: holidays}
  - {days: [fri, sun], hours: "16:00-08:00", timezone: America/New_York, reason: weekend}
  - {until: 2026-06-01T00:00Z}
  - {from: 2026-11-01T00:00Z, hours: "11:00-13:00"}
"""
    service = "freeze: [{from: 2026-07-01T08:00+02:00, reason: audit}]"
    assert releasing(top, service).freezes == (
        core.Freeze("holidays", at(2026, 12, 19, 23), at(2027, 1, 1, 23)),
        core.Freeze("weekend", window=core.Window((4, 6), 960, 480, "America/New_York")),
        core.Freeze(until=at(2026, 6, 1)),
        core.Freeze(since=at(2026, 11, 1), window=core.Window((0, 1, 2, 3, 4, 5, 6), 660, 780, "UTC")),
        core.Freeze("audit", since=at(2026, 7, 1, 6), services=("shop",)),
    )


def test_a_service_and_a_group_name_the_plan_they_use(releasing):
    top = """\
releases: {storefront: {services: [cart, shop], plan: slow}, rest: {services: [a, b]}}
plans: {slow: {steps: [{weight: 100}]}, quick: {steps: [{weight: 100}]}}
"""
    others = "".join(
        f"  {name}: {{hosts: {name}.example, versions: {{v: {{backends: 'http://h'}}}}}}\n"
        for name in ("cart", "a", "b")
    )
    found = releasing(others + top, "plan: quick")
    assert found.defaults == {"shop": "quick"}
    assert found.groups == {
        "storefront": core.Group(("cart", "shop"), "slow"),
        "rest": core.Group(("a", "b")),
    }


def test_a_webhook_has_a_url_a_secret_and_the_events_it_is_told(releasing, monkeypatch):
    monkeypatch.setenv("HOOK", "0123456789abcdef")
    top = """\
notify:
  - {url: "HTTPS://Hooks.example/a/b?room=1", secret: "${HOOK}", events: [release_promoted, tripped]}
  - {url: "http://[::1]:9000", secret: 0123456789abcdefg}
"""
    assert releasing(top).notify == (
        core.Notify("https://hooks.example/a/b?room=1", "0123456789abcdef", ("release_promoted", "tripped")),
        core.Notify("http://[::1]:9000", "0123456789abcdefg"),
    )


@pytest.mark.parametrize(
    "secret", ["too-short-pass", "x" * 1025, '"a-long-secret\\nin-two-lines"', "[in-a-list-of-one]"]
)
def test_no_problem_shows_a_secret(problems, secret):
    (found,) = problems(top=f"notify: [{{url: 'http://h', secret: {secret}}}]")
    assert found.path == "notify[0].secret"
    for shown in (str(found), repr(found)):
        assert not re.search("too-short-p|xxxx|a-long-secret|in-a-list", shown)


def test_every_event_of_a_release_can_be_told():
    """The words that a release tells of itself stand in the source as ``tell("word", ...)``."""
    sources = Path(core.__file__).parent.glob("*.py")
    words = {word for path in sources for word in re.findall(r'\.tell\(\s*"(\w+)"', path.read_text())}
    assert "step" in words
    kinds = {f"release_{word}" for word in words | {"rolled_back", "aborted"}}
    assert set(plans.EVENTS) == kinds | {"rollback", "tripped"}
