"""Made-up plans and releases for the tests of releases: a world with two services, clocks and backends in hand."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from gatekeeper.core.command import Act, Advance, CheckDone, Command, Judged, Outcome, StartRelease, Verb, apply
from gatekeeper.core.model import Release, Releasing, State
from gatekeeper.core.release import gates
from gatekeeper.core.release.calendar import Offset, utc
from gatekeeper.core.release.model import CheckResult, ReleaseState, VerdictView
from gatekeeper.core.release.plan import Approval, Check, HttpCheck, Plan, Step, names
from tests.core.states import NOW, service, start

HEALTHZ = Check(http=HttpCheck("/healthz"))
SMOKE = Check(http=HttpCheck("/smoke"))


def steps(*numbers: tuple[float, float]) -> tuple[Step, ...]:
    """Steps of (weight, hold)."""
    return tuple(Step(Decimal(str(weight)), hold) for weight, hold in numbers)


def plan(*numbers: tuple[float, float], **options: Any) -> Plan:
    return Plan("careful", steps(*(numbers or ((10, 60), (50, 60), (100, 60)))), **options)


def asked(*groups: str, expires: float = 3600.0) -> Approval:
    return Approval(groups, expires)


GATED = plan(verify=(HEALTHZ,), approve=asked("product"))


@dataclass
class World:
    """A state, and what every command about releases may know: the wall clock, the steady one, the backends."""

    state: State = field(default_factory=lambda: start(service("shop"), service("cart")))
    now: float = NOW
    steady: float = NOW
    offset: Offset = utc
    ready: dict[str, bool] | None = field(default_factory=lambda: {"shop": True, "cart": True})
    told: list[dict[str, Any]] = field(default_factory=list)

    # Commands

    def do(self, command: Command) -> Outcome:
        outcome = apply(self.state, command, self.now)
        self.state = outcome.state
        self.told = [dict(event) for event in outcome.events]
        return outcome

    @property
    def known(self) -> dict[str, Any]:
        return {"offset": self.offset, "steady": self.steady, "ready": self.ready}

    def starting(self, to: str = "green", by: Plan | None = None, actor: str = "ann", **options: Any) -> StartRelease:
        services = options.pop("services", {"shop": to})
        return StartRelease(actor=actor, services=services, plan=by or plan(), **self.known, **options)

    def acting(self, verb: Verb | str, actor: str = "ben", groups: str = "", **options: Any) -> Act:
        if "release" not in options:
            options.setdefault("service", "shop")
        return Act(actor=actor, event=Verb(verb), groups=tuple(groups.split()), **self.known, **options)

    def advancing(self, number: int | None = None) -> Advance:
        return Advance(actor="plan", release=self.release.id if number is None else number, **self.known)

    def checking(self, *, passed: bool = True, **options: Any) -> CheckDone:
        """What the checks that run now came to."""
        found = gates.checks_of(self.release)
        gate, checks = found if found is not None else ("start", (HEALTHZ,))
        results = tuple(
            CheckResult(gate, service, name, passed, 0.1, "out", 0.0)
            for service in self.release.services
            for name in names(checks)
        )
        return CheckDone(actor="plan", release=self.release.id, gate=gate, results=results, **self.known, **options)

    def judging(self, kind: str, *, passes: bool = False) -> Judged:
        return Judged(
            actor="judge", release=self.release.id, verdict=VerdictView(kind, kind, passes=passes), **self.known
        )

    def begin(self, *args: Any, **options: Any) -> "World":
        self.do(self.starting(*args, **options))
        return self

    def act(self, *args: Any, **options: Any) -> Outcome:
        return self.do(self.acting(*args, **options))

    def check(self, *, passed: bool = True) -> Outcome:
        return self.do(self.checking(passed=passed))

    def advance(self) -> Outcome:
        return self.do(self.advancing())

    def later(self, seconds: float) -> "World":
        """Time passes, on both clocks; then what is due is done."""
        self.now += seconds
        self.steady += seconds
        self.advance()
        return self

    def passed(self, seconds: float) -> "World":
        """Time passes, on both clocks."""
        self.now += seconds
        self.steady += seconds
        return self

    def says(self, releasing: Releasing) -> "World":
        """The file says this of releases."""
        self.state = replace(self.state, releasing=releasing)
        return self

    # What is there

    @property
    def release(self) -> Release:
        return self.state.releases[max(self.state.releases)]

    @property
    def at(self) -> tuple[ReleaseState, int]:
        return self.release.state, self.release.step

    @property
    def kinds(self) -> list[str]:
        """What was told last."""
        return [event["kind"].removeprefix("release_") for event in self.told]

    def weight(self, version: str = "green", name: str = "shop") -> Decimal:
        return self.state.services[name].running.split.weights[version]

    def stable(self, name: str = "shop") -> str:
        return self.state.services[name].definition.stable

    def waits(self) -> list[str]:
        return [item.kind.value for item in self.release.waiting]

    def words(self) -> list[str]:
        return [entry.event for entry in self.release.log]
