"""Exports: the rows of a cluster, of a search, of a list of ids or of conditions, as a file to save."""

from __future__ import annotations

import re
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, BinaryIO, Literal, cast

import numpy as np
from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from explorer import export as exporter
from explorer import nearest, search
from explorer.errors import QueryError
from explorer.records import Split
from webapp import queries
from webapp.api.access import KnownSpace, Served
from webapp.api.responses import not_found
from webapp.site import Site

IN_MEMORY = 8 * 1024 * 1024
PIECE = 256 * 1024

SplitOrAll = Literal[Split.TRAIN, Split.HELDOUT, "all"]


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


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows to export: their ids, and what to call them."""

    ids: list[int]
    name: str


@router.get("/export")
def export(
    site: Served,
    space: KnownSpace,
    format: Format = Format.CSV,  # noqa: A002 - the address's word
    cluster: Annotated[int | None, Query(ge=0)] = None,
    text: str | None = None,
    k: Annotated[int, Query(ge=1, le=nearest.MAX_K)] = 12,
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
    if where is not None:
        chosen = Selection(site.atlas.ids[queries.matching(site, where)].tolist(), "filtered")
    elif cluster is not None:
        chosen = _cluster(site, space, cluster)
    elif text is not None:
        hits = search.search_text(site.atlas, site.models, text, k, None if split == "all" else Split(split))
        chosen = Selection([hit.id for hit in hits], f"search-{text}")
    else:
        chosen = _listed(site, ids or "")
    return _file(site, chosen, format, space)


def _cluster(site: Site, space: str, cluster: int) -> Selection:
    members = (site.atlas.space(space).cluster == cluster) & site.atlas.allowed(None)
    if not members.any():
        raise not_found(f"cluster {cluster}")
    labels = {found.cluster: found.label for found in site.atlas.clusters(space) if found.level == 0}
    label = labels.get(cluster, "")
    return Selection(site.atlas.ids[members].tolist(), f"cluster-{cluster}-{label}")


def _listed(site: Site, ids: str) -> Selection:
    """Ids out of ``1,2,3``; those that were taken down, or never were, are left out."""
    if not re.fullmatch(r"[0-9]{1,18}(,[0-9]{1,18})*", ids):
        raise QueryError(f"found ids {ids[:40]!r}; expected whole numbers with commas between them")
    wanted = np.array(ids.split(","), dtype=np.int64)
    present = site.atlas.ids[site.atlas.allowed(None)]
    return Selection(list(dict.fromkeys(wanted[np.isin(wanted, present)].tolist())), "selection")


def _file(site: Site, chosen: Selection, format: Format, space: str) -> Response:  # noqa: A002
    """Write the rows, to memory or to disk where they are many, and send them."""
    handle = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))  # closed by `_pieces`
    try:
        exporter.export(site.atlas, chosen.ids, format.value, handle, space=space)
    except BaseException:
        handle.close()
        raise
    handle.seek(0)
    file = f"{plain_name(site.atlas.manifest.name)}-{plain_name(chosen.name)}.{format.value}"
    headers = {"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "no-store"}
    return StreamingResponse(_pieces(handle), headers=headers, media_type=format.media_type)


def _pieces(handle: BinaryIO) -> Iterator[bytes]:
    with handle:
        while piece := handle.read(PIECE):
            yield piece


def plain_name(text: str) -> str:
    """A part of a file name that every system takes: small ASCII letters, digits and dashes, at most 60."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text)[:60].strip("-") or "atlas"
