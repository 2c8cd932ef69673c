"""A decision says for which unit it was made, where somebody wants to know; nothing else of it is different."""

from gatekeeper.core.decision import Decision
from gatekeeper.core.model import Sticky, StickyMode, UnitKind, UnitSource
from gatekeeper.core.sticky import point
from tests.core.routes import NOW, SALT, STRANGER, AllReady, Draws, Request, service, table, weights

HALF = weights(blue=50, green=50)
USER = UnitSource(UnitKind.HEADER, "x-user-id")
OWN = UnitSource(UnitKind.OWN_COOKIE)


def decided(request, *sources, tells, mode=StickyMode.RAMP, down=()):
    """What a fresh table decides; all of them draw alike."""
    routes = table(service(shares=HALF, sticky=Sticky(sources, mode)))
    routes.services["shop"].tells_units = tells
    ready = AllReady(routes, *down)
    found = routes.decide(request, STRANGER, False, False, ready, Draws(1), NOW)
    assert found is not None
    return found


def told(decision):
    """All but who it is, by name."""
    shown = {
        name: found
        for name in dir(Decision)
        if not name.startswith("_") and name not in {"unit", "who"} and not callable(found := getattr(decision, name))
    }
    return shown | {name: getattr(shown[name], "name", None) for name in ("service", "version", "failed_over_from")}


def test_the_unit_is_its_point_in_the_hash_range_and_nothing_else_differs():
    for number in range(20):
        name = b"user%d" % number
        request = Request(fields=((b"x-user-id", name),))
        for down in ((), ("blue",), ("blue", "green")):
            plain, said = (decided(request, USER, tells=tells, down=down) for tells in (False, True))
            assert (plain.unit, said.unit) == (-1, point(bytes.fromhex(SALT), name))
            assert (plain.who, said.who) == (b"", name)
            assert told(plain) == told(said)


def test_an_id_that_is_minted_is_a_unit():
    plain, said = (decided(Request(), OWN, tells=tells) for tells in (False, True))
    assert told(plain) == told(said)
    minted = said.set_cookie.partition(b"=")[2].partition(b";")[0]
    assert (said.unit, said.who) == (point(bytes.fromhex(SALT), minted), minted)


def test_a_draw_without_a_unit_has_none():
    assert decided(Request(), USER, tells=True).unit == -1
    assert decided(Request(), mode=StickyMode.NONE, tells=True).unit == -1
