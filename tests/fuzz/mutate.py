"""Changes to byte programs that know where steps begin: a byte put in anywhere would garble all that follows."""

from random import Random

from tests.fuzz.session import MAX_CLIENTS, Session

_NAMES = [step.__name__ for step in Session(b"").steps]
_BARE = {"end", "reset", "stall", "answer_end", "answer_reset", "answer_stall", "turn", "leave"}
_COUNTED = {"raw", "answer_raw"}
_BY_CLIENT = {"request", "piece", "raw", "bulk", "end", "reset", "stall", "drain"}


def split(data: bytes) -> tuple[bytes, list[bytes]]:
    """(settings, steps with their operands) of a program."""
    steps = []
    at, clients = 2, 0
    while at < len(data):
        start, name = at, _NAMES[data[at] % len(_NAMES)]
        at += 1
        if name in _COUNTED:
            at += 2 + data[at] % 32 if at < len(data) else 1
        elif name == "client" and at < len(data):
            at += 1 + (min(data[at] % MAX_CLIENTS, clients) == clients)
            clients += min(data[start + 1] % MAX_CLIENTS, clients) == clients
        elif name not in _BARE:
            at += 1
        if name in _BY_CLIENT and not clients:  # its address
            at, clients = at + 1, 1
        steps.append(data[start:at])
    return data[:2], steps


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Another program much like this one, at most ``most`` bytes long."""
    chance = Random(seed)
    settings, steps = split(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(steps) + 1)
        which = chance.randrange(6)
        if which < 2 or not steps:
            steps.insert(at, bytes([chance.randrange(len(_NAMES)), chance.randrange(64)]))
        elif which == 2:
            del steps[at : at + chance.randint(1, 3)]
        elif which == 3:
            steps[at:at] = steps[chance.randrange(len(steps)) :][: chance.randint(1, 5)]
        elif which == 4:
            step = bytearray(steps[at % len(steps)])
            step[chance.randrange(len(step))] = chance.randrange(256)
            steps[at % len(steps)] = bytes(step)
        else:
            other = chance.randrange(len(steps))
            steps[at % len(steps)], steps[other] = steps[other], steps[at % len(steps)]
    if not chance.randrange(16) or len(settings) < 2:
        settings = bytes([chance.randrange(256), chance.randrange(256)])
    return (settings + b"".join(steps))[:most]
