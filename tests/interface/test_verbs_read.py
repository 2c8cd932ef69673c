import asyncio
import json

import pytest
from aiohttp import web

from gatekeeper.interface import overview, verbs_read

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
        *("SERVICE", "STABLE", "VERSION", "WEIGHT", "SHARE", "REQUESTS/S", "ERRORS"),
        *("P50/P99", "MS", "BACKENDS"),
    ]
    assert lines[2].split() == ["shop", "blue", "blue", "90", "90.0%", "100.0", "0.5%", "2.10/34.5", "1/1"]
    assert lines[3].split() == ["green", "10", "-", "0.0", "-", "-", "1/2"]
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

    monkeypatch.setattr(verbs_read.time, "sleep", pause)
    admin.answer("GET", "/v1/status", STATUS)
    code, out, _ = gatekeeper("status", "--watch", "--interval", "0.5", *arguments)
    assert (code, pauses) == (130, [0.5] * 3)
    assert out.count("17") >= 3


def test_a_terminal_gets_a_picture_that_is_redrawn_and_shows_an_outage(admin, gatekeeper, monkeypatch):
    pauses = []

    def pause(_):
        pauses.append(1)
        if len(pauses) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(verbs_read.time, "sleep", pause)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    admin.answer("GET", "/v1/status", STATUS)
    admin.answer("GET", "/v1/status", text="{", content_type="application/json")
    code, out, _ = gatekeeper("status", "--watch")
    assert code == 130
    assert "2.10/34.5" in out
    assert "not valid JSON" in out


def test_names_of_the_server_are_no_markup(monkeypatch):
    data = {"name": "[red]shop", "split": {}, "stable": "a", "versions": {"[/x]": {"backends": []}}}
    assert overview.table(data).rows[0][0] == "[red]shop"


def test_explain_sends_the_request_and_gives_the_reasons(admin, gatekeeper):
    admin.answer(
        "POST",
        "/v1/explain",
        {"service": "shop", "version": "green", "reason": "rule", "rule": "staff", "forced": False, "revision": 3},
    )
    code, out, _ = gatekeeper(
        *("explain", "shop", "/v2?x=1", "--header", "X-User-Id: 7", "--cookie", "staff=1", "--cookie", "a=b"),
        *("--method", "POST", "--host", "shop.example.com", "--client-ip", "10.0.0.1"),
    )
    assert code == 0
    assert out.splitlines() == ["shop: green", "  reason: rule", "  rule: staff", "  revision: 3"]
    assert admin.asked[0].json == {
        "service": "shop",
        "method": "POST",
        "path": "/v2?x=1",
        "headers": [["X-User-Id", "7"], ["Cookie", "staff=1; a=b"]],
        "host": "shop.example.com",
        "client_ip": "10.0.0.1",
    }


@pytest.mark.parametrize("option", [("--header", "X-User-Id"), ("--header", ": 7"), ("--cookie", "staff")])
def test_a_header_or_cookie_that_is_none_is_wrong_usage(admin, gatekeeper, option):
    assert gatekeeper("explain", "shop", *option)[0] == 2
    assert admin.asked == []


EVENTS = [
    {"id": 4, "at": 1_700_000_000.5, "kind": "split", "revision": 17, "after": {"blue": 90}, "note": ""},
    {"id": 5, "at": 1_700_000_001.5, "kind": "backend", "revision": None, "url": "http://127.0.0.1:2"},
]


def test_events_are_one_line_each(admin, gatekeeper):
    admin.answer("GET", "/v1/events", EVENTS)
    code, out, _ = gatekeeper("events")
    first, second = out.splitlines()
    assert code == 0
    assert first.endswith('  split  revision=17  after={"blue":90}')
    assert second.endswith("  backend  url=http://127.0.0.1:2")
    assert admin.asked[0].query == {"follow": "0"}


def test_no_events_print_nothing(admin, gatekeeper):
    admin.answer("GET", "/v1/events", [])
    assert gatekeeper("events") == (0, "", "")


def test_following_resumes_after_the_last_event_when_the_stream_breaks(admin, gatekeeper, monkeypatch):
    def stream(*events):
        async def answer(request):
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            for event in events:
                await response.write(f"id: {event['id']}\ndata: {json.dumps(event)}\n\n".encode())
            await asyncio.sleep(0)
            return response

        return answer

    pauses = []

    def pause(_):
        pauses.append(1)
        if len(pauses) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(verbs_read.time, "sleep", pause)
    admin.answers["GET", "/v1/events"] = [stream(EVENTS[0]), stream(EVENTS[1])]
    code, out, _ = gatekeeper("events", "--follow", "--json")
    assert code == 130
    assert [json.loads(line)["id"] for line in out.splitlines()] == [4, 5]
    assert [asked.headers.get("Last-Event-ID") for asked in admin.asked] == [None, "4"]


def test_following_gives_up_when_gatekeeper_stays_away(gatekeeper, monkeypatch, tmp_path):
    moments = iter([0.0, 30.0, 61.0])
    monkeypatch.setattr(verbs_read.time, "sleep", lambda _: None)
    monkeypatch.setattr(verbs_read.time, "monotonic", lambda: next(moments))
    code, _, err = gatekeeper("events", "--follow", "--socket", str(tmp_path / "nobody"))
    assert code == 3
    assert "cannot reach gatekeeper" in err


def test_history_is_a_table_of_revisions(admin, gatekeeper):
    row = {"revision": 18, "at": 1.0, "actor": "ann", "action": "split", "note": "half", "changes": []}
    admin.answer(
        "GET", "/v1/revisions", [{**row, "weights": {"blue": 50, "green": 50}}, {**row, "revision": 2, "weights": None}]
    )
    code, out, _ = gatekeeper("history", "shop", "--limit", "5")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["REVISION", "AT", "ACTOR", "ACTION", "WEIGHTS", "NOTE"]
    assert lines[1].endswith("ann    split   blue=50 green=50  half")
    assert admin.asked[0].query == {"service": "shop", "limit": "5"}
