"""Answers that gatekeeper makes itself: well framed, without internals, marked by Proxy-Status (RFC 9209)."""

import html
import json
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

from gatekeeper.errors import FaultInfo

_HTML = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>{status} {reason}</title>"
    "<body style='font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em'>"
    "<h1 style='font-size:1.4em'>{status} {reason}</h1><p>{detail}</p></body></html>\n"
)


_NO_PAGES: Mapping[str, str] = {}


def wants_html(accept: list[bytes]) -> bool:
    """Whether the client names text/html in Accept; browsers do, programs mostly do not."""
    return any(b"text/html" in value.lower() for value in accept)


def local_reply(
    fault: FaultInfo,
    *,
    request_id: bytes = b"",
    html_wanted: bool = False,
    head_only: bool = False,
    close: bool = True,
    pages: Mapping[str, str] = _NO_PAGES,
    version: str = "",
) -> bytes:
    """A whole response for a fault. ``head_only`` leaves out the body and keeps its length (RFC 9110 section 9.3.2).

    ``version`` is the one that a tester forced.
    ``pages`` are HTML by status (``502``) or class (``5xx``), used instead of our own where HTML is wanted.
    """
    reason = HTTPStatus(fault.status).phrase
    if html_wanted:
        kind = b"text/html; charset=utf-8"
        page = pages.get(str(fault.status)) or pages.get(f"{fault.status // 100}xx")
        if page is None:
            page = _HTML.format(status=fault.status, reason=reason, detail=html.escape(fault.detail))
        body = page.encode()
    else:
        kind = b"application/problem+json"
        problem = {"title": reason, "status": fault.status, "detail": fault.detail, "error": fault.proxy_error}
        if request_id:
            problem["request_id"] = request_id.decode("ascii", "replace")
        body = json.dumps(problem).encode() + b"\n"
    lines = [
        b"HTTP/1.1 %d %b" % (fault.status, reason.encode()),
        b"Content-Type: " + kind,
        b"Content-Length: %d" % len(body),
        b"Cache-Control: no-store",
        b"Date: " + formatdate(usegmt=True).encode(),  # RFC 9110 section 6.6.1
        b"Proxy-Status: gatekeeper; error=" + fault.proxy_error.encode(),
    ]
    if request_id:
        lines.append(b"X-Request-Id: " + request_id)
    if version:
        lines.append(b"X-Gatekeeper-Version: " + version.encode())
    if close:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if head_only else body)
