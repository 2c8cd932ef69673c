import random

from gatekeeper.dataplane import ids
from gatekeeper.dataplane.ids import Ids


def test_spans_are_sixteen_digits_and_do_not_repeat_across_batches():
    source = Ids()
    spans = [source.span() for _ in range(5000)]
    assert len(set(spans)) == 5000
    assert all(len(span) == 16 and int(span, 16) for span in spans)


def test_two_workers_have_different_prefixes():
    assert len({Ids().prefix for _ in range(10)}) == 10
    assert len(Ids().prefix) == 16


def test_a_span_is_never_all_zero(monkeypatch):
    """W3C Trace Context calls such a trace invalid."""

    class Zeroes(random.Random):
        def randbytes(self, n):
            return bytes(n)

    source = Ids()
    monkeypatch.setattr(source, "_random", Zeroes())
    assert source.span() == b"0000000000000001"
    assert ids._BATCH > 1
