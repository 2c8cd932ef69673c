"""The file: read as a whole, every mistake at once with its place."""

from gatekeeper.config.load import load_file, load_text
from gatekeeper.config.problems import ConfigError, Problem
from gatekeeper.config.schema import json_schema

__all__ = ["ConfigError", "Problem", "json_schema", "load_file", "load_text"]
