"""Settings that sockets, processes and files were made from: only a start can change them."""

from dataclasses import replace

from gatekeeper.core.model import Settings
from gatekeeper.core.outcome import Problem, Refused

_AT_START_ONLY = {
    "listen": "listen",
    "admin_socket": "admin.socket",
    "admin_http": "admin.http",
    "admin_tokens": "admin.tokens",
    "state": "state",
    "workers": "workers",
    "log_file": "log.file",
    "access_file": "log.access_file",
}
"""Their names here and their keys in the file."""


def refuse_restart(old: Settings, new: Settings) -> None:
    """``Refused`` (409) with every setting that would need a restart."""
    problems = [
        Problem(key, f"is {_shown(getattr(new, name))} in the new definition, {_shown(getattr(old, name))} is running")
        for name, key in _AT_START_ONLY.items()
        if getattr(new, name) != getattr(old, name)
    ]
    if problems:
        keys = ", ".join(problem.path for problem in problems)
        raise Refused(
            409,
            "needs_restart",
            f"a change of {keys} needs a restart or an upgrade",
            "a reload with these keys as they were; or SIGUSR2, or a restart, with the new file",
            problems,
        )


def kept_until_restart(present: Settings, wanted: Settings) -> Settings:
    """The wanted settings, but for what only a start can change; a listener that was not there stays as it is."""
    listeners = {
        address: listener
        for address in present.listen
        if (listener := (wanted if address in wanted.listen else present).listeners.get(address)) is not None
    }
    kept = {name: getattr(present, name) for name in _AT_START_ONLY}
    return replace(wanted, listeners=listeners, **kept)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value) or "none"
    if value == 0:  # of ``workers``, the only number among them
        return "auto"
    return "not set" if value in (None, "") else str(value)
