"""Flags, for any history of changes and any requests: nobody moves without need, and all readings agree."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from hashlib import blake2b

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core import routing, split
from gatekeeper.core.command import Refused, Reload, ScheduleFlags, apply
from gatekeeper.core.flags.context import Context
from gatekeeper.core.flags.evaluate import DEFAULT, DISABLED, SPLIT, STATIC, TARGETING_MATCH, TargetingKeyMissing
from gatekeeper.core.flags.header import LONGEST_LINE
from gatekeeper.core.flags.model import FlagSchedule
from gatekeeper.core.flags.resolver import Resolver
from gatekeeper.core.flags.schedule import due
from gatekeeper.core.model import Pattern, PatternKind, Sticky, UnitKind, UnitSource, When
from tests.core.flags.states import back, begun, file, runs, said, setting, switching
from tests.core.routes import Asker, Request, slots
from tests.core.states import ANN, NOW, service, written

VARIANTS = {"a": "1", "b": "2", "c": "3"}
UNITS = [f"u{number}".encode() for number in range(300)]
SHOP = service("shop", "blue green", sticky=Sticky((UnitSource(UnitKind.HEADER, "x-user"),)))

shares = st.fixed_dictionaries({name: st.integers(0, 5).map(Decimal) for name in VARIANTS}).filter(
    lambda found: any(found.values())
)
percents = st.sampled_from([0, 1, 10, 50, 99, 100]).map(Decimal)
patterns = st.sampled_from(
    [
        Pattern(PatternKind.EXACT, ("x",)),
        Pattern(PatternKind.PREFIX, ("x",)),
        Pattern(PatternKind.PRESENT, ("true",)),
        Pattern(PatternKind.PRESENT, ("false",)),
    ]
)
conditions = st.builds(
    When,
    headers=st.just(()) | st.builds(lambda one: (("x-a", one),), patterns),
    cookies=st.just(()) | st.builds(lambda one: (("a", one),), patterns),
    methods=st.sampled_from([(), ("GET",), ("PUT", "POST")]),
    path=st.none() | st.just(Pattern(PatternKind.PREFIX, ("/a",))),
    networks=st.sampled_from([(), ("10.0.0.0/8",)]),
)
flags = st.lists(
    st.builds(
        lambda when, on, parts: said(variants=VARIANTS, off="a", when=when, on=on, split=parts),
        conditions,
        st.booleans(),
        shares,
    ),
    min_size=1,
    max_size=4,
).map(lambda found: [replace(one, name=f"f{number}") for number, one in enumerate(found)])
requests = st.builds(
    lambda user, a, cookie, method, path: Request(
        method=method,
        path=path,
        cookie=cookie,
        fields=tuple((name, value) for name, value in ((b"x-user", user), (b"x-a", a)) if value is not None),
    ),
    st.none() | st.sampled_from(UNITS[:5]),
    st.sampled_from([None, b"", b"x", b"xy", b"y"]),
    st.sampled_from([b"", b"a=x", b"a=xy; b=1", b"a="]),
    st.sampled_from([b"GET", b"PUT"]),
    st.sampled_from([b"/", b"/a", b"/ab"]),
)
addresses = st.sampled_from(["10.1.2.3", "192.0.2.1"])


def variant_of(state, unit, name="f"):
    """As anybody could compute it: the hash, and the piece it falls in."""
    held = state.flags[name].running.split
    point = int.from_bytes(blake2b(unit, digest_size=4, key=bytes.fromhex(held.salt)).digest(), "big")
    owners = [name for name, pieces in held.stacks.items() for piece in pieces if min(piece) <= point < max(piece)]
    assert len(owners) == 1
    return owners[0]


@settings(max_examples=60, deadline=None)
@given(start=shares, history=st.lists(shares, min_size=1, max_size=6))
def test_a_change_of_a_flags_weights_moves_the_fewest_units_and_only_to_those_that_rose(start, history):
    state = begun(said("f", variants=VARIANTS, off="a", split=start))
    for number, wanted in enumerate(history):
        before = state
        state = apply(state, setting("f", split=wanted, salt=f"{number:032x}"), NOW).state
        old, new = runs(before, "f").split, runs(state, "f").split
        split.check(new)
        if old.salt != new.salt:
            assert split.holder(old) is not None
            continue
        was, now = split.lengths(old), split.lengths(new)
        rose = {name for name in VARIANTS if now.get(name, 0) > was.get(name, 0)}
        moved = Counter(after for unit in UNITS if (after := variant_of(state, unit)) != variant_of(before, unit))
        assert set(moved) <= rose
        # The fewest: as many points as are gained change hands, and no more.
        changed = sum(
            max(0, min(high, top) - max(low, bottom))
            for low, high, one in pieces(old)
            for bottom, top, other in pieces(new)
            if one != other
        )
        assert changed == sum(now.get(name, 0) - was.get(name, 0) for name in rose)


def pieces(held):
    return [(min(piece), max(piece), name) for name, stack in held.stacks.items() for piece in stack]


@settings(max_examples=30, deadline=None)
@given(ramp=st.lists(percents, min_size=1, max_size=6))
def test_whoever_has_a_feature_keeps_it_while_more_get_it_and_a_rollback_brings_everybody_back(ramp):
    state = begun(said("f", on=True, percent=Decimal(5)))
    had = {unit: variant_of(state, unit) for unit in UNITS}
    salt = runs(state, "f").split.salt
    changes = 0
    for percent in sorted({*ramp} | {Decimal(5)})[:8]:
        if percent < 5:
            continue
        after = apply(state, setting("f", percent=percent), NOW).state
        changes += after is not state
        for unit in UNITS:
            assert variant_of(state, unit) == "off" or variant_of(after, unit) == "on"
        state = after
    for _ in range(changes):
        state = apply(state, back("f"), NOW).state
    assert runs(state, "f").split.salt == salt
    assert {unit: variant_of(state, unit) for unit in UNITS} == had


@settings(max_examples=150, deadline=None)
@given(made=flags, request=requests, address=addresses, kills=st.sets(st.integers(0, 3)))
def test_what_the_proxy_tells_is_what_is_told_to_who_asks_and_what_anybody_can_compute(made, request, address, kills):
    state = begun(*made, services=(SHOP,))
    for number in kills:
        if f"f{number}" in state.flags:
            state = apply(state, switching(f"f{number}", on=False, kill=True), NOW).state
    table = routing.compile(state, slots(state))
    ask = Asker(table, client_ip=address)
    resolver = Resolver(state)
    unit = next((value for name, value in request.fields if name == b"x-user"), None)
    for _ in range(2):  # the second time it is remembered
        decision = ask(request)
        evaluated = dict(decision.flags.variants)
        assert list(evaluated) == sorted(state.flags)
        for name, variant in evaluated.items():
            definition, running = state.flags[name].definition, state.flags[name].running
            matches = naive(definition.when, request, address)
            sole = split.holder(running.split)
            try:
                found = resolver.resolve(name, Context(unit, request, address))
            except TargetingKeyMissing:
                assert unit is None
                assert sole is None
                assert running.split.weights[variant] > 0  # it was drawn
                continue
            assert found.variant == variant
            assert found.value == VARIANTS[variant]
            if running.killed or not running.on:
                assert (variant, found.reason) == ("a", DISABLED)
            elif not matches:
                assert (variant, found.reason) == ("a", DEFAULT)
            elif sole is not None:
                targeted = TARGETING_MATCH if definition.when != When() else STATIC
                assert (variant, found.reason) == (sole, targeted)
            else:
                assert (variant, found.reason) == (variant_of(state, unit, name), SPLIT)
            assert (name in decision.flags.drawn) == (found.reason == SPLIT)
        members = ", ".join(f'{name}="{VARIANTS[variant]}"' for name, variant in evaluated.items())
        assert decision.flags.line == f"X-Gatekeeper-Flags: {members}\r\n".encode()


def naive(when, request, address):
    """The conditions of these tests, without any of the program's reading."""

    def holds(pattern, value):
        if pattern.kind is PatternKind.PRESENT:
            return (value is not None) == (pattern.values == ("true",))
        if pattern.kind is PatternKind.PREFIX:
            return value is not None and value.startswith(pattern.values[0].encode())
        return value == pattern.values[0].encode()

    header = dict(request.fields).get(b"x-a")
    cookie = dict(part.split(b"=") for part in request.cookie.split(b"; ") if part).get(b"a")
    return (
        all(holds(pattern, header) for _, pattern in when.headers)
        and all(holds(pattern, cookie) for _, pattern in when.cookies)
        and (not when.methods or request.method.decode() in when.methods)
        and (when.path is None or request.path == b"/a")
        and (not when.networks or address.startswith("10."))
    )


names = st.sampled_from(["f", "g", "made"])
SAID = {
    "f": said("f", percent=Decimal(5), schedule=FlagSchedule(NOW + 50, NOW + 100)),
    "g": said("g", variants=VARIANTS, off="a"),
}
commands = st.one_of(
    st.builds(lambda name, percent: setting(name, percent=percent), names, percents),
    st.builds(lambda parts: setting("g", split=parts), shares),
    st.builds(lambda name, on: setting(name, on=on), names, st.booleans()),
    st.builds(lambda name, owner: setting(name, owner=owner), names, st.sampled_from(["", "anna"])),
    st.builds(lambda name, on: switching(name, on=on), names, st.booleans()),
    st.builds(lambda name: switching(name, on=False, kill=True), names),
    st.builds(lambda name: switching(name, revive=True, note="r"), names),
    st.builds(back, names),
    st.builds(lambda percent: setting("made", new=True, percent=percent), percents),
    st.just(ScheduleFlags(actor="schedule")),
    st.builds(
        lambda kept, reset: Reload(
            **ANN, definition=file(*(SAID[name] for name in sorted(kept))), entropy="e", reset_split=reset
        ),
        st.sets(st.sampled_from(["f", "g"]), min_size=1),
        st.booleans(),
    ),
)


@settings(max_examples=120, deadline=None)
@given(history=st.lists(commands, max_size=15))
def test_whatever_is_asked_of_flags_the_state_holds_together(history):
    state, now = begun(*SAID.values()), NOW
    for command in history:
        now += 10
        before = written(state)
        try:
            outcome = apply(state, command, now)
        except Refused:
            assert written(state) == before
            continue
        after = outcome.state
        assert (after is state) == (after.revision == state.revision)
        assert bool(outcome.changes) or after is state
        for name, one in after.flags.items():
            running = one.running
            split.check(running.split)
            assert list(running.split.weights) == list(one.definition.variants)
            assert len(running.undo) <= 10
            assert not (running.killed and running.on)
            was = state.flags.get(name)
            if was is not None and was.running.killed and not getattr(command, "revive", False):
                assert running.killed
            if was is not None and one != was:
                assert running.revision == after.revision
        if isinstance(command, ScheduleFlags):
            assert not due(after, now)
        if getattr(command, "kill", False):
            assert after.flags[command.name].running.killed
        state = after
    ask = Asker(routing.compile(state, slots(state)))
    for number in range(5):
        found = ask(Request(cookie=f"gatekeeper-shop=u{number}".encode())).flags
        if found is not None:
            assert len(found.line) <= LONGEST_LINE
