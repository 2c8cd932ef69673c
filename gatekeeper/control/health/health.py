"""What active checks say of one backend: a small state machine.

    pending --first success--> ready --`fall` failures in a row--> ejected --`rise` successes in a row--> ready
    pending --`fall` failures in a row--> ejected

Without a ``health`` section a backend is ready from the start, as far as checks go. What people see of a backend, and
what workers are told, is made of this, of what users' requests say (``ejection``) and of its version, see ``monitor``.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from gatekeeper.core.model import BackendTls, HealthCheck


class Condition(StrEnum):
    PENDING = "pending"
    READY = "ready"
    EJECTED = "ejected"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Standing:
    """A backend as it is shown: its condition, why it is in it, since when (wall seconds)."""

    condition: Condition
    reason: str
    since: float


@dataclass(slots=True)
class Health:
    """What the checks of one backend came to, why, and how far it is from the next condition."""

    check: HealthCheck | None
    condition: Condition
    reason: str
    successes: int = 0
    failures: int = 0
    tls: BackendTls = field(default_factory=BackendTls)
    """How it is asked where its url is https."""

    def record(self, failure: str) -> bool:
        """Take one result ("" = well) into account; whether the condition changed."""
        assert self.check is not None  # noqa: S101 - what is not checked has no results
        if failure:
            self.successes, self.failures = 0, self.failures + 1
            if self.condition is not Condition.EJECTED and self.failures >= self.check.fall:
                many = f"{self.failures} checks" if self.failures > 1 else "the check"
                in_a_row = " in a row" if self.failures > 1 else ""
                return self._become(Condition.EJECTED, f"{many} failed{in_a_row}: {failure}")
            self.reason = failure
            return False
        self.successes, self.failures = self.successes + 1, 0
        if self.condition is Condition.PENDING or (
            self.condition is Condition.EJECTED and self.successes >= self.check.rise
        ):
            return self._become(Condition.READY, "the check passes")
        if self.condition is Condition.READY:
            self.reason = "the check passes"
        return False

    @property
    def well(self) -> bool:
        """Whether nothing speaks against it now: it is ready, and the last check, if any, passed."""
        return self.condition is Condition.READY and not self.failures

    def _become(self, condition: Condition, reason: str) -> bool:
        self.condition, self.reason = condition, reason
        return True
