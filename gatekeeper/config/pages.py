"""``error_pages``: HTML files read once, with the file that names them, and kept in the state."""

import re
from pathlib import Path
from typing import Final

from gatekeeper.config.problems import WrongValueError
from gatekeeper.config.tree import KeyPath, Mapping, Report, Scalar, shown
from gatekeeper.config.values import read_page_key

MAX_PAGE: Final = 64 * 1024
"""Bytes of a page. It is held by every worker and sent on every change of its service: pictures belong elsewhere."""
MAX_PAGES: Final = 256 * 1024
"""Bytes of all pages of a service."""

_IN_DIRECTORY: Final = re.compile(r"([45](?:\d\d|xx))\.html")


def read_pages(root: Mapping, report: Report) -> dict[str, dict[str, str]]:
    """Service -> status or class -> HTML, with every problem in ``report``."""
    services = root.get("services")
    found: dict[str, dict[str, str]] = {}
    for name, entry in services.entries.items() if isinstance(services, Mapping) else ():
        given = entry.value.get("error_pages") if isinstance(entry.value, Mapping) else None
        if isinstance(given, Mapping):
            found[name] = _service(given, ("services", name, "error_pages"), report)
    return found


def _service(given: Mapping, path: KeyPath, report: Report) -> dict[str, str]:
    pages: dict[str, str] = {}
    # The directory first: a page that is named by itself wins over the one found there.
    for key, entry in sorted(given.entries.items(), key=lambda item: item[0] != "dir"):
        node = entry.value
        if (
            not isinstance(node, Scalar)
            or node.null
            or not node.text
            or report.blamed(node)
            or report.blamed(entry.key)
        ):
            continue
        try:
            if read_page_key(key) == "dir":
                pages.update(_directory(Path(node.text)))
            else:
                pages[key] = _page(Path(node.text))
        except WrongValueError as error:
            report.add(node.place, (*path, key), error.message, found=shown(node), allowed=error.allowed)
    size = sum(len(page.encode()) for page in pages.values())
    if size > MAX_PAGES:
        allowed = f"at most {MAX_PAGES // 1024} KiB; pictures and styles belong on another server"
        report.add(given.place, path, "the pages are too long together", found=f"{size} bytes", allowed=allowed)
    return pages


def _directory(path: Path) -> dict[str, str]:
    try:
        names = sorted(entry.name for entry in path.iterdir())
    except OSError as error:
        raise WrongValueError(f"is no directory that can be read: {_words(error)}") from None
    pages = {match[1]: _page(path / name) for name in names if (match := _IN_DIRECTORY.fullmatch(name))}
    if not pages:
        raise WrongValueError("holds no page", allowed="files such as 502.html, 503.html, 5xx.html in it")
    return pages


def _page(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PAGE + 1)
    except OSError as error:
        raise WrongValueError(f"{path.name} cannot be read: {_words(error)}") from None
    if len(data) > MAX_PAGE:
        raise WrongValueError(f"{path.name} is too long", allowed=f"at most {MAX_PAGE // 1024} KiB")
    if not data.strip():
        raise WrongValueError(f"{path.name} is empty")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise WrongValueError(f"{path.name} is not UTF-8") from None


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
