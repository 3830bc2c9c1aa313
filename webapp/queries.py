"""A question as an address names it, and the vector that stands for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer import filters, search
from explorer.audit.axes import Axis, axis_vector
from explorer.errors import QueryError
from explorer.filters import Filter
from explorer.pictures import open_picture
from explorer.records import Space
from webapp.site import Site

_IDS = re.compile(r"[0-9]{1,18}(,[0-9]{1,18})*")


@dataclass(frozen=True, slots=True)
class Question:
    """Exactly one of: words, a picture of the atlas, one that a job made or a visitor brought, the ends of an axis.

    Raises:
        QueryError: none of them, or several.
    """

    text: str | None = None
    id: int | None = None
    job: str | None = None
    upload: str | None = None
    axis: str | None = None

    def __post_init__(self) -> None:
        named = [field.name for field in fields(self) if getattr(self, field.name) is not None]
        if len(named) != 1:
            raise QueryError(
                f"found {' and '.join(named) or 'no question'}; expected exactly one of text, id, job, upload and axis"
            )


def vector(site: Site, space: str, question: Question) -> npt.NDArray[np.floating[Any]] | None:
    """The vector (d,) of a question in one space; None where its picture is not here, or not any more.

    Raises:
        QueryError: words in a space that has none, or too many of them.
        ModelError: the model that it needs does not load.
    """
    if question.id is not None:
        return _of_picture(site, space, question.id)
    if question.job is not None:
        return _of_job(site, space, question.job)
    if question.upload is not None:
        upload = site.uploads and site.uploads.get(question.upload)
        return upload.vectors[space] if upload else None
    if question.axis is not None:
        return _of_axis(site, space, question.axis)
    return _of_words(site, space, question.text or "")


def listed(ids: str, most: int | None = None) -> npt.NDArray[np.int64]:
    """Ids as an address lists them, ``1,2,3``; int64 (n,).

    Raises:
        QueryError: it is no such list, or has more than `most`.
    """
    if not _IDS.fullmatch(ids):
        raise QueryError(f"found ids {ids[:40]!r}; expected whole numbers with commas between them")
    found = np.array(ids.split(","), dtype=np.int64)
    if most is not None and len(found) > most:
        raise QueryError(f"found {len(found):,} ids; expected at most {most}")
    return found


def matching(site: Site, where: str) -> npt.NDArray[np.bool_]:
    """Which rows meet the conditions of an address, one a line; bool (n,).

    Raises:
        QueryError: a line is no condition, or goes towards unsafe pictures.
    """
    return filters.matching(site.atlas, conditions(where))


def conditions(where: str | None) -> tuple[Filter, ...]:
    """The conditions of an address, one a line; raises as `matching` does."""
    return filters.parse_all([line for line in (where or "").split("\n") if line.strip()])


def _of_picture(site: Site, space: str, identity: int) -> npt.NDArray[np.floating[Any]] | None:
    try:
        row = site.atlas.row(identity)
    except QueryError:
        return None
    return site.atlas.space(space).vectors[row].astype(np.float32)


def _of_job(site: Site, space: str, name: str) -> npt.NDArray[np.floating[Any]] | None:
    job = site.studio.workspace.job(name)
    if job is None or job.generation is None:
        return None
    picture = open_picture(site.studio.workspace.picture(job.generation))
    return search.picture_vectors(site.atlas, site.models, space, [picture])[0]


def _of_words(site: Site, space: str, text: str) -> npt.NDArray[np.floating[Any]]:
    if space != Space.CLIP:
        raise QueryError(f"the space {space} knows no words; ask clip, or ask by a picture")
    return search.text_vector(site.models, text)


def _of_axis(site: Site, space: str, ends: str) -> npt.NDArray[np.floating[Any]]:
    if space != Space.CLIP:
        raise QueryError(f"the space {space} knows no words; ask clip for an axis")
    low, _, high = ends.partition("\n")
    return axis_vector(site.models, Axis(low, high))
