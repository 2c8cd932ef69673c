"""Whether another gatekeeper has released the same build: what went through staging may go on."""

import asyncio
import json
import os
import stat
from concurrent.futures import Executor
from typing import Any, Final
from urllib.parse import quote

import aiohttp

import gatekeeper
from gatekeeper.control.health.probe import in_words
from gatekeeper.control.releases.finding import Finding
from gatekeeper.core.release.model import ReleaseState
from gatekeeper.core.release.plan import ReleasedInCheck

ANSWER_BYTES: Final = 1024 * 1024
"""Of an answer: one release with all its evidence is far smaller."""
_TOKEN_BYTES: Final = 4096
_AGENT: Final = f"gatekeeper/{gatekeeper.__version__} (released_in)"


class TokenError(Exception):
    """The token cannot be read; the text has the way out."""


async def released_in(check: ReleasedInCheck, build: str | None, threads: Executor) -> Finding:
    """Ask the gatekeeper at ``check.url`` for its last release of ``build``. Never raises but for cancellation."""
    if not build:
        return Finding(
            passed=False, text="the candidate has no build to ask for; give it one: `build:` in the file, or --build"
        )
    try:
        # In a thread, and bounded with the rest: a file may lie on a disk that hangs.
        async with asyncio.timeout(check.timeout):
            token = None
            if check.token_file is not None:
                token = await asyncio.get_running_loop().run_in_executor(threads, read_token, check.token_file)
            status, document = await _asked(check, build, token)
    except TokenError as error:
        return Finding(passed=False, text=str(error))
    except TimeoutError:
        return Finding(passed=False, text=f"{check.url} gave no answer within {check.timeout:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Finding(passed=False, text=f"{check.url}: {in_words(error)}")
    return _judged(check, build, status, document)


async def _asked(check: ReleasedInCheck, build: str, token: str | None) -> tuple[int, Any]:
    """Status, and the answer read as JSON; None if it is none."""
    headers = {"User-Agent": _AGENT, "Accept": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), headers=headers) as session,
        session.get(
            f"{check.url}/v1/services/{quote(check.service, safe='')}/releases",
            params={"build": build, "limit": "1"},
            allow_redirects=False,  # the token is for this address alone
        ) as response,
    ):
        body = await response.content.read(ANSWER_BYTES)
        while not response.content.at_eof() and len(body) < ANSWER_BYTES:
            body += await response.content.read(ANSWER_BYTES - len(body))
        try:
            return response.status, json.loads(body)
        except (ValueError, RecursionError):  # the latter by brackets in brackets
            return response.status, None


def _judged(check: ReleasedInCheck, build: str, status: int, document: Any) -> Finding:
    where = f"{check.url}, service {check.service}"
    if status in (401, 403):
        way = f"renew the token in {check.token_file}" if check.token_file else "name a `token_file` with a token of it"
        return Finding(passed=False, text=f"{where}: answered {status}, so it does not let us look; {way}")
    if status != 200:
        said = document.get("detail") if isinstance(document, dict) else None
        return Finding(passed=False, text=f"{where}: answered {status}" + (f", {said}" if said else ""))
    found = document.get("releases") if isinstance(document, dict) else None
    if not isinstance(found, list):
        return Finding(passed=False, text=f"{where}: answered what no gatekeeper does; see that the address is its API")
    # Whatever else it lists does not count: an older gatekeeper may not know what it was asked for.
    for release in found:
        if isinstance(release, dict) and _of_build(release, check.service, build):
            return _found(where, build, release)
    return Finding(passed=False, text=f"{where}: build {build} was never released there; release it there first")


def _found(where: str, build: str, release: dict[str, Any]) -> Finding:
    state, number = release.get("state"), release.get("id")
    if state == ReleaseState.PROMOTED:
        return Finding(passed=True, text=f"{where}: build {build} was promoted by release {number}")
    said = f", {release['reason']}" if release.get("reason") else ""
    return Finding(
        passed=False,
        text=f"{where}: the last release of build {build}, {number}, is {state}{said}; "
        "it counts once it is promoted there",
    )


def _of_build(release: dict[str, Any], service: str, build: str) -> bool:
    moves = release.get("moves")
    return isinstance(moves, list) and any(
        isinstance(move, dict) and move.get("service") == service and move.get("build") == build for move in moves
    )


def read_token(path: str) -> str:
    """The bearer token in a file, read anew each time, so that a renewed one counts; blocks. Raises TokenError."""
    way = "put the token there, alone in the file, for this user to read"
    try:
        # Not blocking: what is no file may keep a reader waiting for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise TokenError(f"{path} is no file; {way}")
            token = os.read(handle, _TOKEN_BYTES + 1).decode("ascii").strip()
        finally:
            os.close(handle)
    except OSError as error:
        raise TokenError(f"{path} cannot be read ({(error.strerror or str(error)).lower()}); {way}") from error
    except UnicodeDecodeError as error:
        raise TokenError(f"{path} holds no token; {way}") from error
    if not token or len(token) > _TOKEN_BYTES or not token.isprintable() or " " in token:
        raise TokenError(f"{path} holds no token; {way}")
    return token
