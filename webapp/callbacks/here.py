"""The picture in view and the pictures nearest to it: one of the collection, or one that was generated here."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output

from explorer import search
from explorer.errors import ExplorerError, QueryError
from explorer.records import Cluster, Hit
from webapp import ids
from webapp.landings import made
from webapp.layout import context_of
from webapp.panels import here, nearest, parts
from webapp.site import Site

NEIGHBORS = 12


def register(app: Dash, site: Site) -> None:
    """Follow the selection, the finished job, and the map in view."""
    context = context_of(site)
    _register_here(app, site)

    @app.callback(
        Output(ids.NEAREST_BODY, "children"),
        Output(ids.MAP, "neighbors"),
        Input(ids.PICTURE, "data"),
        Input(ids.DONE, "data"),
        Input(ids.SPACE, "data"),
        Input(ids.JOB, "data"),
    )
    def neighbors(picture: int | None, done: str | None, space: str | None, job: str | None) -> tuple[Any, list[int]]:
        space = space or site.atlas.spaces[0]
        if picture is None and not done:
            # '' says that the job has ended without a picture
            pending = job is not None and done is None
            return nearest.pending(context) if pending else parts.empty(context.words("nearest.empty")), []
        try:
            hits, via = _neighbors(site, picture, done, space)
        except ExplorerError as error:
            return parts.alarm(context.words("error.title"), str(error)), []
        return nearest.cards(context, hits, space, via), [hit.id for hit in hits]


def _register_here(app: Dash, site: Site) -> None:
    context = context_of(site)

    @app.callback(
        Output(ids.HERE_BODY, "children"),
        Input(ids.PICTURE, "data"),
        Input(ids.DONE, "data"),
        Input(ids.SPACE, "data"),
    )
    def picture(picture: int | None, job: str | None, space: str | None) -> Any:  # noqa: ANN401 - as Dash has them
        if picture is not None:
            return _picture(site, picture, space or site.atlas.spaces[0], job)
        found = made(site, job) if job else None
        if found is None:
            return parts.empty(context.words("here.empty"))
        return here.made(context, found.job, found.recipe, found.landing.verdict, found.landing.notes)


def _picture(site: Site, identity: int, space: str, job: str | None) -> Any:  # noqa: ANN401 - as Dash has them
    context = context_of(site)
    try:
        record = site.atlas.record(identity)
    except QueryError:
        return here.gone(context, identity)
    return here.picture(context, record, _cluster_of(site, identity, space), job)


def _cluster_of(site: Site, identity: int, space: str) -> Cluster | None:
    number = int(site.atlas.space(space).cluster[site.atlas.row(identity)])
    return next((cluster for cluster in site.atlas.clusters(space) if cluster.cluster == number), None)


def _neighbors(site: Site, picture: int | None, job: str | None, space: str) -> tuple[tuple[Hit, ...], str | None]:
    """Return the nearest training pictures, and how a generated picture's vector came about."""
    if picture is not None:
        return search.search_id(site.atlas, picture, space, NEIGHBORS), None
    found = made(site, job) if job else None
    if found is None or space not in found.landing.spaces:
        return (), None
    landed = found.landing.spaces[space]
    return landed.hits, landed.via
