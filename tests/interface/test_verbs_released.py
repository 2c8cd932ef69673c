import io
import json

import pytest

from gatekeeper.interface import release_view, screen
from tests.interface.releases import CHECK, NOW, QUESTIONS, brief, ended, release, waiting

LAST = ("GET", "/v1/services/shop/releases/last")
REPORT = ("GET", "/v1/services/shop/releases/last/report")


def shown(admin, gatekeeper, document) -> list[str]:
    admin.answers.pop(LAST, None)
    admin.answer(*LAST, document)
    code, out, _ = gatekeeper("release", "show", "shop")
    assert code == 0
    return out.splitlines()


def test_the_first_lines_say_where_it_is_and_what_comes_next(admin, gatekeeper):
    lines = shown(admin, gatekeeper, release())
    assert lines[0].startswith("release 41 of shop from blue to green (build 2026-11-23.1), plan careful, by ann at ")
    assert lines[0].endswith(": winter")
    assert lines[1] == "progressing: step 2 of 3, 10.5 % to green"
    assert "held for 2m 30s of 10m; ends at " in lines[2]
    assert lines[3] == "verdict: collecting: needs 40 more"
    assert lines[4].endswith("once product approves")


def test_the_timeline_has_every_gate_and_step_with_its_state(admin, gatekeeper):
    lines = shown(admin, gatekeeper, release())
    at = next(number for number, line in enumerate(lines) if line.startswith("STATE"))
    rows = [line[:46].split("  ") for line in lines[at + 1 : at + 8]]
    assert [(row[0].strip(), "".join(row[1:]).strip()) for row in rows] == [
        ("done", "started"),
        ("done", "1 check: http /healthz"),
        ("done", "step 1 of 3: 1 %, hold 5m"),
        ("now", "step 2 of 3: 10.5 %, hold 10m"),
        ("", "approval by product; missing: product"),
        ("", "step 3 of 3: 100 %"),
        ("", "promoted"),
    ]
    assert "about " in lines[at + 6]
    assert lines[at + 5].endswith("bob for engineering")


def test_a_step_that_waits_for_its_gates_is_not_shown_as_taken(admin, gatekeeper):
    document = waiting()
    document["timeline"][1] |= {"state": "done", "to": NOW - 1}
    document["timeline"][2]["state"] = document["timeline"][2]["gates"][0]["state"] = "now"
    rows = {line[7:].strip()[:8]: line[:7].strip() for line in shown(admin, gatekeeper, document)}
    assert (rows["approval"], rows["step 3 o"], rows["step 2 o"]) == ("now", "", "done")


def test_no_text_of_a_release_reaches_the_terminal_as_an_escape_sequence(admin, gatekeeper):
    def poisoned(value):
        if isinstance(value, dict):
            return {key: poisoned(item) for key, item in value.items()}
        if isinstance(value, list):
            return [poisoned(item) for item in value]
        return f"{value}\x1b[31m" if isinstance(value, str) else value

    failed = {**CHECK, "passed": False, "output": "no"}
    lines = shown(admin, gatekeeper, poisoned(waiting(checks=[failed], checking=["http /a"], retained=True)))
    assert "\N{REPLACEMENT CHARACTER}" in lines[0]
    assert not any("\x1b" in line for line in lines)


def test_the_five_answers_are_exactly_five_lines(admin, gatekeeper):
    out = "\n".join(shown(admin, gatekeeper, release()))
    block = next(part for part in out.split("\n\n") if "How was it verified?" in part)
    lines = block.splitlines()
    assert len(lines) == 5
    for line, (question, answer) in zip(lines, QUESTIONS.values(), strict=True):
        assert line.startswith(question)
        assert line.endswith(answer)


@pytest.mark.parametrize(
    ("document", "line"),
    [
        (waiting(), "waits for approval by product (a member of product, not ann): gatekeeper release approve shop"),
        (
            waiting("pause", detail="somebody to resume it", who="an operator"),
            "waits for somebody to resume it (an operator): gatekeeper release resume shop",
        ),
        (waiting("freeze", detail="the end of a freeze (sale)", who=""), "waits for the end of a freeze (sale)"),
        (release(checking=["http /a", "command b"]), "checks now: http /a, command b"),
        (ended(), "rolled back: errors"),
        (ended("promoted", retained=True), "users back at once: gatekeeper rollback shop"),
        (
            release(hold={"seconds": 60.0, "over": 90.0, "counts": True, "until": None}),
            "held for 1m 30s of 1m; its time is over, the verdict does not let it pass yet",
        ),
        (
            release(hold={"seconds": 60.0, "over": 15.0, "counts": False, "until": None}),
            "held for 15s of 1m; paused, it does not count",
        ),
        (release(allowed=["pause", "abort"]), "you may: gatekeeper release pause|abort shop"),
        (
            release(allowed=["pause", "rollback"]),
            "you may: gatekeeper release pause shop; users back at once: gatekeeper rollback shop",
        ),
    ],
)
def test_what_it_waits_for_and_who_may_open_it_is_said(admin, gatekeeper, document, line):
    found = [shown_line for shown_line in shown(admin, gatekeeper, document) if shown_line.endswith(line)]
    assert len(found) == 1


def test_a_failed_check_shows_the_first_lines_it_said_and_no_escape_sequences(admin, gatekeeper):
    said = "Traceback\n\n" + "\n".join(f"line {number}\x1b[31m" for number in range(2, 9))
    lines = shown(admin, gatekeeper, ended(checks=[CHECK, {**CHECK, "name": "smoke", "passed": False, "output": said}]))
    at = lines.index("smoke failed:")
    assert lines[at + 1] == "    Traceback"
    assert lines[at + 5].startswith("    line 5")
    assert lines[at + 6] == "    ... and 3 lines more"
    assert not any("\x1b" in line for line in lines)
    assert any(line.startswith("http /healthz  passed  0.012 s") for line in lines)


def test_a_check_that_failed_without_a_word_says_so(admin, gatekeeper):
    failed = {**CHECK, "passed": False, "output": " \n"}
    assert "http /healthz failed, and said nothing" in shown(admin, gatekeeper, ended(checks=[failed]))


def test_a_check_of_another_deploy_and_of_another_service_is_told_apart(admin, gatekeeper):
    found = [CHECK, {**CHECK, "service": "cart", "current": False}]
    lines = shown(admin, gatekeeper, release(checks=found))
    assert any(line.startswith("cart: http /healthz  passed, of another deploy") for line in lines)


def test_a_long_log_shows_its_end_and_says_so(admin, gatekeeper):
    log = [{"at": NOW, "actor": "plan", "event": "step", "text": f"entry {number}"} for number in range(30)]
    lines = shown(admin, gatekeeper, release(log=log))
    assert "10 earlier entries: in the report" in lines
    assert any(line.endswith("entry 29") for line in lines)
    assert not any(line.endswith("entry 9") for line in lines)


def test_a_release_is_named_by_its_id(admin, gatekeeper):
    admin.answer("GET", "/v1/services/shop/releases/41", release())
    code, out, _ = gatekeeper("release", "show", "shop", "41", "--json")
    assert code == 0
    assert json.loads(out) == release()


def test_a_service_without_a_release_is_wrong_usage(admin, gatekeeper):
    admin.problem(*LAST, 404, detail="service shop was never released", allowed="gatekeeper release start shop")
    code, _, err = gatekeeper("release", "show", "shop")
    assert code == 2
    assert "allowed: gatekeeper release start shop" in err


@pytest.fixture
def plain(monkeypatch):
    """A terminal that has no more than ASCII."""
    monkeypatch.setattr("sys.__stdout__", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))


@pytest.mark.usefixtures("plain")
def test_on_a_terminal_the_hold_is_a_bar_that_grows(admin, gatekeeper, window):
    window += [screen.Happened.NOTHING, screen.Happened.QUIT]
    hold = {"seconds": 600.0, "counts": True, "until": NOW + 450}
    for over in (0.0, 300.0):
        admin.answer(*LAST, release(hold={**hold, "over": over}))
    code, out, _ = gatekeeper("release", "show", "shop", "--watch")
    assert code == 0
    holds = [line for line in out.splitlines() if "held for" in line]
    assert [line.count("#") for line in holds] == [0, release_view.BAR // 2]
    way = [line for line in out.splitlines() if "of its time" in line]
    assert [line.count("#") for line in way] == [8, 16]
    assert "33 % of its time; 10m of holds left" in way[0]
    assert "66 % of its time; 5m of holds left" in way[1]
    assert "you may: " in out


@pytest.mark.parametrize(("part", "full"), [(-1.0, 0), (0.0, 0), (0.5, 12), (1.0, 24), (7.0, 24)])
@pytest.mark.usefixtures("plain")
def test_a_bar_never_leaves_its_frame(part, full):
    assert release_view.bar(part) == f"[{'#' * full}{'.' * (24 - full)}]"


@pytest.mark.parametrize(
    ("words", "path", "query"),
    [
        (("shop", "--build", "7"), "/v1/services/shop/releases", {"limit": "20", "build": "7"}),
        (("--limit", "3"), "/v1/releases", {"limit": "3"}),
    ],
)
def test_the_list_is_one_row_each(admin, gatekeeper, words, path, query):
    admin.answer("GET", path, {"revision": 44, "releases": [brief()]})
    code, out, _ = gatekeeper("release", "list", *words)
    assert code == 0
    row = out.splitlines()[1]
    assert row.startswith("41  shop: blue -> green  2026-11-23.1  careful  ann  ")
    assert row.endswith("progressing: step 2 of 3, 10.5 % to green")
    assert admin.asked[0].query == query


@pytest.mark.parametrize(
    ("words", "media_type"),
    [((), "text/markdown"), (("--format", "json"), "application/json"), (("--json",), "application/json")],
)
def test_a_report_is_asked_for_in_its_format(admin, gatekeeper, words, media_type):
    if media_type == "text/markdown":
        admin.answer(*REPORT, text="# Release 41\n\n\tthe output \x1b[31m\n", content_type=media_type)
    else:
        admin.answer(*REPORT, release())
    code, out, _ = gatekeeper("release", "report", "shop", *words)
    assert code == 0
    assert admin.asked[0].headers["Accept"].startswith(f"{media_type},")
    if media_type == "text/markdown":
        assert out == "# Release 41\n\n    the output \N{REPLACEMENT CHARACTER}[31m\n"
    else:
        assert json.loads(out) == release()


def test_a_report_goes_to_a_file(admin, gatekeeper, tmp_path):
    admin.answer(*REPORT, text="# Release 41\n", content_type="text/markdown")
    file = tmp_path / "report.md"
    assert gatekeeper("release", "report", "shop", "--output", str(file))[:2] == (0, f"wrote {file}\n")
    assert file.read_text() == "# Release 41\n"
    code, out, err = gatekeeper("release", "report", "shop", "--output", str(tmp_path / "no" / "report.md"))
    assert (code, out) == (2, "")
    assert "cannot write the report: No such file or directory" in err


def test_two_formats_at_once_are_wrong_usage(admin, gatekeeper):
    assert gatekeeper("release", "report", "shop", "--format", "markdown", "--json")[0] == 2
    assert admin.asked == []


def test_a_page_of_something_else_is_no_report(admin, gatekeeper):
    admin.answer(*REPORT, text="<html>", content_type="text/html")
    assert gatekeeper("release", "report", "shop")[0] == 3


def bars(document):
    """What one who watches sees of bars: the line, and how much of it is full."""
    lines = [line for line in release_view.watched(document, "gatekeeper") if isinstance(line, str) and "[" in line]
    return [(line.split("] ")[1], line.count("#")) for line in lines if line.startswith("[")]


@pytest.mark.usefixtures("plain")
def test_the_odds_are_a_bar_that_is_full_at_the_rollback():
    verdict = {"service": "shop", "kind": "suspicious", "bar": 100.0}
    for odds, full in ((0.2, 0), (10.0, 12), (100.0, 24), (1e9, 24)):
        (found,) = [each for each in bars(release(verdicts=[{**verdict, "odds": odds}])) if "odds" in each[0]]
        assert found[1] == full
        assert found[0].startswith("suspicious, odds against luck ")
        assert found[0].endswith("rolls back at 100 : 1")


@pytest.mark.usefixtures("plain")
def test_of_several_services_each_has_its_bar():
    verdicts = [{"service": name, "kind": "collecting", "bar": 100.0, "odds": 1.0} for name in ("shop", "cart")]
    said = [text for text, _ in bars(release(verdicts=verdicts)) if "odds" in text]
    assert [text.partition(":")[0] for text in said] == ["shop", "cart"]


@pytest.mark.usefixtures("plain")
def test_a_plan_that_holds_nowhere_is_measured_by_its_steps():
    document = release(hold=None)
    for stage in document["timeline"]:
        stage["hold"] = 0.0
    assert ("66 % of its steps", 16) in bars(document)


@pytest.mark.usefixtures("plain")
def test_a_release_that_ended_has_no_way_left():
    assert not [text for text, _ in bars(release(active=False, state="promoted", hold=None)) if "of its" in text]
