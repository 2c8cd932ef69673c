"""What a worker learns of itself from its system."""

import builtins
import time

from gatekeeper.dataplane.process import occupied_seconds


def busy(seconds):
    """Seconds of the clock that work took."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        pass
    return time.monotonic() - began


def test_a_loop_that_works_is_occupied_and_one_that_sleeps_is_not():
    before = occupied_seconds()
    time.sleep(0.1)
    asleep = occupied_seconds() - before
    took = busy(0.1)
    worked = occupied_seconds() - before - asleep
    assert asleep < 0.09
    assert worked > 0.8 * took, "time that others had the core counts, too"


def test_where_the_system_does_not_tell_it_is_the_time_of_the_process(monkeypatch):
    def refused(*_):
        raise OSError

    monkeypatch.setattr(builtins, "open", refused)
    assert abs(occupied_seconds() - time.process_time()) < 0.1
