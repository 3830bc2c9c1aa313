"""Ways from noise and into it: followed step by step, and taken home as a film or as single pictures."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response, StreamingResponse
from PIL import Image

from explorer.film import webm
from explorer.noise_report import document
from explorer.noising import NoisePlan
from explorer.pictures import open_picture
from explorer.recipes import MAX_SEED, MAX_STEPS
from explorer.records import Medium, Schedule
from explorer.stamp import public
from webapp.api.access import AnySite, KnownJob, PathId, Served
from webapp.api.responses import not_found
from webapp.documents import dumps
from webapp.landings import story_of
from webapp.site import Site

router = APIRouter(prefix="/api")

LINES = "application/x-ndjson"
_UNKEPT = {"Cache-Control": "no-store"}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that a ZIP can tell: the same way gives the same bytes


def _plan(
    id: PathId,  # noqa: A002 - the address's word
    schedule: Schedule = Schedule.SCALED_LINEAR,
    medium: Medium | None = None,
    steps: Annotated[int, Query(ge=1, le=MAX_STEPS)] = 25,
    seed: Annotated[int, Query(ge=0, le=MAX_SEED)] = 0,
) -> NoisePlan:
    return NoisePlan(id, schedule, medium, steps, seed)


Plan = Annotated[NoisePlan, Depends(_plan)]
"""What an address asks to be noised."""


@router.get("/v/{version}/noise/{id}")
async def noise(site: Served, plan: Plan) -> Response:
    """Follow a picture into noise: a line of JSON a step, the last one of kind `done`. Leaving stops the work."""
    story = site.noisings.story(plan)
    first = await to_thread.run_sync(next, story)  # what cannot be noised is refused before anything is sent
    return StreamingResponse(_lines(first, story), headers=_UNKEPT, media_type=LINES)


@router.get("/v/{version}/noise/{id}/way.webm")
def noise_film(site: Served, plan: Plan) -> Response:
    """A picture's way into noise as a film."""
    return _film([step.picture for step in site.noisings.steps(plan)], f"noise-{plan.id}")


@router.get("/v/{version}/noise/{id}/way.zip")
def noise_frames(site: Served, plan: Plan) -> Response:
    """A picture's way into noise as pictures, with what was found out about each."""
    way = list(site.noisings.steps(plan))
    pictures = {f"steps/{number:04d}.png": _png(step.picture) for number, step in enumerate(way, start=1)}
    return _archive(pictures, document(site.atlas, way), f"noise-{plan.id}")


@router.get("/jobs/{job}/way.webm")
def film(site: AnySite, job: KnownJob) -> Response:
    """A generated picture's way from noise as a film."""
    previews, _ = _kept(site, job.generation)
    return _film([open_picture(each) for each in previews], f"way-{job.id}")


@router.get("/jobs/{job}/way.zip")
def frames(site: AnySite, job: KnownJob) -> Response:
    """A generated picture's way from noise as pictures, with what was found out about each."""
    previews, told = _kept(site, job.generation)
    pictures = {f"steps/{number:04d}.webp": each for number, each in enumerate(previews, start=1)}
    pictures["picture.png"] = site.studio.workspace.picture(job.generation or 0)
    return _archive(pictures, told, f"way-{job.id}")


def _kept(site: Site, generation: int | None) -> tuple[list[bytes], Mapping[str, Any]]:
    """The pictures of a generation's steps, WebP, and its recipe and trajectory without what was taken down."""
    if generation is None:
        raise not_found("this picture")
    workspace = site.studio.workspace
    made = workspace.generation(generation)
    numbers = range(1, len(made.trajectory) + 1)
    previews = [preview for step in numbers if (preview := workspace.preview(generation, step))]
    if not previews:
        raise not_found("its way")
    trajectory = story_of(site.atlas, list(made.trajectory))
    atlas = {"name": site.atlas.manifest.name, "version": site.atlas.version}
    return previews, {"recipe": asdict(public(made.recipe)), "trajectory": trajectory, "atlas": atlas}


def _film(pictures: Sequence[Image.Image], name: str) -> Response:
    return _saved(webm(pictures), "video/webm", f"{name}.webm")


def _archive(pictures: Mapping[str, bytes], told: Mapping[str, Any], name: str) -> Response:
    data = io.BytesIO()
    texts = {"report.json": json.dumps(told, ensure_ascii=False, indent=1).encode()}
    with zipfile.ZipFile(data, "w") as archive:  # stored as they are: pictures are compressed already
        for path, content in {**pictures, **texts}.items():
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), content)
    return _saved(data.getvalue(), "application/zip", f"{name}.zip")


def _saved(body: bytes, media_type: str, name: str) -> Response:
    disposition = {"Content-Disposition": f'attachment; filename="latent-explorer-{name}"'}
    return Response(body, headers={**_UNKEPT, **disposition}, media_type=media_type)


def _png(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


async def _lines(first: Mapping[str, Any], story: Generator[Mapping[str, Any]]) -> AsyncIterator[bytes]:
    try:
        line: Mapping[str, Any] | None = first
        while line is not None:
            yield dumps(line).encode() + b"\n"
            line = await to_thread.run_sync(next, story, None)
    finally:
        story.close()  # its thread is done with the step by now
