"""Two states compared, in the words of the file; what is secret or not known does not show."""

import json
from dataclasses import replace

from gatekeeper.core import model
from gatekeeper.core.codec import dump
from gatekeeper.core.command import Deploy, Past, PastService, Retire
from gatekeeper.core.difference import compare, past_state
from gatekeeper.core.model import Dns, Ejection, Role, Settings, State, Trip, User
from tests.core.states import ANN, definition, do, load, past, service, split_rule, split_to, start, version, weights


def between(old: object, new: object) -> list[tuple[str, object, object]]:
    """The differences between two services or settings."""
    files = [
        definition(settings=item) if isinstance(item, Settings) else definition(item)  # type: ignore[arg-type]
        for item in (old, new)
    ]
    before = load(start(), files[0]).state
    return [(change.path, change.before, change.after) for change in load(before, files[1]).changes]


def test_ejection_and_trip_wire_show_in_the_words_of_the_file():
    old = service()
    new = replace(old, ejection=Ejection(out=20.0, most=60.0), trip=Trip(least=5), slow_start=30.0)
    assert between(old, new) == [
        ("services.shop.ejection.for", 10.0, 20.0),
        ("services.shop.ejection.most", 300.0, 60.0),
        ("services.shop.slow_start", 0.0, 30.0),
        ("services.shop.trip.min", 20, 5),
    ]


def test_what_is_switched_off_shows_as_off():
    new = replace(service(), ejection=None, trip=None)
    on = {"errors": 0.5, "within": 1.0, "min": 20}
    assert between(service(), new)[1] == ("services.shop.trip", on, "off")
    found = between(new, service())
    assert found[1] == ("services.shop.trip", "off", on)
    assert found[0][1] == "off"
    assert found[0][2]["for"] == 10.0  # type: ignore[index]


def test_settings_show_under_their_keys_in_the_file():
    new = Settings(dns=Dns(refresh=5.0), admin_users={"anna": User(Role.VIEWER), "out": User(Role.ADMIN, ("a",))})
    assert between(Settings(), new) == [
        ("admin.users.anna", None, {"role": "viewer", "groups": []}),
        ("admin.users.out", None, {"role": "admin", "groups": ["a"]}),
        ("dns.refresh", 10.0, 5.0),
    ]


def test_names_of_versions_and_users_are_never_taken_for_keys():
    old = Settings(admin_users={"keys": User(Role.VIEWER), "least": User(Role.VIEWER)})
    new = Settings(admin_users={"keys": User(Role.ADMIN), "least": User(Role.ADMIN)})
    assert [path for path, _, _ in between(old, new)] == ["admin.users.keys", "admin.users.least"]


def test_the_keys_of_testers_are_counted_not_shown():
    found = between(service(testers=model.Testers(keys=("one",))), service(testers=model.Testers(keys=("two", "one"))))
    assert found == [("services.shop.testers.keys", "1 keys", "2 keys, changed")]


def test_a_rule_that_changes_shows_once():
    found = between(
        service(rules=(split_rule("half", blue=1, green=1),)), service(rules=(split_rule("half", blue=1, green=3),))
    )
    assert [path for path, _, _ in found] == ["services.shop.rules.half"]


def test_only_the_services_asked_for_are_compared():
    before = start(service(), service("blog"))
    after = split_to(split_to(before, blue=1, green=1), "blog", blue=1, green=1)
    assert [change.path for change in compare(before, after, only={"blog"})] == ["services.blog.split"]
    assert len([*compare(before, after)]) == 2


def differences(old: Past, new: Past | State) -> list[str]:
    """As a reader of the history asks."""
    after = new if isinstance(new, State) else past_state(new, old)
    return [change.path for change in compare(past_state(old, new), after)]


def test_two_earlier_revisions_are_compared_as_they_were():
    first = split_to(start(), blue=90, green=10)
    second = do(first, Deploy(**ANN, service="shop", version=version("green", "http://new:80")))
    second = do(second, Retire(**ANN, service="shop", version="red"))
    third = load(second, definition(service(), service("blog"), settings=Settings(dns=Dns(refresh=5.0)))).state
    assert differences(past(first), past(first)) == []
    assert differences(past(first), past(second)) == [
        "services.shop.split",
        "services.shop.versions.green.backends",
        "services.shop.versions.green.origin",
        "services.shop.versions.red",
    ]
    assert differences(past(second), past(third)) == ["dns.refresh", "services.blog"]
    assert differences(past(second), second) == []


def test_what_was_not_kept_does_not_show_as_a_difference():
    state = do(start(), Retire(**ANN, service="shop", version="red"))
    weights_only = Past(None, {"shop": PastService(None, weights(blue=50, green=50))})
    for other in (past(state), state):
        assert differences(weights_only, other) == ["services.shop.split"]
    assert differences(past(state), weights_only) == ["services.shop.split"]
    assert differences(weights_only, Past(None, {"shop": PastService(None, weights(blue=1))})) == [
        "services.shop.split",
        "services.shop.versions.green",
        "services.shop.split in the file",
    ]
    json.dumps(dump([*compare(past_state(weights_only), state)]))
