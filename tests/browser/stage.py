"""What a browser looks at: a real gatekeeper before real versions, real users, and the people who may sign in."""

import asyncio
import threading

from gatekeeper.interface.demo_load import Load
from tests.system.team import BROKEN, HEALTH, Team

USERS = 200
PER_SECOND = 120.0
"""Enough that half of it is beyond the trip-wire's least within its second."""
HOLD = 1.5
"""Seconds: a step can be seen, and a whole release takes a few."""
CAREFUL = {
    "verify": [
        {"http": {"path": "/healthz", "body_contains": "ok"}},
        {"command": {"run": ["sh", "-c", 'echo "looked at $1"', "sh", "{url}"], "timeout": "10s"}},
    ],
    "approve": {"groups": ["engineering", "product"]},
    "steps": [
        {"weight": 10, "hold": f"{HOLD}s"},
        {"weight": 50, "hold": f"{HOLD}s", "approve": {"groups": ["product"]}},
        {"weight": 100, "hold": f"{HOLD}s"},
    ],
    "retain": "1h",
}
LONG = {"verify": [{"http": "/healthz"}], "steps": [{"weight": 50, "hold": "1h"}, {"weight": 100}]}
DOOMED = {
    "verify": [{"command": {"run": ["sh", "-c", "echo the basket is empty; exit 3"], "timeout": "10s"}}],
    "steps": [{"weight": 100}],
}
JUDGED = {"steps": [{"weight": 50, "hold": "1h"}, {"weight": 100}], "analysis": {}}
SICK = """
set $sick "";
if (-f {folder}/sick) {{ set $sick $request_id; }}
if ($request_uri = /healthz) {{ set $sick ""; }}
if ($sick ~ "^[0-3]") {{ return 500 "sick"; }}
"""
"""Lines for an nginx: while there is a file of that name a quarter of the requests fail, too few for the trip-wire."""
PLANS = {"careful": CAREFUL, "long": LONG, "doomed": DOOMED, "judged": JUDGED}
KEY = "a-key-of-at-least-sixteen-characters"


class Users:
    """Users who keep their cookies, asking until ``end``."""

    def __init__(self, port):
        self._loop = asyncio.new_event_loop()
        self._load = Load(port, users=USERS, per_second=PER_SECOND, connections=4)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._load.start)
        self._loop.run_forever()

    def end(self):
        asyncio.run_coroutine_threadsafe(self._load.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Stage:
    """Use as a context manager. ``top`` are keys of the file's top level, ``service`` those of the service shop."""

    def __init__(self, folder, ports, nginx, plans=PLANS, versions=None, **service):
        """``nginx(name, more)`` starts a backend; ``versions`` are further ones, as the file has them."""
        self.folder = folder
        self.blue, self.green = (
            nginx(name, (BROKEN + SICK).format(folder=folder / f"nginx-{name}")) for name in ("blue", "green")
        )
        urls = {side.name: side.url for side in (self.blue, self.green)}
        known = {name: {"backends": [url], "build": f"{name}-17", "health": HEALTH} for name, url in urls.items()}
        shop = {"versions": {**known, **(versions or {})}, "testers": {"keys": [KEY], "query": True}, **service}
        # Sticky, as users are; the classes of the system tests draw each request anew.
        shop.setdefault("sticky", {"by": ["cookie"], "mode": "ramp"})
        self.gatekeeper = Team(folder / "gatekeeper", ports, urls, shop, plans=plans)
        self.users = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.gatekeeper.http}"

    def __enter__(self):
        self.gatekeeper.start()
        self.gatekeeper.until_ready("green")
        self.users = Users(self.gatekeeper.port)
        return self

    def __exit__(self, *_):
        if self.users is not None:
            self.users.end()
        self.gatekeeper.end()
        assert "Traceback" not in self.gatekeeper.said(), self.gatekeeper.said()

    def sicken_green(self):
        """From now on a quarter of what users ask of it fails."""
        (self.folder / "nginx-green" / "sick").touch()

    def break_green(self):
        """From now on it fails whatever users ask; its health check goes on passing."""
        (self.folder / "nginx-green" / "broken").touch()
