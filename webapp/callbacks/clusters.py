"""The clusters of the map in view, the largest first."""

from __future__ import annotations

from collections import Counter
from typing import Any

from dash import Dash, Input, Output, ctx

from explorer.records import Cluster
from webapp import ids
from webapp.layout import context_of
from webapp.panels import clusters
from webapp.site import Site


def register(app: Dash, site: Site) -> None:
    """List the clusters anew whenever the map changes, and more of them when asked."""

    @app.callback(
        Output(ids.CLUSTERS_BODY, "children"),
        Output(ids.CLUSTERS_MORE, "hidden"),
        Output(ids.CLUSTERS_MORE, "n_clicks"),
        Input(ids.SPACE, "data"),
        Input(ids.CLUSTERS_MORE, "n_clicks"),
    )
    def listed(space: str | None, asked: int) -> tuple[Any, bool, int]:
        asked = asked if ctx.triggered_id == ids.CLUSTERS_MORE else 0
        space = space or site.atlas.spaces[0]
        found = clusters.by_size(site.atlas.clusters(space))
        shown = found[: clusters.AT_ONCE * (1 + asked)]
        examples = [identity for cluster in shown for identity in cluster.exemplars[: clusters.EXAMPLES]]
        captions = {record.id: record.caption for record in site.atlas.records(examples)} if examples else {}
        flagged = site.atlas.flagged & site.atlas.allowed(None)
        counts = Counter(site.atlas.space(space).cluster[flagged].tolist())
        inside: dict[int | None, list[Cluster]] = {}
        for fine in site.atlas.clusters(space, 1):
            inside.setdefault(fine.parent, []).append(fine)
        rows = [clusters.Listed(each, inside.get(each.cluster, ()), counts[each.cluster]) for each in shown]
        return clusters.rows(context_of(site), rows, captions), len(shown) == len(found), asked
