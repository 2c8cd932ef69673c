import pytest

from gatekeeper.interface import overview, screen

SHOP = {
    "name": "shop",
    "revision": 17,
    "stable": "blue",
    "split": {"blue": 90, "green": 10},
    "versions": {
        "blue": {
            "backends": [{"url": "http://127.0.0.1:1", "state": "ready", "reason": ""}],
            "live": {
                "requests": 1000,
                "failed": 5,
                "errors": 0.005,
                "rate": 100.0,
                "share": 0.9,
                "p50": 0.0021,
                "p95": 0.009,
                "in_flight": 3,
                "p99": 0.0345,
            },
        },
        "green": {
            "backends": [
                {"url": "http://127.0.0.1:2", "state": "ready", "reason": ""},
                {"url": "http://127.0.0.1:3", "state": "ejected", "reason": "3 checks failed"},
            ],
            "live": {"requests": 0, "failed": 0, "errors": None, "rate": 0.0, "share": None, "p50": None, "p99": None},
        },
    },
}
STATUS = {
    "version": "0.1.0",
    "pid": 7,
    "started": 0,
    "revision": 17,
    "workers": [{"pid": 8, "revision": 17, "state": "ready"}, {"pid": 9, "revision": 16, "state": "starting"}],
    "services": [SHOP],
    "problems": ["the state file does not take writes: disk full"],
}


def test_status_is_one_aligned_row_per_version(admin, gatekeeper):
    admin.answer("GET", "/v1/status", STATUS)
    code, out, _ = gatekeeper("status")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("gatekeeper 0.1.0, pid 7, up ")
    assert lines[0].endswith("revision 17, workers: 1 of 2 ready and up to date")
    assert lines[1].split() == [
        *("SERVICE", "STABLE", "VERSION", "WEIGHT", "SHARE", "REQ/S", "ERRORS"),
        *("P50/95/99", "MS", "IN", "FLIGHT", "BACKENDS"),
    ]
    assert lines[2].split() == ["shop", "blue", "blue", "90", "90.0%", "100.0", "0.5%", "2.10/9.00/34.5", "3", "1/1"]
    assert lines[3].split() == ["green", "10", "-", "0.0", "-", "-", "-", "1/2"]
    assert lines[4] == "the state file does not take writes: disk full"
    assert lines[5:] == ["shop green http://127.0.0.1:3 ejected: 3 checks failed", "worker 9 is starting"]
    assert {len(line) for line in lines[1:4]} == {len(lines[1])}


def test_status_of_one_service_has_the_same_rows(admin, gatekeeper):
    admin.answer("GET", "/v1/services/shop", SHOP)
    code, out, _ = gatekeeper("status", "shop")
    assert code == 0
    assert out.splitlines()[0] == "revision 17"
    assert out.splitlines()[2].split()[:4] == ["shop", "blue", "blue", "90"]


def test_a_service_that_does_not_exist_is_wrong_usage(admin, gatekeeper):
    admin.problem("GET", "/v1/services/shp", 404, detail="no service shp; did you mean shop?")
    code, _, err = gatekeeper("status", "shp")
    assert code == 2
    assert "did you mean shop?" in err


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_watching_goes_on_until_interrupted(admin, gatekeeper, monkeypatch, arguments):
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", pause)
    admin.answer("GET", "/v1/status", STATUS)
    code, out, _ = gatekeeper("status", "--watch", "--interval", "0.5", *arguments)
    assert (code, pauses) == (130, [0.5] * 3)
    assert out.count("17") >= 3


@pytest.mark.parametrize("verb", [("status", "--watch"), ("top",)])
def test_a_terminal_gets_a_picture_that_is_redrawn_and_shows_an_outage(admin, gatekeeper, window, verb):
    window.append(screen.Happened.NOTHING)
    admin.answer("GET", "/v1/status", STATUS)
    admin.answer("GET", "/v1/status", text="{", content_type="application/json")
    code, out, _ = gatekeeper(*verb)
    assert code == 130
    assert "34.5" in out
    assert "not valid JSON" in out


@pytest.mark.parametrize("verb", [("status", "--watch"), ("top",)])
def test_q_ends_it_as_done(admin, gatekeeper, window, verb):
    window.append(screen.Happened.QUIT)
    admin.answer("GET", "/v1/status", STATUS)
    assert gatekeeper(*verb)[0] == 0


def test_a_window_of_another_size_is_drawn_anew_without_asking_again(admin, gatekeeper, window):
    window += [screen.Happened.RESIZED, screen.Happened.QUIT]
    admin.answer("GET", "/v1/status", STATUS)
    _, out, _ = gatekeeper("top")
    assert len(admin.asked) == 1
    assert out.count("34.5") == 2


def test_names_of_the_server_are_no_markup(monkeypatch):
    data = {"name": "[red]shop", "split": {}, "stable": "a", "versions": {"[/x]": {"backends": []}}}
    assert overview.table(data).rows[0][0] == "[red]shop"


def test_what_is_not_as_one_would_think_is_said_below():
    backend = {"url": "http://a:1", "id": "http://a:1#10.0.0.5", "state": "draining", "reason": "the version drains"}
    versions = {
        "old": {"backends": [backend], "draining": 4_000_000_000},
        "older": {"backends": [backend], "draining": 1},
        "bad": {"backends": [{**backend, "state": "ejected"}], "tripped": {"at": 0, "reason": "60% errors\x1b[31m"}},
        "new": {"backends": [], "differs_from_file": True},
    }
    shop = {"name": "shop", "split": {}, "stable": "old", "versions": versions, "retired": ["gone"]}
    pending = {"revision": 16, "deadline": 0, "actor": "ann", "services": ["shop", "api"]}
    lines = overview.remarks({"services": [shop], "pending": [pending]})
    assert "revision 16 of ann (shop, api) undoes itself at 1970-01-01" in lines[0]
    assert lines[0].endswith("unless confirmed: gatekeeper confirm 16")
    assert lines[1].startswith("shop old drains until 2096-")
    assert lines[2] == "shop older is drained: no requests until it is given weight or deployed again"
    assert lines[3].startswith("shop bad was stopped by the trip-wire at 1970-01-01")
    assert lines[3].endswith(": 60% errors\ufffd[31m; gatekeeper reset shop bad")
    assert lines[4] == "shop bad http://a:1#10.0.0.5 ejected: the version drains"
    assert lines[5] == "shop new is as it was deployed; the file says something else"
    assert lines[6:] == ["shop gone is retired; the file still names it"]


def test_a_release_and_the_version_that_is_kept_after_one_are_said_below():
    release = {"id": 41, "headline": "waiting before step 1 of 3\x1b", "waiting": ["approval by product", "a freeze"]}
    shop = {"name": "shop", "versions": {}, "release": release}
    api = {"name": "api", "versions": {}, "release": None, "retained": {"version": "v1", "until": 0}}
    lines = overview.remarks({"services": [shop, api]})
    assert lines[0] == (
        "shop release 41 is waiting before step 1 of 3\ufffd; waits for approval by product and a freeze"
    )
    assert lines[1].startswith("api v1 is kept until 1970-01-01")
    assert lines[1].endswith(": gatekeeper rollback api brings it back")


def test_a_verdict_is_shown_with_its_odds_and_what_means_rollback(admin, gatekeeper):
    verdict = {"kind": "suspicious", "sentence": "30 failures so far", "odds": 23.0, "bar": 100.0}
    release = {"id": 3, "headline": "progressing", "verdict": verdict}
    admin.answer("GET", "/v1/status", {**STATUS, "services": [{**SHOP, "release": release}]})
    assert "shop odds against luck 23 : 1, rolls back at 100 : 1" in gatekeeper("status")[1].splitlines()
    verdict["sentence"] = "x; odds against luck 23 : 1, rolls back at 100 : 1"
    admin.answer("GET", "/v1/status", {**STATUS, "services": [{**SHOP, "release": release}]})
    assert gatekeeper("status")[1].count("odds against luck") == 1, "it is said once"
