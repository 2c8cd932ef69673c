import pytest

from gatekeeper.core.prefixes import PrefixMap, encoded, normal, under


@pytest.mark.parametrize(
    ("prefix", "path", "holds"),
    [
        ("/", b"/", True),
        ("/", b"/x", True),
        ("/", b"*", True),
        ("/v2", b"/v2", True),
        ("/v2", b"/v2/", True),
        ("/v2", b"/v2/x", True),
        ("/v2", b"/v2x", False),
        ("/v2", b"/v", False),
        ("/v2", b"/V2", False),
        ("/v2", b"/v2%2Fx", False),
        ("/v2/", b"/v2", True),
        ("/v2/", b"/v2x", False),
        ("/a/b", b"/a", False),
        ("/a/b", b"/a/b/c", True),
        ("/caf\u00e9", b"/caf%C3%A9/x", True),
        ("/a%20b", b"/a%20b", True),
    ],
)
def test_a_prefix_holds_whole_segments(prefix, path, holds):
    assert under(path, normal(prefix)) is holds
    assert (PrefixMap([(normal(prefix), "found")]).longest(path) == "found") is holds


def test_the_longest_prefix_wins_whatever_the_order():
    pairs = [(normal(prefix), prefix) for prefix in ("/", "/a/b", "/a", "/a/b/c")]
    for order in (pairs, pairs[::-1]):
        found = PrefixMap(order)
        assert found.longest(b"/a/b/c/d") == "/a/b/c"
        assert found.longest(b"/a/bc") == "/a"
        assert found.longest(b"/z") == "/"
        assert list(found.every(b"/a/b")) == ["/a/b", "/a", "/"]


def test_the_first_of_equal_prefixes_stays():
    assert PrefixMap([(b"/a", 1), (b"/a", 2)]).longest(b"/a") == 1


def test_a_path_under_no_prefix_finds_nothing():
    assert PrefixMap([(b"/a", 1)]).longest(b"/b") is None


def test_an_empty_map_finds_nothing():
    empty: PrefixMap[int] = PrefixMap([])
    assert empty.longest(b"/") is None
    assert empty.flat
    assert list(empty.items()) == []


def test_items_give_back_what_went_in():
    pairs = {b"": 0, b"/a": 1, b"/a/b": 2}
    assert dict(PrefixMap(pairs.items()).items()) == pairs


def test_a_path_of_the_file_becomes_what_a_browser_sends():
    assert encoded("/a b/\u00fc?") == b"/a%20b/%C3%BC?"
