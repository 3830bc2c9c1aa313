"""What every source is: rows that say what a picture is, and the way from a row to its picture or to its vector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from PIL import Image

from explorer.errors import RejectReason
from explorer.records import Split


@dataclass(frozen=True, slots=True)
class Link:
    """Where a row's picture has to be fetched from.

    Attributes:
        url: as the source has it, be it what it may; the fetcher judges it.
        digest: what the bytes must hash to, hex, or None where nobody knows.
        algorithm: of `digest`: md5, sha1 or sha256.
    """

    url: str
    digest: str | None = None
    algorithm: str = "sha256"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row cannot become a picture, known before anybody looks for it."""

    reason: RejectReason
    detail: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows that the manifest's own rules leave out; they are counted in the outcomes, and not listed."""

    reason: RejectReason
    count: int = 1


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One picture as its source describes it; `None` means unknown, captions and tags are by language.

    Attributes:
        link: set where the picture has to be fetched; then `Source.read` is not asked.
        fault: set where the row is rejected as it stands.
    """

    key: str
    split: Split = Split.TRAIN
    family: str | None = None
    captions: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    group: str | None = None
    image_url: str | None = None
    page_url: str | None = None
    author: str | None = None
    licence: str | None = None
    licence_url: str | None = None
    aesthetic: float | None = None
    punsafe: float | None = None
    pwatermark: float | None = None
    extra: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    link: Link | None = None
    fault: Fault | None = None


class Source(Protocol):
    """A kind of corpus. Rows come in a fixed order; a row is cheap, its picture is not.

    `read`, `decode` and `thumbnail` are called from several threads at once.
    """

    def rows(self) -> Iterable[SourceRow]:
        """Every picture that the source can name."""
        ...

    def signature(self, row: SourceRow) -> str:
        """A short text that differs whenever the picture may differ: a file's size and times, a package's version."""
        ...

    def read(self, row: SourceRow) -> bytes:
        """The picture's file, as it is; its sha256 stands in the record.

        Raises:
            explorer.errors.PictureError: there is none.
        """
        ...

    def decode(self, row: SourceRow, data: bytes) -> Image.Image:
        """The picture as the models are to see it: RGB, upright, on white.

        Raises:
            explorer.errors.PictureError: `data` is not a picture.
        """
        ...

    def thumbnail(self, row: SourceRow, data: bytes, picture: Image.Image) -> Image.Image:
        """The picture for the screen, out of the file or out of what was decoded; the build shrinks it to 256 px."""
        ...
