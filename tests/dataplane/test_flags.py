"""What a backend is told of flags, what of a client's own copy passes, and what is counted."""

import pytest

from gatekeeper.core.model import Pattern, PatternKind, Retries, Sticky, UnitKind, UnitSource, When
from gatekeeper.dataplane.tally import PORTION
from gatekeeper.telemetry.cells import ASKED, CELLS, FORCED, MICROSECONDS, TIMES
from tests.dataplane.flags import boolean, flying, text
from tests.dataplane.tunnels import ASK, GO
from tests.dataplane.world import GET, OK, STRANGER, TESTER, Message, request

NAME = "x-gatekeeper-flags"
USER = Sticky(by=(UnitSource(UnitKind.HEADER, "X-User"),))
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


def use(place, *flags):
    place.flags = flying(*flags)
    place.use(place.service, 8)
    return place


def told(place, raw, address=STRANGER) -> Message:
    """What the backend is told of a request that it answers well."""
    client, backend = place.asked(raw, address)
    head = Message.read(backend.take())
    backend.send(OK)
    client.take()
    return head


def counted(place) -> dict[tuple[str, str, str], list[int]]:
    message = place.plane.tally.take()
    found = {}
    for service, flag, variant, counts in message["of"] if message else ():
        cells = found[service, flag, variant] = [0] * CELLS
        for cell, count in counts:
            cells[cell] = count
    return found


def test_a_backend_is_told_of_the_flags_in_one_line(world):
    place = use(world(), boolean("new-search"), text("theme", {"light": 0, "dark": 100}), boolean("old", on=False))
    assert told(place, GET).all(NAME) == ["new-search, theme=dark"]


def test_without_flags_there_is_no_line_and_nothing_is_counted(world):
    place = use(world(), boolean("elsewhere", services=("blog",)))
    assert told(place, GET).all(NAME) == []
    assert place.plane.tally.take() is None


def test_where_all_flags_are_false_there_is_no_line_and_they_are_counted(world):
    place = use(world(), boolean("old", on=False))
    assert told(place, GET).all(NAME) == []
    assert counted(place)["shop", "old", "off"][2] == 1


@pytest.mark.parametrize("flags", [(), (boolean("new-search"),)])
def test_a_clients_own_copy_never_passes(world, flags):
    place = use(world(), *flags)
    head = told(place, request("GET", "X-Gatekeeper-Flags: admin", "x-gatekeeper-FLAGS: more", "X_Gatekeeper_Flags: y"))
    assert [value for value in head.all(NAME) if value != "new-search"] == []
    assert "admin" not in str(head.fields)


def test_a_flip_holds_from_the_next_request_on_also_for_fields_that_were_seen_before(world):
    place = use(world(sticky=USER), boolean("new-search"))
    asked = request("GET", "X-User: ada")
    assert told(place, asked).all(NAME) == ["new-search"]
    use(place, boolean("new-search", on=False))
    assert told(place, asked).all(NAME) == []


def test_a_condition_on_the_path_is_asked_for_each_request_of_the_same_fields(world):
    beta = When(path=Pattern(PatternKind.PREFIX, ("/beta",)))
    place = use(world(sticky=USER), boolean("new-search", when=beta))
    assert told(place, request("GET", "X-User: ada", target="/beta/x")).all(NAME) == ["new-search"]
    assert told(place, request("GET", "X-User: ada", target="/")).all(NAME) == []


def test_requests_are_counted_by_flag_variant_and_class_with_their_time(world):
    place = use(world(), boolean("a"), text("b", {"x": 0, "y": 100}))
    client, backend = place.asked(GET)
    place.clock.advance(0.02)
    backend.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    client.take()
    place.answered(GET, NO_CONTENT)
    found = counted(place)
    assert set(found) == {("shop", "a", "on"), ("shop", "b", "y")}
    for cells in found.values():
        assert (cells[2], cells[5]) == (1, 1)
        assert (cells[TIMES], cells[TIMES + 4]) == (1, 1)  # up to 1 ms, and up to 25 ms
        assert cells[MICROSECONDS] == pytest.approx(20_000, abs=2)
        assert sum(cells[TIMES:MICROSECONDS]) == 2
    assert counted(place) == {}


def test_what_many_users_are_dealt_adds_up_flag_by_flag(world):
    flags = [boolean(f"f{number}", 50) for number in range(20)]
    place = use(world(sticky=USER), *flags)
    had = dict.fromkeys((f"f{number}" for number in range(20)), 0)
    for user in range(200):
        for name in told(place, request("GET", f"X-User: {user}")).get(NAME).split(", "):
            had[name] += 1
    found = counted(place)
    for name, many in had.items():
        assert found["shop", name, "on"][2] == many
        assert found["shop", name, "off"][2] == 200 - many
        assert 60 < many < 140


def test_what_is_written_down_is_counted_in_portions_and_none_is_lost(world):
    place = use(world(), boolean("a"))
    waiting = []
    for _ in range(PORTION + 3):
        place.answered(GET)
        waiting.append(len(place.plane.tally.lines))
    assert max(waiting) == PORTION - 1
    assert counted(place)["shop", "a", "on"][2] == PORTION + 3


def test_a_testers_forced_request_is_evaluated_and_not_counted_further(world):
    place = use(world({"blue": 100, "green": 0}), boolean("a"))
    told(place, request("GET", "X-Gatekeeper-Version: green"), TESTER)
    cells = counted(place)["shop", "a", "on"]
    assert cells[FORCED] == 1
    assert sum(cells) == 1


def test_a_client_that_left_unanswered_is_in_4xx_and_in_no_histogram(world):
    place = use(world(), boolean("a"))
    client, _ = place.asked(GET)
    client.reset()
    cells = counted(place)["shop", "a", "on"]
    assert cells[4] == 1
    assert sum(cells) == 1


def test_a_connection_that_becomes_a_tunnel_counts_once(world):
    place = use(world(), boolean("a"))
    client, backend = place.asked(ASK)
    backend.send(GO)
    client.take()
    client.reset()
    assert counted(place)["shop", "a", "on"][1] == 1


def test_an_application_that_asks_is_counted_as_an_evaluation(world):
    place = world()
    for _ in range(3):
        place.plane.tally.asked("shop", "a", "on")
    assert counted(place)["shop", "a", "on"][ASKED] == 3


def test_counts_wait_for_a_supervisor_that_does_not_listen_and_go_up_once_a_second(world):
    place = use(world(), boolean("a"))
    look = place.plane.tally.look
    assert look(0.0) is None
    told(place, GET)
    assert look(0.9) is None
    assert look(1.5, behind=True) is None
    told(place, GET)
    message = look(2.0)
    assert message is not None
    assert message["type"] == "flags"
    assert message["of"][0][:3] == ["shop", "a", "on"]
    assert [2, 2] in message["of"][0][3]
    assert look(5.0) is None


def test_after_a_silence_counting_goes_on(world):
    place = use(world(), boolean("a"))
    for _ in range(3):
        told(place, GET)
        assert counted(place)["shop", "a", "on"][2] == 1
        assert counted(place) == {}
        assert counted(place) == {}


def test_more_variants_than_there_is_room_for_are_counted_all_the_same(world, monkeypatch):
    monkeypatch.setattr("gatekeeper.dataplane.tally.MOST_PLACES", 3)
    place = world()
    for number in range(10):
        use(place, boolean(f"f{number}"), boolean("a"))
        told(place, GET)
        told(place, GET)
        found = counted(place)
        assert {name: cells[2] for name, cells in found.items()} == {
            ("shop", f"f{number}", "on"): 2,
            ("shop", "a", "on"): 2,
        }


def test_requests_under_way_at_a_flip_count_with_what_their_backend_was_told(world):
    place = use(world(), boolean("a"))
    client, backend = place.asked(GET)
    use(place, boolean("a", on=False))
    backend.send(NO_CONTENT)
    client.take()
    told(place, GET)
    found = counted(place)
    assert found["shop", "a", "on"][2] == 1
    assert found["shop", "a", "off"][2] == 1


def test_stable_that_answers_for_the_candidate_is_not_told_of_what_follows_the_candidate(world):
    place = world({"blue": 0, "green": 100}, retries=Retries(on_stable=True))
    place.states(blue="ready", green="ready")
    use(place, boolean("new-search", following="green"), boolean("a", 50), boolean("b"))
    client, green = place.asked(GET)
    first = Message.read(green.take()).get(NAME).split(", ")
    assert "new-search" in first
    green.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
    blue = place.backend()
    assert Message.read(blue.take()).get(NAME).split(", ") == [name for name in first if name != "new-search"]
    blue.send(OK)
    assert Message.read(client.take()).status == 200
    found = counted(place)
    assert found["shop", "new-search", "off"][2] == 1
    assert ("shop", "new-search", "on") not in found
    assert sum(found["shop", "b", "on"][:TIMES]) == 1


def test_paths_queries_and_methods_are_asked_for_again_where_all_else_repeats(world):
    conditions = {
        "path": When(path=Pattern(PatternKind.PREFIX, ("/beta",))),
        "query": When(query=(("beta", Pattern(PatternKind.PRESENT, ("true",))),)),
        "method": When(methods=("DELETE",)),
        "both": When(
            path=Pattern(PatternKind.EXACT, ("/beta",)), headers=(("x-user", Pattern(PatternKind.EXACT, ("ada",))),)
        ),
    }
    place = use(world(sticky=USER), *(boolean(name, when=when) for name, when in conditions.items()))
    for _ in range(2):
        for method, target, expected in (
            ("GET", "/", None),
            ("GET", "/beta", "both, path"),
            ("GET", "/beta/x", "path"),
            ("GET", "/?beta", "query"),
            ("DELETE", "/beta?beta=1", "both, method, path, query"),
        ):
            assert told(place, request(method, "X-User: ada", target=target)).get(NAME) == expected
            assert told(place, request(method, "X-User: ada", target=target)).get(NAME) == expected
