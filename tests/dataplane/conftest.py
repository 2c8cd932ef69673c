"""``world(...)`` makes a World (see ``world``) that is left, and its books checked, when the test has passed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.dataplane.world import World


@pytest.fixture
def world() -> Iterator[Callable[..., World]]:
    with ExitStack() as worlds:
        yield lambda *args, **options: worlds.enter_context(World(*args, **options))
