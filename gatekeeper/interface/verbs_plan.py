"""Verbs about plans, without a release: plans, verify, simulate."""

import re
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import click

from gatekeeper.core import codec
from gatekeeper.errors import GatekeeperError
from gatekeeper.interface import arguments, completion, plan_view, release_view, render, simulation_view
from gatekeeper.interface.client import service_path
from gatekeeper.interface.failures import DONE, FAILED, USAGE, ClientError, objects
from gatekeeper.interface.session import Session, current, shared

VERIFY_LONGEST = 3600
PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%?", re.ASCII)
LATENCY = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,6})?)(ms|s)", re.ASCII)


@click.command()
@click.argument("plan", required=False, shell_complete=completion.plan)
@shared
def plans(plan: str | None) -> None:
    """The plans, the services that move as one, the freezes.

    With PLAN that one, step by step.
    """
    session = current()
    data = session.client().get("/v1/plans")
    if plan is None:
        session.emit(data, lambda: render.write(plan_view.picture(data)))
    else:
        found = _named(data, plan)
        session.emit(found, lambda: render.write(plan_view.walk(found)))


def _named(data: dict[str, Any], name: str) -> dict[str, Any]:
    found = {str(plan.get("name")): plan for plan in objects(data.get("plans"))}
    if name not in found:
        raise _unknown(name, found, "/v1/plans")
    return found[name]


def _unknown(name: str, known: Iterable[str], where: str) -> ClientError:
    names = ", ".join(known)
    allowed = f"one of the plans: {names}" if names else "nothing: the file has no `plans`"
    return ClientError(f"there is no plan {name}", where, allowed, USAGE)


@click.command()
@click.argument("service", shell_complete=completion.service)
@click.argument("version", shell_complete=completion.version)
@click.option("--plan", metavar="PLAN", shell_complete=completion.plan, help="Default: the service's.")
@click.option(
    "--timeout",
    default="10m",
    show_default=True,
    callback=arguments.duration(1, VERIFY_LONGEST, "1s to 1h"),
    metavar="TIME",
    help="What is not done by then has failed.",
)
@shared
def verify(service: str, version: str, plan: str | None, timeout: int) -> int:
    """Run a plan's checks against a version now.

    No user sees anything of it. Exit 1 if one fails.
    """
    session = current()
    client = session.client()
    if sys.stderr.isatty() and not session.as_json:
        click.echo(f"checking {render.clean(version)}, {render.duration(timeout)} at most ...", err=True)
    body = {"version": version, **({"plan": plan} if plan is not None else {})}
    path = service_path(service, "verify")
    found = client.call("POST", path, body=body, query={"wait": f"{timeout}s"}, wait=timeout).data
    session.emit(found, lambda: _results(found))
    return DONE if found.get("passed") else FAILED


def _results(found: dict[str, Any]) -> None:
    results = objects(found.get("results"))
    rows = [
        (
            str(one.get("name")),
            "passed" if one.get("passed") else "failed",
            release_view.seconds(one.get("seconds")),
        )
        for one in results
    ]
    render.write([render.Table(("check", "result", "took"), rows, frozenset({"took"})), *release_view.outputs(results)])
    passed = sum(bool(one.get("passed")) for one in results)
    build = f" (build {found['build']})" if found.get("build") else ""
    click.echo(
        render.clean(
            f"{found.get('service')} {found.get('version')}{build}: {passed} of {len(results)} checks of plan "
            f"{found.get('plan')} passed, in {release_view.seconds(found.get('seconds'))}"
        )
    )


def _percent(context: click.Context, parameter: click.Parameter, value: str) -> float:
    found = PERCENT.fullmatch(value)
    if found is None or not float(found[1]) < 100:
        raise click.BadParameter(f"{value!r} is not from 0 % to 100 %; it looks like 1%", context, parameter)
    return float(found[1]) / 100


def _latency(context: click.Context, parameter: click.Parameter, value: str) -> float:
    found = LATENCY.fullmatch(value)
    seconds = float(found[1]) * (0.001 if found[2] == "ms" else 1.0) if found else 0.0
    if not 0 < seconds <= 600:
        raise click.BadParameter(f"{value!r} is not from 0.001ms to 600s; it looks like 100ms", context, parameter)
    return seconds


@click.command()
@click.argument("plan", shell_complete=completion.plan)
@click.option("--file", type=click.Path(dir_okay=False), metavar="FILE", help="The file with the plan.")
@click.option("--rps", type=click.FloatRange(0, 1e6, min_open=True), required=True, metavar="N", help="Requests/s.")
@click.option(
    "--errors", callback=_percent, default="0.1%", show_default=True, metavar="PERCENT", help="Part that fails anyway."
)
@click.option(
    "--latency", callback=_latency, default="100ms", show_default=True, metavar="TIME", help="Median of the answers."
)
@shared
def simulate(plan: str, file: str | None, rps: float, errors: float, latency: float) -> None:
    """What a plan would catch, how fast, and how many users' requests it would hurt.

    Its own planner and judge walk the plan against traffic as assumed. It is the running gatekeeper's plan; with --file
    (or FILE#PLAN) no gatekeeper needs to run.
    """
    session = current()
    if file is None and "#" in plan:
        file, _, plan = plan.rpartition("#")
    definition = _running(session, plan) if file is None else _in_file(session, plan, file)
    from gatekeeper import app

    try:
        found = app.simulate_plan(definition, rps=rps, errors=errors, latency=latency)
    except GatekeeperError as error:
        way_out = getattr(error, "allowed", "") or "simulate with the version of gatekeeper that runs"
        raise ClientError(f"the plan cannot be walked: {error}", f"plan {plan}", way_out, FAILED) from error
    session.emit(found, lambda: render.write(simulation_view.picture(found)))


def _running(session: Session, plan: str) -> object:
    return _named(session.client().get("/v1/plans"), plan)["definition"]


def _in_file(session: Session, plan: str, file: str) -> object:
    session.local()
    from gatekeeper.config import ConfigError, load_file

    try:
        plans = load_file(file).releasing.plans
    except ConfigError as error:
        problems = [asdict(problem) for problem in error.problems]
        raise ClientError("the file is not valid", file, "mend it, see `gatekeeper check`", USAGE, problems) from error
    if plan not in plans:
        raise _unknown(plan, plans, file)
    return codec.dump(plans[plan])


VERBS = (plans, verify, simulate)
