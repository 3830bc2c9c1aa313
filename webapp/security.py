"""Who may talk to this server, how much they may say, and what a browser may do with the answers.

A page on the open web can make its visitor's browser send requests to a server on the visitor's own machine. Three
rules keep it out (THREATS row 43): the `Host` must be a loopback name, which ends DNS rebinding; an `Origin` must be
the host itself; a request that changes something must not come from another site. Nothing sends CORS headers.

Sources: Fetch standard (fetch.spec.whatwg.org, Origin and CORP), Fetch Metadata (w3.org/TR/fetch-metadata), Content
Security Policy 3 (w3.org/TR/CSP3), RFC 6761 section 6.3 (`localhost` names).
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 1024 * 1024
"""Bytes of a request's body; recipes and the page's callbacks are far smaller."""

MAX_UPLOAD = 10_000_000
"""Bytes of a picture that somebody hands in."""

UPLOADS = "/api/uploads"
"""Where it is handed in; the one address that takes more than `MAX_BODY`."""

BODY_SECONDS = 20.0
"""A body that has not arrived by then is given up."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?")


def is_loopback_name(name: str) -> bool:
    """Whether a host name or an IP address (IPv6 without brackets) always means this very machine."""
    name = name.lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    # Of IPv6 only ::1: whether an IPv4 address in IPv6's clothes is loopback depends on the Python version.
    return address.is_loopback if address.version == 4 else address == ipaddress.IPv6Address("::1")


def is_loopback_host(header: str) -> bool:
    """Whether a `Host` header names this machine, on any port, so that a tunnel works."""
    found = _HOST.fullmatch(header)
    if not found or int(found[2] or 0) > 65535:
        return False
    name = found[1]
    return is_loopback_name(name.strip("[]")) and name.startswith("[") == (":" in name)


def content_security_policy(script_hashes: Iterable[str]) -> str:
    """The policy for every answer.

    Args:
        script_hashes: quoted hashes of the inline scripts that Dash itself writes into the page.
    """
    rules: Mapping[str, Sequence[str]] = {
        "default-src": ("'none'",),
        "script-src": ("'self'", *script_hashes),
        "style-src": ("'self'", "'unsafe-inline'"),  # Mantine sets its colors and sizes by style elements
        "img-src": ("'self'", "data:", "blob:"),
        "font-src": ("'self'",),
        "connect-src": ("'self'",),
        "worker-src": ("'self'",),
        "manifest-src": ("'self'",),
        "object-src": ("'none'",),
        "base-uri": ("'none'",),
        "frame-ancestors": ("'none'",),
        "form-action": ("'self'",),
    }
    return "; ".join(f"{name} {' '.join(values)}" for name, values in rules.items())


def security_headers(script_hashes: Iterable[str] = ()) -> dict[str, str]:
    """The headers of every answer."""
    return {
        "Content-Security-Policy": content_security_policy(script_hashes),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of ours
    """A request that goes no further.

    Attributes:
        status: the answer's status.
    """

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status

    def response(self) -> Response:
        """The answer: one line, as JSON."""
        return JSONResponse({"error": str(self)}, self.status)


class Guard:
    """ASGI middleware around the whole app: host, origin, body, and the headers of every answer."""

    def __init__(
        self,
        app: ASGIApp,
        headers: Mapping[str, str],
        *,
        max_body: int = MAX_BODY,
        larger: Mapping[str, int] | None = None,
    ) -> None:
        """Stand before an app.

        Args:
            app: what is guarded.
            headers: of every answer.
            max_body: bytes of a request's body.
            larger: path -> bytes, where another limit holds.
        """
        self.app = app
        self.headers = headers
        self.max_body = max_body
        self.larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the app, or refuse."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        try:
            check_source(Headers(scope=scope), scope.get("method", "WEBSOCKET"))
            if scope["type"] == "http":
                receive = await self._whole_body(scope, receive)
        except Refusal as refusal:
            await self._refuse(refusal, scope, receive, send)
            return
        await self.app(scope, receive, self._with_headers(send))

    async def _refuse(self, refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        response = refusal.response()
        response.headers["Connection"] = "close"  # what is left of the body is not read
        await response(scope, receive, self._with_headers(send))

    def _with_headers(self, send: Send) -> Send:
        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        return wrapped

    async def _whole_body(self, scope: Scope, receive: Receive) -> Receive:
        """Read the body before anybody parses it; what is too long or too slow never reaches the app.

        Returns:
            a `receive` that gives the body in one piece, then whatever the server says next.
        """
        headers = Headers(scope=scope)
        if "transfer-encoding" not in headers and headers.get("content-length", "0") == "0":
            return receive
        most = self.larger.get(scope["path"], self.max_body)
        if _declared(headers) > most:
            raise _too_large(most)
        try:
            body = await asyncio.wait_for(_read(receive, most), BODY_SECONDS)
        except TimeoutError:
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, f"the body did not arrive within {BODY_SECONDS:.0f} s") from None
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        return replay


async def _read(receive: Receive, most: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(HTTPStatus.BAD_REQUEST, "the body was cut off")
        body += message.get("body", b"")
        if len(body) > most:
            raise _too_large(most)
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(most: int) -> Refusal:
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is longer than {most:,} bytes")


def check_source(headers: Headers, method: str) -> None:
    """Hold a request against the three rules.

    Raises:
        Refusal: 400 for a host that is not this machine, 403 for another origin or site.
    """
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not is_loopback_host(hosts[0]):
        found = ", ".join(hosts)[:80] or "none"
        message = f"Host is {found!r}; expected localhost, 127.0.0.1, [::1] or a name under .localhost"
        raise Refusal(HTTPStatus.BAD_REQUEST, message)
    for origin in headers.getlist("origin"):
        if not _same_host(origin, hosts[0]):
            message = f"Origin is {origin[:80]!r}; expected the page's own host, {hosts[0]!r}"
            raise Refusal(HTTPStatus.FORBIDDEN, message)
    site = headers.get("sec-fetch-site", "same-origin")
    if method not in SAFE_METHODS and site not in ("same-origin", "none"):
        raise Refusal(HTTPStatus.FORBIDDEN, f"a request from another site ({site[:20]}) may not change anything here")


def _same_host(origin: str, host: str) -> bool:
    """Whether an origin is http or https at `host`; its scheme may be a tunnel's."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _declared(headers: Headers) -> int:
    declared = headers.get("content-length", "0")
    if not declared.isascii() or not declared.isdigit():
        raise Refusal(HTTPStatus.BAD_REQUEST, "Content-Length is not a number")
    return int(declared[:20])
