"""The page says what was counted, parses, stays consistent under fire, and asks no worker."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from gatekeeper import COMPILED, __version__
from gatekeeper.core.judge.standing import Standing
from gatekeeper.core.judge.verdict import Kind
from gatekeeper.core.model import Backend, Running, Service, ServiceState, Settings, Split, State, Tripped, Version
from gatekeeper.core.release.model import ACTIVE, ReleaseState, WaitKind
from gatekeeper.core.shadow.compare import Kind as Differing
from gatekeeper.core.shadow.tally import Tally
from gatekeeper.errors import Source
from gatekeeper.telemetry.block import BUCKETS, Refusal
from gatekeeper.telemetry.cells import TIMES
from gatekeeper.telemetry.exposition import STATES, Exposition, View
from gatekeeper.telemetry.flagged import Flagged
from gatekeeper.telemetry.recorder import Recorder
from gatekeeper.telemetry.shadowed import Shadowed
from gatekeeper.telemetry.window import Window
from tests.control.judged import NUMBERS, standing
from tests.control.kept import flag
from tests.telemetry.test_released import UNDER_WAY

NAMES = {0: ("", ""), 1: ("", "overflow"), 2: ("shop", "blue"), 3: ("shop", "green")}
BLUE = {"service": "shop", "version": "blue"}
GREEN = {"service": "shop", "version": "green"}


def _state(url: str = "http://127.0.0.1:9002") -> State:
    versions = {
        "blue": Version("blue", (Backend("http://127.0.0.1:9001"), Backend("unix:/run/b.sock"))),
        "green": Version("green", (Backend(url),)),
    }
    weights = {"blue": Decimal("99.5"), "green": Decimal("0.5")}
    shop = Service("shop", versions, "blue", weights)
    split = Split(weights, {}, "00")
    return State(17, Settings(), {"shop": ServiceState(shop, Running(split, "00"))})


class Page:
    """A scrape, parsed."""

    def __init__(self, text: str, parser=parse) -> None:
        self.families = {family.name: family for family in parser(text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def value(self, name: str, /, **labels: str) -> float | None:
        found = [each.value for each in self.samples if each.name == name and each.labels == labels]
        assert len(found) <= 1
        return found[0] if found else None


class Setup:
    def __init__(self, make_block) -> None:
        self.blocks = [make_block(), make_block()]
        self.names = dict(NAMES)
        self.view = View(_state(), 1_700_000_000.5, workers=2, restarts=3, memory=[30_000_000, 0])
        self.window = Window(lambda: self.blocks, lambda: self.names)
        self.standings: list[Standing] = []
        self.flag_standings: list[Standing] = []
        self.flagged = Flagged()
        self.shadowed = Shadowed()
        self.exposition = Exposition(
            lambda: self.blocks,
            lambda: self.names,
            lambda: self.view,
            self.window,
            standings=lambda: self.standings,
            flag_standings=lambda: self.flag_standings,
            flagged=self.flagged,
            shadowed=self.shadowed,
        )

    def scrape(self) -> Page:
        text, content_type = self.exposition.render("")
        assert content_type.startswith("text/plain")
        return Page(text.decode())


@pytest.fixture
def setup(make_block) -> Setup:
    return Setup(make_block)


def test_the_page_equals_what_all_workers_recorded(setup):
    for times, block in enumerate(setup.blocks, start=1):
        recorder = Recorder(block)
        for _ in range(times):
            recorder.begin(2)
            recorder.finish(2, 200, False, 0.003, 0.002)
            recorder.begin(3)
            recorder.finish(3, 502, False, 70.0, -1.0)
            recorder.begin(3)
            recorder.finish(3, 200, True, 1.0, 1.0)
            recorder.begin(3)
        recorder.error(3, Source.UPSTREAM_RESET)
        recorder.failover(3)
        recorder.retry(2)
        recorder.tunnel_opened(2)
        recorder.tunnel_opened(2)
        recorder.tunnel_closed(2)
        recorder.tunnel_received(2, 10)
        recorder.tunnel_sent(2, 1000)
        recorder.begin(0)
        recorder.finish(0, 42, False, 0.0, -1.0)
    page = setup.scrape()
    count = "gatekeeper_requests_total"
    assert page.value(count, **BLUE, code="200", forced="false") == 3
    assert page.value(count, **GREEN, code="502", forced="false") == 3
    assert page.value(count, **GREEN, code="200", forced="true") == 3
    assert page.value(count, service="", version="", code="000", forced="false") == 2
    assert sum(each.value for each in page.samples if each.name == count) == 11
    assert page.value("gatekeeper_errors_total", **GREEN, source="upstream_reset") == 2
    assert page.value("gatekeeper_errors_total", **BLUE, source="upstream_reset") == 0
    assert page.value("gatekeeper_failovers_total", **GREEN) == 2
    assert page.value("gatekeeper_retries_total", **BLUE) == 2
    assert page.value("gatekeeper_inflight", **GREEN) == 3
    assert page.value("gatekeeper_inflight", **BLUE) == 0
    assert page.value("gatekeeper_tunnels", **BLUE) == 2
    assert page.value("gatekeeper_tunnels_opened_total", **BLUE) == 4
    assert page.value("gatekeeper_tunnel_received_bytes_total", **BLUE) == 20
    assert page.value("gatekeeper_tunnel_sent_bytes_total", **BLUE) == 2000
    assert page.value("gatekeeper_tunnels_opened_total", **GREEN) == 0
    duration = "gatekeeper_request_duration_seconds"
    assert page.value(f"{duration}_count", **BLUE) == 3
    assert page.value(f"{duration}_sum", **BLUE) == pytest.approx(0.009)
    assert page.value(f"{duration}_bucket", **BLUE, le="0.0025") == 0
    assert page.value(f"{duration}_bucket", **BLUE, le="0.005") == 3
    assert page.value(f"{duration}_bucket", **GREEN, le="60.0") == 0
    assert page.value(f"{duration}_bucket", **GREEN, le="+Inf") == 3
    assert page.value("gatekeeper_upstream_duration_seconds_count", **BLUE) == 3
    assert page.value("gatekeeper_upstream_duration_seconds_count", **GREEN) == 0


def test_histogram_buckets_are_cumulative_and_end_in_the_count(setup):
    recorder = Recorder(setup.blocks[0])
    for bound in (*BUCKETS, 1000.0):
        recorder.begin(2)
        recorder.finish(2, 200, False, bound, -1.0)
    page = setup.scrape()
    buckets = [each.value for each in page.families["gatekeeper_request_duration_seconds"].samples
               if each.name.endswith("_bucket") and each.labels["version"] == "blue"]  # fmt: skip
    assert buckets == list(range(1, len(BUCKETS) + 2))
    assert page.value("gatekeeper_request_duration_seconds_count", **BLUE) == len(BUCKETS) + 1


def test_what_operators_decided_and_what_flows(setup):
    setup.view = View(
        _state(), 1.0, 2, 0,
        {"shop": {"blue": {"http://127.0.0.1:9001": "ready", "unix:/run/b.sock": "ejected"}}},
    )  # fmt: skip
    page = setup.scrape()
    assert page.value("gatekeeper_weight", **BLUE) == 99.5
    assert page.value("gatekeeper_weight", **GREEN) == 0.5
    assert page.value("gatekeeper_revision") == 17
    assert page.value("gatekeeper_backend_up", **BLUE, backend="http://127.0.0.1:9001") == 1
    assert page.value("gatekeeper_backend_up", **BLUE, backend="unix:/run/b.sock") == 0
    assert page.value("gatekeeper_backend_up", **GREEN, backend="http://127.0.0.1:9002") == 1


def test_the_page_tells_why_backends_get_nothing_and_how_often_that_happens(setup):
    named = "http://app:9001#10.0.0.5"
    tripped = replace(_state().services["shop"].running, tripped={"green": Tripped(1.0, "5 of 5")})
    shop = replace(_state().services["shop"], running=tripped)
    setup.view = View(
        replace(_state(), services={"shop": shop}), 1.0, 2, 0,
        {"shop": {"blue": {named: "draining", "http://app:9001": "pending"}}},
        {("shop", "blue", "check"): 3},
        [31_000_000, 0],
        problems=2,
    )  # fmt: skip
    page = setup.scrape()
    assert page.value("gatekeeper_problems") == 2
    states = {"pending": 0, "ready": 0, "ejected": 0, "draining": 1}
    for state, value in states.items():
        assert page.value("gatekeeper_backend_state", **BLUE, backend=named, state=state) == value
    assert page.value("gatekeeper_backend_up", **BLUE, backend=named) == 0
    assert page.value("gatekeeper_backend_up", **BLUE, backend="http://127.0.0.1:9001") is None
    assert page.value("gatekeeper_backend_state", **GREEN, backend="http://127.0.0.1:9002", state="ready") == 1
    assert page.value("gatekeeper_ejections_total", **BLUE, cause="check") == 3
    assert page.value("gatekeeper_ejections_total", **BLUE, cause="requests") == 0
    assert page.value("gatekeeper_tripped", **GREEN) == 1
    assert page.value("gatekeeper_tripped", **BLUE) == 0
    assert page.value("gatekeeper_worker_memory_bytes", worker="0") == 31_000_000
    assert page.value("gatekeeper_worker_memory_bytes", worker="1") == 0
    assert page.value("gatekeeper_share", **BLUE) is None
    setup.window.sample(100.0)
    recorder = Recorder(setup.blocks[1])
    for slot in (2, 2, 2, 3):
        recorder.begin(slot)
        recorder.finish(slot, 200, False, 0.1, 0.1)
    setup.window.sample(101.0)
    page = setup.scrape()
    assert page.value("gatekeeper_share", **BLUE) == 0.75
    assert page.value("gatekeeper_share", **GREEN) == 0.25


def test_the_processes(setup):
    recorder = Recorder(setup.blocks[1])
    recorder.revision(16)
    recorder.lag(0.5)
    recorder.log_dropped(9)
    for _ in range(3):
        recorder.accepted()
    recorder.closed()
    recorder.refused(Refusal.CONNECTION_LIMIT)
    page = setup.scrape()
    assert page.value("gatekeeper_worker_revision", worker="0") == 0
    assert page.value("gatekeeper_worker_revision", worker="1") == 16
    assert page.value("gatekeeper_worker_lag_seconds", worker="1") == 0.5
    assert page.value("gatekeeper_access_log_dropped_total") == 9
    assert page.value("gatekeeper_connections") == 2
    assert page.value("gatekeeper_accepted_total") == 3
    assert page.value("gatekeeper_refused_total", reason="connection_limit") == 1
    assert page.value("gatekeeper_workers") == 2
    assert page.value("gatekeeper_worker_restarts_total") == 3
    assert page.value("gatekeeper_start_time_seconds") == 1_700_000_000.5
    info = page.families["gatekeeper_build_info"].samples[0]
    assert info.labels["version"] == __version__
    assert info.labels["traffic_path"] == ("compiled" if COMPILED else "python")


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", "naïve ☂", '{x="y"}', "", "\\n"])
def test_labels_come_back_as_they_went_in(setup, text):
    setup.names[2] = (text, text)
    setup.view = View(_state(url=text), 1.0, 2, 0)
    recorder = Recorder(setup.blocks[0])
    recorder.begin(2)
    recorder.finish(2, 200, False, 0.1, 0.1)
    del setup.names[0]
    page = setup.scrape()
    assert page.value("gatekeeper_requests_total", service=text, version=text, code="200", forced="false") == 1
    assert page.value("gatekeeper_backend_up", **GREEN, backend=text) == 1


def test_openmetrics_is_served_where_asked_for(setup):
    recorder = Recorder(setup.blocks[0])
    recorder.begin(2)
    recorder.finish(2, 200, False, 0.1, 0.1)
    text, content_type = setup.exposition.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    page = Page(text.decode(), parse_openmetrics)
    assert page.value("gatekeeper_requests_total", **BLUE, code="200", forced="false") == 1


def test_before_the_first_state_the_page_is_whole(setup):
    setup.view = View(None, 1.0, 0, 0)
    page = setup.scrape()
    assert page.value("gatekeeper_workers") == 0
    assert page.value("gatekeeper_revision") is None


BUSY = """
import sys
from gatekeeper.telemetry.block import Block
from gatekeeper.telemetry.recorder import Recorder

recorder = Recorder(Block.attach(int(sys.argv[1])))
print("busy", flush=True)
number = 0
while True:
    number += 1
    recorder.begin(2)
    recorder.finish(2, 200 if number % 3 else 503, False, number % 100 / 50, number % 100 / 60)
"""


def _monotone(earlier: Page, later: Page) -> bool:
    counting = ("_total", "_bucket", "_count", "_sum")
    before = {(each.name, tuple(each.labels.items())): each.value for each in earlier.samples}
    return all(
        each.value >= before.get((each.name, tuple(each.labels.items())), 0)
        for each in later.samples
        if each.name.endswith(counting)
    )


def test_under_fire_histograms_stay_consistent_and_counters_only_grow_also_across_a_kill(setup):
    fd = setup.blocks[0].fd
    pages = [setup.scrape()]
    for _life in range(2):
        worker = subprocess.Popen([sys.executable, "-c", BUSY, str(fd)], pass_fds=[fd], stdout=subprocess.PIPE)
        with worker:
            assert worker.stdout is not None
            worker.stdout.readline()
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                pages.append(setup.scrape())
            worker.send_signal(signal.SIGKILL)
        setup.blocks[0].settle()
        pages.append(setup.scrape())
    assert pages[-1].value("gatekeeper_request_duration_seconds_count", **BLUE) > 1000
    for earlier, later in pairwise(pages):
        assert _monotone(earlier, later)
    for page in pages:
        for name in ("gatekeeper_request_duration_seconds", "gatekeeper_upstream_duration_seconds"):
            samples = [each for each in page.families[name].samples if each.labels["version"] == "blue"]
            buckets = [each.value for each in samples if each.name.endswith("_bucket")]
            assert buckets == sorted(buckets)
            assert page.value(f"{name}_count", **BLUE) == buckets[-1]
        assert 0 <= page.value("gatekeeper_inflight", **BLUE) < 1000
    assert pages[-1].value("gatekeeper_inflight", **BLUE) == 0


def test_a_scrape_answers_while_the_worker_is_stopped(setup):
    fd = setup.blocks[0].fd
    worker = subprocess.Popen([sys.executable, "-c", BUSY, str(fd)], pass_fds=[fd], stdout=subprocess.PIPE)
    with worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        worker.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, worker.pid, os.WSTOPPED)
        began = time.monotonic()
        first, second = setup.scrape(), setup.scrape()
        assert time.monotonic() - began < 2
        worker.kill()
    assert first.samples == second.samples


def test_every_metric_stands_in_the_handbook_with_its_labels_and_no_other_does(setup):
    recorder = Recorder(setup.blocks[0])
    setup.window.sample(1.0)
    recorder.begin(2)
    recorder.finish(2, 200, False, 0.1, 0.1)
    setup.window.sample(2.0)
    setup.standings = setup.flag_standings = [standing()]
    setup.flagged.hear([["shop", "theme", "dark", [[2, 1], [TIMES, 1]]]])
    setup.shadowed.add("shop", "green", Tally())
    setup.view = replace(setup.view, state=replace(_state(), releases={41: UNDER_WAY}, flags={"new": flag("new")}))
    exposed = {}
    for family in setup.exposition.collect():
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        exposed[name] = (family.type, labels)
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(gatekeeper_\w+)` \| (\w+) \| [^|]+ \| ([^|]+) \|", text, re.MULTILINE)
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert documented == exposed
    assert len(rows) == len(documented)


@pytest.mark.parametrize(
    ("label", "known"), [("source", Source), ("reason", Refusal), ("verdict", Kind), ("kind", [*WaitKind, *Differing])]
)
def test_the_handbook_names_every_value_of_a_fixed_label(label, known):
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    row = re.search(rf"^\| `{label}` \|(.*)$", text, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row[1]) == [getattr(each, "label", each) for each in known]


def test_the_handbook_names_every_state_of_backends_and_of_releases():
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    row = re.search(r"^\| `state` \|(.*)$", text, re.MULTILINE)
    active = [each.value for each in ReleaseState if each in ACTIVE]
    assert re.findall(r"`(\w+)`", row[1]) == [*STATES, *active]


def test_each_value_of_the_judge_stands_beside_its_bar(setup):
    setup.standings = [standing(release=41)]
    page = setup.scrape()
    assert page.value("gatekeeper_verdict", service="shop", release="41", verdict="suspicious") == 1
    assert page.value("gatekeeper_verdict_odds", service="shop") == pytest.approx(129)
    assert page.value("gatekeeper_verdict_bar", service="shop") == 100
    assert page.value("gatekeeper_verdict_proof", service="shop", metric="p95") == pytest.approx(3)
    assert page.value("gatekeeper_verdict_proof_bar", service="shop") == 20
    assert page.value("gatekeeper_guard_value", **GREEN, guard="errors") == 0.016
    assert page.value("gatekeeper_guard_bound", **GREEN, guard="errors") == 0.05
    assert page.value("gatekeeper_guard_value", **GREEN, guard="p99") is None, "too few requests to say"
    assert page.value("gatekeeper_guard_bound", **GREEN, guard="p99") == 0.01
    assert page.value("gatekeeper_custom_metric_value", service="shop", metric="carts") == 3
    assert page.value("gatekeeper_custom_metric_bound", service="shop", metric="carts", bound="max") == 5
    assert page.value("gatekeeper_custom_metric_bound", service="shop", metric="carts", bound="min") is None
    assert page.value("gatekeeper_custom_metric_value", service="shop", metric="depth") is None
    assert page.value("gatekeeper_custom_metric_bound", service="shop", metric="depth", bound="min") == 1


def test_the_verdict_on_a_flag_stands_beside_its_odds_and_its_bar(setup):
    setup.flag_standings = [standing(release=0, service="new")]
    page = setup.scrape()
    verdict = setup.flag_standings[0].verdict
    assert page.value("gatekeeper_flag_verdict", flag="new", verdict=verdict.kind.value) == 1
    assert page.value("gatekeeper_flag_verdict_bar", flag="new") == verdict.bar
    assert page.value("gatekeeper_flag_verdict_odds", flag="new") > 0
    setup.flag_standings = []
    assert setup.scrape().value("gatekeeper_flag_verdict_bar", flag="new") is None


def test_what_is_not_judged_any_more_is_not_on_the_page(setup):
    setup.standings = [standing()]
    assert any(each.name.startswith("gatekeeper_verdict") for each in setup.scrape().samples)
    setup.standings = []
    assert not any(each.name.startswith(("gatekeeper_verdict", "gatekeeper_guard")) for each in setup.scrape().samples)


def test_odds_beyond_every_float_are_shown_as_the_highest(setup):
    setup.standings = [standing(numbers=replace(NUMBERS, log_odds=5_000.0))]
    assert setup.scrape().value("gatekeeper_verdict_odds", service="shop") == pytest.approx(1e12)
