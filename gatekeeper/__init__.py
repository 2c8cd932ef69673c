"""Gatekeeper: a reverse proxy that makes release an act of its own."""

__version__ = "0.1.0"
