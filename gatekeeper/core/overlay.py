"""What came by a deploy, went by a retirement or became stable by a release, laid over what the file says.

All of it remembers what the file said then. As long as the file goes on to say that, the operator's act is the later
one and holds; when the file says something else, the file was edited since, and the file holds. So a reload brings back
neither what was retired nor what was replaced, and an edit of the file is never without effect.

A retirement also ends when a rule of the file names the version again, or when it is stable: it cannot mean nothing.
What a release made stable is so no longer once the version is gone.

The split of the file (``Service.split``) stays as the file has it; a version in it that is not there counts nothing.
"""

from collections.abc import Container, Iterator
from dataclasses import replace

from gatekeeper.core.model import Deployed, Origin, Promoted, Running, Service, ServiceState, Version


def effective(file_service: Service, running: Running) -> tuple[Service, Running, list[str]]:
    """The service in force: the file's with what was deployed, retired and released since, as far as that still holds.

    Also what runs without the overlays that the file has overtaken, and a note for each of those. Where there is no
    overlay the very arguments come back.
    """
    if not running.deployed and not running.retired and running.promoted is None:
        return file_service, running, []
    said = file_service.versions
    deployed = {name: item for name, item in running.deployed.items() if said.get(name) == item.replaced}
    promoted = _promoted(file_service, running.promoted, {*said, *deployed})
    stable = file_service.stable if promoted is None else promoted.stable
    retired = {
        name: version
        for name, version in running.retired.items()
        if said.get(name) == version and name != stable and not any(rules_naming(file_service, name))
    }
    notes = [_overtaken(file_service, name) for name in running.deployed if name not in deployed]
    notes += [
        f"service {file_service.name}: {name}, which was retired, is in service again: the file names it anew"
        for name in running.retired
        if name not in retired and name in said
    ]
    if running.promoted is not None and running.promoted.stable != stable:
        notes.append(f"service {file_service.name}: {stable} is stable, and not {running.promoted.stable} any more")
    kept = (len(deployed), len(retired), promoted)
    if kept != (len(running.deployed), len(running.retired), running.promoted):
        running = replace(running, deployed=deployed, retired=retired, promoted=promoted)
    versions = {
        name: deployed[name].version if name in deployed else version
        for name, version in said.items()
        if name not in retired
    }
    versions |= {name: item.version for name, item in deployed.items()}
    return replace(file_service, versions=versions, stable=stable), running, notes


def _promoted(file_service: Service, promoted: Promoted | None, versions: Container[str]) -> Promoted | None:
    """What a release made stable, as far as that still holds and differs from the file."""
    if promoted is None or promoted.replaced != file_service.stable or promoted.stable == file_service.stable:
        return None
    return promoted if promoted.stable in versions else None


def stable_in_file(service: ServiceState) -> str:
    promoted = service.running.promoted
    return service.definition.stable if promoted is None else promoted.replaced


def with_stable(service: ServiceState, stable: str) -> ServiceState:
    """The service with this one of its versions as stable, whatever the file says; its marks are not settled yet."""
    if stable == service.definition.stable:
        return service
    of_file = stable_in_file(service)
    promoted = None if stable == of_file else Promoted(stable, of_file)
    return ServiceState(
        replace(service.definition, stable=stable),
        replace(service.running, promoted=promoted),
    )


def _overtaken(file_service: Service, name: str) -> str:
    what = "says otherwise since" if name in file_service.versions else "does not name it any more"
    return f"service {file_service.name}: the deploy of {name} holds no longer, the file {what}"


def rules_naming(service: Service, version: str) -> Iterator[str]:
    """The rules that send requests to the version, alone or by a weight."""
    for rule in service.rules:
        if rule.to == version or (rule.split or {}).get(version):
            yield rule.name


def in_file(service: ServiceState, version: str) -> Version | None:
    """What the file says under that name; None if it names no such version."""
    running = service.running
    if version in running.deployed:
        return running.deployed[version].replaced
    return running.retired.get(version) or service.definition.versions.get(version)


def differs_from_file(service: ServiceState, version: str) -> bool:
    """Whether a deploy says something else of the version than the file does; the later act, the deploy, holds."""
    known = service.running.deployed.get(version)
    return known is not None and known.replaced is not None


def with_deployed(service: ServiceState, version: Version, now: float) -> ServiceState:
    """The service with ``version`` registered, at the place of the one of its name or last; its split is not made yet.

    A deploy that says what the file says is the file's version: nothing differs, and an edit of the file holds anyway.
    """
    definition, running, name = service.definition, service.running, version.name
    said = in_file(service, name)
    deployed = {key: item for key, item in running.deployed.items() if key != name}
    if said is not None and same_but_origin(said, version):
        version = said
    else:
        version = replace(version, origin=Origin.DEPLOY)
        deployed[name] = Deployed(version, now, said)
    retired = {key: item for key, item in running.retired.items() if key != name}
    return ServiceState(
        replace(definition, versions={**definition.versions, name: version}),
        replace(running, deployed=deployed, retired=retired),
    )


def without(service: ServiceState, name: str) -> ServiceState:
    """The service with the version of that name retired; its split is not made yet."""
    definition, running = service.definition, service.running
    said = in_file(service, name)
    deployed = {key: item for key, item in running.deployed.items() if key != name}
    retired = {**running.retired, name: said} if said is not None else running.retired
    versions = {key: item for key, item in definition.versions.items() if key != name}
    return ServiceState(replace(definition, versions=versions), replace(running, deployed=deployed, retired=retired))


def same_but_origin(one: Version, other: Version) -> bool:
    return replace(one, origin=other.origin) == other


def same_build(one: Version, other: Version) -> bool:
    """Whether who had one of them has, with the other, what he had: the build says it, or else the backends."""
    if one.build is not None or other.build is not None:
        return one.build == other.build
    return one.backends == other.backends
