"""A file with many mistakes reports every one of them in one go, in the order of the file."""

from decimal import Decimal

import pytest
import yaml

from gatekeeper.config import ConfigError, load_file, load_text
from gatekeeper.config.tree import MAX_PROBLEMS

TWELVE = """\
listen: ["0.0.0.0:80800"]
lgo: {access: json}
workers: many
services:
  shop:
    hosts: [shop.example.com]
    strip_prefix: yes
    versions:
      blue: {backends: ["127.0.0.1:9001"]}
      green: {backend: ["http://127.0.0.1:9002"]}
      green: {backends: ["http://127.0.0.1:9003"]}
    stable: bleu
    split: {blue: ten, gren: 1}
    timeouts:
      connect: 5
    mirror: {to: green}
  search:
    hosts: [SHOP.example.com]
    versions: {v1: {backends: ["http://127.0.0.1:9004"]}}
"""

EXPECTED = [
    (1, 10, "listen[0]", "has no valid port", ""),
    (2, 1, "lgo", "unknown key", "log"),
    (3, 10, "workers", "is not a whole number", ""),
    (7, 19, "services.shop.strip_prefix", "a bare yes, no, on or off is ambiguous", ""),
    (9, 25, "services.shop.versions.blue.backends[0]", "has no scheme", "http://127.0.0.1:9001"),
    (10, 15, "services.shop.versions.green.backend", "unknown key", "backends"),
    (11, 7, "services.shop.versions.green", "this key is here twice", ""),
    (12, 13, "services.shop.stable", "there is no such version", "blue"),
    (13, 19, "services.shop.split.blue", "is not a weight", ""),
    (13, 24, "services.shop.split.gren", "there is no such version", "green"),
    (15, 16, "services.shop.timeouts.connect", "needs a unit", "5s"),
    (16, 5, "services.shop.mirror.percent", "is required and missing", ""),
    (
        18,
        13,
        "services.search.hosts[0]",
        "the service shop (FILE:5) answers to this host with the same path_prefix",
        "",
    ),
]


@pytest.mark.parametrize("parser", ["libyaml", "python"])
def test_every_mistake_of_a_file_is_reported_with_its_place(tmp_path, monkeypatch, parser):
    if parser == "python":
        monkeypatch.setattr(yaml, "CSafeLoader", yaml.SafeLoader)
    path = tmp_path / "gk.yaml"
    path.write_text(TWELVE)
    with pytest.raises(ConfigError) as caught:
        load_file(path)
    found = [(p.line, p.column, p.path, p.message, p.suggestion) for p in caught.value.problems]
    assert found == [(*rest, message.replace("FILE", str(path)), near) for *rest, message, near in EXPECTED]
    assert {problem.file for problem in caught.value.problems} == {str(path)}


def test_a_problem_reads_as_one_line_with_place_found_allowed_and_suggestion(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_text(TWELVE, "gk.yaml", tmp_path)
    assert str(caught.value).splitlines()[7] == (
        "gk.yaml:12: services.shop.stable: there is no such version "
        '(found "bleu"; allowed: blue, green; did you mean blue?)'
    )
    assert len(str(caught.value).splitlines()) == len(EXPECTED)


def test_the_listing_is_bounded(tmp_path):
    text = "services: {s: {versions: {v: {backends: 'http://h'}}, hosts: [" + "'/'," * (MAX_PROBLEMS // 2) + "]},"
    text += ",".join(f"t{n}: 1" for n in range(MAX_PROBLEMS)) + "}"
    with pytest.raises(ConfigError) as caught:
        load_text(text, "gk.yaml", tmp_path)
    assert len(caught.value.problems) == MAX_PROBLEMS + 1
    assert caught.value.problems[-1].message == f"{MAX_PROBLEMS // 2} more problems are not listed"


def test_a_found_value_is_shortened_and_cannot_drive_a_terminal(problems):
    found = problems('stable: "' + "\\u001b]0;x\\u0007\\u009b" + "a" * 200 + '"')[0].found
    assert len(found) < 110
    assert found.startswith('"\\u001b]0;x\\u0007\\u009baaa')


def test_a_good_file_has_no_problem_after_all_mistakes_are_mended(tmp_path):
    text = """\
listen: ["0.0.0.0:8080"]
log: {access: json}
workers: 2
services:
  shop:
    hosts: [shop.example.com]
    strip_prefix: true
    versions:
      blue: {backends: ["http://127.0.0.1:9001"]}
      green: {backends: ["http://127.0.0.1:9002"]}
    stable: blue
    split: {blue: 10, green: 1}
    timeouts:
      connect: 5s
  search:
    hosts: [search.example.com]
    versions: {v1: {backends: ["http://127.0.0.1:9004"]}}
"""
    services = load_text(text, "gk.yaml", tmp_path).services
    assert services["shop"].split == {"blue": Decimal(10), "green": Decimal(1)}
