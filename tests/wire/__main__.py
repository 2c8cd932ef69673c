"""The bench around a proxy of choice, with a table of what it breaks.

    python -m tests.wire [--target gatekeeper] [--only PARAGRAPH] [--case NAME] [--verbose]

``--target`` may be given several times; gatekeeper is judged by what it wants of itself and by what the
specifications allow, the others only by the latter. Exit 0 if every target was run, whatever it breaks.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.wire.bench import Bench
from tests.wire.case import Case
from tests.wire.cases import PARAGRAPHS
from tests.wire.judge import verdict
from tests.wire.proxies import PROXIES, missing, running, version_of

# A proxy that does not do what a case waits for makes it wait as long; longer than any timeout it has.
PATIENCE = 3.5


async def play(name: str, chosen: dict[str, list[Case]]) -> dict[str, dict[str, list[str]]]:
    """Paragraph -> broken case -> why."""
    bench = Bench(PATIENCE)
    with tempfile.TemporaryDirectory() as home, running(name, Path(home), bench.port) as port:
        bench.proxy = port
        await bench.start()
        broken: dict[str, dict[str, list[str]]] = {paragraph: {} for paragraph in chosen}
        for paragraph, cases in chosen.items():
            for case in cases:
                why = verdict(case, await bench.run(case), PROXIES[name].manner, lenient=name != "gatekeeper")
                if why:
                    broken[paragraph][case.name] = why
        await bench.stop()
    return broken


def rules(cases: list[Case]) -> int:
    """How many different rules these cases are examples of."""
    return len({case.rule or case.name for case in cases})


def table(chosen: dict[str, list[Case]], results: dict[str, dict[str, dict[str, list[str]]]]) -> str:
    """Markdown: per paragraph the hard rules broken, and what is done otherwise without breaking one."""
    names = list(results)
    lines = [
        f"| paragraph | cases | rules | {' | '.join(names)} |",
        f"|---|---:|---:|{'---:|' * len(names)}",
    ]

    def broken(name: str, paragraphs: Iterable[str], *, hard: bool) -> int:
        return len({
            case.rule or case.name
            for paragraph in paragraphs
            for case in chosen[paragraph]
            if case.hard is hard and case.name in results[name][paragraph]
        })  # fmt: skip

    for paragraph, cases in chosen.items():
        row = [" + ".join(str(broken(name, [paragraph], hard=hard)) for hard in (True, False)) for name in names]
        lines.append(f"| {paragraph} | {len(cases)} | {rules(cases)} | {' | '.join(row)} |")
    # A rule with examples in several paragraphs counts once.
    totals = [" + ".join(str(broken(name, list(chosen), hard=hard)) for hard in (True, False)) for name in names]
    everything = [case for cases in chosen.values() for case in cases]
    lines.append(
        f"| **all** | {len(everything)} | {rules(everything)} | {' | '.join(f'**{total}**' for total in totals)} |"
    )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.wire", description=__doc__.partition("\n")[0])
    parser.add_argument("--target", action="append", choices=sorted(PROXIES), help="default: gatekeeper")
    parser.add_argument("--only", action="append", choices=sorted(PARAGRAPHS), help="paragraphs; default: all")
    parser.add_argument("--case", help="only cases whose name contains this")
    parser.add_argument("--verbose", action="store_true", help="say why each broken case is broken")
    parser.add_argument("--json", type=Path, help="write every broken case and why")
    options = parser.parse_args(arguments)
    chosen = {
        paragraph: [case for case in cases if not options.case or options.case in case.name]
        for paragraph, cases in PARAGRAPHS.items()
        if not options.only or paragraph in options.only
    }
    results = {}
    for name in options.target or ["gatekeeper"]:
        if missing(name):
            sys.stderr.write(f"{name} is not installed\n")
            return 1
        sys.stderr.write(f"{name}: {version_of(name)}\n")
        results[name] = asyncio.run(play(name, chosen))
        if options.verbose:
            for paragraph, broken in results[name].items():
                for case, why in broken.items():
                    hard = next(each.hard for each in chosen[paragraph] if each.name == case)
                    sys.stdout.write(f"  {name}: {paragraph}, {case}{'' if hard else ' (choice)'}: {'; '.join(why)}\n")
    sys.stdout.write(table(chosen, results) + "\n")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
