"""What the http1 layer raises: a message that has no single safe reading."""

from gatekeeper.errors import Fault, GatekeeperError


class BadMessageError(GatekeeperError):
    """A message is refused. ``fault`` says what the client is told; the text says why, for the log."""

    def __init__(self, why: str, fault: Fault = Fault.BAD_REQUEST) -> None:
        super().__init__(why)
        self.fault = fault
