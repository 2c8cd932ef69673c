"""A flag of a world, for tests that need one to be there."""

from decimal import Decimal

from gatekeeper.core.command import RemoveFlag, SetFlag
from gatekeeper.core.flags.model import FlagChanges
from tests.control.conftest import World

NAME = "new-checkout"


async def a_flag(world: World, name: str = NAME) -> None:
    """A boolean flag that is on for everybody, made by a command."""
    if name not in world.controller.state.flags:
        changes = FlagChanges(on=True, owner="checkout-team", expires="2020-01-31", services=("shop",))
        await world.controller.submit(SetFlag(actor="anna", name=name, changes=changes, salt="ab" * 16, new=True))


async def another_share(world: World, name: str = NAME) -> None:
    """The same with something to take back."""
    await a_flag(world, name)
    changes = FlagChanges(percent=Decimal(1 + world.controller.state.revision % 98), on=True)
    await world.controller.submit(SetFlag(actor="anna", name=name, changes=changes, salt="cd" * 16))


async def no_flag(world: World, name: str = NAME) -> None:
    if name in world.controller.state.flags:
        await world.controller.submit(RemoveFlag(actor="anna", name=name))
