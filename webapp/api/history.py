"""What jobs have made: each picture's report, as a page and as JSON, and the way to delete it."""

from __future__ import annotations

import io
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request
from fastapi.responses import Response
from PIL import Image

from explorer.report.file import as_json
from explorer.report.page import gathered, render, shown_steps
from webapp.api.access import AnySite
from webapp.api.jobs import KnownJob
from webapp.api.responses import REVALIDATE, kept, not_found
from webapp.landings import story_of
from webapp.site import Site

router = APIRouter(prefix="/api/jobs/{job}")


@router.get("/report.html")
def page(request: Request, site: AnySite, job: KnownJob) -> Response:
    """The provenance of what a job made, as a page that stands alone."""
    report = _report(site, job)
    workspace = site.studio.workspace
    with Image.open(io.BytesIO(workspace.picture(job.generation or 0)), formats=("PNG",)) as image:
        picture = image.convert("RGB")
    numbers = [step["step"] for step in shown_steps(report)]
    found = {number: workspace.preview(job.generation or 0, number) for number in numbers}
    previews = {number: preview for number, preview in found.items() if preview is not None}
    body = render(report, gathered(site.atlas, report, picture, previews)).encode()
    return kept(request, body, "text/html; charset=utf-8", REVALIDATE)


@router.get("/report.json")
def document(request: Request, site: AnySite, job: KnownJob) -> Response:
    """The same as one JSON document."""
    return kept(request, as_json(_report(site, job)), "application/json", REVALIDATE)


@router.delete("")
def delete(site: AnySite, job: KnownJob, x_maker_key: Annotated[str, Header()] = "") -> Response:
    """Delete what a job made: picture, steps, report, and the job; only its maker may, whose key the header has."""
    workspace = site.studio.workspace
    if not workspace.is_maker(job.id, x_maker_key):
        raise HTTPException(HTTPStatus.FORBIDDEN, "only its maker may delete it; expected the key in X-Maker-Key")
    if job.generation is None:
        raise HTTPException(HTTPStatus.CONFLICT, "this job has made no picture; cancel it if it still runs")
    workspace.delete_generation(job.generation)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _report(site: Site, job: KnownJob) -> dict[str, Any]:
    """A report without what was taken down since; 404 where none was kept."""
    report = None if job.generation is None else site.studio.workspace.report(job.generation)
    if report is None:
        raise not_found("a report of this picture")
    shown: dict[str, Any] = story_of(site.atlas, report)
    return shown
