"""What clients send to turn flags on and off. What defines one is read by the models of the file, see ``Loader``."""

from pydantic import Field

from gatekeeper.control.api.base import Body, Note


class OnBody(Body):
    revive: bool = Field(False, description="Also one that was killed; needs a reason.")
    reason: Note = ""


class OffBody(Body):
    kill: bool = Field(False, description="Until somebody revives it, whatever a schedule, a release or the file says.")
    reason: Note = ""


class RollbackFlagBody(Body):
    reason: Note = ""
