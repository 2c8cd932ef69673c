"""Who asks: the peer's user on the unix socket, a bearer token over TCP; and what each may do.

On the socket the file's mode decides who gets in. Root and the user gatekeeper runs as may do everything: they could
edit the configuration anyway. Others have the role that ``admin.users`` gives them, without one they are operators.
Over TCP a token's role decides, see ``tokens``.
"""

import asyncio
import os
import pwd
import socket
import struct
from asyncio import BaseTransport
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gatekeeper.core.model import Role, User

_PEERCRED: Final = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid
_NAMES_KEPT: Final = 256
"""User names remembered; a machine has few who may connect."""
_RANK: Final = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Actor:
    """``name`` goes into the history: a token's name, or the user's name or ``uid:NUMBER`` on the socket.

    ``via`` says how he came: ``token``, ``dashboard`` or ``uid NUMBER``. ``token`` is the digest of his token, "" on
    the socket, and ``expires`` (wall seconds) its end. ``session`` is the key of his session in the dashboard.
    ``local`` is true of who owns this gatekeeper, so that nothing of the machine needs hiding from him.
    """

    name: str
    role: Role
    groups: tuple[str, ...] = ()
    via: str = "token"
    token: str = ""
    expires: float | None = None
    local: bool = False
    session: str = ""

    def may(self, role: Role) -> bool:
        return _RANK[self.role] >= _RANK[role]


async def peer(transport: BaseTransport | None, users: Mapping[str, User]) -> Actor | None:
    """The user at the other end of a unix socket; None for TCP or a connection that is gone."""
    held = transport.get_extra_info("socket") if transport is not None else None
    if held is None or held.family != socket.AF_UNIX:
        return None
    try:
        # uvloop's stand-in for the socket has a descriptor and nothing else; a copy has everything.
        with socket.socket(fileno=os.dup(held.fileno())) as copy:
            uid = _PEERCRED.unpack(copy.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))[1]
    except OSError:
        return None
    name = _names.get(uid)
    if name is None:
        # A directory service may take its time over a name; the loop must not wait for it.
        name = await asyncio.to_thread(_user_name, uid)
        if len(_names) < _NAMES_KEPT:
            _names[uid] = name
    return of_user(uid, name, users)


def of_user(uid: int, name: str, users: Mapping[str, User]) -> Actor:
    """Who the user ``uid`` is here, by what ``admin.users`` says."""
    via = f"uid {uid}"
    if uid in (0, os.geteuid()):
        groups = users[name].groups if name in users else ()
        return Actor(name, Role.ADMIN, groups, via, local=True)
    user = users.get(name, User(Role.OPERATOR))
    return Actor(name, user.role, user.groups, via)


_names: dict[int, str] = {}


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"
