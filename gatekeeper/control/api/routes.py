"""The table of all operations: what is served, what ``/openapi.json`` describes, what the tests walk through."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from gatekeeper.control.api import answers, bodies, flag_routes, ofrep, past_answers, release_routes, shadow, wire
from gatekeeper.control.api.changing import Changer
from gatekeeper.control.api.config import Config
from gatekeeper.control.api.openapi import Description
from gatekeeper.control.api.operation import Call, Content, Operation
from gatekeeper.control.api.parameters import DRY_RUN, NOTE, OF_A_WRITE, duration, flag, number, text
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.passes import Passes
from gatekeeper.control.api.past import History
from gatekeeper.control.api.reads import Reads, service_of
from gatekeeper.control.api.versions import Versions
from gatekeeper.control.api.writes import Writes
from gatekeeper.control.dashboard import routes as dashboard
from gatekeeper.control.store.history import PAGE
from gatekeeper.control.store.rows import Answer
from gatekeeper.core.model import Role

VIEWER, OPERATOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN

_SERVICE: Final = "/v1/services/{service}"
_VERSION: Final = _SERVICE + "/versions/{version}"
_OF_SERVICE: Final = text("service", "Only what concerns this service.")
_LIMIT: Final = number("limit", "How many at most.", default=100, high=PAGE)
_WAIT: Final = duration(
    "wait",
    "How long the new backends of a version that has users may take to pass their check.",
    low=0.0,
    high=3600.0,
    default=30.0,
    pattern=r"^([0-9]{1,2}s|[1-9]m|[0-9]{1,3}ms)$",
)


def operations(parts: Parts) -> list[Operation]:
    return [*_looking(parts), *_changing(parts), *ofrep.operations(parts)]


def _looking(parts: Parts) -> list[Operation]:
    reads, history = Reads(parts), History(parts)
    before = number("before", "Only what is older than this one: the next page.", default=0)
    found = [
        Operation("healthz", "GET", "/healthz", None, "200 while the supervisor lives", reads.healthz, answers.Alive),
        Operation(
            "readyz",
            "GET",
            "/readyz",
            VIEWER,
            "200 when traffic can be served, else 503 with the reasons",
            reads.readyz,
            answers.Ready,
            codes=("not_ready",),
        ),
        Operation("metrics", "GET", "/metrics", VIEWER, "Prometheus metrics", reads.metrics, "text/plain"),
        Operation(
            "status",
            "GET",
            "/v1/status",
            VIEWER,
            "Everything an operator asks first",
            reads.status,
            answers.Status,
            etag=True,
        ),
        Operation(
            "services",
            "GET",
            "/v1/services",
            VIEWER,
            "All services as status shows them",
            reads.services,
            answers.Services,
            etag=True,
        ),
        Operation(
            "service",
            "GET",
            _SERVICE,
            VIEWER,
            "One service: definition, split, backends and their state, live numbers per version",
            reads.service,
            answers.ServiceInFull,
            etag=True,
        ),
        Operation(
            "version",
            "GET",
            _VERSION,
            VIEWER,
            "One version: definition, backends and their state, live numbers",
            reads.version,
            answers.VersionInFull,
            etag=True,
            codes=("unknown_version",),
        ),
        Operation(
            "revisions",
            "GET",
            "/v1/revisions",
            VIEWER,
            "The history, newest first",
            history.revisions,
            past_answers.Revisions,
            query=(_OF_SERVICE, _LIMIT, before, number("after", "Only what is newer than this one.", default=0)),
            codes=("unknown_service",),
        ),
        Operation(
            "revision",
            "GET",
            "/v1/revisions/{revision}",
            VIEWER,
            "What was in force at a revision, or what it differs in from another",
            history.revision,
            past_answers.RevisionOrDifference,
            query=(_OF_SERVICE, number("diff", "The revision to compare with: what it was before.")),
            codes=("unknown_revision", "unknown_service"),
        ),
        Operation(
            "audit",
            "GET",
            "/v1/audit",
            OPERATOR,
            "Who did or tried what, newest first",
            history.audit,
            past_answers.Audit,
            query=(_LIMIT, before),
        ),
        Operation(
            "events",
            "GET",
            "/v1/events",
            VIEWER,
            "What happens, as server-sent events, or what is stored, as a list",
            reads.events,
            past_answers.Events,
            query=(
                flag("follow", "0: a list of what is stored instead of a stream.", default=True),
                number("after", "Only what came after this event; a stream begins with it."),
                number("limit", "How many at most, of a list.", high=PAGE),
            ),
            codes=("too_many_watchers",),
            streams=True,
            resumes=True,
        ),
        Operation(
            "explain",
            "POST",
            "/v1/explain",
            VIEWER,
            "Which version a request would get, and why",
            reads.explain,
            answers.Explanation,
            content=Content(bodies.ExplainBody),
            etag=True,
            codes=("no_service", "unknown_service"),
        ),
    ]
    found += release_routes.looking(parts)
    found += flag_routes.looking(parts)
    found += shadow.looking(parts)
    found += dashboard.operations(parts)
    description = Description(lambda: operations(parts))
    found.append(
        Operation(
            "openapi",
            "GET",
            "/openapi.json",
            VIEWER,
            "This description of the API, OpenAPI 3.1",
            description.answer,
            answers.OpenApi,
        )
    )
    return found


def _changing(parts: Parts) -> list[Operation]:
    writes, versions, config = Writes(parts), Versions(parts), Config(parts)
    passes, history, changer = Passes(parts), History(parts), Changer(parts)

    def again(_: Call, answer: Answer) -> web.Response:
        return changer.again(answer)

    def versions_known(request: web.Request) -> Mapping[str, Any]:
        return {"versions": service_of(parts, request.match_info["service"]).definition.versions}

    return [
        *release_routes.changing(parts, again),
        *flag_routes.changing(parts, again),
        *shadow.changing(parts),
        Operation(
            "set_split",
            "PUT",
            _SERVICE + "/split",
            OPERATOR,
            "Change the weights",
            writes.split,
            answers.ServiceOutcome,
            query=OF_A_WRITE,
            content=Content(bodies.SplitBody, read=False, needed=True),
            again=again,
            codes=("invalid_weights", "tripped"),
        ),
        Operation(
            "rollback",
            "POST",
            _SERVICE + "/rollback",
            OPERATOR,
            "Back to the split before the last change, or of any revision",
            writes.rollback,
            answers.RollbackOutcome,
            query=OF_A_WRITE,
            content=Content(bodies.RollbackBody),
            again=again,
            codes=("nothing_to_undo", "nothing_left", "not_retained", "unknown_revision", "tripped", "same_front"),
        ),
        Operation(
            "deploy",
            "PUT",
            _VERSION,
            OPERATOR,
            "Register a version, or replace its backends",
            versions.deploy,
            answers.VersionOutcome,
            query=(*OF_A_WRITE, _WAIT),
            content=Content(schema=parts.loader.version_schema, name="DeployBody", needed=True, example=_DEPLOY),
            again=again,
            codes=("invalid_body", "invalid_version", "not_healthy", "not_json", "too_many_versions"),
        ),
        Operation(
            "retire",
            "DELETE",
            _VERSION,
            OPERATOR,
            "Take a version away; its share goes to stable",
            versions.retire,
            answers.VersionOutcome,
            query=OF_A_WRITE,
            again=again,
            codes=("unknown_version", "version_holds_all", "version_in_rules", "version_is_stable"),
        ),
        Operation(
            "drain",
            "POST",
            _VERSION + "/drain",
            OPERATOR,
            "Give a version no new requests, and those under way a time to end",
            versions.drain,
            answers.DrainOutcome,
            query=OF_A_WRITE,
            content=Content(bodies.DrainBody),
            again=again,
            codes=("unknown_version", "version_holds_all", "version_is_stable"),
        ),
        Operation(
            "reset_trip",
            "POST",
            _SERVICE + "/trip/reset",
            OPERATOR,
            "Let versions that the trip-wire stopped get weight again",
            writes.reset_trip,
            answers.ServiceOutcome,
            query=OF_A_WRITE,
            content=Content(bodies.ResetTripBody, context=versions_known),
            again=again,
            codes=("unknown_version",),
        ),
        Operation(
            "issue_pass",
            "POST",
            _SERVICE + "/passes",
            OPERATOR,
            "A signed pass for a tester",
            passes.issue,
            answers.Pass,
            content=Content(bodies.PassBody, context=versions_known, needed=True),
            again=passes.again,
            commands=False,
            codes=("no_keys",),
        ),
        Operation(
            "restore",
            "POST",
            "/v1/revisions/{revision}/restore",
            OPERATOR,
            "Make everything, or one service, as it was at a revision",
            writes.restore,
            answers.Outcome,
            query=(*OF_A_WRITE, _OF_SERVICE),
            again=again,
            codes=(
                *(
                    "unknown_revision",
                    "unknown_service",
                    "definition_not_kept",
                    "nothing_left",
                    "same_front",
                    "tripped",
                ),
            ),
        ),
        Operation(
            "confirm",
            "POST",
            "/v1/confirm",
            OPERATOR,
            "Let a change stay that would undo itself",
            writes.confirm,
            answers.Outcome,
            query=(DRY_RUN, NOTE),
            content=Content(bodies.ConfirmBody),
            again=again,
            codes=("nothing_to_confirm", "which_revision"),
        ),
        Operation(
            "prune_history",
            "POST",
            "/v1/history/prune",
            ADMIN,
            "Delete the oldest of the history, for good",
            history.prune,
            past_answers.Pruned,
            query=(DRY_RUN, NOTE),
            content=Content(bodies.PruneBody, needed=True),
            again=history.again,
            commands=False,
            etag=True,
            codes=("invalid_note",),
        ),
        Operation(
            "reload",
            "POST",
            "/v1/reload",
            OPERATOR,
            "Read the file, and the token file, again",
            config.reload,
            answers.Outcome,
            query=OF_A_WRITE,
            content=Content(bodies.ReloadBody),
            again=again,
            codes=("invalid_file", "needs_restart", "same_front"),
        ),
        Operation(
            "put_config",
            "PUT",
            "/v1/config",
            ADMIN,
            "Run a configuration from the body",
            config.put,
            answers.ConfigOutcome,
            query=(*OF_A_WRITE, flag("reset_split", "Take its splits instead of keeping the running ones.")),
            content=Content(
                schema=_config_schema,
                name="ConfigBody",
                needed=True,
                limit=wire.CONFIG_BYTES,
                types=("application/yaml", "application/json"),
                example=_CONFIG,
            ),
            again=again,
            codes=("invalid_file", "needs_restart", "not_text", "same_front"),
        ),
    ]


_DEPLOY: Final = {"backends": ["http://10.0.1.5:9002"], "build": "2026-11-23.1", "health": {"path": "/healthz"}}
_CONFIG: Final = {"services": {"shop": {"versions": {"blue": {"backends": ["http://127.0.0.1:9001"]}}}}}


def _config_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "The whole file, see `gatekeeper schema`. Over TCP without `include`, `${...}`, `error_pages`.",
        "required": ["services"],
        "properties": {"services": {"type": "object", "minProperties": 1}},
    }
