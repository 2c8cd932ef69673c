"""The page's own functions, in the browser they are for."""

import pytest

from tests.browser.hostile import TURNED

NOTHING = "\N{EN DASH}"

pytestmark = [pytest.mark.system, pytest.mark.outside("chromium", "nginx")]


@pytest.fixture
def run(house, people):
    """``run("format.js", "percent", 0.1)``: what a module's function gives."""
    page = people(house).open().page

    def call(module, function, *arguments):
        script = "async ([module, name, given]) => (await import(`./assets/${module}`))[name](...given)"
        return page.evaluate(script, [module, function, list(arguments)])

    call.page = page
    return call


def test_what_cannot_be_seen_is_written_out(run):
    assert run("text.js", "clean", f"{TURNED}\0\x1b[2J\nnext") == (
        r"abc\u202etxt.exe\u200b\u2067\u0000\u001b[2J" + "\nnext"
    )


def test_numbers_are_written_as_people_read_them_and_the_unknown_is_no_zero(run):
    assert [run("format.js", "percent", value) for value in (None, 0, 0.0012, 0.1, 0.9996, 1)] == [
        *(NOTHING, "0 %", "0.12 %", "10.0 %", "100 %", "100 %")
    ]
    assert [run("format.js", "time", value) for value in (None, 0, 0.0004, 0.018, 0.9996, 12.34)] == [
        *(NOTHING, "0 ms", "0.4 ms", "18 ms", "1.00 s", "12.3 s")
    ]
    assert [run("format.js", "rate", value) for value in (None, 0, 8.24, 123.4, 12400)] == [
        *(NOTHING, "0.0", "8.2", "123", "12,400")
    ]
    assert [run("format.js", "duration", value) for value in (0, 42, 300, 4800, 7200, 200_000)] == [
        *("0 s", "42 s", "5 min", "1 h 20 min", "2 h", "2 d")
    ]
    assert [run("format.js", "odds", value) for value in (None, 0.5, 12, 1400, 1e12)] == [
        *(NOTHING, "0.50", "12", "1,400", "over a million")
    ]


def test_who_would_move_is_said_for_every_way_of_sticking(run):
    """The least possible move, several at once, everybody, nobody."""

    def say(before, after, mode="ramp"):
        return run("acts/moving.js", "sentence", before, after, mode)

    stay = "Everybody else stays where they are."
    assert say({"blue": 90, "green": 10}, {"blue": 50, "green": 50}) == f"40 % of users move from blue to green. {stay}"
    assert say({"blue": 9, "green": 1}, {"blue": 1}) == f"10 % of users move from green to blue. {stay}"
    assert say({"blue": 100}, {"green": 3}) == "All users move from blue to green."
    assert (
        say({"a": 100}, {"a": 50, "b": 30, "c": 20}) == f"50 % of users move from a to 30 % to b and 20 % to c. {stay}"
    )
    assert say({"blue": 1, "green": 1}, {"blue": 2, "green": 2}) == "Nobody moves."
    assert say({"blue": 100}, {"blue": 90, "green": 10}, "none").startswith("10 % of requests move from blue to green.")


def test_a_version_keeps_its_colour_and_has_that_of_its_name(run):
    found = run.page.evaluate(
        """async (sets) => {
            const { slots } = await import("./assets/palette.js");
            return sets.map((names) => Object.fromEntries(slots(names)));
        }""",
        [["green", "blue"], ["v41", "v42"], ["next", "blue"], [str(number) for number in range(20)]],
    )
    assert found[:3] == [{"green": 1, "blue": 0}, {"v41": 0, "v42": 1}, {"next": 1, "blue": 0}]
    assert set(found[3].values()) == set(range(6))


def test_drawing_again_keeps_focus_what_is_typed_and_what_was_opened(run):
    """And the right one of several that moved; what is new, gone or changed is so afterwards."""
    assert run.page.evaluate(
        """async () => {
            const { h, morph } = await import("./assets/text.js");
            const place = document.createElement("div");
            document.body.append(place);
            const draw = (names, more) => morph(place, h("p", { title: more }, more), names.map((name) =>
                h("details", { "data-key": name },
                        h("summary", null, name), h("input", { name }), h("i", { "data-keep": true }))));
            draw(["a", "b", "c"], "first");
            const input = place.querySelector("[name=b]");
            input.value = "typed";
            input.closest("details").open = true;
            input.closest("details").querySelector("i").textContent = "kept";
            input.focus();
            draw(["c", "x", "b"], "second");
            return [
                document.activeElement === input, input.value, input.closest("details").open,
                input.closest("details").querySelector("i").textContent,
                [...place.querySelectorAll("summary")].map((one) => one.textContent).join(),
                place.querySelector("p").title,
            ];
        }"""
    ) == [True, "typed", True, "kept", "c,x,b", "second"]


def test_the_numbers_of_ten_minutes_are_kept_and_no_more_and_a_hole_stays_a_hole(run):
    assert run.page.evaluate(
        """async () => {
            const { Facts } = await import("./assets/facts.js");
            const facts = new Facts(() => {}, () => {});
            facts.soon = () => {};
            const same = { errors: 1, p50: 0.1, p95: 0.2, p99: 0.3, in_flight: 0, weight: 1, share: 1 };
            const row = (requests) => ({ requests, ...same });
            const shop = (versions) => ({ shop: { versions, odds: null, bar: 100 } });
            const tick = (at, versions) => ({ at, revision: 1, services: shop(versions) });
            facts.told("past", { at: 1000, revision: 1, services: {}, marks: {} });
            for (let at = 1000; at < 2000; at++) facts.told("tick", tick(at, { blue: row(10) }));
            facts.told("tick", tick(2010, { blue: row(20), green: row(5) }));
            const { at, versions } = facts.series.get("shop");
            return [
                at.length, versions.blue.requests.length, versions.green.requests.length,
                versions.blue.requests.slice(-3), versions.green.requests.slice(-2),
                Math.round(facts.recent("shop", "blue").rate), facts.recent("shop", "red").rate,
            ];
        }"""
    ) == [600, 600, 600, [10, None, 20], [None, 5], 10, None]
