"""Counters from one program to the next: the blocks of its workers, who counts in which, and what the slots mean."""

import logging
import os
from collections.abc import Iterable, Mapping

from gatekeeper.control.fleet.orphans import Identity, identify
from gatekeeper.control.succession.estate import Estate, LeftBlock
from gatekeeper.telemetry.block import FIRST_SLOT, Block, BlockError
from gatekeeper.telemetry.carry import Former, Ledger
from gatekeeper.telemetry.slots import CAPACITY, Slots

log = logging.getLogger("gatekeeper.gate")


def leave_counters(ledger: Ledger[Identity], slots: Slots, workers: Mapping[int, int | None]) -> Estate:
    """An estate of nothing but counters; ``workers`` are the pids by slot."""
    blocks = [LeftBlock(block.fd, _identities([workers.get(index)])) for index, block in enumerate(ledger.own)]
    blocks += [LeftBlock(former.block.fd, tuple(former.users)) for former in ledger.former]
    if ledger.carried is not None:
        blocks.append(LeftBlock(ledger.carried.fd))
    return Estate(
        names={slot: name for slot, name in slots.names().items() if slot >= FIRST_SLOT},
        blocks=blocks,
    )


def take_counters(estate: Estate, ledger: Ledger[Identity], slots: Slots) -> list[Identity]:
    """Go on counting where the program before stopped, or from zero where its counters mean something else.

    Returns the workers that may still count in its blocks.
    """
    left, estate.blocks = estate.blocks, []
    users = list(dict.fromkeys(user for each in left for user in each.users))
    blocks, refused = _attach(left)
    if refused:
        for block in blocks:
            block.close()
        log.warning("counters start at zero", extra={"reason": refused})
        return users
    for block, each in zip(blocks, left, strict=True):
        if each.users or ledger.carried is not None:
            ledger.former.append(Former(block, each.users))
        else:
            ledger.carried = block
    slots.restore(estate.names)
    return users


def _attach(left: Iterable[LeftBlock]) -> tuple[list[Block], str]:
    """The blocks, and why they cannot be used together with ours, if so."""
    blocks: list[Block] = []
    refused = ""
    for each in left:
        try:
            blocks.append(Block.attach(each.descriptor))
        except BlockError as error:
            os.close(each.descriptor)
            refused = str(error)
    if any(block.capacity != CAPACITY for block in blocks):
        refused = f"those of the program before have another number of slots than {CAPACITY}"
    return blocks, refused


def _identities(pids: Iterable[int | None]) -> tuple[Identity, ...]:
    return tuple(found for pid in pids if pid is not None and (found := identify(pid)) is not None)
