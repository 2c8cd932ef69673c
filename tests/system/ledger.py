"""The books after a storm: what was answered must be in the history, once, whole, and nothing else."""

import sqlite3
from collections import Counter
from urllib.parse import unquote

from tests.system.storm import DEPLOY, RESTORE, RETIRE, SPLIT, WITHIN

PAGE = 1_000


def pages(gatekeeper, path, name, number):
    """All rows of a list that is given the newest first, in pages."""
    found, before = [], ""
    while True:
        status, document = gatekeeper.call("GET", f"{path}?limit={PAGE}{before}")
        assert status == 200, document
        rows = document[name]
        found += rows
        if len(rows) < PAGE:
            return found
        before = f"&before={rows[-1][number]}"


class Ledger:
    """The whole history of a gatekeeper that runs."""

    def __init__(self, gatekeeper):
        self._gatekeeper = gatekeeper
        rows = pages(gatekeeper, "/v1/revisions", "revisions", "revision")
        self.rows = {row["revision"]: row for row in reversed(rows)}
        self.audit = pages(gatekeeper, "/v1/audit", "audit", "id")
        self._past = {}

    def past(self, revision):
        """All services as they were at a revision."""
        if revision not in self._past:
            status, document = self._gatekeeper.call("GET", f"/v1/revisions/{revision}")
            assert status == 200, document
            self._past[revision] = document["services"]
        return self._past[revision]

    def check_numbers(self):
        """History only grows, by one at a time."""
        assert list(self.rows) == list(range(1, len(self.rows) + 1))

    def check_orders(self, orders):
        """Every granted wish is there with its number, none acted twice, and nobody made up a revision."""
        by_key = {order.key: order for order in orders}
        assert len(by_key) == len(orders)
        made = Counter(row["note"] for row in self.rows.values() if row["note"])
        assert set(made) <= set(by_key)
        for order in orders:
            assert order.status, order
            assert made[order.key] == (1 if order.made else 0), (order, made[order.key])
            if order.made:
                row = self.rows[order.made]
                assert row["note"] == order.key, (order, row)
                assert {change["path"] for change in order.answer["changes"]} == {
                    change["path"] for change in row["changes"]
                }, (order, row)

    def check_order_in_time(self, orders):
        """Who was answered before another asked has the smaller number."""
        done = sorted((order for order in orders if order.made), key=lambda order: order.ended)
        highest, answered = 0, 0
        for order in sorted((order for order in orders if order.made), key=lambda order: order.began):
            while answered < len(done) and done[answered].ended < order.began:
                highest = max(highest, done[answered].made)
                answered += 1
            assert order.made > highest, order

    def check_audit(self, orders):
        """The book of who did what has a row of each, written with it."""
        rows = Counter((row["revision"], row["detail"]) for row in self.audit if row["outcome"] == "done")
        for order in orders:
            if order.made:
                assert rows[order.made, order.key] == 1, order

    def check_confirmations(self, orders):
        """What was to be confirmed was settled once: it was confirmed, or it is again as it was before it."""
        settled = Counter()
        for row in self.rows.values():
            for change in row["changes"]:
                name, _, number = change["path"].partition(".")
                if name == "pending" and change["after"] is None:
                    settled[int(number)] += 1
                    assert row["action"] in ("confirmed", "undone"), row
                    if row["action"] == "undone":
                        service = next(order.service for order in orders if order.made == int(number))
                        then, now = self.past(int(number) - 1)[service], self.past(row["revision"])[service]
                        assert then["split"] == now["split"], row
        assert settled == Counter(order.made for order in orders if order.kind == WITHIN and order.made)
        return sum(row["action"] == "undone" for row in self.rows.values())

    def check_whole(self, orders, revisions):
        """Of these revisions: each is what the wish said, and touched its own service alone."""
        by_revision = {order.made: order for order in orders if order.made}
        for revision in revisions:
            now, before = self.past(revision), self.past(revision - 1)
            order = by_revision.get(revision)
            for name, service in now.items():
                versions = service["definition"]["versions"]
                assert set(service["split"]) <= set(versions), (revision, name)
                assert sum(service["split"].values()) > 0, (revision, name)
                if order is not None and order.service and name != order.service:
                    assert service == before[name], (order, name)
            if order is not None:
                self._check_meant(order, now)

    def _check_meant(self, order, now):
        service = now.get(order.service)
        if order.kind in (SPLIT, WITHIN):
            wanted = {name: weight for name, weight in order.body.items() if weight}
            assert {name: weight for name, weight in service["split"].items() if weight} == wanted, order
        elif order.kind == DEPLOY:
            name = order.path.partition("/versions/")[2].partition("?")[0]
            assert service["definition"]["versions"][name]["build"] == order.key
        elif order.kind == RETIRE:
            assert order.path.partition("/versions/")[2].partition("?")[0] not in service["definition"]["versions"]
        elif order.kind == RESTORE:
            then = self.past(int(unquote(order.path).split("/")[3]))[order.service]
            assert service["split"] == then["split"], order
            assert service["definition"] == then["definition"], order

    def check_present(self):
        """Store, supervisor and every worker agree on the last revision and on each split."""
        status = self._gatekeeper.status()
        last = max(self.rows)
        assert status["revision"] == last
        assert {worker["revision"] for worker in status["workers"]} == {last}
        assert {worker["state"] for worker in status["workers"]} == {"ready"}
        past = self.past(last)
        assert {service["name"] for service in status["services"]} == set(past)
        for service in status["services"]:
            name = service["name"]
            assert service["split"] == past[name]["split"]
            for _ in range(10):  # fresh connections: every worker gets some
                answer = self._gatekeeper.get("/who", {"Host": f"{name}.test"})
                version, revision = answer.body.decode().split()
                assert service["split"].get(version, 0) > 0, (service, answer)
                assert int(revision) == service["changed"]["revision"]
        return status


def check_file(path):
    """SQLite finds nothing wrong with the file. To be called when nothing runs."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()
