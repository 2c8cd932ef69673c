import json
import time

import pytest

from gatekeeper.interface import following
from gatekeeper.interface.verbs_release import ACTS
from tests.interface.releases import DIRECT, NOW, changed, ended, release, waiting

STARTS = ("POST", "/v1/services/shop/releases")
START = ("release", "start", "shop", "--to", "green")


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Nobody waits for the next look."""
    monkeypatch.setattr(following, "LOOK_EVERY", 0.0)


def test_a_start_says_what_it_did_what_is_waited_for_and_who_may_open_that(admin, gatekeeper):
    admin.answer(*STARTS, changed(waiting()))
    code, out, _ = gatekeeper(
        *START, "--plan", "careful", "--note", "winter", "--expect", "44", "--socket", admin.socket
    )
    assert code == 0
    lines = out.splitlines()
    way = f"gatekeeper --socket {admin.socket} release approve shop"
    assert lines[:4] == [
        "release 41 of shop: started; revision 45, taken up by 2 of 2 workers in 3.1 ms",
        "  waiting before step 3 of 3",
        "  verdict: collecting: needs 40 more",
        f"  waits for approval by product (a member of product, not ann): {way}",
    ]
    assert lines[4].startswith("  next: step 3 of 3: 100 % to green, not before ")
    asked = admin.asked[0]
    assert asked.json == {"to": "green", "plan": "careful"}
    assert asked.query == {"note": "winter"}
    assert asked.headers["If-Match"] == '"44"'


def test_a_start_may_have_a_time_and_take_other_services_with_it(admin, gatekeeper):
    admin.answer(*STARTS, changed(release()))
    before = time.time()
    code, _, _ = gatekeeper(*START, "--at", "in 10m", "--with", "cart=green", "--with", "api=v2", "--dry-run")
    body = admin.asked[0].json
    assert code == 0
    assert before + 600 <= body.pop("at") <= time.time() + 600
    assert body == {"to": "green", "with": {"cart": "green", "api": "v2"}}
    assert admin.asked[0].query == {"dry_run": "1"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--at", "yesterday"), "is no moment; it looks like"),
        (("--at", "2020-01-01T06:00"), "has passed"),
        (("--with", "cart"), "does not look like cart=green"),
        (("--with", "cart="), "has no version"),
        (("--with", "cart=a", "--with", "cart=b"), "is named twice"),
    ],
)
def test_a_start_that_cannot_be_meant_is_wrong_usage(admin, gatekeeper, words, said):
    code, _, err = gatekeeper(*START, *words)
    assert code == 2
    assert said in err
    assert admin.asked == []


def test_a_dry_run_does_not_say_that_it_happened(admin, gatekeeper):
    admin.answer(*STARTS, changed(release(), dry_run=True))
    _, out, _ = gatekeeper(*START, "--dry-run")
    assert out.splitlines()[0] == "release 41 of shop: would become revision 45; nothing was changed"


def test_a_person_is_asked_before_all_users_get_a_version_at_once(admin, gatekeeper, terminal):
    terminal += [False, True]
    admin.answer(*STARTS, changed(release(plan=DIRECT)))
    assert gatekeeper(*START)[0] == 4
    assert [asked.query for asked in admin.asked] == [{"dry_run": "1"}]
    assert gatekeeper(*START)[0] == 0
    assert admin.asked[-1].query == {}
    assert admin.asked[-1].headers["If-Match"] == '"44"'


@pytest.mark.parametrize("words", [("--plan", "direct"), ("--yes",), ("--dry-run",)])
def test_who_has_said_what_he_wants_is_not_asked(admin, gatekeeper, terminal, words):
    admin.answer(*STARTS, changed(release(plan=DIRECT)))
    assert gatekeeper(*START, *words)[0] == 0
    assert len(admin.asked) == 1


def test_a_plan_with_gates_or_steps_needs_no_question(admin, gatekeeper, terminal):
    admin.answer(*STARTS, changed(release()))
    assert gatekeeper(*START)[0] == 0


def test_a_refused_start_says_what_would_be_allowed(admin, gatekeeper):
    admin.problem(*STARTS, 409, detail="service shop is being released already", allowed="gatekeeper release show shop")
    code, out, err = gatekeeper(*START)
    assert (code, out) == (4, "")
    assert "gatekeeper: service shop is being released already" in err
    assert "allowed: gatekeeper release show shop" in err


def test_waiting_follows_the_log_to_the_promotion(admin, gatekeeper):
    first = release()
    more = {"at": NOW + 9, "actor": "plan", "event": "promoted", "text": "green is stable"}
    admin.answer(*STARTS, changed(first))
    path = "/v1/services/shop/releases/41"
    admin.answer("GET", path, first)
    admin.answer("GET", path, release(state="promoted", active=False, headline="promoted", log=[*first["log"], more]))
    code, out, _ = gatekeeper(*START, "--wait")
    assert code == 0
    assert [line.split("  ")[-1] for line in out.splitlines()[5:-1]] == [
        "started: shop from blue to green, plan careful (ann)",
        "step: step 2 of 3: 10.5 % to green (plan)",
        "promoted: green is stable (plan)",
    ]
    assert out.splitlines()[-1] == "release 41: promoted"


def test_waiting_says_who_is_to_do_what_once_that_is_needed(admin, gatekeeper):
    path = "/v1/services/shop/releases/41"
    admin.answer(*STARTS, changed(release()))
    for document in (release(), waiting(), waiting(), ended()):
        admin.answer("GET", path, document)
    _, out, _ = gatekeeper(*START, "--wait")
    line = "  waits for approval by product (a member of product, not ann): gatekeeper release approve shop"
    assert out.splitlines().count(line) == 1


@pytest.mark.parametrize("state", ["rolled_back", "aborted"])
def test_waiting_ends_with_1_when_it_was_not_promoted(admin, gatekeeper, state):
    admin.answer(*STARTS, changed(release()))
    admin.answer("GET", "/v1/services/shop/releases/41", ended(state))
    code, out, _ = gatekeeper(*START, "--wait")
    assert code == 1
    assert out.splitlines()[-1] == f"release 41: {state.replace('_', ' ')}: errors"
    code, out, _ = gatekeeper(*START, "--wait", "--json")
    assert code == 1
    assert json.loads(out)["state"] == state


def test_waiting_outlives_a_restart_but_not_for_ever(admin, gatekeeper, monkeypatch):
    def away(request):
        request.transport.close()

    path = ("GET", "/v1/services/shop/releases/41")
    admin.answer(*STARTS, changed(release()))
    admin.answers[path] = [away, away, away]
    admin.answer(*path, ended("promoted"))
    assert gatekeeper(*START, "--wait")[0] == 0
    monkeypatch.setattr(following, "AWAY_FOR", 0.0)
    admin.answers[path] = [away]
    assert gatekeeper(*START, "--wait")[0] == 3


def test_ctrl_c_while_waiting_says_that_the_release_goes_on(admin, gatekeeper, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    admin.answer(*STARTS, changed(release()))
    monkeypatch.setattr(following.time, "sleep", interrupted)
    code, _, err = gatekeeper(*START, "--wait")
    assert code == 130
    assert err.strip() == "the release goes on; see `gatekeeper release show shop`"


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
@pytest.mark.parametrize(("number", "path"), [((), "last"), (("41",), "41")])
def test_an_act_is_one_request_and_says_what_comes_next(admin, gatekeeper, act, number, path):
    admin.answer("POST", f"/v1/services/shop/releases/{path}/{act.name}", changed(release()))
    code, out, _ = gatekeeper("release", act.name, "shop", *number, "--reason", "because", "--expect", "44")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"release 41 of shop: {act.done}; revision 45, taken up by 2 of 2 workers in 3.1 ms"
    assert lines[-1].startswith("  next: step 3 of 3: 100 % to green")
    assert admin.asked[0].json == {"reason": "because"}
    assert admin.asked[0].headers["If-Match"] == '"44"'


def test_an_act_that_holds_already_is_done_and_says_so(admin, gatekeeper):
    admin.answer("POST", "/v1/services/shop/releases/last/pause", changed(release(), revision=44))
    code, out, _ = gatekeeper("release", "pause", "shop")
    assert code == 0
    assert out.splitlines()[0] == "release 41 of shop: nothing to change at revision 44"


@pytest.mark.parametrize("verb", ["skip", "reject"])
def test_what_overrules_others_needs_a_reason(admin, gatekeeper, verb):
    code, _, err = gatekeeper("release", verb, "shop")
    assert code == 2
    assert "Missing option '--reason'" in err
    assert admin.asked == []


@pytest.mark.parametrize("status", [401, 403, 409, 412])
def test_a_refused_act_ends_with_4_and_says_what_would_be_allowed(admin, gatekeeper, status):
    said = {"detail": "ann started release 41 and cannot approve it", "allowed": "an approval by somebody else"}
    admin.problem("POST", "/v1/services/shop/releases/last/approve", status, **said)
    code, _, err = gatekeeper("release", "approve", "shop")
    assert code == 4
    assert "ann started release 41 and cannot approve it" in err
    assert "allowed: an approval by somebody else" in err


def test_an_approval_may_name_its_gate(admin, gatekeeper):
    admin.answer("POST", "/v1/services/shop/releases/last/approve", changed(release()))
    assert gatekeeper("release", "approve", "shop", "--gate", "2")[0] == 0
    assert admin.asked[0].json == {"gate": "2"}


def test_a_person_is_asked_before_a_promotion_and_promotes_what_was_shown(admin, gatekeeper, terminal, monkeypatch):
    questions = []

    def answer(question, **_):
        questions.append(question)
        return terminal.pop(0)

    monkeypatch.setattr("click.confirm", answer)
    terminal += [False, True]
    admin.answer("GET", "/v1/services/shop/releases/last", release())
    admin.answer("POST", "/v1/services/shop/releases/41/promote", changed(release()))
    assert gatekeeper("release", "promote", "shop")[0] == 4
    assert [asked.method for asked in admin.asked] == ["GET"]
    assert questions == ["green gets all users now; what is left of the plan (2 steps) is left out. Go on?"]
    assert gatekeeper("release", "promote", "shop")[0] == 0
    assert gatekeeper("release", "promote", "shop", "--yes")[0] == 2  # no answer is queued for `last`
    assert [asked.path.rsplit("/")[-2] for asked in admin.asked if asked.method == "POST"] == ["41", "last"]


def test_names_are_encoded_whatever_they_hold(admin, gatekeeper):
    assert gatekeeper("release", "pause", "a/b", "7")[0] == 2
    assert admin.asked[0].path in {"/v1/services/a%2Fb/releases/7/pause", "/v1/services/a/b/releases/7/pause"}


def test_json_is_the_answer_as_it_came(admin, gatekeeper):
    found = changed(release())
    admin.answer("POST", "/v1/services/shop/releases/last/resume", found)
    assert json.loads(gatekeeper("release", "resume", "shop", "--json")[1]) == found
