"""What one program leaves to the next: listening sockets, counters, and what it knows that is in no file.

It goes over the ``relay`` as one message of facts and several with descriptors. What the next program has no use for it
closes; a socket or a block lives in the kernel for as long as somebody holds it.
"""

import contextlib
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gatekeeper.channel import Message
from gatekeeper.control.fleet.orphans import Identity
from gatekeeper.control.fleet.publish import Picture
from gatekeeper.control.succession.given import Given
from gatekeeper.control.succession.relay import AT_ONCE, Relay, RelayError
from gatekeeper.telemetry.slots import Name


@dataclass(frozen=True, slots=True)
class LeftBlock:
    """The descriptor of a metrics block, and the workers that may still count in it; none: it is the carried one."""

    descriptor: int
    users: tuple[Identity, ...] = ()


@dataclass(slots=True)
class Estate:
    """All that is handed over. Descriptors in it belong to whoever received it."""

    pid: int = 0
    """Of the supervisor that leaves it, 0 for the service manager."""
    version: str = ""
    state_path: str = ""
    drain: float = 0.0
    """Seconds its workers have to finish."""
    restarts: int = 0
    """Workers replaced, by it and those before it."""
    counters: Mapping[str, Any] = field(default_factory=dict)
    """Other counts of the supervisor itself that must not go back."""
    names: Mapping[int, Name] = field(default_factory=dict)
    """Slot of the blocks -> who counts there."""
    picture: Picture = field(default_factory=dict)
    """The states of all backends, so that nobody need wait for a first check."""
    sockets: list[Given] = field(default_factory=list)
    blocks: list[LeftBlock] = field(default_factory=list)

    def close(self) -> None:
        """Close whatever of it was not taken."""
        for given in self.sockets:
            given.sock.close()
        for block in self.blocks:
            with contextlib.suppress(OSError):
                os.close(block.descriptor)
        self.sockets, self.blocks = [], []


async def give(relay: Relay, estate: Estate) -> None:
    """Send everything; what is sent stays open here. Raises RelayError."""
    things: list[tuple[Message, int]] = [
        (
            {
                "thing": "socket",
                "label": each.label,
                "name": each.name,
                "slot": each.slot,
                "lent": each.lent,
                "inode": each.inode,
            },
            each.sock.fileno(),
        )
        for each in estate.sockets
    ]
    things += [
        ({"thing": "block", "users": [[user.pid, user.started] for user in each.users]}, each.descriptor)
        for each in estate.blocks
    ]
    await relay.send(
        {
            "type": "estate",
            "pid": estate.pid,
            "version": estate.version,
            "state": estate.state_path,
            "drain": estate.drain,
            "restarts": estate.restarts,
            "counters": dict(estate.counters),
            "names": [[slot, *name] for slot, name in estate.names.items()],
            "picture": estate.picture,
            "things": len(things),
        }
    )
    for start in range(0, len(things), AT_ONCE):
        some = things[start : start + AT_ONCE]
        await relay.send({"type": "things", "things": [what for what, _ in some]}, [number for _, number in some])


async def receive(relay: Relay) -> Estate:
    """Take everything that ``give`` sends. Raises RelayError; what came until then is closed."""
    estate = Estate()
    try:
        facts = await relay.receive()
        estate.pid, estate.version = int(facts["pid"]), str(facts["version"])
        estate.state_path, estate.drain = str(facts["state"]), float(facts["drain"])
        estate.restarts, estate.counters = int(facts["restarts"]), dict(facts["counters"])
        estate.names = {int(slot): (str(service), str(version)) for slot, service, version in facts["names"]}
        estate.picture = facts["picture"]
        while len(estate.sockets) + len(estate.blocks) < int(facts["things"]):
            message = await relay.receive()
            for what, number in zip(message["things"], relay.descriptors(len(message["things"])), strict=True):
                _take(estate, what, number)
    except (KeyError, TypeError, ValueError, OSError) as error:
        estate.close()
        raise RelayError(f"the other program's estate cannot be read ({error!r}); restart instead") from error
    except BaseException:
        estate.close()
        raise
    return estate


def _take(estate: Estate, what: Mapping[str, Any], number: int) -> None:
    if what["thing"] == "block":
        users = tuple(Identity(int(pid), int(started)) for pid, started in what["users"])
        estate.blocks.append(LeftBlock(number, users))
    else:
        sock = socket.socket(fileno=number)
        estate.sockets.append(
            Given(
                sock, str(what["label"]), str(what["name"]), int(what["slot"]), bool(what["lent"]), int(what["inode"])
            )
        )
