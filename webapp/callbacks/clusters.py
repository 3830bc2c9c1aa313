"""The clusters of the map in view."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output

from webapp import ids
from webapp.layout import context_of
from webapp.panels import clusters
from webapp.site import Site


def register(app: Dash, site: Site) -> None:
    """List the clusters anew whenever the map changes."""

    @app.callback(Output(ids.CLUSTERS_BODY, "children"), Input(ids.SPACE, "data"))
    def listed(space: str | None) -> Any:  # noqa: ANN401 - as Dash has them
        found = site.atlas.clusters(space or site.atlas.spaces[0])
        shown = [identity for cluster in found for identity in cluster.exemplars[: clusters.EXAMPLES]]
        captions = {record.id: record.caption for record in site.atlas.records(shown)} if shown else {}
        return clusters.rows(context_of(site), found, captions)
