import asyncio
import itertools
import json

import pytest
from aiohttp import web

from gatekeeper.interface import verbs_read


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
    moments = itertools.count(0.0, 20.0)
    monkeypatch.setattr(verbs_read.time, "sleep", lambda _: None)
    monkeypatch.setattr(verbs_read.time, "monotonic", lambda: next(moments))
    code, _, err = gatekeeper("events", "--follow", "--socket", str(tmp_path / "nobody"))
    assert code == 3
    assert "cannot reach gatekeeper" in err
