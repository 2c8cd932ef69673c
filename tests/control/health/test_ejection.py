"""Passive ejection on a clock in the test's hand: who is out, for how long, and the floor nobody falls through."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.control.health.ejection import ABSENT, LOOK_BACK, STEPS, Ejector, Tally
from gatekeeper.core.model import Ejection

POLICY = Ejection(failures=5, errors=0.5, within=10.0, out=10.0, most=60.0, keep=0.5)
NAMES = tuple("abcd")


class Bench:
    """An ejector of some backends, all well but for what the test says; ``now`` moves when told."""

    def __init__(self, policy=POLICY, names=NAMES):
        self.now, self.policy, self.names = 1000.0, policy, list(names)
        self.sick = set()
        self.ejector = Ejector(policy)
        self.ejector.follow(policy, names, self.now)

    @property
    def ready(self):
        return [name for name in self.names if name not in self.sick and self.ejector.out(name) is None]

    def fail(self, name, failures=5, requests=None, worker=0, started=0.0, reason="refused the connection"):
        """A worker's row, and what is decided at once."""
        self.ejector.report(worker, started, name, requests or failures, failures, reason, self.now)
        return self.ejector.judge(self.ready, self.now)

    def wait(self, seconds):
        """Let time pass; who came back."""
        self.now += seconds
        return self.ejector.release(self.ready, lambda name: name not in self.sick, self.now)


# Who is ejected


def test_a_backend_that_fails_often_enough_and_mostly_is_out_with_the_reason_in_words():
    bench = Bench(Ejection(failures=3, within=10.0, out=20.0))
    verdict = bench.fail("a", failures=3, requests=4)
    assert (verdict.ejected, verdict.held) == (["a"], [])
    out = bench.ejector.out("a")
    assert out.words(bench.now) == (
        "3 of 4 requests failed within 10 s: refused the connection; back in 20 s at the earliest"
    )
    assert bench.ejector.out("b") is None


@pytest.mark.parametrize(
    ("failures", "requests", "out"),
    [(4, 4, False), (5, 5, True), (5, 10, True), (5, 11, False), (50, 101, False), (50, 100, True)],
)
def test_both_the_number_and_the_part_of_failures_must_be_reached(failures, requests, out):
    assert bool(Bench().fail("a", failures, requests).ejected) is out


def test_failures_of_several_workers_add_up():
    bench = Bench()
    assert not bench.fail("a", 3, worker=0).ejected
    assert bench.fail("a", 2, worker=1).ejected == ["a"]


def test_failures_add_up_within_the_time_and_not_beyond_it():
    slow, quick = Bench(), Bench()
    for _ in range(20):
        assert not slow.fail("a", 1).ejected
        slow.now += 2.6
    rows = []
    for _ in range(5):
        rows.append(quick.fail("a", 1).ejected)
        quick.now += 2.0
    assert rows == [[], [], [], [], ["a"]]


def test_what_is_said_of_a_backend_that_is_out_or_gone_counts_for_nothing():
    bench = Bench()
    bench.fail("a")
    bench.fail("a", 100)  # requests that were under way
    assert bench.wait(10) == ["a"]
    assert not bench.fail("a", 4).ejected
    assert not bench.fail("gone").ejected


def test_successes_between_failures_count_and_those_before_the_first_do_not():
    bench = Bench()
    bench.now += 100
    assert not bench.fail("a", 1, requests=1000).ejected
    bench.now += 2
    assert not bench.fail("a", 4, requests=100).ejected
    bench.now += 20
    assert not bench.fail("a", 1).ejected
    bench.now += 2
    assert bench.fail("a", 4, requests=5).ejected == ["a"]


class Worker:
    """Tells of one backend as workers do: ten times a second if there was a failure, of 2 to 4 s before at most."""

    def __init__(self, bench, rate):
        self.bench, self.rate, self.untold, self.ticks = bench, rate, 3 * rate, 0

    def tick(self, part):
        """A tenth of a second with ``rate`` requests per second, the ``part`` of them failing; whether it was out."""
        self.bench.now += 0.1
        self.ticks += 1
        done = self.rate // 10
        failures = round(self.ticks * done * part) - round((self.ticks - 1) * done * part)
        self.untold = min(4 * self.rate, self.untold + done)
        if not failures:
            return False
        requests, self.untold = self.untold, 0
        return bool(self.bench.fail("a", failures, requests).ejected)


@pytest.mark.parametrize("within", [0.5, 1.0, 10.0, 60.0])
@pytest.mark.parametrize(("rate", "part"), [(10, 0.1), (100, 0.05), (1000, 0.1), (5000, 0.02), (200, 0.4)])
def test_a_backend_that_fails_less_than_the_part_stays_however_long_it_does(rate, part, within):
    bench = Bench(Ejection(failures=5, errors=0.5, within=within))
    bench.now += 100.0777
    worker = Worker(bench, rate)
    assert not any(worker.tick(part) for _ in range(700))


@pytest.mark.parametrize("rate", [50, 200, 5000])
def test_a_backend_that_dies_is_out_within_half_a_second_however_well_it_was(rate):
    bench = Bench()
    bench.now += 100
    worker = Worker(bench, rate)
    assert not any(worker.tick(0.0) for _ in range(300))
    assert [worker.tick(1.0) for _ in range(6)].count(True) == 1


def test_a_worker_that_just_started_speaks_of_no_time_before_its_start():
    found = {}
    for started in (0.0, 1099.75):
        bench = Bench(Ejection(failures=5, errors=0.5, within=1.0))
        bench.now += 100
        found[started] = bench.fail("a", 5, requests=45, started=started).ejected
    assert found == {0.0: ["a"], 1099.75: []}


def test_neither_does_one_that_took_a_dead_ones_place():
    bench = Bench(Ejection(failures=5, errors=0.5, within=1.0))
    bench.fail("a", 1)  # by the one that died
    bench.now += 100
    assert not bench.fail("a", 5, requests=45, started=bench.now - 0.25).ejected


def test_the_reason_is_cut_to_a_line():
    bench = Bench()
    bench.fail("a", reason="x" * 10_000)
    assert len(bench.ejector.out("a").why) < 300


# The floor


@pytest.mark.parametrize(
    ("keep", "backends", "floor"),
    [(0.5, 4, 2), (0.5, 3, 2), (0.5, 1, 1), (0.0, 4, 1), (1.0, 4, 4), (0.07, 100, 7), (0.34, 3, 2)],
)
def test_the_floor_is_the_part_that_is_kept_rounded_up_and_at_least_one(keep, backends, floor):
    bench = Bench(Ejection(keep=keep), [str(n) for n in range(backends)])
    assert bench.ejector.floor == floor
    for name in bench.names:
        bench.fail(name)
    assert len(bench.ready) == floor


def test_who_stays_because_of_the_floor_is_told_once_and_says_so():
    bench = Bench(names="ab")
    assert bench.fail("a").ejected == ["a"]
    verdict = bench.fail("b")
    assert (verdict.ejected, verdict.held) == ([], ["b"])
    assert bench.ejector.held("b") == (
        "5 of 5 requests failed within 10 s: refused the connection; it stays, as 1 of 2 must"
    )
    assert bench.fail("b").held == []
    bench.now += 11
    assert bench.ejector.judge(bench.ready, bench.now).held == []
    assert bench.ejector.held("b") == ""


def test_backends_that_checks_took_count_as_gone_so_that_requests_take_no_more():
    bench = Bench()
    bench.sick = {"c", "d"}
    verdict = bench.fail("a")
    assert (verdict.ejected, verdict.held) == ([], ["a"])


def test_the_worst_is_ejected_first():
    bench = Bench(names="abc")
    bench.ejector.report(0, 0.0, "a", 9, 6, "x", bench.now)
    bench.ejector.report(0, 0.0, "b", 9, 9, "x", bench.now)
    bench.ejector.report(0, 0.0, "c", 9, 8, "x", bench.now)
    verdict = bench.ejector.judge(bench.ready, bench.now)
    assert (verdict.ejected, sorted(verdict.held)) == (["b"], ["a", "c"])


def test_one_that_was_held_is_ejected_when_others_come_back():
    bench = Bench(names="ab")
    bench.fail("a")
    assert bench.fail("b").held == ["b"]
    assert bench.ejector.busy
    assert bench.wait(10) == ["a"]
    assert bench.fail("b").ejected == ["b"]


def test_who_is_out_is_taken_back_early_when_checks_leave_fewer_than_the_floor():
    bench = Bench(names="ab")
    bench.fail("a")
    bench.sick = {"b"}
    assert bench.wait(0.2) == ["a"]


def test_checks_may_leave_none_at_all():
    bench = Bench(names="ab")
    bench.fail("a")
    bench.sick = {"a", "b"}
    assert bench.wait(100) == []
    assert bench.ready == []


# For how long


def test_a_time_out_doubles_each_time_in_a_row_up_to_the_longest():
    bench, found = Bench(), []
    for _ in range(5):
        bench.fail("a")
        found.append(bench.ejector.out("a").seconds)
        assert bench.wait(found[-1] - 0.1) == []
        assert bench.wait(0.1) == ["a"]
    assert found == [10, 20, 40, 60, 60]


@pytest.mark.parametrize(("well", "seconds"), [(39.0, 80), (40.0, 40), (59.0, 40), (60.0, 20), (70.0, 10), (9999, 10)])
def test_being_well_for_as_long_as_the_last_time_out_takes_one_doubling_back(well, seconds):
    bench = Bench(Ejection(out=10.0, most=1000.0))
    for _ in range(3):  # 10, 20, 40
        bench.fail("a")
        bench.wait(bench.ejector.out("a").seconds)
    bench.now += well
    bench.fail("a")
    assert bench.ejector.out("a").seconds == seconds


def test_a_backend_whose_check_fails_stays_out_after_its_time():
    bench = Bench()
    bench.fail("a")
    bench.sick = {"a"}
    assert bench.wait(30) == []
    assert "its time out is over" in bench.ejector.out("a").words(bench.now)
    bench.sick = set()
    assert bench.wait(0.2) == ["a"]


def test_very_many_times_out_in_a_row_stay_finite():
    bench = Bench(Ejection(out=1.0, most=5.0))
    for _ in range(2000):
        bench.fail("a")
        assert bench.wait(5.0) == ["a"]
    bench.fail("a")
    assert bench.ejector.out("a").seconds == 5.0


# Other backends, other rules


def test_backends_that_stay_are_as_they_were_when_others_come_and_go():
    bench = Bench()
    bench.fail("a")
    bench.fail("b", 4)
    bench.names = ["a", "b", "x", "y"]
    bench.ejector.follow(POLICY, bench.names, bench.now)
    assert bench.ejector.out("a") is not None
    assert bench.fail("b", 1).ejected == ["b"]


def test_an_address_that_is_left_out_of_one_lookup_is_still_out_when_it_comes_back():
    bench = Bench()
    bench.fail("a")
    bench.ejector.follow(POLICY, "bcd", bench.now)
    assert bench.wait(5) == []
    bench.ejector.follow(POLICY, NAMES, bench.now)
    assert bench.ejector.out("a") is not None
    bench.ejector.follow(POLICY, "bcd", bench.now)
    bench.wait(5)
    bench.ejector.follow(POLICY, NAMES, bench.now)
    assert bench.ejector.out("a") is None


def test_what_is_remembered_of_absent_backends_is_bounded():
    bench = Bench(Ejection(failures=1, keep=0.0), ["keep"])
    for n in range(2 * ABSENT):
        bench.names = ["keep", f"n{n}"]
        bench.ejector.follow(bench.policy, bench.names, bench.now)
        bench.fail(f"n{n}")
    bench.ejector.follow(bench.policy, ["keep"], bench.now)
    assert len(bench.ejector._known) <= ABSENT + 1


def test_a_changed_policy_holds_from_now_on():
    bench = Bench()
    bench.fail("a", 4)
    bench.ejector.follow(Ejection(failures=2, within=5.0, out=1.0), NAMES, bench.now)
    assert bench.fail("b", 2).ejected == ["b"]
    assert bench.ejector.out("b").seconds == 1.0


def test_one_that_the_program_before_ejected_is_out_and_comes_back():
    bench = Bench()
    bench.ejector.adopt("a", bench.now)
    assert bench.wait(9.9) == []
    assert bench.wait(0.1) == ["a"]


def test_an_ejector_is_idle_when_time_can_change_nothing():
    bench = Bench()
    assert not bench.ejector.busy
    bench.fail("a")
    assert bench.ejector.busy
    bench.wait(10)
    assert not bench.ejector.busy


# Properties


@st.composite
def days(draw):
    """A policy, and steps: rows, pauses, checks that change their mind."""
    policy = Ejection(
        failures=draw(st.integers(1, 5)),
        errors=draw(st.sampled_from([0.0, 0.3, 1.0])),
        within=draw(st.sampled_from([0.1, 1.0, 10.0])),
        out=draw(st.sampled_from([0.1, 1.0, 5.0])),
        most=draw(st.sampled_from([5.0, 20.0])),
        keep=draw(st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    )
    fail = st.tuples(st.just("fail"), st.sampled_from(NAMES), st.integers(1, 9))
    wait = st.tuples(st.just("wait"), st.floats(0.01, 30.0), st.just(0))
    check = st.tuples(st.just("check"), st.sampled_from(NAMES), st.just(0))
    return policy, draw(st.lists(st.one_of(fail, wait, check), max_size=60))


@given(days())
def test_requests_alone_never_take_a_version_below_its_floor(day):
    policy, steps = day
    bench = Bench(policy)
    for what, how, number in steps:
        if what == "fail":
            before = len(bench.ready)
            bench.fail(how, number)
            assert len(bench.ready) >= min(before, bench.ejector.floor)
        elif what == "check":
            bench.sick ^= {how}
        else:
            bench.wait(how)
        bench.wait(0.0)
        well = [name for name in NAMES if name not in bench.sick]
        assert len(bench.ready) >= min(len(well), bench.ejector.floor)


@given(days())
def test_everybody_who_is_well_comes_back_in_the_longest_time(day):
    policy, steps = day
    bench = Bench(policy)
    for what, how, number in steps:
        bench.fail(how, number) if what == "fail" else bench.wait(how if what == "wait" else 0.0)
    bench.wait(policy.most)
    assert bench.ready == list(NAMES)


@given(
    st.lists(st.tuples(st.floats(0, 20), st.floats(0, 8), st.integers(0, 500), st.integers(0, 50)), max_size=40),
    st.sampled_from([0.1, 1.0, 10.0]),
)
def test_a_tally_never_counts_more_than_there_was_nor_keeps_more_than_its_parts(rows, within):
    tally, now = Tally(within), 1000.0
    counted = [0, 0]
    for pause, span, successes, failures in rows:
        now += pause
        tally.add(now - span, now, successes, failures)
        counted = [counted[0] + successes, counted[1] + failures]
        requests, failed = tally.total(now)
        assert failed <= counted[1]
        assert requests <= sum(counted) + 1e-6
        assert len(tally._parts) <= STEPS + 1
    tally.add(now - LOOK_BACK, now, 0, 7)
    assert tally.total(now)[1] >= 7
    assert tally.total(now + within * 1.1) == (0, 0)


def test_a_tally_spreads_successes_evenly():
    tally = Tally(10.0)
    tally.add(1029.0, 1030.0, 0, 1)
    assert tally.total(1030.0) == (1, 1)
    tally.add(1000.0, 1040.0, 400, 0)
    assert math.isclose(tally.total(1040.0)[0], 101, rel_tol=0.05)
