"""Names and addresses of the network: hosts, networks, listeners, backends, header and cookie names, paths."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from gatekeeper.config.problems import WrongValueError, closest
from gatekeeper.config.values import ANY_SUBSTITUTION, Reads

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110 section 5.6.2
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PATH = re.compile(r"/[\x21-\x7e]*")
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")

MAX_UNIX_PATH = 107
"""Bytes: Linux's sun_path is 108 with the final zero, unix(7)."""

# Fields the proxy itself reads, writes or drops: a tester's force in one of them would be lost or break the message.
_FIELDS_OF_HTTP = frozenset(
    {
        "connection",
        "content-length",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-gatekeeper-pass",
        "x-gatekeeper-revision",
        "x-request-id",
    }
)


def read_host(text: str) -> str:
    """A host as routing compares it: lower case, no port, ``*.`` only as the first label."""
    host = text.lower()
    if host == "*":
        raise WrongValueError("takes names only", allowed="leave hosts out to answer to every host")
    if host.startswith("["):
        address = host.removeprefix("[").removesuffix("]")
        return f"[{_ip(address, 6)}]"
    name = host.removeprefix("*.")
    if not host.isascii():
        raise WrongValueError("is not ASCII", allowed="the xn-- form of the name, as browsers send it")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        bare = host.partition("://")[2] or host
        bare = re.split(r"[/:]", bare, maxsplit=1)[0].removesuffix(".")
        good = bare != host and all(_LABEL.fullmatch(label) for label in bare.removeprefix("*.").split("."))
        raise WrongValueError("is not a host name", suggestion=bare if good else "")
    return host


def _ip(text: str, version: int | None = None) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise WrongValueError("is not an IP address") from None
    if (version and address.version != version) or "%" in text:
        raise WrongValueError("is not an IPv6 address without a zone")
    return str(address)


HOST = Reads(
    read_host,
    "a host name without scheme, port and path, or *.NAME for every name below it",
    {"type": "string", "pattern": rf"^[^/:\s]+$|^\[[0-9A-Fa-f:.]+\]$|{ANY_SUBSTITUTION}"},
)


def read_network(text: str) -> str:
    """A network as ``ADDRESS/BITS``; a single address is the network of itself."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        try:
            near = str(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise WrongValueError("is not a network") from None
        raise WrongValueError("has bits set right of its prefix", suggestion=near) from None


NETWORK = Reads(read_network, "an address or a network, such as 10.0.0.0/8 or ::1/128", {"type": "string"})


def _port(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text) or not 1 <= int(text) <= 65535:
        raise WrongValueError("has no valid port", allowed="a port from 1 to 65535")
    return int(text)


def _unix(text: str) -> str:
    path = text.removeprefix("unix:")
    if not path.startswith("/") or "\0" in path:
        raise WrongValueError("is not an absolute path", allowed="unix:/PATH")
    if len(path.encode()) > MAX_UNIX_PATH:
        raise WrongValueError("is too long for a unix socket", allowed=f"at most {MAX_UNIX_PATH} bytes")
    return f"unix:{path}"


def read_tcp_address(text: str) -> str:
    """``HOST:PORT`` of an interface of this machine; IPv6 in brackets. No host, or ``*``, is every IPv4 address."""
    host, colon, port = text.rpartition(":")
    if not colon:
        near = f"0.0.0.0:{text}" if re.fullmatch(r"\d{1,5}", text) else ""
        raise WrongValueError("has no port", suggestion=near)
    number = _port(port)
    if host in {"", "*"}:
        return f"0.0.0.0:{number}"
    if host.lower() == "localhost":
        return f"127.0.0.1:{number}"
    if host.startswith("[") and host.endswith("]"):
        return f"[{_ip(host[1:-1], 6)}]:{number}"
    if ":" in host:
        raise WrongValueError("is an IPv6 address without brackets", suggestion=f"[{host}]:{number}")
    return f"{_ip(host)}:{number}"


def read_listen(text: str) -> str:
    return _unix(text) if text.startswith("unix:") else read_tcp_address(text)


_TCP_ALLOWED = "ADDRESS:PORT with an IP address (IPv6 in brackets), such as 127.0.0.1:8080 or [::]:8080"
TCP_ADDRESS = Reads(read_tcp_address, _TCP_ALLOWED, {"type": "string"})
LISTEN = Reads(read_listen, f"{_TCP_ALLOWED}, or unix:/PATH", {"type": "string"})


_PORTS = {"http": 80, "https": 443}


def read_backend(text: str) -> str:
    """``http://HOST:PORT``, ``https://HOST:PORT`` or ``unix:/PATH``, in the one form backends are compared by.

    The port is 80 or 443 when it is left out.
    """
    if text.startswith("unix:"):
        return _unix(text)
    scheme, host, port, parts = _url(text)
    if parts.path not in {"", "/"} or parts.query or text.endswith("?"):
        raise WrongValueError("has a path", allowed="no path; path_prefix and strip_prefix shape it")
    return f"{scheme}://{host}:{port or _PORTS[scheme]}"


def _url(text: str) -> tuple[str, str, int | None, SplitResult]:
    """Scheme and host in the one form URLs are compared by, the port, and all parts as they are written."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        near = f"http://{text}" if re.fullmatch(r"[A-Za-z0-9_.\[\]:-]+", text) else ""
        raise WrongValueError("has no scheme", suggestion=near)
    scheme = scheme.lower()
    if scheme not in _PORTS:
        raise WrongValueError("has an unknown scheme")
    if re.search(r"[^\x21-\x7e]|\\", rest):
        raise WrongValueError("holds white space, a backslash or what is not ASCII")
    try:
        parts = urlsplit(text)
        name, port = parts.hostname or "", parts.port
    except ValueError:
        raise WrongValueError("is not a URL with a valid host and port") from None
    if "@" in parts.netloc:
        raise WrongValueError("has a user name", allowed="no user name or password in a URL")
    if parts.fragment or text.endswith("#"):
        raise WrongValueError("has a fragment, which is never sent", allowed="no # in a URL")
    if port == 0 or parts.netloc.endswith(":"):
        raise WrongValueError("has no valid port", allowed="a port from 1 to 65535")
    host = f"[{_ip(name, 6)}]" if parts.netloc.startswith("[") else read_host(name)
    if host.startswith("*"):
        raise WrongValueError("is not one host")
    return scheme, host, port, parts


BACKEND = Reads(
    read_backend,
    "http://HOST:PORT, https://HOST:PORT or unix:/PATH",
    {"type": "string", "pattern": rf"^https?://|^unix:/|{ANY_SUBSTITUTION}"},
)


MAX_URL = 2048


def _web_address(text: str) -> str:
    """``http://`` or ``https://``, host and, where they are given, port, path and query; the path as it is written."""
    if len(text) > MAX_URL:
        raise WrongValueError("is too long", allowed=f"at most {MAX_URL} characters")
    scheme, host, port, parts = _url(text)
    query = f"?{parts.query}" if parts.query else ""
    return f"{scheme}://{host}{f':{port}' if port else ''}{parts.path}{query}"


def _api_address(text: str) -> str:
    """The same of a gatekeeper's admin API: without a query, and without a slash at the end."""
    address = _web_address(text)
    if "?" in text:
        raise WrongValueError("has a query", allowed="no query; gatekeeper adds the path of its API")
    return address.rstrip("/")


def _traces_address(text: str) -> str:
    """The same of a collector: without a path it is the one that OTLP names, as in OTEL_EXPORTER_OTLP_ENDPOINT."""
    address = _web_address(text)
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rstrip('/')}/v1/traces" if "/" not in rest.rstrip("/") and "?" not in rest else address


_WEB_PATTERN = rf"^[Hh][Tt][Tt][Pp][Ss]?://|{ANY_SUBSTITUTION}"
WEB_ADDRESS = Reads(_web_address, "http:// or https://, HOST and PATH", {"type": "string", "pattern": _WEB_PATTERN})
TRACES_ADDRESS = Reads(
    _traces_address,
    "http:// or https://, HOST:PORT and PATH (default /v1/traces)",
    {"type": "string", "pattern": _WEB_PATTERN},
)
API_ADDRESS = Reads(_api_address, "http:// or https:// and HOST:PORT", {"type": "string", "pattern": _WEB_PATTERN})


def _server_name(text: str) -> str:
    host = read_host(text)
    if host.startswith("*"):
        raise WrongValueError("is not one host")
    return host.strip("[]")


SERVER_NAME = Reads(_server_name, "a host name, or an IP address (IPv6 in brackets)", {"type": "string"})


def read_prefix(text: str) -> str:
    """A path prefix in its one form: begins with a slash, ends without one (except ``/`` itself)."""
    if not _PATH.fullmatch(text) or set("?#") & set(text):
        near = f"/{text}" if _PATH.fullmatch(f"/{text}") and not set("?#") & set(text) else ""
        raise WrongValueError("is not a path", suggestion=near)
    parts = text.rstrip("/").split("/")[1:]
    if "" in parts or "." in parts or ".." in parts:
        raise WrongValueError("has an empty, . or .. segment")
    return "/" + "/".join(parts)


PREFIX = Reads(read_prefix, "a path that begins with /", {"type": "string", "pattern": rf"^/|{ANY_SUBSTITUTION}"})


def _request_path(text: str) -> str:
    if not _PATH.fullmatch(text) or "#" in text:
        near = f"/{text}" if _PATH.fullmatch(f"/{text}") else ""
        raise WrongValueError("is not a path", suggestion=near)
    return text


REQUEST_PATH = Reads(
    _request_path, "a path that begins with /, with its query if it has one", {"type": "string", "pattern": "^/"}
)


def _absolute_socket(text: str) -> str:
    return _unix(f"unix:{text}").removeprefix("unix:")


def _file_name(text: str) -> str:
    if not text.startswith("/") or "\0" in text:
        raise WrongValueError("is not a file name")
    return text


SOCKET = Reads(_absolute_socket, f"a path of at most {MAX_UNIX_PATH} bytes", {"type": "string"})
FILE = Reads(_file_name, "a file name", {"type": "string"})


def read_token(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise WrongValueError("is not a name HTTP allows")
    return text


def _header(text: str) -> str:
    return read_token(text).lower()


_HTTP_NAME = "1 to 128 letters, digits and !#$%&'*+.^_`|~-"
HEADER = Reads(_header, _HTTP_NAME, {"type": "string"})
COOKIE = Reads(read_token, _HTTP_NAME, {"type": "string"})


def _force_header(text: str) -> str:
    if read_token(text).lower() in _FIELDS_OF_HTTP:
        raise WrongValueError("has a meaning of its own in HTTP or here", suggestion="X-Gatekeeper-Version")
    return text


FORCE_HEADER = Reads(_force_header, "the name of a header that means nothing else", {"type": "string"})


def _method(text: str) -> str:
    if text not in _METHODS and (text.upper() in _METHODS or not _TOKEN.fullmatch(text)):
        near = closest(text.upper(), _METHODS)
        raise WrongValueError("is not a method; methods are case-sensitive", suggestion=near)
    return text


METHOD = Reads(_method, f"{', '.join(_METHODS)} or another HTTP method", {"type": "string"})


def read_unit(text: str) -> tuple[str, str]:
    """Where a unit id comes from: (kind, name), the name empty where the kind has none."""
    kind, colon, name = text.partition(":")
    if colon and kind in {"header", "cookie"}:
        return kind, (_header(name) if kind == "header" else read_token(name))
    if text in {"cookie", "client_ip"}:
        return text, ""
    raise WrongValueError("is no source of a unit", suggestion=closest(text, ("cookie", "client_ip", "header:NAME")))


UNIT = Reads(
    read_unit,
    "header:NAME, cookie:NAME, cookie or client_ip",
    {"type": "string", "pattern": rf"^(header|cookie):.+$|^cookie$|^client_ip$|{ANY_SUBSTITUTION}"},
)
