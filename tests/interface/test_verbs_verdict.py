import io
import json
import sys

import pytest
from aiohttp import web

from gatekeeper.interface import verdict_view
from tests.core.judge.recorded import record
from tests.interface.releases import VERDICT, release, said

LAST = ("GET", "/v1/services/shop/releases/last")
VERDICTS = ("GET", "/v1/services/shop/releases/last/verdict")
SECONDS = ("GET", "/v1/services/shop/releases/last/seconds")
LINES = "application/x-ndjson"


# As a gate


def test_a_gate_is_open_only_if_the_candidate_is_proven_good_enough(admin, gatekeeper):
    admin.answer(*VERDICTS, said(VERDICT, kind="passed", sentence="green is proven good", passes=True))
    code, out, _ = gatekeeper("release", "verdict", "shop")
    assert (code, out) == (0, "passed: green is proven good\n")


@pytest.mark.parametrize(
    "kind", ["collecting", "suspicious", "rollback", "not_enough_data", "invalid", "shared_trouble", None]
)
def test_whatever_else_is_said_the_gate_is_shut_and_says_why(admin, gatekeeper, kind):
    admin.answer(*VERDICTS, said(kind=kind, sentence="needs 40 more", passes=True))
    code, out, _ = gatekeeper("release", "verdict", "shop")
    words = f"{kind.replace('_', ' ')}: " if kind else ""
    assert (code, out) == (4, f"{words}needs 40 more\n")


def test_of_several_services_each_has_its_say(admin, gatekeeper):
    cart = {**VERDICT, "service": "cart", "kind": "passed", "sentence": "proven"}
    admin.answer(*VERDICTS, said(VERDICT, cart, sentence="shop: 30 failures"))
    _, out, _ = gatekeeper("release", "verdict", "shop")
    assert out.splitlines()[0] == "suspicious: shop: 30 failures"
    assert out.splitlines()[2] == "  cart: passed: proven"


def test_programs_get_the_document_and_the_same_exit_code(admin, gatekeeper):
    document = said(VERDICT)
    admin.answer("GET", "/v1/services/shop/releases/41/verdict", document)
    code, out, _ = gatekeeper("release", "verdict", "shop", "41", "--json")
    assert (code, json.loads(out)) == (4, document)


def test_a_release_that_is_not_there_is_wrong_usage_and_no_shut_gate(admin, gatekeeper):
    admin.problem(*VERDICTS, 404, code="no_release", detail="service shop was never released")
    code, _, err = gatekeeper("release", "verdict", "shop")
    assert (code, "never released" in err) == (2, True)


# In `release show` and `status`


def shown(admin, gatekeeper, **fields) -> str:
    admin.answer(*LAST, release(**fields))
    code, out, _ = gatekeeper("release", "show", "shop")
    assert code == 0
    return out


@pytest.mark.parametrize(
    "line",
    [
        "service shop, judged for 2m 30s, lately at 5 %",
        "  all 8 failures of green are on its backend http://10.0.1.5:9002: eject it?",
        "requests 9,500 500",
        "failures 22 8",
        "failures on /checkout 2 7",
        "failures on http://10.0.1.5:9002 8 of 250",
        "odds against luck, by errors 42 : 1 100 : 1 rollback",
        "odds against luck, by latency none 100 : 1 rollback",
        "odds that it is good enough, by errors under 1 : 1 20 : 1 pass, all of these",
        "odds that it is good enough, by p95 3.0 : 1 20 : 1 pass, all of these",
        "odds that it is good enough, by p99 over a million : 1 20 : 1 pass, all of these",
        "blue: failed, of 1m 0.23 % 5 % an absolute bound, no comparison",
        "green: failed, of 1m 1.6 % 5 % rollback; an absolute bound, no comparison",
        "green: slower than 800 ms, of 1m too few 1 % rollback; an absolute bound, no comparison",
        "custom metric carts 3.5 from 1 to 5 ok; an absolute bound, no comparison",
        "custom metric depth - to 9 unknown: refused; an absolute bound, no comparison",
        "  1 request not compared, since the split alone did not decide them",
        "  3 requests without a unit, so not compared",
        "  40 requests of the warm-up, not compared",
    ],
)
def test_a_release_is_shown_with_what_its_verdict_rests_on(admin, gatekeeper, line):
    out = shown(admin, gatekeeper, verdicts=[VERDICT])
    indent = "  " if line.startswith("  ") else ""
    assert line in [indent + " ".join(found.split()) for found in out.splitlines()]


def test_of_one_service_the_sentence_is_said_once_of_several_each_has_its_own(admin, gatekeeper):
    verdict = {**release()["verdict"], "kind": "suspicious", "sentence": VERDICT["sentence"]}
    assert shown(admin, gatekeeper, verdict=verdict, verdicts=[VERDICT]).count(VERDICT["sentence"]) == 1
    admin.answers.clear()
    cart = {**VERDICT, "service": "cart", "kind": "not_enough_data", "sentence": "needs more"}
    out = shown(admin, gatekeeper, verdicts=[VERDICT, cart])
    assert "service cart, judged for 2m 30s, lately at 5 %: not enough data: needs more" in out


def test_a_verdict_that_ended_the_release_is_not_said_twice(admin, gatekeeper):
    verdict = {**release()["verdict"], "kind": "rollback", "sentence": "5 failures so far"}
    out = shown(admin, gatekeeper, headline="rolled back: 5 failures so far", verdict=verdict)
    assert out.count("5 failures so far") == 1


def test_nothing_in_a_verdict_reaches_the_terminal_as_an_escape_sequence(admin, gatekeeper):
    def poisoned(value):
        if isinstance(value, dict):
            return {key: poisoned(item) for key, item in value.items()}
        if isinstance(value, list):
            return [poisoned(item) for item in value]
        return f"{value}\x1b[31m" if isinstance(value, str) else value

    assert "\x1b" not in shown(admin, gatekeeper, verdicts=[poisoned(VERDICT)])


def test_status_names_the_verdict_of_what_is_being_released(admin, gatekeeper):
    verdict = {**release()["verdict"], "kind": "suspicious", "sentence": "30 failures"}
    going = {"id": 41, "headline": "progressing", "waiting": [], "verdict": verdict}
    service = {"name": "shop", "stable": "blue", "split": {}, "versions": {}, "release": going, "retained": None}
    admin.answer("GET", "/v1/status", {"revision": 3, "workers": [], "services": [service]})
    _, out, _ = gatekeeper("status")
    assert "shop verdict: suspicious: 30 failures" in out.splitlines()


def test_odds_are_short_and_never_more_than_they_mean():
    assert [verdict_view.odds(value) for value in (0.2, 1.0, 1.06, 9.94, 128.7, 12_345.0, 2e6)] == [
        "none", "none", "1.1 : 1", "9.9 : 1", "129 : 1", "12,345 : 1", "over a million : 1",
    ]  # fmt: skip


# Seconds, and judging them again


def test_the_seconds_come_as_they_were_written(admin, gatekeeper):
    admin.answer(*SECONDS, None, text="one\ntwo\n", content_type=LINES)
    assert gatekeeper("release", "seconds", "shop", "--service", "shop") == (0, "one\ntwo\n", "")
    assert admin.asked[-1].query == {"service": "shop"}


def test_seconds_that_are_not_recorded_are_said_to_be_missing(admin, gatekeeper):
    admin.problem(*SECONDS, 404, code="no_seconds", detail="nothing is recorded", allowed="a plan with `analysis`")
    code, out, err = gatekeeper("release", "seconds", "shop")
    assert (code, out) == (2, "")
    assert "a plan with `analysis`" in err


def test_what_is_no_record_at_all_is_not_taken_for_one(admin, gatekeeper):
    admin.answer(*SECONDS, None, text="<html>", content_type="text/html")
    code, out, _ = gatekeeper("release", "seconds", "shop")
    assert (code, out) == (3, "")


def test_a_true_record_is_identical_and_tells_its_story(gatekeeper, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(record()))
    code, out, _ = gatekeeper("replay", str(path))
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("release 41, service shop: 60 seconds, recorded by gatekeeper 0.1.0")
    assert [line.split()[1] for line in lines[2:5]] == ["collecting", "suspicious", "rollback"]
    assert lines[-1] == "identical: 60 seconds give the same odds, bit for bit, and the same verdicts"


def test_a_record_comes_by_standard_input_too(gatekeeper, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"".join(record()))))
    code, out, _ = gatekeeper("replay", "-")
    assert (code, "identical" in out) == (0, True)


def test_a_record_that_was_changed_is_not_identical_and_the_place_is_named(gatekeeper, tmp_path):
    lines = record()
    changed = json.loads(lines[30])
    changed["odds"] += 1e-12
    lines[30] = json.dumps(changed).encode() + b"\n"
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(lines))
    code, out, _ = gatekeeper("replay", str(path))
    assert code == 1
    assert "line 31, second 29: odds " in out
    assert out.splitlines()[-1] == "NOT identical: 1 differences in 60 seconds"
    code, out, _ = gatekeeper("replay", str(path), "--json")
    assert (code, json.loads(out)["identical"]) == (1, False)


@pytest.mark.parametrize("content", [None, b"", b"no\n", b"[]\n", b'{"second": {}}\n'])
def test_what_cannot_be_read_is_wrong_usage_with_the_way_out(gatekeeper, tmp_path, content):
    path = tmp_path / "log.jsonl"
    if content is not None:
        path.write_bytes(content)
    code, out, err = gatekeeper("replay", str(path))
    assert (code, out) == (2, "")
    assert str(path) in err
    assert "way out" in err


def test_a_replay_asks_no_gatekeeper(gatekeeper, tmp_path):
    code, _, err = gatekeeper("--socket", "/s", "replay", str(tmp_path))
    assert (code, "no meaning" in err or "directory" in err) == (2, True)


def test_seconds_that_break_off_are_no_whole_record(admin, gatekeeper):
    async def cut(request):
        response = web.StreamResponse(headers={"Content-Type": LINES})
        await response.prepare(request)
        await response.write(b"one\n")
        request.transport.abort()
        return response

    admin.answers[SECONDS] = [cut]
    code, out, err = gatekeeper("release", "seconds", "shop")
    assert (code, out) == (3, "one\n")
    assert "the connection broke" in err
