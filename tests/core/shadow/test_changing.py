"""A mirror is a part of the definition: it follows the file, moves nobody, and its differences are named."""

from dataclasses import replace

from gatekeeper.core.command import Reload, Retire, SetSplit, apply, initial_state
from gatekeeper.core.model import Definition, Service, Settings, State
from gatekeeper.core.release.changes import compare_releasing
from gatekeeper.core.release.plan import Check, MirrorCheck, Releasing
from gatekeeper.core.routing import compile as compiled
from gatekeeper.core.shadow.model import Compare, Mirror
from tests.core.releases import plan
from tests.core.states import NOW, SALT, service, weights

MIRROR = Mirror("green", 5.0)
SLOTS = {"shop": {"blue": 2, "green": 3, "red": 4}}


def definition(of: Service) -> Definition:
    return Definition(Settings(), {"shop": of})


def reloaded(state: State, of: Service):
    return apply(state, Reload(actor="ann", definition=definition(of), entropy="ab" * 32), NOW)


def started(of: Service) -> State:
    return initial_state(definition(of), {}, 1, "entropy", NOW)[0]


def test_a_reload_takes_up_a_mirror_keeps_the_split_and_names_what_is_different():
    state = apply(
        started(service()), SetSplit(actor="ann", service="shop", weights=weights(blue=9, green=1), salt=SALT), NOW
    ).state
    first = reloaded(state, service(mirror=MIRROR))
    assert first.state.services["shop"].running.split == state.services["shop"].running.split
    assert [change.path for change in first.changes] == ["services.shop.mirror"]
    other = replace(MIRROR, percent=6.0, compare=Compare(ignore=("$.a",)))
    second = reloaded(first.state, service(mirror=other))
    assert [change.path for change in second.changes] == [
        "services.shop.mirror.percent",
        "services.shop.mirror.compare",
    ]
    assert reloaded(second.state, service()).state.services["shop"].definition.mirror is None


def test_a_table_has_what_is_mirrored_and_takes_over_services_that_did_not_change():
    state = started(service(mirror=MIRROR))
    table = compiled(state, SLOTS)
    found = table.services["shop"].mirrors
    assert found is not None
    assert found[None].mirror == MIRROR
    assert compiled(started(service()), SLOTS).services["shop"].mirrors is None
    assert compiled(replace(state, revision=2), SLOTS, table).services["shop"] is table.services["shop"]


def test_a_mirror_keeps_nobody_from_retiring_its_version_and_copies_nothing_then():
    state = apply(started(service(mirror=MIRROR)), Retire(actor="ann", service="shop", version="green"), NOW).state
    assert compiled(state, SLOTS).services["shop"].mirrors is None


def test_a_check_is_shown_in_the_words_of_the_file():
    check = Check(mirror=MirrorCheck(Mirror("", 5.0), 600.0, 0.001, 100))
    changed = compare_releasing(Releasing({"careful": plan()}), Releasing({"careful": plan(verify=(check,))}))
    ((found,),) = [change.after for change in changed]
    words = found["mirror"]
    assert (words["percent"], words["for"], words["max_different"], words["at_least"]) == (5.0, 600.0, 0.1, 100)
    assert "to" not in words
