"""Copies of users' requests: ``shadow report`` says how their answers differ, ``shadow reset`` begins anew."""

import click

from gatekeeper.interface import completion, render, shadow_view
from gatekeeper.interface.client import service_path
from gatekeeper.interface.session import current, shared
from gatekeeper.interface.verbs_live import INTERVAL, go_on

SERVICE = click.argument("service", shell_complete=completion.service)


@click.group()
@shared
def shadow() -> None:
    """Copies of users' requests that another version answers too.

    What is copied says `mirror` of the configuration, or of a plan's `verify`.
    """


@shadow.command()
@SERVICE
@click.option("--watch", is_flag=True, help="Go on showing it until q or Ctrl-C.")
@INTERVAL
@shared
def report(service: str, watch: bool, interval: float) -> None:
    """How the answers to copies differ from what users got.

    By place, the most frequent first, with samples; and what is no fault of the version that is tried.
    """
    session, path = current(), service_path(service, "shadow")
    if watch:
        go_on(session, path, shadow_view.picture, interval)
        return
    found = session.client().get(path)
    session.emit(found, lambda: render.write(shadow_view.picture(found)))


@shadow.command()
@SERVICE
@shared
def reset(service: str) -> None:
    """Begin counting copies and differences anew."""
    session = current()
    found = session.client().call("POST", service_path(service, "shadow", "reset")).data
    many = int(found["runs"])
    said = (
        f"{many} {'run' if many == 1 else 'runs'} of {service} counted from now on" if many else "nothing was counted"
    )
    session.emit(found, lambda: click.echo(render.clean(said)))


VERBS = (shadow,)
