"""What a verb can end with: the exit codes, and the errors that lead to them.

Three errors: ``UnreachableError`` (nothing of ours answers; exit 3), ``RefusedError`` (gatekeeper answered no; it
carries the problem document of RFC 9457 and the exit code that fits), and ``ClientError`` for what goes wrong on this
side. Each says what happened, where, and the way out.
"""

import http.client
from collections.abc import Mapping, Sequence
from typing import Any

DONE, FAILED, USAGE, UNREACHABLE, REFUSED = range(5)


class ClientError(Exception):
    """What happened, where, and the way out; ``exit_code`` as in the table of docs/cli.md."""

    exit_code = FAILED
    hint = "way out"
    """What ``way_out`` is called when it is printed."""
    since: Sequence[Mapping[str, Any]] = ()
    """Revisions made since the one that was expected, the newest first."""

    def __init__(
        self,
        what: str,
        where: str,
        way_out: str = "",
        exit_code: int | None = None,
        problems: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(what)
        self.exit_code = self.exit_code if exit_code is None else exit_code
        self.what = what
        self.where = where
        self.way_out = way_out
        self.problems = problems

    def __str__(self) -> str:
        return self.what

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = {"title": self.what, "where": self.where, "way_out": self.way_out}
        return {**found, "problems": list(self.problems)} if self.problems else found


class UnreachableError(ClientError):
    exit_code = UNREACHABLE
    sent = False
    """Whether the request may have arrived: then a change may have been made all the same."""


class BrokenError(UnreachableError):
    """The connection broke before the answer was there."""

    sent = True


class SilentError(UnreachableError):
    """The connection stands, and no answer comes."""

    sent = True


class RefusedError(ClientError):
    """``status`` is the HTTP status, ``problem`` the whole problem document."""

    hint = "allowed"

    def __init__(self, status: int, problem: dict[str, Any], where: str) -> None:
        title = str(problem.get("title") or http.client.responses.get(status, "refused"))
        detail = str(problem.get("detail") or "")
        super().__init__(
            detail or title,
            where,
            str(problem.get("allowed") or ""),
            exit_code_of(status),
            objects(problem.get("problems")),
        )
        self.status = status
        self.problem = problem
        self.since = objects(problem.get("changed"))

    def document(self) -> dict[str, Any]:
        return {"status": self.status, **self.problem, "where": self.where}


def exit_code_of(status: int) -> int:
    """400, 404, 405, 413, 415 and 422: the request itself is wrong (2). 401, 403, 409, 412, 423, 428: refused (4)."""
    if status in {400, 404, 405, 413, 415, 422}:
        return USAGE
    if status in {401, 403, 409, 412, 423, 428}:
        return REFUSED
    return FAILED


def objects(value: object) -> list[dict[str, Any]]:
    """The JSON objects of a list; nothing of anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
