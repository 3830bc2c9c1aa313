"""Fetches the pictures of a corpus, shard by shard, ahead of whoever reads them.

The pictures wait on the disk, in a file for each shard, until the shard is encoded; a build that was killed finds them
there and asks for the rest alone.
"""

from __future__ import annotations

import gc
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path

from explorer.errors import RejectReason
from explorer.manifest import Fetch
from indexer.fetch.addresses import AddressPolicy
from indexer.fetch.ahead import Ahead, Arrived, RunAhead
from indexer.fetch.client import Client, user_agent
from indexer.fetch.journey import Refused
from indexer.fetch.parts import FetchedShard, FetchPart
from indexer.fetch.resolver import Lookup, Resolver

_COLLECT_AFTER = 50_000
"""New objects, beyond those that have gone, after which Python looks for cycles among them; its own default is 700."""


def nothing(link: str) -> RejectReason | None:
    """Refuse no link."""
    del link
    return None


def ignore(data: bytes, again: Callable[[], bytes]) -> None:
    """Do nothing with a file."""
    del data, again


class Fetcher:
    """The way of a build to the network; a context manager, whose end stops what still runs."""

    def __init__(
        self,
        settings: Fetch,
        policy: AddressPolicy,
        folder: Path,
        *,
        refused: Refused = nothing,
        arrived: Arrived = ignore,
        ahead: Ahead | None = None,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Take the settings; nothing is opened yet.

        Args:
            settings: of the manifest.
            policy: which addresses may be opened.
            folder: for what is fetched and not yet encoded; nothing else may lie there.
            refused: asked about every link before it is opened, those of redirects too.
            arrived: told of every picture's file once it is on the disk, unless it is another one than its rows say,
                and what reads it again while its shard is not discarded, in the thread that fetches.
            ahead: how far to run ahead.
            lookup: how a name becomes addresses; by default as the operating system has it.
            tls: whom to trust; by default whom the operating system trusts.

        Raises:
            ManifestError: nobody says who fetches.
        """
        self._settings, self._policy, self._folder = settings, policy, folder
        self._agent = user_agent(settings, _version())
        self._refused, self._arrived = refused, arrived
        self._ahead, self._lookup, self._tls = ahead or Ahead(), lookup, tls
        self._runs: list[RunAhead] = []
        self._open = ExitStack()

    def __enter__(self) -> Fetcher:
        """Nothing is opened yet."""
        self._open.enter_context(_collecting_rarely())
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop; what is fetched stays on the disk."""
        with self._open:
            for run in self._runs:
                run.stop()

    def shards(self, parts: Sequence[FetchPart]) -> Iterator[FetchedShard]:
        """Yield each shard, in order, as soon as the outcome of all its rows is known.

        Raises:
            OSError: this machine has no room for another file or connection.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        expected = {part.spool(self._folder) for part in parts}
        for left in self._folder.glob("*.spool"):
            if left not in expected:
                left.unlink()
        if not parts:
            return
        client = Client(self._settings, self._policy, self._agent, Resolver(self._lookup), self._tls)
        run = RunAhead(parts, self._settings, client, self._refused, self._arrived, self._folder, self._ahead)
        self._runs.append(run)
        run.start()
        try:
            for number in range(len(parts)):
                yield run.take(number)
        finally:
            run.stop()


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Let Python look for cycles of garbage less often, in the whole process, for as long as this lasts.

    Thousands of requests on their way are many objects that live; to go through them again and again took a fifth of
    the processor time of fetching.
    """
    usual = gc.get_threshold()
    if usual[0]:  # else it is switched off
        gc.set_threshold(max(usual[0], _COLLECT_AFTER), *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _version() -> str:
    try:
        return metadata.version("latent-explorer")
    except metadata.PackageNotFoundError:
        return "0"
