"""Seconds of a judged service: which requests are in which, when they are told, and what may change on the way."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.judge.latency import bucket
from gatekeeper.core.model import Retries, Sticky, Timeouts, UnitKind, UnitSource
from gatekeeper.dataplane.tally import PORTION
from tests.dataplane.judged import Judged
from tests.dataplane.world import GET, OK, SLOTS, STRANGER

BY_ADDRESS = Sticky(by=(UnitSource(UnitKind.CLIENT_IP),))
WRONG = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"


def weighted(here, **weights):
    """The same service with other weights, from now on."""
    split = {name: Decimal(weight) for name, weight in weights.items()}
    here.use(replace(here.service, split=split), revision=8)


def test_a_request_is_booked_to_the_second_in_which_it_arrived():
    with Judged() as here:
        here.clock.advance(0.9)
        _, backend = here.asked(GET)
        here.clock.advance(0.2)
        here.answered(GET)
        backend.send(OK)
        assert [part["at"] for part in here.later()] == [0, 1]


def test_a_second_is_told_as_soon_as_it_is_over_and_all_of_it_has_ended():
    with Judged() as here:
        here.answered(GET)
        assert here.later(0.9) == []
        assert len(here.later(0.5)) == 1
        assert here.upto == 0


def test_seconds_are_told_in_order_so_one_that_waits_holds_up_those_after_it():
    with Judged() as here:
        _, backend = here.asked(GET)
        here.clock.advance(1)
        here.answered(GET)
        assert here.later(2.5) == []
        assert here.upto == -1
        backend.send(OK)
        assert [part["at"] for part in here.later(1)] == [0, 1]


def test_seconds_without_a_request_are_told_of_by_how_far_all_is_sealed():
    with Judged() as here:
        assert here.later(3.5) == []
        assert here.upto == 2
        assert here.later(1) == []
        assert here.upto == 3


def test_it_is_told_once_a_second():
    with Judged() as here:
        told = 0
        for _ in range(100):
            here.clock.advance(0.1)
            messages = here.plane.dockets.look(here.clock.monotonic(), here.plane.connections)
            told += sum(message["type"] == "seconds" for message in messages)
        assert told == 10


def test_what_is_written_down_is_counted_in_portions_and_none_is_lost():
    with Judged() as here:
        here.to("green")
        (docket,) = here.plane.dockets._dockets.values()
        waiting = []
        for number in range(2 * PORTION + 3):
            here.answered(GET, WRONG if number % 2 else OK)
            waiting.append(len(docket.lines))
        assert max(waiting) == PORTION - 1
        assert here.counted() == {"blue": (0, 0), "green": (2 * PORTION + 3, PORTION + 1)}


def test_the_weight_is_the_one_of_the_table_that_decided_also_within_a_second():
    with Judged() as here:
        here.to("green")
        _, backend = here.asked(GET)
        weighted(here, blue=75, green=25)
        here.answered(GET)
        backend.send(WRONG)
        part = here.part()
        assert [(cell[0], cell[2][:2]) for cell in part["cells"]] == [(0.25, [1, 0]), (0.5, [1, 1])]


def test_a_change_of_the_table_that_leaves_the_weights_opens_no_other_cell():
    with Judged() as here:
        here.answered(GET)
        weighted(here, blue=50, green=50)
        here.answered(GET)
        (cell,) = here.part()["cells"]
        assert cell[1][0] + cell[2][0] == 2


def test_a_case_that_stays_keeps_what_was_recorded_and_one_that_is_gone_is_forgotten():
    with Judged() as here:
        here.to("green")
        here.answered(GET)
        here.plane.judge([here.case, here.case | {"release": 2, "service": "other"}])
        here.answered(GET)
        here.clock.advance(1.5)
        (message,) = here.plane.dockets.look(here.clock.monotonic(), here.plane.connections)
        assert [row[:3] for row in message["of"]] == [[1, "shop", 0], [2, "other", 0]]
        assert message["of"][0][3][0]["candidate"] == [2, 0, 0]
        _, backend = here.asked(GET)
        here.plane.judge([])
        backend.send(OK)
        here.answered(GET)
        assert here.later() == []


def test_decisions_say_their_unit_only_while_somebody_judges():
    with Judged(sticky=BY_ADDRESS) as here:
        client, backend = here.asked(GET)
        assert client.protocol.exchange.decision.unit == here.unit(STRANGER)
        backend.send(OK)
        here.plane.judge([])
        client, backend = here.asked(GET)
        assert client.protocol.exchange.decision.unit == -1
        backend.send(OK)


def test_a_head_that_is_known_from_before_the_case_gets_its_unit():
    by = Sticky(by=(UnitSource(UnitKind.HEADER, "X-User"),))
    raw = b"GET / HTTP/1.1\r\nHost: shop.test\r\nX-User: ann\r\n\r\n"
    with Judged(sticky=by) as here:
        here.plane.judge([])
        for _ in range(2):
            here.answered(raw)
        here.plane.judge([here.case])
        here.answered(raw)
        assert [entry[0] for entry in here.part()["units"]] == [here.unit("ann")]


def test_a_new_case_is_told_of_at_once():
    with Judged() as here:
        here.later(5)
        here.plane.judge([])
        here.plane.judge([here.case])
        here.upto = -1
        here.parts()
        assert here.upto == 4


def test_a_request_that_arrived_before_the_case_is_nobodys():
    with Judged() as here:
        here.plane.judge([])
        _, backend = here.asked(GET)
        here.plane.judge([here.case])
        backend.send(OK)
        assert here.later() == []


def test_a_worker_that_ends_tells_all_it_has_and_blames_nobody_for_what_it_cuts():
    with Judged() as here:
        here.to("green")
        here.answered(GET)
        here.asked(GET)
        _, streaming = here.asked(GET)
        streaming.send(BEGUN)
        here.clock.advance(0.5)
        (message,) = here.plane.dockets.close(here.clock.monotonic(), here.plane.connections)
        ((_, _, upto, (part,)),) = message["of"]
        assert (upto, part["candidate"], part["excluded"]) == (0, [3, 0, 0], 1)
        assert part["cells"][0][2][:2] == [2, 0]
        assert here.later(20) == []


def test_routes_of_the_case_are_counted_apart_by_their_longest_prefix():
    with Judged(case={"routes": ["/a", "/a/b"]}) as here:
        here.to("green")
        for path, answer in (("/a", OK), ("/a/b/c", WRONG), ("/a/bc", OK), ("/ab", WRONG)):
            here.answered(f"GET {path} HTTP/1.1\r\nHost: shop.test\r\n\r\n".encode(), answer)
        (cell,) = here.part()["cells"]
        assert cell[3] == {"/a": [0, 2, 0, 0], "/a/b": [0, 1, 0, 1]}


def test_a_unit_says_on_which_routes_it_failed():
    with Judged(case={"routes": ["/a", "/b"]}, sticky=BY_ADDRESS) as here:
        address = here.address("green")
        for path in ("/b/1", "/a", "/c"):
            here.answered(f"GET {path} HTTP/1.1\r\nHost: shop.test\r\n\r\n".encode(), WRONG, address)
        part = here.part()
        assert part["units"][0][5:] == [1, ["/a", "/b"]]
        assert part["cells"][0][3] == {"/a": [0, 1, 0, 0], "/b": [0, 1, 0, 0]}


def test_what_is_tolerated_is_taken_off_the_candidates_times_alone():
    with Judged(case={"tolerate": [0.5, 0.0]}) as here:
        for version in SLOTS:
            here.to(version)
            _, backend = here.asked(GET)
            here.clock.advance(0.15)
            backend.send(OK)
        (cell,) = here.part()["cells"]
        assert (cell[1][4], cell[2][4]) == ([[bucket(0.15), 1]], [[bucket(0.1), 1]])


steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 30)),
        st.tuples(st.sampled_from(["answer", "wrong", "begin", "cut", "leave", "close"]), st.integers(0, 9)),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 0.7, 1.0, 4.0, 11.0])),
        st.tuples(st.just("weigh"), st.integers(1, 99)),
        st.tuples(st.just("states"), st.sampled_from(["ready", "ejected"])),
        st.tuples(st.just("look"), st.just(0)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=150)
@given(steps, st.booleans(), st.booleans())
def test_what_is_begun_is_told_exactly_once_whatever_happens_in_which_order(steps, by_unit, on_stable):
    options = {
        "sticky": BY_ADDRESS,
        "retries": Retries(attempts=1, on_stable=on_stable),
        "timeouts": Timeouts(response=6, idle=6),
    }
    if not by_unit:
        del options["sticky"]
    with Judged(**options) as here:
        begun, told, draws = 0, [], iter(range(10**9))
        here.plane.draw = lambda: next(draws) * 0x9E3779B97F4A7C15 % 2**32
        pairs = []
        for kind, value in steps:
            if kind == "ask":
                pairs.append(here.asked(GET, f"203.0.113.{value}"))
                begun += 1
            elif kind == "wait":
                here.pass_time(value)
            elif kind == "weigh":
                weighted(here, blue=value, green=100 - value)
            elif kind == "states":
                here.states(green=value)
            elif kind == "look":
                told += here.parts()
            elif pairs:
                _act(kind, *pairs[value % len(pairs)])
        told += here.later(12)
        told += here.later(12)
        assert sum(part["stable"][0] + part["candidate"][0] for part in told) == begun
        for part in told:
            judged = sum(arm[0] for cell in part["cells"] for arm in cell[1:3])
            assert judged + part["excluded"] == part["stable"][0] + part["candidate"][0]
        ats = [part["at"] for part in told]
        assert ats == sorted(set(ats))


def _act(kind, client, backend):
    if backend.lost or backend.ended or (kind == "leave" and client.lost):
        return
    if kind == "leave":
        client.reset()
    elif kind == "cut":
        backend.reset()
    elif kind == "close":
        backend.end()
    elif backend.protocol.exchange is client.protocol.exchange and client.protocol.exchange is not None:
        backend.send({"answer": OK, "wrong": WRONG, "begin": BEGUN}[kind])
