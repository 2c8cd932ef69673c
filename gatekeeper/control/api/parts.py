"""What the admin API stands on, put in its hands by whoever starts it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gatekeeper.clock import Clock
from gatekeeper.control.api.auth import Actor
from gatekeeper.control.api.tokens import Tokens
from gatekeeper.control.api.views import Sights
from gatekeeper.control.controller import Controller
from gatekeeper.control.dashboard.dashboard import Dashboard
from gatekeeper.control.feed import Feed
from gatekeeper.control.releases.notify import Notifier
from gatekeeper.control.releases.runner import Runner
from gatekeeper.control.shadow.run import Run
from gatekeeper.control.store.store import Store
from gatekeeper.core.flags.model import FlagChanges
from gatekeeper.core.judge.standing import Standing
from gatekeeper.core.model import Definition, Version
from gatekeeper.core.outcome import Change


class Loader(Protocol):
    """Reads definitions; may block, so it is called in a thread.

    Raises a GatekeeperError whose ``problems`` are dataclasses with everything that is wrong.
    """

    def file(self) -> Definition:
        """The configuration file as it is on disk now."""
        ...

    def text(self, text: str, *, local: bool) -> Definition:
        """A whole configuration, relative names in it as if it were the file.

        Not ``local``: it comes from afar, so it may not make gatekeeper read what is on this machine.
        """
        ...

    def version(self, service: str, name: str, document: Mapping[str, Any], like: Version) -> Version:
        """One version, as a deploy sends it. What ``document`` leaves out of health and tls is as in ``like``."""
        ...

    def version_schema(self) -> dict[str, Any]:
        """JSON Schema of such a document."""
        ...

    def flag(self, document: Mapping[str, Any]) -> FlagChanges:
        """What a document with keys of the file says of a flag."""
        ...

    def flag_schema(self) -> dict[str, Any]:
        """JSON Schema of such a document."""
        ...


class Renew(Protocol):
    async def __call__(self, actor: str, *, dry_run: bool = False) -> Sequence[Change]:
        """What changed by it, or with ``dry_run`` would."""
        ...


class Judging(Protocol):
    """The judges of releases, see ``control.judging``."""

    def verdicts(self, release: int) -> Sequence[Standing]:
        """How each service of a release that is judged now stands; nothing of any other."""
        ...

    async def recorded(self, release: int) -> Sequence[Standing]:
        """How each service of it stood last, also of one that is over. Raises StoreError."""
        ...

    def log_paths(self, release: int, service: str) -> Sequence[str]:
        """The files with its recorded seconds, the older one first; nothing where none were recorded."""
        ...


class Shadowing(Protocol):
    """Copies of users' requests, and what came of them, see ``control.shadow``."""

    def of(self, service: str) -> Sequence[Run]:
        """The runs of a service, those that go on first."""
        ...

    def reset(self, service: str) -> int:
        """Begin them anew. Returns how many there were."""
        ...


Prove = Callable[[str, Version, float], Awaitable[Mapping[str, str]]]
"""Service, version and seconds -> the backends of it that did not pass their check in that time, each with its reason.

Those that passed are ready from the start when the version is taken up next.
"""


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
    prove: Prove
    runner: Runner
    """What commands about releases need to know of the world; checks that are made now."""
    notifier: Notifier
    judging: Judging
    shadowing: Shadowing
    flag_standing: Callable[[str], Standing | None] = lambda _flag: None
    """How the judge of a flag stands; None where nobody judges it now."""
    evaluated: Callable[[str, str], None] = lambda _flag, _variant: None
    """Counts what applications were given of flags."""
    dashboard: Dashboard = field(default_factory=Dashboard)
    renew: Renew | None = None
    """Takes up certificates whose files changed; None where there are none."""
    tokens_path: str | None = None
    tokens: Tokens = field(default_factory=Tokens)
    """Replaced as a whole when the file is read again."""
    tokens_refused: str = ""
    """What is wrong in the token file now; the tokens of before are in force."""

    def fallen(self, actor: Actor) -> str:
        """Why somebody who came in may not go on; "" while he may. To ask counts as a use of his session."""
        if actor.session and self.dashboard.sessions.use(actor.session, self.clock.monotonic()) is None:
            return f"the session of {actor.name} is over"
        return self.tokens.fallen(actor, self.clock.wall())

    def problems(self) -> list[str]:
        """What is not as it should be with gatekeeper itself, in words; each goes by itself when it is."""
        found = [*self.sights.not_ready()]
        if (why := self.controller.trouble or self.feed.trouble) is not None:
            found.append(f"the state file does not take writes: {why}")
        if self.tokens_refused:
            found.append(f"the token file is refused, the tokens of before stay in force: {self.tokens_refused}")
        found += [
            f"the webhook {each['url']} does not take what it is sent: {each['reason']}"
            for each in self.notifier.documents()
            if each["state"] == "failing"
        ]
        return [*found, *self.sights.troubles()]
