import json

import pytest

CHECKOUT = {
    "name": "new-checkout",
    "type": "boolean",
    "description": "the basket in one page",
    "state": "on",
    "on": True,
    "killed": False,
    "percent": 10,
    "split": {"on": 10, "off": 90},
    "variants": {"on": True, "off": False},
    "off": "off",
    "services": ["shop"],
    "when": {"headers": [["x-country", {"kind": "exact", "values": ["DE"]}]]},
    "owner": "checkout-team",
    "expires": "2026-11-01",
    "overdue": True,
    "schedule": {"on": 1_800_000_000, "off": None, "next": 1_800_000_000},
    "follow": None,
    "following": None,
    "origin": "file",
    "differs_from_file": True,
    "changed": {"revision": 12, "at": 1_790_000_000},
}
THEME = {
    **CHECKOUT,
    "name": "theme",
    "type": "string",
    "percent": None,
    "split": {"light": 90, "dark": 10},
    "variants": {"light": "light", "dark": "d" * 200},
    "off": "light",
    "services": [],
    "when": None,
    "owner": "",
    "expires": None,
    "overdue": False,
    "schedule": None,
    "origin": "command",
    "differs_from_file": False,
}
DONE = {
    "revision": 18,
    "base": 17,
    "flag": "new-checkout",
    "now": {**CHECKOUT, "percent": 25},
    "workers": {"acknowledged": 2, "total": 2},
    "ms": 3.41,
    "confirm_by": None,
    "changes": [{"path": "flags.new-checkout.split", "before": {"on": 10, "off": 90}, "after": {"on": 25, "off": 75}}],
}
PATH = "/v1/flags/new-checkout"


@pytest.fixture
def flags(admin):
    admin.answer("GET", "/v1/flags", {"revision": 17, "flags": [CHECKOUT, THEME]})
    undo = [{"revision": 12, "on": False, "split": {"on": 100, "off": 0}, "defines": False}]
    admin.answer("GET", PATH, {**CHECKOUT, "revision": 17, "undo": undo}, etag=17)
    for method, path in (("PUT", PATH), ("POST", f"{PATH}/on"), ("POST", f"{PATH}/off"), ("POST", f"{PATH}/rollback")):
        admin.answer(method, path, DONE, etag=18)
    admin.answer("DELETE", PATH, {**DONE, "now": None, "changes": [{"path": PATH, "before": {"on": 1}, "after": None}]})
    return admin


def test_the_list_has_one_line_for_each_flag(flags, gatekeeper):
    code, out, err = gatekeeper("flag", "list")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "FLAG          TYPE     STATE  SHARE             SERVICES  OWNER          EXPIRES",
        "new-checkout  boolean  on     10%               shop      checkout-team  2026-11-01, overdue",
        "theme         string   on     light=90 dark=10  all       -              -",
    ]
    assert json.loads(gatekeeper("flag", "list", "--json")[1])["flags"] == [CHECKOUT, THEME]


def test_one_flag_is_shown_with_everything_that_is_known_of_it(flags, gatekeeper):
    _, out, _ = gatekeeper("flag", "show", "new-checkout")
    assert "new-checkout: on for 10% (boolean), changed at " in out
    for line in (
        "  the basket in one page",
        "  services: shop",
        '  when: {"headers": [["x-country", {"kind": "exact", "values": ["DE"]}]]}',
        "  schedule: on at 2027-01-15",
        "  owner: checkout-team",
        "  expires: 2026-11-01, overdue",
        "  defined: otherwise than in the file, by command",
        "  a rollback: makes it off, on=100 off=0",
    ):
        assert line in out
    assert out.splitlines()[-3:] == [
        "VARIANT  WEIGHT  VALUE",
        "on           10  true",
        "off          90  false  while off",
    ]


def test_a_long_value_is_cut_and_the_whole_is_in_the_json(flags, gatekeeper):
    flags.answer("GET", "/v1/flags/theme", {**THEME, "revision": 17, "undo": []})
    _, out, _ = gatekeeper("flag", "show", "theme")
    assert "d" * 90 in out
    assert "d" * 100 not in out
    assert "by command; the file does not name it" in out
    assert "d" * 200 in gatekeeper("flag", "show", "theme", "--json")[1]


def test_a_share_is_set_and_what_came_of_it_is_said(flags, gatekeeper):
    code, out, err = gatekeeper("flag", "set", "new-checkout", "--percent", "25%", "--expect", "17", "--reason", "more")
    assert (code, err) == (0, "")
    assert out == (
        "flag new-checkout is on for 25%: revision 18, taken up by 2 of 2 workers in 3.4 ms\n"
        "  flags.new-checkout.split: on=10 off=90 -> on=25 off=75\n"
    )
    asked = flags.asked[-1]
    assert (asked.method, asked.json, asked.query) == ("PUT", {"percent": 25}, {"note": "more"})
    assert asked.headers["If-Match"] == '"17"'


def test_everything_that_defines_a_flag_can_be_said_on_the_line(flags, gatekeeper):
    code, _, err = gatekeeper(
        *("flag", "set", "new-checkout", "--new", "--on", "--type", "object", "light=9", "dark=1"),
        *("--variant", 'light={"a": 1.0}', "--variant", "dark={}", "--off", "light", "--service", "shop"),
        *("--when", '{"header": {"X-Country": "DE"}}', "--owner", "web", "--expires", "2027-01-31"),
        *("--on-at", "2030-01-01T00:00Z", "--description", "why", "--confirm-within", "5m"),
    )
    assert (code, err) == (0, "")
    assert flags.asked[-1].json == {
        "type": "object",
        "split": {"light": 9, "dark": 1},
        "on": True,
        "variants": {"light": {"a": 1.0}, "dark": {}},
        "when": {"header": {"X-Country": "DE"}},
        "services": ["shop"],
        "off": "light",
        "owner": "web",
        "expires": "2027-01-31",
        "description": "why",
        "schedule": {"on": "2030-01-01T00:00:00Z"},
    }
    assert b"1.0" in flags.asked[-1].body, "a float stays one"
    assert flags.asked[-1].query == {"new": "1", "confirm_within": "300s"}


def test_what_is_to_go_is_said_with_an_empty_text(flags, gatekeeper):
    line = [
        "flag",
        "set",
        "new-checkout",
        "--service",
        "",
        "--when",
        "{}",
        "--follow",
        "",
        "--owner",
        "",
        "--on-at",
        "",
    ]
    assert gatekeeper(*line)[0] == 0
    assert flags.asked[-1].json == dict.fromkeys(("services", "when", "follow", "owner", "schedule"))


def test_what_the_judge_is_asked_is_said_as_in_the_file(flags, gatekeeper):
    assert gatekeeper("flag", "set", "new-checkout", "--analysis", '{"alpha": 0.02}', "--on-fail", "off")[0] == 0
    assert flags.asked[-1].json == {"analysis": {"alpha": 0.02}, "on_fail": "off"}
    gatekeeper("flag", "set", "new-checkout", "--analysis", "{}")
    assert flags.asked[-1].json == {"analysis": {}}
    gatekeeper("flag", "set", "new-checkout", "--analysis", "")
    assert flags.asked[-1].json == {"analysis": ""}
    assert gatekeeper("flag", "set", "new-checkout", "--analysis", "1%")[0] == 2


@pytest.mark.parametrize(
    ("verdict", "on_fail", "line"),
    [
        ({"kind": "shared_trouble", "sentence": "both are"}, "off", "shared trouble: both are (turned off when proven"),
        (None, "keep", "while it is on for some and not for all; kept when proven worse"),
    ],
)
def test_how_the_judge_sees_it_is_one_line(flags, gatekeeper, verdict, on_fail, line):
    flags.answer(
        "GET", "/v1/flags/theme", {**THEME, "revision": 17, "undo": [], "verdict": verdict, "on_fail": on_fail}
    )
    assert f"  judged: {line}" in gatekeeper("flag", "show", "theme")[1]


def test_a_moment_to_come_has_not_passed_when_it_arrives(flags, gatekeeper, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.5)
    gatekeeper("flag", "set", "new-checkout", "--on-at", "in 1s")
    assert flags.asked[-1].json == {"schedule": {"on": "2027-01-15T08:00:02Z"}}


def test_the_values_of_a_flag_of_texts_are_taken_as_they_are(flags, gatekeeper):
    gatekeeper("flag", "set", "new-checkout", "--new", "--type", "string", "--variant", "a=1", "--variant", "b=true")
    assert flags.asked[-1].json == {"type": "string", "variants": {"a": "1", "b": "true"}}
    gatekeeper("flag", "set", "new-checkout", "--new", "--variant", "a=1", "--variant", "b=dark")
    assert flags.asked[-1].json == {"variants": {"a": 1, "b": "dark"}}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say what is to change"),
        (("--percent", "120"), "no percentage"),
        (("--percent", "-1"), "no percentage"),
        (("--when", "x=1"), "not JSON"),
        (("--when", "[]"), "no JSON object"),
        (("--on-at", "yesterday"), "no moment"),
        (("--variant", "dark"), "does not look like"),
        (("--variant", "a=1", "--variant", "a=2"), "named twice"),
        (("dark",), "VARIANT=WEIGHT"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage_and_reaches_nobody(flags, gatekeeper, words, said):
    code, _, err = gatekeeper("flag", "set", "new-checkout", *words)
    assert code == 2
    assert said in err
    assert flags.asked == []


@pytest.mark.parametrize(
    ("words", "path", "body"),
    [
        (("on",), "on", {}),
        (("on", "--revive", "--reason", "fixed"), "on", {"revive": True}),
        (("off",), "off", {}),
        (("off", "--kill"), "off", {"kill": True}),
        (("rollback",), "rollback", {}),
    ],
)
def test_a_flag_is_switched_with_one_request_and_no_question(flags, gatekeeper, words, path, body):
    verb, *options = words
    assert gatekeeper("flag", verb, "new-checkout", *options, "--note", "why")[0] == 0
    (asked,) = flags.asked
    assert (asked.method, asked.path, asked.json, asked.query) == ("POST", f"{PATH}/{path}", body, {"note": "why"})


def test_reviving_needs_a_reason(flags, gatekeeper):
    code, _, err = gatekeeper("flag", "on", "new-checkout", "--revive")
    assert (code, flags.asked) == (2, [])
    assert "--reason" in err


def test_a_removal_shows_what_goes_and_asks_a_person(flags, gatekeeper, terminal):
    terminal.append(False)
    code, _, err = gatekeeper("flag", "remove", "new-checkout")
    assert code == 4
    assert "removed" in err
    assert [asked.query for asked in flags.asked] == [{"dry_run": "1"}]
    terminal.append(True)
    code, out, _ = gatekeeper("flag", "remove", "new-checkout")
    assert (code, out.splitlines()[0][:32]) == (0, "flag new-checkout is gone: revis")
    assert flags.asked[-1].headers["If-Match"] == '"17"', "what was agreed to is what happens"


def test_the_history_says_what_each_revision_made_of_it(flags, gatekeeper):
    rows = [
        {
            "revision": 9,
            "at": 0,
            "actor": "ann",
            "action": "flag_removed",
            "note": "done",
            "flags": {"new-checkout": None},
        },
        {
            "revision": 8,
            "at": 0,
            "actor": "bob",
            "action": "flag_off",
            "note": "",
            "flags": {"new-checkout": {"on": False, "killed": True, "split": {"on": 10, "off": 90}}},
        },
    ]
    flags.answer("GET", f"{PATH}/history", {"flag": "new-checkout", "revisions": rows})
    _, out, _ = gatekeeper("flag", "history", "new-checkout", "--limit", "5")
    assert flags.asked[-1].query == {"limit": "5"}
    first, second = (line.split() for line in out.splitlines()[1:])
    assert [first[0], *first[-4:]] == ["9", "flag_removed", "gone", "-", "done"]
    assert [second[0], *second[-4:]] == ["8", "flag_off", "killed", "on=10", "off=90"]


def test_a_name_is_percent_encoded_whatever_it_holds(flags, gatekeeper):
    gatekeeper("flag", "show", "a/b?c")
    assert flags.asked[-1].path == "/v1/flags/a/b?c", "the path of one flag, decoded again by the server"
    assert flags.asked[-1].query == {}


def test_status_names_flags_that_are_killed_and_those_that_should_be_gone(admin, gatekeeper):
    late = [
        {"name": "old", "owner": "web", "expires": "2026-11-01"},
        {"name": "x", "owner": "", "expires": "2026-11-02"},
    ]
    flags = {"total": 3, "on": 1, "killed": ["new"], "overdue": late}
    pending = [{"revision": 16, "deadline": 0, "actor": "ann", "services": [], "flags": ["x"]}]
    admin.answer(
        "GET", "/v1/status", {"revision": 17, "workers": [], "services": [], "flags": flags, "pending": pending}
    )
    _, out, _ = gatekeeper("status")
    assert "flag new is killed: gatekeeper flag on new --revive" in out
    assert "flag old of web is overdue: it was to be gone by 2026-11-01" in out
    assert "flag x is overdue: it was to be gone by 2026-11-02" in out
    assert "revision 16 of ann (flag x) undoes itself at" in out


def test_the_history_of_everything_has_what_became_of_flags(admin, gatekeeper):
    row = {"revision": 9, "at": 0, "actor": "ann", "action": "reload", "note": "", "splits": {"shop": {"blue": 1}}}
    held = {"on": False, "killed": False, "split": {"on": 10, "off": 90}}
    rows = [{**row, "flags": {"new": held, "old": None}}, {**row, "splits": {}, "flags": {}}]
    admin.answer("GET", "/v1/revisions", {"revisions": rows})
    _, out, _ = gatekeeper("history")
    first, second = out.splitlines()[1:]
    assert first.endswith("reload  shop: blue=1; flag new: off, on=10 off=90; flag old: gone")
    assert second.endswith("reload  -")
