"""The dashboard's files: read once, from the package, served from memory. What was not found there then is not there.

So no path of a request ever reaches the disk, and there is nothing to traverse. They hold no data and need no sign-in.
"""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Final

from aiohttp import web

PAGE: Final = "index.html"
TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""What is served, by the end of its name; other files of the folder (licences, notes) are not."""
_PACKED: Final = frozenset({".png", ".woff2"})
"""Compressed already."""
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), clipboard-read=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), "
        "payment=(), usb=()"
    ),
    "Referrer-Policy": "no-referrer",
    # Kept by the browser, and asked for again every time: an upgrade shows at once, and costs a 304 otherwise.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file. ``packed`` is it by gzip, None where that makes nothing smaller."""

    type: str
    body: bytes
    tag: str
    packed: bytes | None

    def answer(self, request: web.Request) -> web.Response:
        """It, or 304 where the browser has it."""
        packed = self.packed if _takes_gzip(request.headers.get("Accept-Encoding", "")) else None
        # Another encoding is another representation (RFC 9110 8.8.3.3).
        tag = f'"{self.tag}"' if packed is None else f'"{self.tag}-gzip"'
        headers = {**HEADERS, "ETag": tag}
        if _has(request.headers.get("If-None-Match", ""), tag):
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = self.type
        if packed is not None:
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=self.body if packed is None else packed, headers=headers)


class Assets:
    """``get`` by the path below the folder, with ``/`` between its parts."""

    def __init__(self, files: dict[str, Asset] | None = None) -> None:
        self._files = files or {}

    @classmethod
    def load(cls, folder: Traversable) -> "Assets":
        """Everything of a kind that is served. A folder that is not there is an empty one."""
        return cls(dict(_found(folder, "")) if folder.is_dir() else {})

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def get(self, path: str) -> Asset | None:
        return self._files.get(path)


def _found(folder: Traversable, before: str) -> list[tuple[str, Asset]]:
    files: list[tuple[str, Asset]] = []
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        suffix = PurePosixPath(entry.name).suffix
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir():
            files += _found(entry, f"{before}{entry.name}/")
        elif suffix in TYPES:
            files.append((before + entry.name, asset(suffix, entry.read_bytes())))
    return files


def asset(suffix: str, body: bytes) -> Asset:
    """The file whose name ends with ``suffix``, one of ``TYPES``."""
    packed = gzip.compress(body, compresslevel=9, mtime=0) if suffix not in _PACKED else body
    tag = hashlib.sha256(body).hexdigest()[:32]
    return Asset(TYPES[suffix], body, tag, packed if len(packed) < len(body) else None)


def _takes_gzip(accept: str) -> bool:
    """Whether ``Accept-Encoding`` has gzip and does not refuse it (RFC 9110 12.5.3)."""
    for part in accept.lower().split(","):
        name, _, quality = part.partition(";")
        if name.strip() in ("gzip", "x-gzip"):
            return quality.replace(" ", "").removeprefix("q=").strip("0.") != "" or not quality
    return False


def _has(field: str, tag: str) -> bool:
    """Whether ``If-None-Match`` names the tag; weak ones compare alike (RFC 9110 13.1.2)."""
    tags = {one.strip().removeprefix("W/") for one in field.split(",")}
    return "*" in tags or tag in tags
