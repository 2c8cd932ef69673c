"""What is recorded is what is read, for every slot, status and duration."""

from bisect import bisect_left

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatekeeper.errors import Source
from gatekeeper.telemetry.block import BUCKETS, OVERFLOW, Block
from gatekeeper.telemetry.recorder import Recorder
from gatekeeper.telemetry.totals import OTHER_CODE, Totals, read

SECONDS = st.floats(0, 120) | st.sampled_from(BUCKETS)
ANSWERS = st.tuples(st.integers(2, 4), st.integers(-5, 1200), st.booleans(), SECONDS, SECONDS | st.just(-1.0))


@given(st.lists(ANSWERS, max_size=60))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_answer_is_counted_once_under_its_slot_code_and_bucket(answers):
    block = Block.create(8)
    try:
        recorder = Recorder(block)
        expected = {slot: Totals() for slot in (2, 3, 4)}
        for slot, status, forced, seconds, upstream in answers:
            recorder.begin(slot)
            recorder.finish(slot, status, forced, seconds, upstream)
            totals = expected[slot]
            totals.begun += 1
            key = (status if 100 <= status <= 599 else OTHER_CODE, forced)
            totals.codes[key] = totals.codes.get(key, 0) + 1
            if not forced:
                totals.duration.buckets[bisect_left(BUCKETS, seconds)] += 1
                totals.duration.seconds += seconds
                if upstream >= 0:
                    totals.upstream.buckets[bisect_left(BUCKETS, upstream)] += 1
                    totals.upstream.seconds += upstream
        for slot, totals in expected.items():
            assert read([block], slot) == totals
            assert read([block], slot).in_flight == 0
    finally:
        block.close()


def test_a_bound_belongs_to_its_bucket(block):
    recorder = Recorder(block)
    recorder.begin(2)
    recorder.finish(2, 200, False, 0.005, 0.0050001)
    recorder.finish(2, 200, False, 0.004, 0.0025)
    totals = read([block], 2)
    assert totals.duration.buckets[:4] == [0, 0, 2, 0]
    assert totals.upstream.buckets[:4] == [0, 1, 0, 1]


def test_a_tester_counts_by_code_and_leaves_the_histograms_alone(block):
    recorder = Recorder(block)
    recorder.begin(2)
    recorder.finish(2, 500, True, 9.0, 9.0)
    totals = read([block], 2)
    assert totals.codes == {(500, True): 1}
    assert totals.requests == totals.failed == totals.duration.count == totals.upstream.count == 0


def test_a_client_that_left_is_499_and_no_failure_of_the_version(block):
    recorder = Recorder(block)
    for forced in (False, True):
        recorder.begin(2)
        recorder.abandon(2, forced)
    totals = read([block], 2)
    assert totals.codes == {(499, False): 1, (499, True): 1}
    assert (totals.requests, totals.failed, totals.duration.count, totals.in_flight) == (1, 0, 0, 0)


def test_in_flight_is_what_began_and_did_not_end(block):
    recorder = Recorder(block)
    for _ in range(3):
        recorder.begin(2)
    recorder.finish(2, 200, False, 0.1, -1.0)
    assert read([block], 2).in_flight == 2
    recorder.finish(2, 200, True, 0.1, -1.0)
    recorder.abandon(2)
    assert read([block], 2).in_flight == 0
    assert recorder.begun(2) == 3


@pytest.mark.parametrize("slot", [8, 9, 100_000])
def test_a_slot_beyond_the_block_counts_as_overflow(block, slot):
    recorder = Recorder(block)
    recorder.begin(slot)
    recorder.finish(slot, 200, False, 0.1, 0.1)
    recorder.begin(slot)
    recorder.abandon(slot)
    assert recorder.begun(slot) == 2
    recorder.error(slot, Source.UPSTREAM_TIMEOUT)
    recorder.failover(slot)
    recorder.retry(slot)
    totals = read([block], OVERFLOW)
    assert totals.codes == {(200, False): 1, (499, False): 1}
    assert totals.duration.count == totals.upstream.count == 1
    assert (totals.in_flight, totals.failovers, totals.retries) == (0, 1, 1)
    assert totals.errors[Source.UPSTREAM_TIMEOUT] == 1


def test_errors_failovers_and_retries_are_told_apart(block):
    recorder = Recorder(block)
    for times, source in enumerate(Source, start=1):
        for _ in range(times):
            recorder.error(5, source)
    recorder.failover(5)
    recorder.retry(5)
    recorder.retry(5)
    totals = read([block], 5)
    assert totals.errors == {source: times for times, source in enumerate(Source, start=1)}
    assert (totals.failovers, totals.retries) == (1, 2)


def test_tunnels_are_those_opened_and_not_closed_and_a_death_closes_them(block):
    recorder = Recorder(block)
    for slot in (5, 5, 99):  # 99 is beyond the block
        recorder.begin(slot)
        recorder.finish(slot, 101, False, 0.01, 0.01)
        recorder.tunnel_opened(slot)
    recorder.tunnel_closed(5)
    recorder.tunnel_received(5, 70_000)
    recorder.tunnel_received(5, 1)
    recorder.tunnel_sent(5, 5 << 32)
    totals = read([block, block], 5)
    assert (totals.tunnels, totals.tunnels_open, totals.in_flight) == (4, 2, 0)
    assert (totals.tunnel_received, totals.tunnel_sent) == (140_002, 10 << 32)
    assert read([block], OVERFLOW).tunnels_open == 1
    block.settle()
    assert (read([block], 5).tunnels, read([block], 5).tunnels_open, read([block], OVERFLOW).tunnels_open) == (2, 0, 0)


def test_connections_are_those_accepted_and_not_closed(block):
    recorder = Recorder(block)
    recorder.accepted()
    recorder.accepted()
    recorder.closed()
    assert recorder.connections == 1


def test_totals_add_up_over_workers_and_skip_blocks_without_the_slot(make_block):
    blocks = [make_block(8), make_block(8), make_block(3)]
    for block in blocks[:2]:
        recorder = Recorder(block)
        recorder.begin(5)
        recorder.finish(5, 204, False, 0.3, 0.2)
    totals = read(blocks, 5)
    assert totals.codes == {(204, False): 2}
    assert totals.duration.seconds == pytest.approx(0.6)
    assert totals.upstream.count == 2


def test_a_read_between_two_stores_never_shows_less_than_nothing_in_flight(block):
    recorder = Recorder(block)
    recorder.begin(2)
    for _ in range(2):  # as read when the second one's beginning was not seen yet
        recorder.finish(2, 200, False, 0.1, 0.1)
    assert read([block], 2).in_flight == 0
