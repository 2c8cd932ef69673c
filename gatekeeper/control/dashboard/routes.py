"""The dashboard's part of the table of operations."""

from gatekeeper.control.api.operation import Content, Operation
from gatekeeper.control.api.parameters import flag, text
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.dashboard import answers
from gatekeeper.control.dashboard.desk import Desk
from gatekeeper.core.model import Role


def operations(parts: Parts) -> list[Operation]:
    desk = Desk(parts)
    return [
        Operation("dashboard", "GET", "/", None, "The dashboard", desk.page, "text/html", codes=("unknown_asset",)),
        Operation(
            "asset",
            "GET",
            "/assets/{path}",
            None,
            "A file of the dashboard",
            desk.asset,
            "text/javascript",
            also=("text/css", "image/svg+xml"),
            codes=("unknown_asset",),
        ),
        Operation(
            "sign_in",
            "POST",
            "/session",
            None,
            "A cookie for a token, for browsers",
            desk.sign_in,
            None,
            content=Content(answers.SignInBody, needed=True),
            codes=("csrf", "on_the_socket", "token_expired", "too_many_attempts", "unauthorised"),
        ),
        Operation("session", "GET", "/session", Role.VIEWER, "Who asks", desk.session, answers.Session),
        Operation("sign_out", "DELETE", "/session", Role.VIEWER, "End the session", desk.sign_out, None),
        Operation(
            "live",
            "GET",
            "/v1/live",
            Role.VIEWER,
            "What flows, each second, with the minutes before, as server-sent events",
            desk.live,
            answers.LiveNow,
            query=(
                flag("follow", "0: one document instead of a stream.", default=True),
                text("service", "The past of this service: ten minutes, instead of one minute of every service."),
            ),
            codes=("too_many_watchers", "unknown_service"),
            streams=True,
        ),
    ]
