"""What the judge says, by the API: in the release, in the service, as a gate, in the ticket; and what it was told."""

import asyncio
import contextlib
import socket
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from gatekeeper.control.api import verdict_views, verdicts
from gatekeeper.control.api.release_answers import Release, Report
from gatekeeper.control.api.verdict_answers import ReleaseVerdict, VerdictInFull
from gatekeeper.core.command import Judged
from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.judge.standing import QueryReading, Standing, worst
from gatekeeper.core.judge.verdict import Cause, Kind, Numbers
from gatekeeper.core.release.model import VerdictView
from tests.control.judged import LINES, NUMBERS, SENTENCE, judge, standing
from tests.control.released import RAMP, RELEASING, back_to_blue, begin, with_plans

RELEASES = "/v1/services/shop/releases"
LAST = f"{RELEASES}/last"
JUDGED = replace(RAMP, name="judged", analysis=Analysis())


@pytest.fixture(autouse=True)
def _plans(world):
    with_plans(world, replace(RELEASING, plans={**RELEASING.plans, "judged": JUDGED}))


@pytest.fixture
def folder(world) -> Path:
    return world.path.parent


async def told(world, kind, sentence="said before", cause="", *, odds=3.0, passes=True) -> None:
    """The release hears a verdict."""
    release = world.controller.state.releases[max(world.controller.state.releases)]
    verdict = VerdictView(kind, sentence, odds, 100.0, passes, cause)
    known = world.parts.runner.world(release)
    await world.controller.submit(Judged(actor="judge", release=release.id, verdict=verdict, **known))


async def got(api, path=LAST):
    status, document, _ = await api("GET", path)
    assert status == 200, document
    return document


# The release


async def test_a_release_is_shown_with_everything_its_verdicts_rest_on(world, api, folder):
    release = await begin(world, JUDGED)
    judge(world.judges, release.id, folder)
    document = await got(api)
    Release.model_validate(document)
    (found,) = document["verdicts"]
    assert (found["service"], found["kind"], found["cause"], found["sentence"]) == (
        "shop",
        "suspicious",
        "errors",
        SENTENCE,
    )
    assert found["odds"] == pytest.approx(129)
    assert (found["bar"], found["suspicious_at"], found["proof_bar"]) == (100, 10, 20)
    assert found["requests"] == {"stable": 9_500, "candidate": 500}
    assert found["errors"] == {"stable": 22, "candidate": 8}
    assert found["metrics"] == {"errors": pytest.approx(129), "latency": pytest.approx(0.25)}
    assert found["proofs"] == {"errors": pytest.approx(2), "p95": pytest.approx(3), "p99": pytest.approx(4)}
    assert found["routes"] == [{"route": "/checkout", "stable": 2, "candidate": 7}]
    assert found["backends"][0] == {"id": "http://127.0.0.1:9002", "requests": 250, "errors": 8}
    assert (found["excluded"], found["unkeyed"], found["warm_up"]) == (12, 3, 40)
    assert found["guard"] == {"errors": 0.05, "p99": 0.8, "window": 60}
    assert found["guards"][1] == {"version": "green", "guard": "errors", "value": 0.016, "bound": 0.05}
    assert found["queries"][1]["reason"] == "refused"


async def test_lists_have_the_verdict_and_not_its_evidence(world, api, folder):
    judge(world.judges, (await begin(world, JUDGED)).id, folder)
    (brief,) = (await got(api, RELEASES))["releases"]
    assert brief["verdict"]["kind"] == "suspicious"
    assert "verdicts" not in brief


async def test_numbers_and_sentence_are_those_of_this_moment_and_need_no_revision(world, api, folder):
    release = await begin(world, JUDGED)
    await told(world, "suspicious", cause="errors", odds=12.0)
    revision = world.controller.state.revision
    judge(world.judges, release.id, folder)
    document = await got(api)
    said = document["verdict"]
    assert (said["sentence"], said["odds"]) == (SENTENCE, pytest.approx(129))
    assert SENTENCE in document["answers"][0]["answer"], "nothing on the page says what was true then"
    assert "said before" not in str({**document, "log": []})
    assert world.controller.state.revision == revision


@pytest.mark.parametrize(("kind", "cause"), [("collecting", ""), ("suspicious", "metric")])
async def test_what_the_release_goes_by_is_shown_until_it_hears_of_another(world, api, folder, kind, cause):
    """Of another kind, or for another cause: a custom metric is no judge's."""
    release = await begin(world, JUDGED)
    await told(world, kind, cause=cause, passes=False)
    judge(world.judges, release.id, folder)
    document = await got(api)
    assert (document["verdict"]["kind"], document["verdict"]["sentence"]) == (kind, "said before")
    assert document["verdict"]["cause"] == cause
    assert document["verdicts"][0]["kind"] == "suspicious"


async def test_whether_the_hold_may_end_is_the_releases_own_word(world, api, folder):
    release = await begin(world, JUDGED)
    await told(world, "collecting", passes=False)
    judge(world.judges, release.id, folder, kind=Kind.COLLECTING, cause=Cause.NONE)
    assert (await got(api))["verdict"]["passes"] is False
    await told(world, "collecting", passes=True)
    assert (await got(api))["verdict"]["passes"] is True


async def test_of_a_release_that_is_over_the_last_word_is_shown(world, api, folder):
    release = await begin(world, JUDGED)
    await told(world, "suspicious", cause="errors")
    await back_to_blue(world)
    world.judges.past[release.id] = [standing(release=release.id)]
    document = await got(api)
    assert document["verdict"]["sentence"] == document["verdicts"][0]["sentence"] == SENTENCE
    (brief,) = (await got(api, RELEASES))["releases"]
    assert brief["verdict"]["sentence"] == "said before", "for a list nothing more is read"


async def test_a_service_says_the_verdict_of_what_is_being_released(world, api, folder):
    judge(world.judges, (await begin(world, JUDGED)).id, folder)
    _, document, _ = await api("GET", "/v1/services/shop")
    assert document["release"]["verdict"]["kind"] == "suspicious"
    _, document, _ = await api("GET", "/v1/status")
    assert {one["name"]: (one["release"] or {}).get("verdict") for one in document["services"]}["cart"] is None


# Of several services


def of(*kinds: Kind) -> list[Standing]:
    return [standing(kind, f"s{place}") for place, kind in enumerate(kinds)]


def test_any_of_several_services_may_stop_the_release_and_all_must_pass():
    order = [
        *(Kind.PASSED, Kind.COLLECTING, Kind.NOT_ENOUGH_DATA, Kind.SUSPICIOUS, Kind.INVALID, Kind.SHARED_TROUBLE),
        Kind.ROLLBACK,
    ]
    for place, kind in enumerate(order):
        found = worst(of(*order[: place + 1]))
        assert found is not None
        assert found.verdict.kind is kind
    louder = standing(Kind.COLLECTING, "loud", numbers=replace(NUMBERS, log_odds=9.0))
    assert worst([*of(Kind.COLLECTING), louder]) is louder
    assert worst([]) is None


async def test_what_decides_among_several_services_is_said_with_its_name(world, api, folder):
    release = await begin(world, JUDGED, services={"shop": "green", "cart": "v2"})
    judge(world.judges, release.id, folder, kind=Kind.PASSED)
    judge(world.judges, release.id, folder, service="cart")
    said = (await got(api))["verdict"]
    assert (said["kind"], said["sentence"]) == ("suspicious", f"cart: {SENTENCE}")


def test_odds_beyond_what_json_has_are_shown_as_the_highest():
    found = verdict_views.document(standing(numbers=replace(NUMBERS, log_odds=5_000.0, log_share=5_000.0)))
    assert found["odds"] == found["share_odds"] == pytest.approx(1e12)
    VerdictInFull.model_validate(found)


def test_a_judge_that_has_seen_nothing_can_be_shown():
    found = verdict_views.document(standing(Kind.COLLECTING, numbers=Numbers(), analysis=Analysis(), guards=()))
    VerdictInFull.model_validate(found)
    assert (found["odds"], found["guard"], found["routes"]) == (1.0, None, [])


# As a gate


async def test_the_gate_of_a_pipeline_gets_the_verdict_and_what_it_rests_on(world, api, folder):
    judge(world.judges, (await begin(world, JUDGED)).id, folder)
    document = await got(api, f"{LAST}/verdict")
    ReleaseVerdict.model_validate(document)
    assert (document["kind"], document["sentence"], document["state"]) == ("suspicious", SENTENCE, "progressing")
    assert document["passes"] is False
    assert document["verdicts"][0]["service"] == "shop"


async def test_without_a_word_of_the_judge_the_gate_says_why(world, api):
    release = await begin(world)
    document = await got(api, f"{LAST}/verdict")
    assert (document["kind"], document["verdicts"]) == (None, [])
    assert document["sentence"] == f"nothing is said of release {release.id}: its plan ramp asks for no `analysis`"
    await begin(world, JUDGED)
    assert (await got(api, f"{LAST}/verdict"))["sentence"].endswith("yet")


# The ticket


async def test_the_ticket_has_the_evidence(world, api, folder):
    judge(world.judges, (await begin(world, JUDGED)).id, folder)
    document = await got(api, f"{LAST}/report")
    Report.model_validate(document)
    assert document["verdicts"][0]["errors"]["candidate"] == 8
    _, text, _ = await api("GET", f"{LAST}/report", headers={"Accept": "text/markdown"})
    part = text.partition("## Verdict\n")[2].partition("## Who")[0]
    for line in (
        f"The judge says: suspicious: {SENTENCE} (odds 129).",
        "### Service shop",
        "Note: all 8 failures are on one backend.",
        "| failures bet on | 22 | 8 |",
        "| failures on /checkout | 2 | 7 |",
        "| worse by errors? odds against luck | 129 : 1 | 100 : 1 |",
        "| good enough by p95? odds for it | 3 : 1 | 20 : 1 |",
        "| failed, of the requests to green in 60 s (an absolute bound, not a comparison) | 1.6 % | 5 % |",
        "| custom metric carts (an absolute bound, not a comparison) | 3, ok | above 5 |",
        "| custom metric depth (an absolute bound, not a comparison) | no value, unknown: refused | below 1 |",
        "| http://127.0.0.1:9002 | 250 | 8 |",
        "| requests left out, which the split alone did not decide | 12 |  |",
    ):
        assert line in part.splitlines()


async def test_nothing_of_a_verdict_becomes_markup_in_the_ticket(world, api, folder):
    nasty = "<b>|*x*"
    found = judge(world.judges, (await begin(world, JUDGED)).id, folder, sentence=nasty)
    query = QueryReading(nasty, reason=nasty)
    numbers = replace(NUMBERS, routes={nasty: (1, 2)}, backends={nasty: (1, 2)})
    verdict = replace(found.verdict, numbers=numbers, notes=(nasty,))
    world.judges.now[found.release] = [replace(found, verdict=verdict, queries=(query,), candidate="a_b_c")]
    _, text, _ = await api("GET", f"{LAST}/report", headers={"Accept": "text/markdown"})
    part = text.partition("## Verdict\n")[2].partition("## Who")[0]
    assert "\\<b\\>\\|\\*x\\*" in part
    assert "<b>" not in part.replace("\\<b\\>", "")
    assert "a\\_b\\_c" in part


# What it was told


async def test_the_seconds_come_as_they_were_written_the_older_part_first(world, api, folder):
    release = await begin(world, JUDGED)
    judge(world.judges, release.id, folder)
    older = folder / "older.jsonl"
    older.write_text('{"older": 1}\n' * 100_000)
    world.judges.logs[(release.id, "shop")].insert(0, str(older))
    status, text, headers = await api("GET", f"{LAST}/seconds")
    assert (status, headers["Content-Type"]) == (200, "application/x-ndjson")
    assert text == older.read_text() + LINES


async def test_what_was_not_recorded_or_is_gone_is_not_found(world, api, folder):
    release = await begin(world, JUDGED)
    status, problem, _ = await api("GET", f"{LAST}/seconds")
    assert (status, problem["code"]) == (404, "no_seconds")
    world.judges.logs[(release.id, "shop")] = [str(folder / "gone.jsonl")]
    status, problem, _ = await api("GET", f"{LAST}/seconds")
    assert (status, problem["code"]) == (404, "no_seconds")


async def test_of_several_services_it_has_to_be_said_which(world, api, folder):
    release = await begin(world, JUDGED, services={"shop": "green", "cart": "v2"})
    judge(world.judges, release.id, folder)
    judge(world.judges, release.id, folder, service="cart")
    front = "/v1/services/storefront/releases/last/seconds"
    status, problem, _ = await api("GET", front)
    assert (status, problem["code"], problem["allowed"]) == (400, "bad_query", "shop, cart")
    status, problem, _ = await api("GET", f"{front}?service=chart")
    assert (status, problem["problems"][0]["suggestion"]) == (404, "cart")
    assert (await api("GET", f"{front}?service=cart"))[0] == 200
    assert (await api("GET", f"{LAST}/seconds"))[0] == 200, "the path says it"


async def test_only_so_many_logs_are_read_at_once_and_then_again(world, api, folder, monkeypatch):
    judge(world.judges, (await begin(world, JUDGED)).id, folder)
    go_on, at_it = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(files):
        at_it.release()
        await go_on.wait()
        for file in files:
            yield file.read()

    monkeypatch.setattr(verdicts, "_pieces", slow)
    readers = [asyncio.create_task(api("GET", f"{LAST}/seconds")) for _ in range(verdicts.READERS)]
    for _ in readers:
        await at_it.acquire()
    status, problem, _ = await api("GET", f"{LAST}/seconds")
    assert (status, problem["code"]) == (503, "busy")
    go_on.set()
    assert [status for status, _, _ in await asyncio.gather(*readers)] == [200] * verdicts.READERS
    assert (await api("GET", f"{LAST}/seconds"))[0] == 200


async def test_a_verdict_is_an_event_with_its_numbers(world, api):
    await begin(world, JUDGED)
    await told(world, "not_enough_data", "needs more", passes=False)
    _, events, _ = await api("GET", "/v1/events?follow=0")
    (event,) = [one for one in events if one["kind"] == "release_verdict"]
    assert event["text"] == "not enough data: needs more"
    assert {name: event[name] for name in ("verdict", "cause", "odds", "bar", "passes")} == {
        "verdict": "not_enough_data",
        "cause": "",
        "odds": 3.0,
        "bar": 100.0,
        "passes": False,
    }


async def test_versions_that_came_after_the_start_are_not_among_the_weights_before(world, api):
    release = await begin(world, JUDGED, author="ann")
    later = {**dict(release.moves[0].weights), "spare": Decimal(0)}
    moves = tuple(replace(move, weights=later) for move in release.moves)
    state = world.controller.state
    releases = {**state.releases, release.id: replace(release, moves=moves)}
    world.controller.state = replace(state, releases=releases)
    _, text, _ = await api("GET", f"{LAST}/report", headers={"Accept": "text/markdown"})
    assert "| weights of shop before | blue 100, green 0 |" in text


async def test_who_does_not_read_his_log_makes_room_for_others(world, api, folder, monkeypatch):
    monkeypatch.setattr(verdicts, "WRITE_SECONDS", 0.2)
    monkeypatch.setattr(verdicts, "READERS", 1)
    release = await begin(world, JUDGED)
    judge(world.judges, release.id, folder)
    log = folder / f"{release.id}-shop.jsonl"
    log.write_text('{"much": 1}\n' * 1_000_000)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as idle:
        idle.connect(str(folder / "admin.sock"))
        idle.sendall(f"GET {LAST}/seconds HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await asyncio.sleep(0.05)
        assert (await api("GET", f"{LAST}/seconds"))[0] == 503
        await asyncio.sleep(0.4)
        log.write_text(LINES)
        assert (await api("GET", f"{LAST}/seconds"))[:2] == (200, LINES)
        whole = b"".join(iter(lambda: idle.recv(2**20), b""))
        assert not whole.endswith(b"0\r\n\r\n"), "whoever reads on sees that the end is missing"
