"""What hosts ask of robots: robots.txt, once for each origin, and the header X-Robots-Tag of each answer.

Sources: RFC 9309; Google's description of `X-Robots-Tag`; DeviantArt's `noai` and `noimageai`; Microsoft's `noml`.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from protego import Protego

from explorer.errors import PictureError, RejectReason
from explorer.manifest import Fetch
from indexer.fetch.addresses import Place
from indexer.fetch.client import AGENT, CHUNK, Client, MayPass, Reply
from indexer.fetch.links import Target, joined
from indexer.sources.base import Fault

MOST_BYTES = 512 * 1024
"""Of a robots.txt that are read; RFC 9309 asks for at least 500 KiB."""
MOST_DELAY = 10.0
"""Seconds of a crawl delay that are honored."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OPT_OUTS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "noml", "none"})
"""`none` stands for `noindex, nofollow`."""
_RULES_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_MOST_FAILED = 50_000
_FREE = Protego.parse("")
_EVERYTHING = b""
_NOTHING = b"User-agent: *\nDisallow: /"

Turn = Callable[[str], Awaitable[None]]
"""Wait until a host may be asked."""


class Robots:
    """The robots.txt of every origin, each fetched when it is first needed; for one event loop."""

    def __init__(self, settings: Fetch, client: Client, turn: Turn) -> None:
        self._settings, self._client, self._turn = settings, client, turn
        self._shelf = Shelf()
        self._failed: OrderedDict[str, Fault] = OrderedDict()
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def delay(self, target: Target) -> float:
        """The seconds that robots.txt wants between two requests.

        Raises:
            PictureError: ROBOTS: it asks to stay away from the target; otherwise: why the host cannot be asked at all.
        """
        rules = self._shelf.get(target.origin)
        while rules is None:
            fault = self._failed.get(target.origin)
            if fault is not None:
                raise PictureError(fault.reason, fault.detail)
            await self._ask_once(target)
            rules = self._shelf.get(target.origin)
        if not rules.can_fetch(str(target.url), AGENT):
            raise PictureError(RejectReason.ROBOTS, "robots.txt asks to stay away")
        return min(rules.crawl_delay(AGENT) or 0.0, MOST_DELAY)

    async def _ask_once(self, target: Target) -> None:
        origin = target.origin
        task = self._asking.get(origin)
        if task is None:
            task = self._asking[origin] = asyncio.create_task(self._learn(target))
            task.add_done_callback(lambda _: self._asking.pop(origin))
        await asyncio.shield(task)

    async def _learn(self, target: Target) -> None:
        """Put on the shelf what an origin's robots.txt says, or note why it cannot be asked."""
        try:
            self._shelf.put(target.origin, await self._rules(target.at("/robots.txt")))
        except PictureError as error:
            self._failed[target.origin] = Fault(error.reason, str(error))
            if len(self._failed) > _MOST_FAILED:
                self._failed.popitem(last=False)

    async def _rules(self, target: Target) -> bytes:
        """The text of a robots.txt, wherever it has moved; one that cannot be read forbids everything.

        Raises:
            PictureError: the host itself cannot be asked.
        """
        came_from: Place | None = None
        for redirects in range(self._settings.redirects + 1):
            try:
                answer = await self._ask(target, came_from)
            except PictureError:
                if not redirects:
                    raise
                break
            if isinstance(answer, bytes):
                return answer
            target, came_from = answer.target, answer.came_from
        return _NOTHING

    async def _ask(self, target: Target, came_from: Place | None) -> bytes | _Elsewhere:
        for tries in range(self._settings.retries + 1):
            await self._turn(target.host)
            try:
                async with asyncio.timeout(self._settings.timeout), self._client.get(target, came_from) as reply:
                    return await _read(target, reply)
            except TimeoutError as error:
                raise PictureError(RejectReason.TIMEOUT, f"{target.host} does not answer for robots.txt") from error
            except MayPass:
                if tries == self._settings.retries:
                    raise
        raise AssertionError("the last try returns or raises")


class Shelf:
    """Many a robots.txt in little room: all are kept packed, and those used last are kept read as well.

    Read, one takes some 25 times the room of its text. What has been longest unused goes first.
    """

    def __init__(self, packed: int = 64 * 1024 * 1024, read: int = 4 * 1024 * 1024) -> None:
        """Hold so many bytes of packed texts, and the rules of so many bytes of text."""
        self._most_packed, self._most_read = packed, read
        self._packed: OrderedDict[str, bytes] = OrderedDict()
        self._read: OrderedDict[str, tuple[int, Protego]] = OrderedDict()
        self._packed_bytes, self._read_bytes = 0, 0

    def put(self, origin: str, text: bytes) -> None:
        """Keep the text of an origin that has none here."""
        self._packed[origin] = zlib.compress(text) if text else b""
        self._packed_bytes += len(self._packed[origin])
        while self._packed_bytes > self._most_packed and len(self._packed) > 1:
            _, oldest = self._packed.popitem(last=False)
            self._packed_bytes -= len(oldest)

    def get(self, origin: str) -> Protego | None:
        """The rules of an origin, if its text is here."""
        packed = self._packed.get(origin)
        if packed is None:
            return None
        self._packed.move_to_end(origin)
        if not packed:
            return _FREE
        if origin not in self._read:
            self._parse(origin, zlib.decompress(packed))
        self._read.move_to_end(origin)
        return self._read[origin][1]

    def _parse(self, origin: str, text: bytes) -> None:
        rules = Protego.parse(text.decode("utf-8", "replace").removeprefix("\ufeff"))
        self._read[origin] = (len(text), rules)
        self._read_bytes += len(text)
        while self._read_bytes > self._most_read and len(self._read) > 1:
            _, (length, _rules) = self._read.popitem(last=False)
            self._read_bytes -= length


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """Where a robots.txt has moved, and who says so."""

    target: Target
    came_from: Place


async def _read(target: Target, reply: Reply) -> bytes | _Elsewhere:
    """The rules of an answer: no robots.txt allows everything, a failing host nothing (RFC 9309, 2.3.1)."""
    status, location = reply.response.status, reply.response.headers.get("Location")
    if status in REDIRECTS and location is not None:
        return _Elsewhere(joined(target, location), reply.place)
    if status == 429 or status >= 500:
        return _NOTHING
    if status != 200:
        return _EVERYTHING
    try:
        reply.check_plain()
    except PictureError:
        return _NOTHING
    data = bytearray()
    async for chunk in reply.response.content.iter_chunked(CHUNK):
        data += chunk
        if len(data) > MOST_BYTES:
            break
    return bytes(data[:MOST_BYTES])


def opt_out(headers: Iterable[str]) -> str | None:
    """The first word in the values of `X-Robots-Tag` that asks this program not to use a picture, if there is one.

    A value is a list of rules, and `name:` before a rule addresses it and those after it to the robot of that name.
    """
    for header in headers:
        is_ours = True
        for part in header.lower().split(","):
            name, colon, rule = (word.strip() for word in part.partition(":"))
            if not colon:
                rule = name
            elif name in _RULES_WITH_VALUE:
                continue
            else:
                is_ours = name in (AGENT, "*")
            if is_ours and rule in _OPT_OUTS:
                return rule
    return None
