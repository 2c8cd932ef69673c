"""Operators who change everything at once and never give up: what each asked for, and what came of it.

Each operator is a thread with dice of its own, so a seed makes the same wishes in the same order. A wish carries an
``Idempotency-Key`` and the same text as its note, so that history and audit tell which wish made which revision; it is
sent again until it is answered, whoever died meanwhile.
"""

import contextlib
import http.client
import json
import random
import threading
import time
from dataclasses import dataclass, field

from tests.system.programs import UnixConnection

VERSIONS = ("blue", "green")
DEPLOYED = ("v0", "v1", "v2")
"""Names that operators register and retire again."""
SPLIT, DEPLOY, RETIRE, ROLLBACK, WITHIN, CONFIRM, RELOAD, RESTORE = (
    "split",
    "deploy",
    "retire",
    "rollback",
    "within",
    "confirm",
    "reload",
    "restore",
)
WEIGHTS = {SPLIT: 10, DEPLOY: 4, RETIRE: 2, ROLLBACK: 2, RESTORE: 1}
CONFIRM_SECONDS = 2
"""What is not confirmed in this time undoes itself."""
INSIST_SECONDS = 60
"""Far longer than any blow takes to heal."""


@dataclass
class Order:
    """One wish. ``status`` and ``answer`` are the last ones; ``began`` and ``ended`` monotonic seconds."""

    key: str
    kind: str
    service: str
    method: str
    path: str
    body: dict | None
    began: float = 0.0
    ended: float = 0.0
    attempts: int = 0
    status: int = 0
    answer: dict = field(default_factory=dict)
    replayed: bool = False

    @property
    def granted(self):
        return self.status == 200

    @property
    def made(self):
        """The revision it made; None when it was refused or everything was so already."""
        return self.answer["revision"] if self.granted and self.answer["revision"] != self.answer["base"] else None


class Operator(threading.Thread):
    """Wishes and insists until ``stop``; then ends what it has begun. Everything it ever wished is in ``orders``."""

    def __init__(self, gatekeeper, index, seed, services, urls, on_send=lambda: None):
        """``services``: names, of which changes of the last one are to be confirmed. The operator with index 0 also
        edits the file. ``on_send`` is called right before something is sent."""
        super().__init__(name=f"operator {index}")
        self._gatekeeper, self._index, self._on_send = gatekeeper, index, on_send
        self._services, self._urls = services, urls
        self._dice = random.Random(f"{seed} operator {index}")
        self._seed = seed
        self._connection = None
        self._stopped = threading.Event()
        self.orders, self.problems = [], []

    def stop(self):
        self._stopped.set()
        self.join()

    def run(self):
        try:
            while not self._stopped.is_set():
                self._insist(self._next())
                self._look_at_traffic(self.orders[-1])
        except Exception as error:  # noqa: BLE001 - the test shows it; a thread's traceback nobody would see
            self.problems.append(repr(error))
        finally:
            if self._connection is not None:
                self._connection.close()

    # Wishing

    def _next(self):
        dice, number = self._dice, len(self.orders)
        key = f"{self._seed}-{self._index}-{number}"
        waiting = self._services[-1]
        draw = dice.random()
        if self._index == 0 and draw < 0.05:
            self._edit(number)
            return self._order(key, RELOAD, "", "POST", "/v1/reload", {})
        if draw < 0.15:
            last = self.orders[-1] if self.orders else None
            if last is not None and last.kind == WITHIN and last.made and dice.random() < 0.5:
                return self._order(key, CONFIRM, waiting, "POST", "/v1/confirm", {"revision": last.made})
            path = f"/v1/services/{waiting}/split?confirm_within={CONFIRM_SECONDS}s"
            return self._order(key, WITHIN, waiting, "PUT", path, self._weights(VERSIONS))
        service = dice.choice(self._services[:-1])
        at = f"/v1/services/{service}"
        version = dice.choice(DEPLOYED)
        kind = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if kind == DEPLOY:
            body = {"backends": [dice.choice(self._urls)], "build": key}
            return self._order(key, kind, service, "PUT", f"{at}/versions/{version}", body)
        if kind == RETIRE:
            return self._order(key, kind, service, "DELETE", f"{at}/versions/{version}", None)
        if kind == ROLLBACK:
            return self._order(key, kind, service, "POST", f"{at}/rollback", {})
        past = [order.made for order in self.orders[-50:] if order.made]
        if kind == RESTORE and past:
            path = f"/v1/revisions/{dice.choice(past)}/restore?service={service}"
            return self._order(key, kind, service, "POST", path, None)
        some = (*VERSIONS, version) if dice.random() < 0.3 else VERSIONS
        return self._order(key, SPLIT, service, "PUT", f"{at}/split", self._weights(some))

    def _weights(self, versions):
        weights = {version: self._dice.choice((0, 1, 10, 50, 100, 0.5)) for version in versions}
        return weights if any(weights.values()) else weights | {versions[0]: 100}

    def _edit(self, number):
        """The file as an operator edits it: another rule, and all else as it was."""
        document = json.loads(self._gatekeeper.file.read_text())
        rule = {"name": f"rule-{number}", "when": {"header": {"X-Rule": str(number)}}, "to": "green"}
        document["services"][self._services[0]]["rules"] = [rule]
        fresh = self._gatekeeper.folder / "edited.yaml"
        fresh.write_text(json.dumps(document))
        fresh.replace(self._gatekeeper.file)

    def _order(self, key, kind, service, method, path, body):
        mark = "&" if "?" in path else "?"
        order = Order(key, kind, service, method, f"{path}{mark}note={key}", body)
        self.orders.append(order)
        return order

    # Insisting

    def _insist(self, order):
        order.began = time.monotonic()
        while time.monotonic() < order.began + INSIST_SECONDS:
            order.attempts += 1
            try:
                order.status, order.answer, order.replayed = self._ask(order)
                order.ended = time.monotonic()
            except (OSError, http.client.HTTPException, ValueError):
                self._forget_connection()
                order.status = 0
            if order.status and order.status not in (503, 504):
                return
            time.sleep(0.02)
        raise TimeoutError(f"{order} was not answered in {INSIST_SECONDS} s")

    def _ask(self, order):
        if self._connection is None:
            self._connection = UnixConnection(self._gatekeeper.socket)
            self._connection.connect()
        content = None if order.body is None else json.dumps(order.body)
        self._on_send()
        self._connection.request(order.method, order.path, content, {"Idempotency-Key": order.key})
        response = self._connection.getresponse()
        return response.status, json.loads(response.read()), response.getheader("Idempotency-Replayed") == "true"

    def _forget_connection(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # Traffic

    def _look_at_traffic(self, order):
        """After a reply no request of the service may be routed by what was before it."""
        if self._dice.random() > 0.2 or order.kind not in (SPLIT, WITHIN, ROLLBACK) or not order.made:
            return
        # Its worker may have been killed: that is the visitors' to judge.
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = self._gatekeeper.get("/who", {"Host": f"{order.service}.test"})
            _, revision = answer.body.split()
            if answer.status != 200 or int(revision) < order.made:
                self.problems.append(f"after {order} a request was answered {answer}")
