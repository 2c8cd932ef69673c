import json

from gatekeeper.interface import shadow_view

REPORT = ("GET", "/v1/services/shop/shadow")
RESET = ("POST", "/v1/services/shop/shadow/reset")
SAMPLE = {"left": "450", "right": "480", "request": "GET /basket"}
OUTCOMES = {"sent": 1100, "shed": 12, "timeout": 1, "not_compared": 0}
RUN = {
    "version": "green", "build": "7", "check": False, "active": True, "since": 1_700_000_000.0, "at": None,
    "mirrored": 1100, "answered": 1000, "compared": 999, "failed": 1, "asked": 1000, "different": 3, "share": 0.003,
    "low": 0.001, "high": 0.0088, "twice": 999,
    "differences": [{"kind": "json", "path": "$.price", "requests": 2, "noise": 0, "samples": [SAMPLE]}],
    "noise": [{"kind": "json", "path": "$.time", "requests": 0, "noise": 990, "samples": []}],
    "user": {"p50": 0.0042, "p95": 0.02, "p99": None}, "candidate": {"p50": 0.004, "p95": 0.5, "p99": None},
    "outcomes": OUTCOMES,
}  # fmt: skip
MIRROR = {"rule": None, "to": "green", "percent": 5.0, "methods": ["GET", "HEAD"], "noise": True}
DOCUMENT = {"revision": 7, "service": "shop", "mirrors": [MIRROR], "runs": [RUN]}


def test_a_report_says_the_share_with_its_interval_where_answers_differ_and_what_is_noise(admin, gatekeeper):
    admin.answer(*REPORT, DOCUMENT)
    code, out, _ = gatekeeper("shadow", "report", "shop")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "shop: 5 % of GET, HEAD to green"
    assert lines[2].startswith("copies to green (build 7) since 20")
    assert lines[3] == "  3 of 1,000 answers differ (0.3 %, 95 % interval 0.1 to 0.88 %), 1,100 copies sent"
    assert "  12 requests were not copied, since the worker was busy or too many copies were under way" in lines
    assert "  1 copies were not answered in time" in lines
    assert any(line.split() == ["json", "$.price", "2", "450", "480", "GET", "/basket"] for line in lines)
    assert "  not counted, since the users' version differs there from itself: json $.time" in lines
    assert any(line.split() == ["user's", "4.20", "20.0", "-"] for line in lines)


def test_programs_get_the_document(admin, gatekeeper):
    admin.answer(*REPORT, DOCUMENT)
    code, out, _ = gatekeeper("shadow", "report", "shop", "--json")
    assert (code, json.loads(out)) == (0, DOCUMENT)


def test_where_nothing_is_mirrored_it_says_so_and_how_to(admin, gatekeeper):
    admin.answer(*REPORT, {**DOCUMENT, "mirrors": [], "runs": []})
    _, out, _ = gatekeeper("shadow", "report", "shop")
    assert out == "shop: nothing is mirrored; `mirror` of a service says what is\n"


def test_a_check_of_a_plan_and_what_is_over_are_called_that():
    run = {**RUN, "check": True, "active": False, "asked": 0, "differences": [], "noise": [], "outcomes": {}}
    lines = [str(part) for part in shadow_view.picture({**DOCUMENT, "runs": [run]})]
    assert lines[2].startswith("check of green (build 7) since")
    assert lines[2].endswith(", over")
    assert lines[3] == "  1,100 copies sent, no answers compared yet"


def test_what_backends_say_cannot_write_to_the_terminal(admin, gatekeeper):
    evil = {**RUN["differences"][0], "samples": [{**SAMPLE, "left": "\x1b[2J"}], "path": "\x1b[1m"}
    admin.answer(*REPORT, {**DOCUMENT, "runs": [{**RUN, "differences": [evil]}]})
    assert "\x1b" not in gatekeeper("shadow", "report", "shop")[1]


def test_a_reset_says_what_begins_anew(admin, gatekeeper):
    admin.answer(*RESET, {"revision": 7, "service": "shop", "runs": 2})
    assert gatekeeper("shadow", "reset", "shop")[:2] == (0, "2 runs of shop counted from now on\n")
    assert admin.asked[-1].method == "POST"
