"""The page says the same as the client library's would, in either format, in a part of its time."""

import math
import time
from decimal import Decimal

import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from gatekeeper.core.model import Backend, Running, Service, ServiceState, Settings, Split, State, Version
from gatekeeper.telemetry.exposition import Exposition, View
from gatekeeper.telemetry.recorder import Recorder
from gatekeeper.telemetry.text import OPENMETRICS, TEXT, encode
from gatekeeper.telemetry.window import Window
from tests.control.judged import standing

PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
"""What Prometheus sends."""


def families():
    gauge = GaugeMetricFamily("gatekeeper_a", "A gauge.", labels=("x",))
    for text, value in (('a"b', 1), ("a\\b", 0.1), ("a\nb", -2.5), ("ü", 1e300), ("", 12_345_678_901)):
        gauge.add_metric((text,), value)
    counter = CounterMetricFamily("gatekeeper_b", "A counter.", labels=("x", "y"))
    counter.add_metric(("1", "2"), 7)
    histogram = HistogramMetricFamily("gatekeeper_c", "A histogram.", labels=("x",))
    histogram.add_metric(("1",), [("0.5", 1.0), ("+Inf", 3.0)], 2.5)
    return [gauge, counter, histogram, InfoMetricFamily("gatekeeper_d", "Info.", {"version": "1"})]


@pytest.mark.parametrize(
    ("accept", "parser", "content_type"), [("", parse, TEXT), (PROMETHEUS, parse_openmetrics, OPENMETRICS)]
)
def test_what_goes_in_comes_out_of_a_parser(accept, parser, content_type):
    text, told = encode(families(), accept)
    assert told == content_type
    found = {(each.name, *each.labels.values()): each.value for one in parser(text.decode()) for each in one.samples}
    assert found == {(each.name, *each.labels.values()): each.value for one in families() for each in one.samples}


def test_types_and_help_are_named_as_each_format_wants_them():
    plain, openmetrics = (encode(families(), accept)[0].decode().splitlines() for accept in ("", PROMETHEUS))
    assert "# TYPE gatekeeper_b_total counter" in plain
    assert "# TYPE gatekeeper_b counter" in openmetrics
    assert "# TYPE gatekeeper_d_info gauge" in plain
    assert "# TYPE gatekeeper_d info" in openmetrics
    assert openmetrics[-1] == "# EOF"
    assert "# EOF" not in plain


@pytest.mark.parametrize(("value", "text"), [(math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN")])
def test_numbers_that_are_none_have_the_words_of_the_format(value, text):
    assert encode([GaugeMetricFamily("gatekeeper_a", "A.", value=value)], "")[0].endswith(
        f"gatekeeper_a {text}\n".encode()
    )


SERVICES, VERSIONS, BACKENDS = 10, 3, 4


def test_ten_services_of_three_versions_take_less_than_20_ms(make_block):
    blocks = [make_block(64), make_block(64)]
    names = {0: ("", ""), 1: ("", "overflow")}
    services = {}
    for number in range(SERVICES):
        service = f"service-{number}"
        weights = {f"version-{each}": Decimal(1) for each in range(VERSIONS)}
        for version in weights:
            names[len(names)] = (service, version)
        versions = {
            name: Version(name, tuple(Backend(f"http://10.0.{number}.{each}:80") for each in range(BACKENDS)))
            for name in weights
        }
        definition = Service(service, versions, "version-0", weights)
        services[service] = ServiceState(definition, Running(Split(weights, {}, "00"), "00"))
    for block in blocks:
        recorder = Recorder(block)
        for slot in names:
            for code in (200, 204, 301, 302, 304, 400, 404, 499, 500, 502, 503):
                for forced in (False, True):
                    recorder.begin(slot)
                    recorder.finish(slot, code, forced, 0.01, 0.005)
    window = Window(lambda: blocks, lambda: names)
    view = View(State(1, Settings(), services), 1.0, 2, 0, memory=[1, 1])
    page = Exposition(
        lambda: blocks, lambda: names, lambda: view, window, standings=lambda: [standing(service=s) for s in services]
    )
    window.sample(1.0)
    window.sample(2.0)

    def seconds(accept):
        began = time.process_time()
        text, _ = page.render(accept)
        assert text.count(b"\n") > 3_000
        return time.process_time() - began

    for accept in ("", PROMETHEUS):
        assert min(seconds(accept) for _ in range(7)) < 0.020
