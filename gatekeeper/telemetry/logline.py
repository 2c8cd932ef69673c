r"""One access log line from one exchange, as JSON or in nginx's ``combined`` format.

Whatever bytes a client sends, a JSON line is one line of valid ASCII JSON: bytes that are no UTF-8 appear as ``\xff``,
control characters and everything outside ASCII in JSON's own escapes. The fields are those of docs/logs.md; a test
keeps the two equal.
"""

import time
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import Final, cast

MAX_LINE: Final = 4096
"""Bytes of a line, newline included: PIPE_BUF of Linux (pipe(7)). Up to that size a write to a pipe is atomic, so
workers that share one standard output never cut into each other's lines. A longer line is clipped and says so."""

_CLIPS: Final = (512, 128, 32, 8)
"""How much is kept of each text, tried in turn. The last always fits: 6 texts of 8 bytes, which become at most 6
characters each, and 7 of 8 characters, which become at most 12, beside some 400 characters of names and numbers."""

Entry = tuple[
    float,  # wall seconds when the request had come in
    str,  # client address
    bytes,  # method
    bytes,  # target
    int,  # minor version of HTTP/1
    int,  # status
    int,  # bytes sent to the client
    float,  # seconds
    float,  # seconds until the backend's answer began; below 0: none
    bytes,  # host
    str,  # service
    str,  # version
    str,  # backend
    str,  # reason of the decision
    str | None,  # rule
    int,  # revision
    bytes,  # request id
    bytes,  # Referer
    bytes,  # User-Agent
    str,  # source of the error, or empty
    bool,  # forced by a tester
    int,  # retries
]
"""One exchange, in the order of ``AccessLog.add``. A plain tuple: it is made on the hot path."""

Format = Callable[[Entry], bytes]


class _SecondCache:
    """The text of a wall second, made once per second."""

    __slots__ = ("_make", "_second", "_text")

    def __init__(self, make: Callable[[int], str]) -> None:
        self._make = make
        self._second: int | None = None
        self._text = ""

    def text(self, second: int) -> str:
        if second != self._second:
            self._text = self._make(second)
            self._second = second
        return self._text


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _utc_text(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _common_text(second: int) -> str:
    """Local time as ``23/Nov/2026:14:05:09 +0100``; the month by hand, since strftime's follows the locale."""
    moment = time.localtime(second)
    return time.strftime(f"%d/{_MONTHS[moment.tm_mon - 1]}/%Y:%H:%M:%S %z", moment)


_utc = _SecondCache(_utc_text)
_common = _SecondCache(_common_text)


def json_line(entry: Entry) -> bytes:
    """One JSON object and a newline."""
    return _bounded(entry, _json)


def combined_line(entry: Entry) -> bytes:
    r"""The ``combined`` of nginx: address, user, local time, request line, status, bytes, referer, user agent.

    As nginx writes it: ``"``, ``\`` and all bytes outside 32..126 as ``\xXX``, ``-`` for what is not there.
    """
    return _bounded(entry, _combined)


def _bounded(entry: Entry, make: Callable[[Entry, bool], str]) -> bytes:
    line = make(entry, False)
    if len(line) > MAX_LINE:
        for keep in _CLIPS:
            clipped = tuple(value[:keep] if isinstance(value, str | bytes) else value for value in entry)
            line = make(cast(Entry, clipped), True)
            if len(line) <= MAX_LINE:
                break
    return line.encode("ascii")


def _quoted(value: bytes) -> str:
    return encode_basestring_ascii(value.decode("utf-8", "backslashreplace"))


def _number(seconds: float) -> str:
    """Microseconds are kept. NaN, infinity and negative values, which JSON or readers do not take, are null."""
    return f"{seconds:.6f}" if 0.0 <= seconds < 1e12 else "null"


def _json(entry: Entry, clipped: bool) -> str:
    (wall, client, method, target, minor, status, sent, seconds, upstream, host, service, version, backend) = entry[:13]
    (reason, rule, revision, request_id, referer, agent, source, forced, retries) = entry[13:]
    text = encode_basestring_ascii
    second = int(wall)
    return (
        f'{{"type":"access","time":"{_utc.text(second)}.{int((wall - second) * 1000):03d}Z",'
        f'"client":{text(client)},"method":{_quoted(method)},"target":{_quoted(target)},'
        f'"protocol":"HTTP/1.{minor}","host":{_quoted(host)},"status":{status},"bytes":{sent},'
        f'"duration":{_number(seconds)},"upstream_duration":{_number(upstream)},'
        f'"service":{text(service)},"version":{text(version)},"backend":{text(backend)},'
        f'"reason":{text(reason)},"rule":{"null" if rule is None else text(rule)},'
        f'"forced":{"true" if forced else "false"},"retries":{retries},"revision":{revision},'
        f'"request_id":{_quoted(request_id)},"error":{text(source)},'
        f'"referer":{_quoted(referer)},"agent":{_quoted(agent)},"clipped":{"true" if clipped else "false"}}}\n'
    )


_PLAIN: Final = bytes(byte for byte in range(32, 127) if byte not in b'"\\')
_ESCAPES: Final = {byte: f"\\x{byte:02X}" for byte in range(256) if byte not in _PLAIN}


def _escaped(value: bytes) -> str:
    """As ngx_http_log_escape: one escape per byte, whatever the encoding."""
    text = value.decode("latin-1")
    if value.translate(None, _PLAIN):
        text = text.translate(_ESCAPES)
    return text or "-"


def _combined(entry: Entry, _clipped: bool) -> str:
    wall, client, method, target, minor, status, sent = entry[:7]
    referer, agent = entry[17:19]
    request = f"{_escaped(method)} {_escaped(target)} HTTP/1.{minor}" if method or target else "-"
    return (
        f"{_escaped(client.encode('utf-8', 'backslashreplace'))} - - [{_common.text(int(wall))}] "
        f'"{request}" {status} {sent} "{_escaped(referer)}" "{_escaped(agent)}"\n'
    )
