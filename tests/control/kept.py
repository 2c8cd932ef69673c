"""States and records for tests of what the state file keeps."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from gatekeeper.control.store.rows import Audit, Delta, Record
from gatekeeper.core import split as splits
from gatekeeper.core.flags.model import Flag, FlagRunning, FlagState, FlagType, PastFlag
from gatekeeper.core.model import (
    Backend,
    Deployed,
    Pending,
    Release,
    Releasing,
    Running,
    Service,
    ServiceState,
    Settings,
    Split,
    State,
    Testers,
    Version,
    Weights,
)
from gatekeeper.core.past import Past, PastService

WALL = 1_700_000_000.0
NO_PLANS = Releasing()


def weights(green: int) -> Weights:
    return {"green": Decimal(green), "blue": Decimal(100 - green)}


def version(name: str, port: int = 9001) -> Version:
    return Version(name, (Backend(f"http://127.0.0.1:{port}"),))


def service(
    name: str, green: int = 0, *, skew: float = 0.0, deployed: int | None = None, retired: bool = False
) -> ServiceState:
    """``deployed`` is the port of a version that came by a deploy; ``skew`` stands for all that a definition says."""
    versions = {one: version(one) for one in ("blue", "green")}
    overlay = {} if deployed is None else {"new": Deployed(version("new", deployed), WALL, version("new"))}
    definition = Service(
        name,
        versions | {one: each.version for one, each in overlay.items()},
        "blue",
        weights(0),
        skew=skew,
        testers=Testers(keys=("k" * 32,)),
    )
    split = Split(weights(green), {"blue": ((0, 2**32),)}, "ab" * 16)
    gone = {"old": version("old")} if retired else {}
    return ServiceState(definition, Running(split, "cd" * 32, deployed=overlay, retired=gone, changed_at=WALL))


def flag(
    name: str, percent: int = 100, *, on: bool = True, killed: bool = False, following: str = "", **more: Any
) -> FlagState:
    """A boolean flag; ``more`` is of its definition."""
    shares = {"on": Decimal(percent), "off": Decimal(100 - percent)}
    definition = Flag(name, FlagType.BOOLEAN, {"on": True, "off": False}, "off", shares, on, **more)
    split = splits.initial(shares, "ab" * 16)
    return FlagState(definition, FlagRunning(split, on, killed, following, revision=1, changed_at=WALL))


def state(
    revision: int,
    *services: ServiceState,
    workers: int = 0,
    pending: Sequence[Pending] = (),
    releasing: Releasing = NO_PLANS,
    releases: Sequence[Release] = (),
    flags: Sequence[FlagState] = (),
) -> State:
    return State(
        revision,
        Settings(workers=workers),
        {each.definition.name: each for each in services},
        tuple(pending),
        releasing,
        {each.id: each for each in releases},
        {each.definition.name: each for each in flags},
    )


def record(old: State | None, new: State, **more: Any) -> Record:
    """What is written when ``new`` follows ``old``; every revision a minute after the one before."""
    at = WALL + 60.0 * new.revision
    return Record(
        **{
            "revision": new.revision,
            "at": at,
            "actor": "anna",
            "action": "split",
            "delta": Delta.between(old, new),
            "events": [{"kind": "split", "revision": new.revision}],
            "audit": Audit(at, "anna", "uid 1000", "split", "", new.revision, "done"),
            **more,
        }
    )


def past_of(then: State) -> Past:
    """What the history has to say of a state."""
    services = {name: _past(each) for name, each in then.services.items()}
    return Past(then.settings, services, then.releasing, {name: _flag(each) for name, each in then.flags.items()})


def _past(then: ServiceState) -> PastService:
    running = then.running
    return PastService(then.definition, running.split.weights, running.deployed, running.retired, running.promoted)


def _flag(then: FlagState) -> PastFlag:
    running = then.running
    return PastFlag(then.definition, running.split.weights, running.on, running.killed, running.made)


def order(mapping: Mapping[str, Any]) -> list[str]:
    return list(mapping)
