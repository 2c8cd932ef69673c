"""Rollbacks where there is a release: during it, after it, and when there is nothing left to go back to."""

from dataclasses import replace

import pytest

from gatekeeper.core.command import Deploy, Drain, Retire, Rollback, SetSplit, apply
from gatekeeper.core.model import Promoted, Releasing
from gatekeeper.core.release.model import ReleaseState
from gatekeeper.core.release.plan import DIRECT, Freeze, Window
from gatekeeper.core.split import bounds
from tests.core.releases import HEALTHZ, World, asked, plan
from tests.core.states import ANN, NOW, SALT, refusal, running, service, split_to, start, version, weights

S = ReleaseState
BACK = Rollback(actor="ann", service="shop")


def both(by=None) -> World:
    return World().begin(by=by or plan(), services={"shop": "green", "cart": "green"})


def split(world: World, **numbers: float) -> None:
    world.do(SetSplit(**ANN, service="shop", weights=weights(**numbers), salt=SALT))


def test_a_rollback_of_one_service_takes_the_release_of_all_back_in_one_revision():
    world = both()
    world.later(60)
    world.do(Rollback(actor="ann", service="cart", note="bad"))
    assert (world.release.state, world.release.reason) == (S.ROLLED_BACK, "rolled back by ann: bad")
    for name in ("shop", "cart"):
        assert (world.weight("blue", name), world.weight("green", name)) == (100, 0)
        assert running(world.state, name).revision == world.state.revision


def test_a_rollback_twice_does_not_go_further_back():
    world = World(split_to(start(service(), service("cart")), blue=60, red=40)).begin()
    world.do(BACK)
    before = world.state
    assert world.do(BACK).state is before
    assert (world.weight("blue"), world.weight("red")) == (60, 40)


def test_a_rollback_after_a_release_that_nobody_saw_undoes_nothing_else():
    world = World(split_to(start(service(), service("cart")), blue=60, red=40)).begin(by=plan(verify=(HEALTHZ,)))
    world.check(passed=False)
    before = world.state
    assert world.do(BACK).state is before


def test_a_change_after_a_release_that_ended_can_be_rolled_back():
    world = World().begin()
    world.act("abort")
    split(world, blue=60, red=40)
    world.do(BACK)
    assert world.weight("blue") == 100


def test_a_rollback_waits_for_nothing():
    never = Window((), 0, 60)
    world = World().begin(by=plan())
    by = plan((10, 0), (100, 0), window=never, approve=asked("product"))
    world.state = replace(world.state, releases={2: replace(world.release, plan=by)})
    world.says(Releasing(freezes=(Freeze("for ever"),)))
    world.do(BACK)
    assert (world.release.state, world.weight("blue")) == (S.ROLLED_BACK, 100)


def test_after_the_promotion_the_old_version_comes_back_with_stable_in_all_services():
    world = both(DIRECT)
    assert [world.stable(name) for name in ("shop", "cart")] == ["green", "green"]
    world.do(BACK)
    assert world.release.state is S.ROLLED_BACK
    for name in ("shop", "cart"):
        assert (world.weight("blue", name), world.stable(name)) == (100, "blue")
        assert running(world.state, name).promoted is None
        assert running(world.state, name).undo == ()
    assert not world.release.retained


def test_while_it_is_retained_a_rollback_means_the_old_version_whatever_was_set_since():
    world = World().begin(by=DIRECT)
    split(world, green=90, red=10)
    world.do(BACK)
    assert (world.weight("blue"), world.weight("red"), world.stable()) == (100, 0, "blue")


def test_when_it_is_not_retained_any_longer_a_rollback_takes_back_the_last_change_of_one_service_with_its_stable():
    """It is not refused while there is anything to take back; but the release is over, and stays what it came to."""
    world = both(plan((100, 0), retain=10.0))
    world.later(10)
    assert not world.release.retained
    world.do(BACK)
    assert (world.weight("blue"), world.stable()) == (100, "blue")
    assert world.told[0]["kind"] == "rollback"
    assert (world.stable("cart"), world.release.state) == ("green", S.PROMOTED)
    assert world.release.log[-1].event == "retention_over"


def test_when_it_is_not_retained_a_later_change_is_taken_back_first():
    world = World().begin(by=plan((100, 0), retain=10.0))
    world.later(10)
    split(world, green=90, red=10)
    world.do(BACK)
    assert (world.weight("green"), world.stable()) == (100, "green")
    world.do(BACK)
    assert (world.weight("blue"), world.stable()) == (100, "blue")


def test_after_a_promotion_was_taken_back_so_the_next_rollback_goes_further():
    world = World(split_to(start(service(), service("cart")), blue=60, red=40)).begin(by=plan((100, 0), retain=0.0))
    world.do(BACK)
    assert (world.weight("blue"), world.weight("red")) == (60, 40)
    world.do(BACK)
    assert world.weight("blue") == 100


def test_the_old_version_deployed_anew_is_another_one_and_no_rollback_gives_it_anybody():
    world = World().begin(by=DIRECT)
    world.do(Deploy(**ANN, service="shop", version=version("blue", "http://next:1")))
    assert not world.release.retained
    refused = refusal(world.state, BACK)
    assert refused.code == "nothing_to_undo"
    assert (world.weight("green"), world.weight("blue"), world.stable()) == (100, 0, "green")


def test_also_once_the_retention_is_over_it_is_another_one():
    world = World().begin(by=plan((100, 0), retain=0.0))
    world.do(Deploy(**ANN, service="shop", version=version("blue", "http://next:1")))
    assert refusal(world.state, BACK).code == "nothing_to_undo"


def test_a_build_that_nobody_has_seen_does_not_become_stable_by_a_rollback():
    world = World(split_to(start(service(), service("cart")), blue=60, red=40)).begin(by=plan((100, 0), retain=0.0))
    world.do(Deploy(**ANN, service="shop", version=version("blue", "http://next:1")))
    world.do(BACK)
    assert (world.weight("green"), world.weight("red"), world.weight("blue")) == (60, 40, 0)
    assert world.stable() == "green"


def test_the_same_build_deployed_again_elsewhere_is_the_same():
    world = World()
    world.do(Deploy(**ANN, service="shop", version=version("blue", "http://a:1", build="7")))
    world.begin(by=DIRECT)
    world.do(Deploy(**ANN, service="shop", version=version("blue", "http://b:1", build="7")))
    assert world.release.retained
    world.do(BACK)
    assert (world.weight("blue"), world.stable()) == (100, "blue")


def test_the_old_version_that_was_retired_cannot_come_back():
    world = World().begin(by=DIRECT)
    world.do(Retire(**ANN, service="shop", version="blue"))
    assert refusal(world.state, BACK).code == "nothing_to_undo"


def test_of_two_services_one_old_version_that_goes_ends_what_is_retained_of_both():
    world = both(DIRECT)
    world.do(Retire(**ANN, service="cart", version="blue"))
    world.do(BACK)
    assert (world.stable("shop"), world.weight("blue", "shop")) == ("blue", 100)
    assert (world.stable("cart"), world.weight("green", "cart")) == ("green", 100)


def test_a_second_release_has_the_first_one_as_what_it_goes_back_to():
    world = World().begin(by=DIRECT)
    world.begin("red", by=DIRECT)
    assert running(world.state).promoted == Promoted("red", "blue")
    world.do(BACK)
    assert (world.weight("green"), world.stable()) == (100, "green")
    assert running(world.state).promoted == Promoted("green", "blue")


def test_promoting_what_the_file_calls_stable_leaves_nothing_over_the_file():
    world = World().begin(by=DIRECT)
    world.begin("blue", by=DIRECT)
    assert (world.stable(), running(world.state).promoted) == ("blue", None)


# To a named revision


def test_a_rollback_to_a_revision_before_the_release_ends_it_and_gives_the_weights_of_then():
    state = split_to(start(service(), service("cart")), blue=60, red=40)
    world = World(state).begin(services={"shop": "green", "cart": "green"})
    world.do(Rollback(actor="ann", service="shop", to_revision=1, weights=weights(blue=100)))
    assert world.release.state is S.ROLLED_BACK
    assert (world.weight("blue"), world.weight("red"), world.weight("green")) == (100, 0, 0)
    assert (world.weight("blue", "cart"), world.weight("green", "cart")) == (100, 0)
    assert world.told[-1]["splits"]["shop"]["after"] == {"blue": 100, "green": 0, "red": 0}


def test_a_rollback_does_not_go_to_a_revision_in_which_the_candidate_had_weight():
    world = World().begin()
    world.later(60)
    command = Rollback(actor="ann", service="shop", to_revision=2, weights=weights(blue=90, green=10))
    refused = refusal(world.state, command)
    assert refused.code == "release_active"
    assert "gatekeeper rollback shop" in refused.allowed


def test_a_rollback_to_before_a_promotion_takes_the_whole_release_back():
    world = both(DIRECT)
    world.do(Rollback(actor="ann", service="shop", to_revision=1, weights=weights(blue=100)))
    assert world.release.state is S.ROLLED_BACK
    assert [world.stable(name) for name in ("shop", "cart")] == ["blue", "blue"]


def test_a_rollback_to_after_the_promotion_leaves_what_is_stable():
    world = World().begin(by=DIRECT)
    split(world, green=90, red=10)
    world.do(Rollback(actor="ann", service="shop", to_revision=2, weights=weights(green=100)))
    assert (world.stable(), world.weight(), world.release.retained) == ("green", 100, True)


def test_a_rollback_to_before_a_promotion_that_is_over_brings_its_stable_too():
    world = World().begin(by=plan((100, 0), retain=0.0))
    world.begin("red", by=plan((100, 0), retain=0.0))
    world.do(Rollback(actor="ann", service="shop", to_revision=1, weights=weights(blue=100)))
    assert (world.stable(), world.weight("blue")) == ("blue", 100)


def test_a_rollback_to_weights_that_the_promoted_version_had_once_leaves_it_promoted():
    world = World().begin(by=DIRECT)
    world.begin("blue", by=DIRECT)
    before = world.state
    command = Rollback(actor="ann", service="shop", to_revision=1, weights=weights(blue=100))
    assert world.do(command).state is before
    assert (world.release.state, world.stable()) == (S.PROMOTED, "blue")


@pytest.mark.parametrize("name", ["blue", "red"])
def test_a_drain_in_a_release_is_not_taken_back_with_it(name):
    world = World(split_to(start(service(), service("cart")), blue=60, red=40)).begin()
    if name == "blue":
        assert refusal(world.state, Drain(**ANN, service="shop", version="blue", seconds=9)).code == "version_is_stable"
        return
    world.do(Drain(**ANN, service="shop", version="red", seconds=9))
    world.do(BACK)
    assert (world.weight("blue"), world.weight("red")) == (100, 0)
    assert "red" in running(world.state).draining


def test_everybody_has_what_they_had_before_after_any_number_of_steps():
    before = split_to(split_to(start(service(), service("cart")), blue=60, red=40), blue=50, red=50)
    world = World(before).begin(by=plan((1, 1), (10, 1), (50, 1), (20, 1), (100, 60)))
    for _ in range(4):
        world.later(1)
    assert world.weight() == 100
    world.do(BACK)
    assert bounds(running(world.state).split) == bounds(running(before).split)
    assert running(world.state).undo == running(before).undo
    assert apply(world.state, BACK, NOW).state is world.state
