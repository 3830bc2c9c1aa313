"""What the map draws: arrays, thumbnails, records; whatever an address names is looked up, never a path."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from explorer.errors import QueryError
from explorer.links import web_link
from explorer.records import Record, to_json
from explorer.safety import blurred
from webapp import queries
from webapp.api.access import FormatNamed, KnownSpace, PathId, QueryId, Served
from webapp.api.responses import A_DAY, IMMUTABLE, REVALIDATE, kept, not_found, packed
from webapp.arrays import MapArrays, Packed
from webapp.documents import dumps
from webapp.queries import Question
from webapp.site import Site

router = APIRouter(prefix="/api/v/{version}")

MOST_THUMBNAILS = 64
"""In one answer: what comes into view at once arrives at once, and no answer keeps the others waiting for long."""

_FRAME = struct.Struct("<qI")

ATLAS_ARRAYS: Mapping[str, Callable[..., Packed]] = {
    "ids": MapArrays.ids,
    "split": MapArrays.splits,
    "pictures": MapArrays.pictures,
}
SPACE_ARRAYS: Mapping[str, Callable[..., Packed]] = {
    "points": MapArrays.points,
    "cluster": MapArrays.clusters,
    "subcluster": MapArrays.subclusters,
    "overlap": MapArrays.overlap,
}


@router.get("/matches.bin")
def matches(request: Request, site: Served, named: FormatNamed, where: str) -> Response:
    """Which pictures meet conditions, one a line: uint8, 1 = all of them."""
    return packed(request, site.arrays.mask(queries.matching(site, where)), A_DAY if named else REVALIDATE)


@router.get("/thumbnails.bin")
def thumbnails(request: Request, site: Served, ids: str) -> Response:
    """Several pictures at once: of each its int64 id, a uint32 length and that many bytes of WebP; 0 = none here."""
    asked = queries.listed(ids, MOST_THUMBNAILS).tolist()
    frames = (_FRAME.pack(identity, len(found)) + found for identity in asked for found in (_shown(site, identity),))
    return kept(request, b"".join(frames), "application/octet-stream", A_DAY)


@router.get("/{array}.bin")
def atlas_array(request: Request, site: Served, named: FormatNamed, array: str, planes: bool = False) -> Response:
    """An array of the whole atlas: int64 ids, uint8 splits (0 train, 1 heldout), or uint8 pictures (1 has one).

    With `planes` its bytes are sorted by their worth, here and for the arrays of a space: see `arrays.pack`. Only an
    address that names the arrays' format holds for ever: another release may send the rows in another order.
    """
    if array not in ATLAS_ARRAYS:
        raise not_found("this array")
    return packed(request, ATLAS_ARRAYS[array](site.arrays, planes=planes), IMMUTABLE if named else REVALIDATE)


@router.get("/{space}/similarity.bin")
def similarity(
    request: Request,
    site: Served,
    space: KnownSpace,
    named: FormatNamed,
    text: str | None = None,
    id: QueryId = None,  # noqa: A002 - the address's word
    job: str | None = None,
    upload: str | None = None,
    axis: str | None = None,
) -> Response:
    """The cosine of every picture to words, to one of the atlas, to one of a job's or a visitor's, or to an axis.

    An axis is given by its two ends, one a line: pictures rise from the first to the second.
    """
    vector = queries.vector(site, space, Question(text, id, job, upload, axis))
    if vector is None:
        raise not_found("this picture")
    return packed(request, site.arrays.similarity(space, vector), A_DAY if named else REVALIDATE)


@router.get("/{space}/{array}.bin")
def space_array(
    request: Request, site: Served, space: KnownSpace, named: FormatNamed, array: str, planes: bool = False
) -> Response:
    """An array of one space: int16 points, int32 clusters, coarse or fine, or uint8 overlap with the space."""
    if array not in SPACE_ARRAYS:
        raise not_found("this array")
    found = SPACE_ARRAYS[array](site.arrays, space, planes=planes)
    return packed(request, found, IMMUTABLE if named else REVALIDATE)


@router.get("/thumbnail/{id}.webp")
def thumbnail(
    request: Request,
    site: Served,
    id: PathId,  # noqa: A002 - the address's word
    reveal: bool = False,
) -> Response:
    """A picture, at most 256 pixels; blurred if it is flagged as unsafe, until somebody asks to see it."""
    try:
        found = _thumbnail(site, id, reveal)
    except QueryError as error:
        raise not_found(f"picture {id}") from error
    return kept(request, found, "image/webp", A_DAY)


def _thumbnail(site: Site, identity: int, reveal: bool = False) -> bytes:
    """A picture as it may be sent; raises as `Atlas.thumbnail` does."""
    found = site.atlas.thumbnail(identity)
    return blurred(found) if site.atlas.flagged[site.atlas.row(identity)] and not reveal else found


def _shown(site: Site, identity: int) -> bytes:
    """A picture as it may be sent; empty where it is not here, not any more, or was never kept."""
    try:
        return _thumbnail(site, identity)
    except QueryError:
        return b""


@router.get("/record/{id}.json")
def record(request: Request, site: Served, id: PathId) -> Response:  # noqa: A002 - the address's word
    """What is known of a picture, and where it stands."""
    try:
        found = card(site, site.atlas.record(id))
    except QueryError as error:
        raise not_found(f"picture {id}") from error
    return kept(request, dumps(found).encode(), "application/json", REVALIDATE)


def card(site: Site, record: Record) -> dict[str, Any]:
    """All that a hover or a card shows of a picture, as a JSON object; links that are not http or https are null."""
    links = {name: web_link(getattr(record, name)) for name in ("image_url", "page_url", "licence_url")}
    row, version = site.atlas.row(record.id), site.atlas.version
    return {
        **to_json(record),
        **links,
        "caption": record.caption,
        "flagged": bool(site.atlas.flagged[row]),
        "thumbnail": f"/api/v/{version}/thumbnail/{record.id}.webp" if site.atlas.has_thumbnail(record.id) else None,
        "spaces": {space: _place(site, space, row) for space in site.atlas.spaces},
    }


def _place(site: Site, space: str, row: int) -> dict[str, Any]:
    """Where a picture stands on one map, and how many of its 15 neighbors are near it there; null where unknown."""
    data = site.atlas.space(space)
    cluster = int(data.cluster[row])
    labels = {found.cluster: found.label for found in site.atlas.clusters(space)}
    return {
        "point": data.points[row].tolist(),
        "cluster": cluster if cluster >= 0 else None,
        "label": labels.get(cluster),
        "overlap": data.kept(row),
    }
