"""A worker that speaks the channel and serves nobody, to try its supervisor on. Its vices come from the environment.

FAKE_WORKER is a JSON object; each key holds for all slots:
    die_in_slot: slot whose worker ends at the start
    die_at_start: exit code          mute_acks: never acknowledge after the first state
    nack_from: revision              late_ack: seconds
    mute_credentials: do not answer them     nack_credentials: why they are refused
    garbage: speak nonsense at the first ping
    leave: close the channel at the first ping and run on
    stubborn: ignore a drain
    outcomes: rows to report at the first ping
    recorded: messages for judges to send at the first ping
    stay: do not say that it left a version
    log: file that every message received is appended to
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from gatekeeper.channel import Decoder, encode

VICES = json.loads(os.environ.get("FAKE_WORKER", "{}"))


def main() -> int:
    if VICES.get("die_in_slot") == int(sys.argv[3]):
        return 7
    if "die_at_start" in VICES:
        return int(VICES["die_at_start"])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    up = socket.socket(fileno=int(sys.argv[1]))
    decoder = Decoder()
    acknowledged, ready = 0, False
    listening = [socket.socket(fileno=int(pair.rpartition("=")[2])) for pair in sys.argv[4:]]
    while data := up.recv(65536):
        for message in decoder.feed(data):
            note(message)
            kind = message["type"]
            if kind == "state":
                revision = message["revision"]
                if revision >= VICES.get("nack_from", 1 << 60) and message["base"] is not None:
                    up.sendall(encode({"type": "nack", "revision": revision, "why": "I do not like it"}))
                    continue
                if acknowledged and VICES.get("mute_acks"):
                    continue
                if acknowledged:
                    time.sleep(VICES.get("late_ack", 0))
                up.sendall(encode({"type": "ack", "revision": revision}))
                acknowledged = revision
            elif kind == "backends" and not ready:
                ready = True
                for sock in listening:
                    sock.listen(16)
                up.sendall(encode({"type": "ready", "pid": os.getpid()}))
            elif kind == "ping":
                if VICES.get("garbage"):
                    up.sendall(b"\xff" * 64)
                    continue
                if VICES.get("leave"):
                    up.close()
                    threading.Event().wait()
                up.sendall(
                    encode({"type": "pong", "n": message["n"], "connections": 2, "in_flight": 3, "lag": 0.0, "rss": 1})
                )
                if rows := VICES.pop("outcomes", None):
                    up.sendall(encode({"type": "outcomes", "backends": rows}))
                if recorded := VICES.pop("recorded", None):
                    up.sendall(b"".join(map(encode, recorded)))
            elif kind == "credentials" and not VICES.get("mute_credentials"):
                why = VICES.get("nack_credentials", "") if acknowledged else ""
                up.sendall(encode({"type": "credentials_taken", "serial": message["serial"], "why": why}))
            elif kind == "leave" and not VICES.get("stay"):
                left = {"service": message["service"], "version": message["version"], "finished": 2, "cut": 1}
                up.sendall(encode({"type": "left", **left}))
            elif kind == "drain" and not VICES.get("stubborn"):
                up.sendall(encode({"type": "drained", "finished": 4, "cut": 1}))
                return 0
    threading.Event().wait()  # as a worker that lost its supervisor: it serves on
    return 0


def note(message):
    if "log" in VICES:
        with Path(VICES["log"]).open("a", encoding="utf-8") as log:
            log.write(json.dumps({**message, "worker": sys.argv[3]}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
