"""What the admin API stands on, put in its hands by whoever starts it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gatekeeper.clock import Clock
from gatekeeper.control.auth import Tokens
from gatekeeper.control.controller import Controller
from gatekeeper.control.feed import Feed
from gatekeeper.control.store import Store
from gatekeeper.control.views import Sights
from gatekeeper.core.model import Definition
from gatekeeper.core.outcome import Change


class Loader(Protocol):
    """Reads definitions; may block, so it is called in a thread.

    Raises a GatekeeperError whose ``problems`` are dataclasses with everything that is wrong.
    """

    def file(self) -> Definition:
        """The configuration file as it is on disk now."""
        ...

    def text(self, text: str) -> Definition:
        """A whole configuration, relative names in it as if it were the file."""
        ...


class Renew(Protocol):
    async def __call__(self, actor: str, *, dry_run: bool = False) -> Sequence[Change]:
        """What changed by it, or with ``dry_run`` would."""
        ...


@dataclass(slots=True)
class Parts:
    controller: Controller
    store: Store
    feed: Feed
    sights: Sights
    loader: Loader
    metrics: Callable[[str], tuple[bytes, str]]
    """The metrics page for an Accept field: body and Content-Type."""
    clock: Clock
    renew: Renew | None = None
    """Takes up certificates whose files changed; None where there are none."""
    tokens_path: str | None = None
    tokens: Tokens = field(default_factory=Tokens)
    """Replaced as a whole when the file is read again."""
