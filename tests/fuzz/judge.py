"""What must be true of everything that was written, whatever the peers did."""

from collections.abc import Sequence
from typing import Any

import h11

from gatekeeper.dataplane.exchange import Exchange
from gatekeeper.dataplane.parting import HEAD, IDLE
from gatekeeper.dataplane.retry import IDEMPOTENT
from gatekeeper.errors import Fault
from tests.dataplane.wires import LOW_WATER, Wire
from tests.fuzz.heads import OURS, end_to_end, expected
from tests.fuzz.meaning import CHUNKED, NONE, Message, Reading, came, sent_requests, sent_responses, take_response
from tests.fuzz.watch import Item, Talk, Try, Watch

# A close frame with 1001, as gatekeeper puts one into a WebSocket when it leaves; to a backend it is masked.
GOODBYE = b"\x88\x02\x03\xe9"
MASKED_GOODBYE = 8


def judge(
    watch: Watch, clients: Sequence[Wire], backends: Sequence[Wire], prefix: str, *, honest: set[Wire], left: set[Wire]
) -> None:
    """``honest`` are connections whose peers have read everything and never left: they got all there was.

    ``left`` are those whose peers reset them, and saw no end. ``prefix`` is what is taken off the targets.
    """
    asked: dict[int, tuple[Message, bytes]] = {}
    for wire in clients:
        talk = watch.talk(wire.protocol)
        _requests(talk, asked)
        _answers(
            talk, wire.out, ended=wire.ended and not wire.reset_by_us and wire not in left, all_of_it=wire in honest
        )
        if wire in honest:
            _waits(wire, talk)
    for wire in backends:
        tries = watch.tries.get(wire.protocol, [])
        _sent(wire, tries, asked, prefix, honest)
        _reuse(tries)
    for talk in watch.talks.values():
        for item in talk.items:
            _repeats(item, asked)


def _requests(talk: Talk, asked: dict[int, tuple[Message, bytes]]) -> None:
    """Every request begun is one that h11 reads from the same bytes, in the same place."""
    reading = came(talk.came)
    last = len(talk.items) - 1
    for number, item in enumerate(talk.items):
        if item.exchange is None:
            known = item.fault is Fault.NO_SERVICE and number < len(reading.messages)
            assert known or number == last, "after a refusal nothing is served"
            continue
        assert number < len(reading.messages), ("h11 reads no such request", reading.fault, talk.came)
        message = reading.messages[number]
        head = item.exchange.head
        assert message.method == head.method
        assert message.framing == head.length
        assert message.line[2] == b"1.%d" % head.minor
        assert message.whole or number == last, "a request before the end of the last one"
        asked[id(item)] = message, talk.came[reading.ends[number] :] if message.whole else b""


def _waits(wire: Wire, talk: Talk) -> None:
    """Nobody waits for gatekeeper: what can be done is done."""
    downstream = wire.protocol
    exchange = downstream.exchange
    if exchange is None:
        if downstream.phase in {IDLE, HEAD} and not wire.is_closing():
            assert len(talk.items) >= len(came(talk.came).messages), "a request that nobody answers"
            assert not wire.waiting, "bytes that nobody reads"
        return
    backend: Any = exchange.upstream.transport if exchange.upstream is not None else None
    if backend is not None:
        assert backend.reading, "an answer that nobody reads"
        assert wire.reading or backend.get_write_buffer_size() > LOW_WATER or exchange.request_done, "a body unread"
    tries = talk.items[-1].tries
    if isinstance(exchange, Exchange) and exchange.connecting is None and tries and exchange.request_done:
        taken = take_response(tries[-1].came, talk.items[-1].method, ended=bool(tries[-1].end))
        assert taken is None or not taken[0].whole, "an answer that goes no further"


def _answers(talk: Talk, out: bytes, *, ended: bool, all_of_it: bool) -> None:
    """What the client got is one answer to each request, in order, none of which looks whole without being it."""
    reading = sent_responses(out, tuple(item.method for item in talk.items), ended=ended)
    assert not reading.fault, (reading.fault, out)
    messages = reading.messages
    if messages and messages[-1].whole and len(messages) == len(talk.items):
        assert not reading.rest, ("bytes that answer nothing", reading.rest)
    if not talk.items:
        assert not out, out
    for number, message in enumerate(messages):
        item = talk.items[number]
        assert not message.closes or number == len(talk.items) - 1, "more is served than was promised"
        assert item.minor or message.framing != CHUNKED
        assert item.minor or not message.interim
        if item.fault is not None:
            assert message.status == item.fault.value.status, (message, item.fault)
            assert message.whole or not all_of_it
        else:
            _relayed(message, item, all_of_it=all_of_it)


def _relayed(message: Message, item: Item, *, all_of_it: bool) -> None:
    assert item.tries, "an answer that nobody gave"
    given = item.tries[-1]
    taken = take_response(given.came, item.method, ended=given.end == "end")
    assert taken is not None, ("an answer that its backend did not give", given.came)
    answer = taken[0]
    assert message.status == answer.status
    if message.status == 101:
        assert item.exchange is not None
        assert _is_part(message.body, answer.body, GOODBYE), (message.body, answer.body)
        return
    assert answer.body.startswith(message.body), (message.body[:100], answer.body[:100])
    if message.whole:
        assert answer.whole, "a cut answer looks complete"
        assert message.body == answer.body, "a cut answer looks complete"
    elif all_of_it:
        assert not answer.whole, "a whole answer was cut"
        assert item.exchange is None or item.exchange.error is not None or message.body == answer.body, "kept back"
    without = {b"content-length"} if message.status == 204 else set()
    assert _fields(message, without) == _fields(answer, without)
    if len(item.tries) == 1:
        passed = [each.status for each in answer.interim] if item.minor else []
        assert [each.status for each in message.interim] == passed


def _fields(message: Message, without: set[bytes]) -> list[tuple[bytes, bytes]]:
    fields = end_to_end(message.fields, without)
    return [pair for pair in fields if pair[0] != b"set-cookie" or not pair[1].startswith(b"gatekeeper-")]


def _is_part(passed: bytes, whole: bytes, goodbye: bytes | int) -> bool:
    """Whether these tunnelled bytes are the first of those, perhaps with a goodbye behind."""
    if whole.startswith(passed):
        return True
    if isinstance(goodbye, bytes):
        return passed.endswith(goodbye) and whole.startswith(passed[: -len(goodbye)])
    return passed[-goodbye:][:2] == b"\x88\x82" and whole.startswith(passed[:-goodbye])


def _sent(
    wire: Wire, tries: list[Try], asked: dict[int, tuple[Message, bytes]], prefix: str, honest: set[Wire]
) -> None:
    """What a backend got is as many requests as were sent to it, each the client's, the last perhaps unfinished."""
    reading: Reading = sent_requests(wire.out, len(tries))
    assert not reading.fault, (reading.fault, wire.out)
    whole = bool(reading.messages) and reading.messages[-1].whole
    tunnel = bool(tries) and _switched(tries[-1])
    if tunnel and len(reading.messages) == len(tries):
        source = asked[id(tries[-1].item)][1]
        assert _is_part(reading.rest, source, MASKED_GOODBYE), (reading.rest, source)
    elif len(reading.messages) == len(tries) and (whole or not tries):
        assert not reading.rest, ("bytes of no request", reading.rest)
    for sending, message in zip(tries, reading.messages, strict=False):
        request = asked[id(sending.item)][0]
        _same(request, message, prefix)
        assert request.body.startswith(message.body)
        if message.whole:
            assert request.whole, "a cut request looks complete"
            assert request.body == message.body
        elif wire in honest and sending is tries[-1] and sending.upstream.exchange is not None:
            assert message.body == request.body, "kept back"


def _switched(sending: Try) -> bool:
    if sending.item.fault is not None:
        return False
    try:
        taken = take_response(sending.came, sending.item.method, ended=False)
    except h11.RemoteProtocolError:
        return False
    return taken is not None and taken[0].status == 101


def _same(request: Message, sent: Message, prefix: str) -> None:
    assert sent.method == request.method
    assert sent.framing == request.framing
    assert sent.line[2] == b"1.1"
    target, authority = expected(request.line[1], request.method, request.values(b"host"))
    if prefix and target != b"*":
        target = _stripped(target, prefix.encode())
    assert sent.line[1] == target, (sent.line[1], target)
    hosts = sent.values(b"host")
    assert len(hosts) == 1
    assert not authority or hosts == [authority]
    assert end_to_end(sent.fields, OURS) == end_to_end(request.fields, OURS)


def _stripped(target: bytes, prefix: bytes) -> bytes:
    rest = target[len(prefix) :]
    return rest if rest.startswith(b"/") else b"/" + rest


def _reuse(tries: list[Try]) -> None:
    """A connection is used again only when both sides had ended cleanly on it and wanted to go on."""
    for sending in tries[:-1]:
        taken = take_response(sending.came, sending.item.method, ended=False)
        assert taken is not None, "used again without an answer"
        answer, rest = taken
        assert answer.whole, "used again before the end of an answer"
        assert not rest, "used again with bytes left over"
        assert not answer.closes, "used again though the backend closes"
        assert answer.line[2] == b"1.1" or b"keep-alive" in b",".join(answer.values(b"connection")).lower()


def _repeats(item: Item, asked: dict[int, tuple[Message, bytes]]) -> None:
    """Only what changes nothing, and is known whole, goes out twice."""
    if len(item.tries) > 1:
        assert item.method in IDEMPOTENT, "a request that changes something was sent twice"
        assert asked[id(item)][0].framing == NONE
    assert len(item.tries) <= 8
