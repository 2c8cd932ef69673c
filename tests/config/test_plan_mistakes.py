"""Each kind of mistake in plans and what belongs to them is one problem, at its place, with the way out."""

import pytest

from gatekeeper.config import ConfigError, load_text

# keys of a plan, path below plans.p, message, parts of the whole text
PLAN = [
    ("hold: 5m, steps: [{weight: 100}]", "hold", "unknown key", "allowed: verify, start, approve, steps"),
    ("verfy: [], steps: [{weight: 100}]", "verfy", "unknown key", "did you mean verify?"),
    ("retain: 1h", "steps", "is required and missing", "Weights that rise to 100"),
    ("steps: []", "steps", "is empty", "a list of at least 1"),
    ("steps: {weight: 100}", "steps", "takes a list", "a list of steps"),
    ("steps: [100]", "steps[0]", "takes a mapping", "weight, hold"),
    ("steps: [{hold: 1s}]", "steps[0].weight", "is required and missing"),
    ("steps: [{weight: 100, wieght: 5}]", "steps[0].wieght", "unknown key", "did you mean weight?"),
    ("steps: [{weight: 0}, {weight: 100}]", "steps[0].weight", "is too small", "above 0, at most 100"),
    ("steps: [{weight: 10}, {weight: 200}]", "steps[1].weight", "is too large"),
    ("steps: [{weight: much}]", "steps[0].weight", "is not a percentage"),
    ("steps: [{weight: -5}, {weight: 100}]", "steps[0].weight", "is not a percentage"),
    ("steps: [{weight: 10}, {weight: 50}]", "steps[1].weight", "the last step does not end with everything", "100 in"),
    ("steps: [{weight: 99.999999%}]", "steps[0].weight", "the last step does not end", 'found "99.999999%"'),
    (
        "steps: [{weight: 50}, {weight: 10}, {weight: 100}]",
        "steps[1].weight",
        "is not more than the weight of the step before",
        "allowed: more than 50",
    ),
    ("steps: [{weight: 100}, {weight: 100.0}]", "steps[1].weight", "is not more than the weight of the step before"),
    ("steps: [{weight: 100, hold: 5}]", "steps[0].hold", "needs a unit", "did you mean 5s?"),
    ("steps: [{weight: 100, hold: 1000h}]", "steps[0].hold", "is too large", "to 720h"),
    (
        "max_hold: 1h, steps: [{weight: 5, hold: 90m}, {weight: 100}]",
        "steps[0].hold",
        "is longer than max_hold",
        'at most "1h", or a max_hold of at least 90m',
    ),
    ("max_hold: 0, steps: [{weight: 100}]", "max_hold", "needs a unit"),
    ("retain: -1h, steps: [{weight: 100}]", "retain", "is not a duration"),
    ("on_fail: rolback, steps: [{weight: 100}]", "on_fail", "is not one of the words", "did you mean rollback?"),
    (
        "analysis: {alpha: 0.01}, steps: [{weight: 100}]",
        "analysis",
        "has nothing to compare",
        "a step below 100 before",
    ),
    ("anlysis: {}, steps: [{weight: 100}]", "anlysis", "unknown key", "did you mean analysis?"),
    ("guard: {errors: 5%}, steps: [{weight: 100}]", "guard", "does not stand here", "plans.NAME.analysis.guard"),
    ("steps: [{weight: 100, analysis: {}}]", "steps[0].analysis", "does not stand here", "in the plan that is to be"),
    ("steps: [{weight: 100, pause: yes}]", "steps[0].pause", "a bare yes, no, on or off is ambiguous"),
    ("steps: [{weight: 100, approve: product}]", "steps[0].approve", "takes a mapping", "groups, expires"),
    ("steps: [{weight: 100, approve: {}}]", "steps[0].approve.groups", "is required and missing"),
    ("steps: [{weight: 100, approve: {groups: []}}]", "steps[0].approve.groups", "is empty"),
    (
        "steps: [{weight: 100}], approve: {groups: [product, qa, product]}",
        "approve.groups[2]",
        "is the same as item 1 of this list",
    ),
    ("steps: [{weight: 100}], approve: {groups: ['a b']}", "approve.groups[0]", "is not a name", "did you mean a-b?"),
    ("steps: [{weight: 100}], approve: {groups: [qa], expires: 0}", "approve.expires", "needs a unit", "from 1s to"),
]

# keys of an analysis, path below plans.p.analysis, message, parts of the whole text
ANALYSIS = [
    ("alpa: 0.01", ".alpa", "unknown key", "did you mean alpha?"),
    ("alpha: 1", ".alpha", "is too large", "did you mean 1%?"),
    ("alpha: 0.2", ".alpha", "is too large", "a probability from 0.0001 to 0.1, also written as 0.01% to 10%"),
    ("alpha: 0", ".alpha", "is too small"),
    ("alpha: few", ".alpha", "is not a probability"),
    ("promote_beta: 60%", ".promote_beta", "is too large", "from 0.001 to 0.5"),
    ("tolerate: 0.05pt", ".tolerate", "takes a mapping", "errors, latency"),
    ("tolerate: {error: 0.05pt}", ".tolerate.error", "unknown key", "did you mean errors?"),
    ("tolerate: {errors: 0.05}", ".tolerate.errors", "needs a unit: pt", "did you mean 0.05pt?"),
    ("tolerate: {errors: 0.05%}", ".tolerate.errors", "needs a unit: pt", "did you mean 0.05pt?"),
    ("tolerate: {errors: 1.5x}", ".tolerate.errors", "is neither a ratio nor points", "did you mean x1.5?"),
    ("tolerate: {errors: x1.5 1pt}", ".tolerate.errors", "is neither a ratio nor points", "x1.5 + 0.5pt"),
    ("tolerate: {errors: x11}", ".tolerate.errors", "is too large", "at most x10 and 50pt"),
    ("tolerate: {errors: x0.5}", ".tolerate.errors", "is too small"),
    ("tolerate: {errors: 51pt}", ".tolerate.errors", "is too large"),
    ("tolerate: {errors: 1pt}", ".tolerate.errors", "is more than what the promotion must prove", "at most 0.5pt"),
    ("tolerate: {errors: x1.1}", ".tolerate.errors", "is more than what the promotion must prove", "promote_within"),
    ("tolerate: {latency: 5}", ".tolerate.latency", "needs a unit", "did you mean 5s?"),
    ("tolerate: {latency: 5% 2ms}", ".tolerate.latency", "is neither a percentage nor a duration", "5% + 2ms"),
    ("tolerate: {latency: 500%}", ".tolerate.latency", "is too large"),
    ("tolerate: {latency: 5% + 1m}", ".tolerate.latency", "is too large", "at most 100% and 10s"),
    ("promote_within: {p90: 1pt}", ".promote_within.p90", "unknown key", "allowed: errors, p95, p99"),
    (
        "promote_within: {errors: 0.01pt}",
        ".promote_within.errors",
        "is less than what is tolerated",
        "in both, ratio and points: 0.05pt",
    ),
    (
        "promote_within: {errors: 2pt}, tolerate: {errors: x1.5 + 0.1pt}",
        ".promote_within.errors",
        "is less than what is tolerated",
        'in both, ratio and points: "x1.5 + 0.1pt"',
    ),
    ("steps: alarm", ".steps", "is not one of the words", "no_alarm or passed", "did you mean no_alarm?"),
    ("latency: off", ".latency", "a bare yes, no, on or off is ambiguous"),
    ("latency: false, tolerate: {latency: 5%}", ".tolerate.latency", "means nothing with latency: false"),
    ("latency: false, promote_within: {p99: 1pt}", ".promote_within.p99", "means nothing with latency: false"),
    ("deadline: 25h", ".deadline", "is longer than max_hold", "at most 24h, or a longer max_hold"),
    ("min_bake: 1500ms", ".min_bake", "is not a number of whole seconds", "did you mean 2s?"),
    ("min_events: 0", ".min_events", "is too small"),
    ("warm_up: 2h", ".warm_up", "is too large", "in whole seconds"),
    ("routes: [checkout]", ".routes[0]", "is not a path", "did you mean /checkout?"),
    ("routes: [/a, /b, /a/]", ".routes[2]", "is the same as item 1 of this list"),
    (f"routes: [{', '.join(f'/{place}' for place in range(9))}]", ".routes", "is too long", "at most 8"),
    ("guard: {}", ".guard", "says no bound", "errors, p99 or both"),
    ("guard: {window: 1m}", ".guard", "says no bound"),
    ("guard: {errors: 5%, window: 1s}", ".guard.window", "is too small", "from 5s to 10m"),
    ("guard: {errors: some}", ".guard.errors", "is not a percentage"),
    ("guard: {p99: 800}", ".guard.p99", "needs a unit", "did you mean 800s?"),
    ("guard: 5%", ".guard", "takes a mapping", "errors, p99, window"),
    ("burst: {block: 5s}", ".burst.block", "is too small"),
    ("burst: {cap: 1}", ".burst.cap", "is too small", "a number from 2 to 1000"),
    ("burst: {cap: many}", ".burst.cap", "is not a number"),
    ("metrics: {name: a}", ".metrics", "takes a list", "a list of metrics"),
    ("metrics: [{name: a, prometheus: 'http://h', query: q}]", ".metrics[0]", "says no bound", "max, min or both"),
    ("metrics: [{name: a, prometheus: 'http://h', max: 1}]", ".metrics[0].query", "is required and missing"),
    ("metrics: [{name: a, prometheus: 'h:9', query: q, max: 1}]", ".metrics[0].prometheus", "has no scheme"),
    ("metrics: [{name: a, prometheus: 'http://h', query: q, max: 1s}]", ".metrics[0].max", "is not a number"),
    (
        "metrics: [{name: a, prometheus: 'http://h', query: q, max: 1, min: 2}]",
        ".metrics[0].min",
        "is more than max",
        "at most max",
    ),
    (
        "metrics: [&a {name: a, prometheus: 'http://h', query: q, max: 1}, *a]",
        ".metrics[1]",
        "is the same as item 1 of this list",
    ),
]

VERIFY = [
    ("{}", "", "takes exactly one check", "exactly one of http, command, released_in"),
    ("{http: /, command: {run: [a]}}", "", "takes exactly one check"),
    ("{htpp: /}", ".htpp", "unknown key", "did you mean http?"),
    ("smoke.sh", "", "takes a mapping", "http, command, released_in"),
    ("{mirror: {percent: 5, for: 10d}}", ".mirror.for", "is not a duration", "10m or 2h"),
    ("{http: healthz}", ".http", "is not a path", "did you mean /healthz?"),
    ("{http: {paht: /}}", ".http.paht", "unknown key", "did you mean path?"),
    ("{http: {path: /, status: []}}", ".http.status", "is empty"),
    ("{http: {path: /, status: 99}}", ".http.status", "is too small"),
    ("{http: {path: /, within: 1h}}", ".http.within", "is too large", "from 10ms to 10m"),
    ('{http: {path: /, body_contains: "a\\nb"}}', ".http.body_contains", "holds a control character"),
    ("{command: ./smoke.sh}", ".command", "takes a mapping", "run, timeout"),
    ("{command: {}}", ".command.run", "is required and missing"),
    ("{command: {run: './smoke.sh {url}'}}", ".command.run", "takes a list", "which no shell reads"),
    ("{command: {run: []}}", ".command.run", "is empty"),
    ("{command: {run: ['', a]}}", ".command.run[0]", "names no program", "the name or path of a program"),
    ('{command: {run: [a, "b\\0"]}}', ".command.run[1]", "holds a control character"),
    ("{command: {run: [[a]]}}", ".command.run[0]", "takes a single value"),
    ("{command: {run: [a], timeout: 2d}}", ".command.timeout", "is not a duration"),
    ("{released_in: 'http://h'}", ".released_in", "takes a mapping"),
    ("{released_in: {gatekeeper: 'http://h'}}", ".released_in.service", "is required and missing"),
    ("{released_in: {gatekeeper: 'http://h', service: s, tokn_file: a}}", ".released_in.tokn_file", "unknown key"),
    ("{released_in: {gatekeeper: 'h:9900', service: s}}", ".released_in.gatekeeper", "has no scheme", "http://h:9900?"),
    ("{released_in: {gatekeeper: 'unix:/a', service: s}}", ".released_in.gatekeeper", "has no scheme"),
    ("{released_in: {gatekeeper: 'http://u:p@h', service: s}}", ".released_in.gatekeeper", "has a user name"),
    ("{released_in: {gatekeeper: 'http://h/?a', service: s}}", ".released_in.gatekeeper", "has a query"),
    ("{released_in: {gatekeeper: 'http://h', service: s, token_file: ''}}", ".released_in.token_file", "is not a file"),
]

START = [
    ("{}", "", "says no time", "at, window or both"),
    ("{timezone: UTC}", "", "says no time"),
    ("2026-12-01T06:00Z", "", "takes a mapping", "at, timezone, window"),
    ("{at: 2026-12-01T06:00}", ".at", "is local to no time zone", "timezone: Europe/Berlin beside it"),
    ("{at: 2026-12-01, timezone: UTC}", ".at", "is not a moment", "did you mean 2026-12-01T00:00?"),
    ("{at: 2026-02-30T06:00Z}", ".at", "is no day or hour there is"),
    ("{at: 2026-12-01T06:00+15:00}", ".at", "has an offset no place has", "from -14:00 to +14:00"),
    ("{at: 1999-12-01T06:00Z}", ".at", "is too far away", "a year from 2000 to 2199"),
    ("{at: 2026-12-01T06:00, timezone: Berlin}", ".timezone", "is not a time zone", "did you mean Europe/Berlin?"),
    ("{at: 2026-12-01T06:00, timezone: Europe/Belrin}", ".timezone", "is not a time zone", "Europe/Berlin?"),
    ("{at: 2026-12-01T06:00Z, timezone: UTC}", ".timezone", "means nothing where at has an offset", "one of the two"),
    ("{at: 2026-12-01T06:00Z, tz: UTC}", ".tz", "unknown key"),
    ("{window: {}}", ".window", "has neither days nor hours", "days, hours or both"),
    ("{window: {timezone: UTC}}", ".window", "has neither days nor hours"),
    ("{window: daily}", ".window", "takes a mapping", "days, hours, timezone"),
    ("{window: {days: Mon-Thu}}", ".window.days", "is no day of the week", "did you mean mon-thu?"),
    ("{window: {days: [mon, thr]}}", ".window.days[1]", "is no day of the week", "mon, tue, wed"),
    ("{window: {days: []}}", ".window.days", "is empty"),
    ("{window: {days: daily, hours: 9-16}}", ".window.hours", "is not a range of hours", "did you mean 09:00-16:00?"),
    ("{window: {hours: ['09:00-12:00']}}", ".window.hours", "takes a single value", "22:00-06:00 ends on the next day"),
    ("{window: {hours: '09:00-25:00'}}", ".window.hours", "is no hour there is"),
    ("{window: {hours: '09:00-09:00'}}", ".window.hours", "begins and ends at the same time", "for the whole day"),
    ("{window: {days: mon, timezone: Mars/Olympus}}", ".window.timezone", "is not a time zone"),
]

FREEZE = [
    ("{}", "", "says no time", "at least one of from, until, days and hours"),
    ("{reason: audit}", "", "says no time"),
    ("december", "", "takes a mapping", "from, until, days, hours, timezone, reason"),
    ("{from: 2026-12-20T00:00}", ".from", "is local to no time zone", "or Z or an offset"),
    ("{until: 2026-12-20, timezone: UTC}", ".until", "is not a moment", "did you mean 2026-12-20T00:00?"),
    (
        "{from: 2026-12-20T00:00, until: 2026-12-19T00:00, timezone: UTC}",
        ".until",
        "is not after from",
        'found "2026-12-19T00:00"',
    ),
    ("{from: 2026-12-20T00:00Z, until: 2026-12-20T01:00+01:00}", ".until", "is not after from"),
    (
        "{from: 2026-12-20T00:00Z, until: 2027-12-20T00:00Z, timezone: UTC}",
        ".timezone",
        "means nothing where from and until have an offset",
    ),
    ("{days: fridays}", ".days", "is no day of the week", "did you mean fri?"),
    ("{days: fri, hours: 16-24}", ".hours", "is not a range of hours", "did you mean 16:00-24:00?"),
    ("{days: fri, timezon: UTC}", ".timezon", "unknown key", "did you mean timezone?"),
    ("{days: fri, timezone: CEST}", ".timezone", "is not a time zone"),
    ('{days: fri, reason: "a\\nb"}', ".reason", "holds a control character"),
]

NOTIFY = [
    ("http://h", "", "takes a mapping", "url, secret, events"),
    ("{url: 'http://h'}", ".secret", "is required and missing", "at least 16 characters"),
    ("{secret: 0123456789abcdef}", ".url", "is required and missing"),
    ("{url: hooks.example, secret: 0123456789abcdef}", ".url", "has no scheme", "did you mean http://hooks.example?"),
    ("{url: 'ftp://h', secret: 0123456789abcdef}", ".url", "has an unknown scheme", "http:// or https://"),
    ("{url: 'http://h/#a', secret: 0123456789abcdef}", ".url", "has a fragment"),
    ("{url: 'http://u:p@h', secret: 0123456789abcdef}", ".url", "has a user name"),
    (f"{{url: 'http://h/{'a' * 2048}', secret: 0123456789abcdef}}", ".url", "is too long", "at most 2048"),
    ("{url: 'http://h', secret: short}", ".secret", "is too short", "found (not shown)", "16 to 1024 characters"),
    (
        "{url: 'http://h', secret: 0123456789abcdef, events: [release_promted]}",
        ".events[0]",
        "is not one of the words",
        "release_started, ",
        "did you mean release_promoted?",
    ),
    ("{url: 'http://h', secret: 0123456789abcdef, events: []}", ".events", "is empty"),
    (
        "{url: 'http://h', secret: 0123456789abcdef, events: [tripped, rollback, tripped]}",
        ".events[2]",
        "is the same as item 1 of this list",
    ),
]


def cases(table):
    return [(a, b, c, d) for a, b, c, *d in table]


def expect(problems, path, message, parts, line=6):
    assert len(problems) == 1, [str(problem) for problem in problems]
    (problem,) = problems
    assert (problem.path, problem.line) == (path, line)
    assert problem.message.startswith(message)
    for part in parts:
        assert part in str(problem)


@pytest.mark.parametrize(("plan", "path", "message", "parts"), cases(PLAN))
def test_a_mistake_in_a_plan_is_one_problem(problems, plan, path, message, parts):
    expect(problems(top=f"plans: {{p: {{{plan}}}}}"), f"plans.p.{path}", message, parts)


@pytest.mark.parametrize(("keys", "path", "message", "parts"), cases(ANALYSIS))
def test_a_mistake_in_an_analysis_is_one_problem(problems, keys, path, message, parts):
    top = f"plans: {{p: {{steps: [{{weight: 5}}, {{weight: 100}}], analysis: {{{keys}}}}}}}"
    expect(problems(top=top), f"plans.p.analysis{path}", message, parts)


@pytest.mark.parametrize(("check", "path", "message", "parts"), cases(VERIFY))
def test_a_mistake_in_a_check_is_one_problem_before_the_plan_and_before_a_step(problems, check, path, message, parts):
    found = problems(top=f"plans: {{p: {{steps: [{{weight: 100}}], verify: [{check}]}}}}")
    expect(found, f"plans.p.verify[0]{path}", message, parts)
    found = problems(top=f"plans: {{p: {{steps: [{{weight: 100, verify: [{{http: /}}, {check}]}}]}}}}")
    expect(found, f"plans.p.steps[0].verify[1]{path}", message, parts)


@pytest.mark.parametrize(("start", "path", "message", "parts"), cases(START))
def test_a_mistake_in_a_start_is_one_problem(problems, start, path, message, parts):
    found = problems(top=f"plans: {{p: {{steps: [{{weight: 100}}], start: {start}}}}}")
    expect(found, f"plans.p.start{path}", message, parts)


@pytest.mark.parametrize(("freeze", "path", "message", "parts"), cases(FREEZE))
def test_a_mistake_in_a_freeze_is_one_problem_at_the_top_and_in_a_service(problems, freeze, path, message, parts):
    expect(problems(top=f"freeze: [{freeze}]"), f"freeze[0]{path}", message, parts)
    expect(problems(f"freeze: [{freeze}]"), f"services.shop.freeze[0]{path}", message, parts)


@pytest.mark.parametrize(("hook", "path", "message", "parts"), cases(NOTIFY))
def test_a_mistake_in_a_webhook_is_one_problem(problems, hook, path, message, parts):
    expect(problems(top=f"notify: [{hook}]"), f"notify[0]{path}", message, parts)


PLANS = "plans: {careful: {steps: [{weight: 100}]}}\n"
OTHERS = [
    ("plan: careful", "", "services.shop.plan", "there is no such plan", "a plan that is defined under plans"),
    ("plan: carefull", PLANS, "services.shop.plan", "there is no such plan", "did you mean careful?"),
    ("plan: direct", PLANS, "services.shop.plan", "there is no such plan", "allowed: careful"),
    ("plan: {steps: []}", PLANS, "services.shop.plan", "takes a single value"),
    ("", "plans: {direct: {steps: [{weight: 100}]}}", "plans.direct", "this name is reserved", "another name"),
    ("", "plans: {'a b': {steps: [{weight: 100}]}}", 'plans."a b"', "is not a name"),
    ("", "plans: [careful]", "plans", "takes a mapping"),
    ("", "freeze: {days: mon}", "freeze", "takes a list", "a list of freezes"),
    ("", "notify: {url: 'http://h'}", "notify", "takes a list", "a list of webhooks"),
    (
        "",
        "notify: [{url: 'http://H', secret: 0123456789abcdef}, {url: 'http://h', secret: 0123456789abcdef}]",
        "notify[1]",
        "is the same as item 1 of this list",
    ),
    ("retain: 1h", "", "services.shop.retain", "unknown key"),
]


@pytest.mark.parametrize(("service", "top", "path", "message", "parts"), [(a, b, c, d, e) for a, b, c, d, *e in OTHERS])
def test_a_mistake_around_plans_is_one_problem(problems, service, top, path, message, parts):
    expect(problems(service, top), path, message, parts)


GROUPS = [
    ("{a: {services: [shop, carts]}}", "a.services[1]", "there is no such service", "did you mean cart?"),
    ("{a: {services: [shop]}}", "a.services", "is too short", "a list of at least 2"),
    ("{a: {services: shop}}", "a.services", "takes a list"),
    ("{a: {services: [shop, shop]}}", "a.services[1]", "is the same as item 1 of this list"),
    ("{a: {services: [shop, cart], plan: quik}}", "a.plan", "there is no such plan", "did you mean quick?"),
    ("{shop: {services: [shop, cart]}}", "shop", "a service has the same name", "a name of its own"),
    (
        "{a: {services: [shop, cart]}, b: {services: [api, cart]}}",
        "b.services[1]",
        "this service moves with a (gk.yaml:7) already",
    ),
    ("{a: {plan: quick}}", "a.services", "is required and missing"),
    ("{a: [shop, cart]}", "a", "takes a mapping", "services, plan"),
]


@pytest.mark.parametrize(("groups", "path", "message", "parts"), cases(GROUPS))
def test_a_mistake_in_a_group_is_one_problem(tmp_path, groups, path, message, parts):
    services = "".join(
        f"  {name}: {{hosts: {name}.h, versions: {{v: {{backends: 'http://h'}}}}}}\n"
        for name in ("shop", "cart", "api")
    )
    text = f"services:\n{services}plans:\n  quick: {{steps: [{{weight: 100}}]}}\nreleases: {groups}\n"
    with pytest.raises(ConfigError) as caught:
        load_text(text, "gk.yaml", tmp_path)
    expect(caught.value.problems, f"releases.{path}", message, parts, line=7)


MANY = """\
plans:
  careful:
    verify:
      - http: {path: healthz}
      - command: {run: ./smoke.sh}
      - mirror: {percent: 500}
    start: {at: 2026-12-01T06:00, window: {days: mon-thru}}
    approve: {groups: []}
    steps:
      - {weight: 10, hold: 5}
      - {weight: 5, pause: on}
      - {weight: 50}
    on_fail: abort
services:
  shop:
    plan: carefull
    versions: {blue: {backends: ["http://h"]}}
    freeze: [{from: 2026-12-24T00:00Z, until: 2026-12-24T00:00Z}]
releases: {shop: {services: [shop, cart]}}
notify: [{url: "http://h", secret: short, events: [nothing]}]
"""


def test_every_mistake_of_a_file_with_plans_is_reported_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_text(MANY, "gk.yaml", tmp_path)
    assert [(problem.line, problem.path) for problem in caught.value.problems] == [
        (4, "plans.careful.verify[0].http.path"),
        (5, "plans.careful.verify[1].command.run"),
        (6, "plans.careful.verify[2].mirror.percent"),
        (7, "plans.careful.start.at"),
        (7, "plans.careful.start.window.days"),
        (8, "plans.careful.approve.groups"),
        (10, "plans.careful.steps[0].hold"),
        (11, "plans.careful.steps[1].weight"),
        (11, "plans.careful.steps[1].pause"),
        (12, "plans.careful.steps[2].weight"),
        (13, "plans.careful.on_fail"),
        (16, "services.shop.plan"),
        (18, "services.shop.freeze[0].until"),
        (19, "releases.shop"),
        (19, "releases.shop.services[1]"),
        (20, "notify[0].secret"),
        (20, "notify[0].events[0]"),
    ]
