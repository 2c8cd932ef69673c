"""Who started this process: what the environment says of it, and who is told how the start goes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gatekeeper.control.succession.handover import Predecessor
from gatekeeper.systemd import Notifier, Passed, passed_sockets


@dataclass(slots=True)
class Surroundings:
    """Who started this process: a service manager, a running gatekeeper that is to be followed, or neither."""

    notifier: Notifier = field(default_factory=Notifier)
    passed: Sequence[Passed] = ()
    predecessor: Predecessor | None = None

    @classmethod
    def found(cls) -> "Surroundings":
        """What the environment says, which is then removed from it. Raises SystemdError or HandoverError."""
        return cls(Notifier.from_environment(), passed_sockets(), Predecessor.from_environment())

    def failed(self, reason: str) -> None:
        """Tell them why this process ends."""
        if self.predecessor is not None:
            self.predecessor.fail(reason)
        else:
            self.notifier.tell(STATUS=f"failed: {reason}")

    def close(self) -> None:
        if self.predecessor is not None:
            self.predecessor.close()
