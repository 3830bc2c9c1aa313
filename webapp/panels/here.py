"""The picture in view: one of the collection with all that is known of it, or one generated here with its recipe."""

from __future__ import annotations

from typing import Any

from dash import html

from explorer.records import Cluster, Recipe, Record, Verdict
from webapp import foreign, ids
from webapp.panels import parts
from webapp.panels.parts import Context

SHOWN_TAGS = 12
SHOWN_EXTRA = 20


def panel(context: Context) -> html.Details:
    """Return the panel, saying what would fill it."""
    body = html.Div(parts.empty(context.words("here.empty")), id=ids.HERE_BODY)
    return parts.panel(ids.HERE, context.words("here.title"), body)


def gone(context: Context, picture: int) -> html.Div:
    """Return what is said about an id that this atlas does not have."""
    return parts.alarm(context.words("error.title"), context.words("here.gone", id=picture))


def picture(context: Context, record: Record, cluster: Cluster | None, job: str | None) -> html.Div:
    """Return a picture of the collection.

    Args:
        cluster: its cluster on the map in view.
        job: the generated picture that also stands in the map, if any: a way back to it.
    """
    words = context.words
    caption = foreign.shortened(foreign.marked(record.caption), 200)
    image = html.Img(
        src=context.thumbnail(record.id), alt=words("here.picture.alt", caption=caption), className="here-picture"
    )
    beside = [
        html.P(foreign.words(record.caption, 400), className="here-caption"),
        _others(record),
        _buttons(context, record, job),
    ]
    return html.Div(
        [
            image,
            html.Div(beside, className="here-words"),
            html.Dl(_facts(context, record, cluster), className="facts-table here-wide"),
            _extra(context, record),
        ],
        className="here",
    )


def _others(record: Record) -> html.P | None:
    """Return the captions in other languages."""
    others = [(code, text) for code, text in record.captions.items() if text != record.caption]
    if not others:
        return None
    return html.P([foreign.words(text, 200, lang=code) for code, text in others], className="here-others")


def _buttons(context: Context, record: Record, job: str | None) -> html.Div:
    words = context.words
    back = words("here.close") if job is None else words("here.made.back")
    return html.Div(
        [
            parts.deed(words("here.similar"), "like", record.id),
            parts.deed(words("here.try"), "prompt", record.caption),
            parts.deed(words("here.fly"), "open", record.id),
            parts.deed(back, "let-go", record.id),
        ],
        className="button-row",
    )


def _facts(context: Context, record: Record, cluster: Cluster | None) -> list[Any]:
    words = context.words
    unknown = words("here.unknown")
    licence = foreign.words(record.licence, 60) if record.licence else unknown
    tags = [foreign.words(tag, 40, className="tag") for tag in record.tags[:SHOWN_TAGS]]
    rows = {
        "here.source": parts.source_link(context, record.page_url, record.image_url) or unknown,
        "here.licence": foreign.link(record.licence_url, licence) or licence,
        "here.author": foreign.words(record.author, 80) if record.author else unknown,
        "here.split": parts.split_badge(context, record.split),
        "here.group": foreign.words(record.group, 80) if record.group else None,
        "here.cluster": foreign.words(cluster.label, 80) if cluster and cluster.label else None,
        "here.tags": tags or None,
        "here.id": str(record.id),
    }
    shown = [(words(key), value) for key, value in rows.items() if value is not None]
    return [part for term, value in shown for part in (html.Dt(term), html.Dd(value))]


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


def made(context: Context, job: str, recipe: Recipe, verdict: Verdict, notes: tuple[str, ...]) -> html.Div:
    """Return a picture that was generated here: its recipe, and what its landing says."""
    words = context.words
    alt = words("here.made.alt", prompt=foreign.shortened(foreign.marked(recipe.prompt), 200))
    said = words("here.made.recipe", seed=recipe.seed, steps=recipe.steps, guidance=f"{recipe.guidance:g}")
    beside = [
        html.P(foreign.words(recipe.prompt, 400), className="here-caption"),
        html.P(said, className="fine"),
        html.P(words("here.made.title"), className="badge badge-made"),
    ]
    return html.Div(
        [
            html.Img(src=f"/api/jobs/{job}/image.png", alt=alt, className="here-picture here-made"),
            html.Div(beside, className="here-words"),
            _verdict(context, verdict, notes),
            _made_buttons(context, job),
        ],
        className="here",
    )


def _verdict(context: Context, verdict: Verdict, notes: tuple[str, ...]) -> html.Div:
    words = context.words
    name = verdict.name.value
    return html.Div(
        [
            html.Span(words("verdict.label"), className="verdict-label"),
            html.Strong(words(f"verdict.{name}"), className=f"verdict-{name}"),
            html.P(words("verdict.rule", rule=verdict.rule), className="fine"),
            *(html.P(note, className="fine") for note in notes),
        ],
        className="verdict-box here-wide",
    )


def _made_buttons(context: Context, job: str) -> html.Div:
    words = context.words
    save = html.A(words("here.made.download"), href=f"/api/jobs/{job}/image.png", download=f"latent-explorer-{job}.png")
    return html.Div(
        [
            parts.deed(words("here.fly"), "landing", job),
            parts.deed(words("here.made.again"), "recipe", job),
            save,
        ],
        className="button-row here-wide",
    )
