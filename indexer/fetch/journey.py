"""From a link to its picture, request by request: robots, redirects, opt-outs, retries, the bounds on time and bytes.

Every request is a visit of its own, with its own turn at its host, so that what waits for a busy host keeps nothing
else from going on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from explorer.errors import PictureError, RejectReason
from explorer.manifest import Fetch
from indexer.fetch.addresses import Place
from indexer.fetch.client import Client, MayPass, Reply
from indexer.fetch.links import Target, joined, target
from indexer.fetch.politeness import Hosts, retry_after
from indexer.fetch.robots import REDIRECTS, Robots, opt_out
from indexer.fetch.spool import Fetched
from indexer.sources.base import Fault

Refused = Callable[[str], RejectReason | None]
"""A link -> why it must not be asked for."""

_OVERLOADED = frozenset({429, 503})
_PASSING = frozenset({500, 502, 504})
_UNANSWERED = frozenset({RejectReason.TIMEOUT, RejectReason.CONNECTION, RejectReason.DNS})


@dataclass(frozen=True, slots=True)
class Visit:
    """The next request on the way to a picture.

    Attributes:
        link: as the source has it.
        target: what to ask for.
        left: seconds that may still be spent on requests.
        order: the link's place among all links of a run.
        came_from: who redirected there; None where it is the link itself.
        redirects: followed so far.
        tries: that met a fault that may pass.
    """

    link: str
    target: Target
    left: float
    order: int
    came_from: Place | None = None
    redirects: int = 0
    tries: int = 0


class Journeys:
    """Goes the way of many links; for one event loop."""

    def __init__(self, settings: Fetch, client: Client, hosts: Hosts[Visit], refused: Refused, folder: Path) -> None:
        """`folder` is where long bodies wait while they come in."""
        self._settings, self._client, self._hosts, self._folder = settings, client, hosts, folder
        self._refused, self._order = refused, count()
        self._robots = Robots(settings, client, hosts.turn)

    def start(self, link: str) -> Visit | Fetched:
        """The first visit of a link, or why there is none."""
        try:
            self._check(link)
            visit = Visit(link, target(link), self._settings.timeout, next(self._order))
            self._check(str(visit.target.url))
        except PictureError as error:
            return _rejected(error)
        return visit

    async def go(self, visit: Visit) -> Visit | Fetched:
        """Make a visit whose turn it is: what was fetched, or the next visit."""
        try:
            await self._wait(visit.target)
        except PictureError as error:
            return _rejected(error)
        started = time.monotonic()
        result = await self._visit(visit)
        if isinstance(result, Visit):
            return replace(result, left=max(0.0, result.left - (time.monotonic() - started)))
        return result

    async def _wait(self, goal: Target) -> None:
        """Wait until a target may be asked for.

        Raises:
            PictureError: it may not.
        """
        closed = self._hosts.closed(goal.host)
        if closed is not None:
            raise PictureError(closed.reason, closed.detail)
        delay = await self._robots.delay(goal) if self._settings.honor_robots else 0.0
        await self._hosts.turn(goal.host, delay)

    async def _visit(self, visit: Visit) -> Visit | Fetched:
        host = visit.target.host
        try:
            async with asyncio.timeout(visit.left), self._client.get(visit.target, visit.came_from) as reply:
                result = await self._answer(visit, reply)
        except TimeoutError:
            return self._failed(
                visit, PictureError(RejectReason.TIMEOUT, f"{host} took longer than {self._settings.timeout:g} s")
            )
        except PictureError as error:
            return self._failed(visit, error)
        self._hosts.answered(host)
        return result

    def _failed(self, visit: Visit, error: PictureError) -> Visit | Fetched:
        host = visit.target.host
        if error.reason in _UNANSWERED:
            self._hosts.unanswered(host, Fault(error.reason, str(error)))
        else:
            self._hosts.answered(host)
        if isinstance(error, MayPass) and visit.tries < self._settings.retries:
            return replace(visit, tries=visit.tries + 1)
        return _rejected(error)

    async def _answer(self, visit: Visit, reply: Reply) -> Visit | Fetched:
        """What an answer means.

        Raises:
            PictureError: it is no picture, or none for us.
        """
        status, headers = reply.response.status, reply.response.headers
        location = headers.get("Location") if status in REDIRECTS else None
        if self._settings.honor_opt_out and (status == 200 or location is not None):
            word = opt_out(headers.getall("X-Robots-Tag", ()))
            if word is not None:
                raise PictureError(RejectReason.OPTED_OUT, f"X-Robots-Tag says {word}")
        if location is not None:
            return self._redirected(visit, reply.place, location)
        if status in _OVERLOADED or status in _PASSING:
            return self._overloaded(visit, status, headers.get("Retry-After"))
        if status != 200:
            raise PictureError(RejectReason.STATUS, f"{visit.target.host} answered {status}")
        return Fetched(now(), await reply.body(self._settings.max_bytes, self._folder))

    def _redirected(self, visit: Visit, place: Place, location: str) -> Visit:
        if visit.redirects >= self._settings.redirects:
            raise PictureError(RejectReason.REDIRECTS, f"more than {self._settings.redirects} redirects")
        goal = joined(visit.target, location)
        self._check(str(goal.url))
        return replace(visit, target=goal, came_from=place, redirects=visit.redirects + 1)

    def _overloaded(self, visit: Visit, status: int, header: str | None) -> Visit:
        """Come back later, if the host and the settings agree to that."""
        host = visit.target.host
        is_soon = status in _PASSING or self._hosts.stay_away(host, retry_after(header))
        if not is_soon or visit.tries >= self._settings.retries:
            raise PictureError(RejectReason.STATUS, f"{host} answered {status}")
        return replace(visit, tries=visit.tries + 1)

    def _check(self, link: str) -> None:
        reason = self._refused(link)
        if reason is not None:
            raise PictureError(reason, "")  # what a list names is not repeated


def _rejected(error: PictureError) -> Fetched:
    return Fetched(now(), None, error.reason, str(error))


def now() -> str:
    """The time, ISO 8601 to the second, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
