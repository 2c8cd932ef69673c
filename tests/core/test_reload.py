"""A new definition keeps what runs, changes what it says, shows the difference, and applies whole or not at all."""

import json
from dataclasses import fields, replace
from decimal import Decimal

import pytest

from gatekeeper.core import model
from gatekeeper.core.codec import dump
from gatekeeper.core.command import Outcome, Refused, Reload, Rollback, SetSplit, apply, initial_state
from gatekeeper.core.model import (
    Backend,
    Definition,
    HealthCheck,
    Limits,
    OnUnavailable,
    Pattern,
    PatternKind,
    Retries,
    Rule,
    Running,
    Service,
    ServiceState,
    Settings,
    State,
    Sticky,
    StickyMode,
    Timeouts,
    Version,
    When,
)
from gatekeeper.core.split import SplitError, bounds, check, lengths

SALT = "5a" * 16
NOW = 1_700_000_000.0


def weights(**numbers: float | str) -> dict[str, Decimal]:
    return {name: Decimal(str(number)) for name, number in numbers.items()}


def version(name: str) -> Version:
    return Version(name, (Backend(f"http://{name}:80"),))


def service(name: str = "shop", versions: str = "blue green", **split: int) -> Service:
    names = versions.split()
    return Service(name, {key: version(key) for key in names}, names[0], weights(**split) or {names[0]: Decimal(100)})


def definition(*services: Service, settings: Settings | None = None) -> Definition:
    return Definition(settings or Settings(), {item.name: item for item in services})


def start(*services: Service) -> State:
    return initial_state(definition(*(services or (service(),))), {}, 1, "entropy", NOW)[0]


def split_to(state: State, name: str = "shop", **numbers: float) -> State:
    return apply(state, SetSplit(actor="ann", service=name, weights=weights(**numbers), salt=SALT), NOW).state


def load(state: State, new: Definition, **options: object) -> Outcome:
    return apply(state, Reload(actor="ann", note="n", definition=new, entropy="fresh", **options), NOW + 1)  # type: ignore[arg-type]


def running(state: State, name: str = "shop") -> Running:
    return state.services[name].running


def paths(outcome: Outcome) -> list[str]:
    return [change.path for change in outcome.changes]


def test_an_equal_definition_changes_nothing():
    state = split_to(start(), blue=90, green=10)
    outcome = load(state, definition(service()))
    assert outcome.state is state
    assert not outcome.changes
    assert not outcome.events


def test_the_running_split_is_kept_and_the_file_s_is_not_taken():
    state = split_to(start(), blue=90, green=10)
    outcome = load(state, definition(replace(service(blue=50, green=50), strip_prefix=True)))
    assert running(outcome.state).split == running(state).split
    assert running(outcome.state).undo == running(state).undo
    assert outcome.state.revision == 3
    assert sorted(paths(outcome)) == ["services.shop.split in the file", "services.shop.strip_prefix"]


def test_reset_split_takes_the_file_s_and_can_be_undone():
    state = split_to(start(), blue=90, green=10)
    outcome = load(state, definition(service(blue=50, green=50)), reset_split=True)
    assert running(outcome.state).split.weights == weights(blue=50, green=50)
    assert "services.shop.split" in paths(outcome)
    undone = apply(outcome.state, Rollback(actor="ann", service="shop"), NOW).state
    assert running(undone).split == running(state).split


def test_reset_split_to_the_weights_that_run_changes_nothing():
    state = start()
    assert load(state, definition(service()), reset_split=True).state is state


def test_reset_split_renews_the_salt_where_one_version_held_everything():
    old = start()
    new = load(old, definition(service(blue=50, green=50)), reset_split=True).state
    assert running(new).split.salt != running(old).split.salt


def test_a_new_version_gets_no_users():
    state = split_to(start(), blue=90, green=10)
    outcome = load(state, definition(service(versions="red blue green")))
    after = running(outcome.state).split
    assert list(after.weights.items()) == list(weights(red=0, blue=90, green=10).items())
    assert bounds(after) == bounds(running(state).split)
    assert after.salt == running(state).split.salt
    added = next(change for change in outcome.changes if change.path == "services.shop.versions.red")
    assert (added.before, added.after) == (None, ["http://red:80"])


def test_the_share_of_a_removed_version_goes_to_the_others_in_proportion():
    state = split_to(start(service(versions="blue green red")), blue=20, green=10, red=70)
    outcome = load(state, definition(service()))
    after = running(outcome.state).split
    check(after)
    assert after.weights == weights(blue=20, green=10)
    assert lengths(after)["blue"] == pytest.approx(2 * lengths(after)["green"], abs=2)
    removed = next(change for change in outcome.changes if change.path == "services.shop.versions.red")
    assert (removed.before, removed.after) == (["http://red:80"], None)
    assert running(outcome.state).superseded == {}


def test_where_no_weight_is_left_stable_holds_everything():
    state = split_to(start(), green=1)
    assert running(state).superseded == {"blue": NOW}
    after = running(load(state, definition(service(versions="blue red"))).state)
    assert after.split.weights == weights(blue=100, red=0)
    assert after.superseded == {}
    assert after.since == {"blue": 3}
    check(after.split)


def test_a_new_service_starts_with_the_split_of_the_file():
    outcome = load(start(), definition(service(), service("blog", blue=70, green=30)))
    assert running(outcome.state, "blog").split.weights == weights(blue=70, green=30)
    assert running(outcome.state, "blog").revision == 2
    assert dump(outcome.changes) == [
        {
            "path": "services.blog",
            "before": None,
            "after": {"versions": ["blue", "green"], "split": {"blue": 70, "green": 30}},
        }
    ]


def test_a_service_that_comes_back_comes_back_as_it_was():
    both = split_to(start(service(), service("blog")), "blog", blue=70, green=30)
    kept = running(both, "blog")
    alone = load(both, definition(service())).state
    assert list(alone.services) == ["shop"]
    back = load(alone, definition(service(), service("blog")), stored={"blog": kept}).state
    assert running(back, "blog").split == kept.split
    assert running(back, "blog").secret == kept.secret


def test_services_the_new_definition_leaves_alone_stay_the_same_objects():
    state = start(service(), service("blog"))
    after = load(state, definition(replace(service(), skew=5.0), service("blog"))).state
    assert after.services["blog"] is state.services["blog"]
    assert running(after).revision == 2
    assert running(after, "blog").revision == 1


def test_every_service_and_rule_gets_secrets_of_its_own():
    half = Rule("half", When(), split=weights(blue=1, green=1))
    third = Rule("third", When(), split=weights(blue=1, green=2))
    state = start(replace(service(), rules=(half, third)), service("blog"))
    shop, blog = running(state), running(state, "blog")
    found = [shop.secret, shop.split.salt, *(split.salt for split in shop.rules.values()), blog.secret, blog.split.salt]
    assert len(set(found)) == len(found) == 6
    assert all(len(bytes.fromhex(text)) == 32 for text in found)


HALF = Rule("half", When(), split=weights(blue=1, green=1))


def test_a_rule_s_split_moves_as_little_as_any_other():
    state = start(replace(service(), rules=(HALF,)))
    before = running(state).rules["half"]
    after = running(
        load(state, definition(replace(service(), rules=(replace(HALF, split=weights(blue=1, green=3)),)))).state
    ).rules["half"]
    assert after.salt == before.salt
    assert after.stacks["blue"] == ((0, 2**30),)
    check(after)


def test_a_rule_that_leaves_one_version_holding_everything_gets_a_new_salt():
    whole = replace(HALF, split=weights(blue=1, green=0))
    state = start(replace(service(), rules=(whole,)))
    after = load(state, definition(replace(service(), rules=(HALF,)))).state
    assert running(after).rules["half"].salt != running(state).rules["half"].salt


def test_a_rule_that_goes_takes_its_split_along_and_the_default_split_stays():
    state = split_to(start(replace(service(), rules=(HALF,))), blue=90, green=10)
    outcome = load(state, definition(service()))
    assert running(outcome.state).rules == {}
    assert running(outcome.state).split == running(state).split
    assert paths(outcome) == ["services.shop.rules.half"]


def test_moving_a_rule_is_shown_as_a_change_of_order():
    other = Rule("other", When(methods=("GET",)), to="green")
    outcome = load(start(replace(service(), rules=(HALF, other))), definition(replace(service(), rules=(other, HALF))))
    assert dump(outcome.changes) == [
        {"path": "services.shop.rules, in order", "before": ["half", "other"], "after": ["other", "half"]}
    ]


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"listen": ("0.0.0.0:81",)}, "listen"),
        ({"admin_socket": "/run/other.sock"}, "admin.socket"),
        ({"admin_http": "127.0.0.1:9900"}, "admin.http"),
        ({"admin_tokens": "/etc/tokens.yaml"}, "admin.tokens"),
        ({"state": "/var/lib/other.db"}, "state"),
        ({"workers": 3}, "workers"),
    ],
)
def test_what_only_a_start_can_change_is_refused_by_its_key(changed, key):
    state = start()
    before = json.dumps(dump(state))
    new = definition(replace(service(), skew=9.0), settings=replace(Settings(), **changed))
    with pytest.raises(Refused) as caught:
        load(state, new)
    assert (caught.value.status, caught.value.code) == (409, "needs_restart")
    assert [problem.path for problem in caught.value.problems] == [key]
    assert key in str(caught.value)
    if key == "workers":
        assert caught.value.problems[0].message == "is 3 in the new definition, auto is running"
    assert json.dumps(dump(state)) == before


def test_every_setting_that_needs_a_restart_is_named_at_once():
    with pytest.raises(Refused) as caught:
        load(start(), definition(service(), settings=Settings(listen=("[::]:80",), workers=2)))
    assert [problem.path for problem in caught.value.problems] == ["listen", "workers"]


def test_the_other_settings_change_while_running():
    settings = Settings(trusted_proxies=("10.0.0.0/8",), limits=Limits(body=5))
    outcome = load(start(), definition(service(), settings=settings))
    assert outcome.state.settings == settings
    assert dump(outcome.changes) == [
        {"path": "trusted_proxies", "before": [], "after": ["10.0.0.0/8"]},
        {"path": "limits.body", "before": 0, "after": 5},
    ]


CHANGED: dict[str, object] = {
    "versions": {"blue": version("blue"), "green": replace(version("green"), health=HealthCheck(rise=9))},
    "stable": "green",
    "split": weights(blue=1, green=1),
    "hosts": ("shop.example.com",),
    "path_prefix": "/shop",
    "strip_prefix": True,
    "sticky": Sticky(mode=StickyMode.PIN),
    "rules": (Rule("all", When(path=Pattern(PatternKind.PREFIX, ("/",))), to="green"),),
    "testers": model.Testers(query=True),
    "on_unavailable": OnUnavailable.FAIL,
    "timeouts": Timeouts(connect=1.0),
    "retries": Retries(on_stable=True),
    "skew": 60.0,
    "error_pages": {"502": "<p>sorry</p>"},
    "ejection": model.Ejection(failures=9),
    "slow_start": 30.0,
    "trip": None,
    "ofrep": model.Ofrep(rate=5),
    "mirror": model.Mirror("green", 5.0),
}


@pytest.mark.parametrize("name", [item.name for item in fields(Service) if item.name != "name"])
def test_no_part_of_a_service_changes_without_being_shown(name):
    """A field the comparison forgot would be applied by nobody's leave, or not at all."""
    outcome = load(start(), definition(replace(service(), **{name: CHANGED[name]})))
    assert outcome.state.services["shop"].definition == replace(service(), **{name: CHANGED[name]})
    assert len(outcome.changes) == 1
    assert outcome.changes[0].path.startswith(f"services.shop.{name}")
    assert outcome.events[0]["changes"] == dump(outcome.changes)
    json.dumps(outcome.events)


def test_the_keys_that_sign_passes_are_never_shown():
    old = replace(service(), testers=model.Testers(keys=("secret-one",)))
    new = replace(service(), testers=model.Testers(keys=("secret-two", "secret-one"), networks=()))
    outcome = load(start(old), definition(new))
    assert "secret" not in json.dumps(dump(outcome.changes)) + json.dumps(outcome.events)
    assert paths(outcome) == ["services.shop.testers.from", "services.shop.testers.keys"]


def test_the_event_names_who_reloaded_and_how():
    event = load(start(), definition(replace(service(), skew=1.0)), reset_split=True).events[0]
    told = {key: event[key] for key in ("kind", "revision", "at", "actor", "note", "reset_split")}
    assert told == {
        "kind": "reload", "revision": 2, "at": NOW + 1, "actor": "ann", "note": "n", "reset_split": True
    }  # fmt: skip


def test_a_start_with_an_empty_store_takes_the_file_as_it_is():
    state, notes = initial_state(definition(service(blue=3, green=1)), {}, 7, "entropy", NOW)
    assert state.revision == 7
    assert running(state).split.weights == weights(blue=3, green=1)
    assert (running(state).revision, running(state).since) == (7, {"blue": 7, "green": 7})
    assert notes == []


def test_a_start_goes_on_with_what_the_store_kept_and_says_where_the_file_differs():
    old = split_to(start(service(versions="blue green red"), service("blog")), blue=50, green=25, red=25)
    stored = {name: item.running for name, item in old.services.items()}
    state, notes = initial_state(definition(service(), service("news")), stored, 3, "other", NOW)
    assert running(state).split.weights == weights(blue=50, green=25)
    assert running(state).secret == running(old).secret
    assert notes == [
        "service shop: red is not in the file any more; the split is now blue=50 green=25",
        "service news is new: it starts with the split of the file",
        "service blog is not in the file any more; its split is kept for its return",
    ]


def test_a_start_with_the_same_file_and_store_is_the_state_that_stopped():
    old = split_to(start(replace(service(), rules=(HALF,))), blue=50, green=50)
    stored = {"shop": running(old)}
    state, notes = initial_state(definition(replace(service(), rules=(HALF,))), stored, old.revision, "other", NOW + 99)
    assert state == old
    assert notes == []
    assert isinstance(state.services["shop"], ServiceState)


def test_a_damaged_split_stops_the_start_with_the_service_and_the_way_out():
    kept = running(start(replace(service(), rules=(HALF,))))
    broken = replace(kept.split, stacks={"blue": ((0, 5),)})
    for damaged in (replace(kept, split=broken), replace(kept, rules={"half": broken})):
        with pytest.raises(SplitError, match=r"stored split of service shop is damaged: .* restore the state file"):
            initial_state(definition(service()), {"shop": damaged}, 1, "entropy", NOW)
