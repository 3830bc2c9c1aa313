"""How an end point gets at what it serves."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from explorer.jobs import Job
from webapp.api.responses import not_found
from webapp.arrays import FORMAT
from webapp.site import Site

MAX_ID = 2**63 - 1


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def _served(request: Request, version: str) -> Site:
    """The site, where the address names the version that it serves."""
    site = _site(request)
    if version != site.atlas.version:
        raise not_found("this version of the atlas")
    return site


def _space(site: Annotated[Site, Depends(_served)], space: str | None = None) -> str:
    if space is not None and space not in site.atlas.spaces:
        raise not_found("this space")
    return space or site.atlas.spaces[0]


def _named(arrays: int | None = None) -> bool:
    if arrays not in (None, FORMAT):
        raise not_found(f"format {arrays} of the arrays")
    return arrays is not None


AnySite = Annotated[Site, Depends(_site)]
"""The site; for addresses without a version."""

Served = Annotated[Site, Depends(_served)]
"""The site; 404 for every version but the one that is served."""

KnownSpace = Annotated[str, Depends(_space)]
"""A space that the address names, the atlas's first where it names none; 404 where this atlas has none such."""

FormatNamed = Annotated[bool, Depends(_named)]
"""Whether the address names the format of the arrays, as `arrays=2`; 404 for every one but that which is served."""


def _job(site: AnySite, job: str) -> Job:
    found = site.studio.workspace.job(job)
    if found is None:
        raise not_found("this job")
    return found


KnownJob = Annotated[Job, Depends(_job)]
"""A job that the address names; 404 where there is none such."""

PathId = Annotated[int, Path(ge=0, le=MAX_ID)]
QueryId = Annotated[int | None, Query(ge=0, le=MAX_ID)]
