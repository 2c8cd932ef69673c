"""Who is traced is decided by the sender or by the trace's id; what a backend gets is a child of our span."""

from dataclasses import replace

import pytest

from gatekeeper.core.model import Tracing
from gatekeeper.dataplane.ids import Ids
from gatekeeper.dataplane.tracing import MOST, Tracer
from gatekeeper.telemetry import block as cells
from tests.dataplane.world import GET, request

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"
COLLECTOR = "http://127.0.0.1:4318/v1/traces"


def sent(flags):
    return f"traceparent: 00-{TRACE}-{PARENT}-{flags}"


def trace(world, share):
    world.settings = replace(world.settings, tracing=None if share is None else Tracing(COLLECTOR, share))
    world.use(world.service)


@pytest.fixture
def here(world):
    return world()


def spans(here):
    return here.plane.tracer.take()[0]


def test_a_sampled_parent_becomes_ours_and_ours_the_backends(here):
    trace(here, 0.0)
    got = here.told(request("GET", sent("01"), "tracestate: a=b"))
    version, of, span, flags = got.get("traceparent").split("-")
    assert (version, of, flags) == ("00", TRACE, "01")
    assert span != PARENT
    assert got.get("tracestate") == "a=b"
    (row,) = spans(here)
    assert row[:3] == [TRACE, span, PARENT]


def test_an_unsampled_parent_goes_on_as_it_came_whatever_our_share(here):
    trace(here, 1.0)
    got = here.told(request("GET", sent("00")))
    assert got.get("traceparent") == sent("00").partition(": ")[2]
    assert spans(here) == []


def test_the_target_is_never_taken_for_the_field(here):
    trace(here, 1.0)
    value = sent("01").partition(": ")[2]
    got = here.told(request("GET", sent("01"), target=f"/?{value}"))
    assert value in got.line
    assert got.get("traceparent") != value


@pytest.mark.parametrize(("share", "flags"), [(1.0, "01"), (0.0, "00"), (None, "01")])
def test_a_trace_that_begins_here_says_whether_it_is_sampled(here, share, flags):
    trace(here, share)
    got = here.told(GET)
    _, of, span, said = got.get("traceparent").split("-")
    assert said == flags
    if share == 1.0:
        (row,) = spans(here)
        assert row[:3] == [of, span, ""]
        assert of == got.get("x-request-id")


def test_a_span_has_what_the_access_log_has(here):
    trace(here, 1.0)
    assert here.answered(request("GET", target="/cart?secret=1")).status == 200
    (row,) = spans(here)
    assert row[5:8] == ["GET", "/cart", "shop.test"]
    assert row[9:13] == [200, "shop", "blue", "http://blue-1:80"]
    assert row[3] <= row[4]


def test_a_request_that_no_backend_takes_has_its_span(here):
    trace(here, 1.0)
    here.unreachable.add("http://blue-1:80")
    client = here.client()
    client.send(GET)
    client.take()
    (row,) = spans(here)
    assert (row[9], row[17]) == (502, "upstream_connect")


def test_the_share_is_kept_by_the_ids_and_all_alike():
    first, second = Tracer(Ids(), 0.25), Tracer(Ids(), 0.25)
    traces = [first.begin(b"") for _ in range(4_000)]
    sampled = sum(each.sampled for each in traces)
    assert 850 < sampled < 1150
    assert all(each.sampled is (int(each.trace[16:], 16) < 0.25 * 2**64) for each in traces)
    assert second._bound == first._bound


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 500)])
def test_none_and_all_are_exact(share, expected):
    tracer = Tracer(Ids(), share)
    assert sum(tracer.begin(b"").sampled for _ in range(500)) == expected


def test_what_nobody_takes_is_bounded_and_counted(here):
    trace(here, 1.0)
    for _ in range(MOST + 3):
        here.told(GET)
    rows, lost = here.plane.tracer.take()
    assert (len(rows), lost) == (MOST, 3)


def test_switched_off_what_waits_is_counted_as_dropped(here):
    trace(here, 1.0)
    here.told(GET)
    trace(here, None)
    assert here.plane.tracer is None
    assert here._block.integers[cells.SPANS_DROPPED] == 1


def test_a_reload_that_leaves_the_share_keeps_what_waits(here):
    trace(here, 1.0)
    here.told(GET)
    here.settings = replace(here.settings, tracing=Tracing("http://other:4318/v1/traces", 1.0))
    here.use(here.service)
    assert len(spans(here)) == 1
