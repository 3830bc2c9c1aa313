"""The pictures nearest to the one in view: cards with their words, and what such a list may mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html

from explorer.records import Hit
from webapp import foreign, ids
from webapp.panels import parts
from webapp.panels.parts import Context
from webapp.strings import number

THUMBNAIL = 64
"""Side of a card's thumbnail, CSS pixels."""


def panel(context: Context) -> html.Details:
    """Return the panel, saying what would fill it."""
    title = html.Span(context.words.ruled("nearest.title", context.relation), id=ids.NEAREST_TITLE)
    body = html.Div(parts.empty(context.words("nearest.empty")), id=ids.NEAREST_BODY)
    return parts.panel(ids.NEAREST, title, body)


def pending(context: Context) -> html.P:
    """Return what is said while a picture is being generated."""
    return parts.empty(context.words("nearest.pending"))


def cards(context: Context, families: Sequence[Hit], space: str, via: str | None = None) -> list[Any]:
    """Return one card a family, and below them what a list of neighbors is and is not.

    Args:
        via: how a generated picture's vector came about; `picture` is said where the latent could not be used.
    """
    return [html.Ol([_card(context, hit) for hit in families], className="cards"), _caveats(context, space, via)]


def _card(context: Context, hit: Hit) -> html.Li:
    words = context.words
    hint = words("nearest.try.hint")
    attempt = parts.deed(words("nearest.try"), "prompt", hit.caption, className="text-button", title=hint)
    facts = [
        parts.flag_badge(context) if hit.flagged else None,
        parts.split_badge(context, hit.split),
        _variants(context, hit.variants) if hit.variants else None,
        foreign.words(hit.licence, 24, className="licence") if hit.licence else _unlicensed(context),
        *parts.source_links(context, hit.page_url, hit.image_url),
        attempt,
    ]
    return html.Li(
        [
            parts.picture_button(context, hit.id, hit.caption, THUMBNAIL),
            html.Div(
                [
                    foreign.words(hit.caption, 160, className="caption"),
                    parts.nearness(context, hit),
                    html.P([fact for fact in facts if fact is not None], className="facts"),
                ],
                className="card-words",
            ),
        ],
        className="card",
    )


def _variants(context: Context, count: int) -> html.Span:
    hint = context.words("nearest.variants.hint", count=number(count))
    return html.Span(context.words("nearest.variants", count=number(count)), title=hint, className="badge")


def _unlicensed(context: Context) -> html.Span:
    return html.Span(context.words("nearest.licence.unknown"), className="licence")


def _caveats(context: Context, space: str, via: str | None) -> html.Div:
    words = context.words
    said = [
        words("nearest.resemblance"),
        words("nearest.vectors", space=words(f"frame.space.{space}")),
        words(f"nearest.{context.relation}"),
    ]
    if context.families:
        said.append(words("nearest.families"))
    if via == "picture" and space == "vae":
        said.append(words("nearest.via.picture"))
    return html.Div([html.P(sentence) for sentence in said], className="caveats")
