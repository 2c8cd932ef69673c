"""A block per test, closed at its end."""

from collections.abc import Callable, Iterator

import pytest

from gatekeeper.telemetry.block import Block


@pytest.fixture
def make_block() -> Iterator[Callable[..., Block]]:
    made: list[Block] = []

    def make(slots: int = 8) -> Block:
        made.append(Block.create(slots))
        return made[-1]

    yield make
    for block in made:
        block.close()


@pytest.fixture
def block(make_block: Callable[..., Block]) -> Block:
    return make_block()
