"""The recording of flags that are judged, with real heads and decisions: who is booked where, by which draw."""

from typing import Any

import pytest

from gatekeeper.core.judge.part import Part
from gatekeeper.core.model import Pattern, PatternKind, Sticky, StickyMode, UnitKind, UnitSource, When
from gatekeeper.dataplane import flag_docket as module
from gatekeeper.dataplane.dockets import ROUTES_SECONDS
from gatekeeper.dataplane.flag_docket import Watch
from gatekeeper.dataplane.tally import PORTION
from tests.dataplane.flags import boolean, flying, text
from tests.dataplane.judged import EVEN
from tests.dataplane.world import GET, OK, TESTER, Message, World, request

NAME = "x-gatekeeper-flags"
USER = Sticky(by=(UnitSource(UnitKind.HEADER, "X-User"),))
DRAWN = Sticky(mode=StickyMode.NONE)
BAD = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
GERMAN = When(headers=(("x-country", Pattern(PatternKind.EXACT, ("DE",))),))


class Watched(World):
    """A service whose flag ``new`` is judged; seconds begin at whole ones of the clock."""

    def __init__(self, *flags: Any, case: dict[str, Any] | None = None, **options: Any) -> None:
        options.setdefault("sticky", USER)
        super().__init__(**options)
        self.fly(*(flags or (boolean("new", 50),)))
        self.case = {
            "release": 1, "service": "new", "stable": "new=off", "candidate": "new=on",
            "units": options["sticky"] is USER, "origin": self.clock.monotonic(), "tolerate": [0.0, 0.0], "slow": 1.0,
            "routes": [], "seen": None, "services": ["shop"], **(case or {}),
        }  # fmt: skip
        self.plane.judge_flags([self.case])

    def fly(self, *flags: Any) -> None:
        self.flags = flying(*flags)
        self.use(self.service, 8)

    def ask(self, user: str = "", *lines: str, reply: bytes = OK, address: str = "203.0.113.9") -> bool:
        """Whether the request had the flag."""
        fields = [f"X-User: {user}"] if user else []
        client, backend = self.asked(request("GET", *fields, *lines), address)
        had = "new" in Message.read(backend.take()).all(NAME)
        backend.send(reply)
        client.take()
        return had

    def told(self, seconds: float = 1.5) -> list[dict[str, Any]]:  # type: ignore[override]
        self.clock.advance(seconds)
        messages = self.plane.dockets.look(self.clock.monotonic(), self.plane.connections)
        parts = [part for message in messages if message["type"] == "flag_seconds"
                 for *_, found in message["of"] for part in found]  # fmt: skip
        for part in parts:
            Part.load(part)
        return parts

    def part(self) -> dict[str, Any]:
        (part,) = self.told()
        return part


def cells(part):
    """weight -> (requests, errors) of off and of the others."""
    return {cell[0]: (tuple(cell[1][:2]), tuple(cell[2][:2])) for cell in part["cells"]}


def failed(part):
    """Of each unit that failed, whether it had another variant than off."""
    return [bool(unit[1]) for unit in part["units"] if unit[5]]


def test_requests_are_booked_by_what_the_split_gave_their_unit():
    with Watched() as here:
        had = {user: here.ask(user, reply=BAD if user == "u7" else OK) for user in (f"u{n}" for n in range(40))}
        part = here.part()
        many = sum(had.values())
        assert cells(part) == {0.5: ((40 - many, 0), (many, 0))}
        assert failed(part) == [had["u7"]]
        assert 0 < many < 40
        assert (part["excluded"], part["unkeyed"]) == (0, 0)
        route = here.plane.snapshot.table.flags.routes["new"]
        points = {route.point(user.encode()): on for user, on in had.items()}
        assert {unit[0]: bool(unit[1]) for unit in part["units"]} == points


def test_the_weight_is_the_share_of_all_variants_but_off():
    with Watched(text("new", {"a": 50, "b": 30, "c": 20}), case={"stable": "a"}) as here:
        for number in range(60):
            here.ask(f"u{number}")
        (found,) = cells(here.part()).items()
        assert found[0] == 0.5
        assert min(found[1][0][0], found[1][1][0]) > 0


def test_another_share_is_another_coin_from_the_next_request_on():
    with Watched() as here:
        here.ask("anna")
        here.fly(boolean("new", 75))
        here.ask("anna")
        assert sorted(cells(here.part())) == [0.5, 0.75]


def test_without_units_each_request_is_a_draw():
    with Watched(sticky=DRAWN) as here:
        here.plane.draw = lambda: 0
        first = here.ask()
        here.plane.draw = lambda: 2**32 - 1
        assert here.ask() is not first
        part = here.part()
        assert cells(part) == {0.5: ((1, 0), (1, 0))}
        assert part["units"] == []


def test_who_has_no_id_where_units_have_variants_is_counted_as_such():
    with Watched() as here:
        here.ask()
        part = here.part()
        assert (part["unkeyed"], part["units"]) == (1, [])


def test_requests_of_a_service_that_knows_no_units_are_left_out_where_another_does():
    with Watched(sticky=DRAWN, case={"units": True}) as here:
        here.ask()
        part = here.part()
        assert (part["unkeyed"], part["excluded"], part["units"]) == (0, 1, [])


def test_a_unit_that_gets_its_id_with_this_answer_counts_by_it():
    with Watched(sticky=Sticky(), case={"units": True}) as here:
        client, backend = here.asked(GET)
        backend.send(OK)
        cookie = Message.read(client.take()).get("set-cookie").split(";")[0]
        here.ask("", f"Cookie: {cookie}")
        part = here.part()
        assert len(part["units"]) == 1
        assert part["unkeyed"] == 0


def test_who_does_not_meet_the_condition_is_not_in_it():
    with Watched(boolean("new", 50, when=GERMAN)) as here:
        for number in range(20):
            here.ask(f"u{number}")
        assert here.told() == []
        here.ask("anna", "X-Country: DE")
        ((off, others),) = cells(here.part()).values()
        assert off[0] + others[0] == 1


def test_what_a_tester_forces_is_nowhere():
    with Watched() as here:
        here.ask("anna", "X-Gatekeeper-Version: blue", address=TESTER)
        assert here.told() == []


def test_on_for_everybody_nothing_is_compared_but_bounds_are_kept():
    with Watched(boolean("new", 100)) as here:
        here.ask("anna", reply=BAD)
        part = here.part()
        assert part["cells"] == []
        assert (part["stable"], part["candidate"], part["excluded"]) == ([0, 0, 0], [1, 1, 0], 1)


@pytest.mark.parametrize("flag", [boolean("new", 50, on=False), boolean("new", 0), boolean("new", 50, services=("x",))])
def test_a_flag_that_nobody_has_is_not_watched(flag):
    with Watched(flag) as here:
        here.ask("anna")
        assert here.told() == []


def test_services_without_a_judged_flag_have_nobody_who_watches():
    with Watched(case={"services": ["blog"]}) as here:
        assert not any(isinstance(place, Watch) for place in here.plane.places)


def test_a_flag_of_all_services_is_watched_in_each():
    with Watched(case={"services": []}) as here:
        here.ask("anna")
        assert len(here.part()["units"]) == 1


def test_a_release_that_is_judged_records_the_same_requests():
    with Watched(split=EVEN) as here:
        release = {**here.case, "release": 7, "service": "shop", "stable": "blue", "candidate": "green"}
        here.plane.judge([release])
        for number in range(30):
            here.ask(f"u{number}", reply=BAD if number < 3 else OK)
        here.clock.advance(1.5)
        messages = here.plane.dockets.look(here.clock.monotonic(), here.plane.connections)
        parts = {message["type"]: message["of"][0][3][0] for message in messages if message["type"] != "routes"}
        for part in parts.values():
            ((off, others),) = cells(part).values()
            assert off[0] + others[0] == len(part["units"]) == 30
            assert len(failed(part)) == 3
        units = [{unit[0] for unit in part["units"]} for part in parts.values()]
        assert units[0] != units[1], "each by its own points"


def test_several_flags_of_a_service_record_the_same_requests_each_by_its_own_draws():
    with Watched(boolean("new", 50), boolean("two", 10)) as here:
        here.plane.judge_flags([here.case, {**here.case, "release": 2, "service": "two"}])
        for number in range(20):
            here.ask(f"u{number}")
        here.clock.advance(1.5)
        (message,) = here.plane.dockets.look(here.clock.monotonic(), here.plane.connections)
        weights = [list(cells(parts[0])) for _, _, _, parts in message["of"]]
        assert weights == [[0.5], [0.1]]


def test_a_request_that_is_not_answered_in_time_has_failed():
    with Watched() as here:
        here.asked(request("GET", "X-User: anna"))
        assert here.told(11.5)[0]["at"] == 0


def test_a_request_under_way_holds_up_its_second():
    with Watched() as here:
        _, backend = here.asked(request("GET", "X-User: anna"))
        assert here.told() == []
        backend.send(OK)
        (part,) = here.told(1.0)
        assert part["at"] == 0


def test_what_began_before_a_change_of_the_table_is_booked_by_the_table_it_began_with():
    with Watched() as here:
        _, backend = here.asked(request("GET", "X-User: anna"))
        here.fly(boolean("new", 75))
        backend.send(OK)
        assert list(cells(here.part())) == [0.5]


def test_the_rest_is_told_at_the_end():
    with Watched() as here:
        here.ask("anna")
        (message,) = here.plane.dockets.close(here.clock.monotonic(), here.plane.connections)
        assert message["type"] == "flag_seconds"
        assert len(message["of"][0][3]) == 1


def test_routes_are_still_sampled():
    with Watched() as here:
        here.ask("anna")
        here.plane.dockets.look(here.clock.monotonic(), here.plane.connections)
        here.clock.advance(ROUTES_SECONDS)
        messages = here.plane.dockets.look(here.clock.monotonic(), here.plane.connections)
        assert [message["of"] for message in messages if message["type"] == "routes"] == [{"shop": {"/": 1}}]


def test_without_a_supervisor_nothing_is_recorded():
    with Watched() as here:
        here.plane.orphaned()
        here.ask("anna")
        assert here.told() == []


def test_what_is_written_down_is_counted_in_portions_and_none_is_lost():
    with Watched() as here:
        (lines,) = here.plane.dockets._watched.values()
        waiting = []
        for _ in range(PORTION + 3):
            here.ask("anna")
            waiting.append(len(lines))
        assert max(waiting) == PORTION - 1
        part = here.part()
        assert part["stable"][0] + part["candidate"][0] == PORTION + 3


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "POINTS", 4)
    monkeypatch.setattr(module, "REMEMBERED", 1)
    with Watched(boolean("new", 50), boolean("more", 50)) as here:
        for number in range(20):
            here.ask(f"u{number}")
        here.ask("x" * 1000)
        (docket,) = here.plane.dockets._flags.values()
        assert len(here.part()["units"]) == 21
        assert 0 < len(docket.board.points) <= 4
        assert b"x" * 1000 not in docket.board.points
        assert len(docket.board.arms) == 1


def test_the_same_flag_anew_begins_with_nothing():
    with Watched() as here:
        here.ask("anna")
        here.plane.judge_flags([{**here.case, "release": 2}])
        assert here.told() == []


def test_decisions_say_who_asks_only_while_somebody_wants_to_know():
    with Watched() as here:
        client, backend = here.asked(request("GET", "X-User: anna"))
        assert client.protocol.exchange.decision.who == b"anna"
        backend.send(OK)
        here.plane.judge_flags([])
        client, backend = here.asked(request("GET", "X-User: anna"))
        assert client.protocol.exchange.decision.who == b""
        assert not isinstance(here.plane.places[0], Watch)
        backend.send(OK)
