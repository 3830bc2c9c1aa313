"""The picture in view and the pictures nearest to it: one of the collection, or one of the visitor's."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output

from explorer.errors import ExplorerError, QueryError
from explorer.landing import SpaceLanding
from explorer.records import Cluster, Hit
from explorer.variants import nearest_families
from webapp import ids
from webapp.landings import Brought, Made, own_of
from webapp.layout import context_of
from webapp.panels import here, landing, nearest, parts
from webapp.panels.here import Shown
from webapp.site import Site

NEIGHBORS = 12


def register(app: Dash, site: Site) -> None:
    """Follow the selection, the finished job, the picture that was brought, and the map in view."""
    context = context_of(site)
    _register_here(app, site)

    @app.callback(
        Output(ids.NEAREST_BODY, "children"),
        Output(ids.MAP, "neighbors"),
        Input(ids.PICTURE, "data"),
        Input(ids.DONE, "data"),
        Input(ids.UPLOAD, "data"),
        Input(ids.SPACE, "data"),
        Input(ids.JOB, "data"),
    )
    def neighbors(
        picture: int | None, done: str | None, upload: str | None, space: str | None, job: str | None
    ) -> tuple[Any, list[int]]:
        space = space or site.atlas.spaces[0]
        if picture is None and not done and not upload:
            # '' says that the job has ended without a picture
            pending = job is not None and done is None
            return nearest.pending(context) if pending else parts.empty(context.words("nearest.empty")), []
        own = None if picture is not None else own_of(site, done, upload)
        landed = own.landing.spaces.get(space) if own else None
        try:
            families = _families(site, picture, landed, space)
        except ExplorerError as error:
            return parts.alarm(context, str(error)), []
        return nearest.cards(context, families, space, landed.via if landed else None), [hit.id for hit in families]


def _register_here(app: Dash, site: Site) -> None:
    context = context_of(site)

    @app.callback(
        Output(ids.HERE_BODY, "children"),
        Input(ids.PICTURE, "data"),
        Input(ids.DONE, "data"),
        Input(ids.UPLOAD, "data"),
        Input(ids.SPACE, "data"),
        Input(ids.REVEALED, "data"),
    )
    def picture(
        picture: int | None, job: str | None, upload: str | None, space: str | None, revealed: int | None
    ) -> Any:  # noqa: ANN401 - as Dash has them
        own, shown = own_of(site, job, upload), space or site.atlas.spaces[0]
        if picture is not None:
            return _picture(site, picture, shown, picture == revealed, own is not None)
        if isinstance(own, Made):
            return here.made(context, own.job, own.recipe, landing.box(context, own.landing, shown))
        if isinstance(own, Brought):
            return here.brought(context, own.upload, landing.box(context, own.landing, shown))
        if upload:
            return parts.alarm(context, context.words("here.yours.gone"))
        return parts.empty(context.words("here.empty"))


def _picture(site: Site, identity: int, space: str, revealed: bool, own: bool) -> Any:  # noqa: ANN401 - as Dash has them
    context = context_of(site)
    try:
        record = site.atlas.record(identity)
    except QueryError:
        return here.gone(context, identity)
    row = site.atlas.row(identity)
    shown = Shown(
        record,
        _cluster_of(site, identity, space),
        kept=site.atlas.space(space).kept(row),
        flagged=bool(site.atlas.flagged[row]),
        revealed=revealed,
        own=own,
        noised=not site.atlas.flagged[row] and site.atlas.has_thumbnail(identity) and _encodes(site),
    )
    return here.picture(context, shown)


def _encodes(site: Site) -> bool:
    """Whether the models of all spaces are named, so that a picture can be placed."""
    models = site.atlas.meta["models"]
    return all((models.get(space) or {}).get("reference") for space in site.atlas.spaces)


def _cluster_of(site: Site, identity: int, space: str) -> Cluster | None:
    number = int(site.atlas.space(space).cluster[site.atlas.row(identity)])
    return next((cluster for cluster in site.atlas.clusters(space) if cluster.cluster == number), None)


def _families(site: Site, picture: int | None, landed: SpaceLanding | None, space: str) -> tuple[Hit, ...]:
    """Return the families nearest to a picture of the collection, or to the landing of one of the visitor's."""
    if picture is not None:
        return nearest_families(site.atlas, picture, space, NEIGHBORS)
    return landed.hits if landed else ()
