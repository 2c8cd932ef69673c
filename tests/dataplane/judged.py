"""A world whose service is judged: what came of requests, as the supervisor is told.

with Judged() as here:
    here.to("green")
    client, backend = here.asked(GET)
    backend.send(OK)
    assert here.counted() == {"blue": (0, 0), "green": (1, 0)}
"""

from typing import Any

from gatekeeper.core.judge.part import Part
from gatekeeper.core.model import Sticky, StickyMode
from tests.dataplane.world import SLOTS, World

EVEN = {"blue": 50, "green": 50}
DRAWN = Sticky(mode=StickyMode.NONE)


class Judged(World):
    """Labels are drawn per request unless ``sticky`` says otherwise; seconds begin at whole ones of the clock."""

    def __init__(
        self, split: dict[str, int] | None = None, *, case: dict[str, Any] | None = None, **options: Any
    ) -> None:
        options.setdefault("sticky", DRAWN)
        super().__init__(split or EVEN, **options)
        self.case = {
            "release": 1, "service": "shop", "stable": "blue", "candidate": "green",
            "units": options["sticky"].mode is StickyMode.RAMP, "origin": self.clock.monotonic(),
            "tolerate": [0.0, 0.0], "slow": 1.0, "routes": [], "seen": None, **(case or {}),
        }  # fmt: skip
        self.upto = -1
        self.plane.judge([self.case])

    def to(self, version: str) -> None:
        """All draws give this version from now on."""
        self.plane.draw = lambda: 0 if version == "blue" else 2**32 - 1

    def unit(self, address: str) -> int:
        """The point of a unit."""
        hashed = self.plane.snapshot.table.services["shop"]._split.hasher.copy()
        hashed.update(address.encode())
        return int.from_bytes(hashed.digest(), "big")

    def address(self, version: str, number: int = 0) -> str:
        """An address whose unit the version has."""
        found = [f"203.0.113.{last}" for last in range(1, 255)]
        low = [each for each in found if (self.unit(each) < 2**31) is (version == "blue")]
        return low[number]

    def parts(self) -> list[dict[str, Any]]:
        """What is told at this moment; each is one that the supervisor takes."""
        told = [
            message
            for message in self.plane.dockets.look(self.clock.monotonic(), self.plane.connections)
            if message["type"] == "seconds"
        ]
        parts = []
        for message in told:
            for _, _, upto, found in message["of"]:
                assert upto >= self.upto
                assert all(self.upto < part["at"] <= upto for part in found)
                self.upto = upto
                parts += found
        for part in parts:
            Part.load(part)
        return parts

    def later(self, seconds: float = 1.5) -> list[dict[str, Any]]:
        """What is told after some time, which passes without a deadline."""
        self.clock.advance(seconds)
        return self.parts()

    def part(self, seconds: float = 1.5) -> dict[str, Any]:
        """The only second that is told of after some time."""
        (part,) = self.later(seconds)
        return part

    def counted(self, seconds: float = 1.5) -> dict[str, tuple[int, int]]:
        """Requests and errors by version that may be bet on, in the only second told of."""
        part = self.part(seconds)
        assert part["excluded"] == part["unkeyed"] == 0
        cells = [cell[1:3] for cell in part["cells"]]
        return {
            name: (sum(cell[arm][0] for cell in cells), sum(cell[arm][1] for cell in cells))
            for arm, name in enumerate(SLOTS)
        }
