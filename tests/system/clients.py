"""Other people's HTTP clients, each as one session behind the same few calls."""

import asyncio
import atexit
import functools
import http.client
import io
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import aiohttp
import httpx
import requests

from tests.system.programs import PATIENCE

BLOCK = bytes(range(256)) * 256
"""What bodies are made of: 64 KiB."""
REDIRECTS = 10
FORM = {"name": "file", "filename": "a b.bin", "content_type": "application/x-thing"}


class Got(NamedTuple):
    """A final answer. ``body`` is what the client makes of it: decoded, if it decodes."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict:
        """What the application says it was asked."""
        assert self.status == 200, self
        return json.loads(self.body)

    def sent(self, name: str) -> list[str]:
        """The values of a field that the application was sent."""
        return [value for key, value in self.told["fields"] if key == name]


class Client:
    """A session: connections and cookies are kept from call to call.

    ``follows``: it follows redirects and keeps cookies; ``decodes``: it undoes gzip by itself; ``trusts_heads``: it
    uses a connection again after a HEAD, although some server might send a body.
    """

    follows = decodes = trusts_heads = True

    def __init__(self, base: str, folder: Path) -> None:
        self.base = base
        self.folder = folder

    def ask(
        self, path: str, method: str = "GET", fields: dict[str, str] | None = None, body: bytes | None = None
    ) -> Got:
        """Whole request, whole answer; a body goes with its length."""
        raise NotImplementedError

    def chunked(self, path: str, blocks: int) -> Got:
        """POST of so many BLOCKs whose number is not told beforehand."""
        raise NotImplementedError

    def form(self, path: str, content: bytes) -> Got:
        """POST of a file as multipart/form-data, with the names of FORM."""
        raise NotImplementedError

    def close(self) -> None:
        pass


def lower(fields: object) -> dict[str, str]:
    return {name.lower(): value for name, value in fields}  # type: ignore[attr-defined]


def repeated(blocks: int) -> Iterator[bytes]:
    for _ in range(blocks):
        yield BLOCK


class Requests(Client):
    def __init__(self, base, folder):
        super().__init__(base, folder)
        self._session = requests.Session()

    def _got(self, response):
        return Got(response.status_code, lower(response.headers.items()), response.content)

    def ask(self, path, method="GET", fields=None, body=None):
        return self._got(
            self._session.request(
                method, self.base + path, headers=fields, data=body, timeout=PATIENCE, allow_redirects=True
            )
        )

    def chunked(self, path, blocks):
        return self._got(self._session.post(self.base + path, data=repeated(blocks), timeout=PATIENCE))

    def form(self, path, content):
        files = {FORM["name"]: (FORM["filename"], content, FORM["content_type"])}
        return self._got(self._session.post(self.base + path, files=files, timeout=PATIENCE))

    def close(self):
        self._session.close()


class Httpx(Client):
    def __init__(self, base, folder):
        super().__init__(base, folder)
        self._session = httpx.Client(base_url=base, follow_redirects=True, timeout=PATIENCE)

    def _got(self, response):
        return Got(response.status_code, lower(response.headers.items()), response.content)

    def ask(self, path, method="GET", fields=None, body=None):
        return self._got(self._session.request(method, path, headers=fields, content=body))

    def chunked(self, path, blocks):
        return self._got(self._session.post(path, content=repeated(blocks)))

    def form(self, path, content):
        files = {FORM["name"]: (FORM["filename"], content, FORM["content_type"])}
        return self._got(self._session.post(path, files=files))

    def close(self):
        self._session.close()


class Aiohttp(Client):
    def __init__(self, base, folder):
        super().__init__(base, folder)
        self._runner = asyncio.Runner()
        self._session = self._runner.run(self._begin())

    async def _begin(self):
        # unsafe: cookies of an address instead of a name are kept, too
        return aiohttp.ClientSession(
            self.base, cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(PATIENCE)
        )

    def _run(self, method, path, **more):
        async def go():
            async with self._session.request(method, path, **more) as response:
                return Got(response.status, lower(response.headers.items()), await response.read())

        return self._runner.run(go())

    def ask(self, path, method="GET", fields=None, body=None):
        # As a file: it warns of large bodies in one piece, which hold up other requests of the same loop.
        return self._run(method, path, headers=fields, data=body and io.BytesIO(body), allow_redirects=True)

    def chunked(self, path, blocks):
        async def pieces():
            for block in repeated(blocks):
                yield block

        return self._run("POST", path, data=pieces())

    def form(self, path, content):
        async def go():  # a form wants a running loop
            data = aiohttp.FormData()
            data.add_field(FORM["name"], content, filename=FORM["filename"], content_type=FORM["content_type"])
            async with self._session.post(path, data=data) as response:
                return Got(response.status, lower(response.headers.items()), await response.read())

        return self._runner.run(go())

    def close(self):
        self._runner.run(self._session.close())
        self._runner.close()


class Library(Client):
    """http.client of the standard library: one connection, nothing done by itself."""

    follows = decodes = False

    def __init__(self, base, folder):
        super().__init__(base, folder)
        self._connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=PATIENCE)

    def _run(self, *what, **more):
        self._connection.request(*what, **more)
        response = self._connection.getresponse()
        return Got(response.status, lower(response.getheaders()), response.read())

    def ask(self, path, method="GET", fields=None, body=None):
        return self._run(method, path, body, fields or {})

    def chunked(self, path, blocks):
        return self._run("POST", path, repeated(blocks), {"Transfer-Encoding": "chunked"}, encode_chunked=True)

    def form(self, path, content):
        head = (
            '--bound\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
            "Content-Type: {content_type}\r\n\r\n"
        ).format(**FORM)
        body = head.encode() + content + b"\r\n--bound--\r\n"
        return self._run("POST", path, body, {"Content-Type": "multipart/form-data; boundary=bound"})

    def close(self):
        self._connection.close()


class Curl(Client):
    """The command; each call is a process, so a session is its jar of cookies. ``verbose``: what it said last."""

    decodes = False

    def __init__(self, base, folder):
        super().__init__(base, folder)
        self._jar, self._head, self._body = (folder / name for name in ("jar", "head", "body"))
        self.verbose = ""

    def run(self, path, *options, feed=b""):
        jar = ("-b", str(self._jar), "-c", str(self._jar))
        command = ["curl", "-sSv", "-m", str(PATIENCE), "-L", "--max-redirs", str(REDIRECTS), *jar]
        command += ["-D", str(self._head), "-o", str(self._body), *options, self.base + path]
        self._body.write_bytes(b"")
        done = subprocess.run(command, input=feed, capture_output=True, timeout=2 * PATIENCE, check=False)
        self.verbose = done.stderr.decode("latin-1")
        assert done.returncode == 0, self.verbose
        last = self._head.read_text(encoding="latin-1").rstrip("\n").split("\n\n")[-1]
        line, *lines = last.split("\n")
        pairs = ((name, value.strip()) for name, _, value in (each.partition(":") for each in lines))
        return Got(int(line.split()[1]), lower(pairs), self._body.read_bytes())

    def ask(self, path, method="GET", fields=None, body=None):
        options = [part for name, value in (fields or {}).items() for part in ("-H", f"{name}: {value}")]
        if method == "HEAD":
            return self.run(path, *options, "-I")._replace(body=b"")  # what it put out is the head
        if body is not None:
            # With -X the method would survive redirects that change it.
            options += ["--data-binary", "@-", *(() if method == "POST" else ("-X", method))]
        elif method != "GET":
            options += ["-X", method]
        return self.run(path, *options, feed=body or b"")

    def chunked(self, path, blocks):
        return self.run(path, "-T", "-", "-X", "POST", feed=BLOCK * blocks)

    def form(self, path, content):
        file = self.folder / "upload"
        file.write_bytes(content)
        what = "{name}=@{file};filename={filename};type={content_type}".format(file=file, **FORM)
        return self.run(path, "-F", what)


class Told(Client):
    """A client in another language: one process that does what it reads, line by line."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def __init__(self, base, folder):
        super().__init__(base, folder)
        self._process = subprocess.Popen(self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _run(self, **task):
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the client ended"
        answer = json.loads(line)
        assert "error" not in answer, answer
        return Got(answer["status"], lower(answer["fields"]), bytes.fromhex(answer["body"]))

    def ask(self, path, method="GET", fields=None, body=None):
        return self._run(path=path, method=method, fields=fields or {}, body=None if body is None else body.hex())

    def chunked(self, path, blocks):
        return self._run(path=path, method="POST", fields={}, blocks=blocks)

    def form(self, path, content):
        return self._run(path=path, method="POST", fields={}, form=FORM, body=content.hex())

    def close(self):
        self._process.stdin.close()
        assert self._process.wait(PATIENCE) == 0
        self._process.stdout.close()


class Node(Told):
    """Node's fetch (undici), or its older ``http``."""

    kind = "fetch"
    trusts_heads = False

    def command(self):
        return ["node", str(Path(__file__).with_name("clients.mjs")), self.base, self.kind]


class NodeHttp(Node):
    kind = "http"
    trusts_heads = True
    follows = decodes = False


class Go(Told):
    """Go's net/http with a cookie jar. It undoes gzip only where it asked for it by itself."""

    decodes = False

    def command(self):
        return [_built_go(), self.base]


@functools.cache
def _built_go() -> str:
    """The client, built once: the standard library takes a while. The folder goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="gatekeeper-go-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = folder / "client"
    environment = {**os.environ, "GOCACHE": str(folder / "cache"), "GO111MODULE": "off", "GOFLAGS": ""}
    source = str(Path(__file__).with_name("clients.go"))
    subprocess.run(["go", "build", "-o", str(target), source], env=environment, check=True, timeout=300)
    return str(target)


CLIENTS = {
    "curl": Curl,
    "aiohttp": Aiohttp,
    "httpx": Httpx,
    "requests": Requests,
    "http.client": Library,
    "node-fetch": Node,
    "node-http": NodeHttp,
    "go": Go,
}


def place(base: str, location: str) -> str:
    """The path that a Location leads to."""
    parts = urlsplit(urljoin(base, location))
    return parts.path
