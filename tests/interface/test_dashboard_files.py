"""The dashboard's files: what is vendored is untouched, what is ours keeps to the policy, nothing asks elsewhere."""

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "gatekeeper" / "interface" / "dashboard"
VENDOR = ROOT / "vendor"
OURS = sorted(path for path in ROOT.rglob("*") if path.is_file() and VENDOR not in path.parents)
SCRIPTS = [path for path in OURS if path.suffix == ".js"]
STYLES = [path for path in OURS if path.suffix == ".css"]
LONGEST_FILE = 400

# uPlot 1.6.32 as the npm package `uplot` has it. Another version brings other sums, all of them.
UNTOUCHED = {
    "uplot/LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    "uplot/uPlot.esm.js": "5dd9b3281aa64b461b42d9945f6adb2649d346502b12281a9ae0d46599a80eba",
    "uplot/uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc|setHTML"
    r"|\beval\b|new Function|setTimeout\(\s*[\"'`]|javascript:|\.setAttribute\(\s*[\"'](?:on|style)"
)
"""Ways by which a text could become more than a text."""
ELSEWHERE = re.compile(r"(?:https?|wss?):(?!//www\.w3\.org/2000/svg)//(?!\$\{)|[\"'(]//[a-z]")
"""An address of another host; the name space of SVG is only a name, and a link may be built for a person to copy."""
IMPORT = re.compile(r"^(?:import|export) .*?from \"([^\"]+)\";", re.MULTILINE)


def name(path):
    return str(path.relative_to(ROOT))


def test_what_is_vendored_is_as_it_was_published_and_its_licence_lies_beside_it():
    found = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file()
    }
    assert found == UNTOUCHED
    assert "MIT License" in (VENDOR / "uplot" / "LICENSE").read_text()


@pytest.mark.parametrize("path", [*SCRIPTS, *STYLES, ROOT / "index.html"], ids=name)
def test_no_file_makes_markup_of_texts_or_asks_another_host(path):
    text = path.read_text()
    assert MARKUP.findall(text) == []
    assert ELSEWHERE.findall(text) == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("place.innerHTML = note", MARKUP),
        ("element.setAttribute('style', x)", MARKUP),
        ('setTimeout("go()", 1)', MARKUP),
        ('import x from "https://cdn.example/x.js"', ELSEWHERE),
        ("url(//cdn.example/font.woff2)", ELSEWHERE),
    ],
)
def test_the_rules_themselves_tell_wrong_from_right(text, rule):
    assert rule.search(text)


def test_the_page_holds_nothing_that_its_policy_forbids():
    """No script, style or handler within the page; all it asks for are files that are there."""
    page = (ROOT / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|\sstyle=", page) == []
    asked = re.findall(r"(?:src|href)=\"([^\"]+)\"", page)
    assert asked
    assert [url for url in asked if not (ROOT / url.removeprefix("assets/")).is_file()] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_a_module_is_one_noun_and_imports_only_what_is_there(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    missing = [found for found in IMPORT.findall(text) if not (path.parent / found).resolve().is_file()]
    assert missing == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_what_a_module_imports_it_uses_and_names_that_the_other_module_exports(path):
    text = path.read_text()
    for names, where in re.findall(r"^import \{([^}]+)\} from \"([^\"]+)\";", text, re.MULTILINE):
        other = (path.parent / where).resolve().read_text()
        for each in names.split(","):
            exported, _, local = each.strip().partition(" as ")
            assert re.search(rf"^export (?:async )?(?:const|let|function|class) {exported}\b", other, re.MULTILINE), (
                each
            )
            assert len(re.findall(rf"\b{local or exported}\b", text)) > 1, f"{each.strip()} is imported for nothing"


def test_every_module_and_sheet_is_reached_from_the_page():
    """A file that nothing asks for would be dead weight."""
    page = (ROOT / "index.html").read_text()
    seen = {ROOT / url.removeprefix("assets/") for url in re.findall(r"(?:src|href)=\"([^\"]+)\"", page)}
    waiting = [path for path in seen if path.suffix == ".js"]
    while waiting:
        path = waiting.pop()
        found = {(path.parent / where).resolve() for where in IMPORT.findall(path.read_text())} - seen
        seen |= found
        waiting.extend(found)
    assert [name(path) for path in [*SCRIPTS, *STYLES] if path not in seen] == []
