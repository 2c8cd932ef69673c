"""Where the unit id of a request comes from."""

import re
from collections.abc import Callable, Sequence

from gatekeeper.core.head import Head
from gatekeeper.core.model import UnitKind, UnitSource
from gatekeeper.core.sticky import END, Search, finder, own_finder

Find = Callable[[Head, str], bytes | None]
"""The unit id one source finds in a request (head, client address)."""

_ANY_VALUE = re.compile(rb"[ \t]*([^;]*[^; \t])" + END)


def unit_finders(service: str, sources: Sequence[UnitSource]) -> tuple[tuple[Find, ...], bool]:
    """The finders in order, and whether a unit without an id gets one. Nothing after the own cookie is reached."""
    finders: list[Find] = []
    for source in sources:
        match source.kind:
            case UnitKind.OWN_COOKIE:
                finders.append(_cookie_finder(own_finder(service)))
                return tuple(finders), True
            case UnitKind.COOKIE:
                finders.append(_cookie_finder(finder(source.name.encode(), _ANY_VALUE)))
            case UnitKind.HEADER:
                finders.append(_header_finder(source.name.lower().encode()))
            case UnitKind.CLIENT_IP:
                finders.append(_address_finder)
    return tuple(finders), False


def _cookie_finder(search: Search) -> Find:
    def find(head: Head, _client_ip: str) -> bytes | None:
        match = search(head.cookie)
        return None if match is None else match[1]

    return find


def _header_finder(name_lower: bytes) -> Find:
    def find(head: Head, _client_ip: str) -> bytes | None:
        return next(filter(None, (value.strip(b" \t") for value in head.values(name_lower))), None)

    return find


def _address_finder(_head: Head, client_ip: str) -> bytes | None:
    return client_ip.encode()
