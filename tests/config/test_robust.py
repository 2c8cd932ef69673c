"""Whatever a file holds, loading ends: in a definition or in problems with places."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.config import ConfigError, load_text
from gatekeeper.core import model

TEXT = """\
listen: [{address: ":80"}, "unix:/a"]
admin: {http: "127.0.0.1:9900"}
limits: {body: 1MiB}
plans: {p: {verify: [http: /, {command: {run: [./a, "{url}"]}}], start: {at: 2026-03-29T02:30, timezone: Europe/Berlin}, steps: [{weight: 5%, hold: 1m}, {weight: 100, approve: {groups: [a]}}]}}
releases: {all: {services: [shop, other], plan: p}}
freeze: [{from: 2026-12-20T00:00Z, days: [fri-sun], hours: "22:00-06:00", timezone: UTC}]
notify: [{url: "http://h/x", secret: 0123456789abcdef, events: tripped}]
services:
  shop: &shop
    plan: p
    hosts: [a.example, "*.b.example"]
    versions: {blue: {backends: ["http://h:1", {url: "http://h:2", weight: 2}], health: {status: [200]}}, green: &g {backends: 'unix:/x'}}
    split: {blue: 99.5, green: 0.5}
    sticky: {by: ["header:X", cookie], mode: pin}
    rules: [{name: r, when: {header: {A: {regex: "^a"}}, path: {prefix: /v2}, method: [GET]}, to: green}]
    timeouts: {connect: 1s}
  other: {<<: *shop, hosts: c}
"""  # noqa: E501 - one line per key keeps cuts interesting
PIECES = st.sampled_from(
    [*"[]{}:,-&*!|>'\"%@`#\n \t", "${", "yes", "~", "<<: *shop", "*g", "null", ": ", "\u2028", "1e9", "é"]
)
EDITS = st.lists(st.tuples(st.integers(0, len(TEXT)), st.integers(0, 12), PIECES | st.text(max_size=3)), max_size=6)


def outcome(text):
    """Loads; checks that what is not a definition is a list of problems with places."""
    try:
        assert isinstance(load_text(text, "x", "/nonexistent"), model.Definition)
    except ConfigError as error:
        assert error.problems  # noqa: PT017 - either outcome is right
        for problem in error.problems:
            assert problem.file == "x"
            assert problem.line >= 1
            assert problem.column >= 1
            assert "\n" not in str(problem)


@settings(max_examples=300, deadline=None)
@given(EDITS)
def test_a_damaged_file_gives_problems_and_nothing_else(edits):
    text = TEXT
    for at, length, piece in edits:
        text = text[:at] + piece + text[at + length :]
    outcome(text)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_file_give_problems_and_nothing_else(data):
    outcome(data)


PARTS = [
    *("versions", "rules", "when", "to", "split", "backends", "url", "path", "a", "verify", "steps", "weight", "hold"),
    *("start", "at", "window", "days", "hours", "timezone", "from", "until", "command", "run", "http", "services"),
    *("plan", "secret", "events", "approve", "groups"),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(PARTS),
            inner,
        )
    ),
    max_leaves=12,
)
KEYS = ["hosts", "versions", "stable", "split", "sticky", "rules", "testers", "timeouts", "retries", "path_prefix"]
KEYS += ["plan", "freeze"]
TOP = ["services", "listen", "admin", "log", "plans", "releases", "freeze", "notify"]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES), st.sampled_from(TOP), VALUES)
def test_values_of_any_shape_give_problems_and_nothing_else(service, key, value):
    import json

    outcome(json.dumps({"services": {"s": service}, key: value}))
