"""Exports: the rows of a cluster, of a search, of ids, of conditions or of a selection, as a file to save."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated

import numpy as np
import numpy.typing as npt
from anyio import to_thread
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response, StreamingResponse

from explorer import export as exporter
from explorer import search
from explorer.errors import QueryError
from explorer.records import Split
from webapp import queries
from webapp.api.access import FormatNamed, KnownSpace, Served
from webapp.api.responses import not_found
from webapp.api.search import HowMany, SplitOrAll, splits
from webapp.site import Site

MASK_TYPE = "application/octet-stream"
"""What a selection calls itself; no form of another site can send it."""

ROWS, LEFT_OUT = "X-Rows", "X-Left-Out"
"""Headers: how many rows a file will hold, and how many of those asked for are flagged or were taken down."""

router = APIRouter(prefix="/api/v/{version}")


class Format(StrEnum):
    """What a browser can save rows as."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        """What the answer says it is."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSONL: "application/x-ndjson",
    Format.PARQUET: "application/vnd.apache.parquet",
}


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Rows to export: their ids, int64 (n,), what to call them, and how many more were asked for but taken down."""

    ids: npt.NDArray[np.int64]
    name: str
    gone: int = 0


@router.get("/export")
def export(
    site: Served,
    space: KnownSpace,
    format: Format = Format.CSV,  # noqa: A002 - the address's word
    cluster: Annotated[int | None, Query(ge=0)] = None,
    level: Annotated[int | None, Query(ge=0, le=1)] = None,
    text: str | None = None,
    k: HowMany = 12,
    split: SplitOrAll = Split.TRAIN,
    ids: str | None = None,
    where: str | None = None,
) -> Response:
    """The rows of a cluster, of a search by words, of some ids or of some conditions, as a file to save."""
    given = (("cluster", cluster), ("text", text), ("ids", ids), ("where", where))
    named = [name for name, value in given if value is not None]
    if len(named) != 1:
        found = " and ".join(named) or "nothing"
        raise QueryError(f"found {found} to export; expected exactly one of cluster, text, ids and where")
    if level is not None and cluster is None:
        raise QueryError(f"found level {level} without a cluster; name the cluster too, or leave the level out")
    if where is not None:
        chosen = Selection(site.atlas.ids[queries.matching(site, where)], "filtered")
    elif cluster is not None:
        chosen = _cluster(site, space, cluster, level or 0)
    elif text is not None:
        hits = search.search_text(site.atlas, site.models, text, k, splits(split))
        chosen = Selection(np.array([hit.id for hit in hits], dtype=np.int64), f"search-{text}")
    else:
        chosen = _listed(site, ids or "")
    return _file(site, chosen, format, space)


def _cluster(site: Site, space: str, cluster: int, level: int) -> Selection:
    members = (site.atlas.space(space).clusters(level) == cluster) & site.atlas.allowed(None)
    if not members.any():
        raise not_found(f"cluster {cluster}")
    labels = {found.cluster: found.label for found in site.atlas.clusters(space, level)}
    name = "subcluster" if level else "cluster"
    return Selection(site.atlas.ids[members], f"{name}-{cluster}-{labels.get(cluster, '')}")


def _listed(site: Site, ids: str) -> Selection:
    """Ids out of ``1,2,3``; those that were taken down, or never were, are left out."""
    wanted = queries.listed(ids)
    present = site.atlas.ids[site.atlas.allowed(None)]
    found = list(dict.fromkeys(wanted[np.isin(wanted, present)].tolist()))
    return Selection(np.array(found, dtype=np.int64), "selection")


def mask_bytes(count: int) -> int:
    """How long a mask over `count` pictures is."""
    return -(-count // 8)


def addresses(version: str) -> list[str]:
    """Where a version's selections are posted."""
    return [f"/api/v/{version}/selection.{format.value}" for format in Format]


@router.post("/selection.{format}")
async def selection(
    request: Request,
    site: Served,
    space: KnownSpace,
    _: FormatNamed,
    format: Format,  # noqa: A002
) -> Response:
    """The pictures of a mask as a file to save.

    The body is a bit a picture in the map's order, that of `ids.bin`: bit i % 8, the lowest first, of byte i // 8. An
    address that names another format of the arrays is refused: its order is another one.
    """
    if request.headers.get("content-type", "").strip().lower() != MASK_TYPE:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"expected Content-Type: {MASK_TYPE}")
    mask = await request.body()
    chosen = await to_thread.run_sync(_masked, site, mask)
    return await to_thread.run_sync(_file, site, chosen, format, space)


def _masked(site: Site, mask: bytes) -> Selection:
    count = len(site.atlas)
    expected = mask_bytes(count)
    if len(mask) != expected:
        raise QueryError(f"found a mask of {len(mask):,} bytes; expected {expected:,}, a bit for each of {count:,}")
    bits = np.unpackbits(np.frombuffer(mask, np.uint8), bitorder="little").astype(np.bool_)
    if bits[count:].any():
        raise QueryError(f"found bits beyond the last of {count:,} pictures; expected zeros there")
    asked = site.arrays.rows(bits[:count])
    chosen = asked & site.atlas.allowed(None)
    if not chosen.any():
        raise QueryError("found no picture in the selection; select some, then export them")
    return Selection(site.atlas.ids[chosen], "selection", int(asked.sum() - chosen.sum()))


def _file(site: Site, chosen: Selection, format: Format, space: str) -> Response:  # noqa: A002
    """Send the rows while they are read."""
    made = exporter.stream(site.atlas, chosen.ids, format.value, space=space)
    file = f"{plain_name(site.atlas.manifest.name)}-{plain_name(chosen.name)}.{format.value}"
    headers = {"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "no-store"}
    headers |= {ROWS: str(made.rows), LEFT_OUT: str(made.flagged + chosen.gone)}
    return StreamingResponse(made.pieces, headers=headers, media_type=format.media_type)


def plain_name(text: str) -> str:
    """A part of a file name that every system takes: small ASCII letters, digits and dashes, at most 60."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text)[:60].strip("-") or "atlas"
