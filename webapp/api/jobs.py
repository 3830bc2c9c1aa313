"""Jobs: hand a recipe in, follow it, cancel it, fetch what it made."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Header, HTTPException, Query, Request
from fastapi.responses import Response, StreamingResponse

from explorer.errors import QueryError
from explorer.jobs import Event
from explorer.records import Branch, Recipe, to_json
from explorer.stamp import public
from webapp.api.access import AnySite, KnownJob
from webapp.api.responses import A_DAY, document, kept, not_found
from webapp.events import message
from webapp.landings import story_of
from webapp.site import Site

router = APIRouter(prefix="/api")

RECIPE_TYPES: Mapping[str, tuple[type, ...]] = {
    "prompt": (str,),
    "negative": (str,),
    "seed": (int,),
    "steps": (int,),
    "guidance": (int, float),
    "branches": (list,),
}
"""What a visitor may choose; which generator runs is chosen where the server is started."""

_KINDS = {(str,): "text", (int,): "a whole number", (int, float): "a number", (list,): "a list"}
_STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.get("/state")
def state(site: AnySite) -> Response:
    """How far the models are, and how long the queue is."""
    return document({"version": site.atlas.version, **site.studio.state()})


@router.post("/jobs")
async def submit(request: Request, site: AnySite) -> Response:
    """Take a recipe in."""
    recipe = recipe_of(await _json(request), site.studio.defaults())
    ticket = await to_thread.run_sync(site.studio.submit, recipe)
    answer = {"job": ticket.job, "place": ticket.place, "events": f"/api/jobs/{ticket.job}/events", "key": ticket.key}
    return document(answer, HTTPStatus.ACCEPTED)


@router.get("/jobs/{job}")
def status(site: AnySite, job: KnownJob) -> Response:
    """How a job stands."""
    return document(
        {
            "job": job.id,
            "state": job.state,
            "place": site.studio.place(job.id),
            "recipe": to_json(public(job.recipe)),
            "error": job.error,
            "generation": job.generation,
            "image": None if job.generation is None else f"/api/jobs/{job.id}/image.png",
        }
    )


@router.post("/jobs/{job}/cancel")
def cancel(site: AnySite, job: KnownJob) -> Response:
    """Stop a job at its next step; 409 where it has ended."""
    found = site.studio.cancel(job.id)
    status = HTTPStatus.CONFLICT if job.state.ended else HTTPStatus.ACCEPTED
    return document({"job": job.id, "state": found}, status)


@router.get("/jobs/{job}/events")
def events(
    site: AnySite, job: KnownJob, after: Annotated[int, Query(ge=0)] = 0, last_event_id: Annotated[str, Header()] = ""
) -> Response:
    """Follow a job, from its beginning or from the last event seen."""
    seen = max(after, int(last_event_id[:9]) if last_event_id.isdecimal() else 0)
    if job.state.ended and not site.studio.workspace.events(job.id, seen):
        return Response(status_code=HTTPStatus.NO_CONTENT)  # which tells an EventSource not to come again
    stream = _messages(site, job.id, seen)
    return StreamingResponse(stream, headers=_STREAM, media_type="text/event-stream")


@router.get("/jobs/{job}/image.png")
def image(request: Request, site: AnySite, job: KnownJob) -> Response:
    """The picture that a job made."""
    if job.generation is None:
        raise not_found("this picture")
    return kept(request, site.studio.workspace.picture(job.generation), "image/png", A_DAY)


@router.get("/jobs/{job}/steps/{step}.webp")
def step(request: Request, site: AnySite, job: KnownJob, step: int) -> Response:
    """The picture as it was after a step (1-based)."""
    preview = site.studio.preview(job.id, step)
    if preview is None:
        raise not_found("this step")
    return kept(request, preview, "image/webp", A_DAY)


async def _messages(site: Site, job: str, after: int) -> AsyncIterator[bytes]:
    """A job's events without pictures that were taken down since."""
    async for event in site.studio.journal.follow(job, after):
        yield await to_thread.run_sync(_told, site, event)


def _told(site: Site, event: Event | None) -> bytes:
    return message(replace(event, data=story_of(site.atlas, event.data)) if event else None)


async def _json(request: Request) -> Any:  # noqa: ANN401 - whatever the visitor sent
    """The body as JSON; only this media type, since a plain form of another site cannot send it."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected Content-Type: application/json")
    try:
        return json.loads(await request.body(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the body is not JSON") from error


def _no_number(word: str) -> None:
    """Refuse NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(word)


def recipe_of(body: Any, defaults: Mapping[str, Any]) -> Recipe:  # noqa: ANN401 - whatever the visitor sent
    """Turn ``{"recipe": {...}}`` into a recipe; the bounds of its values are the studio's to check.

    Args:
        body: parsed JSON.
        defaults: for what the recipe leaves out.

    Raises:
        QueryError: a key is unknown or missing, or a value of another type.
    """
    found = body.get("recipe") if isinstance(body, dict) else None
    if not isinstance(found, dict):
        raise QueryError('expected {"recipe": {"prompt": ..., ...}}')
    unknown = sorted(found.keys() - RECIPE_TYPES.keys())
    if unknown:
        raise QueryError(f"recipe: found {unknown[0][:40]!r}; it may hold {', '.join(RECIPE_TYPES)}")
    for name, value in found.items():
        _check_type(name, value, RECIPE_TYPES[name])
    if "prompt" not in found:
        raise QueryError("recipe: the prompt is missing")
    branches = found.get("branches", ())
    for branch in branches:
        if not isinstance(branch, dict) or branch.keys() != {"step", "seed"}:
            raise QueryError('recipe: expected each of its branches as {"step": ..., "seed": ...}')
        for name, value in branch.items():
            _check_type(f"a branch's {name}", value, (int,))
    return Recipe(**{**defaults, **found, "branches": tuple(Branch(**each) for each in branches)})


def _check_type(name: str, value: Any, expected: tuple[type, ...]) -> None:  # noqa: ANN401 - whatever the visitor sent
    if not isinstance(value, expected) or isinstance(value, bool):
        raise QueryError(f"recipe: {name} is {json.dumps(value)[:40]}; expected {_KINDS[expected]}")
