"""What is written."""

import json
from xml.etree import ElementTree as ET

from benchmarks.proxies import picture, report
from benchmarks.proxies.results import Results
from tests.benchmarks.proxies.made import all_well, run

ABOUT = {"cpu": "a core"}


def test_every_case_has_its_table_and_the_machine_is_named():
    text = report.markdown(all_well(), ABOUT, "proxies.svg")
    assert "## Small GET, 64 returning users (`small`)" in text
    assert "| gatekeeper | 12.0 us | 12.0-12.0 | 1.20 | 82,500 | 99% |" in text
    assert "| 1. CPU per request to nginx, small | 1.20 | at most 1.35 | pass |" in text
    assert "(proxies.svg)" in text
    assert text.endswith("cpu a core.\n")


def test_times_are_told_beside_what_they_take_directly():
    assert "| gatekeeper | 1,000 | 50% | 240 us | 500 us | 1,000 us | +140 us | +300 us |" in report.markdown(
        all_well(), ABOUT
    )


def test_who_outran_the_load_has_a_lower_bound_of_throughput_and_no_latency():
    results = Results(rounds={"small": [{"floor": run("floor", 10, busy=0.8)}]})
    line = next(line for line in report.markdown(results, ABOUT).splitlines() if line.startswith("| uvloop"))
    assert "| > 80,000 | 80% |" in line
    assert line.endswith("| - | - |")


def test_a_refused_figure_says_why_and_shows_nothing():
    results = Results(rounds={"tls": [{}]}, refused={("tls", "envoy"): "the load was the bottleneck"})
    text = report.markdown(results, ABOUT)
    assert "Envoy: refused. the load was the bottleneck" in text
    assert "| Envoy" not in text


def test_the_json_holds_every_single_run():
    results = Results(rounds={"small": [{"nginx": run("nginx", 10)}, {"nginx": run("nginx", 12)}]})
    said = json.loads(report.as_json(results, ABOUT))
    assert [[each["contestant"] for each in played] for played in said["cases"]["small"]] == [["nginx"], ["nginx"]]
    assert json.loads(report.as_json(all_well(), ABOUT))["soak"]["changes"] == 100


def test_the_picture_has_a_dot_for_each_proxy_in_each_case():
    drawn = ET.fromstring(picture.draw(all_well()))  # noqa: S314 - we wrote it
    told = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert "gatekeeper, small: 1.20" in told
    assert len(told) == 6 + 6 + 4 * 2


def test_without_nginx_there_is_nothing_to_draw():
    assert picture.draw(Results(rounds={"small": [{"envoy": run("envoy")}]})) == ""


def test_dots_beyond_the_ends_stand_at_them():
    assert picture.x(0.1) == picture.LEFT
    assert picture.x(1000) == picture.RIGHT
    assert picture.LEFT < picture.x(1) < picture.x(2) < picture.RIGHT
