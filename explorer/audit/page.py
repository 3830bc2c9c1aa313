"""An audit as a page that stands alone and prints: what leads first, each figure with its k and its sizes.

What it shows of the corpus is looked up now, so that a picture that was taken down meanwhile is not in it, and one that
is flagged as unsafe is blurred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from explorer import paper
from explorer.atlas import Atlas
from explorer.errors import QueryError
from explorer.records import Record, Relation
from explorer.safety import blurred

PROMPTS = 40
"""Of the ranking, with pictures; the tables have all."""
CLUSTERS = 12
"""Of a space, those that differ most from what is expected."""


class Pictures(Protocol):
    """The thumbnails of an audit's pictures, WebP, by row."""

    def get(self, row: int) -> bytes | None:
        """One of them; None where it may not be shown."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """The training picture that a picture of an audit comes nearest to; `picture` is None where none may be shown."""

    record: Record
    picture: bytes | None
    similarity: float
    percentile: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A prompt as the page shows it: its nearest picture by space, and what that is near to.

    Attributes:
        entry: of the ranking.
        pictures: space -> the picture, None where it may not be shown; a space whose picture is that of the space
            before has none of its own.
        near: space -> its neighbor.
    """

    entry: Mapping[str, Any]
    pictures: Mapping[str, bytes | None]
    near: Mapping[str, Near]


def page(atlas: Atlas, told: Mapping[str, Any], pictures: Pictures) -> str:
    """The page of an audit's document."""
    shown = [_shown(atlas, entry, pictures) for entry in told["ranking"][:PROMPTS]]
    return paper.render(
        "audit.html",
        audit=told,
        shown=shown,
        many="training pictures" if Relation(told["relation"]).is_training else "pictures in this collection",
        clusters={space: _unlike(each["clusters"]) for space, each in told["spaces"].items()},
    )


def _unlike(clusters: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The clusters that are drawn more or less often than expected, with certainty; else those that differ most."""
    sure = [each for each in clusters if each["drawn"] != "alike"]
    return (sure or list(clusters))[:CLUSTERS]


def _shown(atlas: Atlas, entry: Mapping[str, Any], pictures: Pictures) -> Shown:
    rows = {space: entry["rows"][0] if told["row"] is None else told["row"] for space, told in entry["spaces"].items()}
    before = [None, *rows.values()]
    own = {space: pictures.get(row) for (space, row), last in zip(rows.items(), before, strict=False) if row != last}
    near = {space: _near(atlas, space, told) for space, told in entry["spaces"].items()}
    return Shown(entry, own, {space: each for space, each in near.items() if each})


def _near(atlas: Atlas, space: str, told: Mapping[str, Any]) -> Near | None:
    """The neighbor in one space; None where it was taken down meanwhile."""
    identity = told["nearest"].get(space)
    try:
        record = atlas.record(identity) if identity is not None else None
    except QueryError:
        return None
    if record is None:
        return None
    picture = atlas.thumbnail(record.id) if atlas.has_thumbnail(record.id) else None
    if picture is not None and atlas.flagged[atlas.row(record.id)]:
        picture = blurred(picture)
    return Near(record, picture, told["similarity"], told["percentile"])
