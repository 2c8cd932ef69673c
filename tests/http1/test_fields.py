import pytest

from gatekeeper.errors import Fault
from gatekeeper.http1 import fields
from gatekeeper.http1.errors import BadMessageError
from gatekeeper.http1.fields import Lines, body_length, content_length, list_members, named_by_connection
from gatekeeper.http1.framing import CHUNKED


def lines():
    return Lines(frozenset({b"host", b"connection"}), (b"x-own-",), Fault.BAD_REQUEST)


def refused(call, *args):
    with pytest.raises(BadMessageError) as error:
        call(*args)
    return error.value.fault


def test_only_watched_lines_are_told_in_order_with_bare_values():
    found = lines().watched([b"Accept: */*", b"HOST:\t a.test \t", b"X-Own-Thing:", b"Connection: close"])
    assert [(each.name, each.value) for each in found] == [
        (b"host", b"a.test"),
        (b"x-own-thing", b""),
        (b"connection", b"close"),
    ]


def test_a_line_means_the_same_when_it_is_met_again():
    known = lines()
    once, twice = (known.watched([b"Host: a", b"Accept: b"]) for _ in range(2))
    assert [(each.name, each.value) for each in once] == [(each.name, each.value) for each in twice]
    assert known.watched([b"Accept: b", b"Host: a"]) == twice


@pytest.mark.parametrize(
    "line",
    [b"Name : v", b" Name: v", b"\tName: v", b": v", b"Name", b"", b"Na me: v", b"Name\x00: v", b"N\xe4me: v",
     b"Name: a\x00b",
     b"Name: a\rb", b"Name: a\nb", b"Name: \x7f", b"Name: \x1b[0m", b"(Name): v", b"Na,me: v"],
)  # fmt: skip
def test_a_malformed_line_is_refused_every_time(line):
    known = lines()
    assert refused(known.watched, [line]) is Fault.BAD_REQUEST
    assert refused(known.watched, [b"Accept: b", line]) is Fault.BAD_REQUEST


def test_high_bytes_and_tabs_are_allowed_in_values():
    assert lines().watched([b"X-Name: J\xc3\xbcrgen\tM"]) == []


def test_memory_is_bounded_and_forgets_without_changing_meaning(monkeypatch):
    monkeypatch.setattr(fields, "MAX_KNOWN", 8)
    known = lines()
    for number in range(100):
        for _ in range(2):
            assert known.watched([b"X-%d: 1" % number, b"Host: a"])[0].value == b"a"
        assert len(known._known) <= 8
        assert len(known._older) <= 8


def test_long_lines_are_read_but_not_remembered():
    known = lines()
    long = b"X-Own-Cookie: " + b"a" * fields.MAX_KNOWN_LINE
    for _ in range(2):
        assert known.watched([long])[0].value == long[14:]
    assert not known._known


def test_a_line_is_remembered_when_it_returns():
    known = lines()
    for times in range(3):
        assert known.watched([b"X-Own-Thing: 1"])[0].value == b"1"
        assert len(known._known) == min(times, 1)


@pytest.mark.parametrize(
    ("values", "length"), [([b"0"], 0), ([b"007"], 7), ([b"5", b"5"], 5), ([b"5, 5"], 5), ([b"9" * 18], 10**18 - 1)]
)
def test_content_length_is_one_number(values, length):
    assert content_length(values, Fault.BAD_REQUEST) == length
    assert body_length(values, [], Fault.BAD_REQUEST) == length


@pytest.mark.parametrize(
    "values",
    [
        [b""],
        [b"+5"],
        [b"-5"],
        [b"5 5"],
        [b"0x5"],
        [b"5."],
        [b"5", b"6"],
        [b"5, 6"],
        [b"5,"],
        [b"9" * 19],
        [b"\xb2"],
        [b"5", b"05"],
    ],
)
def test_any_other_content_length_is_refused(values):
    assert refused(body_length, values, [], Fault.BAD_RESPONSE) is Fault.BAD_RESPONSE


def test_no_framing_field_is_no_length():
    assert body_length([], [], Fault.BAD_REQUEST) is None


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b"CHUNKED"])
def test_chunked_is_the_one_coding(coding):
    assert body_length([], [coding], Fault.BAD_REQUEST) == CHUNKED


@pytest.mark.parametrize(
    "codings",
    [[b"gzip, chunked"], [b"chunked", b"chunked"], [b"chunked, chunked"], [b"gzip"], [b"identity"], [b""],
     [b"chunked;q=1"],
     [b'"chunked"'], [b"xchunked"], [b"chunked,"], [b"\x0bchunked"]],
)  # fmt: skip
def test_any_other_coding_is_refused(codings):
    assert refused(body_length, [], codings, Fault.BAD_REQUEST)


def test_a_length_with_a_coding_is_refused():
    assert refused(body_length, [b"5"], [b"chunked"], Fault.BAD_REQUEST)


def test_several_connection_fields_are_one_list():
    assert list_members([b"Close, X-A", b" ,, x-b ,"]) == [b"close", b"x-a", b"x-b"]


def test_connection_never_names_framing_host_or_the_forwarding_fields_away():
    told = [b"x-mine", b"host", b"content-length", b"transfer-encoding", b"x-forwarded-for", b"x-forwarded-proto",
            b"x-forwarded-host", b"forwarded", b"close", b"keep-alive", b"x-request-id", b"traceparent"]  # fmt: skip
    assert named_by_connection(told) == {b"x-mine"}
