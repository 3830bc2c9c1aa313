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
THUMBNAIL = 44
"""Side of an example, CSS pixels: a fingertip."""


def panel(context: Context) -> html.Details:
    """Return the panel; a callback fills it for the map in view."""
    body = html.Div(id=ids.CLUSTERS_BODY)
    return parts.panel(ids.CLUSTERS, context.words("clusters.title"), body)


def rows(context: Context, clusters: Sequence[Cluster], captions: Mapping[int, str]) -> Any:  # noqa: ANN401
    """Return the list, largest first, or the words for a map without clusters.

    Args:
        captions: of the exemplars, by id.
    """
    if not clusters:
        return parts.empty(context.words("clusters.empty"))
    ordered = sorted(clusters, key=lambda cluster: (-cluster.size, cluster.cluster))
    return html.Ul([_row(context, cluster, captions) for cluster in ordered], className="clusters")


def _row(context: Context, cluster: Cluster, captions: Mapping[int, str]) -> html.Li:
    words = context.words
    label = cluster.label or words("clusters.unnamed")
    plain = foreign.shortened(foreign.marked(label), 80)
    dot = html.Span(className=f"dot dot-{cluster.cluster % len(figures.PALETTE['dark'])}", **{"aria-hidden": "true"})
    size = html.Span(number(cluster.size), title=words("clusters.size", count=number(cluster.size)), className="count")
    fly = html.Button(
        [dot, foreign.words(label, 60, className="one-line"), size],
        id=ids.act(ids.CLUSTERS, "cluster", cluster.cluster),
        n_clicks=0,
        type="button",
        className="cluster-button",
        title=words("clusters.fly", label=plain),
    )
    examples = [
        parts.picture_button(context, f"{ids.CLUSTERS}-{cluster.cluster}", picture, captions.get(picture, ""), THUMBNAIL)
        for picture in cluster.exemplars[:EXAMPLES]
    ]
    menu = parts.export_menu(
        context,
        words("export.cluster", label=plain),
        f"cluster-{cluster.cluster}",
        space=cluster.space,
        cluster=cluster.cluster,
    )
    return html.Li(
        [html.Div([fly, menu], className="cluster-head"), html.Div(examples, className="cluster-examples")],
        className="cluster",
    )
