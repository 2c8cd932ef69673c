"""A world whose service is mirrored: users get blue, copies go to green.

with Mirrored() as here:
    client, backend = here.asked(GET)
    candidate, again = here.copies()
    backend.send(OK), candidate.send(OK), again.send(OK)
    assert here.tally().outcomes == {...}
"""

from dataclasses import replace
from typing import Any, Self

from gatekeeper.core.shadow.model import Compare, Mirror
from gatekeeper.core.shadow.tally import Tally
from gatekeeper.dataplane.shadow import comparing, shadows
from gatekeeper.dataplane.shadow.lines import Line
from tests.dataplane.wires import Wire
from tests.dataplane.world import GET, OK, STRANGER, World

MIRROR = Mirror("green", percent=100.0)
ONCE = replace(MIRROR, compare=Compare(noise=False))
"""No second copy goes to blue."""


class Mirrored(World):
    """All requests are drawn. Leaving it checks that copies left nothing behind, either."""

    def __init__(self, mirror: Mirror | None = MIRROR, **options: Any) -> None:
        super().__init__(**options, mirror=mirror)
        self.shadows = self.plane.mirroring
        self.shadows.chance = lambda: 0.0

    def __enter__(self) -> Self:
        super().__enter__()
        self._patch.setattr(comparing, "thread_time", self.clock.monotonic)
        self._patch.setattr(shadows, "occupied_seconds", lambda: 0.0)  # of the real clock, not ours
        return self

    @property
    def lines(self) -> list[Wire]:
        """Connections that copies were sent on, ended ones, too."""
        return [wire for wire in self.wires if isinstance(wire.protocol, Line)]

    def copies(self, count: int = 2) -> list[Wire]:
        """The latest ones: to the candidate and, with noise, to the version that served the user."""
        assert len(self.lines) >= count
        return self.lines[-count:]

    def backend(self, number: int = -1) -> Wire:
        return [wire for wire in self.wires if not isinstance(wire.protocol, Line)][number]

    def asked(self, raw: bytes, address: str = STRANGER) -> tuple[Wire, Wire]:
        client = self.client(address)
        client.send(raw)
        exchange = client.protocol.exchange
        return client, next(wire for wire in self.wires if getattr(wire.protocol, "exchange", None) is exchange)

    def compared(self, user: bytes = OK, candidate: bytes = OK, again: bytes = OK, raw: bytes = GET) -> Tally:
        """What comes of a request that was answered so; ``again`` is of no use where there is no second copy."""
        client, backend = self.asked(raw)
        copies = [wire for wire in self.lines if wire.protocol.copy is not None]
        backend.send(user)
        for wire, answer in zip(copies, (candidate, again), strict=False):
            wire.send(answer)
        assert client.take() == user
        return self.tally()

    def tally(self) -> Tally:
        """What is told of the only run."""
        self.clock.advance(shadows.TELL_SECONDS)
        (message,) = self.shadows.look(self.clock.monotonic())
        ((service, to, _, told),) = message["runs"]
        assert (service, to) == ("shop", "green")
        return Tally.of_message(told)

    def nothing(self) -> bool:
        """Whether nothing is told."""
        self.clock.advance(shadows.TELL_SECONDS)
        return self.shadows.look(self.clock.monotonic()) == []

    def settle(self) -> None:
        for client in self.clients:
            client.reset()
        self.shadows.close()
        self.loop.run()
        assert not self.shadows._under_way
        assert self.shadows._held == 0
        assert len(self.shadows._lines) == 0
        assert all(wire.lost for wire in self.lines)
        assert all(account.in_flight == 0 for account in self.shadows._accounts.values())
        self.wires = [wire for wire in self.wires if not isinstance(wire.protocol, Line)]
        super().settle()
