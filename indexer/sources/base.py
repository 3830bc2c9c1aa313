"""What every source is: rows that say what a picture is, and the way from a row to its picture or to its vector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image

from explorer.errors import RejectReason
from explorer.pictures import Enough, opened
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


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a decoder makes of a file: RGB, upright, sRGB on white.

    Attributes:
        picture: as the models are to see it.
        thumbnail: for the screen; the build shrinks it. Often `picture` itself.
        size: width and height of the picture in the file, where `picture` and `thumbnail` have fewer pixels.
    """

    picture: Image.Image
    thumbnail: Image.Image
    size: tuple[int, int] | None = None


class Decoder(Protocol):
    """A function of a module, so that a worker process finds it by its name."""

    def __call__(self, data: bytes, enough: Enough | None = None, /) -> Decoded:
        """Decode a file; where fewer pixels are enough, it may give no more than those.

        Raises:
            explorer.errors.PictureError: it is no picture that is taken.
        """
        ...


def plain(data: bytes, enough: Enough | None = None, /) -> Decoded:
    """Decode a JPEG, PNG, WebP or GIF; see `explorer.pictures.opened`."""
    found = opened(data, enough)
    return Decoded(found.image, found.image, found.size)


class Source(Protocol):
    """A kind of corpus. Rows come in a fixed order; a row is cheap, its picture is not.

    A source may also have:
        columns_found: meaning -> name of the column that carries it, for the build to tell.
        thresholds: key of the manifest -> what rows were held to, likewise.
        rows_if(wanted): as `rows`, but for those whose key `wanted` refuses; where rows come by millions, most are
            never made.
    """

    @property
    def decoder(self) -> Decoder:
        """What makes a picture of the files."""
        ...

    def rows(self) -> Iterable[SourceRow | LeftOut]:
        """Every picture that the source can name, each under a key of its own."""
        ...

    def signature(self, row: SourceRow) -> str:
        """A short text that differs whenever the picture may differ: a file's size and times, a package's version."""
        ...

    def read(self, row: SourceRow) -> bytes:
        """The file of a row without a link, as it is; its sha256 stands in the record. Called from another thread.

        Raises:
            explorer.errors.PictureError: there is none.
        """
        ...


@runtime_checkable
class VectorSource(Protocol):
    """A corpus of ready-made vectors: nothing is decoded, and no model runs."""

    def rows(self) -> Iterable[SourceRow | LeftOut]:
        """See `Source`."""
        ...

    def signature(self, row: SourceRow) -> str:
        """A short text that differs whenever the vector may differ."""
        ...

    def describe(self) -> dict[str, dict[str, Any]]:
        """Space -> `reference`, `revision`, `fingerprint` and `dim` of the model that made the vectors."""
        ...

    def vectors(self, rows: Sequence[SourceRow]) -> npt.NDArray[np.float32]:
        """The vectors of rows, float32 (n, d), of any length."""
        ...

    def picture(self, row: SourceRow) -> bytes | None:
        """A picture's file for the screen, as it is, or None; the build decodes it as it decodes any stranger's."""
        ...
