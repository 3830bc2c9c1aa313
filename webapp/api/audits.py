"""The pictures of audits; what an audit found is told by the page's own callbacks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from webapp import audits
from webapp.api.access import AnySite, PathId
from webapp.api.responses import REVALIDATE, kept, not_found

router = APIRouter(prefix="/api/audits")

Name = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


@router.get("/{name}/{row}.webp")
def picture(request: Request, site: AnySite, name: Name, row: PathId) -> Response:
    """A picture of an audit, small."""
    found = audits.picture(site, name, row)
    if found is None:
        raise not_found("this picture")
    return kept(request, found, "image/webp", REVALIDATE)
