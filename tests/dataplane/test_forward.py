"""What the backend is told."""

import pytest

from gatekeeper.core import model
from tests.dataplane.world import OK, STRANGER, TESTER, Message, request

PROXY = "10.0.0.1"
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


def test_target_fields_their_order_and_repeats_pass_to_the_byte(world):
    sent = (
        b"GET /a%2Fb/../c?x=1&x=2&%zz HTTP/1.1\r\nX-B: 1\r\nhost: Shop.Test:8080\r\nAccept:  text/*  \r\nX-A:\r\n"
        b"x-b: 2\r\nCookie: a=1\r\nCookie: b=2\r\n"
    )
    here = world()
    _, backend = here.asked(sent + b"\r\n")
    assert backend.out.startswith(sent + b"X-Forwarded-For: ")
    backend.send(OK)


def test_nothing_is_added_beyond_what_is_promised(world):
    told = world().told(request("GET"))
    assert [name for name, _ in told.fields] == [
        "host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-gatekeeper-version",
        "x-gatekeeper-revision",
        "x-request-id", "traceparent",
    ]  # fmt: skip
    assert told.get("x-gatekeeper-version") == "blue"
    assert told.get("x-gatekeeper-revision") == "7"


@pytest.mark.parametrize("method", ["get", "PROPFIND", "X-!#"])
def test_a_methods_case_passes(world, method):
    assert world().told(request(method)).line == f"{method} / HTTP/1.1"


def test_hop_by_hop_fields_end_here(world):
    told = world().told(
        request("GET", "Connection: X-Mine, keep-alive", "Connection: x-other", "X-Mine: 1", "X-Other: 2",
            "Keep-Alive: 5",
                "Proxy-Connection: x", "Upgrade: h2c", "HTTP2-Settings: x", "TE: gzip", "X-Stays: 3")
    )  # fmt: skip
    names = {name for name, _ in told.fields}
    assert "x-stays" in names
    assert not names & {"connection", "x-mine", "x-other", "keep-alive", "proxy-connection", "upgrade", "te"}


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
def test_max_forwards_counts_down(world, method):
    assert world().told(request(method, "max-forwards: 10")).get("max-forwards") == "9"


@pytest.mark.parametrize("value", ["0", "10", "many", "-1"])
def test_max_forwards_is_for_two_methods_only(world, value):
    assert world().told(request("GET", f"Max-Forwards: {value}")).get("max-forwards") == value


def test_te_trailers_passes_and_is_named_in_connection(world):
    told = world().told(request("GET", "TE: gzip;q=0.5, trailers", "Connection: TE"))
    assert told.get("te") == "trailers"
    assert told.get("connection") == "TE"


def test_connection_cannot_name_what_we_set_away(world):
    told = world().told(
        request("POST",
            "Connection: host, content-length, x-forwarded-for, x-forwarded-host, x-gatekeeper-version, x-request-id",
                "Content-Length: 0")
    )  # fmt: skip
    for name in (
        "host",
        "content-length",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-gatekeeper-version",
        "x-request-id",
    ):
        assert told.get(name) is not None, name


# Forwarding fields

CLAIMS = (
    "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.test", "Forwarded: for=6.6.6.6",
    "X-Forwarded-Port: 443", "X-Forwarded-Prefix: /x",
)  # fmt: skip


def test_a_strangers_forwarding_fields_go(world):
    told = world(trusted=("10.0.0.0/8",)).told(request("GET", *CLAIMS))
    assert told.get("x-forwarded-for") == STRANGER
    assert told.get("x-forwarded-proto") == "http"
    assert told.get("x-forwarded-host") == "shop.test"
    for name in ("forwarded", "x-forwarded-port", "x-forwarded-prefix"):
        assert told.get(name) is None


@pytest.mark.parametrize("peer", [PROXY, "::ffff:10.0.0.1"])
def test_a_trusted_proxys_forwarding_fields_stay_and_its_address_ends_the_chain(world, peer):
    told = world(trusted=("10.0.0.0/8",)).told(request("GET", *CLAIMS), peer)
    assert told.get("x-forwarded-for") == f"6.6.6.6, {peer}"
    assert told.get("x-forwarded-proto") == "https"
    assert told.get("x-forwarded-host") == "evil.test"
    assert told.get("forwarded") == "for=6.6.6.6"
    assert told.get("x-forwarded-port") == "443"
    assert told.get("x-forwarded-prefix") == "/x"


def test_several_forwarded_for_lines_become_one_chain(world):
    told = world(trusted=("10.0.0.0/8",)).told(
        request("GET", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 2.2.2.2"), PROXY
    )
    assert told.get("x-forwarded-for") == f"1.1.1.1, 2.2.2.2, {PROXY}"


def test_one_section_from_two_peers_is_told_with_the_address_of_each(world):
    here = world(trusted=("10.0.0.0/8",))
    for peer in (STRANGER, PROXY, "198.51.100.1", STRANGER):
        assert here.told(request("GET", "X-Forwarded-For: 6.6.6.6"), peer).get("x-forwarded-for").endswith(peer)


@pytest.mark.parametrize(
    ("chain", "address"),
    [("1.1.1.1", "1.1.1.1"), ("6.6.6.6, 1.1.1.1", "1.1.1.1"), ("6.6.6.6, 1.1.1.1, 10.9.9.9", "1.1.1.1"),
     ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
     ("1.1.1.1:4444", "1.1.1.1"), ("[2001:db8::1]:80", "2001:db8::1"), ("2001:db8::1", "2001:db8::1"),
     ("6.6.6.6,, 10.2.2.2", "10.2.2.2")],
)  # fmt: skip
def test_the_client_is_the_last_address_that_is_no_trusted_proxy(world, chain, address):
    here = world(trusted=("10.0.0.0/8",))
    here.answered(request("GET", f"X-Forwarded-For: {chain}"), address=PROXY)
    assert here.log.entries[0][1] == address


def test_a_strangers_claim_is_not_the_clients_address(world):
    here = world(trusted=("10.0.0.0/8",))
    here.answered(request("GET", "X-Forwarded-For: 10.0.0.9"))
    assert here.log.entries[0][1] == STRANGER


def test_a_peer_on_a_unix_socket_has_no_address(world):
    assert world().told(request("GET"), "").get("x-forwarded-for") == "unknown"


def test_a_tester_behind_an_unknown_proxy_is_no_tester(world):
    told = world().told(request("GET", "X-Gatekeeper-Version: green", "X-Forwarded-For: 1.1.1.1"), TESTER)
    assert told.get("x-gatekeeper-version") == "blue"


# Ids


def test_a_clients_id_and_trace_pass(world):
    told = world().told(request("GET", "X-Request-Id: abc-1", f"traceparent: {TRACE}", "tracestate: a=b"))
    assert (told.get("x-request-id"), told.get("traceparent"), told.get("tracestate")) == ("abc-1", TRACE, "a=b")


@pytest.mark.parametrize(
    "lines", [(), ("X-Request-Id: a b", "traceparent: 00-1-2-3"), ("X-Request-Id:", f"traceparent: {TRACE}0")]
)
def test_where_there_is_none_one_is_made(world, lines):
    here = world()
    told, other = here.told(request("GET", *lines)), here.told(request("GET", *lines))
    made = told.get("x-request-id")
    assert len(made) == 32
    assert told.get("traceparent") == f"00-{made}-{made[16:]}-01"
    assert other.get("x-request-id") != made


@pytest.mark.parametrize("line", ["traceparent: 00-1-2-3", "X: y"])
def test_the_state_of_a_trace_that_is_not_believed_goes_with_it(world, line):
    assert world().told(request("GET", line, "tracestate: a=b")).get("tracestate") is None


def test_an_id_without_a_trace_gets_a_trace_and_the_other_way_round(world):
    here = world()
    told = here.told(request("GET", "X-Request-Id: abc"))
    assert told.get("x-request-id") == "abc"
    assert len(told.get("traceparent")) == 55
    told = here.told(request("GET", f"traceparent: {TRACE}"))
    assert told.get("traceparent") == TRACE
    assert len(told.get("x-request-id")) == 32


def test_the_log_and_our_own_answers_carry_the_id(world):
    here = world()
    client, backend = here.asked(request("GET", "X-Request-Id: abc"))
    backend.end()
    message = Message.read(client.take())
    assert message.get("x-request-id") == "abc"
    assert b'"request_id": "abc"' in message.body
    assert here.log.entries[0][16] == b"abc"


# Gatekeeper's own


def test_a_clients_copy_of_our_fields_is_never_passed_on(world):
    told = world().told(
        request(
            "GET",
            "X-Gatekeeper-Version: evil",
            "X-Gatekeeper-Revision: 99",
            "X-Gatekeeper-Pass: secret",
            "x-gatekeeper-other: 1",
        )
    )
    assert [(name, value) for name, value in told.fields if name.startswith("x-gatekeeper-")] == [
        ("x-gatekeeper-version", "blue"), ("x-gatekeeper-revision", "7"),
    ]  # fmt: skip


def test_a_testers_own_header_is_never_passed_on(world):
    here = world(testers=model.Testers(header="X-Try"))
    assert here.told(request("GET", "x-try: green", "X-Try-Not: 1")).get("x-try") is None
    told = here.told(request("GET", "X-Try: green", "X-Try-Not: 1"), TESTER)
    assert (told.get("x-try"), told.get("x-gatekeeper-version"), told.get("x-try-not")) == (None, "green", "1")


@pytest.mark.parametrize(
    ("sent", "told"),
    [("gatekeeper-shop=abc", None), ("a=1; gatekeeper-shop=abc; b=2", "a=1; b=2"), ("gatekeeper-shop=abc; b=2", "b=2"),
     ("a=1; gatekeeper-shop=abc", "a=1"), ("a=1; gatekeeper-shop-version=x; gatekeeper-shop-page=y", "a=1"),
     ("a=gatekeeper-shop", "a=gatekeeper-shop"), ("my-gatekeeper-shop=1; b=2", "my-gatekeeper-shop=1; b=2"),
     ("gatekeeper-shopping=1", "gatekeeper-shopping=1"), ('a="x; y"; gatekeeper-shop=abc', 'a="x; y"')],
)  # fmt: skip
def test_our_cookies_are_taken_out_and_the_applications_stay(world, sent, told):
    assert world().told(request("GET", f"Cookie: {sent}")).get("cookie") == told


def test_an_absolute_target_becomes_origin_form_with_its_host(world):
    here = world()
    told = here.told(b"GET http://shop.test:81/p?q HTTP/1.1\r\nHost: other.test\r\nA: b\r\n\r\n")
    assert told.line == "GET /p?q HTTP/1.1"
    assert told.all("host") == ["shop.test:81"]
    assert told.get("x-forwarded-host") == "shop.test:81"


@pytest.mark.parametrize(
    ("prefix", "target", "told"),
    [("/api", "/api/x?y", "/x?y"), ("/api", "/api", "/"), ("/api", "/api/", "/"), ("/api", "/api?x", "/?x"),
     ("/api", "/api//x", "//x"),
     ("/api/", "/api/x", "/x"), ("/api/", "/api/", "/"), ("/", "/x", "/x")],
)  # fmt: skip
def test_a_prefix_is_stripped_by_segments(world, prefix, target, told):
    here = world(path_prefix=prefix, strip_prefix=True)
    assert here.told(request("GET", target=target)).line == f"GET {told} HTTP/1.1"


def test_a_question_to_the_whole_server_keeps_its_star(world):
    assert world(strip_prefix=True).told(request("OPTIONS", target="*")).line == "OPTIONS * HTTP/1.1"
