"""Restoring an earlier revision: all of it comes back, the fewest move, and what belongs to the present stays."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.core.command import (
    Deploy,
    Drain,
    Past,
    PastService,
    Restore,
    Retire,
    Rollback,
    TripVersion,
    apply,
)
from gatekeeper.core.model import Limits, Listener, Settings, State
from gatekeeper.core.split import check
from tests.core.states import (
    ANN,
    NOW,
    definition,
    do,
    essence,
    load,
    past,
    refusal,
    running,
    service,
    shown,
    split_rule,
    split_to,
    start,
    version,
    versions,
    weights,
)


def restore(then: State, only: str | None = None, **options: object) -> Restore:
    return Restore(**ANN, revision=then.revision, past=past(then), service=only, entropy="e", **options)  # type: ignore[arg-type]


def deploy(name: str, backend: str = "http://new:80") -> Deploy:
    return Deploy(**ANN, service="shop", version=version(name, backend))


def test_everything_is_as_it_was_under_a_new_number():
    then = split_to(do(start(service(), service("blog")), deploy("pink")), blue=90, pink=10)
    new = definition(replace(service(), skew=5.0), settings=Settings(limits=Limits(body=5)))
    state = do(load(split_to(then, pink=1), new).state, Retire(**ANN, service="shop", version="green"))
    after = do(state, restore(then), NOW + 9)
    assert after.settings == then.settings
    assert {name: item.definition for name, item in after.services.items()} == {
        name: item.definition for name, item in then.services.items()
    }
    assert running(after).split.weights == running(then).split.weights
    assert (running(after).deployed, running(after).retired) == (running(then).deployed, {})
    assert (after.revision, running(after).revision, running(after).changed_at) == (7, 7, NOW + 9)


def test_everybody_has_the_version_they_had_and_no_page_keeps_another():
    then = split_to(start(), blue=90, green=10)
    after = do(split_to(then, green=1), restore(then))
    assert running(after).split == running(then).split
    assert running(after).superseded == {}
    assert running(after).secret == running(then).secret


def test_the_splits_of_rules_come_back_with_their_people():
    then = start(service(rules=(split_rule("half", blue=1, green=3),)))
    state = load(then, definition(service(rules=(split_rule("half", blue=1, green=0),)))).state
    assert running(do(state, restore(then))).rules == running(then).rules


def test_a_service_that_is_gone_comes_back_and_one_that_was_not_there_goes():
    then = split_to(start(service()), blue=50, green=50)
    state = load(then, definition(service("blog"))).state
    after = do(state, restore(then))
    assert (list(after.services), shown(after)) == (["shop"], {"blue": 50, "green": 50})
    check(running(after).split)
    kept = do(state, restore(then, stored={"shop": running(then)}))
    assert running(kept).secret == running(then).secret
    assert running(kept).split == running(then).split


def test_one_service_alone_leaves_the_others_and_the_settings():
    then = start(service(), service("blog"))
    new = definition(
        replace(service(), skew=5.0), replace(service("blog"), skew=5.0), settings=Settings(limits=Limits(body=5))
    )
    state = load(then, new).state
    after = do(state, restore(then, "shop"))
    assert after.services["shop"].definition.skew == 0.0
    assert after.services["blog"] is state.services["blog"]
    assert after.settings is state.settings


def test_a_restore_of_what_is_changes_nothing():
    state = do(start(), deploy("pink"))
    assert apply(state, restore(state), NOW + 9).state is state
    # Nor is it another deploy because the same one was made at another time.
    again = do(do(state, deploy("pink", "http://newer:80"), NOW + 1), deploy("pink"), NOW + 2)
    assert running(again).deployed != running(state).deployed
    assert apply(again, restore(state), NOW + 9).state is again


def test_settings_that_need_a_restart_stay_as_they_run():
    then = start(settings=Settings(workers=1, listen=("a:1", "b:1"), listeners={"a:1": Listener(proxy_protocol=True)}))
    listen = Settings(workers=2, listen=("b:1", "c:1"), listeners={"b:1": Listener(), "c:1": Listener()})
    state = replace(then, revision=2, settings=replace(listen, limits=Limits(body=5)))
    after = do(state, restore(then)).settings
    assert (after.workers, after.listen, after.limits) == (2, ("b:1", "c:1"), Limits())
    assert after.listeners == {"c:1": Listener()}


def test_a_restore_tells_what_it_restored_and_changed():
    then = start()
    outcome = apply(split_to(then, green=1), restore(then, "shop"), NOW)
    event = outcome.events[0]
    assert (event["kind"], event["restored"], event["service"]) == ("restored", 1, "shop")
    assert [change["path"] for change in event["changes"]] == ["services.shop.split"]


def test_a_rollback_after_a_restore_goes_further_back():
    state = start()
    seen = []
    for green in (1, 10, 50):
        state = split_to(state, blue=100 - green, green=green)
        seen.append(state)
    state = do(state, restore(seen[1]))
    assert shown(do(state, Rollback(**ANN, service="shop"))) == {"blue": 99, "green": 1}


def test_a_restore_forward_again_can_be_undone():
    later = split_to(start(), blue=50, green=50)
    state = do(do(later, restore(start())), restore(later))
    assert shown(state) == {"blue": 50, "green": 50}
    assert shown(do(state, Rollback(**ANN, service="shop"))) == {"blue": 100}


def test_weight_for_a_tripped_version_is_refused_but_not_for_its_old_backends():
    then = split_to(start(), blue=50, green=50)
    trip = TripVersion(actor="g", service="shop", version="green", reason="errors")
    refused = refusal(do(then, trip), restore(then))
    assert (refused.status, refused.code) == (409, "tripped")
    state = do(do(then, deploy("green")), trip)
    after = do(state, restore(then))
    assert (shown(after), running(after).tripped) == ({"blue": 50, "green": 50}, {})


def test_a_drain_goes_on_unless_the_version_gets_weight():
    then = split_to(start(), blue=50, green=50)
    state = do(do(then, Drain(**ANN, service="shop", version="green", seconds=9.0)), deploy("pink"))
    assert list(running(do(state, restore(start()))).draining) == ["green"]
    assert running(do(state, restore(then))).draining == {}


def test_what_the_history_does_not_have_is_refused():
    state = start()
    refused = refusal(state, Restore(**ANN, revision=77, entropy="e"))
    assert (refused.status, refused.code) == (404, "unknown_revision")
    assert "revision 77" in refused.detail
    alone = load(state, definition(service("blog"))).state
    assert refusal(alone, restore(state, "blog")).code == "unknown_revision"
    refused = refusal(state, restore(state, "shpo"))
    assert refused.code == "unknown_service"
    assert "did you mean shop?" in refused.detail


WEIGHTS_ONLY = Past(None, {"shop": PastService(None, weights(blue=1, green=1, pink=2))})


def test_where_only_weights_were_kept_the_weights_come_back():
    state = do(start(), deploy("pink"))
    after = do(state, Restore(**ANN, revision=1, past=WEIGHTS_ONLY, entropy="e"))
    assert shown(after) == {"blue": 1, "green": 1, "pink": 2}
    assert after.services["shop"].definition is state.services["shop"].definition
    assert running(after).deployed == running(state).deployed
    assert shown(do(start(), Restore(**ANN, revision=1, past=WEIGHTS_ONLY, entropy="e"))) == {"blue": 1, "green": 1}


def test_what_was_not_kept_and_is_not_there_cannot_come_back():
    state = start(service("blog"))
    refused = refusal(state, Restore(**ANN, revision=1, past=WEIGHTS_ONLY, entropy="e"))
    assert (refused.status, refused.code) == (409, "definition_not_kept")
    gone = Past(None, {"blog": PastService(None, {"pink": Decimal(1)})})
    assert refusal(state, Restore(**ANN, revision=1, past=gone, entropy="e")).code == "nothing_left"


@pytest.mark.parametrize("hosts", [("www.example.com",), ()])
def test_one_service_is_not_restored_to_the_address_of_another(hosts):
    then = start(service(hosts=hosts, path_prefix="/a/"))
    state = load(then, definition(service(), service("blog", hosts=hosts, path_prefix="/a"))).state
    refused = refusal(state, restore(then, "shop"))
    assert (refused.status, refused.code) == (409, "same_front")
    assert list(do(state, restore(then)).services) == ["shop"]


def test_a_restored_retirement_is_one_again():
    then = do(start(), Retire(**ANN, service="shop", version="green"))
    after = do(do(then, deploy("green")), restore(then))
    assert versions(after) == ["blue", "red"]
    assert essence(after)[1]["shop"].running.retired == running(then).retired
    assert load(after, definition()).state is after
