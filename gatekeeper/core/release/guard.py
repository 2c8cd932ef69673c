"""Which release a service has, and what nobody may do to a service while it is being released."""

from gatekeeper.core.lookup import find_service
from gatekeeper.core.model import Release, ServiceState, State
from gatekeeper.core.outcome import Command, Refused
from gatekeeper.core.release.commands import Act
from gatekeeper.core.release.model import Move
from gatekeeper.core.release.words import moves, which


def last_of(state: State, service: str) -> Release | None:
    """The newest release of the service, active or not."""
    return max((item for item in state.releases.values() if service in item.services), key=_id, default=None)


def active_of(state: State, service: str) -> Release | None:
    """The release that is under way for the service."""
    found = last_of(state, service)
    return found if found is not None and found.active else None


def move_of(release: Release, service: str) -> Move:
    return next(move for move in release.moves if move.service == service)


def named(state: State, command: Act) -> Release:
    """The release that somebody acts on. Raises ``Refused``: 404 for none, 422 where nothing is named."""
    if command.service is not None:
        find_service(state, command.service)
    if command.release is not None:
        found = state.releases.get(command.release)
        if found is not None and command.service in (None, *found.services):
            return found
        of = f" of {command.service}" if command.service is not None else ""
        raise Refused(
            404,
            "unknown_release",
            f"there is no release {command.release}{of}, or it ended and another came after it",
            _known(state, command.service),
        )
    if command.service is None:
        raise Refused(422, "which_release", "neither a release nor a service is named", "one of them")
    found = last_of(state, command.service)
    if found is None:
        raise Refused(
            404,
            "no_release",
            f"service {command.service} has no release",
            f"`gatekeeper release start {command.service} --to VERSION`",
        )
    return found


def refuse_split(state: State, service: str) -> None:
    """``Refused`` (409) if the service is being released: its weights are the release's."""
    release = active_of(state, service)
    if release is not None:
        raise _busy(release, f"the weights of service {service} are those of {_described(release)}")


def refuse_deploy(state: State, service: ServiceState, version: str) -> None:
    """``Refused`` (409) if the version takes part in a release: what was verified, and what there is to go back to,
    must stay what it is. Other versions may be deployed meanwhile.
    """
    release = active_of(state, service.definition.name)
    if release is None:
        return
    move = move_of(release, service.definition.name)
    if version in (move.to, move.stable) or move.weights.get(version) or service.running.split.weights.get(version):
        raise _busy(release, f"version {version} takes part in {_described(release)}")


def refuse_confirm_within(before: State, command: Command, after: State) -> None:
    """``Refused`` (409) for what would undo itself in the middle of a release, or a release with it."""
    if command.confirm_within is None or after is before:
        return
    touched = {
        name
        for name in {**before.services, **after.services}
        if before.services.get(name) is not after.services.get(name)
    }
    for number, release in before.releases.items():
        if after.releases.get(number) is not release or (release.active and touched & set(release.services)):
            raise Refused(
                409,
                "release_active",
                f"this concerns {_described(release)}, and cannot undo itself apart from it",
                "the same without confirm_within",
            )


def _busy(release: Release, detail: str) -> Refused:
    service = release.services[0]
    return Refused(
        409,
        "release_active",
        detail,
        f"`gatekeeper release abort {service}` or `gatekeeper rollback {service}` first, or to wait until it has ended",
    )


def _described(release: Release) -> str:
    return f"{which(release)} ({moves(release)}), which is {release.state.value}"


def _known(state: State, service: str | None) -> str:
    numbers = [str(item.id) for item in state.releases.values() if service in (None, *item.services)]
    return ", ".join(numbers) or "nothing: there are no releases"


def _id(release: Release) -> int:
    return release.id
