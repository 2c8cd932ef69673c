"""The pieces that byte programs are made of: whole messages, good and bad, and lines to make others from."""

HOST = b"Host: shop.test\r\n"
_WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"


def _request(line: bytes, *lines: bytes, body: bytes = b"", host: bytes = HOST) -> bytes:
    return line + b"\r\n" + host + b"".join(each + b"\r\n" for each in lines) + b"\r\n" + body


# Appended only: the kept cases name them by number.
REQUESTS = (
    _request(b"GET / HTTP/1.1"),
    _request(b"GET /shop/a?b=c HTTP/1.1", b"Accept: text/html", b"Cookie: a=b; gatekeeper-shop=0123456789abcdef; c=d"),
    _request(b"HEAD / HTTP/1.1"),
    _request(b"POST / HTTP/1.1", b"Content-Length: 5", body=b"hello"),
    _request(b"POST / HTTP/1.1", b"Content-Length: 5"),
    _request(b"POST / HTTP/1.1", b"Content-Length: 100000"),
    _request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"),
    _request(b"PUT / HTTP/1.1", b"Transfer-Encoding: chunked"),
    _request(b"PUT / HTTP/1.1", b"Content-Length: 0"),
    _request(b"DELETE / HTTP/1.1", b"Content-Length: 2, 2", body=b"xy"),
    _request(b"POST / HTTP/1.1", b"Expect: 100-continue", b"Content-Length: 5"),
    _request(b"GET / HTTP/1.1") * 2,
    _request(b"POST / HTTP/1.1", b"Content-Length: 2", body=b"ok") + _request(b"GET /2 HTTP/1.1") * 3,
    _request(b"GET / HTTP/1.1", b"Connection: close"),
    _request(b"GET / HTTP/1.0", host=b""),
    _request(b"GET / HTTP/1.0", b"Connection: keep-alive"),
    _request(b"GET /chat HTTP/1.1", _WEBSOCKET[:-2], b"Sec-WebSocket-Key: eA==", b"Sec-WebSocket-Version: 13"),
    _request(b"GET /chat HTTP/1.1", _WEBSOCKET[:-2], body=b"\x81\x83abcdxyz"),
    _request(b"GET / HTTP/1.1", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c, x/1", b"HTTP2-Settings: AA"),
    _request(b"OPTIONS * HTTP/1.1"),
    _request(b"GET http://shop.test:80/shop?q HTTP/1.1", host=b"Host: other.test\r\n"),
    _request(b"GET / HTTP/1.1", host=b"Host: nobody.test\r\n"),
    _request(b"GET / HTTP/1.1", b"X-Gatekeeper-Version: green"),
    _request(b"GET / HTTP/1.1", b"TE: trailers", b"Connection: TE, X-A", b"X-A: 1", b"X-Forwarded-For: 1.2.3.4"),
    _request(b"POST / HTTP/1.1", b"Content-Length: 3", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    _request(b"GET / HTTP/1.1", HOST[:-2]),
    _request(b"GET / HTTP/1.1", b"X-A: 1\r\n folded"),
    _request(b"GET / HTTP/2.0"),
    _request(b"CONNECT shop.test:80 HTTP/1.1"),
    _request(
        b"PATCH / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\nHost: x\r\n\r\n"
    ),
    _request(b"GET / HTTP/1.0", b"Connection: upgrade", b"Upgrade: websocket"),
    _request(b"POST /chat HTTP/1.1", _WEBSOCKET[:-2], b"Content-Length: 4", body=b"body"),
    _request(b"POST / HTTP/1.1"),
    _request(b"PATCH / HTTP/1.1", b"Content-Length: 0"),
    _request(b"GET / HTTP/1.1", b"Content-Length: 3", body=b"get"),
    _request(b"HEAD / HTTP/1.0", b"Connection: keep-alive"),
    _request(b"POST / HTTP/1.0", b"Content-Length: 3", body=b"old"),
    _request(b"POST / HTTP/1.1", b"Connection: close", b"Transfer-Encoding: chunked", body=b"1\r\na\r\n0\r\n\r\n"),
    _request(b"GET / HTTP/1.1", b"X-Gatekeeper-Version: green", b"X-Forwarded-For: 127.0.0.1", b"Cookie: a=b"),
    _request(b"GET / HTTP/1.1", b"X-Long: " + b"l" * 600),
    b"\r\n\r\n" + _request(b"DELETE / HTTP/1.1"),
    _request(b"TRACE / HTTP/1.1", b"Max-Forwards: 1"),
    _request(b"OPTIONS / HTTP/1.1", b"Max-Forwards: 0"),
    _request(
        b"GET / HTTP/1.1", b"X-Request-Id: r1", b"tracestate: a=b", b"X-Forwarded-For: [2001:db8::1]:80, 10.0.0.2"
    ),
    _request(b"GET /" + b"t" * 8300 + b" HTTP/1.1"),
    _request(b"GET /chat HTTP/1.1", _WEBSOCKET[:-2], b"X-Gatekeeper-Version: green"),
    _request(b"GET /chat HTTP/1.1", b"Connection: upgrade", b"Upgrade: x/1, y"),
)

PIECES = (
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b"0\r\n\r\n", b"5\r\nhello\r\n", b"5\r\n", b"hello",
    b"\r\n0\r\n",
    b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n", b"HEAD / HTTP/1.0\r\n", b"OPTIONS * HTTP/1.1\r\n", HOST,
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length: +5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n",
    b"Connection: host, te\r\n", _WEBSOCKET, b"Expect: 100-continue\r\n", b"X-A: 1\r\n",
    b"X-A : 1\r\n", b" folded\r\n", b"TE: trailers\r\n",
    b"Cookie: gatekeeper-shop=1\r\n", b'3;ext="a\r\nabc\r\n', b"0\r\nX-Sum: 1\r\n\r\n", b"HTTP/1.1 200 OK\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x88\x02\x03\xe8", b"\x81\x05hello", b"\x89\x00", b"\x82\x7e\x01\x00",
    b"800\r\n" + b"c" * 2048 + b"\r\n", b"X-Long: " + b"l" * 5000 + b"\r\n", b"1\r\nx\r\n" * 40,
)  # fmt: skip


def _response(line: bytes, *lines: bytes, body: bytes = b"") -> bytes:
    return line + b"\r\n" + b"".join(each + b"\r\n" for each in lines) + b"\r\n" + body


_OK = b"HTTP/1.1 200 OK"
_CHUNKED = b"Transfer-Encoding: chunked"

RESPONSES = (
    _response(_OK, b"Content-Length: 2", body=b"ok"),
    _response(_OK, b"Content-Length: 0"),
    _response(_OK, b"Content-Length: 10", body=b"part"),
    _response(_OK, b"Content-Length: 100000"),
    _response(_OK, _CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n"),
    _response(_OK, _CHUNKED, b"Trailer: X-Sum", body=b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n"),
    _response(_OK, _CHUNKED, body=b"5\r\nhel"),
    _response(_OK, body=b"until close"),
    _response(_OK, b"Connection: close", b"Content-Length: 2", body=b"ok"),
    _response(b"HTTP/1.0 200 OK", b"Content-Length: 2", body=b"ok"),
    _response(b"HTTP/1.0 200 OK", b"Connection: keep-alive", b"Content-Length: 2", body=b"ok"),
    _response(b"HTTP/1.0 200", body=b"old"),
    _response(b"HTTP/1.1 204 No Content"),
    _response(b"HTTP/1.1 304 Not Modified", b"Content-Length: 7"),
    _response(b"HTTP/1.1 100 Continue"),
    _response(b"HTTP/1.1 103 Early Hints", b"Link: </a.css>"),
    _response(b"HTTP/1.1 101 Switching Protocols", _WEBSOCKET[:-2]),
    _response(b"HTTP/1.1 101 Switching Protocols", _WEBSOCKET[:-2], body=b"\x81\x02hi"),
    _response(b"HTTP/1.1 101 Switching Protocols"),
    _response(b"HTTP/1.1 500 No", b"Content-Length: 2", body=b"no"),
    _response(b"HTTP/1.1 503 No", _CHUNKED),
    _response(_OK, b"Content-Length: 2", body=b"ok") * 2,
    _response(_OK, b"Content-Length: 2", body=b"okextra"),
    _response(_OK, b"Content-Length: 2", b"Content-Length: 2", body=b"ok"),
    _response(_OK, b"Content-Length: 2", _CHUNKED, body=b"0\r\n\r\n"),
    _response(_OK, b"Content-Length: x"),
    _response(_OK, b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    _response(_OK, b"X-A: 1\r\n b", b"Content-Length: 0"),
    _response(b"HTTP/1.1 100 Continue") + _response(_OK, b"Content-Length: 2", body=b"ok"),
    _response(b"HTTP/1.1 413 Too Large", b"Connection: close", b"Content-Length: 3", body=b"big"),
    _response(_OK, b"Set-Cookie: a=b", b"Cache-Control: public", b"Connection: X-A", b"X-A: 1", b"Content-Length: 0"),
    b"HTTP/1.1 200 OK\r\nContent-Le",
    b"garbage\r\n\r\n",
    _response(b"HTTP/1.0 200 OK", _CHUNKED, body=b"0\r\n\r\n"),
    _response(_OK, _CHUNKED, b"Connection: close", body=b"2 ;x\r\nab\r\n0\r\n\r\n"),
    _response(b"HTTP/1.1 204 No", _CHUNKED, body=b"0\r\n\r\n"),
    _response(b"HTTP/1.1 304 No", _CHUNKED),
    _response(b"HTTP/1.1 100 x", b"Content-Length: 3"),
    _response(_OK, b"Content-Length: 65536", b"X-Long: " + b"l" * 3000),
    _response(_OK, _CHUNKED, body=b"g\r\n"),
    _response(_OK, _CHUNKED, body=b"5\r\nhelloo"),
    _response(b"HTTP/1.1 206 Partial", b"Content-Range: bytes 0-1/2", b"Content-Length: 2", body=b"ab"),
    _response(b"HTTP/1.1 101 Switching Protocols", b"Connection: upgrade", b"Upgrade: x/1", body=b"x"),
    _response(_OK, *[b"X-%d: " % number + b"l" * 4000 for number in range(17)]),
)
