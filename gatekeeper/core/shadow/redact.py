"""What of an answer may be shown to whoever reads a report: short, and without what opens doors.

By names alone: a secret under a harmless name is shown, which is why samples are few and stay in the supervisor.
"""

import re
from typing import Final

LONGEST: Final = 120
"""Characters of a value. Enough to see what differs; a report holds hundreds of them."""
REDACTED: Final = "(redacted)"

_SECRET: Final = re.compile(r"password|passwd|token|secret|key|session|credential|authorization|cookie", re.IGNORECASE)
_SECRET_FIELDS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "www-authenticate"})
_IN_QUERY: Final = re.compile(r"([?&;#])([^=&;#?]*)=([^&;#]*)")
_USERINFO: Final = re.compile(r"//[^/@\s]*@")


def shown(text: str) -> str:
    """Short, without secrets of addresses in it, and nothing that a terminal would act on."""
    # An address may carry its secret: the way back from a sign-in does. Cut first, or a long text costs time.
    short = _USERINFO.sub(f"//{REDACTED}@", _IN_QUERY.sub(_veiled, text[: 4 * LONGEST]))
    clean = "".join([sign if sign.isprintable() else "?" for sign in short])
    return clean if len(clean) <= LONGEST else clean[: LONGEST - 3] + "..."


def _veiled(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}={REDACTED}" if secret(found[2]) else found[0]


def secret(name: str) -> bool:
    """Whether what stands under this name, and below it, is not to be shown."""
    return _SECRET.search(name) is not None


def header(name: str, value: str) -> str:
    """The value of a header field (name in lower case) as it is shown."""
    if name in _SECRET_FIELDS or secret(name):
        return REDACTED
    return shown(value)
