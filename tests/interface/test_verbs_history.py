import json

import pytest

ROW = {"revision": 18, "at": 1.0, "actor": "ann", "action": "split", "note": "half", "changes": []}
CHANGES = [{"path": "services.shop.split", "before": {"blue": 1}, "after": {"blue": 2}}]
RESTORED = {"revision": 19, "base": 18, "changes": CHANGES, "workers": {"acknowledged": 2, "total": 2}, "ms": 2.0}


def test_history_is_a_table_of_revisions(admin, gatekeeper):
    admin.answer(
        "GET", "/v1/revisions", [{**ROW, "weights": {"blue": 50, "green": 50}}, {**ROW, "revision": 2, "weights": None}]
    )
    code, out, _ = gatekeeper("history", "shop", "--limit", "5")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["REVISION", "AT", "ACTOR", "ACTION", "WEIGHTS", "NOTE"]
    assert lines[1].endswith("ann    split   blue=50 green=50  half")
    assert admin.asked[0].query == {"service": "shop", "limit": "5"}


def test_history_of_everything_names_the_services(admin, gatekeeper):
    admin.answer("GET", "/v1/revisions", {"revisions": [{**ROW, "splits": {"shop": {"blue": 1}, "api": {"a": 2}}}]})
    code, out, _ = gatekeeper("history")
    assert code == 0
    assert "shop: blue=1; api: a=2" in out
    assert admin.asked[0].query == {"limit": "20"}


@pytest.mark.parametrize(
    "words",
    [("history", "--limit", "5", "shop"), ("history", "--", "prune"), ("history", "show", "shop"), ("history",)],
)
def test_what_is_not_prune_shows(admin, gatekeeper, words):
    admin.answer("GET", "/v1/revisions", [])
    assert gatekeeper(*words)[0] == 0
    assert [asked.method for asked in admin.asked] == ["GET"]


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (("history", "prune", "--before", "9"), {"before": 9}),
        (("history", "--json", "prune", "--older-than", "90d"), {"older_than": "7776000s"}),
    ],
)
def test_pruning_says_what_goes(admin, gatekeeper, words, body):
    removed = {"revision": 18, "oldest": 9, "dry_run": False, "removed": {"revisions": 8, "events": 20, "audit": 9}}
    admin.answer("POST", "/v1/history/prune", removed)
    code, out, _ = gatekeeper(*words)
    assert code == 0
    assert admin.asked[0].json == body
    if "--json" in words:
        assert json.loads(out) == removed
    else:
        assert out == "removed what was before revision 9: 8 revisions, 20 events, 9 audit rows\n"


def test_pruning_asks_first(admin, gatekeeper, terminal):
    terminal.append(False)
    assert gatekeeper("history", "prune", "--before", "9")[0] == 4
    assert admin.asked == []


@pytest.mark.parametrize(
    "words", [(), ("--before", "9", "--older-than", "1d"), ("--before", "0"), ("--older-than", "x")]
)
def test_pruning_without_a_clear_bound_is_wrong_usage(admin, gatekeeper, words):
    assert gatekeeper("history", "prune", *words)[0] == 2
    assert admin.asked == []


def test_a_difference_goes_from_the_first_revision_to_the_second(admin, gatekeeper):
    admin.answer("GET", "/v1/revisions/9", {"revision": 9, "diff": 4, "changes": CHANGES})
    code, out, _ = gatekeeper("diff", "4", "9", "--service", "shop")
    assert (code, out) == (0, "services.shop.split: blue=1 -> blue=2\n")
    assert admin.asked[0].query == {"diff": "4", "service": "shop"}


def test_no_difference_is_said(admin, gatekeeper):
    admin.answer("GET", "/v1/revisions/9", {"revision": 9, "diff": 9, "changes": []})
    assert gatekeeper("diff", "9", "9")[1] == "nothing differs between revisions 9 and 9\n"


def test_a_restore_names_its_revision_and_its_service(admin, gatekeeper):
    admin.answer("POST", "/v1/revisions/9/restore", RESTORED)
    code, out, _ = gatekeeper("restore", "9", "--service", "shop", "--confirm-within", "1h")
    assert code == 0
    assert out.splitlines()[0] == "shop as at revision 9: revision 19, taken up by 2 of 2 workers in 2 ms"
    assert admin.asked[0].query == {"confirm_within": "3600s", "service": "shop"}


def test_a_person_sees_the_difference_before_it_is_restored(admin, gatekeeper, terminal):
    terminal += [False, True]
    admin.answer("POST", "/v1/revisions/9/restore", RESTORED)
    code, _, err = gatekeeper("restore", "9")
    assert code == 4
    assert "services.shop.split: blue=1 -> blue=2" in err
    assert [asked.query for asked in admin.asked] == [{"dry_run": "1"}]
    assert gatekeeper("restore", "9")[0] == 0
    assert admin.asked[-1].headers["If-Match"] == '"18"'


def test_a_dry_run_of_a_restore_does_not_say_that_it_happened(admin, gatekeeper):
    admin.answer("POST", "/v1/revisions/9/restore", {**RESTORED, "dry_run": True})
    _, out, _ = gatekeeper("restore", "9", "--dry-run")
    assert out.splitlines()[0] == "everything as at revision 9: would become revision 19; nothing was changed"


def test_the_audit_is_a_table(admin, gatekeeper):
    row = {"id": 5, "at": 1.0, "actor": "a\x1b[31m", "via": "token", "action": "split", "service": "shop"}
    admin.answer("GET", "/v1/audit", {"audit": [{**row, "revision": None, "outcome": "409", "detail": "tripped"}]})
    code, out, _ = gatekeeper("audit", "--limit", "3", "--before", "6")
    assert code == 0
    assert out.splitlines()[1].split()[-5:] == ["token", "split", "shop", "409", "tripped"]
    assert "\x1b" not in out
    assert admin.asked[0].query == {"limit": "3", "before": "6"}


@pytest.mark.parametrize(("words", "body"), [((), {}), (("18",), {"revision": 18})])
def test_a_confirmation_may_name_its_revision(admin, gatekeeper, words, body):
    admin.answer("POST", "/v1/confirm", {"revision": 19, "base": 18, "changes": []})
    code, out, _ = gatekeeper("confirm", *words)
    assert (code, admin.asked[0].json) == (0, body)
    assert out == "confirmed: revision 19\n"
