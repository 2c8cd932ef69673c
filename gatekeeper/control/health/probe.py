"""One health check: a GET to one backend, and what is wrong in words an operator can act on."""

import asyncio
import json
import os
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

import gatekeeper
from gatekeeper.core.model import HealthCheck

_SHOWN: Final = 60
"""Characters of the text looked for that a reason repeats."""
_AGENT = f"gatekeeper/{gatekeeper.__version__} (health check)"


BODY_BYTES: Final = 64 * 1024
"""Of an answer's body, where ``body_contains`` looks: a page that says how it is is shorter."""


class _Fixed(AbstractResolver):
    """Finds every name at one address: whom to ask is decided, under which name to ask as well."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        del family  # the address has its own
        kind = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        return [
            ResolveResult(
                hostname=host, host=self._address, port=port, family=kind, proto=0, flags=int(socket.AI_NUMERICHOST)
            )
        ]

    async def close(self) -> None:
        """Nothing is open."""


async def probe_http(
    url: str, check: HealthCheck, *, address: str = "", context: ssl.SSLContext | None = None, name: str | None = None
) -> str:
    """Ask once: empty when ``check.path`` answers as ``check`` wants within ``check.timeout`` s, else the reason.

    ``url`` is normalised as in ``model.Backend``; with ``address`` it is asked there, under the name of the url.
    ``context`` is for one with https, ``name`` what to ask for and verify there instead of its host. Redirects are
    answers, not invitations; the body is read only where it decides. Never raises but for cancellation.
    """
    path = url.removeprefix("unix:") if url.startswith("unix:") else None
    base = "http://localhost" if path is not None else url
    connector: aiohttp.BaseConnector = (
        aiohttp.UnixConnector(path, force_close=True)
        if path is not None
        else aiohttp.TCPConnector(force_close=True, use_dns_cache=False, resolver=_Fixed(address) if address else None)
    )
    try:
        async with (
            asyncio.timeout(check.timeout),
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"User-Agent": _AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
            ) as session,
            session.get(
                base + check.path, allow_redirects=False, ssl=context or True, server_hostname=name
            ) as response,
        ):
            if response.status not in check.status:
                allowed = " or ".join(str(status) for status in check.status)
                return f"answered {response.status}, expected {allowed}"
            if check.body_contains and not await _says(response.content, check.body_contains.encode()):
                return f"answered {response.status} without {json.dumps(check.body_contains[:_SHOWN])} in its body"
            return ""
    except TimeoutError:
        return f"no answer within {check.timeout:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return in_words(error)


async def probe_connection(url: str, seconds: float, *, address: str = "") -> str:
    """Connect once: empty when the backend accepts within ``seconds``, else the reason. TLS is not begun."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(seconds):
            if url.startswith("unix:"):
                _, writer = await asyncio.open_unix_connection(url.removeprefix("unix:"))
            else:
                _, writer = await asyncio.open_connection(address or parts.hostname, parts.port)
            writer.close()
            return ""
    except TimeoutError:
        return f"no connection within {seconds:g} s"
    except OSError as error:
        return in_words(error)


async def _says(body: aiohttp.StreamReader, text: bytes) -> bool:
    """Whether ``text`` stands in the first BODY_BYTES; reads no further than it must."""
    read = b""
    while text not in read and len(read) < BODY_BYTES:
        more = await body.read(BODY_BYTES - len(read))
        if not more:
            break
        read += more
    return text in read


def in_words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        return f"the certificate is not accepted: {getattr(cause, 'verify_message', '') or cause}"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        reason = getattr(error.os_error, "reason", None) or "no TLS"
        return f"the TLS handshake failed: {reason.lower().replace('_', ' ')}"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, socket.gaierror):
        return "the host name is not known"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "closed the connection without an answer"
    if isinstance(cause, OSError):
        # Only the system's own words: the exception's text repeats the address.
        return os.strerror(cause.errno).lower() if cause.errno else "cannot be reached"
    if isinstance(error, aiohttp.ClientResponseError):
        return "the answer is not HTTP"
    return f"the check failed: {type(error).__name__}"
