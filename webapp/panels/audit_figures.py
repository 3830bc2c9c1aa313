"""The figures of one audit: the set as a whole, its verdicts, axes and clusters, each beside what it depends on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from explorer.landing import VerdictName
from explorer.records import Relation
from explorer.words import chance
from webapp import figures, foreign
from webapp.panels import parts
from webapp.panels.parts import Context
from webapp.strings import Words, number

CLUSTERS = 8
SETS = ("density", "coverage", "precision", "recall")
"""In the order in which they may be read: the first two hold where the others fail."""

Told = Mapping[str, Any]


def sets(context: Context, told: Told, space: str) -> html.Div:
    """Return the figures of one space, each with k and the sizes that it depends on."""
    words, measured = context.words, told["spaces"][space]
    found, name = measured["sets"], words(f"frame.space.{space}")
    if "reason" in found:
        return html.Div([html.Strong(name), html.P(words("audits.unmeasured", reason=found["reason"]))])
    depends = words("audits.depends", k=found["k"], generated=number(found["generated"]), real=number(found["real"]))
    cells = [_figure(words, measure, found, measured["heldout_sets"]) for measure in SETS]
    return html.Div(
        [
            html.Strong(name),
            html.Span([" ", depends], className="count"),
            html.Div([*cells, _vendi(words, measured)], className="audit-cells"),
            html.P(_copying(words, Relation(told["relation"]), measured["copying"]), className="fine"),
        ]
    )


def _figure(words: Words, measure: str, found: Told, held: Told) -> html.Div:
    """Return one figure, and beside it that of the held-out pictures, or what it would be if drawn alike."""
    beside = words("audits.heldout", value=f"{held[measure]:.3f}") if "reason" not in held else ""
    if measure == "coverage":
        beside = words("audits.alike", value=f"{found['expected_coverage']:.3f}")
    return _cell(words(f"audits.{measure}"), f"{found[measure]:.3f}", beside, words(f"audits.{measure}.hint"))


def _cell(name: str, value: str, beside: str, hint: str) -> html.Div:
    said = [html.Span(name, className="fine"), html.Span(value, className="audit-value")]
    return html.Div([*said, html.Span(beside, className="fine")], className="audit-cell", title=hint)


def _vendi(words: Words, measured: Told) -> html.Div:
    """Return how varied the set is, beside as many pictures of the collection."""
    vendi, usual = measured["vendi"], measured["training_vendi"]
    beside = words("audits.vendi.beside", score=f"{usual['score']:.1f}", count=number(usual["pictures"]))
    hint = words("audits.vendi.hint", count=number(vendi["pictures"]))
    return _cell(words("audits.vendi"), f"{vendi['score']:.1f}", beside, hint)


def _copying(words: Words, relation: Relation, copying: Told) -> str:
    if "reason" in copying:
        return words("audits.copying.none", reason=copying["reason"])
    blanks = {
        "c_t": f"{copying['c_t']:.2f}",
        "p": chance(copying["p"]),
        "share": f"{100 * copying['nearer']:.0f}",
        "generated": number(copying["generated"]),
        "heldout": number(copying["heldout"]),
    }
    return words.ruled("audits.copying", relation, **blanks)


def verdicts(context: Context, told: Told) -> html.Div:
    """Return the share of the pictures by verdict, with its interval."""
    rows: list[Any] = []
    for name in VerdictName:
        each = told["verdicts"][name.value]
        said = f"{100 * each['share']:.1f} %"
        hint = context.words("audits.interval", low=f"{100 * each['low']:.1f}", high=f"{100 * each['high']:.1f}")
        label = html.Span(context.words(f"verdict.{name.value}"))
        rows += [
            label,
            _bar(each["low"], each["high"], each["share"], 1),
            html.Span(said, title=hint, className="count"),
        ]
    return html.Div(rows, className="audit-bars")


def _bar(low: float, high: float, value: float, most: float, expected: float | None = None) -> html.Div:
    """Return an interval on a line from 0 to `most`, a stroke where the value is, and a dotted one where expected."""
    places = {"interval": low, "value": value} | ({} if expected is None else {"expected": expected})
    styles = {name: {"left": f"{100 * at / most:.1f}%"} for name, at in places.items()}
    styles["interval"]["width"] = f"{100 * (high - low) / most:.1f}%"
    marks = [html.Span(className=name, style=style) for name, style in styles.items()]
    return html.Div(marks, className="audit-bar", **{"aria-hidden": "true"})


def axes(context: Context, axes: Sequence[Told]) -> list[Any]:
    """Return where the pictures lie between two phrases, and what colors the map by it."""
    if not axes:
        return []
    words, rows = context.words, []
    for axis in axes:
        name = html.Span([foreign.words(axis["low"], 40), " – ", foreign.words(axis["high"], 40)])
        shift = axis["shift"]
        towards = axis["high"] if (shift or 0) > 0 else axis["low"]
        said = words("audits.shift", shift=f"{abs(shift):.2f}", towards=foreign.quoted(towards)) if shift else ""
        color = parts.deed(words("audits.color"), "axis", json.dumps([axis["low"], axis["high"]]))
        rows.append(html.Div([name, html.Span(said, className="fine"), color], className="counted audit-axis"))
    return [html.H3(words("audits.axes"), className="small-title"), *rows]


def clusters(context: Context, clusters: Sequence[Told]) -> Any:  # noqa: ANN401 - as Dash has them
    """Return the clusters that are drawn more or less often than expected; else those that differ most, by chance."""
    words = context.words
    sure = [each for each in clusters if each["drawn"] != "alike"]
    shown = (sure or list(clusters))[:CLUSTERS]
    if not shown:
        return parts.empty(words("clusters.empty"))
    most = max(max(each["share"]["high"], each["expected"]) for each in shown)
    rows: list[Any] = []
    for each in shown:
        said = words(
            f"audits.drawn.{each['drawn']}", share=f"{100 * each['share']['share']:.1f}",
            expected=f"{100 * each['expected']:.1f}",
        )  # fmt: skip
        bounds = each["share"]
        bar = _bar(bounds["low"], bounds["high"], bounds["share"], most, each["expected"])
        rows += [_cluster(context, each), bar, html.Span(said, className="count")]
    sureness = [] if sure else [html.P(words("audits.clusters.unsure"), className="fine")]
    return html.Div([*sureness, html.Div(rows, className="audit-bars")])


def _cluster(context: Context, each: Told) -> Any:  # noqa: ANN401 - as Dash has them
    """Return a cluster's name, which flies there."""
    if each["cluster"] < 0:
        return html.Span(context.words("legend.noise"))
    dot = html.Span(className=f"dot dot-{each['cluster'] % len(figures.PALETTE['dark'])}", **{"aria-hidden": "true"})
    label = foreign.words(each["label"] or context.words("clusters.unnamed"), 40, className="one-line")
    return parts.deed([dot, label], "audit-cluster", each["cluster"], className="cluster-button")
