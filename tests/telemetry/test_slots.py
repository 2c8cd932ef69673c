"""Slots are bounded, stay with their version, and are never shared by two versions that exist."""

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.telemetry.slots import Slots

BLUE, GREEN, RED = ("shop", "blue"), ("shop", "green"), ("shop", "red")


def test_a_version_keeps_its_slot_and_finds_it_again():
    slots = Slots()
    first = slots.assign([BLUE, GREEN])
    assert first == {"shop": {"blue": 2, "green": 3}}
    slots.assign([GREEN, RED])
    assert slots.assign([RED, BLUE]) == {"shop": {"red": 4, "blue": 2}}


def test_names_tell_whose_numbers_a_slot_holds_also_after_retirement():
    slots = Slots()
    slots.assign([BLUE, GREEN])
    slots.assign([GREEN])
    assert slots.names() == {0: ("", ""), 1: ("", "overflow"), 2: BLUE, 3: GREEN}


def test_beyond_the_block_every_version_still_has_a_number_of_its_own():
    slots = Slots(capacity=3)
    assert slots.assign([BLUE, GREEN, RED]) == {"shop": {"blue": 2, "green": 3, "red": 4}}
    assert slots.names() == {0: ("", ""), 1: ("", "overflow"), 2: BLUE}


def test_a_retired_slot_is_taken_only_when_needed_idle_and_no_longer_routed():
    cleared = []
    busy = {2}

    def reusable(slot: int) -> bool:
        if slot in busy:
            return False
        cleared.append(slot)
        return True

    slots = Slots(capacity=4, reusable=reusable)
    slots.assign([BLUE, GREEN])
    # Workers route by the old table until this call's result reaches them: its retirements are not free yet.
    assert slots.assign([RED]) == {"shop": {"red": 4}}
    assert cleared == []
    assert slots.assign([RED, ("shop", "pink")]) == {"shop": {"red": 4, "pink": 3}}
    assert cleared == [3]
    busy.clear()
    assert slots.assign([("shop", "grey")])["shop"]["grey"] == 2
    assert slots.names()[2] == ("shop", "grey")


@given(st.lists(st.sets(st.sampled_from("abcdefgh")), max_size=12), st.integers(2, 8), st.booleans())
def test_no_two_versions_share_a_slot_and_the_block_is_never_outgrown(history, capacity, idle):
    slots = Slots(capacity=capacity, reusable=lambda _slot: idle)
    before: dict[str, int] = {}
    for names in history:
        found = slots.assign(("s", name) for name in sorted(names)).get("s", {})
        assert set(found) == names
        assert len(set(found.values())) == len(found)
        assert all(found[name] == before[name] for name in names & before.keys())
        # What just left is still routed by workers that have not heard: nobody may be given its slot.
        assert not {before[name] for name in before.keys() - names} & set(found.values())
        assert min(found.values(), default=2) >= 2
        assert set(slots.names()) <= set(range(capacity))
        assert max(found.values(), default=0) < capacity + 2 * 8
        before = found


def test_a_later_program_goes_on_with_the_slots_of_the_one_before():
    old = Slots(8)
    assert old.assign([("shop", "blue"), ("shop", "green")]) == {"shop": {"blue": 2, "green": 3}}
    new = Slots(8)
    new.restore({slot: name for slot, name in old.names().items() if slot >= 2})
    assert new.assign([("shop", "green"), ("shop", "red")]) == {"shop": {"green": 3, "red": 4}}
    assert new.names()[2] == ("shop", "blue")


def test_slots_of_a_larger_block_are_left_out():
    new = Slots(4)
    new.restore({9: ("shop", "blue"), 0: ("", ""), 3: ("shop", "green")})
    assert new.assign([("shop", "blue"), ("shop", "green")]) == {"shop": {"blue": 4, "green": 3}}


def test_only_a_version_that_counts_in_the_block_has_a_slot_there():
    slots = Slots(3)
    slots.assign([("shop", "blue"), ("shop", "green")])
    assert slots.slot("shop", "blue") == 2
    assert slots.slot("shop", "green") is None
    assert slots.slot("shop", "gone") is None
