"""Who may talk to the server, and what a browser may do with its answers: a matrix of hosts and origins."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from webapp import security
from webapp.security import Guard, content_security_policy, is_loopback_host, security_headers

LIMIT = 1000
HERE = "127.0.0.1:8050"


class Inside:
    """An app behind the guard that counts what reaches it."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        routes = [
            Route("/", self.answer, methods=["GET", "POST", "PUT", "DELETE"]),
            Route("/broken", self.broken),
            WebSocketRoute("/ws", self.socket),
        ]
        self.app = Guard(Starlette(routes=routes), security_headers(), max_body=LIMIT)

    async def answer(self, request: Request) -> PlainTextResponse:
        body = await request.body()
        self.reached.append(f"{request.method} {len(body)}")
        return PlainTextResponse(str(len(body)))

    async def broken(self, request: Request) -> PlainTextResponse:
        raise RuntimeError("a fault of ours")

    async def socket(self, socket: WebSocket) -> None:
        self.reached.append("socket")
        await socket.accept()
        await socket.close()

    def ask(self, method: str = "GET", path: str = "/", **given: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{HERE}") as client:
                return await client.request(method, path, **given)

        return anyio.run(once)


@pytest.fixture
def inside() -> Inside:
    return Inside()


ALLOWED_HOSTS = (
    "localhost", "localhost:8050", "LOCALHOST:1", "atlas.localhost:8050", "127.0.0.1", "127.0.0.1:65535",
    "127.1.2.3:80", "[::1]", "[::1]:8050",
)  # fmt: skip
REFUSED_HOSTS = (
    "", "evil.example", "evil.example:8050", "localhost.evil.example", "evil-localhost", "127.0.0.1.nip.io",
    "0.0.0.0:8050", "10.0.0.1", "192.168.1.2:8050", "169.254.169.254", "2130706433", "0x7f.1", "127.1", "[::]:8050",
    "[::ffff:127.0.0.1]", "::1", "[127.0.0.1]", "localhost:99999", "localhost:", "user@localhost", "localhost/",
    "localhost localhost", ".localhost.", "[fe80::1%lo]",
)  # fmt: skip


@pytest.mark.parametrize("host", ALLOWED_HOSTS)
def test_every_name_of_this_machine_is_answered(inside: Inside, host: str) -> None:
    """A loopback name passes on any port, so that a tunnel works."""
    assert inside.ask(headers={"Host": host}).status_code == 200
    assert inside.reached == ["GET 0"]


@pytest.mark.parametrize("host", REFUSED_HOSTS)
def test_every_other_host_is_refused(inside: Inside, host: str) -> None:
    """A name that DNS could point here, or any odd spelling, is answered 400 and reaches nothing."""
    answer = inside.ask(headers={"Host": host})
    assert answer.status_code == 400
    assert "Host is" in answer.json()["error"]
    assert inside.reached == []


@given(st.from_regex(r"[\[\]a-zA-Z0-9.:@%/\\-]{1,40}", fullmatch=True))
def test_no_spelling_of_a_host_passes_that_is_not_loopback(host: str) -> None:
    """Whatever passes is loopback for Python's own parsers of addresses and links too."""
    if is_loopback_host(host):
        parts = urlsplit(f"http://{host}")
        name = parts.hostname or ""
        assert parts.username is None
        assert parts.port is None or parts.port <= 65535
        assert name == "localhost" or name.endswith(".localhost") or ipaddress.ip_address(name).is_loopback


SAME = f"http://{HERE}"
SOURCES = (
    # method, Origin, Sec-Fetch-Site, status
    ("GET", None, None, 200),
    ("GET", None, "cross-site", 200),  # a link on another site may be followed; CORP keeps the answer from its scripts
    ("GET", SAME, "same-origin", 200),
    ("GET", "http://evil.example", "cross-site", 403),
    ("POST", None, None, 200),  # curl
    ("POST", SAME, "same-origin", 200),
    ("POST", SAME, None, 200),
    ("POST", f"https://{HERE}", "same-origin", 200),  # a tunnel that speaks TLS
    ("POST", None, "none", 200),
    ("POST", None, "cross-site", 403),
    ("POST", None, "same-site", 403),  # another port of localhost
    ("POST", "null", "cross-site", 403),
    ("POST", "null", None, 403),
    ("POST", "", None, 403),
    ("POST", "http://evil.example", None, 403),
    ("POST", "http://127.0.0.1:9999", None, 403),
    ("POST", "http://localhost:8050", None, 403),
    ("POST", f"file://{HERE}", None, 403),
    ("POST", f"http://{HERE}.evil.example", None, 403),
    ("POST", f"http://evil@{HERE}", None, 403),
    ("POST", "http://[::1", None, 403),
    ("PUT", None, "cross-site", 403),
    ("DELETE", None, "cross-site", 403),
)


@pytest.mark.parametrize(("method", "origin", "site", "status"), SOURCES)
def test_only_the_page_itself_may_change_something(
    inside: Inside, method: str, origin: str | None, site: str | None, status: int
) -> None:
    """Another origin is refused, and another site may not send what changes anything."""
    headers = {name: value for name, value in (("Origin", origin), ("Sec-Fetch-Site", site)) if value is not None}
    answer = inside.ask(method, headers=headers)
    assert answer.status_code == status
    assert bool(inside.reached) is (status == 200)
    assert "access-control-allow-origin" not in answer.headers


def test_two_hosts_or_two_origins_are_no_way_around(inside: Inside) -> None:
    """A second Host, or a second Origin of another site, is seen too."""
    assert inside.ask(headers=[("Host", HERE), ("Host", "evil.example")]).status_code == 400
    assert inside.ask("POST", headers=[("Origin", SAME), ("Origin", "http://evil.example")]).status_code == 403
    assert inside.reached == []


@pytest.mark.parametrize(
    ("headers", "opened"),
    [
        ({"host": HERE, "origin": SAME}, True),
        ({"host": HERE}, True),
        ({"host": "evil.example", "origin": "http://evil.example"}, False),
        ({"host": HERE, "origin": "http://evil.example"}, False),
        ({"host": HERE, "origin": "http://localhost:8050"}, False),
        ({"host": HERE, "sec-fetch-site": "cross-site"}, False),
        ({}, False),
    ],
)
def test_websockets_keep_to_the_same_rules(inside: Inside, headers: Mapping[str, str], opened: bool) -> None:
    """A websocket from another host or origin is closed before the app hears of it."""
    sent = anyio.run(_open_socket, inside.app, headers)
    assert sent[0] == ("websocket.accept" if opened else "websocket.close")
    assert inside.reached == (["socket"] if opened else [])


async def _open_socket(app: Guard, headers: Mapping[str, str]) -> list[str]:
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:  # noqa: ANN401 - an ASGI message
        sent.append(message["type"])

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "websocket",
        "path": "/ws",
        "headers": raw,
        "query_string": b"",
        "subprotocols": [],
        "root_path": "",
    }
    await app(scope, receive, send)
    return sent


@pytest.mark.parametrize(("size", "status"), [(0, 200), (1, 200), (LIMIT, 200), (LIMIT + 1, 413), (50 * LIMIT, 413)])
@pytest.mark.parametrize("declared", [True, False])
def test_a_body_is_read_up_to_the_limit(inside: Inside, size: int, status: int, declared: bool) -> None:
    """A body past the limit is answered 413 and never reaches the app, whether its length was declared or not."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(size):
            yield b"x"

    answer = inside.ask("POST", content=b"x" * size if declared else pieces())
    assert answer.status_code == status
    assert inside.reached == ([f"POST {size}"] if status == 200 else [])


def test_an_endless_body_is_not_read_to_its_end(inside: Inside) -> None:
    """Of a body without an end no more is read than the limit and one piece."""
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 100
            yield b"x" * 100

    assert inside.ask("POST", content=endless()).status_code == 413
    assert LIMIT < given <= LIMIT + 200


def test_a_body_that_does_not_come_is_given_up(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that falls silent in the middle of its body is answered 408."""
    monkeypatch.setattr(security, "BODY_SECONDS", 0.05)

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        await anyio.sleep(5)
        yield b"x"

    began = time.monotonic()
    assert inside.ask("POST", content=slow()).status_code == 408
    assert time.monotonic() - began < 3
    assert inside.reached == []


@pytest.mark.parametrize("length", ["-1", "ten", "1e3", "9" * 40, "٣"])
def test_an_odd_content_length_is_refused(inside: Inside, length: str) -> None:
    """A Content-Length that is no number, or more than any body, is refused before anything is read."""
    answer = inside.ask("POST", headers=[("Content-Length", length.encode())], content=b"x")
    assert answer.status_code in (400, 413)
    assert inside.reached == []


def test_every_answer_carries_the_headers(inside: Inside) -> None:
    """Answers, refusals and faults of the app's own all say what a browser may do with them."""
    answers = [
        inside.ask(),
        inside.ask(path="/nothing"),
        inside.ask(path="/broken"),
        inside.ask(headers={"Host": "evil.example"}),
        inside.ask("POST", content=b"x" * (LIMIT + 1)),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 500, 400, 413]
    for answer in answers:
        for name, value in security_headers().items():
            assert answer.headers[name] == value


def rules(policy: str) -> dict[str, set[str]]:
    """A content security policy taken apart: directive -> its sources."""
    return {rule.split()[0]: set(rule.split()[1:]) for rule in policy.split(";")}


def test_the_policy_lets_no_stranger_run_anything() -> None:
    """Scripts come from here or bear a hash that Dash announced; nothing may be framed, posted or loaded elsewhere."""
    found = rules(content_security_policy(["'sha256-abc='"]))
    assert found["script-src"] == {"'self'", "'sha256-abc='"}
    assert found["default-src"] == found["object-src"] == found["base-uri"] == found["frame-ancestors"] == {"'none'"}
    assert found["connect-src"] == found["form-action"] == {"'self'"}
    assert found["img-src"] == {"'self'", "data:", "blob:"}
    assert found["style-src"] == {"'self'", "'unsafe-inline'"}
    everything: Iterable[str] = set().union(*found.values())
    assert not [source for source in everything if "http" in source or "*" in source or "eval" in source]
