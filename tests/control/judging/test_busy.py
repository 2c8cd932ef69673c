"""The busiest routes are known, in bounded memory, and what was busy long ago is forgotten."""

from gatekeeper.control.judging import busy as module
from gatekeeper.control.judging.busy import Busy
from gatekeeper.core.judge.analysis import ROUTES_MOST


def test_the_busiest_come_first_and_equal_ones_by_name():
    busy = Busy()
    busy.hear({"shop"}, {"shop": {"/b": 3, "/a": 3, "/c": 5}})
    busy.hear({"shop"}, {"shop": {"/b": 1}})
    assert busy.top("shop") == ("/c", "/b", "/a")
    assert busy.top("cart") == ()


def test_a_scanner_does_not_fill_the_memory_nor_push_out_what_is_busy():
    busy = Busy()
    for number in range(2000):
        busy.hear({"shop"}, {"shop": {"/real": 5, f"/scan{number}": 1}})
    assert busy.top("shop")[0] == "/real"
    assert len(busy._counts["shop"]) <= module.KEPT
    assert len(busy.top("shop")) == ROUTES_MOST


def test_services_that_are_gone_are_forgotten_and_strangers_never_known():
    busy = Busy()
    busy.hear({"shop"}, {"shop": {"/a": 1}, "stranger": {"/b": 1}})
    busy.hear({"cart"}, {"cart": {"/c": 1}})
    assert (busy.top("shop"), busy.top("stranger"), busy.top("cart")) == ((), (), ("/c",))


def test_nonsense_counts_nothing():
    busy = Busy()
    busy.hear({"shop"}, {"shop": {"/a": "many", "/b": -3, "/c": None}})
    busy.hear({"shop"}, {"shop": [1, 2]})
    assert busy.top("shop") == ()


def test_what_was_busy_long_ago_fades(monkeypatch):
    monkeypatch.setattr(module, "FADE", 100)
    busy = Busy()
    busy.hear({"shop"}, {"shop": {"/old": 90}})
    for _ in range(20):
        busy.hear({"shop"}, {"shop": {"/new": 20}})
    assert busy.top("shop")[0] == "/new"
