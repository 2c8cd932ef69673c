"""Whether browsers and other clients may ask for flags at a service's own address, as a model of the file."""

from typing import Annotated

from gatekeeper.config.addresses import API_ADDRESS, PREFIX
from gatekeeper.config.base import Many, Model, key
from gatekeeper.config.problems import WrongValueError
from gatekeeper.config.values import Reads, whole
from gatekeeper.core import model

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def _origin(text: str) -> str:
    """An origin in the form in which browsers send it (RFC 6454 section 6.2), or ``*``."""
    if text == "*":
        return text
    address: str = API_ADDRESS.parse(text)
    scheme, _, authority = address.partition("://")
    if "/" in authority:
        raise WrongValueError("has a path", suggestion=f"{scheme}://{authority.partition('/')[0]}")
    return f"{scheme}://{authority.lower().removesuffix(_DEFAULT_PORTS[scheme])}"


ORIGIN = Reads(_origin, "http:// or https:// and HOST, with its port if it has one; or *", {"type": "string"})


class Ofrep(Model):
    """The OFREP protocol for the service's own clients."""

    path: Annotated[str, PREFIX] = key("/ofrep", "Below the service's path_prefix: where the protocol's paths begin.")
    origins: Annotated[tuple[Annotated[str, ORIGIN], ...], Many(0, 64, unique=str)] = key(
        [], "Other origins whose pages may ask (CORS); *: all, without their users' cookies."
    )
    rate: Annotated[int, whole(1, 1_000_000)] = key(200, "Requests answered in a second; further ones get a 429.")


def value(given: Ofrep) -> model.Ofrep:
    return model.Ofrep(given.path, given.origins, given.rate)
