"""Each kind of mistake is one problem, at its place, with the way out."""

import pytest

from gatekeeper.config import ConfigError, load_text

RULE = "rules: [{when: {%s}, to: blue}]"

# keys of the service, path below services.shop, message, parts of the whole text
SERVICE = [
    ("stabel: blue", "stabel", "unknown key", 'found "stabel"; allowed: hosts, ', "did you mean stable?"),
    ("timeouts: {conect: 5s}", "timeouts.conect", "unknown key", "did you mean connect?"),
    ("stable: gren", "stable", "there is no such version", 'found "gren"; allowed: blue, green', "did you mean green?"),
    ("split: {bleu: 1}", "split.bleu", "there is no such version", "did you mean blue?"),
    ("rules: [{when: {}, to: Green}]", "rules[0].to", "there is no such version", "did you mean green?"),
    ("rules: [{when: {}, split: {gren: 1}}]", "rules[0].split.gren", "there is no such version", "did you mean green?"),
    ("split: {blue: 0, green: 0.0}", "split", "the weights add up to 0", "at least one weight above 0"),
    ("split: {blue: -1}", "split.blue", "is not a weight", 'found "-1"'),
    ("split: {blue: 90%}", "split.blue", "is not a weight", "did you mean 90?"),
    ("split: {blue: 1e3}", "split.blue", "is not a weight"),
    ("split: {blue: .nan}", "split.blue", "is not a weight"),
    ("split: {blue: 1.1234567}", "split.blue", "is not a weight", "at most 6 decimals"),
    ("split: {blue: 1000000001}", "split.blue", "is too large"),
    ("split: {}", "split", "is empty"),
    ("split: [blue]", "split", "takes a mapping", "found a list of 1"),
    ("versions: {}", "versions", "this key is here twice", "first in line 3"),
    ("hosts: []", "hosts", "is empty"),
    ("hosts: ['a.example', 'A.example']", "hosts[1]", "is the same as item 1 of this list"),
    ("hosts: ['shop.example:80']", "hosts[0]", "is not a host name", "did you mean shop.example?"),
    ("hosts: ['https://shop.example/x']", "hosts[0]", "is not a host name", "did you mean shop.example?"),
    ("hosts: ['a.*.example']", "hosts[0]", "is not a host name"),
    ("hosts: ['*']", "hosts[0]", "takes names only", "leave hosts out"),
    ("hosts: ['bücher.example']", "hosts[0]", "is not ASCII", "xn--"),
    ("hosts: {a: b}", "hosts", "takes a list", "found a mapping"),
    ("path_prefix: v2", "path_prefix", "is not a path", "did you mean /v2?"),
    ("path_prefix: /a/../b", "path_prefix", "has an empty, . or .. segment"),
    ("path_prefix: '/a?b'", "path_prefix", "is not a path"),
    ("strip_prefix: 1", "strip_prefix", "is not true or false"),
    ("strip_prefix: yes", "strip_prefix", "a bare yes, no, on or off is ambiguous", '"yes" in quotes, or true'),
    ("strip_prefix: Off", "strip_prefix", "a bare yes, no, on or off is ambiguous", '"Off" in quotes, or false'),
    ("stable: on", "stable", "a bare yes, no, on or off is ambiguous"),
    ("split: {no: 1}", "split.no", "a bare yes, no, on or off is ambiguous"),
    ("stable:", "stable", "nothing stands here"),
    ("sticky: ~", "sticky", "nothing stands here", "found nothing"),
    ("sticky: {mode: ramb}", "sticky.mode", "is not one of the words", "ramp, pin or none", "did you mean ramp?"),
    ("sticky: {by: [cokie]}", "sticky.by[0]", "is no source of a unit", "did you mean cookie?"),
    ("sticky: {by: ['header:a b']}", "sticky.by[0]", "is not a name HTTP allows"),
    ("sticky: {by: [cookie, cookie]}", "sticky.by[1]", "is the same as item 1 of this list"),
    ("sticky: {by: []}", "sticky.by", "is empty"),
    ("sticky: {by: [client_ip], mode: pin}", "sticky.mode", "pin needs a place to keep the assignment", "cookie in by"),
    ("rules: {when: {}}", "rules", "takes a list"),
    ("rules: [{to: blue}]", "rules[0].when", "is required and missing", "{} matches every request"),
    ("rules: [{when: {}}]", "rules[0]", "has neither to nor split"),
    ("rules: [{when: {}, to: blue, split: {blue: 1}}]", "rules[0]", "has both to and split"),
    (
        "rules: [{name: a, when: {}, to: blue}, {name: a, when: {}, to: blue}]",
        "rules[1].name",
        "rule 1 of this service",
    ),
    ("rules: [{name: rule-2, when: {}, to: blue}, {when: {}, to: blue}]", "rules[1].name", "rule 1 of this service"),
    ("rules: [{name: 'a b', when: {}, to: blue}]", "rules[0].name", "is not a name", "did you mean a-b?"),
    (RULE % "methods: [GET]", "rules[0].when.methods", "unknown key", "did you mean method?"),
    (RULE % "method: [get]", "rules[0].when.method[0]", "is not a method", "did you mean GET?"),
    (RULE % "method: []", "rules[0].when.method", "is empty"),
    (RULE % "client_ip: [10.0.0.1/8]", "rules[0].when.client_ip[0]", "has bits set", "did you mean 10.0.0.0/8?"),
    (RULE % "client_ip: [example.com]", "rules[0].when.client_ip[0]", "is not a network"),
    (RULE % "header: {'a b': x}", 'rules[0].when.header."a b"', "is not a name HTTP allows"),
    (RULE % "header: {X-A: x, x-a: y}", "rules[0].when.header.x-a", "this header is here twice"),
    (RULE % "cookie: {a: {regex: '(a'}}", "rules[0].when.cookie.a.regex", "is not a regular expression: missing )"),
    (RULE % "cookie: {a: {regex: '(?=a)'}}", "rules[0].when.cookie.a.regex", "is not a regular expression", "RE2"),
    (RULE % "cookie: {a: {}}", "rules[0].when.cookie.a", "takes exactly one test"),
    (RULE % "cookie: {a: {exact: b, prefix: c}}", "rules[0].when.cookie.a", "takes exactly one test"),
    (RULE % "cookie: {a: {exakt: b}}", "rules[0].when.cookie.a.exakt", "unknown key", "did you mean exact?"),
    (RULE % "cookie: {a: {prefix: ''}}", "rules[0].when.cookie.a.prefix", "is too short"),
    (RULE % "query: {a: {present: maybe}}", "rules[0].when.query.a.present", "is not true or false"),
    (RULE % "query: {a: {one_of: []}}", "rules[0].when.query.a.one_of", "is empty"),
    (RULE % "path: {prefix: v2}", "rules[0].when.path.prefix", "never matches a path", "did you mean /v2?"),
    (RULE % "path: v2", "rules[0].when.path", "never matches a path", "did you mean /v2?"),
    ("testers: {header: Content-Length}", "testers.header", "has a meaning of its own"),
    ("testers: {from: 300.0.0.1}", "testers.from", "is not a network"),
    ("testers: {keys: [short]}", "testers.keys[0]", "is too short", "found (not shown)"),
    ("on_unavailable: failover", "on_unavailable", "is not one of the words", "did you mean fail_over?"),
    ("timeouts: {connect: 5}", "timeouts.connect", "needs a unit", "did you mean 5s?"),
    ("timeouts: {connect: 5 S}", "timeouts.connect", "is not a duration", "did you mean 5s?"),
    ("timeouts: {connect: soon}", "timeouts.connect", "is not a duration"),
    ("timeouts: {connect: 0s}", "timeouts.connect", "is too small", "from 10ms to 10m"),
    ("timeouts: {idle: 48h}", "timeouts.idle", "is too large", "to 24h"),
    ("timeouts: {connect: [5s]}", "timeouts.connect", "takes a single value", "found a list of 1"),
    ("timeouts: 5s", "timeouts", "takes a mapping", "request_head, connect"),
    ("retries: {attempts: -1}", "retries.attempts", "is too small", "a whole number from 0 to 10"),
    ("retries: {attempts: 1.5}", "retries.attempts", "is not a whole number"),
    ("retries: {budget: 101%}", "retries.budget", "is too large"),
    ("retries: {budget: some}", "retries.budget", "is not a percentage"),
    ("skew: 200h", "skew", "is too large"),
    ("skew: !!str 1h", "skew", "YAML tags mean nothing here"),
    ("analysis: {on: yes}", "analysis", "does not stand here", "plans.NAME.analysis"),
    ("flags: {new: {on: true}}", "flags", "does not stand here", "flags.NAME.services"),
    ("trip: false", "trip", "takes off or a mapping", "did you mean off?"),
    ("trip: on", "trip", "takes off or a mapping", "off, or a mapping"),
    ("trip: {errors: 0}", "trip.errors", "is too small", "from 1 to 100"),
    ("trip: {min: 0}", "trip.min", "is too small"),
    ("trip: {within: 100ms}", "trip.within", "is too small", "from 200ms to 1m"),
    ("ejection: no", "ejection", "takes off or a mapping", "did you mean off?"),
    ("ejection: {fro: 10s}", "ejection.fro", "unknown key", "did you mean for?"),
    ("ejection: {failures: off}", "ejection.failures", "a bare yes, no, on or off is ambiguous"),
    ("ejection: {keep: 101%}", "ejection.keep", "is too large"),
    ("ejection: {most: 5s}", "ejection.most", "most is less than for", "at least 10s"),
    ("ejection: {for: 10m}", "ejection.for", "most is less than for", "at most 5m"),
    ("slow_start: 2h", "slow_start", "is too large"),
    ("ofrep: {path: ofrep}", "ofrep.path", "is not a path", "did you mean /ofrep?"),
    ("ofrep: {rate: 0}", "ofrep.rate", "is too small"),
    ("ofrep: {origins: shop.example}", "ofrep.origins", "has no scheme", "http:// or https:// and HOST"),
    ("ofrep: {origins: https://a.example/x}", "ofrep.origins", "has a path", "did you mean https://a.example?"),
    ("ofrep: {origins: [https://a.example, https://A.example]}", "ofrep.origins[1]", "is the same as item 1"),
    ("guard: {}", "guard", "does not stand here", "in the analysis of a plan: plans.NAME.analysis.guard"),
    ("plans: {}", "plans", "unknown key", "did you mean plan?"),
    ("notify: []", "notify", "unknown key"),
]

TOP = [
    ("lisen: ':80'", "lisen", "unknown key", "did you mean listen?"),
    ("listen: []", "listen", "is empty"),
    ("listen: [{adress: ':80'}]", "listen[0].adress", "unknown key", "did you mean address?"),
    ("listen: [{}]", "listen[0].address", "is required and missing"),
    ("listen: ['8080']", "listen[0]", "has no port", "did you mean 0.0.0.0:8080?"),
    ("listen: [':0']", "listen[0]", "has no valid port", "1 to 65535"),
    ("listen: [':65536']", "listen[0]", "has no valid port"),
    ("listen: ['::1:80']", "listen[0]", "is an IPv6 address without brackets", "did you mean [::1]:80?"),
    ("listen: ['example.com:80']", "listen[0]", "is not an IP address"),
    ("listen: ['unix:a.sock']", "listen[0]", "is not an absolute path"),
    (f"listen: ['unix:/{'a' * 107}']", "listen[0]", "is too long for a unix socket", "107 bytes"),
    ("listen: [':80', '0.0.0.0:80']", "listen[1]", "is the same as item 1 of this list"),
    ("listen: [{address: ':443', tls: {cert: /dev/null}}]", "listen[0].tls.key", "is required and missing"),
    ("listen: [{address: ':443', tls: [{cert: /dev/null, kee: c}]}]", "listen[0].tls[0].kee", "unknown key"),
    ("listen: [{address: ':443', tls: []}]", "listen[0].tls", "is empty"),
    ("listen: [{address: ':443', tls: a.pem}]", "listen[0].tls", "takes a list"),
    ("listen: [{address: ':443', proxy_protocol: true}]", "listen[0].proxy_protocol", "would refuse every connection"),
    ("admin: {http: ':8080'}", "admin.http", "is an address of listen"),
    ("admin: {http: 127.0.0.1:8080}", "admin.http", "is an address of listen", "that of 0.0.0.0:8080"),
    ("admin: {http: 'unix:/a'}", "admin.http", "has no valid port"),
    (f"admin: {{socket: /{'a' * 107}}}", "admin.socket", "is too long for a unix socket"),
    ("admin: {sockets: /a}", "admin.sockets", "unknown key", "did you mean socket?"),
    ("admin: {tokens: [a]}", "admin.tokens", "takes a single value"),
    ("state: ''", "state", "is not a file name"),
    ("workers: 0", "workers", "is too small", "auto or a whole number from 1 to 256"),
    ("workers: atuo", "workers", "is not a whole number", "did you mean auto?"),
    ("trusted_proxies: [10.0.0.0/33]", "trusted_proxies[0]", "is not a network"),
    ("limits: {header_bytes: 32KB}", "limits.header_bytes", "is not a size", "did you mean 32KiB?"),
    ("limits: {header_bytes: 0}", "limits.header_bytes", "is too small", "from 1KiB to 1MiB"),
    ("limits: {headers: 0}", "limits.headers", "is too small"),
    ("limits: {body: lots}", "limits.body", "is not a size"),
    ("log: {access: jsno}", "log.access", "is not one of the words", "did you mean json?"),
    ("log: {access: on}", "log.access", "is not one of the words"),
    ("log: {level: warn}", "log.level", "is not one of the words", "did you mean warning?"),
    ("trip: {min: 1}", "trip", "unknown key"),
    ("dns: {refresh: 0}", "dns.refresh", "needs a unit"),
    ("dns: {refresh: 1s, timeuot: 1s}", "dns.timeuot", "unknown key", "did you mean timeout?"),
    ("admin: {ofrep: {rate: 0}}", "admin.ofrep.rate", "is too small"),
    ("admin: {users: {anna: {role: root}}}", "admin.users.anna.role", "is not one of the words", "operator or admin"),
    ("admin: {users: {anna: {groups: ['a b']}}}", "admin.users.anna.groups[0]", "is not a name"),
    ("admin: {users: {'a:b': {}}}", 'admin.users."a:b"', "is not the name of a user", "uid:NUMBER"),
    ("guard: {}", "guard", "does not stand here", "in the analysis of a plan: plans.NAME.analysis.guard"),
    ("analysis: {alpha: much}", "analysis", "does not stand here", "in the plan that is to be judged"),
]


def expect(problems, path, message, parts):
    assert len(problems) == 1, [str(problem) for problem in problems]
    problem = problems[0]
    assert problem.path == path
    assert problem.message.startswith(message)
    for part in parts:
        assert part in str(problem)


@pytest.mark.parametrize(("keys", "path", "message", "parts"), [(a, b, c, d) for a, b, c, *d in SERVICE])
def test_a_mistake_in_a_service_is_one_problem(problems, keys, path, message, parts):
    found = problems(keys)
    expect(found, f"services.shop.{path}", message, parts)
    assert found[0].line == 6


@pytest.mark.parametrize(("keys", "path", "message", "parts"), [(a, b, c, d) for a, b, c, *d in TOP])
def test_a_mistake_at_the_top_is_one_problem(problems, keys, path, message, parts):
    found = problems(top=keys)
    expect(found, path, message, parts)
    assert found[0].line == 6


VERSION = [
    ("{}", ".backends", "is required and missing"),
    ("{backend: []}", ".backend", "unknown key", "did you mean backends?"),
    ("{backends: []}", ".backends", "is empty"),
    ("{backends: ['127.0.0.1:80']}", ".backends[0]", "has no scheme", "did you mean http://127.0.0.1:80?"),
    ("{backends: ['ftp://h']}", ".backends[0]", "has an unknown scheme"),
    ("{backends: ['http://h/x']}", ".backends[0]", "has a path"),
    ("{backends: ['http://h?x']}", ".backends[0]", "has a path"),
    ("{backends: ['http://u:p@h']}", ".backends[0]", "has a user name"),
    ("{backends: ['http://h:0']}", ".backends[0]", "has no valid port"),
    ("{backends: ['http://h:70000']}", ".backends[0]", "is not a URL with a valid host and port"),
    ("{backends: ['http://h h']}", ".backends[0]", "holds white space"),
    ("{backends: ['http://']}", ".backends[0]", "is not a host name"),
    ("{backends: ['http://[zz]']}", ".backends[0]", "is not a"),
    ("{backends: ['http://*.h']}", ".backends[0]", "is not one host"),
    ("{backends: ['unix:rel']}", ".backends[0]", "is not an absolute path"),
    ("{backends: ['http://h', 'http://H:80/']}", ".backends[1]", "is the same as item 1 of this list"),
    ("{backends: [{url: 'http://h', weight: 0}]}", ".backends[0].weight", "is too small", "from 1 to 1000"),
    ("{backends: [{weight: 1}]}", ".backends[0].url", "is required and missing"),
    ("{backends: ['http://h'], tls: {}}", ".tls", "none of the backends is https"),
    ("{backends: ['https://h'], tls: {verify: false, ca: /dev/null}}", ".tls.ca", "means nothing where verify is"),
    ("{backends: ['https://h'], tls: {server_name: '*.h'}}", ".tls.server_name", "is not one host"),
    ("{backends: ['https://h'], tls: {cert: /dev/null}}", ".tls.cert", "needs key beside it"),
    ('{backends: ["http://h"], build: "a\\nb"}', ".build", "holds a control character"),
    ("{backends: ['http://h'], health: {path: up}}", ".health.path", "is not a path", "did you mean /up?"),
    ("{backends: ['http://h'], health: {status: [99]}}", ".health.status[0]", "is too small"),
    ("{backends: ['http://h'], health: {status: ok}}", ".health.status", "is not a whole number"),
    ("{backends: ['http://h'], health: {interval: 1ms}}", ".health.interval", "is too small"),
    ("{backends: ['http://h'], health: {rise: 0}}", ".health.rise", "is too small"),
    ("{backends: ['http://h'], health: {jitter: 60%}}", ".health.jitter", "is too large", "from 0 to 50"),
    ("{backends: ['http://h'], health: {body_contains: \"a\\nb\"}}", ".health.body_contains", "holds a control"),
    ("{backends: ['http://h'], health: true}", ".health", "takes a mapping"),
    ("http", "", "takes a mapping"),
]


@pytest.mark.parametrize(("version", "path", "message", "parts"), [(a, b, c, d) for a, b, c, *d in VERSION])
def test_a_mistake_in_a_version_is_one_problem(tmp_path, version, path, message, parts):
    with pytest.raises(ConfigError) as caught:
        load_text(f"services:\n  s:\n    versions:\n      v: {version}", "gk.yaml", tmp_path)
    expect(caught.value.problems, f"services.s.versions.v{path}", message, parts)
    assert caught.value.problems[0].line == 4


FILES = [
    ("", "", "the file is empty"),
    ("# only a comment", "", "the file is empty"),
    ("- a", "", "the file is not a mapping of keys"),
    ("services", "", "the file is not a mapping of keys"),
    ("{}", "services", "is required and missing"),
    ("services: {}", "services", "is empty"),
    ("services: []", "services", "takes a mapping"),
    ("services:", "services", "nothing stands here"),
    ("services: {'a b': {versions: {v: {backends: 'http://h'}}}}", 'services."a b"', "is not a name"),
    ("services: {s: {versions: {-v: {backends: 'http://h'}}}}", "services.s.versions.-v", "is not a name"),
    (
        "services: {s: {versions: {none: {backends: 'http://h'}}}}",
        "services.s.versions.none",
        "this name is reserved",
    ),
    ("services: {s: {versions: {}}}", "services.s.versions", "is empty"),
    ("services: {s: {}}", "services.s.versions", "is required and missing"),
]


@pytest.mark.parametrize(("text", "path", "message"), FILES)
def test_a_file_without_a_service_is_one_problem(tmp_path, text, path, message):
    with pytest.raises(ConfigError) as caught:
        load_text(text, "gk.yaml", tmp_path)
    expect(caught.value.problems, path, message, ())


PLACES = [
    ("hosts: [a, b]", "hosts: [c, b]", "services.t.hosts[1]", "the service s (gk.yaml:2) answers to this host"),
    ("skew: 0", "skew: 0", "services.t", "the service s (gk.yaml:2) answers to every host"),
    ("path_prefix: /a", "path_prefix: /a/", "services.t", "the service s (gk.yaml:2) answers to every host"),
]


@pytest.mark.parametrize(("first", "second", "path", "message"), PLACES)
def test_two_services_at_one_place_are_one_problem_that_names_both(tmp_path, first, second, path, message):
    body = "versions: {v: {backends: 'http://h'}}"
    text = f"services:\n  s: {{{first}, {body}}}\n  t: {{{second}, {body}}}\n"
    with pytest.raises(ConfigError) as caught:
        load_text(text, "gk.yaml", tmp_path)
    expect(caught.value.problems, path, message, ())
    assert caught.value.problems[0].line == 3
