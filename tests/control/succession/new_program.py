"""A new program as scripted: ``python new_program.py PLAN``, with the line as a running gatekeeper passes it.

The plan is a list of words: ``hello``, ``inherit`` (both at once), ``ready``, ``yours`` (wait for it), ``fail``,
``die``, ``hang``, ``old-protocol``, ``nonsense``, ``late`` (say hello after a second); and to the state file STATE:
``open`` it, ``write`` a revision, ``migrate`` it beyond recognition, ``look`` at what lies beside it.
"""

import asyncio
import json
import os
import sqlite3
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from gatekeeper.channel import encode
from gatekeeper.control.store import journal
from gatekeeper.control.store.rows import Delta, Record
from gatekeeper.control.store.store import Store
from gatekeeper.control.succession.handover import PROTOCOL, Predecessor


def touch(word, path):
    if word == "migrate":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version=99")
            connection.commit()
    elif word != "look":
        store = Store.open(path)
        if word == "write":
            state = store.load().state
            new = replace(state, revision=state.revision + 1, services={})
            record = Record(new.revision, 0.0, "new", "start", delta=Delta.between(state, new), file="another")
            store._transaction(lambda: journal.append(store._connection, path, record))
        store.close()
    return sorted(each.name for each in Path(path).parent.iterdir())


async def main(plan):
    predecessor = Predecessor.from_environment()
    told = {"env": "GATEKEEPER_HANDOVER" in os.environ, "extra": os.environ.get("EXTRA", "")}
    for word in plan:
        if word == "inherit":
            estate = await predecessor.inherit(os.environ.get("STATE", "/state"))
            told["sockets"] = [[each.name, each.slot] for each in estate.sockets]
        elif word == "ready":
            told["follows"] = await predecessor.ready({("web", 0)})
        elif word == "events":
            await predecessor.reports(lambda event: told.setdefault("events", []).append(event))
        elif word in {"open", "write", "migrate", "look"}:
            told["beside"] = touch(word, os.environ["STATE"])
        elif word == "fail":
            predecessor.fail("the file says nonsense")
            sys.exit(2)
        elif word == "die":
            sys.exit(3)
        elif word == "hang":
            threading.Event().wait()
        elif word == "late":
            await asyncio.sleep(1.0)
        elif word == "nonsense":
            predecessor._sock.sendall(b"\xff" * 64)
            threading.Event().wait()
        elif word == "old-protocol":
            predecessor._sock.sendall(encode({"type": "hello", "protocol": PROTOCOL + 1, "version": "9.9"}))
            threading.Event().wait()
    return told


if __name__ == "__main__":
    told = asyncio.run(main(sys.argv[1:]))
    Path(os.environ["TOLD"]).write_text(json.dumps(told))
