"""The sums of all blocks, and the quick ones for the trip-wire."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatekeeper.telemetry.recorder import Recorder
from gatekeeper.telemetry.totals import answered, read

answers = st.tuples(st.integers(0, 1), st.sampled_from([2, 3, 9]), st.sampled_from([99, 100, 499, 500, 503, 599, 600]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.tuples(answers, st.booleans()), max_size=30))
def test_what_the_trip_wire_reads_is_what_the_metrics_say(make_block, given_answers):
    blocks = [make_block(4), make_block(8)]
    recorders = [Recorder(block) for block in blocks]
    for (worker, slot, status), forced in given_answers:
        recorders[worker].begin(slot)
        recorders[worker].finish(slot, status, forced, 0.1, -1.0)
    for slot in (2, 3, 7):
        totals = read(blocks, slot)
        assert answered(blocks, slot) == (totals.requests, totals.failed)
