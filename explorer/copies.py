"""Training pictures that a picture is a copy of: saved again, scaled, recolored, flipped, cropped, framed.

Perceptual hashes find candidates in the whole corpus; the spaces' nearest join them, since a model sees through a crop
that changes every hash. A candidate is a copy where the picture and its thumbnail, laid over each other, agree; where
no thumbnail can be seen the hashes alone decide, more strictly. docs/validation.md has the recall and the false alarms.
"""

from __future__ import annotations

import heapq
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

from explorer.atlas import Atlas
from explorer.errors import VersionGone
from explorer.fingerprints import BITS, Hashes, Question, View, distances, fingerprints, near, questions
from explorer.framing import WHOLE, Box, content, extent
from explorer.landing import Flag, How, Match
from explorer.pictures import open_picture
from explorer.records import Space, Split
from explorer.registration import Overlap, Sheet, register

REACH = 14
"""Hashes that differ in more bits are not looked at; of 1,000,000 unrelated pictures some ten come so near."""
CLOSE = 4
"""Bits that hashes may differ in where no thumbnail was kept."""
AGREEMENT = 0.97
WORST = 0.35
COLOR = 0.4
"""The sine of 24 degrees on the color circle."""
SURE = 0.1
"""A copy that agrees so well in its worst cell ends the search."""
CANDIDATES = 6
"""Pictures that are laid over each other; each takes one to three milliseconds."""
SSCD_REPLICATION = 0.5
"""Somepalli 2022 (arXiv 2212.03860) call a generated picture a replication above it."""
SSCD_COPY = 0.75
"""With sscd_disc_mixup 90 % of the pairs of DISC above it are copies (Pizzi 2022, arXiv 2202.10261)."""

RULE = (
    f"laid over each other, the one's colors explain the other's greys (correlation at least {AGREEMENT}), what is "
    f"left is in none of 8 x 8 cells more than {WORST} of the contrast, and of the color at most {COLOR} is another"
)
LIMITS = (
    "Found are copies of a whole picture: saved again, scaled, recolored, flipped, cropped by up to about a fifth of "
    "each side, or framed. Not found are turned copies, parts of a picture in another one, drawings after it, and "
    "copies of pictures that are not in this collection. Drawings that look alike by design count as copies."
)
_UNKNOWN = 12
"""Rows whose thumbnails are hashed for one question, where an earlier program left no hashes."""
_SEEN = 4
"""Bits by which a row is looked at earlier where one of the spaces names it: many plain drawings share a hash."""
_FIRST = 2
"""The nearest of two spaces, which are looked at in any case: of some drawings the smallest change turns the hash."""
_CROPPED = 0.95
"""What shows less of an original's area is a crop."""
_FRAME = 0.02
"""What reaches farther beyond an original's edge, in shares of its side, is a frame."""

Rows = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Laid:
    """A picture of the atlas that was laid over another.

    Attributes:
        bits: of 64, in which the hashes differ by the question that came nearest.
        overlap: how the two agree; None where no thumbnail was kept.
    """

    id: int
    bits: int
    question: Question
    overlap: Overlap | None


@dataclass(frozen=True, slots=True, order=True)
class _Candidate:
    """A row, the question whose hash came nearest to one of its own, and the bits between the two.

    Attributes:
        order: the bits, less what it counts that a space names the row as well.
    """

    order: int
    row: int
    bits: int
    question: int


def find(
    atlas: Atlas,
    picture: Image.Image,
    rows: Rows,
    *,
    split: Split | None = Split.TRAIN,
    exclude_family: int | None = None,
) -> tuple[Match, ...]:
    """The pictures of an atlas that a picture is a copy of, those that agree best first.

    Args:
        atlas: the atlas.
        picture: RGB, of any size.
        rows: the nearest by the spaces, nearest first; where the atlas has no hashes, only these are looked at.
        split: of the pictures; None = both.
        exclude_family: a code of `atlas.families` whose pictures are left out.
    """
    laid = laid_over(atlas, picture, rows, split=split, exclude_family=exclude_family)
    found = [match for each in laid if (match := _match(each))]
    return tuple(sorted(found, key=lambda match: (-(match.score or 0.0), match.bits)))


def laid_over(
    atlas: Atlas,
    picture: Image.Image,
    rows: Rows,
    *,
    split: Split | None = Split.TRAIN,
    exclude_family: int | None = None,
) -> Iterator[Laid]:
    """The candidates of `find`, for the same arguments, the nearest by hash first, with how they agree."""
    asked = questions(picture)
    allowed = atlas.allowed(split)
    if exclude_family is not None:
        allowed = allowed & (atlas.families != exclude_family)
    pile = _Pile(atlas, Sheet.of(picture))
    rows = rows[allowed[rows]]
    for each in _chosen([*_near(atlas, asked, allowed), *_among(atlas, asked, rows)], rows[:_FIRST]):
        laid = pile.laid(each, asked[each.question])
        yield laid
        if laid.overlap is not None and is_copy(laid.overlap) and laid.overlap.worst <= SURE:
            return


def flag(space: str, similarity: float) -> Flag | None:
    """What the published thresholds say of a similarity to the nearest; None in every space but `sscd`."""
    if space != Space.SSCD or similarity <= SSCD_REPLICATION:
        return None
    return Flag.COPY if similarity >= SSCD_COPY else Flag.REPLICATION


def is_copy(overlap: Overlap) -> bool:
    """The rule for two pictures that were laid over each other, see `RULE`."""
    return overlap.correlation >= AGREEMENT and overlap.worst <= WORST and overlap.color <= COLOR


@dataclass(frozen=True)
class _Pile:
    """A picture, and the atlas whose thumbnails it is laid over."""

    atlas: Atlas
    sheet: Sheet

    @cached_property
    def flipped(self) -> Sheet:
        """The picture with left and right exchanged."""
        return self.sheet.flipped()

    def laid(self, candidate: _Candidate, question: Question) -> Laid:
        """The picture over one of the thumbnails, from the guess that a question stands for."""
        identity = int(self.atlas.ids[candidate.row])
        thumbnail = _thumbnail(self.atlas, identity)
        if thumbnail is None:
            return Laid(identity, candidate.bits, question, None)
        original = Sheet.of(thumbnail)
        start = question.start or content(original.colors) or WHOLE
        seen, part = (self.flipped, question.part.flipped()) if question.flipped else (self.sheet, question.part)
        return Laid(identity, candidate.bits, question, register(seen, part, original, start))


def _chosen(candidates: Iterable[_Candidate], first: Rows) -> list[_Candidate]:
    """Each row once, by the question that comes nearest: the nearest of all, and in any case some rows."""
    best: dict[int, _Candidate] = {}
    for each in sorted(candidates):
        best.setdefault(each.row, each)
    always = frozenset(first.tolist())
    return sorted(heapq.nsmallest(CANDIDATES, best.values(), key=lambda each: (each.row not in always, each)))


def _near(atlas: Atlas, asked: tuple[Question, ...], allowed: npt.NDArray[np.bool_]) -> Iterator[_Candidate]:
    """The rows of the whole corpus whose hashes come near, those of each question that come nearest."""
    if atlas.hashes is None:
        return
    for number, found in enumerate(near(atlas.hashes, asked, REACH)):
        is_allowed = allowed[found.rows]
        rows, bits = found.rows[is_allowed], found.bits[is_allowed]
        nearest = np.argsort(bits, kind="stable")[:CANDIDATES]
        for row, least in zip(rows[nearest].tolist(), bits[nearest].tolist(), strict=True):
            yield _Candidate(least, row, least, number)


def _among(atlas: Atlas, asked: tuple[Question, ...], rows: Rows) -> Iterator[_Candidate]:
    """Some rows by the question that comes nearest, however far that is."""
    rows = np.array(list(dict.fromkeys(rows.tolist())), np.int64)
    if not len(asked) or not len(rows):
        return
    known = _hashes(atlas, rows)
    bits = np.stack([distances(known[:, question.view], question.bits) for question in asked], axis=1)
    found = zip(rows.tolist(), bits.argmin(axis=1).tolist(), bits.min(axis=1).tolist(), strict=True)
    for row, number, least in found:
        if least < BITS:
            yield _Candidate(least - _SEEN, row, least, number)


def _hashes(atlas: Atlas, rows: Rows) -> Hashes:
    """What some rows are known again by, uint64 (m, 3); the first ones that the atlas does not know, by thumbnail."""
    unknown = np.zeros((len(rows), len(View)), np.uint64)
    known = unknown if atlas.hashes is None else np.array(atlas.hashes[rows])
    for place in np.flatnonzero(~known.any(axis=1))[:_UNKNOWN]:
        thumbnail = _thumbnail(atlas, int(atlas.ids[rows[place]]))
        if thumbnail is not None:
            known[place] = fingerprints(thumbnail)
    return known


def _match(laid: Laid) -> Match | None:
    """What a candidate is, or None where it is no copy."""
    flipped = laid.question.flipped
    if laid.overlap is None:
        guess = extent(laid.question.part, laid.question.start or laid.question.part)
        return Match(laid.id, laid.bits, _how(guess, flipped=flipped), None) if laid.bits <= CLOSE else None
    if not is_copy(laid.overlap):
        return None
    return Match(laid.id, laid.bits, _how(laid.overlap.extent, flipped=flipped), laid.overlap.correlation)


def _how(edges: Box, *, flipped: bool) -> How:
    """How a copy was made, by where its own edges lie in the original."""
    beyond = max(-edges.left, -edges.top, edges.right - 1, edges.bottom - 1)
    if beyond > _FRAME:
        return How.FRAMED_FLIPPED if flipped else How.FRAMED
    if edges.width * edges.height < _CROPPED:
        return How.CROPPED_FLIPPED if flipped else How.CROPPED
    return How.FLIPPED if flipped else How.WHOLE


def _thumbnail(atlas: Atlas, identity: int) -> Image.Image | None:
    """A picture of the atlas, RGB; None where none was kept, or where it was removed.

    A takedown removes versions beneath a server that has one open.
    """
    if not atlas.has_thumbnail(identity):
        return None
    try:
        return open_picture(io.BytesIO(atlas.thumbnail(identity)))
    except VersionGone:
        return None
