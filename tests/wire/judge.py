"""Whether what both ends saw is one of the readings of a case, and if not, why."""

import re
from dataclasses import dataclass, replace

from tests.wire.bench import OURS
from tests.wire.case import Case, End, Line, Reading, Reply, Seen
from tests.wire.oracle import Message, Responses
from tests.wire.scene import Scene, Side, backend_reader

# What one hop may write as it likes, as long as the strict reader understands it.
_OF_THE_HOP = frozenset({b"connection", b"content-length", b"keep-alive", b"te", b"transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Manner:
    """How closely a proxy is looked at.

    ``adds`` are names of fields that it sets itself, in lower case. ``exact`` asks for the very bytes and the order
    of the lines; otherwise names may change case, and lines of different names places.
    """

    adds: frozenset[bytes]
    exact: bool


def verdict(case: Case, scene: Scene, manner: Manner, *, lenient: bool) -> list[str]:
    """Why the case is broken; empty where it is kept. ``lenient`` allows what only the specifications allow."""
    # Keeping a connection open is nobody's duty (RFC 9112 section 9.3), doing what the script waits for is.
    wants = replace(case.wants, end=End.ANY) if lenient and case.wants.end is End.OPEN else case.wants
    wrongs = [[*scene.complaints, *_against(wants, scene, manner)]]
    if lenient:
        wrongs += [_against(reading, scene, manner) for reading in case.also]
    return [] if any(not wrong for wrong in wrongs) else wrongs[0]


def _against(reading: Reading, scene: Scene, manner: Manner) -> list[str]:
    wrong = list(scene.harm)
    wrong += _upstream(reading.sees, scene, manner)
    if reading.tunnelled is not None:
        behind = b"".join(reader.rest for side in scene.backends if (reader := backend_reader(side)).tunnel)
        if behind != reading.tunnelled:
            wrong.append(f"{_short(behind)} went up the tunnel, not {_short(reading.tunnelled)}")
    if reading.connections is not None:
        carried = sum(
            any(not message.line.startswith(OURS) for message in side.reader.messages) for side in scene.backends
        )
        if carried != reading.connections:
            wrong.append(f"{carried} backend connections carried it, not {reading.connections}")
    client = scene.client
    if client is not None and isinstance(client.reader, Responses):
        probed = scene.case.wants.end is End.OPEN
        wrong += _downstream(reading, client, client.reader, manner, probed=probed)
    return wrong


# At the backend


def _upstream(sees: tuple[Seen, ...] | str | None, scene: Scene, manner: Manner) -> list[str]:
    found: list[tuple[Side, Message]] = []
    wrong = []
    for side in scene.backends:
        reader = backend_reader(side)
        found += [(side, message) for message in reader.messages if not message.line.startswith(OURS)]
        if reader.fault:
            wrong.append(f"the backend read what nobody may send: {reader.fault} in {_short(bytes(reader.raw))}")
        elif reader.rest and not reader.tunnel:
            wrong.append(f"bytes without a message at the backend: {_short(reader.rest)}")
    if sees is None:
        wrong += [f"the backend saw {message.line!r} as a whole request" for _, message in found if message.whole]
        return wrong
    if isinstance(sees, str):
        return wrong
    if len(found) != len(sees):
        lines = [message.line for _, message in found]
        wrong.append(f"the backend saw {len(found)} requests, not {len(sees)}: {lines}")
        return wrong
    for (_, message), seen in zip(found, sees, strict=True):
        wrong += _request(message, seen, manner)
    return wrong


def _request(message: Message, seen: Seen, manner: Manner) -> list[str]:
    wrong = []
    line = message.line if manner.exact else message.line.replace(b"HTTP/1.0", b"HTTP/1.1")
    if line != seen.line:
        wrong.append(f"request line {message.line!r}, not {seen.line!r}")
    if bytes(message.body) != seen.body:
        wrong.append(f"request body {_short(bytes(message.body))}, not {_short(seen.body)}")
    if message.whole != seen.whole:
        wrong.append(f"the request at the backend is {'whole' if message.whole else 'incomplete'}")
    # Trailers may always be dropped (RFC 9110 section 6.5.1).
    if seen.trailers is not None and (manner.exact or message.trailers):
        wrong += _trailers(message, seen.trailers, manner)
    named = {_name(line) for line in seen.fields}
    lines = [line for line in message.lines if _name(line) in named or _name(line) not in manner.adds]
    if manner.exact:
        fits = len(lines) == len(seen.fields) and all(map(_same, lines, seen.fields))
    else:
        fits = _grouped(lines, seen.fields)
    if not fits:
        wrong.append(f"request fields {lines}, not {[_text(line) for line in seen.fields]}")
    return wrong


def _name(line: Line) -> bytes:
    text = line if isinstance(line, bytes) else line.pattern
    return text.partition(b":")[0].lower()


def _text(line: Line) -> bytes:
    return line if isinstance(line, bytes) else line.pattern


def _same(line: bytes, wanted: Line) -> bool:
    return line == wanted if isinstance(wanted, bytes) else wanted.fullmatch(line) is not None


def _grouped(lines: list[bytes], wanted: tuple[Line, ...], free: frozenset[bytes] = _OF_THE_HOP) -> bool:
    """The same fields with the same values, each name's in order; framing and connection are the hop's own."""
    groups: dict[bytes, list[bytes]] = {}
    for line in lines:
        groups.setdefault(_name(line), []).append(line)
    wishes: dict[bytes, list[Line]] = {}
    for wish in wanted:
        wishes.setdefault(_name(wish), []).append(wish)
    for name in (groups.keys() | wishes.keys()) - free:
        here, there = groups.get(name, []), wishes.get(name, [])
        if len(here) != len(there) or not all(map(_alike, here, there)):
            return False
    return True


def _alike(line: bytes, wanted: Line) -> bool:
    value = line.partition(b":")[2].strip(b" \t")
    if isinstance(wanted, bytes):
        return value == wanted.partition(b":")[2].strip(b" \t")
    return wanted.fullmatch(wanted.pattern.partition(b":")[0] + b": " + value) is not None


# At the client


def _downstream(reading: Reading, client: Side, reader: Responses, manner: Manner, *, probed: bool) -> list[str]:
    wrong = []
    messages = list(reader.messages)
    if reading.gets is not None:
        count = len(reading.gets)
        further = messages[count:]
        good = len(further) == 1 and further[0].status == 200 and further[0].body == b"ok" and further[0].whole
        if reading.end is End.OPEN:
            if not good:
                wrong.append(f"a further request got {[message.line for message in further]}")
        elif further and not (probed and good):
            wrong.append(f"{len(messages)} answers, not {count}: {[message.line for message in messages]}")
        if len(messages) < count:
            wrong.append(f"{len(messages)} answers, not {count}: {_short(bytes(reader.raw))}")
        for message, reply in zip(messages, reading.gets, strict=False):
            wrong += _reply(message, reply, manner)
        if reader.fault:
            wrong.append(f"the client read what nobody may send: {reader.fault}")
        elif reader.rest:
            wrong.append(f"bytes without a message at the client: {_short(reader.rest)}")
    ended = client.ended
    fits = {
        End.OPEN: ended == "closed here",
        End.CLOSED: ended == "eof",
        End.RESET: ended == "reset",
        End.ENDED: ended in {"eof", "reset"},
        End.ANY: True,
    }[reading.end]
    if not fits:
        wrong.append(f"the client's connection should be {reading.end.value}; it is {ended or 'open'}")
    return wrong


def _reply(message: Message, reply: Reply, manner: Manner) -> list[str]:
    wrong = []
    statuses = reply.status if isinstance(reply.status, tuple) else (reply.status,)
    if message.status not in statuses:
        wrong.append(f"status {message.status}, not {reply.status}")
    if reply.line is not None and message.line != reply.line and manner.exact:
        wrong.append(f"status line {message.line!r}, not {reply.line!r}")
    if message.whole != reply.whole:
        wrong.append(f"the answer looks {'complete' if message.whole else 'cut off'}")
    if isinstance(reply.body, re.Pattern):
        if not reply.body.fullmatch(message.body):
            wrong.append(f"answer's body {_short(bytes(message.body))}, not {reply.body.pattern!r}")
    elif reply.body is not None and bytes(message.body) != reply.body:
        wrong.append(f"answer's body {_short(bytes(message.body))}, not {_short(reply.body)}")
    if reply.tunnel is not None and bytes(message.body) != reply.tunnel:
        wrong.append(f"behind the 101 {_short(bytes(message.body))}, not {_short(reply.tunnel)}")
    if reply.framing is not None and message.framing != reply.framing:
        wrong.append(f"the answer's framing is {message.framing}, not {reply.framing}")
    if reply.trailers is not None:
        wrong += _trailers(message, reply.trailers, manner)
    interim = tuple(each.status for each in message.interim)
    if interim != reply.interim:
        wrong.append(f"interim answers {interim}, not {reply.interim}")
    missing = _missing(message.lines, reply.has, manner)
    if missing:
        wrong.append(f"of the answer's fields {[_text(line) for line in missing]} are missing in {message.lines}")
    there = {name for name, _ in message.fields} & set(reply.lacks)
    if there:
        wrong.append(f"the answer has {sorted(there)}")
    return wrong


def _trailers(message: Message, wanted: tuple[bytes, ...], manner: Manner) -> list[str]:
    fits = tuple(message.trailers) == wanted if manner.exact else _grouped(message.trailers, wanted, frozenset())
    return [] if fits else [f"trailers {message.trailers}, not {list(wanted)}"]


def _missing(lines: list[bytes], wishes: tuple[Line, ...], manner: Manner) -> list[Line]:
    """Which field lines are not there, in the order of the wishes; or of those of the same name, if not ``exact``."""
    if manner.exact:
        rest = iter(lines)
        return [wish for wish in wishes if not any(_same(line, wish) for line in rest)]
    missing = []
    for name in {_name(wish): None for wish in wishes}:
        there = iter([line for line in lines if _name(line) == name])
        wanted = [wish for wish in wishes if _name(wish) == name]
        missing += [wish for wish in wanted if not any(_alike(line, wish) for line in there)]
    return missing


def _short(data: bytes) -> str:
    return repr(data) if len(data) <= 200 else f"{data[:160]!r}... ({len(data)} bytes)"
