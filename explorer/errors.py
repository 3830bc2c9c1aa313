"""What can go wrong, as a tree.

``ExplorerError``: the input or the atlas is at fault; the command line prints its one line and exits with 1.

- ``ManifestError``: a manifest's file, key or value is not what its schema allows.
- ``AtlasError``: an atlas is missing, damaged, or of a schema that this version cannot read.
  - ``VersionGone``: a version that is open was removed, by a build or a takedown.
- ``QueryError``: a question that this atlas cannot answer (an unknown id, words in a space without words).
- ``ModelError``: a model reference names nothing that can be loaded here.
- ``PictureError``: one picture cannot be read; it carries a `RejectReason`.
- ``BuildError``: a build cannot start, go on, or be published.
- ``QueueFull``: the generator has as many jobs waiting as it may hold.

``UsageError``: the command's words do not fit together; exit code 2.

``Cancelled``: the visitor stopped the work; not a fault.

A message says what was found, what was expected, and what to do, in one line.
"""

from __future__ import annotations

from enum import StrEnum


class RejectReason(StrEnum):
    """Why a row of the corpus is not in the atlas; the closed list behind `outcomes`."""

    # the manifest's rules and the duty of care: nothing was fetched
    FILTERED = "filtered"
    """A filter of the manifest leaves it out."""
    UNSAFE = "unsafe"
    """Its punsafe is over the line, or nobody knows it."""
    WITHDRAWN = "withdrawn"
    """It is not in the list that the corpus is to be intersected with."""
    BLOCKED = "blocked"
    """The blocklist names its link or its bytes."""
    DENIED = "denied"
    """It was taken down from this atlas."""
    BAD_ROW = "bad-row"
    """Its columns hold nothing that can be used."""

    # the way to the picture
    SCHEME = "scheme"
    """The link is neither http nor https."""
    ADDRESS = "address"
    """The link leads to an address or port that nobody opened."""
    ROBOTS = "robots"
    """robots.txt asks to stay away."""
    OPTED_OUT = "opted-out"
    """X-Robots-Tag asks not to be used."""
    DNS = "dns"
    CONNECTION = "connection"
    TLS = "tls"
    TIMEOUT = "timeout"
    REDIRECTS = "redirects"
    STATUS = "status"
    """The server answered, with no picture."""
    ENCODED = "encoded"
    """The body is compressed, though plain was asked for."""
    MISMATCH = "mismatch"
    """The bytes are not those whose hash the row gives."""
    MISSING = "missing"
    DAMAGED = "damaged"
    """The shard that holds it cannot be read there."""

    # the picture
    EMPTY = "empty"
    NOT_A_PICTURE = "not-a-picture"
    TRUNCATED = "truncated"
    TOO_SMALL = "too-small"
    TOO_LARGE = "too-large"
    ASPECT = "aspect"
    DECODER = "decoder"
    """The decoder died, ran too long, or asked for too much memory."""

    # the vector
    MEMORY = "memory"
    """The model has no room even for this picture alone."""
    NOT_FINITE = "not-finite"


class ExplorerError(Exception):
    """The input or the atlas is at fault; the message is one line with the way on."""


class ManifestError(ExplorerError):
    """A manifest's file, key or value is not what its schema allows."""


class AtlasError(ExplorerError):
    """An atlas is missing, damaged, or of a schema that this version cannot read."""


class VersionGone(AtlasError):
    """A version that is open was removed, by a build or a takedown; what was read of it before still holds."""


class QueryError(ExplorerError):
    """A question that this atlas cannot answer."""


class ModelError(ExplorerError):
    """A model reference names nothing that can be loaded here."""


class PictureError(ExplorerError):
    """One picture cannot be read.

    Attributes:
        reason: the closed word for it, counted in the atlas's outcomes.
    """

    def __init__(self, reason: RejectReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[PictureError], tuple[RejectReason, str]]:
        return type(self), (self.reason, str(self))


class BuildError(ExplorerError):
    """A build cannot start, go on, or be published."""


class QueueFull(ExplorerError):
    """The generator has as many jobs waiting as it may hold."""


class UsageError(Exception):
    """The command's words do not fit together; the command line exits with 2."""


class Cancelled(Exception):  # noqa: N818 - not an error: the visitor's own choice
    """The visitor stopped the work."""
