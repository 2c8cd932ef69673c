import json

import pytest

GREEN = "/v1/services/shop/versions/green"
REPLY = {
    "revision": 18,
    "base": 17,
    "service": "shop",
    "version": "green",
    "split": {"blue": 100, "green": 0},
    "changes": [{"path": "services.shop.versions.green", "before": None, "after": "x"}],
    "workers": {"acknowledged": 2, "total": 2},
    "ms": 1.0,
    "confirm_by": None,
}
SHOP = {"name": "shop", "revision": 17, "stable": "blue", "split": {"blue": 90, "green": 10}, "versions": {}}


def version(*backends):
    found = [{"url": url, "id": url, "state": state, "reason": reason} for url, state, reason in backends]
    return {"revision": 18, "service": "shop", "version": "green", "backends": found}


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr("gatekeeper.interface.verbs_versions.LOOK_EVERY", 0.01)


def test_a_deploy_registers_the_backends(admin, gatekeeper):
    admin.answer("PUT", GREEN, REPLY)
    code, out, err = gatekeeper(
        *("deploy", "shop", "green", "http://a:1", "http://b:2", "--build", "7", "--health", "/up", "--note", "new")
    )
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "shop green: revision 18, taken up by 2 of 2 workers in 1 ms",
        "  services.shop.versions.green: added x",
    ]
    (asked,) = admin.asked
    assert asked.json == {"backends": ["http://a:1", "http://b:2"], "build": "7", "health": {"path": "/up"}}
    assert asked.query == {"note": "new"}


def test_what_a_deploy_leaves_out_is_left_to_gatekeeper(admin, gatekeeper):
    admin.answer("PUT", GREEN, REPLY)
    gatekeeper("deploy", "shop", "green", "http://a:1")
    assert admin.asked[0].json == {"backends": ["http://a:1"]}


def test_a_deploy_without_a_backend_is_wrong_usage(admin, gatekeeper):
    assert gatekeeper("deploy", "shop", "green")[0] == 2
    assert admin.asked == []


def test_waiting_tells_each_reason_once_and_ends_when_every_backend_is_ready(admin, gatekeeper):
    admin.answer("PUT", GREEN, REPLY)
    pending = version(("http://a:1", "pending", "connection refused"), ("http://b:2", "ready", ""))
    for _ in range(3):
        admin.answer("GET", GREEN, pending)
    admin.answer("GET", GREEN, version(("http://a:1", "ready", ""), ("http://b:2", "ready", "")))
    code, out, err = gatekeeper("deploy", "shop", "green", "http://a:1", "http://b:2", "--wait", "--timeout", "20s")
    assert code == 0
    assert out.splitlines()[-1] == "shop green: 2 of 2 backends ready"
    assert err.count("http://a:1 pending: connection refused (19 s left)") == 1
    assert admin.asked[0].query == {"wait": "20s"}


def test_not_ready_in_time_is_a_failure_that_names_every_reason(admin, gatekeeper):
    admin.answer("PUT", GREEN, REPLY)
    admin.answer("GET", GREEN, version(("http://a:1", "pending", "connection refused"), ("http://b:2", "ready", "")))
    code, out, err = gatekeeper("deploy", "shop", "green", "http://a:1", "http://b:2", "--wait", "--timeout", "1s")
    assert code == 1
    assert out.splitlines()[-1] == "shop green: 1 of 2 backends ready"
    assert "gatekeeper: shop green is not ready within 1 s: 1 of 2 backends ready" in err
    assert "  http://a:1: pending: connection refused\n" in err


def test_waiting_survives_a_restart_of_gatekeeper(admin, gatekeeper):
    async def hang_up(request):
        request.transport.close()

    admin.answer("PUT", GREEN, REPLY)
    admin.answers["GET", GREEN] = [hang_up, hang_up]
    admin.answer("GET", GREEN, version(("http://a:1", "ready", "")))
    assert gatekeeper("deploy", "shop", "green", "http://a:1", "--wait")[0] == 0


def test_a_script_gets_one_document_with_the_end_of_the_waiting(admin, gatekeeper):
    admin.answer("PUT", GREEN, REPLY)
    admin.answer("GET", GREEN, version(("http://a:1", "ejected", "503")))
    code, out, err = gatekeeper("deploy", "shop", "green", "http://a:1", "--wait", "--timeout", "1s", "--json")
    assert code == 1
    assert (json.loads(out)["ready"], json.loads(out)["backends"][0]["reason"]) == (False, "503")
    assert json.loads(err)["problems"] == [{"path": "http://a:1", "message": "ejected: 503"}]


def test_backends_that_fail_their_check_are_a_refusal_with_their_reasons(admin, gatekeeper):
    problems = [{"path": "http://a:1", "message": "connection refused"}]
    admin.problem("PUT", GREEN, 409, code="not_healthy", detail="1 of the new backends", problems=problems)
    code, _, err = gatekeeper("deploy", "shop", "green", "http://a:1", "--wait")
    assert code == 4
    assert "  http://a:1: connection refused" in err


def test_a_dry_run_does_not_wait(admin, gatekeeper):
    admin.answer("PUT", GREEN, {**REPLY, "dry_run": True})
    assert gatekeeper("deploy", "shop", "green", "http://a:1", "--wait", "--dry-run")[0] == 0
    assert len(admin.asked) == 1


def test_a_change_to_be_confirmed_says_until_when_and_how(admin, gatekeeper):
    admin.answer("PUT", GREEN, {**REPLY, "confirm_by": 1_800_000_000})
    code, out, _ = gatekeeper("deploy", "shop", "green", "http://a:1", "--confirm-within", "5m")
    assert code == 0
    assert admin.asked[0].query == {"confirm_within": "300s"}
    until, how = out.splitlines()[-2:]
    assert until.startswith("  undoes itself at 2027-01-15")
    assert how == "  gatekeeper confirm 18"


def test_a_dry_run_has_nothing_to_confirm(admin, gatekeeper):
    admin.answer("PUT", GREEN, {**REPLY, "confirm_by": 1_800_000_000, "dry_run": True})
    _, out, _ = gatekeeper("deploy", "shop", "green", "http://a:1", "--confirm-within", "5m", "--dry-run")
    assert "undoes itself" not in out


@pytest.mark.parametrize("within", ["9s", "8d", "5", "-1m"])
def test_a_time_to_confirm_beyond_its_bounds_is_wrong_usage(admin, gatekeeper, within):
    assert gatekeeper("deploy", "shop", "green", "http://a:1", f"--confirm-within={within}")[0] == 2
    assert admin.asked == []


def test_retiring_a_version_without_weight_asks_nobody(admin, gatekeeper, terminal):
    admin.answer("GET", "/v1/services/shop", {**SHOP, "split": {"blue": 100, "green": 0}}, etag=17)
    admin.answer("DELETE", GREEN, REPLY)
    code, out, _ = gatekeeper("retire", "shop", "green")
    assert code == 0
    assert out.startswith("shop: blue=100 green=0; revision 18")


def test_retiring_a_version_with_users_asks_and_is_bound_to_what_was_shown(admin, gatekeeper, terminal):
    admin.answer("GET", "/v1/services/shop", SHOP, etag=17)
    admin.answer("DELETE", GREEN, REPLY)
    terminal += [False, True]
    code, _, err = gatekeeper("retire", "shop", "green")
    assert (code, [asked.method for asked in admin.asked]) == (4, ["GET"])
    assert "nothing was changed" in err
    assert gatekeeper("retire", "shop", "green")[0] == 0
    assert admin.asked[-1].headers["If-Match"] == '"17"'


def test_a_script_that_retires_a_version_with_users_is_not_asked(admin, gatekeeper):
    admin.answer("GET", "/v1/services/shop", SHOP, etag=17)
    admin.answer("DELETE", GREEN, REPLY)
    assert gatekeeper("retire", "shop", "green")[0] == 0
    assert "If-Match" not in admin.asked[-1].headers


EVENTS = [
    {"id": 8, "at": 1.0, "kind": "version_drained", "service": "api", "version": "green", "finished": 0, "cut": 0},
    {"id": 9, "at": 1.0, "kind": "version_drained", "service": "shop", "version": "green", "finished": 12, "cut": 1},
]


def test_a_drain_waits_for_the_report_of_this_version(admin, gatekeeper):
    admin.answer("GET", "/v1/events", [{"id": 7, "kind": "version_drained", "service": "shop", "version": "green"}])
    admin.answer("GET", "/v1/events", EVENTS[:1])
    admin.answer("GET", "/v1/events", EVENTS[1:])
    admin.answer("POST", f"{GREEN}/drain", {**REPLY, "draining": 5.0})
    code, out, _ = gatekeeper("drain", "shop", "green", "--deadline", "2m")
    assert code == 0
    assert out.splitlines()[-1].startswith("shop green: 12 finished, 1 cut, in 0.")
    events = [asked.query for asked in admin.asked if asked.path == "/v1/events"]
    assert events == [{"follow": "0", **more} for more in ({"limit": "1"}, {"after": "7"}, {"after": "8"})]
    assert next(asked.json for asked in admin.asked if asked.method == "POST") == {"seconds": 120}


def test_a_drain_whose_report_never_comes_is_a_failure_that_says_so(admin, gatekeeper, monkeypatch):
    monkeypatch.setattr("gatekeeper.interface.verbs_versions.REPORT_WITHIN", 0.05)
    admin.answer("GET", "/v1/events", [])
    admin.answer("POST", f"{GREEN}/drain", REPLY)
    code, _, err = gatekeeper("drain", "shop", "green", "--deadline", "0s")
    assert code == 1
    assert "nobody said what became of shop green" in err


def test_a_drain_need_not_be_waited_for(admin, gatekeeper):
    admin.answer("GET", "/v1/events", [])
    admin.answer("POST", f"{GREEN}/drain", REPLY)
    assert gatekeeper("drain", "shop", "green", "--no-wait")[0] == 0
    assert len(admin.asked) == 2


def test_a_script_gets_the_report_of_a_drain_with_the_reply(admin, gatekeeper):
    admin.answer("GET", "/v1/events", [])
    admin.answer("GET", "/v1/events", EVENTS)
    admin.answer("POST", f"{GREEN}/drain", REPLY)
    code, out, _ = gatekeeper("drain", "shop", "green", "--json")
    assert code == 0
    assert json.loads(out) == {**REPLY, "report": EVENTS[1]}


@pytest.mark.parametrize(("names", "body"), [((), {}), (("green", "red"), {"versions": ["green", "red"]})])
def test_a_reset_is_of_all_versions_unless_some_are_named(admin, gatekeeper, names, body):
    admin.answer("POST", "/v1/services/shop/trip/reset", REPLY)
    assert gatekeeper("reset", "shop", *names)[0] == 0
    assert admin.asked[0].json == body
