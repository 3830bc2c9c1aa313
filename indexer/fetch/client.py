"""One request: to an address that was judged, under the name that the link gives, and its answer as it comes in.

The address is pinned: the request goes to the very address that the policy has seen, while `Host`, TLS's SNI and the
certificate's check keep the name. No second look-up can lead elsewhere, and a connection is used again for the same
address and name alone. A last guard at the socket asks the policy once more.
"""

from __future__ import annotations

import errno
import socket
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from explorer.errors import ManifestError, PictureError, RejectReason
from explorer.manifest import Fetch
from indexer.fetch.addresses import AddressPolicy, Place
from indexer.fetch.links import Target
from indexer.fetch.resolver import Resolver

AGENT = "latent-explorer"
"""The name by which robots.txt and X-Robots-Tag may address this program."""

_ATTEMPTS = 3
"""Addresses of a host that are tried."""
_HURRY = 4.0
"""Seconds for a connection while another address is left to try."""
_IDLE = 5.0
"""Seconds that a connection is kept for the next request."""
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What is wrong with this machine, and says nothing about the host."""
_IN_MEMORY = 256 * 1024
"""Bytes of a body that are held in memory while it comes in."""
CHUNK = 64 * 1024
"""Bytes that are taken out of what has come in at a time; taking all at once would hold them twice."""
_PLAIN = frozenset({"", "identity", "chunked"})
_ACCEPT = "image/webp,image/png,image/jpeg,image/gif;q=0.9,*/*;q=0.1"


class MayPass(PictureError):
    """A fault that another try may not meet."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose head has come in.

    Attributes:
        place: who gave it.
        response: its status and headers, and its body as a stream.
    """

    place: Place
    response: aiohttp.ClientResponse

    def check_plain(self) -> None:
        """Refuse a body that would have to be unpacked: a small one can become a very large one.

        Raises:
            PictureError: it is encoded.
        """
        for header in ("Content-Encoding", "Transfer-Encoding"):
            values = self.response.headers.getall(header, ())
            if {word.strip().lower() for value in values for word in value.split(",")} - _PLAIN:
                raise PictureError(RejectReason.ENCODED, "the answer is compressed, though plain was asked for")

    async def body(self, most: int, folder: Path) -> bytes:
        """The body, plain and whole; while it comes in, what is long waits in `folder`, in a file without a name.

        Raises:
            PictureError: it is encoded, empty, or has more than `most` bytes.
        """
        self.check_plain()
        if (self.response.content_length or 0) > most:
            raise PictureError(RejectReason.TOO_LARGE, f"the file has {self.response.content_length:,} bytes")
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=str(folder)) as body:
            async for chunk in self.response.content.iter_chunked(CHUNK):
                body.write(chunk)
                if body.tell() > most:
                    raise PictureError(RejectReason.TOO_LARGE, f"the file has more than {most:,} bytes")
            if not body.tell():
                raise PictureError(RejectReason.EMPTY, "the file is empty")
            body.seek(0)
            return body.read()


def user_agent(settings: Fetch, version: str) -> str:
    """The one name under which everything is asked for.

    Raises:
        ManifestError: nobody can be reached under it.
    """
    contact = (settings.contact or "").strip()
    if not contact:
        raise ManifestError(
            "fetch.contact: found nothing; expected a mail address or a page where hosts can reach you: set it in the "
            "manifest or give --contact"
        )
    if not (contact.isascii() and contact.isprintable()) or set(contact) & set("()\\"):
        raise ManifestError(
            f"fetch.contact: found {ascii(contact)}; expected a mail address or a page in printable ASCII, without "
            "parentheses and backslashes"
        )
    return f"{AGENT}/{version} (+{contact})"


class Client:
    """Asks hosts; an async context manager, for one event loop.

    Attributes:
        heard: when a host answered last, seconds of the monotonic clock.
    """

    def __init__(
        self,
        settings: Fetch,
        policy: AddressPolicy,
        agent: str,
        resolver: Resolver,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings, self._policy, self._resolver = settings, policy, resolver
        self._headers = {"User-Agent": agent, "Accept": _ACCEPT, "Accept-Encoding": "identity"}
        self._tls = tls or ssl.create_default_context()
        self.heard = time.monotonic()

    async def __aenter__(self) -> Client:
        """Open the session."""
        connector = aiohttp.TCPConnector(
            limit=0, ssl=self._tls, use_dns_cache=False, keepalive_timeout=_IDLE, socket_factory=self._socket
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,  # a proxy would look names up itself, and open what is refused here
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Close all connections."""
        await self._session.close()

    @asynccontextmanager
    async def get(self, target: Target, came_from: Place | None) -> AsyncIterator[Reply]:
        """Ask for a target; the connection is given back, or closed if the body was not read to its end.

        Args:
            target: what for.
            came_from: who redirected there; None for a link of the manifest.

        Raises:
            PictureError: there is no answer.
            OSError: this machine is at fault.
        """
        places = await self._places(target, came_from)
        with _explained(target):
            reply = await self._first(target, places)
            try:
                yield reply
            finally:
                reply.response.release()

    async def _places(self, target: Target, came_from: Place | None) -> list[Place]:
        """Where a target can be had, every place judged: one that may not be opened spoils all."""
        places = [Place(address, target.port) for address in await self._resolver.addresses(target)]
        if not all(self._policy.opens(place, came_from) for place in places):
            raise PictureError(RejectReason.ADDRESS, "the link leads to an address or port that nobody opened")
        return places[:_ATTEMPTS]

    async def _first(self, target: Target, places: list[Place]) -> Reply:
        """The answer of the first place that can be reached."""
        for place in places[:-1]:
            try:
                return await self._ask(target, place, _HURRY)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                if isinstance(error, OSError) and error.errno in _OURS:
                    raise
        return await self._ask(target, places[-1], None)

    async def _ask(self, target: Target, place: Place, patience: float | None) -> Reply:
        try:
            response = await self._session.get(
                target.url.with_host(str(place.address)),
                headers={"Host": target.netloc},
                server_hostname=target.host,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=patience),
            )
        except aiohttp.ClientSSLError:
            raise  # some of these are values' errors, too
        except (aiohttp.ClientResponseError, HttpProcessingError, ValueError) as error:
            raise PictureError(RejectReason.CONNECTION, f"{target.host} does not answer in HTTP") from error
        self.heard = time.monotonic()
        return Reply(place, response)

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Make a socket for an address: the last guard, whatever the client above it believes."""
        family, kind, protocol, _, (host, port, *_) = info
        if not self._policy.opens(Place(ip_address(host), port)):
            raise PictureError(RejectReason.ADDRESS, "the link leads to an address or port that nobody opened")
        return socket.socket(family=family, type=kind, proto=protocol)


@contextmanager
def _explained(target: Target) -> Iterator[None]:
    """Turn what the client says of a host's faults into the row's reason; what is this machine's fault goes on."""
    try:
        yield
    except aiohttp.ClientSSLError as error:
        raise PictureError(RejectReason.TLS, f"{target.host} has no certificate that can be trusted") from error
    except aiohttp.ClientPayloadError as error:
        raise MayPass(RejectReason.TRUNCATED, f"{target.host} ended the answer too early") from error
    except (aiohttp.ClientError, ConnectionError) as error:
        if isinstance(error, OSError) and error.errno in _OURS:
            raise OSError(error.errno, f"no connection can be opened here: {error.strerror}") from error
        if isinstance(error, aiohttp.ClientConnectorError):
            why = f"{target.host} cannot be reached: {error.strerror}"
            raise PictureError(RejectReason.CONNECTION, why) from error
        raise MayPass(RejectReason.CONNECTION, f"{target.host} broke the connection") from error
