"""Colors, charts, and what the map is told about clusters: pure functions of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.records import Cluster

PALETTE: Mapping[str, tuple[str, ...]] = {
    "dark": ("#77aadd", "#eedd88", "#44bb99", "#ee8866", "#99ddff", "#bbcc33", "#b8a1e3", "#c9a27a"),
    "light": ("#3f6fa8", "#8a7100", "#187a5e", "#b5532f", "#0a84a5", "#667a00", "#6a4fb0", "#7d5a36"),
}
"""A cluster's color is its number's in this cycle; both follow Paul Tol's qualitative schemes (2021), which people with
color vision deficiency tell apart, without the reds that are the accent's."""

ACCENT: Mapping[str, str] = {"dark": "#ff5d8f", "light": "#c2124f"}
"""What the visitor made: the generated picture, its way, its lines. Nothing else wears it."""

REST = "#77808f"
"""Whatever has no group."""


def cluster_color(cluster: int | None, theme: str = "dark") -> str:
    """Return the color that the map gives a cluster."""
    return REST if cluster is None or cluster < 0 else PALETTE[theme][cluster % len(PALETTE[theme])]


def centers(points: NDArray[np.float32], clusters: NDArray[np.int32]) -> dict[int, list[float]]:
    """Return the median point of every cluster.

    Args:
        points: float32 (n, 3), map units.
        clusters: int32 (n,), -1 = none.
    """
    order = np.argsort(clusters, kind="stable")
    names, starts = np.unique(clusters[order], return_index=True)
    groups = np.split(order, starts[1:])
    return {
        int(name): [float(part) for part in np.median(points[rows], axis=0)]
        for name, rows in zip(names, groups, strict=True)
        if name >= 0
    }


def labels(clusters: Sequence[Cluster], places: Mapping[int, Sequence[float]]) -> list[dict[str, Any]]:
    """Return the labels that the map shows: each cluster's name at its median point.

    Args:
        clusters: of one level of one space, in any order.
        places: cluster -> point, from `centers`.
    """
    return [
        {"cluster": c.cluster, "label": c.label, "point": list(places[c.cluster]), "size": c.size, "space": c.space}
        | ({"level": c.level, "parent": c.parent} if c.level else {})
        for c in clusters
        if c.label and c.cluster in places
    ]


DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""How the lines of a chart differ, beside the letter at their end: all of them wear the accent."""

INK = {"dark": "#c9cfd9", "light": "#3d4450"}


def curves(
    title: str, axis: str, lines: Mapping[str, Sequence[float | None]], theme: str, *, from_zero: bool
) -> dict[str, Any]:
    """Return a small plotly figure of values by step, a line a way; its name stands at its end where there are several.

    Args:
        title: what the values are.
        axis: what the steps are called.
        lines: letter -> the value of each step, the first is step 1; None where it is not known.
        theme: "dark" or "light".
        from_zero: whether the values' axis begins at 0, as it must where their size counts and not their change.
    """
    traces = [
        {
            "type": "scatter",
            "mode": "lines+text" if len(lines) > 1 else "lines",
            "name": letter,
            "x": list(range(1, len(values) + 1)),
            "y": list(values),
            "text": [""] * (len(values) - 1) + [letter],
            "textposition": "middle right",
            "cliponaxis": False,
            "line": {"color": ACCENT[theme], "width": 2 if at == 0 else 1.5, "dash": DASHES[at % len(DASHES)]},
            "hovertemplate": f"{axis} %{{x}}: %{{y:.3f}}<extra>{letter if len(lines) > 1 else ''}</extra>",
        }
        for at, (letter, values) in enumerate(lines.items())
    ]
    plain = {"showgrid": False, "zeroline": False, "color": INK[theme], "fixedrange": True}
    layout = {
        "title": {"text": title, "x": 0, "y": 1, "yanchor": "top", "pad": {"t": 4}, "font": {"size": 12}},
        "font": {"color": INK[theme], "size": 10},
        "margin": {"l": 30, "r": 14, "t": 22, "b": 18},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "x",
        "xaxis": plain | {"nticks": 5, "range": [1, max([2, *map(len, lines.values())])]},
        "yaxis": plain | {"nticks": 4, "rangemode": "tozero" if from_zero else "normal"},
    }
    return {"data": traces, "layout": layout}
