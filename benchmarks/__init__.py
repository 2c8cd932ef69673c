"""Gatekeeper measured beside other proxies. See README.md in this folder."""
