"""What this atlas is: collection, licence, models, counts, date, and the limits of what it can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import html

from explorer.manifest import Manifest
from webapp import foreign, ids
from webapp.panels.parts import Context
from webapp.strings import number


@dataclass(frozen=True)
class Facts:
    """What the page says about an atlas.

    Attributes:
        heldout: pictures of the split `heldout`.
        outcomes: how the rows of the source ended, outcome -> count.
        clusters: space -> number of clusters.
        models: the page's word for a model -> its reference.
        demo: whether the demo's models are among them.
        note: what is to be said where the demo's models meet another corpus.
    """

    manifest: Manifest
    created: str
    images: int
    heldout: int
    outcomes: Mapping[str, int]
    clusters: Mapping[str, int]
    models: Mapping[str, str]
    demo: bool
    note: str | None


def modal(context: Context, facts: Facts) -> dmc.Modal:
    """Return the dialog, closed."""
    words = context.words
    body = [
        html.P(words("about.what")),
        *([html.P(facts.note, className="alarm")] if facts.note else []),
        *_section(words("about.corpus"), _corpus(context, facts.manifest)),
        *_section(words("about.counts"), _counts(context, facts)),
        *_section(words("about.models"), _models(context, facts.models)),
        html.H3(words("about.limits"), className="small-title"),
        html.Ul([html.Li(said) for said in _limits(context, facts.demo)], className="limits"),
    ]
    return dmc.Modal(
        html.Div(body, className="about"),
        id=ids.ABOUT,
        title=words("about.title"),
        size="lg",
        opened=False,
        closeButtonProps={"aria-label": words("frame.close")},
    )


def _section(title: str, rows: Sequence[tuple[str, Any]]) -> list[Any]:
    known = [(term, value) for term, value in rows if value not in (None, "")]
    table = [part for term, value in known for part in (html.Dt(term), html.Dd(value))]
    return [html.H3(title, className="small-title"), html.Dl(table, className="facts-table")] if known else []


def _corpus(context: Context, manifest: Manifest) -> list[tuple[str, Any]]:
    words = context.words
    licence = foreign.words(manifest.licence, 80) if manifest.licence else words("about.unknown")
    home = manifest.homepage
    return [
        (words("about.title.corpus"), foreign.words(manifest.title, 120)),
        (words("about.licence"), foreign.link(manifest.licence_url, licence) or licence),
        (words("about.attribution"), manifest.attribution and foreign.words(manifest.attribution, 400)),
        (words("about.author"), manifest.author and foreign.words(manifest.author, 120)),
        (words("about.homepage"), foreign.link(home, foreign.words(home or "", 80))),
        (words("about.date"), manifest.date),
        (words("about.relation"), words(f"about.relation.{context.relation.value}")),
    ]


def _counts(context: Context, facts: Facts) -> list[tuple[str, Any]]:
    words = context.words
    outcomes = ", ".join(f"{number(count)} {name}" for name, count in facts.outcomes.items() if count)
    clusters = [
        words("about.clusters", count=number(count), space=words(f"frame.space.{space}"))
        for space, count in facts.clusters.items()
    ]
    return [
        (words("about.images"), number(facts.images)),
        (words("about.heldout"), number(facts.heldout)),
        (words("about.outcomes"), outcomes),
        (words("about.spaces"), ", ".join(clusters)),
        (words("about.built"), facts.created),
        (words("about.version"), context.version),
    ]


def _models(context: Context, models: Mapping[str, str]) -> list[tuple[str, Any]]:
    return [(context.words(f"about.model.{name}"), foreign.words(reference, 120)) for name, reference in models.items()]


def _limits(context: Context, demo: bool) -> list[str]:
    words = context.words
    said = [words(f"about.limits.{name}") for name in ("resemblance", "map", "sample")]
    return [*said, words("about.limits.demo"), words("about.figures")] if demo else said


def credit(manifest: Manifest) -> html.Button:
    """Return the line that credits the collection; it opens the dialog."""
    parts = [part for part in (manifest.title, manifest.licence) if part]
    return html.Button(
        foreign.words(" · ".join(parts), 80),
        id=ids.CREDIT,
        n_clicks=0,
        type="button",
        className="credit",
        title=foreign.shortened(foreign.marked(manifest.attribution or ""), 400),
    )
