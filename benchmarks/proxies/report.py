"""Results -> tables in Markdown, with the gates, and their JSON twin."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from statistics import median

from benchmarks.proxies import idle, latency, soak
from benchmarks.proxies.cases import CASES
from benchmarks.proxies.contestants import CONTESTANTS
from benchmarks.proxies.gates import Gate, gates
from benchmarks.proxies.measure import Run
from benchmarks.proxies.results import REFERENCE, Results, at, cpu, per_cpu

MIB = 1 << 20


def titled(name: str) -> str:
    return CONTESTANTS[name].title if name in CONTESTANTS else name


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The first column to the left, numbers to the right."""
    lines = ["|---" + "|---:" * (len(head) - 1) + "|"]
    return [f"| {' | '.join(head)} |", *lines, *(f"| {' | '.join(row)} |" for row in rows)]


def _more(runs: Sequence[Run], *, each: bool) -> str:
    """Memory that the load brought, of ``each`` connection where there are so many that it is theirs."""
    added = median(run.rss_loaded - run.rss for run in runs)
    count = runs[0].connections
    return f"{added / MIB:+,.1f} MiB" + (f", {added / count / 1024:.1f} KiB x {count:,}" if each else "")


def _case(results: Results, case: str) -> list[str]:
    large = CASES[case].bulk is not None
    work = "MB per CPU second" if large else "requests/s"
    times = [] if large else ["p50", "p99"]
    rows = []
    for name in CONTESTANTS:
        runs = results.runs(case, name)
        if not runs:
            continue
        costs = [run.cpu_per_request * 1e6 for run in runs]
        ratio = results.ratio(case, name, REFERENCE, cpu)
        saturated = all(run.saturated for run in runs)
        done = median(per_cpu(run) / 1e6 for run in runs) if large else median(run.throughput for run in runs)
        cells = [
            titled(name),
            f"{median(costs):,.1f} us",
            f"{min(costs):,.1f}-{max(costs):,.1f}",
            "" if ratio is None else f"{ratio:.2f}",
            # An idle share means that the load gave up first: the proxy could do more, and latency is the load's.
            f"{'' if saturated or large else '> '}{done:,.0f}",
            f"{median(run.busy for run in runs):.0%}",
            f"{median(run.rss for run in runs) / MIB:,.0f} MiB",
            _more(runs, each=CASES[case].settle > 0),
        ]
        if not large:
            told = saturated and all(run.p50 for run in runs)
            cells += [f"{median(getattr(run, each) for run in runs) * 1e3:.2f} ms" if told else "-" for each in times]
        rows.append(cells)
    head = ["proxy", "CPU per request", "lowest-highest", f"to {REFERENCE}", work, "core busy", "memory", "under load"]
    return table([*head, *times], rows) if rows else []


def _latency(results: Results) -> list[str]:
    rows = []
    for name in latency.RIVALS:
        for share in latency.SHARES:
            found = [each for played in results.timed if (each := at(played.get(name, []), share)) is not None]
            if not found:
                continue
            added = [results.added(name, share, quantile) for quantile in latency.QUANTILES]
            times = [median(each.took[quantile] for each in found) for quantile in latency.QUANTILES]
            late = [median(each.late[quantile] for each in found) for quantile in ("p50", "p99")]
            rows.append(
                [
                    titled(name),
                    f"{found[0].rate:,.0f}",
                    f"{share:.0%}",
                    *(f"{each * 1e6:,.0f} us" for each in times),
                    *("" if each is None or name == "direct" else f"{each * 1e6:+,.0f} us" for each in added),
                    f"{median(each.cpu for each in found) * 1e6:.1f} us",
                    ", ".join(f"{each * 1e6:.0f}" for each in late) + " us",
                ]
            )
    names = list(latency.QUANTILES)
    head = ["proxy", "requests/s", "of the rate", *names, *(f"added {name}" for name in names)]
    return table([*head, "CPU per request", "driver late, p50, p99"], rows) if rows else []


def _idle(results: Results) -> list[str]:
    rows = []
    for name in idle.RIVALS:
        found = [each[name] for each in results.held if name in each]
        if found:
            more = median(each.added for each in found)
            cells = [
                titled(name),
                f"{found[0].connections:,}",
                f"{median(each.before for each in found) / MIB:.1f} MiB",
            ]
            rows.append([*cells, f"{more / MIB:+.1f} MiB", f"{more / found[0].connections / 1024:.2f} KiB"])
    return table(["proxy", "connections", "memory without", "with them", "for each"], rows) if rows else []


def _soak(results: Results) -> list[str]:
    if results.soak is None:
        return []
    rows = [[name, str(value)] for name, value in soak.summary(results.soak).items()]
    return [*table(["", ""], rows), *(f"\n{problem}." for problem in soak.wrong(results.soak))]


def sections(results: Results) -> list[tuple[str, str, list[str]]]:
    """Name, title and table of everything that was played."""
    found = [(name, case.title, _case(results, name)) for name, case in CASES.items()]
    found += [
        (latency.NAME, latency.TITLE, _latency(results)),
        (idle.NAME, idle.TITLE, _idle(results)),
        (soak.NAME, soak.TITLE, _soak(results)),
    ]
    refused = {case for case, _ in results.refused}
    return [(name, title, lines) for name, title, lines in found if lines or name in refused]


def judged(found: Sequence[Gate]) -> list[str]:
    rows = []
    for gate in found:
        value = "" if gate.found is None else f"{gate.found:.2f}"
        limit = f"{'at most' if gate.at_most else 'at least'} {gate.limit:g}"
        rows.append([f"{gate.number}. {gate.what}", value, limit, gate.verdict])
    return table(["promise", "found", "limit", ""], rows)


def markdown(results: Results, about: dict[str, str], picture: str = "") -> str:
    """The gates, each case, what was refused, and the machine."""
    out = ["# What gatekeeper costs beside other proxies", ""]
    if picture:
        out += [f"![CPU per request, to nginx]({picture})", ""]
    out += [*judged(gates(results)), ""]
    for name, title, lines in sections(results):
        out += [f"## {title} (`{name}`)", "", *lines]
        refused = [(who, why) for (case, who), why in results.refused.items() if case == name]
        out += [*(f"\n{titled(who)}: refused. {why}" for who, why in refused), ""]
    out.append("; ".join(f"{name} {value}" for name, value in about.items()) + ".")
    return "\n".join(out) + "\n"


def as_json(results: Results, about: dict[str, str]) -> str:
    """Every single run."""
    found = {
        "about": about,
        "gates": [asdict(gate) | {"verdict": gate.verdict} for gate in gates(results)],
        "cases": {
            case: [[asdict(run) for run in played.values()] for played in rounds]
            for case, rounds in results.rounds.items()
        },
        "latency": [{name: [asdict(each) for each in found] for name, found in one.items()} for one in results.timed],
        "idle": [[asdict(each) for each in one.values()] for one in results.held],
        "soak": None if results.soak is None else asdict(results.soak),
        "refused": [[case, name, why] for (case, name), why in results.refused.items()],
    }
    return json.dumps(found, indent=1) + "\n"
