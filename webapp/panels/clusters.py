"""The clusters of the map in view: color, label, size, examples, and the finer ones inside; a click flies there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Listed:
    """A cluster as the list has it.

    Attributes:
        parts: the fine clusters inside it, in any order.
        flagged: how many of its pictures are flagged as unsafe.
    """

    cluster: Cluster
    parts: Sequence[Cluster] = ()
    flagged: int = 0


def rows(context: Context, clusters: Sequence[Listed], captions: Mapping[int, str]) -> Any:  # noqa: ANN401 - as Dash has them
    """Return the list, or the words for a map without clusters; `captions` are those of the exemplars, by id."""
    if not clusters:
        return parts.empty(context.words("clusters.empty"))
    return html.Ul([_row(context, listed, captions) for listed in clusters], className="clusters")


def _row(context: Context, listed: Listed, captions: Mapping[int, str]) -> html.Li:
    words, cluster = context.words, listed.cluster
    dot = html.Span(className=f"dot dot-{cluster.cluster % len(figures.PALETTE['dark'])}", **{"aria-hidden": "true"})
    examples = [
        parts.picture_button(context, picture, captions.get(picture, ""), THUMBNAIL)
        for picture in cluster.exemplars[:EXAMPLES]
    ]
    name = f"cluster-{cluster.cluster}"
    choice = {"space": cluster.space, "cluster": cluster.cluster}
    export = parts.exports(
        context, words("export.cluster", label=_plain(context, cluster)), name, listed.flagged, **choice
    )
    return html.Li(
        [
            html.Div([_fly(context, cluster, dot), export], className="cluster-head"),
            html.Div(examples, className="cluster-examples"),
            _parts(context, listed.parts) if listed.parts else None,
        ],
        className="cluster",
    )


def _parts(context: Context, fine: Sequence[Cluster]) -> html.Details:
    """Return the fine clusters inside a coarse one, folded below it."""
    summary = html.Summary(context.words("clusters.parts", count=number(len(fine))))
    entries = [html.Li(_fly(context, cluster)) for cluster in by_size(fine)]
    return html.Details([summary, html.Ul(entries)], className="cluster-parts")


def _fly(context: Context, cluster: Cluster, *before: html.Span) -> html.Button:
    """Return a cluster's name and size; a click flies there, or opens its first example where there is no map."""
    words = context.words
    example = {"data-example": str(cluster.exemplars[0])} if cluster.exemplars else {}
    size = html.Span(number(cluster.size), title=words("clusters.size", count=number(cluster.size)), className="count")
    return parts.deed(
        [*before, foreign.words(cluster.label or words("clusters.unnamed"), 60, className="one-line"), size],
        "subcluster" if cluster.level else "cluster",
        cluster.cluster,
        className="cluster-button",
        title=words("clusters.fly", label=_plain(context, cluster)),
        **example,
    )


def _plain(context: Context, cluster: Cluster) -> str:
    return foreign.shortened(foreign.marked(cluster.label or context.words("clusters.unnamed")), 80)
