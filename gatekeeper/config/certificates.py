"""``tls`` and ``proxy_protocol``: what needs several keys, and whether the files that are named can be used.

Like ``checks`` it reads the tree, so that it speaks even when other keys are wrong.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

from gatekeeper.config.problems import WrongValueError
from gatekeeper.config.tree import KeyPath, Mapping, Node, Report, Scalar, Sequence, shown
from gatekeeper.config.values import BOOLEAN
from gatekeeper.tls.contexts import check_authorities
from gatekeeper.tls.pem import Pair, Part, PemError, examine, read_pem

T = TypeVar("T")

_OF_THE_LISTENER = ("min_version", "client_ca", "client_auth")


def check_certificates(root: Mapping, report: Report, now: float | None) -> None:
    """Report what is wrong with TLS settings and their files; with ``now`` (wall seconds) also what is out of date."""
    trusted = root.get("trusted_proxies")
    trusts = trusted is not None and not (isinstance(trusted, Sequence) and not trusted.items)
    for path, listener in _each(root.get("listen"), ("listen",)):
        if isinstance(listener, Mapping):
            _listener(listener, path, report, now)
            _proxy_protocol(listener, path, report, trusts=trusts)
    services = root.get("services")
    for path, service in _each(services, ("services",)):
        versions = service.get("versions") if isinstance(service, Mapping) else None
        for at, version in _each(versions, (*path, "versions")):
            if isinstance(version, Mapping):
                _version(version, at, report, now)


def _each(node: Node | None, path: KeyPath) -> Iterator[tuple[KeyPath, Node]]:
    if isinstance(node, Mapping):
        for name, entry in node.entries.items():
            yield (*path, name), entry.value
    elif isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield (*path, index), item


def _listener(listener: Mapping, path: KeyPath, report: Report, now: float | None) -> None:
    given = listener.get("tls")
    path = (*path, "tls")
    items = list(_each(given, path)) if isinstance(given, Sequence) else [(path, given)]
    for position, (at, item) in enumerate(items):
        if not isinstance(item, Mapping):
            continue
        _pair(item, at, report, now)
        _file(item, (*at, "client_ca"), report, lambda name: check_authorities(read_pem(name, Part.CA)))
        for name in _OF_THE_LISTENER if position else ():
            entry = item.entries.get(name)
            if entry is not None:
                message = "holds for the whole listener, so it stands in the first certificate of the list"
                report.add(entry.key.place, (*at, name), message)
        auth = item.entries.get("client_auth")
        if auth is not None and "client_ca" not in item.entries:
            message = "needs to know who may have signed the certificates of clients"
            report.add(auth.key.place, (*at, "client_auth"), message, allowed="client_ca beside it")


def _proxy_protocol(listener: Mapping, path: KeyPath, report: Report, *, trusts: bool) -> None:
    wanted, address = listener.get("proxy_protocol"), listener.get("address")
    if not isinstance(wanted, Scalar) or wanted.text.lower() != "true" or trusts:
        return
    if isinstance(address, Scalar) and not address.text.startswith("unix:"):
        message = (
            "would refuse every connection: a PROXY header is believed from trusted_proxies only, and there are none"
        )
        allowed = "trusted_proxies with the addresses of the balancers"
        report.add(wanted.place, (*path, "proxy_protocol"), message, found=shown(wanted), allowed=allowed)


def _version(version: Mapping, path: KeyPath, report: Report, now: float | None) -> None:
    tls = version.entries.get("tls")
    if tls is None or not isinstance(tls.value, Mapping):
        return
    path = (*path, "tls")
    urls = [item.get("url") if isinstance(item, Mapping) else item for _, item in _each(version.get("backends"), ())]
    lone = version.get("backends")
    texts = [node.text.lower() for node in (*urls, lone) if isinstance(node, Scalar)]
    if texts and not any(text.startswith("https:") for text in texts):
        report.add(tls.key.place, path, "none of the backends is https", allowed="https://HOST:PORT in backends")
    verify, ca = tls.value.get("verify"), tls.value.entries.get("ca")
    if ca is not None and isinstance(verify, Scalar) and _text(BOOLEAN.parse, verify) is False:
        report.add(ca.key.place, (*path, "ca"), "means nothing where verify is false", allowed="one of the two")
    else:
        _file(tls.value, (*path, "ca"), report, lambda name: check_authorities(read_pem(name, Part.CA)))
    for one, other in (("cert", "key"), ("key", "cert")):
        entry = tls.value.entries.get(one)
        if entry is not None and other not in tls.value.entries:
            report.add(entry.key.place, (*path, one), f"needs {other} beside it")
    _pair(tls.value, path, report, now, client=True)


def _text(parse: Callable[[str], T], node: Scalar) -> T | None:
    try:
        return parse(node.text)
    except WrongValueError:
        return None


def _pair(item: Mapping, path: KeyPath, report: Report, now: float | None, *, client: bool = False) -> None:
    """Report what is wrong with the files of ``cert`` and ``key``, each where it is named."""
    cert = _file(item, (*path, "cert"), report, lambda name: read_pem(name, Part.CERT))
    key = _file(item, (*path, "key"), report, lambda name: read_pem(name, Part.KEY))
    if cert is None or key is None:
        return
    try:
        facts = examine(Pair(cert, key), client=client)
    except PemError as error:
        _blame(item, error.part.value, path, report, str(error))
        return
    if now is not None and (why := facts.expired(now)):
        _blame(item, "cert", path, report, why)


def _file(item: Mapping, path: KeyPath, report: Report, read: Callable[[str], T]) -> T | None:
    """What ``read`` makes of the file named at ``path``, the last step a key of ``item``; None if it cannot."""
    name = str(path[-1])
    node = item.get(name)
    if not isinstance(node, Scalar) or node.null or not node.text or report.blamed(node):
        return None
    try:
        return read(node.text)
    except PemError as error:
        _blame(item, name, path[:-1], report, str(error))
        return None


def _blame(item: Mapping, name: str, path: KeyPath, report: Report, message: str) -> None:
    node = item.get(name)
    if isinstance(node, Scalar):
        report.add(node.place, (*path, name), message, found=shown(node))
