from rich.console import Console

from gatekeeper.interface import render, traffic


def version(rate, **live):
    return {"backends": [{"url": "http://a:1", "state": "ready"}], "live": {"rate": rate, "in_flight": 3, **live}}


STATUS = {
    "version": "0.1.0",
    "pid": 7,
    "revision": 17,
    "workers": [
        {"index": 0, "pid": 8, "state": "ready", "revision": 17, "restarts": 1, "lag": 0.0012, "rss": 34 * 2**20},
        {"index": 1, "pid": None, "state": "dead", "revision": 0, "restarts": 0, "last_end": "killed by SIGKILL"},
    ],
    "services": [
        {"name": "shop", "split": {"blue": 90, "green": 10}, "versions": {"blue": version(5.0), "green": version(0.0)}},
        {"name": "api", "split": {"v1": 1}, "versions": {"v1": version(9.0, p50=0.002, p95=0.01, p99=0.1, share=1.0)}},
    ],
}


def test_the_version_with_the_most_traffic_comes_first():
    rows = traffic.versions(STATUS).rows
    assert [(row[0], row[1]) for row in rows] == [("api", "v1"), ("shop", "blue"), ("shop", "green")]
    assert rows[0] == ("api", "v1", "1", "9.0", "100.0%", "-", "2.00/10.0/100", "3", "1/1")


def test_workers_show_their_lag_and_memory():
    assert traffic.workers(STATUS).rows == [
        ("0", "8", "ready", "17", "-", "-", "1.20", "34 MiB", "1"),
        ("1", "-", "dead", "0", "-", "-", "-", "-", "0"),
    ]


def test_what_is_wrong_is_said_below():
    assert traffic.picture(STATUS)[-1] == "worker slot 1 is empty: killed by SIGKILL"


def test_a_picture_is_cut_to_the_lines_there_are_and_says_so():
    table = render.Table(("name",), [(f"row {number}",) for number in range(100)])
    for height in (10, 20, 40):
        console = Console(width=80, height=height, force_terminal=False)
        with console.capture() as capture:
            console.print(render.rich_group(["head", table, "foot"], height))
        lines = capture.get().splitlines()
        assert len(lines) <= height
        shown = sum("row" in line for line in lines)
        assert any(f"... and {100 - shown} more" in line for line in lines)
        assert (lines[0], lines[-1]) == ("head", "foot")


def test_a_picture_that_fits_is_not_cut():
    assert render._fitted(traffic.picture(STATUS), 40) == traffic.picture(STATUS)


def test_the_picture_is_eighty_columns_wide():
    long = {**STATUS, "workers": [{**STATUS["workers"][0], "pid": 1234567}]}
    assert max(len(line) for line in render.plain(traffic.versions(long)).splitlines()) <= 80
    assert max(len(line) for line in render.plain(traffic.workers(long)).splitlines()) <= 80
