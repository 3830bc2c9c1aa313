"""What a search found: a strip of cards below the map, its count, its split, its export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from explorer.records import Hit, Split
from webapp import foreign, ids
from webapp.panels.parts import Context, deed, empty, exports, picture_button, split_badge
from webapp.strings import number

CARD = 88
"""Side of a thumbnail in the strip, CSS pixels."""


def panel(context: Context, has_heldout: bool) -> html.Section:
    """Return the strip, empty and out of sight until something is searched for."""
    words = context.words
    close = words("search.clear")
    choices = ["train", "heldout", "all"]
    names = {
        "train": words("found.split.train" if context.relation.is_training else "found.split.corpus"),
        "heldout": words("found.split.heldout"),
        "all": words("found.split.all"),
    }
    split = dmc.SegmentedControl(
        id=ids.FOUND_SPLIT,
        data=[{"value": choice, "label": names[choice]} for choice in choices],
        value="train",
        size="xs",
        radius="xl",
        **{"aria-label": words("found.split")},
    )
    return html.Section(
        [
            html.Div(
                [
                    html.Div(id=ids.FOUND_HEAD, className="found-head", role="status"),
                    html.Div(split, id=ids.FOUND_SPLIT_BOX, hidden=not has_heldout),
                    html.Div(id=ids.FOUND_EXPORT),
                    deed("×", "end-search", 0, className="close", title=close, **{"aria-label": close}),
                ],
                className="found-bar",
            ),
            html.Div(empty(words("found.empty")), id=ids.FOUND_CARDS, className="found-cards"),
            html.Div(words("found.busy"), id=ids.FOUND_BUSY, className="found-busy", hidden=True, role="status"),
            dcc.Store(id=ids.FOUND_IDS),
        ],
        id=ids.FOUND,
        className="found",
        hidden=True,
        **{"aria-label": words("found.sheet")},
    )


def head(context: Context, query: str, count: int, like: bool) -> list[Any]:
    """Return what was searched for and how much was found."""
    key = "found.like" if like else "found.title"
    return [
        html.H2(context.words(key, query=foreign.quoted(query)), className="panel-title"),
        html.Span(context.words("found.count", count=number(count)), className="count"),
    ]


def cards(context: Context, hits: Sequence[Hit], query: str) -> list[Any]:
    """Return the cards, most similar first, or the words for an empty answer."""
    if not hits:
        none = context.words("found.none", query=foreign.quoted(query))
        return [empty(none), html.P(context.words("found.sample"), className="caveat")]
    return [_card(context, hit) for hit in hits]


def _card(context: Context, hit: Hit) -> html.Figure:
    held_out = [split_badge(context, hit.split)] if hit.split is Split.HELDOUT else []
    number_title = context.words("nearest.exact.text", similarity=hit.similarity)
    return html.Figure(
        [
            picture_button(context, hit.id, hit.caption, CARD),
            html.Figcaption(
                [
                    foreign.words(hit.caption, 120, className="one-line"),
                    html.Span([html.Span(f"{hit.similarity:.2f}", title=number_title), *held_out], className="fine"),
                ]
            ),
        ],
        className="found-card",
    )


def export(context: Context, hits: Sequence[Hit], space: str) -> html.Details | None:
    """Return the export of exactly the pictures that were found."""
    if not hits:
        return None
    chosen = ",".join(str(hit.id) for hit in hits)
    return exports(context, context.words("export.found"), "found", ids=chosen, space=space)
