"""The clusters of the map in view: color, label, size, examples; a click flies there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from explorer.records import Cluster
from webapp import figures, foreign, ids
from webapp.panels import parts
from webapp.panels.parts import Context
from webapp.strings import number

EXAMPLES = 4
AT_ONCE = 20
"""Clusters in the list at first, and how many more each click on the button below it adds."""
THUMBNAIL = 44
"""Side of an example, CSS pixels: a fingertip."""


def panel(context: Context) -> html.Details:
    """Return the panel; a callback fills it for the map in view."""
    more = html.Button(
        context.words("clusters.more"), id=ids.CLUSTERS_MORE, n_clicks=0, type="button", hidden=True, className="button"
    )
    return parts.panel(ids.CLUSTERS, context.words("clusters.title"), [html.Div(id=ids.CLUSTERS_BODY), more])


def by_size(clusters: Sequence[Cluster]) -> list[Cluster]:
    """Return the clusters in the order of the list: largest first."""
    return sorted(clusters, key=lambda cluster: (-cluster.size, cluster.cluster))


def rows(
    context: Context,
    clusters: Sequence[Cluster],
    captions: Mapping[int, str],
    flagged: Mapping[int, int],
) -> Any:  # noqa: ANN401 - as Dash has them
    """Return the list, or the words for a map without clusters.

    Args:
        captions: of the exemplars, by id.
        flagged: cluster -> how many of its pictures are flagged as unsafe.
    """
    if not clusters:
        return parts.empty(context.words("clusters.empty"))
    return html.Ul(
        [_row(context, cluster, captions, flagged.get(cluster.cluster, 0)) for cluster in clusters],
        className="clusters",
    )


def _row(context: Context, cluster: Cluster, captions: Mapping[int, str], flagged: int) -> html.Li:
    words = context.words
    label = cluster.label or words("clusters.unnamed")
    plain = foreign.shortened(foreign.marked(label), 80)
    dot = html.Span(className=f"dot dot-{cluster.cluster % len(figures.PALETTE['dark'])}", **{"aria-hidden": "true"})
    size = html.Span(number(cluster.size), title=words("clusters.size", count=number(cluster.size)), className="count")
    fly = parts.deed(
        [dot, foreign.words(label, 60, className="one-line"), size],
        "cluster",
        cluster.cluster,
        className="cluster-button",
        title=words("clusters.fly", label=plain),
    )
    examples = [
        parts.picture_button(context, picture, captions.get(picture, ""), THUMBNAIL)
        for picture in cluster.exemplars[:EXAMPLES]
    ]
    name = f"cluster-{cluster.cluster}"
    choice = {"space": cluster.space, "cluster": cluster.cluster}
    export = parts.exports(context, words("export.cluster", label=plain), name, flagged, **choice)
    return html.Li(
        [html.Div([fly, export], className="cluster-head"), html.Div(examples, className="cluster-examples")],
        className="cluster",
    )
