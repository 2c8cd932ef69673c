"""Made-up services, definitions and states for the tests of commands."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gatekeeper.core.codec import dump
from gatekeeper.core.command import (
    Command,
    Outcome,
    Past,
    PastService,
    Refused,
    Reload,
    SetSplit,
    apply,
    initial_state,
)
from gatekeeper.core.model import (
    Backend,
    Definition,
    Rule,
    Running,
    Service,
    ServiceState,
    Settings,
    State,
    Version,
    When,
)

SALT = "5a" * 16
NOW = 1_700_000_000.0
ANN = {"actor": "ann", "note": "n"}


def weights(**numbers: float | str) -> dict[str, Decimal]:
    return {name: Decimal(str(number)) for name, number in numbers.items()}


def version(name: str, backend: str | None = None, **options: Any) -> Version:
    return Version(name, (Backend(backend or f"http://{name}:80"),), **options)


def service(name: str = "shop", versions: str = "blue green red", **options: Any) -> Service:
    names = versions.split()
    options.setdefault("split", {names[0]: Decimal(100)})
    options.setdefault("stable", names[0])
    options.setdefault("hosts", (f"{name}.example.com",))
    return Service(name, {key: version(key) for key in names}, **options)


def definition(*services: Service, settings: Settings | None = None) -> Definition:
    return Definition(settings or Settings(), {item.name: item for item in services or (service(),)})


def start(*services: Service, settings: Settings | None = None) -> State:
    return initial_state(definition(*services, settings=settings), {}, 1, "entropy", NOW)[0]


def do(state: State, command: Command, now: float = NOW) -> State:
    return apply(state, command, now).state


def split_to(state: State, name: str = "shop", **numbers: float | str) -> State:
    return do(state, SetSplit(**ANN, service=name, weights=weights(**numbers), salt=SALT))


def load(state: State, new: Definition, **options: Any) -> Outcome:
    return apply(state, Reload(**ANN, definition=new, entropy="fresh", **options), NOW + 1)


def running(state: State, name: str = "shop") -> Running:
    return state.services[name].running


def shown(state: State, name: str = "shop") -> dict[str, int]:
    """Who holds weight."""
    return {key: int(weight) for key, weight in running(state, name).split.weights.items() if weight}


def versions(state: State, name: str = "shop") -> list[str]:
    return list(state.services[name].definition.versions)


def refusal(state: State, command: Command, now: float = NOW) -> Refused:
    """The refusal of ``command``; proves that the state was left as it was."""
    before = written(state)
    with pytest.raises(Refused) as caught:
        apply(state, command, now)
    assert written(state) == before
    assert caught.value.allowed
    return caught.value


def written(state: State) -> str:
    return json.dumps(dump(state))


def split_rule(name: str = "half", **numbers: float) -> Rule:
    return Rule(name, When(methods=("PUT",)), split=weights(**numbers))


def past(state: State) -> Past:
    """What the store would give back of a state."""
    return Past(
        state.settings,
        {
            name: PastService(item.definition, item.running.split.weights, item.running.deployed, item.running.retired)
            for name, item in state.services.items()
        },
    )


def unstamped(item: ServiceState) -> ServiceState:
    """Without the number and time of the last change."""
    return replace(item, running=replace(item.running, revision=0, changed_at=0.0))


def essence(state: State) -> tuple[Settings, dict[str, ServiceState]]:
    """All of a state but revision numbers, times of change, and what waits."""
    return state.settings, {name: unstamped(item) for name, item in state.services.items()}
