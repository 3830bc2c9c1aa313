"""What is said of where a picture landed: verdict and limits, whether the spaces agree, its place in one map."""

from __future__ import annotations

from typing import Any

from dash import html

from explorer.landing import Agreement, ClusterPlace, Landing, SpaceLanding, Verdict
from webapp import foreign
from webapp.panels.parts import Context
from webapp.strings import share


def box(context: Context, landing: Landing, space: str) -> html.Div:
    """Return it, with the facts of the space whose map is in view."""
    landed = landing.spaces.get(space)
    return html.Div(
        [
            _verdict(context, landing.verdict),
            html.Dl(_facts(context, landed), className="facts-table") if landed else None,
            _agreement(context, landing.agreement) if landing.agreement else None,
            *(html.P(said, className="fine") for said in (landing.verdict.limits, *landing.notes) if said),
        ],
        className="verdict-box here-wide",
    )


def _verdict(context: Context, verdict: Verdict) -> html.Div:
    words = context.words
    return html.Div(
        [
            html.Span(words("verdict.label"), className="verdict-label"),
            html.Strong(words(f"verdict.{verdict.name.value}"), className=f"verdict-{verdict.name.value}"),
            html.P(words("verdict.rule", rule=verdict.rule), className="fine"),
        ]
    )


def _agreement(context: Context, agreement: Agreement) -> html.Div:
    words, count = context.words, len(agreement.shared)
    said = f"{agreement.says} {words('agreement.shared', count=count)}" if count else agreement.says
    return html.Div(
        [
            html.Span(words("agreement.label"), className="verdict-label"),
            html.Strong(words(f"agreement.{agreement.name.value}"), title=agreement.rule),
            html.P(said, className="fine"),
        ]
    )


def _facts(context: Context, landed: SpaceLanding) -> list[Any]:
    words = context.words
    rows = {
        "landing.nearness": _nearness(context, landed),
        "landing.cluster": _cluster(context, landed.cluster),
        "landing.distance": words("landing.distance.said", distance=f"{landed.distance:.2f}"),
        "landing.flag": words(f"landing.flag.{landed.flag.value}") if landed.flag else None,
        "landing.kept": None if landed.kept is None else words("landing.kept.said", kept=landed.kept),
    }
    known = [(words(key), value) for key, value in rows.items() if value is not None]
    return [part for term, value in known for part in (html.Dt(term), html.Dd(value))]


def _nearness(context: Context, landed: SpaceLanding) -> list[Any] | None:
    if landed.percentile is None:
        return None
    words = context.words
    said = words.ruled("landing.nearness", context.relation, share=share(landed.percentile))
    if landed.by_family is None:
        return [said]
    counted = words("landing.family", share=share(landed.by_family))
    return [said, "; ", html.Span(counted, title=words("landing.family.hint"))]


def _cluster(context: Context, place: ClusterPlace | None) -> html.Span | None:
    words = context.words
    if place is None:
        return None
    label = foreign.words(place.label or words("clusters.unnamed"), 80)
    shares = {"share": f"{100 * place.share:.0f} %", "margin": f"{100 * place.margin:.0f} %"}
    return html.Span([label, ": ", words("landing.cluster.said", **shares)])
