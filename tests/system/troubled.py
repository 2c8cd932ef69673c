"""Gatekeeper with troubles: ``python troubled.py serve --config FILE``; TROUBLES names a JSON file, read at the start.

Every program that is started by a hand-over reads it anew, so a test decides what becomes of the next one:

    hello, ready       seconds that the running program waits for these words
    at                 where the new program gets into trouble: ``hello`` (the file is read), ``inherited`` (it has the
                       sockets and no state file yet), ``standing`` (its workers serve, nobody knows)
    how                ``die``, ``hang``, ``raise``, ``wait`` (until there is a file ``go-on`` beside TROUBLES)
"""

import asyncio
import json
import os
import threading
import time
from pathlib import Path

from gatekeeper.control.succession import handover
from gatekeeper.errors import GatekeeperError
from gatekeeper.interface.cli import main

TROUBLES = Path(os.environ["TROUBLES"])


class TroubleError(GatekeeperError):
    pass


def trouble(how):
    (TROUBLES.parent / "in-trouble").write_text(str(os.getpid()))
    if how == "die":
        os._exit(9)
    if how == "raise":
        raise TroubleError("the disk is on fire")
    if how == "wait":
        while not (TROUBLES.parent / "go-on").exists():
            time.sleep(0.01)
        return
    threading.Event().wait()


def prepare(troubles):
    handover.HELLO_SECONDS = troubles.get("hello", handover.HELLO_SECONDS)
    handover.READY_SECONDS = troubles.get("ready", handover.READY_SECONDS)
    at, how = troubles.get("at"), troubles.get("how")
    inherit, ready = handover.Predecessor.inherit, handover.Predecessor.ready

    async def inherit_(self, state_path):
        if at == "hello":
            trouble(how)
        estate = await inherit(self, state_path)
        if at == "inherited":
            trouble(how)
        return estate

    async def ready_(self, taken):
        if at == "standing":
            await asyncio.sleep(0.5)  # its workers serve, beside the others
            trouble(how)
        return await ready(self, taken)

    handover.Predecessor.inherit, handover.Predecessor.ready = inherit_, ready_


if __name__ == "__main__":
    prepare(json.loads(TROUBLES.read_text()))
    main()
