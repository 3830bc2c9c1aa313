"""Search: the pictures nearest to words, to one of the atlas, to one that a job made or that a visitor brought."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from explorer import search
from explorer.errors import QueryError
from explorer.links import web_link
from explorer.nearest import MAX_K
from explorer.records import Hit, Split, to_json
from webapp import queries
from webapp.api.access import KnownSpace, QueryId, Served
from webapp.api.responses import document, not_found
from webapp.queries import Question
from webapp.site import Site

router = APIRouter(prefix="/api/v/{version}")

SplitOrAll = Literal[Split.TRAIN, Split.HELDOUT, "all"]
HowMany = Annotated[int, Query(ge=1, le=MAX_K)]


@router.get("/search.json")
def nearest(
    site: Served,
    space: KnownSpace,
    text: str | None = None,
    id: QueryId = None,  # noqa: A002 - the address's word
    job: str | None = None,
    upload: str | None = None,
    k: HowMany = 12,
    split: SplitOrAll = Split.TRAIN,
    where: str | None = None,
) -> Response:
    """The nearest pictures, among those that meet the conditions; as `search --json` prints them."""
    question = Question(text, id, job, upload)
    found = _hits(site, space, question, k, splits(split), where)
    return document({"hits": [{**to_json(hit), **_links(hit)} for hit in found]})


def splits(named: SplitOrAll) -> Split | None:
    """A split as an address names it; None = both."""
    return None if named == "all" else Split(named)


def _hits(
    site: Site, space: str, question: Question, k: int, split: Split | None, where: str | None
) -> tuple[Hit, ...]:
    among = queries.matching(site, where) if where else None
    if question.id is not None:
        try:
            site.atlas.row(question.id)
        except QueryError as error:
            raise not_found(f"picture {question.id}") from error
        return search.search_id(site.atlas, question.id, space, k, split, among)
    vector = queries.vector(site, space, question)
    if vector is None:
        raise not_found("this picture")
    is_picture = question.text is None
    return search.search_vector(site.atlas, space, vector, k, split, percentile=is_picture, among=among)


def _links(hit: Hit) -> dict[str, str | None]:
    """A hit's links; those that are not http or https are null."""
    return {"image_url": web_link(hit.image_url), "page_url": web_link(hit.page_url)}
