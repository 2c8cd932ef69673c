"""The bodies that are measured, and the verdict on a worker's memory."""

import os
import time
import zlib
from collections import Counter

import pytest

from benchmarks.bodies import GIB, GROWTH_LIMIT, KIB, MIB, Carried, Watch, markdown, plan
from benchmarks.body_backend import BLOCK, Pace, checksum, pieces


@pytest.mark.parametrize("total", [10 * 10**9, 10**9, 200 * 10**6, 10**6])
def test_a_plan_is_what_was_asked_for_with_large_and_small_bodies_mixed(total):
    sizes = plan(total)
    assert abs(sum(sizes) - total) < total / 10
    assert min(sizes) == 64 * KIB
    assert max(sizes) <= total / 2
    assert set(sizes[: len(sizes) // 2]) == set(sizes[len(sizes) // 2 :]) or total < 10**8
    if total == 10 * 10**9:
        assert Counter(sizes)[GIB] == 5


def test_a_body_has_its_size_and_a_checksum_that_knows_its_place():
    size = 2 * len(BLOCK) + 7
    body = b"".join(pieces(size))
    assert len(body) == size
    assert checksum(size) == zlib.crc32(body)
    assert zlib.crc32(body[MIB:] + body[:MIB]) != checksum(size), "moved pieces are noticed"


def test_a_pace_is_kept():
    pace, began = Pace(1e6), time.monotonic()
    for _ in range(10):
        pace.took(10_000)
    assert 0.09 <= time.monotonic() - began < 0.5


def test_a_watch_sees_a_peak_that_is_gone_again():
    watch = Watch(os.getpid())
    before = watch.rss
    held = b"x" * (100 * MIB)
    watch.look()
    del held
    watch.look()
    assert watch.rss - before > 90 * MIB
    assert watch.pss - before < watch.rss


def test_the_verdict_is_by_the_larger_growth():
    small = Carried("down", 1, 10**9, 4.0, 1.0, 30 * MIB, 40 * MIB, 20 * MIB, 25 * MIB)
    large = Carried("up", 1, 10**9, 4.0, 1.0, 30 * MIB, 40 * MIB, 20 * MIB, 20 * MIB + GROWTH_LIMIT)
    assert "10.0, reached." in markdown([small], {"cpu": "x"})
    assert "32.0, missed." in markdown([small, large], {"cpu": "x"})
    assert "250 MB/s | 1.00 s" in markdown([small], {"cpu": "x"})
