"""The document as a page that stands alone: pictures in it, nothing loaded, nothing run, good to print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from PIL import Image

from explorer import paper
from explorer.atlas import Atlas
from explorer.errors import QueryError, VersionGone
from explorer.pictures import thumbnail_webp
from explorer.safety import blurred

TEMPLATE = "report.html"
SIDE = 512
"""Longest side of the picture itself, pixels."""
SHOWN_STEPS = 8
CURVES = {
    "similarity": "Similarity to the nearest, by step",
    "percentile": "Percentile of that similarity, by step",
    "entropy": "How its 50 nearest spread over the clusters, in bits, by step",
}
"""Key of a step -> the title of its curve."""

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of a report, WebP or PNG.

    Attributes:
        picture: that the report is about.
        thumbnails: id -> a neighbor's, blurred where it is flagged; of some there is none.
        steps: number (1-based) -> what the picture was after that step.
    """

    picture: bytes
    thumbnails: Mapping[int, bytes]
    steps: Mapping[int, bytes] = field(default_factory=dict)


def render(document: Document, pictures: Pictures) -> str:
    """A report as HTML.

    Args:
        document: as `explorer.report.document` makes it; without what was taken down since.
        pictures: those that it shows.
    """
    return paper.render(
        TEMPLATE,
        report=document,
        picture=pictures.picture,
        thumbnails=pictures.thumbnails,
        steps=[(step["step"], pictures.steps.get(step["step"])) for step in shown_steps(document)],
        curves=curves(document),
    )


def curves(document: Document) -> Mapping[str, Mapping[str, Sequence[float | None]]]:
    """What changes along the way: title -> space -> a value a step; only what is known of any step."""
    spaces, way = document["landing"]["spaces"], document["trajectory"]
    found = {
        title: {space: [step.get(key, {}).get(space) for step in way] for space in spaces}
        for key, title in CURVES.items()
    }
    return {
        title: series for title, series in found.items() if any(each is not None for each in chain(*series.values()))
    }


def gathered(atlas: Atlas, document: Document, picture: Image.Image, previews: Mapping[int, bytes]) -> Pictures:
    """The pictures that a report shows, out of the atlas as it is now.

    Args:
        atlas: whose thumbnails are shown; a picture that was taken down has none.
        document: the report.
        picture: that it is about.
        previews: number (1-based) -> the picture after that step.
    """
    shown = {step["step"] for step in shown_steps(document)}
    thumbnails = {identity: found for identity in _named(document) if (found := _thumbnail(atlas, identity))}
    steps = {number: each for number, each in previews.items() if number in shown}
    return Pictures(thumbnail_webp(picture, SIDE), thumbnails, steps)


def shown_steps(document: Document) -> Sequence[Document]:
    """Some steps of the way, evenly apart, the first and the last among them."""
    way: Sequence[Document] = document["trajectory"]
    if len(way) <= SHOWN_STEPS:
        return way
    return [way[round(at * (len(way) - 1) / (SHOWN_STEPS - 1))] for at in range(SHOWN_STEPS)]


def _named(document: Document) -> Iterator[int]:
    """Every picture of the corpus that the page shows."""
    for space in document["landing"]["spaces"].values():
        yield from (hit["id"] for hit in space["hits"])
    yield from (caption["id"] for caption in (document["prompt"] or {"captions": ()})["captions"])


def _thumbnail(atlas: Atlas, identity: int) -> bytes | None:
    try:
        row = atlas.row(identity)
    except QueryError:  # it was taken down after the picture had landed
        return None
    if not atlas.has_thumbnail(identity):
        return None
    try:
        thumbnail = atlas.thumbnail(identity)
    except VersionGone:  # its version was removed beneath a server that has it open
        return None
    return blurred(thumbnail) if atlas.flagged[row] else thumbnail
