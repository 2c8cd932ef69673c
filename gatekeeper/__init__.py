"""Gatekeeper: a reverse proxy that makes release an act of its own."""

from importlib.machinery import ExtensionFileLoader, PathFinder
from typing import Final

__version__ = "0.1.0"

_exchange = PathFinder.find_spec("exchange", [f"{__path__[0]}/dataplane"])
COMPILED: Final = _exchange is not None and isinstance(_exchange.loader, ExtensionFileLoader)
"""Whether requests are served by compiled modules, see setup.py; else by the same source as Python."""
