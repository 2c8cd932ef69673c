"""The targets by name. A target takes any bytes and raises where a promise is broken."""

from collections.abc import Callable

from tests.fuzz.bodies import check_chunked
from tests.fuzz.heads import check_request, check_response
from tests.fuzz.prefaces import check_frames, check_proxy
from tests.fuzz.session import check_session, plain

TARGETS: dict[str, Callable[[bytes], None]] = {
    "request": check_request,
    "response": check_response,
    "chunked": check_chunked,
    "frames": check_frames,
    "proxy": check_proxy,
    "session": check_session,
}

PLAINER: dict[str, Callable[[bytes], bytes]] = {"session": plain}
"""How inputs of a target are spelt more plainly, where there are several ways."""
