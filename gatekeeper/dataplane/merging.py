"""What a worker routes by next: the state it has, with what a message of the supervisor says of it."""

from collections.abc import Mapping
from dataclasses import replace

from gatekeeper.channel import Message
from gatekeeper.core import codec
from gatekeeper.core.flags.model import FlagRunning, FlagState
from gatekeeper.core.model import Running, ServiceState, Settings, State

Slots = Mapping[str, dict[str, int]]
"""Service -> version -> its slot in the metrics blocks."""


def merge(message: Message, state: State | None, slots: Slots) -> tuple[State, dict[str, dict[str, int]]]:
    """The state and the slots after a message ``state``. Raises ValueError where it is based on another state than the
    one that is here, and CodecError.
    """
    base = message["base"]
    if base is None:
        services: dict[str, ServiceState] = {}
        flags: dict[str, FlagState] = {}
        known: dict[str, dict[str, int]] = {}
        settings = Settings()
    elif state is not None and state.revision == base:
        services, flags, known, settings = dict(state.services), dict(state.flags), dict(slots), state.settings
    else:
        have = None if state is None else state.revision
        raise ValueError(f"the change is based on revision {base}, this worker has {have}")
    if message["settings"] is not None:
        settings = codec.load(Settings, message["settings"])
    for name, entry in message["services"].items():
        if entry is None:
            services.pop(name, None)
            known.pop(name, None)
        else:
            services[name] = _service(entry["state"], services.get(name))
            known[name] = entry["slots"]
    for name, entry in message["flags"].items():
        if entry is None:
            flags.pop(name, None)
        else:
            flags[name] = _flag(entry, flags.get(name))
    return State(message["revision"], settings, services, flags=flags), known


def _service(message: Message, known: ServiceState | None) -> ServiceState:
    """A service as sent; without a definition it keeps the one that is ``known``."""
    if "definition" in message or known is None:
        return codec.load(ServiceState, message)
    return replace(known, running=codec.load(Running, message["running"]))


def _flag(message: Message, known: FlagState | None) -> FlagState:
    if "definition" in message or known is None:
        return codec.load(FlagState, message)
    return replace(known, running=codec.load(FlagRunning, message["running"]))
