"""A web on loopback that plays good, dead, slow, huge, lying, redirecting, opted-out, duplicated and hostile hosts.

It answers on one port of every address in 127.0.0.0/8, so that a thousand hosts cost nothing; what a path does is a
method of `_Behavior`. Each request leaves a `Hit` with the bytes that were sent, by which a test proves that its fault
happened.

In a test: `with HostileWeb() as web: web.url("picture/1", host=7)`. In a process of its own, for measurements and long
tests: `with apart() as web`, or `python tests/hostile_web.py`, which prints its ports as JSON and serves until its
standard input ends.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import random
import socket
import ssl
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from time import monotonic
from types import TracebackType

from PIL import Image, ImageDraw

PRIVATE = "private"
"""What the robots.txt of every host asks robots to leave alone."""
ROBOTS = f"User-agent: *\nDisallow: /{PRIVATE}/\n"
CHUNK = 64 * 1024
_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}
_BODIES = {
    "html": b"<!doctype html><title>Sign in</title><p>This picture has moved.",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64"/></svg>',
    "pdf": b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\nshowpage\n",
    "json": b'{"error": "not found"}',
}


@dataclass(slots=True)
class Hit:
    """One request.

    Attributes:
        host: the header `Host`.
        address: that was connected to.
        path: with the query.
        headers: in lower case.
        sni: the name that TLS was asked for.
        at: seconds, of the monotonic clock.
        sent: bytes of the answer that were handed to the network, head included.
    """

    host: str
    address: str
    path: str
    headers: Mapping[str, str]
    sni: str | None
    at: float
    sent: int = 0


@lru_cache(maxsize=4096)
def picture(number: int, side: int | None = None) -> tuple[str, bytes]:
    """Type and bytes of picture `number`; every number has shapes of its own. Sides are mixed unless one is given."""
    chance = random.Random(number)
    longest = side or chance.choice((160, 320, 480, 640, 800, 1024, 1280))
    size = (longest, max(64, round(longest * chance.uniform(0.6, 1.0))))
    format_ = chance.choices(tuple(_TYPES), (80, 8, 8, 4))[0]
    image = Image.effect_noise(size, chance.uniform(4, 24)).convert("RGB")
    draw = ImageDraw.Draw(image)
    for _ in range(chance.randint(6, 14)):
        box = [(chance.uniform(-0.2, 1) * size[0], chance.uniform(-0.2, 1) * size[1])]
        box.append((box[0][0] + chance.uniform(0.1, 0.7) * size[0], box[0][1] + chance.uniform(0.1, 0.7) * size[1]))
        shape = chance.choice((draw.rectangle, draw.ellipse))
        shape(box, fill=tuple(chance.randrange(256) for _ in range(3)))
    file = io.BytesIO()
    image.save(file, format_, quality=85)
    return _TYPES[format_], file.getvalue()


@dataclass(slots=True)
class _Asked:
    """A request on its way to an answer."""

    hit: Hit
    words: Sequence[str]
    query: str
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()
        self.hit.sent += len(data)

    async def reply(
        self, body: bytes = b"", status: int = 200, type_: str = "image/jpeg", headers: Sequence[tuple[str, str]] = ()
    ) -> bool:
        """A whole answer; True: the connection can be used again."""
        await self.head(status, [("Content-Type", type_), ("Content-Length", str(len(body))), *headers], body)
        return True

    async def head(self, status: int, headers: Sequence[tuple[str, str]], body: bytes = b"") -> None:
        lines = [f"HTTP/1.1 {status} {'OK' if status == 200 else 'Other'}", *(f"{k}: {v}" for k, v in headers), "", ""]
        await self.send("\r\n".join(lines).encode("latin-1") + body)


class _Behavior:
    """What each path does: its first word names the method, the others are its arguments."""

    def __init__(self, robots: Mapping[str, str | int], gate: threading.Event) -> None:
        self.robots, self.gate = robots, gate
        self.counts: Counter[str] = Counter()
        self.crowds: dict[str, asyncio.Event] = {}

    async def answer(self, asked: _Asked) -> bool:
        """Answer; whether the connection can be used again."""
        if asked.words[0] == "robots.txt":
            return await self._robots(asked)
        act = getattr(self, asked.words[0].replace("-", "_"), None)
        return await (act(asked) if act else asked.reply(b"", 404, "text/plain"))

    async def _robots(self, asked: _Asked) -> bool:
        text = self.robots.get(asked.hit.host.split(":")[0], self.robots.get("", ROBOTS))
        if isinstance(text, int):
            return await asked.reply(b"", text, "text/plain")
        if text.startswith("http"):
            return await asked.reply(b"", 302, headers=[("Location", text)])
        return await asked.reply(text.encode(), type_="text/plain")

    async def picture(self, asked: _Asked) -> bool:
        """picture/NUMBER[/SIDE]."""
        type_, body = picture(*(int(word) for word in asked.words[1:3]))
        return await asked.reply(body, type_=type_)

    private = picture

    async def own(self, asked: _Asked) -> bool:
        """own/NAME/NUMBER/SIDE: a picture with its name behind its end, so that each name has other bytes."""
        name, *words = asked.words[1:4]
        type_, body = picture(*map(int, words))
        return await asked.reply(body + name.encode(), type_=type_)

    async def status(self, asked: _Asked) -> bool:
        """status/CODE."""
        code = int(asked.words[1])
        return await asked.reply(b"" if code == 204 else b"no", code, "text/html")

    async def empty(self, asked: _Asked) -> bool:
        """A picture of no bytes."""
        return await asked.reply()

    async def body(self, asked: _Asked) -> bool:
        """body/KIND: something else that calls itself a JPEG."""
        return await asked.reply(_BODIES[asked.words[1]])

    async def cut(self, asked: _Asked) -> bool:
        """cut/NUMBER: half a picture, sent as if it were whole."""
        type_, body = picture(int(asked.words[1]))
        return await asked.reply(body[: len(body) // 2], type_=type_)

    async def slow_body(self, asked: _Asked) -> bool:
        """A byte a second, for ever."""
        await asked.head(200, [("Content-Type", "image/jpeg"), ("Content-Length", "100000")])
        return await self._drip(asked, b"\xff")

    async def slow_head(self, asked: _Asked) -> bool:
        """A header that never ends, a byte a second."""
        await asked.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        return await self._drip(asked, b"a")

    async def _drip(self, asked: _Asked, byte: bytes) -> bool:
        for _ in range(600):
            await asked.send(byte)
            await asyncio.sleep(1)
        return False

    async def never(self, asked: _Asked) -> bool:
        """No answer."""
        await asyncio.sleep(600)
        return False

    async def endless(self, asked: _Asked) -> bool:
        """endless/HOW: a body that never ends, its length absent, `lying` or `chunked`."""
        how = asked.words[1] if len(asked.words) > 1 else ""
        headers = {"chunked": [("Transfer-Encoding", "chunked")], "huge": [("Content-Length", str(10**10))]}.get(
            how, []
        )
        await asked.head(200, [("Content-Type", "image/jpeg"), *headers])
        block = b"\xff\xd8\xff\xe0" * (CHUNK // 4)
        if how == "chunked":
            block = f"{len(block):x}\r\n".encode() + block + b"\r\n"
        while True:
            await asked.send(block)

    async def crowded(self, asked: _Asked) -> bool:
        """crowded/COUNT/BYTES/NAME: a body without end; more than so many bytes only once all of the name have them."""
        count, size, name = asked.words[1:]
        crowd = self.crowds.setdefault(name, asyncio.Event())
        await asked.head(200, [("Content-Type", "image/jpeg")])
        while True:
            await asked.send(b"\xff\xd8\xff\xe0" * (CHUNK // 4))
            if asked.hit.sent >= int(size) and not crowd.is_set():
                self.counts[name] += 1
                if self.counts[name] >= int(count):
                    crowd.set()
                await crowd.wait()

    async def short(self, asked: _Asked) -> bool:
        """short/NUMBER: fewer bytes than were promised."""
        type_, body = picture(int(asked.words[1]))
        await asked.head(200, [("Content-Type", type_), ("Content-Length", str(2 * len(body)))], body)
        return False

    async def drop(self, asked: _Asked) -> bool:
        """The connection is cut without a word."""
        asked.writer.transport.abort()
        return False

    async def drop_first(self, asked: _Asked) -> bool:
        """drop-first/COUNT/NAME: cut so many times, then a picture."""
        self.counts[asked.hit.path] += 1
        is_cut = self.counts[asked.hit.path] <= int(asked.words[1])
        return await (self.drop(asked) if is_cut else asked.reply(picture(1)[1]))

    async def garbage(self, asked: _Asked) -> bool:
        """garbage/SEED: bytes that are no HTTP."""
        await asked.send(random.Random(asked.words[1]).randbytes(2000))
        return False

    async def raw(self, asked: _Asked) -> bool:
        """raw?BYTES: whatever the query says, percent-encoded."""
        await asked.send(urllib.parse.unquote_to_bytes(asked.query))
        return False

    async def wide(self, asked: _Asked) -> bool:
        """wide/BYTES: a picture under a header of so many."""
        return await asked.reply(picture(1)[1], headers=[("X-Wide", "y" * int(asked.words[1]))])

    async def to(self, asked: _Asked) -> bool:
        """to?LINK: a redirect to it."""
        return await asked.reply(b"", 302, headers=[("Location", urllib.parse.unquote(asked.query, "latin-1"))])

    async def slow_to(self, asked: _Asked) -> bool:
        """slow-to/SECONDS?LINK: a redirect after a while."""
        await asyncio.sleep(float(asked.words[1]))
        return await self.to(asked)

    async def redirect(self, asked: _Asked) -> bool:
        """redirect/STEPS/NUMBER[/SIDE]: so many redirects, then a picture."""
        steps, number = int(asked.words[1]), "/".join(asked.words[2:])
        goal = f"/redirect/{steps - 1}/{number}" if steps > 1 else f"/picture/{number}"
        return await asked.reply(b"", 301, headers=[("Location", goal)])

    async def loop(self, asked: _Asked) -> bool:
        """A redirect to itself."""
        return await asked.reply(b"", 302, headers=[("Location", asked.hit.path)])

    async def tagged(self, asked: _Asked) -> bool:
        """tagged/NUMBER?VALUE&VALUE: a picture with these headers X-Robots-Tag."""
        values = [urllib.parse.unquote(value) for value in asked.query.split("&")]
        type_, body = picture(int(asked.words[1]))
        return await asked.reply(body, type_=type_, headers=[("X-Robots-Tag", value) for value in values])

    async def tagged_to(self, asked: _Asked) -> bool:
        """tagged-to/NUMBER: a redirect that asks not to be used."""
        headers = [("Location", f"/picture/{asked.words[1]}"), ("X-Robots-Tag", "noai")]
        return await asked.reply(b"", 302, headers=headers)

    async def encoded(self, asked: _Asked) -> bool:
        """encoded/CODING: gigabytes of zeros, a thousandth of that on the line."""
        await asked.head(200, [("Content-Type", "image/jpeg"), ("Content-Encoding", asked.words[1])])
        while True:
            await asked.send(bomb())

    async def busy(self, asked: _Asked) -> bool:
        """busy/CODE/SECONDS/NAME: asks to come back later, the first time; a picture the second."""
        code, seconds = int(asked.words[1]), asked.words[2]
        self.counts[asked.hit.path] += 1
        if self.counts[asked.hit.path] == 1:
            return await asked.reply(b"", code, headers=[("Retry-After", urllib.parse.unquote(seconds))])
        return await asked.reply(picture(1)[1])

    async def swap(self, asked: _Asked) -> bool:
        """swap/NAME: another picture every time."""
        self.counts[asked.hit.path] += 1
        type_, body = picture(self.counts[asked.hit.path])
        return await asked.reply(body, type_=type_)

    async def gated(self, asked: _Asked) -> bool:
        """gated/NUMBER: a picture, but none before the web's gate is open."""
        while not self.gate.is_set():
            await asyncio.sleep(0.01)
        type_, body = picture(int(asked.words[1]), 64)
        return await asked.reply(body, type_=type_)

    async def together(self, asked: _Asked) -> bool:
        """together/COUNT/NAME/NUMBER: a picture, but none before so many of this name are asked for at a time."""
        count, name, number = asked.words[1:]
        crowd = self.crowds.setdefault(name, asyncio.Event())
        self.counts[name] += 1
        if self.counts[name] >= int(count):
            crowd.set()
        await crowd.wait()
        await asyncio.sleep(0.05)  # long enough to meet those who should not be there yet
        type_, body = picture(int(number), 64)
        return await asked.reply(body, type_=type_)

    async def lasting(self, asked: _Asked) -> bool:
        """lasting/SECONDS/NUMBER: a picture after a while."""
        await asyncio.sleep(float(asked.words[1]))
        type_, body = picture(int(asked.words[2]), 64)
        return await asked.reply(body, type_=type_)


@lru_cache(maxsize=1)
def bomb() -> bytes:
    """Zeros, a thousandth of their size."""
    return gzip.compress(bytes(64 * 1024 * 1024))


@dataclass
class HostileWeb:
    """The server, in a thread of its own; `Host` names are 127.1.a.b unless a test says otherwise.

    Attributes:
        robots: host -> its robots.txt, a status, or a link that it redirects to; "" stands for all others.
        tls: for https in place of http.
        hits: every request, in order.
        busiest: host -> most requests that it answered at a time.
        gate: what `gated` pictures wait for.
    """

    robots: dict[str, str | int] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    hits: list[Hit] = field(default_factory=list)
    busiest: Counter[str] = field(default_factory=Counter)
    gate: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def __enter__(self) -> HostileWeb:
        self._loop = asyncio.new_event_loop()
        self._behavior, self._now = _Behavior(self.robots, self.gate), Counter[str]()
        self._names: dict[object, str | None] = {}
        if self.tls is not None:
            self.tls.sni_callback = lambda connection, name, context: self._names.update({connection: name})
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "0.0.0.0", 0, ssl=self.tls, backlog=4096, limit=CHUNK)
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name="web", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def url(self, path: str, host: int | str = 1) -> str:
        """The link of a path; a number stands for the host of this number."""
        name = host if isinstance(host, str) else address(host)
        return f"{'https' if self.tls else 'http'}://{name}:{self.port}/{path}"

    def asked(self, path: str) -> list[Hit]:
        """The hits of a path and all below it."""
        return [hit for hit in self.hits if hit.path.lstrip("/").startswith(path)]

    async def _stop(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here = writer.get_extra_info("sockname")[0]
        if not writer.get_extra_info("peername")[0].startswith("127."):
            writer.close()  # whoever is not this machine
            return
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
        try:
            while await self._one(await reader.readuntil(b"\r\n\r\n"), here, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            writer.transport.abort()  # who asked has gone, or the server stops
        finally:
            self._names.pop(writer.get_extra_info("ssl_object"), None)
            writer.close()

    async def _one(self, head: bytes, here: str, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether another may follow."""
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        target = first.split(" ")[1]
        path, _, query = target.partition("?")
        sni = self._names.get(writer.get_extra_info("ssl_object"))
        hit = Hit(headers.get("host", ""), here, target, headers, sni, monotonic())
        self.hits.append(hit)
        if target == "/__hits":
            return await self._tell(_Asked(hit, (), "", writer))
        self._now[hit.host] += 1
        self.busiest[hit.host] = max(self.busiest[hit.host], self._now[hit.host])
        try:
            return await self._behavior.answer(_Asked(hit, path.strip("/").split("/"), query, writer))
        finally:
            self._now[hit.host] -= 1

    async def _tell(self, asked: _Asked) -> bool:
        told = [[hit.host, hit.path, hit.sent] for hit in self.hits[:-1]]
        return await asked.reply(json.dumps({"hits": told, "busiest": self.busiest}).encode(), type_="application/json")


def address(number: int) -> str:
    """The loopback address of host `number`."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


class Canary:
    """Listens on a port that nobody may ever open, and counts those who do."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._socket = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.host, self.port = host, self._socket.getsockname()[1]
        self.hits = 0

    def __enter__(self) -> Canary:
        self._thread = threading.Thread(target=self._listen, name="canary", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.hits += 1
                connection.close()


@contextmanager
def refused_port() -> Iterator[int]:
    """A port of 127.0.0.0/8 that refuses connections for as long as the block lasts."""
    with closing(socket.socket()) as bound:  # bound, and never listening
        bound.bind(("0.0.0.0", 0))
        yield bound.getsockname()[1]


@contextmanager
def silent_port() -> Iterator[int]:
    """A port of 127.0.0.0/8 that takes connections and never says a word."""
    with closing(socket.socket()) as listening:
        listening.bind(("0.0.0.0", 0))
        listening.listen(4096)
        yield listening.getsockname()[1]


@dataclass(frozen=True, slots=True)
class Apart:
    """A `HostileWeb` in a process of its own.

    Attributes:
        port: of the web.
        refused: a port that refuses connections.
        silent: a port that takes them and never answers.
    """

    pid: int
    port: int
    refused: int
    silent: int

    def url(self, path: str, host: int | str = 1) -> str:
        """See `HostileWeb.url`."""
        return f"http://{host if isinstance(host, str) else address(host)}:{self.port}/{path}"

    def warm(self, path: str) -> None:
        """Have a picture drawn, so that it is only sent when it is asked for."""
        with urllib.request.urlopen(self.url(path)) as answer:
            answer.read()

    def hits(self) -> Counter[str]:
        """Path -> requests so far."""
        with urllib.request.urlopen(self.url("__hits")) as answer:
            return Counter(path for _, path, _ in json.load(answer)["hits"])

    def busiest(self) -> dict[str, int]:
        """Host -> most requests at a time so far."""
        with urllib.request.urlopen(self.url("__hits")) as answer:
            return json.load(answer)["busiest"]


@contextmanager
def apart() -> Iterator[Apart]:
    """Serve in another process until the block ends."""
    with subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        yield Apart(pid=process.pid, **json.loads(process.stdout.readline()))
        process.stdin.close()


def main() -> None:
    """Serve until standard input ends."""
    with HostileWeb() as web, refused_port() as refused, silent_port() as silent:
        sys.stdout.write(json.dumps({"port": web.port, "refused": refused, "silent": silent}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
