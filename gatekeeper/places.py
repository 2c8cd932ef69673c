"""Where things live when nobody says where: the admin socket and the state file.

Choosing touches nothing on disk, so that checking a file or asking for help leaves no trace; ``prepare`` makes the
directory once a process really means to write there. Server and client choose by the same list: the server takes the
first place it may write to, the client the first one where somebody listens.
"""

import os
import stat
from pathlib import Path

SOCKET_NAME = "admin.sock"
STATE_NAME = "state.db"
SYSTEM_RUN = Path("/run/gatekeeper")


def default_socket_candidates() -> list[str]:
    """Paths at which an admin socket may be, the preferred one first."""
    places = [SYSTEM_RUN]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):  # the XDG specification tells us to ignore relative values
        places.append(Path(runtime) / "gatekeeper")
    places.append(_private())
    return [str(place / SOCKET_NAME) for place in places]


def default_socket() -> str:
    """Path at which this process would make its admin socket; the last candidate if none is writable."""
    return _first_usable(default_socket_candidates())


def default_state() -> str:
    """Path at which this process would keep its state file: the system's place if writable, else the user's."""
    home = os.environ.get("XDG_STATE_HOME", "")
    user = Path(home) if home.startswith("/") else Path("~/.local/state").expanduser()
    return _first_usable([f"/var/lib/gatekeeper/{STATE_NAME}", str(user / "gatekeeper" / STATE_NAME)])


def prepare(path: str) -> None:
    """Make the directory of ``path`` unless it is there: open to this user alone, /run/gatekeeper open to look into.

    The socket's own mode (0660) says who may talk to it, so its group must be able to reach it.

    Raises OSError if it cannot be made, PermissionError if it is in a place open to all and somebody else made it.
    """
    directory = Path(path).parent
    directory.mkdir(mode=0o755 if directory == SYSTEM_RUN else 0o700, parents=True, exist_ok=True)
    if not trusted(path):
        raise PermissionError(f"{directory} belongs to another user; name another place in the file")


def trusted(path: str) -> bool:
    """Whether the private directory under /tmp, should ``path`` be in it, is really this user's.

    Anyone may make a directory of that name first and listen there in our place; every other directory is the
    operator's own choice or out of reach of strangers.
    """
    directory = Path(path).parent
    if directory != _private():
        return True
    try:
        found = directory.lstat()
    except FileNotFoundError:
        return True
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _private() -> Path:
    return Path(f"/tmp/gatekeeper-{os.geteuid()}")  # noqa: S108 - guarded by ``trusted``; there is no better place left


def _first_usable(paths: list[str]) -> str:
    return next((path for path in paths if _usable(Path(path).parent)), paths[-1])


def _usable(directory: Path) -> bool:
    """Whether files can be made in ``directory``, or the directory itself where its nearest ancestor is writable."""
    for place in (directory, *directory.parents):
        try:
            if place.exists():
                return place.is_dir() and os.access(place, os.W_OK | os.X_OK)
        except OSError:  # an ancestor that may not even be looked into
            return False
    return False
