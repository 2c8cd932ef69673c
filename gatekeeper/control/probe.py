"""One health check: a GET to one backend, and what is wrong in words an operator can act on."""

import asyncio
import os
import socket
import ssl

import aiohttp

import gatekeeper
from gatekeeper.core.model import HealthCheck

_AGENT = f"gatekeeper/{gatekeeper.__version__} (health check)"


async def probe_http(
    url: str, check: HealthCheck, *, context: ssl.SSLContext | None = None, name: str | None = None
) -> str:
    """Ask once: empty when ``check.path`` answers one of ``check.status`` within ``check.timeout`` s, else the reason.

    ``url`` is normalised as in ``model.Backend``; ``context`` is for one with https, ``name`` what to ask for and
    verify there instead of its host. Redirects are answers, not invitations; the body is not read, since the status
    decides. Never raises but for cancellation.
    """
    path = url.removeprefix("unix:") if url.startswith("unix:") else None
    base = "http://localhost" if path is not None else url
    connector: aiohttp.BaseConnector = (
        aiohttp.UnixConnector(path, force_close=True)
        if path is not None
        else aiohttp.TCPConnector(force_close=True, use_dns_cache=False)
    )
    try:
        async with (
            asyncio.timeout(check.timeout),
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"User-Agent": _AGENT, "Accept": "*/*"},
            ) as session,
            session.get(
                base + check.path, allow_redirects=False, ssl=context or True, server_hostname=name
            ) as response,
        ):
            if response.status in check.status:
                return ""
            allowed = " or ".join(str(status) for status in check.status)
            return f"answered {response.status}, expected {allowed}"
    except TimeoutError:
        return f"no answer within {check.timeout:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return _in_words(error)


def _in_words(error: Exception) -> str:
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
