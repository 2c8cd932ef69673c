"""Every problem the API can answer with: its code, its statuses, what it means. A test holds it against the sources."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Code:
    statuses: tuple[int, ...]
    meaning: str


CODES: Final = {
    "bad_evaluation": Code((400,), "OFREP: who asks for flags is not said, or not in a way that can be read"),
    "bad_idempotency_key": Code((400,), "`Idempotency-Key` is not one text of 1 to 255 visible ASCII characters"),
    "bad_if_match": Code((400,), "`If-Match` holds what was never an ETag of ours"),
    "bad_request": Code((400,), "what came is no HTTP request, or its line or a header is longer than 64 KiB"),
    "bad_query": Code((400,), "an unknown or malformed parameter, or a `Last-Event-ID` that is no number"),
    "not_json": Code((400,), "the body is not JSON, or holds a key twice"),
    "not_text": Code((400,), "the configuration is not UTF-8"),
    "token_expired": Code((401,), "the token's time is over"),
    "unauthorised": Code((401,), "no valid token"),
    "csrf": Code(
        (403,), "a page of another site made the request, or it has a session's cookie without its `X-Gatekeeper-CSRF`"
    ),
    "forbidden": Code((403,), "the role is not enough"),
    "no_release": Code((404,), "that service was never released"),
    "no_seconds": Code((404,), "nothing is recorded of that release, or not any more"),
    "no_service": Code((404,), "explain: no service answers to that host and path"),
    "unknown_asset": Code((404,), "the dashboard has no such file"),
    "unknown_flag": Code((404,), "no flag of that name"),
    "unknown_gate": Code((404,), "the plan asks nobody at that gate"),
    "unknown_release": Code((404,), "no release of that id of that service, or not one that can be acted on any more"),
    "unknown_revision": Code((404,), "the history does not have that revision, or not that of this service"),
    "unknown_service": Code((404,), "no service of that name"),
    "unknown_version": Code((404,), "no version of that name in the service"),
    "body_timeout": Code((408,), "the body did not arrive within 30 s"),
    "already_stable": Code((409,), "that version is stable: there is nothing to release"),
    "approval_missing": Code((409,), "people who are asked before a step that is left have not approved"),
    "awaiting_confirmation": Code(
        (409,), "the service has a change that waits to be confirmed: confirm it, or roll back"
    ),
    "candidate_not_ready": Code((409,), "the version to be released has no ready backend"),
    "definition_not_kept": Code((409,), "the history has the split of that revision, not the definition"),
    "flag_exists": Code((409,), "there is a flag of that name already"),
    "flag_in_file": Code((409,), "the file defines that flag, and no command has changed it"),
    "flag_killed": Code((409,), "the flag was killed: only a revival turns it on"),
    "draining": Code((409,), "that version drains: deploy it again first"),
    "frozen": Code((409,), "a freeze is in force; `detail` says until when"),
    "holds_weight": Code((409,), "that version has users already, by the split"),
    "needs_restart": Code(
        (409,), "the new file changes what is fixed at the start: `listen`, `admin`, `state`, `workers`"
    ),
    "no_keys": Code((409,), "the service has no `testers.keys` to sign a pass with"),
    "nobody_is_asked": Code((409,), "no approval is asked for, or not any more"),
    "not_asked": Code((409,), "who approves is in none of the groups that are asked"),
    "not_healthy": Code((409,), "the new backends of a version that has users did not pass their check in time"),
    "not_proven": Code((409,), "the judge does not call the candidate proven good enough; `detail` says what it says"),
    "not_retained": Code((409,), "the version from before the release is not kept any longer"),
    "not_verified": Code((409,), "the checks before the next step have not passed"),
    "nothing_left": Code((409,), "the versions that held the weight then do not exist any more"),
    "nothing_to_confirm": Code((409,), "no change, or not that one, waits to be confirmed"),
    "nothing_to_undo": Code((409,), "there is no earlier split"),
    "nothing_to_verify": Code((409,), "that plan, or no plan, makes no check before its first step"),
    "on_the_socket": Code((409,), "sign-in: on the socket the kernel says who asks, and there is no session"),
    "own_release": Code((409,), "nobody approves, or skips the approval of, a release of his own"),
    "release_active": Code(
        (409,), "the service is being released; `detail` says by which release, `allowed` what to do"
    ),
    "same_front": Code((409,), "two services would answer to one host and path prefix"),
    "too_many_flags": Code((409,), "there are 256 flags, or together theirs would be too long for one header line"),
    "too_many_versions": Code((409,), "the service has 256 versions; retire one"),
    "tripped": Code((409,), "the trip-wire stopped that version: reset it first"),
    "version_holds_all": Code((409,), "the version holds all the weight"),
    "version_in_rules": Code((409,), "rules send requests to the version"),
    "version_is_stable": Code((409,), "the version is stable"),
    "which_revision": Code((409,), "several changes wait to be confirmed: say which"),
    "wrong_state": Code((409,), "not in the state the release is in; `allowed` says what is possible"),
    "revision_moved": Code((412,), "it is not the revision you expected; `changed` says what happened"),
    "body_too_large": Code((413,), "beyond the bound"),
    "compressed_body": Code((415,), "send it as it is"),
    "cannot_be_routed": Code((422,), "valid by itself, but no routing table can be made of it"),
    "invalid_body": Code((422,), "JSON, but not what this endpoint takes"),
    "invalid_confirm_within": Code((422,), "no time in which this could be confirmed"),
    "invalid_file": Code((422,), "the configuration or the token file is wrong; every mistake is listed"),
    "invalid_flag": Code((422,), "the flag's configuration is wrong; every mistake is listed"),
    "invalid_note": Code((422,), "too long, or not one line of text"),
    "invalid_plan": Code((422,), "the plan cannot be followed; every reason is listed"),
    "invalid_seconds": Code((422,), "no time in which a version could drain"),
    "invalid_services": Code((422,), "no service to release, or too many as one"),
    "invalid_switch": Code((422,), "to kill and to turn on, or to revive and to turn off, do not go together"),
    "invalid_version": Code((422,), "the version's configuration is wrong; every mistake is listed"),
    "invalid_weights": Code((422,), "no such version, or no such weight"),
    "key_reused": Code((422,), "that `Idempotency-Key` was sent with another request before"),
    "reason_required": Code((422,), "a skip, or a rejection, without a reason"),
    "which_release": Code((422,), "neither a release nor a service was named"),
    "too_many_attempts": Code((429,), "sign-in: too many failed; `Retry-After` says when the next is heard"),
    "too_many_evaluations": Code((429,), "OFREP: more often than `admin.ofrep.rate`; `Retry-After` says when again"),
    "internal": Code((500,), "a fault of gatekeeper; its log has the details"),
    "busy": Code((503,), "256 commands wait, 4 verifications are being made, or 4 logs of seconds are being read"),
    "not_ready": Code((503,), "`/readyz`: why traffic cannot be served"),
    "not_taken_up": Code(
        (500, 503),
        "the change could not be sent to the workers and was undone by a further revision; "
        "500 if that could not be stored either",
    ),
    "stopping": Code((503,), "gatekeeper is stopping"),
    "store_failed": Code(
        (503,), "the state file could not be written (or read); the old revision stays, and traffic goes on"
    ),
    "too_many_watchers": Code((503,), "64 event streams, or 100 of `/v1/live`, are open"),
    "outcome_unknown": Code(
        (504,), "no outcome within 25 s: dropped if it had not begun, else it may still take effect; see `status`"
    ),
}

OF_ALL: Final = ("bad_query", "bad_request", "internal")
OF_KNOWN: Final = ("unauthorised", "token_expired", "csrf", "store_failed")
"""Where one must be somebody."""
OF_A_BODY: Final = ("body_timeout", "body_too_large", "compressed_body")
OF_JSON: Final = ("not_json", "invalid_body")
OF_A_WRITE: Final = (
    "bad_if_match",
    "bad_idempotency_key",
    "key_reused",
    "revision_moved",
    "store_failed",
)
OF_A_COMMAND: Final = (
    "invalid_note",
    "awaiting_confirmation",
    "release_active",
    "invalid_confirm_within",
    "busy",
    "cannot_be_routed",
    "not_taken_up",
    "outcome_unknown",
    "stopping",
)


def by_status(codes: Iterable[str]) -> dict[int, list[str]]:
    """The codes, in order, of each status, in order."""
    found: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        for status in CODES[code].statuses:
            found.setdefault(status, []).append(code)
    return dict(sorted(found.items()))
