"""From text to definition: what files mean."""

from decimal import Decimal

import pytest

from gatekeeper.config import load_file, load_text
from gatekeeper.core import model


def only(definition):
    return definition.services["shop"]


def test_the_smallest_file_means_the_defaults_of_the_model(load):
    definition = load()
    assert definition.settings == model.Settings()
    blue = model.Version("blue", (model.Backend("http://127.0.0.1:9001"),))
    green = model.Version("green", (model.Backend("http://127.0.0.1:9002"),))
    split = {"blue": Decimal(100), "green": Decimal(0)}
    assert definition.services == {"shop": model.Service("shop", {"blue": blue, "green": green}, "blue", split)}


def test_a_health_section_without_keys_means_the_defaults_of_the_model(tmp_path):
    text = 'services: {s: {versions: {v: {backends: ["http://h:1"], health: {}}}}}'
    assert load_text(text, "x", tmp_path).services["s"].versions["v"].health == model.HealthCheck()


def test_weights_are_the_decimals_that_are_written(load):
    split = only(load("split: {green: 0.1, blue: 99.900000}")).split
    assert list(split.items()) == [("blue", Decimal("99.9")), ("green", Decimal("0.1"))]
    assert str(split["green"]) == "0.1"


def test_versions_without_a_weight_have_none(load):
    assert only(load("split: {green: 3}")).split == {"blue": Decimal(0), "green": Decimal(3)}


def test_the_stable_version_has_all_weight_when_no_split_is_given(load):
    service = only(load("stable: green"))
    assert (service.stable, service.split) == ("green", {"blue": Decimal(0), "green": Decimal(100)})


def test_a_version_is_named_by_the_digits_as_they_are_written(tmp_path):
    text = (
        "services: {s: {versions: {1.10: {backends: ['http://h:1']}, 0x1F: {backends: ['http://h:1']}}, stable: 1.10}}"
    )
    service = load_text(text, "x", tmp_path).services["s"]
    assert (list(service.versions), service.stable) == (["1.10", "0x1F"], "1.10")


def test_a_build_that_looks_like_a_date_stays_a_text(tmp_path):
    text = "services: {s: {versions: {v: {backends: ['http://h:1'], build: 2026-11-23}}}}"
    assert load_text(text, "x", tmp_path).services["s"].versions["v"].build == "2026-11-23"


@pytest.mark.parametrize(
    ("keys", "part", "value"),
    [
        ("timeouts: {connect: 250ms}", "timeouts", model.Timeouts(connect=0.25)),
        ("timeouts: {response: 2h, idle: 1h30m}", "timeouts", model.Timeouts(response=7200.0, idle=5400.0)),
        ("timeouts: {drain: 0s, request_head: 0.5s}", "timeouts", model.Timeouts(drain=0.0, request_head=0.5)),
        ("timeouts: {tunnel: 168h}", "timeouts", model.Timeouts(tunnel=604_800.0)),
        ("retries: {attempts: 0, budget: 2.5%, on_stable: true}", "retries", model.Retries(0, 0.025, on_stable=True)),
        ("retries: {budget: 20}", "retries", model.Retries(budget=0.2)),
        ("ejection: off", "ejection", None),
        ('ejection: "off"', "ejection", None),
        ("ejection: {}", "ejection", model.Ejection()),
        (
            "ejection: {failures: 3, errors: 20%, within: 5s, for: 1s, most: 1m, keep: 75}",
            "ejection",
            model.Ejection(3, 0.2, 5.0, 1.0, 60.0, 0.75),
        ),
        ("slow_start: 30s", "slow_start", 30.0),
        ("ofrep: {}", "ofrep", model.Ofrep("/ofrep", (), 200)),
        (
            'ofrep: {path: /flags/, origins: ["HTTPS://Shop.example:443", "http://127.0.0.1:3000", "*"], rate: 5}',
            "ofrep",
            model.Ofrep("/flags", ("https://shop.example", "http://127.0.0.1:3000", "*"), 5),
        ),
        ("trip: off", "trip", None),
        ("trip: {errors: 10%, within: 2s, min: 5}", "trip", model.Trip(0.1, 2.0, 5)),
        ("skew: 12h", "skew", 43200.0),
        ("skew: 0", "skew", 0.0),
        ("strip_prefix: true", "strip_prefix", True),
        ("path_prefix: /v2/", "path_prefix", "/v2"),
        ("on_unavailable: fail", "on_unavailable", model.OnUnavailable.FAIL),
        ("hosts: Shop.Example.COM", "hosts", ("shop.example.com",)),
        ('hosts: ["*.example.com", 10.1.2.3, "[::1]"]', "hosts", ("*.example.com", "10.1.2.3", "[::1]")),
        ("testers: {from: []}", "testers", model.Testers(networks=())),
        (
            "testers: {header: X-T, query: true, from: 10.0.0.1, keys: [0123456789abcdef]}",
            "testers",
            model.Testers("X-T", query=True, networks=("10.0.0.1/32",), keys=("0123456789abcdef",)),
        ),
        ("sticky: {mode: none}", "sticky", model.Sticky(mode=model.StickyMode.NONE)),
        (
            'sticky: {by: ["header:X-User", "cookie:Sid", cookie, client_ip], mode: pin}',
            "sticky",
            model.Sticky(
                (
                    model.UnitSource(model.UnitKind.HEADER, "x-user"),
                    model.UnitSource(model.UnitKind.COOKIE, "Sid"),
                    model.UnitSource(model.UnitKind.OWN_COOKIE),
                    model.UnitSource(model.UnitKind.CLIENT_IP),
                ),
                model.StickyMode.PIN,
            ),
        ),
    ],
)
def test_a_key_of_a_service_is_read(load, keys, part, value):
    assert getattr(only(load(keys)), part) == value


@pytest.mark.parametrize(
    ("keys", "part", "value"),
    [
        ('listen: ":8081"', "listen", ("0.0.0.0:8081",)),
        ('listen: [{address: "*:80"}, "localhost:81"]', "listen", ("0.0.0.0:80", "127.0.0.1:81")),
        ('listen: ["[0:0::1]:80", "unix:/a/b"]', "listen", ("[::1]:80", "unix:/a/b")),
        ("workers: 3", "workers", 3),
        ("workers: auto", "workers", 0),
        ("trusted_proxies: [10.0.0.0/8, '::1']", "trusted_proxies", ("10.0.0.0/8", "::1/128")),
        ("limits: {header_bytes: 1MiB, body: 2 GiB}", "limits", model.Limits(header_bytes=2**20, body=2**31)),
        ("limits: {header_bytes: 2048, connections: 10}", "limits", model.Limits(header_bytes=2048, connections=10)),
        ("log: {access: off, level: debug}", "log", model.Log("off", "debug")),
        ('log: {access: "off"}', "log", model.Log("off")),
        ("admin: {http: 127.0.0.1:9900}", "admin_http", "127.0.0.1:9900"),
        ("admin: {socket: /run/a.sock}", "admin_socket", "/run/a.sock"),
        (
            "admin: {users: {anna: {role: admin, groups: [product]}, 'DOM\\bob': {}}}",
            "admin_users",
            {"anna": model.User(model.Role.ADMIN, ("product",)), "DOM\\bob": model.User(model.Role.OPERATOR)},
        ),
        ("dns: {refresh: 1m}", "dns", model.Dns(refresh=60.0)),
    ],
)
def test_a_key_of_the_whole_program_is_read(load, keys, part, value):
    assert getattr(load(top=keys).settings, part) == value


def test_relative_paths_start_at_the_file(load, tmp_path):
    settings = load(top="state: data/s.db\nadmin: {socket: ./a.sock, tokens: ../t.yaml}").settings
    assert settings.state == str(tmp_path / "data/s.db")
    assert settings.admin_socket == str(tmp_path / "a.sock")
    assert settings.admin_tokens == str(tmp_path.parent / "t.yaml")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://H.example", "http://h.example:80"),
        ("http://127.0.0.1:9001/", "http://127.0.0.1:9001"),
        ("HTTP://[::0:1]:81", "http://[::1]:81"),
        ("http://my_app:8000", "http://my_app:8000"),
        ("unix:/run/app.sock", "unix:/run/app.sock"),
    ],
)
def test_backends_have_one_form(tmp_path, written, meant):
    text = f"services: {{s: {{versions: {{v: {{backends: [{{url: '{written}', weight: 7}}]}}}}}}}}"
    assert load_text(text, "x", tmp_path).services["s"].versions["v"].backends == (model.Backend(meant, 7),)


def test_rules_carry_every_kind_of_pattern(load):
    rules = only(
        load(
            """\
rules:
  - name: all
    when:
      header: {X-A: 1, x-b: {present: false}}
      cookie: {C: {one_of: [a, b]}}
      query: {q: {contains: z}}
      path: {regex: "^/x$"}
      method: GET
      client_ip: [10.0.0.0/8]
    to: green
  - {when: {path: {prefix: /v2}}, split: {green: 1}}
  - {when: {path: {suffix: .js}, header: {a: {exact: ""}, b: true}}, to: blue}
"""
        )
    ).rules
    kind, pattern = model.PatternKind, model.Pattern
    when = model.When(
        headers=(("x-a", pattern(kind.EXACT, ("1",))), ("x-b", pattern(kind.PRESENT, ("false",)))),
        cookies=(("C", pattern(kind.ONE_OF, ("a", "b"))),),
        query=(("q", pattern(kind.CONTAINS, ("z",))),),
        path=pattern(kind.REGEX, ("^/x$",)),
        methods=("GET",),
        networks=("10.0.0.0/8",),
    )
    assert rules[0] == model.Rule("all", when, to="green")
    assert rules[1].name == "rule-2"
    assert rules[1].when.path == pattern(kind.PREFIX, ("/v2",))
    assert rules[1].split == {"blue": Decimal(0), "green": Decimal(1)}
    assert rules[2].when.path == pattern(kind.SUFFIX, (".js",))
    assert rules[2].when.headers == (("a", pattern(kind.EXACT, ("",))), ("b", pattern(kind.EXACT, ("true",))))


def test_a_health_check_is_read(tmp_path):
    health = (
        "{path: /up?x=1, status: [200, 204], body_contains: ok, interval: 500ms, timeout: 100ms, rise: 1, fall: 5, "
        "jitter: 25%}"
    )
    text = f"services: {{s: {{versions: {{v: {{backends: 'http://h:1', health: {health}}}}}}}}}"
    found = load_text(text, "x", tmp_path).services["s"].versions["v"].health
    assert found == model.HealthCheck("/up?x=1", (200, 204), "ok", 0.5, 0.1, 1, 5, 0.25)


def test_two_services_may_share_a_host_or_a_prefix(tmp_path):
    one = "versions: {v: {backends: 'http://h:1'}}"
    text = f"services: {{a: {{hosts: h, {one}}}, b: {{hosts: h, path_prefix: /b, {one}}}, c: {{{one}}}}}"
    assert list(load_text(text, "x", tmp_path).services) == ["a", "b", "c"]


def test_json_is_a_file_too(tmp_path):
    version = '{"backends":["http:\\/\\/h:1"],\n\t"build": "\\ud83d\\ude00"}'
    text = f'{{\n\t"services": {{"s":{{"versions":\n\t\t{{"v":{version}}}}}}}}}\n'
    assert load_text(text, "body", tmp_path).services["s"].versions["v"].build == "\N{GRINNING FACE}"


def test_a_file_loads_as_its_text_does(load, tmp_path):
    path = tmp_path / "gk.yaml"
    path.write_bytes(b"\xef\xbb\xbfservices: {s: {versions: {v: {backends: ['http://h:1']}}}}\r\n")
    assert load_file(path) == load_text(path.read_bytes(), "other", tmp_path)


def test_anchors_and_merge_keys_save_typing(tmp_path):
    text = """\
services:
  a: &a
    hosts: [a.example]
    timeouts: &slow {response: 10m}
    versions: &versions {v: {backends: ["http://h:1"]}}
  b: {<<: *a, hosts: [b.example]}
  c:
    <<: [{timeouts: *slow}, {timeouts: {response: 1s}, skew: 1h}]
    versions: *versions
"""
    services = load_text(text, "x", tmp_path).services
    assert [service.timeouts.response for service in services.values()] == [600.0] * 3
    assert services["b"].hosts == ("b.example",)
    assert services["c"].skew == 3600.0
