"""What a PromQL expression names: metrics, labels, values. Enough of the language for the files in deploy/."""

import re
from typing import NamedTuple

NAME = re.compile(r"(?<![\w$])(?:[a-z_]+:)?gatekeeper_\w+(?::\w+)*|(?<![\w$])up(?=\{)")
MATCHERS = re.compile(r"\{([^{}]*)\}")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
TEMPLATE = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")

TARGET = {"job", "instance"}
"""What Prometheus adds to all that it scrapes."""


class Use(NamedTuple):
    """One metric as it is used: its name and what is asked of its labels."""

    metric: str
    matchers: list[tuple[str, str, str]]


def uses(expr):
    found = []
    for match in NAME.finditer(expr):
        inside = MATCHERS.match(expr, match.end())
        found.append(Use(match[0], MATCHER.findall(inside[1]) if inside else []))
    return found


def groupings(expr):
    """Labels that an expression groups or joins by."""
    return {label for _, inside in GROUPING.findall(expr) for label in re.findall(r"\w+", inside)}


def templated(text):
    """Labels that a text for people names."""
    return set(TEMPLATE.findall(text))
