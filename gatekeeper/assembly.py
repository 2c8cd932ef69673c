"""What the admin API stands on, made of what runs."""

from collections.abc import Callable, Sequence
from importlib.resources import files

from gatekeeper.clock import Clock
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.tokens import Tokens
from gatekeeper.control.api.views import Sights
from gatekeeper.control.controller import Controller
from gatekeeper.control.dashboard.assets import Assets
from gatekeeper.control.dashboard.dashboard import Dashboard
from gatekeeper.control.feed import Feed
from gatekeeper.control.gate import Gate
from gatekeeper.control.releases.office import Office
from gatekeeper.control.store.store import Store
from gatekeeper.loader import FileLoader
from gatekeeper.telemetry.exposition import Exposition

Words = Callable[[], Sequence[str]]


def assemble(
    *,
    gate: Gate,
    controller: Controller,
    store: Store,
    feed: Feed,
    office: Office,
    loader: FileLoader,
    clock: Clock,
    started: float,
    not_ready: Words,
    troubles: Words,
    tokens_path: str | None,
    tokens: Tokens,
) -> Parts:
    """``started`` is wall seconds; ``troubles`` are those of which ``gate`` does not know."""
    exposition = Exposition(
        lambda: gate.blocks,
        gate.slots.names,
        lambda: gate.view(controller.state, len(parts.problems())),
        gate.window,
        counted=gate.ledger.all,
        standings=office.judging.standings,
        flag_standings=office.flag_judging.standings,
        flagged=gate.flagged,
        shadowed=gate.shadowed,
    )
    parts = Parts(
        controller=controller,
        store=store,
        feed=feed,
        sights=Sights(
            workers=gate.workers,
            health=gate.monitor.health,
            live=gate.window.live,
            not_ready=not_ready,
            started=started,
            ids=gate.monitor.ids,
            drained=gate.departures.report,
            troubles=lambda: [*gate.troubles(), *troubles()],
        ),
        loader=loader,
        metrics=exposition.render,
        clock=clock,
        prove=gate.prove,
        runner=office.runner,
        notifier=office.notifier,
        judging=office.judging,
        shadowing=office.shadowing,
        flag_standing=office.flag_judging.standing,
        evaluated=gate.flagged.evaluated,
        dashboard=Dashboard(
            assets=Assets.load(files("gatekeeper") / "interface" / "dashboard"),
            odds=office.judging.odds,
        ),
        renew=gate.keyring.renew,
        tokens_path=tokens_path,
        tokens=tokens,
    )
    return parts
