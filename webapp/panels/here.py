"""The picture in view: one of the collection with all that is known of it, or one of the visitor's with its landing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dash import html

from explorer.records import Cluster, Recipe, Record
from webapp import foreign, ids
from webapp.panels import parts
from webapp.panels.parts import Context
from webapp.security import UPLOADS

SHOWN_TAGS = 12
SHOWN_EXTRA = 20


def panel(context: Context) -> html.Details:
    """Return the panel, saying what would fill it."""
    body = html.Div(parts.empty(context.words("here.empty")), id=ids.HERE_BODY)
    return parts.panel(ids.HERE, context.words("here.title"), body)


def gone(context: Context, picture: int) -> html.Div:
    """Return what is said about an id that this atlas does not have."""
    return parts.alarm(context, context.words("here.gone", id=picture))


@dataclass(frozen=True)
class Shown:
    """A picture of the collection as it is to be shown.

    Attributes:
        record: what is known of it.
        cluster: its cluster on the map in view.
        kept: how many of its 15 neighbors that map keeps; None where nobody has counted.
        flagged: whether it is flagged as unsafe, and so blurred.
        revealed: whether the visitor asked to see it all the same.
        own: whether a picture of the visitor's stands in the map too: there is a way back to it.
        noised: whether its way into noise can be shown.
    """

    record: Record
    cluster: Cluster | None
    kept: int | None = None
    flagged: bool = False
    revealed: bool = False
    own: bool = False
    noised: bool = False


def picture(context: Context, shown: Shown) -> html.Div:
    """Return a picture of the collection."""
    record = shown.record
    beside = [
        html.P(foreign.words(record.caption, 400), className="here-caption"),
        _others(record),
    ]
    return html.Div(
        [
            _face(context, shown),
            html.Div(beside, className="here-words"),
            _buttons(context, shown),
            html.Dl(_facts(context, shown), className="facts-table here-wide"),
            _extra(context, record),
            _takedown(context),
        ],
        className="here",
    )


def _face(context: Context, shown: Shown) -> html.Div:
    """Return the picture itself: blurred, with a button that shows it, if it is flagged and nobody asked yet."""
    words, identity = context.words, shown.record.id
    address = context.thumbnail(identity)
    if address is None:
        return html.Div(html.P(words("here.nothumbnail")), className="here-picture here-nothing")
    caption = foreign.shortened(foreign.marked(shown.record.caption), 200)
    alt = words("here.picture.alt", caption=caption)
    if not shown.flagged:
        return html.Div(html.Img(src=address, alt=alt), className="here-picture")
    if shown.revealed:
        return html.Div(html.Img(src=f"{address}?reveal=1", alt=alt), className="here-picture")
    veil = html.Div(
        [
            html.Strong(words("here.flagged"), title=words("here.flagged.hint")),
            parts.deed(words("here.reveal"), "reveal", identity),
        ],
        className="veil",
    )
    return html.Div([html.Img(src=address, alt=words("here.flagged")), veil], className="here-picture")


def _takedown(context: Context) -> html.P | None:
    """Return whom to ask for a takedown, where somebody is named."""
    if not context.contact:
        return None
    before, after = context.words("here.takedown", contact="\n").split("\n")
    return html.P([before, parts.contact(context.contact), after], className="fine here-wide takedown")


def _others(record: Record) -> html.P | None:
    """Return the captions in other languages."""
    others = [(code, text) for code, text in record.captions.items() if text != record.caption]
    if not others:
        return None
    return html.P([foreign.words(text, 200, lang=code) for code, text in others], className="here-others")


def _buttons(context: Context, shown: Shown) -> html.Div:
    words, record = context.words, shown.record
    back = words("here.made.back") if shown.own else words("here.close")
    noise = parts.deed(words("here.noise"), "noise", record.id, title=words("here.noise.hint"))
    return html.Div(
        [
            parts.deed(words("here.similar"), "like", record.id),
            parts.deed(words("here.try"), "prompt", record.caption),
            parts.deed(words("here.fly"), "open", record.id),
            *([noise] if shown.noised else []),
            parts.deed(back, "let-go", record.id),
        ],
        className="button-row button-grid here-wide",
    )


def _facts(context: Context, shown: Shown) -> list[Any]:
    words, record, cluster = context.words, shown.record, shown.cluster
    unknown = words("here.unknown")
    licence = foreign.words(record.licence, 60) if record.licence else unknown
    tags = [foreign.words(tag, 40, className="tag") for tag in record.tags[:SHOWN_TAGS]]
    sources = parts.source_links(context, record.page_url, record.image_url)
    rows = {
        "here.source": html.Span(sources, className="sources") if sources else unknown,
        "here.licence": foreign.link(record.licence_url, licence) or licence,
        "here.author": foreign.words(record.author, 80) if record.author else unknown,
        "here.copy": words("here.copy.fetched", date=record.fetched_at[:10]) if record.fetched_at else None,
        "here.split": html.Span([parts.split_badge(context, record.split), _placed(context, record)]),
        "here.group": foreign.words(record.group, 80) if record.group else None,
        "here.cluster": foreign.words(cluster.label, 80) if cluster and cluster.label else None,
        "here.kept": _kept(context, shown.kept),
        "here.tags": tags or None,
        "here.size": f"{record.width} × {record.height}" if record.width and record.height else None,
        "here.id": str(record.id),
    }
    known = [(words(key), value) for key, value in rows.items() if value is not None]
    return [part for term, value in known for part in (html.Dt(term), html.Dd(value))]


def _kept(context: Context, kept: int | None) -> html.Span | None:
    if kept is None:
        return None
    return html.Span(context.words("here.kept.said", kept=kept), title=context.words("here.kept.hint"))


def _placed(context: Context, record: Record) -> html.Span | None:
    if not record.placed:
        return None
    return html.Span(context.words("here.placed"), title=context.words("here.placed.hint"), className="badge")


def _extra(context: Context, record: Record) -> html.Details | None:
    """Return the source's own columns, folded."""
    columns = [(name, value) for name, value in record.extra.items() if value not in (None, "")][:SHOWN_EXTRA]
    if not columns:
        return None
    rows = [
        part
        for name, value in columns
        for part in (html.Dt(foreign.words(name, 40)), html.Dd(foreign.words(str(value), 200)))
    ]
    return html.Details(
        [html.Summary(context.words("here.extra")), html.Dl(rows, className="facts-table")],
        className="here-extra here-wide",
    )


def made(context: Context, job: str, recipe: Recipe, landed: html.Div) -> html.Div:
    """Return a picture that was generated here: its recipe, and what its landing says, as `landing.box` has it."""
    words = context.words
    alt = words("here.made.alt", prompt=foreign.shortened(foreign.marked(recipe.prompt), 200))
    said = words("here.made.recipe", seed=recipe.seed, steps=recipe.steps, guidance=f"{recipe.guidance:g}")
    beside = [
        html.P(foreign.words(recipe.prompt, 400), className="here-caption"),
        html.P(said, className="fine"),
        html.P(words("here.made.title"), className="badge badge-made"),
    ]
    address = f"/api/jobs/{job}/image.png"
    buttons = [
        parts.deed(words("here.fly"), "landing", job),
        parts.deed(words("here.made.way"), "way", job, title=words("here.made.way.hint")),
        parts.deed(words("here.made.again"), "recipe", job),
        parts.report_link(words("here.made.report"), job, title=words("studio.history.report.hint")),
        html.A(words("here.made.download"), href=address, download=f"latent-explorer-{job}.png"),
    ]
    return _own(html.Img(src=address, alt=alt), beside, landed, buttons)


def brought(context: Context, upload: str, landed: html.Div) -> html.Div:
    """Return a picture that the visitor brought, and what its landing says, as `landing.box` has it."""
    words = context.words
    beside = [
        html.P(words("bring.title"), className="here-caption"),
        html.P(words("here.yours.title"), className="badge badge-made"),
        html.P(words("here.yours.kept"), className="fine"),
    ]
    buttons = [
        parts.deed(words("here.fly"), "landing", upload),
        parts.deed(words("bring.again"), "bring", 0),
        parts.deed(words("here.close"), "let-go-upload", upload),
    ]
    image = html.Img(src=f"{UPLOADS}/{upload}/picture.webp", alt=words("here.yours.alt"))
    return _own(image, beside, landed, buttons)


def _own(image: html.Img, beside: list[Any], landed: html.Div, buttons: list[Any]) -> html.Div:
    """Return a picture of the visitor's."""
    return html.Div(
        [
            html.Div(image, className="here-picture here-made"),
            html.Div(beside, className="here-words"),
            landed,
            html.Div(buttons, className="button-row here-wide"),
        ],
        className="here",
    )
