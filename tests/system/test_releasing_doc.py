"""The walk-through of docs/releasing.md does what it says, to the letter."""

import pytest

from tests.system import walkthrough
from tests.system.walkthrough import Typed, blocks, differences, followed, rewritten, settled

pytestmark = pytest.mark.system

SMALL = """\
Some words.

Save as `hello.sh`, which greets:

```sh
#!/bin/sh
echo hello on 8080
```

```console
$ sh hello.sh
hello on 8080
$ for name in a b
> do echo $name; done
a
b
```
"""


@pytest.mark.outside("curl", "bash")
def test_whoever_follows_the_document_sees_what_it_shows(tmp_path, free_ports):
    verbs = ("deploy", "verify", "release start", "release approve", "release show", "release report", "rollback")
    typed = followed("releasing.md", tmp_path, free_ports)
    assert [verb for verb in verbs if f"gatekeeper {verb}" not in typed] == []


@pytest.mark.outside("bash")
def test_an_output_that_is_not_as_the_document_shows_it_is_found(tmp_path):
    assert differences(walkthrough.run(SMALL, tmp_path, {8080: 23999})) == ""
    found = walkthrough.run(SMALL.replace("\nb\n```", "\nc\n```"), tmp_path, {8080: 23999})
    assert "-c\n+b" in differences(found)
    assert rewritten(SMALL.replace("\nb\n```", "\nc\n```"), found) == SMALL


@pytest.mark.outside("bash")
def test_a_command_that_fails_is_found_unless_the_document_asks_for_its_code(tmp_path):
    with pytest.raises(AssertionError, match="exit 1"):
        walkthrough.run("```console\n$ false\n```\n", tmp_path, {})
    assert differences(walkthrough.run("```console\n$ false\n$ echo $?\n1\n```\n", tmp_path, {})) == ""


def test_only_what_is_to_be_done_is_taken_from_a_document():
    saved, typed = blocks(SMALL + "\n```yaml\nnot: saved\n```\n")
    assert (saved.file, saved.text) == ("hello.sh", "#!/bin/sh\necho hello on 8080\n")
    assert [each.command for each in typed.typed] == ["sh hello.sh", "for name in a b\ndo echo $name; done"]
    assert Typed("sh hello.sh", "hello on 8080\n") == typed.typed[0]


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("taken up by 2 of 2 workers in 3.4 ms", "taken up by 2 of 2 workers in 12 ms"),
        ("at 2026-11-23 14:05:00+01:00", "at 2027-01-01 00:00:01+00:00"),
        ("14:05:10 - 14:05:15", "Tue 2026-12-01 00:00:01 - 00:00:06"),
        ("    190 blue", "     87 blue"),
    ],
)
def test_what_is_another_in_every_run_makes_no_difference(here, there):
    assert settled(here) == settled(there)


def test_what_counts_makes_one():
    for here, there in (("green=10", "green=50"), ("step 1 of 3", "step 2 of 3"), ("promoted", "rolled back")):
        assert settled(here) != settled(there)
