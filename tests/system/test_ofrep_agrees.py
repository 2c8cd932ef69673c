"""What an application is told by OFREP, and what gatekeeper tells backends, are one decision: for each of 10,000 users,
at every step of a ramp and on its way back.
"""

import json
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.system.programs import PATIENCE, Gatekeeper

pytestmark = pytest.mark.system

UNITS = [f"user-{number}" for number in range(10_000)]
STEPS = (1, 10, 50, 0)
AT_ONCE = 100
"""Requests written before the first answer is read: fewer wake-ups, and nothing waits for long."""
CONNECTIONS = 3
FLAGS = {
    "ramped": {"on": True, "percent": 0},
    "theme": {
        "on": True,
        "variants": {"light": "light", "dark": "dark mode", "odd": "seltsam ü"},
        "off": "light",
        "split": {"light": 60, "dark": 30, "odd": 10},
    },
    "everybody": {"on": True},
}
ECHO = 'location /echo { return 200 "$http_x_gatekeeper_version|$http_x_gatekeeper_flags"; }'
THEMES = {"light": "theme=light", "dark mode": 'theme="dark mode"', "seltsam ü": 'theme=%"seltsam %c3%bc"'}


def answers(place: socket.socket, requests: Sequence[bytes]) -> Iterator[bytes]:
    """The body of each answer, in order, over one connection. All are to be 200."""
    with place, place.makefile("rb") as reader:
        for first in range(0, len(requests), AT_ONCE):
            batch = requests[first : first + AT_ONCE]
            place.sendall(b"".join(batch))
            for _ in batch:
                assert reader.readline().startswith(b"HTTP/1.1 200 "), reader.readline()
                length = 0
                while (line := reader.readline()) != b"\r\n":
                    if line[:15].lower() == b"content-length:":
                        length = int(line[15:])
                yield reader.read(length)


def told_to_backends(place: socket.socket, units: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Version and flags by user, as the backend of his request was told."""
    requests = [f"GET /echo HTTP/1.1\r\nHost: any.test\r\nX-User-Id: {unit}\r\n\r\n".encode() for unit in units]
    lines = (body.decode().partition("|") for body in answers(place, requests))
    return {unit: (version, flags) for unit, (version, _, flags) in zip(units, lines, strict=True)}


def everybody(gatekeeper: Gatekeeper, by_admin: int) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
    """What applications are told and what backends are told, of all users, asked side by side.

    Every ``by_admin``-th user is asked about on the admin socket, the others at the service's own address.
    """

    def service() -> socket.socket:
        return socket.create_connection(("127.0.0.1", gatekeeper.port), PATIENCE)

    admin = socket.socket(socket.AF_UNIX)
    admin.settimeout(PATIENCE)
    admin.connect(str(gatekeeper.socket))
    asked, sent = [], []
    with ThreadPoolExecutor(2 * CONNECTIONS + 1) as pool:
        asked.append(pool.submit(told_to_applications, admin, UNITS[::by_admin]))
        rest = [unit for number, unit in enumerate(UNITS) if number % by_admin]
        for first in range(CONNECTIONS):
            sent.append(pool.submit(told_to_backends, service(), UNITS[first::CONNECTIONS]))
            if part := rest[first::CONNECTIONS]:
                asked.append(pool.submit(told_to_applications, service(), part))
    applications = {unit: told for each in asked for unit, told in each.result().items()}
    return applications, {unit: told for each in sent for unit, told in each.result().items()}


def told_to_applications(place: socket.socket, units: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The same of these users as OFREP says it, in the words of the header."""
    requests = []
    for unit in units:
        body = json.dumps({"context": {"targetingKey": unit}}).encode()
        head = f"POST /ofrep/v1/evaluate/flags HTTP/1.1\r\nHost: any.test\r\nContent-Length: {len(body)}\r\n\r\n"
        requests.append(head.encode() + body)
    told = {}
    for unit, body in zip(units, answers(place, requests), strict=True):
        found = {each["key"]: each["value"] for each in json.loads(body)["flags"]}
        members = ["everybody", *(["ramped"] if found["ramped"] else []), THEMES[found["theme"]]]
        told[unit] = (found["shop.version"], ", ".join(members))
    return told


@pytest.mark.outside("nginx")
def test_ten_thousand_users_are_told_the_same_by_both_ways_through_a_ramp(nginx, serve, long):
    echo = nginx("echo", ECHO).url
    gatekeeper = serve({"blue": echo, "green": echo}, start=False)
    document = gatekeeper.document(sticky={"by": ["header:X-User-Id"]}, ofrep={"rate": 1_000_000})
    document["admin"]["ofrep"] = {"rate": 1_000_000}
    gatekeeper.file.write_text(json.dumps(document | {"flags": FLAGS}))
    gatekeeper.start()
    had: set[str] = set()
    for percent in STEPS:
        gatekeeper.split(blue=100 - percent, green=percent)
        status, reply = gatekeeper.call("PUT", "/v1/flags/ramped", {"percent": percent})
        assert status == 200, reply
        asked, sent = everybody(gatekeeper, 1 if long else 5)
        assert asked == sent
        assert len(sent) == len(UNITS)
        on = {unit for unit, (_, flags) in sent.items() if "ramped" in flags}
        green = {unit for unit, (version, _) in sent.items() if version == "green"}
        for share in (on, green):
            assert abs(len(share) - len(UNITS) * percent / 100) <= 200, percent
        # A share of five deviations; whoever had it keeps it while it grows, and not the same have both.
        assert had <= on or percent == 0
        assert on != green or percent == 0
        had = on
    assert not had
    themes = [flags.partition("theme=")[2] for _, flags in sent.values()]
    assert {
        theme: abs(themes.count(theme) / len(UNITS) - share) < 0.03 for theme, share in SHARES.items()
    } == dict.fromkeys(SHARES, True)


SHARES = {"light": 0.6, '"dark mode"': 0.3, '%"seltsam %c3%bc"': 0.1}
