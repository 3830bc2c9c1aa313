"""What this atlas is: collection, licence, models, counts, date, and the limits of what it can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import html

from explorer.contributions import Contribution
from explorer.manifest import Manifest
from webapp import foreign, ids
from webapp.panels import parts
from webapp.panels.parts import Context
from webapp.strings import Words, number

REJECTED = "rejected:"
"""What an outcome's name begins with where the row was left out; the reason follows."""


@dataclass(frozen=True)
class Facts:
    """What the page says about an atlas.

    Attributes:
        parts: the manifests that its pictures are from, its own first.
        heldout: pictures of the split `heldout`.
        outcomes: how the rows of the source ended, outcome -> count; `rejected:REASON` for those left out.
        duplicates: pictures that are near-duplicates of others, and their families.
        placed: pictures that joined after the maps were made.
        flagged: pictures that are flagged as unsafe.
        hosts: the largest, and the share of the pictures that each has, 0-1.
        clusters: space -> number of clusters.
        overlaps: space -> the share of neighbors that its map keeps, 0-1.
        models: the page's word for a model -> its reference.
        demo: whether the demo's models are among them.
        note: what is to be said where the demo's models meet another corpus.
    """

    manifest: Manifest
    parts: Sequence[Contribution]
    created: str
    images: int
    heldout: int
    outcomes: Mapping[str, int]
    duplicates: Mapping[str, int]
    placed: int
    flagged: int
    hosts: Mapping[str, float]
    clusters: Mapping[str, int]
    overlaps: Mapping[str, float]
    models: Mapping[str, str]
    demo: bool
    note: str | None


def modal(context: Context, facts: Facts) -> dmc.Modal:
    """Return the dialog, closed."""
    words = context.words
    body = [
        html.P(words("about.what")),
        *([html.P(facts.note, className="alarm")] if facts.note else []),
        *_section(words("about.corpus"), [*_corpus(context, facts.manifest), *_joined(words, facts.parts[1:])]),
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
    known = [(term, value) for term, value in rows if value not in (None, "", [])]
    table = [part for term, value in known for part in (html.Dt(term), html.Dd(value))]
    return [html.H3(title, className="small-title"), html.Dl(table, className="facts-table")] if known else []


def _corpus(context: Context, manifest: Manifest) -> list[tuple[str, Any]]:
    words = context.words
    licence = foreign.words(manifest.licence, 80) if manifest.licence else words("about.unknown")
    home, opened = manifest.homepage, manifest.fetch.allow_networks
    return [
        (words("about.title.corpus"), foreign.words(manifest.title, 120)),
        (words("about.licence"), foreign.link(manifest.licence_url, licence) or licence),
        (words("about.attribution"), manifest.attribution and foreign.words(manifest.attribution, 400)),
        (words("about.author"), manifest.author and foreign.words(manifest.author, 120)),
        (words("about.homepage"), foreign.link(home, foreign.words(home or "", 80))),
        (words("about.date"), manifest.date),
        (words("about.relation"), words(f"about.relation.{context.relation.value}")),
        (words("about.networks"), foreign.words(", ".join(manifest.fetch.allow_networks), 200) if opened else None),
        (words("about.contact"), parts.contact(manifest.contact) if manifest.contact else words("about.contact.none")),
    ]


def _joined(words: Words, parts: Sequence[Contribution]) -> list[tuple[str, Any]]:
    """Return what was appended: whose, under which licence, of when, and how many pictures."""
    told = []
    for part in parts:
        said = (part.title, part.manifest.get("licence"), part.manifest.get("date"), part.manifest.get("attribution"))
        line = foreign.words(" · ".join(str(each) for each in said if each), 200)
        told.append(_counted(line, number(part.outcomes.get("indexed", 0))))
    return [(words("about.joined"), told)]


def _counts(context: Context, facts: Facts) -> list[tuple[str, Any]]:
    words, is_unreviewed = context.words, any(part.is_unreviewed for part in facts.parts)
    clusters = [
        words("about.clusters", count=number(count), space=words(f"frame.space.{space}"))
        for space, count in facts.clusters.items()
    ]
    kept = [
        words("about.overlap.said", share=f"{100 * share:.0f}", space=words(f"frame.space.{space}"))
        for space, share in facts.overlaps.items()
    ]
    return [
        (words("about.images"), number(facts.images)),
        (words("about.heldout"), number(facts.heldout)),
        (words("about.placed"), number(facts.placed) if facts.placed else None),
        (words("about.flagged"), words("about.flagged.count", count=number(facts.flagged)) if facts.flagged else None),
        (words("about.unreviewed"), words("about.unreviewed.said") if is_unreviewed else None),
        *_rows(words, facts),
        (words("about.hosts"), _hosts(facts.hosts)),
        (words("about.spaces"), ", ".join(clusters)),
        (words("about.overlap"), html.Span(", ".join(kept), title=words("about.overlap.hint")) if kept else None),
        (words("about.built"), facts.created),
        (words("about.version"), context.version),
    ]


def _rows(words: Words, facts: Facts) -> list[tuple[str, Any]]:
    """Return what became of the source's rows, and why some were left out, the commonest reason first."""
    indexed, everything = facts.outcomes.get("indexed", 0), sum(facts.outcomes.values())
    rejected = {
        name.removeprefix(REJECTED): count
        for name, count in sorted(facts.outcomes.items(), key=lambda item: -item[1])
        if name.startswith(REJECTED) and count
    }
    blanks = {"count": everything, "indexed": indexed, "rejected": everything - indexed}
    found = facts.duplicates if facts.duplicates.get("pictures") else {}
    return [
        (words("about.outcomes"), words("about.rows", **{name: number(count) for name, count in blanks.items()})),
        (words("about.rejected"), [_counted(words(f"outcome.{why}"), number(n)) for why, n in rejected.items()]),
        (words("about.duplicates"), _duplicates(words, found) if found else None),
    ]


def _duplicates(words: Words, found: Mapping[str, int]) -> str:
    return words("about.duplicates.found", **{name: number(found[name]) for name in ("pictures", "families")})


def _hosts(hosts: Mapping[str, float]) -> list[html.Div]:
    return [
        _counted(foreign.words(host, 60), f"{100 * share:.0f} %" if share >= 0.01 else "< 1 %")
        for host, share in hosts.items()
    ]


def _counted(what: Any, count: str) -> html.Div:  # noqa: ANN401 - as Dash has them
    return html.Div([what, html.Span(count, className="count")], className="counted")


def _models(context: Context, models: Mapping[str, str]) -> list[tuple[str, Any]]:
    return [(context.words(f"about.model.{name}"), foreign.words(reference, 120)) for name, reference in models.items()]


def _limits(context: Context, demo: bool) -> list[str]:
    words = context.words
    said = [words(f"about.limits.{name}") for name in ("resemblance", "map")] + [words(f"nearest.{context.relation}")]
    return [*said, words("about.limits.demo"), words("about.figures")] if demo else said


def credit(manifest: Manifest) -> html.Button:
    """Return the line that credits the collection; it opens the dialog."""
    named = [part for part in (manifest.title, manifest.licence) if part]
    return html.Button(
        foreign.words(" · ".join(named), 80),
        id=ids.CREDIT,
        n_clicks=0,
        type="button",
        className="credit",
        title=foreign.shortened(foreign.marked(manifest.attribution or ""), 400),
    )
