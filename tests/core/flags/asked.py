"""Flags for the tests of those who ask for them."""

from dataclasses import replace
from decimal import Decimal

from gatekeeper.core.flags.model import Flag, FlagRunning, FlagState, FlagType
from gatekeeper.core.flags.resolver import Resolver
from gatekeeper.core.model import Pattern, PatternKind, When
from gatekeeper.core.split import initial, move
from tests.core.states import SALT, split_to, start

GERMANY = When(headers=(("x-country", Pattern(PatternKind.EXACT, ("DE",))),))


def flag(name, kind, variants, off, split, **more):
    """A flag that is on; ``more`` are fields of Flag, and ``killed``."""
    killed = more.pop("killed", False)
    shares = {one: Decimal(split.get(one, 0)) for one in variants}
    made = Flag(name, kind, variants, off, shares, **{"on": True, **more})
    return FlagState(made, FlagRunning(initial(shares, SALT), made.on, killed))


def boolean(name, percent=100, **more):
    return flag(
        name, FlagType.BOOLEAN, {"on": True, "off": False}, "off", {"on": percent, "off": 100 - percent}, **more
    )


def ramped(state, percent):
    """The flag a step further."""
    shares = {"on": Decimal(percent), "off": Decimal(100 - percent)}
    return replace(state, running=replace(state.running, split=move(state.running.split, shares)))


FLAGS = (
    boolean("killed", killed=True),
    boolean("new-checkout", 10, owner="checkout-team"),
    boolean("only-germany", when=GERMANY),
    boolean("resting", on=False),
    boolean("simple"),
    flag("theme", FlagType.STRING, {"light": "light", "dark": "dark"}, "light", {"light": 100}),
    flag("factor", FlagType.NUMBER, {"one": 1.0, "two": 2.5}, "one", {"one": 100}),
    flag("limit", FlagType.NUMBER, {"few": 5, "many": 50}, "few", {"many": 100}),
    flag("layout", FlagType.OBJECT, {"wide": {"columns": 3}, "narrow": {"columns": 1}}, "narrow", {"wide": 100}),
)


def state_of(*flags, split=None):
    """One service, shop, and these flags."""
    state = start()
    if split is not None:
        state = split_to(state, **split)
    return replace(state, flags={one.definition.name: one for one in flags or FLAGS})


def resolver(*flags, split=None):
    return Resolver(state_of(*flags, split=split))
