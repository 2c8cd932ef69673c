"""From the file's models to the program's values."""

from collections.abc import Mapping
from decimal import Decimal

from gatekeeper.config import matching, models, ofrep
from gatekeeper.config.matching import when_value
from gatekeeper.config.mirrors import mirror
from gatekeeper.config.plan_values import releasing
from gatekeeper.core import model


def definition(
    file: models.File, pages: Mapping[str, Mapping[str, str]], flags: Mapping[str, model.Flag] | None = None
) -> model.Definition:
    """What the file says exists. ``pages`` are the error pages, by service and status; ``flags`` have been read."""
    settings = model.Settings(
        listen=tuple(item.address for item in file.listen),
        listeners={item.address: _listener(item) for item in file.listen if item.tls or item.proxy_protocol},
        admin_socket=file.admin.socket or "",
        admin_http=file.admin.http,
        admin_tokens=file.admin.tokens,
        admin_users={name: model.User(model.Role(one.role), one.groups) for name, one in file.admin.users.items()},
        ofrep_rate=file.admin.ofrep.rate,
        state=file.state or "",
        workers=file.workers,
        trusted_proxies=file.trusted_proxies,
        limits=model.Limits(**dict(file.limits)),
        log=model.Log(file.log.access, file.log.level),
        log_file=file.log.file,
        access_file=file.log.access_file,
        dns=model.Dns(**dict(file.dns)),
        tracing=model.Tracing(**dict(file.tracing)) if file.tracing is not None else None,
    )
    services = {name: _service(name, one, pages.get(name, {})) for name, one in file.services.items()}
    return model.Definition(settings, services, releasing(file), flags or {})


def _listener(given: models.Listen) -> model.Listener:
    tls = None
    if given.tls:
        first = given.tls[0]
        tls = model.ListenerTls(
            pairs=tuple(model.KeyPair(one.cert, one.key_) for one in given.tls),
            min_version=first.min_version,
            client_ca=first.client_ca,
            client_auth=(first.client_auth or "required") if first.client_ca else "none",
        )
    return model.Listener(tls, given.proxy_protocol)


def _service(name: str, given: models.Service, pages: Mapping[str, str]) -> model.Service:
    names = tuple(given.versions)
    stable = given.stable or names[0]
    return model.Service(
        name=name,
        versions={one: _version(one, version) for one, version in given.versions.items()},
        stable=stable,
        split=_weights(given.split if given.split is not None else {stable: Decimal(100)}, names),
        hosts=given.hosts,
        path_prefix=given.path_prefix,
        strip_prefix=given.strip_prefix,
        sticky=model.Sticky(tuple(_unit(*unit) for unit in given.sticky.by), model.StickyMode(given.sticky.mode)),
        rules=tuple(_rule(rule, position, names) for position, rule in enumerate(given.rules, 1)),
        testers=model.Testers(given.testers.header, given.testers.query, given.testers.from_, given.testers.keys),
        on_unavailable=model.OnUnavailable(given.on_unavailable),
        timeouts=model.Timeouts(**dict(given.timeouts)),
        retries=model.Retries(**dict(given.retries)),
        skew=given.skew,
        error_pages=pages,
        ejection=_ejection(given.ejection) if given.ejection else None,
        slow_start=given.slow_start,
        trip=model.Trip(given.trip.errors, given.trip.within, given.trip.min) if given.trip else None,
        ofrep=ofrep.value(given.ofrep) if given.ofrep is not None else None,
        mirror=mirror(given.mirror),
    )


def _ejection(given: models.Ejection) -> model.Ejection:
    return model.Ejection(
        failures=given.failures,
        errors=given.errors,
        within=given.within,
        out=given.for_,
        most=given.most,
        keep=given.keep,
    )


def _weights(given: dict[str, Decimal], names: tuple[str, ...]) -> model.Weights:
    """Every version in the order of the file; one that is not named has no share."""
    return {name: given.get(name, Decimal(0)) for name in names}


def _version(name: str, given: models.Version) -> model.Version:
    return model.Version(
        name=name,
        backends=tuple(model.Backend(backend.url, backend.weight) for backend in given.backends),
        build=given.build,
        health=model.HealthCheck(**dict(given.health)) if given.health else None,
        tls=_backend_tls(given.tls),
    )


def _backend_tls(given: models.BackendTls) -> model.BackendTls:
    pair = model.KeyPair(given.cert, given.key_) if given.cert and given.key_ else None
    return model.BackendTls(given.ca, given.verify, given.server_name, pair)


def _unit(kind: str, name: str) -> model.UnitSource:
    if kind == "cookie" and not name:
        return model.UnitSource(model.UnitKind.OWN_COOKIE)
    return model.UnitSource(model.UnitKind(kind), name)


def _rule(given: matching.Rule, position: int, names: tuple[str, ...]) -> model.Rule:
    return model.Rule(
        name=given.name or f"rule-{position}",
        when=when_value(given.when),
        to=given.to,
        split=_weights(given.split, names) if given.split is not None else None,
        mirror=mirror(given.mirror),
    )
