"""What TAB offers where an argument is a name: services, versions, plans, releases, from the running gatekeeper.

If it does not answer at once, nothing is offered: pressing TAB is no place for waiting or for an error message.
"""

from collections.abc import Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from gatekeeper.interface.client import service_path
from gatekeeper.interface.failures import ClientError, objects
from gatekeeper.interface.session import Session

TIMEOUT = 0.5
"""Seconds that pressing TAB may take."""


def service(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del parameter
    return _starting(incomplete, (str(one.get("name", "")) for one in _services(context)))


def version(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Versions of the service named before; one that was given already is not offered again."""
    given = context.params.get(str(parameter.name)) or ()
    taken = {given} if isinstance(given, str) else {str(name) for name in given}
    return _starting(incomplete, (name for name in _versions(context) if name not in taken))


def weight(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """``VERSION=`` for each version without a weight; the number is the user's."""
    taken = set(context.params.get(str(parameter.name)) or ())
    return _starting(incomplete, (f"{name}=" for name in _versions(context) if name not in taken))


def backend(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Addresses of the service's backends, those of the version named before first: a new one is near an old one."""
    given = set(context.params.get(str(parameter.name)) or ())
    found = _service(context).get("versions") or {}
    chosen = str(context.params.get("version") or "")
    names = sorted(found, key=lambda name: name != chosen)
    urls = dict.fromkeys(str(one.get("url", "")) for name in names for one in objects(found[name].get("backends")))
    return _starting(incomplete, (url for url in urls if url not in given))


def pending(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Revisions that wait to be confirmed."""
    del parameter
    return _starting(incomplete, (str(one.get("revision", "")) for one in objects(_status(context).get("pending"))))


def flag(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del parameter
    found = objects(_asked(context, "/v1/flags").get("flags"))
    return _starting(incomplete, (str(one.get("name", "")) for one in found))


def released(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Services, and names of services that move as one."""
    del parameter
    groups = dict(_asked(context, "/v1/plans").get("groups") or {})
    return _starting(incomplete, [*(str(one.get("name", "")) for one in _services(context)), *groups])


def release(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of the service's releases, the newest first."""
    del parameter
    found = _asked(context, service_path(_service_named(context), "releases"))
    return _starting(incomplete, (str(one.get("id", "")) for one in objects(found.get("releases"))))


def plan(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del parameter
    found = objects(_asked(context, "/v1/plans").get("plans"))
    return _starting(incomplete, (str(one.get("name", "")) for one in found))


def move(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """``SERVICE=`` for each other service, then its versions."""
    del parameter
    name, equals, _ = incomplete.partition("=")
    services = {str(one.get("name", "")): one for one in _services(context)}
    if not equals:
        return _starting(incomplete, (f"{other}=" for other in services if other != _service_named(context)))
    versions = services.get(name, {}).get("versions") or {}
    return _starting(incomplete, (f"{name}={version}" for version in versions))


def _starting(incomplete: str, names: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _versions(context: click.Context) -> list[str]:
    return list(_service(context).get("versions") or {})


def _service(context: click.Context) -> dict[str, Any]:
    name = _service_named(context)
    return next((one for one in _services(context) if one.get("name") == name), {})


def _service_named(context: click.Context) -> str:
    """The argument ``service``. Before the value of an option is there, click leaves arguments where they are."""
    return str(context.params.get("service") or next(iter(context.args), ""))


def _services(context: click.Context) -> list[dict[str, Any]]:
    return objects(_status(context).get("services"))


def _status(context: click.Context) -> dict[str, Any]:
    return _asked(context, "/v1/status")


def _asked(context: click.Context, path: str) -> dict[str, Any]:
    try:
        return dict(context.ensure_object(Session).client(timeout=TIMEOUT, patience=0.0).get(path))
    except (ClientError, click.ClickException):
        return {}
