"""What a search or a filter found: a strip of cards below the map, its count, its split, its conditions, its export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from explorer.records import Hit, Record, Split
from webapp import foreign, ids
from webapp.panels.parts import Context, deed, empty, exports, flag_badge, picture_button, split_badge
from webapp.strings import number

AT_MOST = 60
"""Cards in the strip."""

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
            html.Div(id=ids.FOUND_CONDITIONS, className="found-conditions"),
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
    title = context.words(key, query=foreign.quoted(query))
    return _head(title, context.words("found.count", count=number(count)))


def filtered_head(context: Context, count: int, everything: int) -> list[Any]:
    """Return how many pictures meet the conditions, where nothing was searched for."""
    words = context.words
    said = words("found.matches", count=number(count), all=number(everything))
    if count > AT_MOST:
        said = f"{said}; {words('found.first', count=number(AT_MOST))}"
    return _head(words("found.filtered"), said)


def _head(title: str, said: str) -> list[Any]:
    return [html.H2(title, className="panel-title"), html.Span(said, className="count")]


def cards(context: Context, hits: Sequence[Hit], query: str) -> list[Any]:
    """Return the cards, most similar first, or the words for an empty answer."""
    if not hits:
        none = context.words("found.none", query=foreign.quoted(query))
        return [empty(none), html.P(context.words("found.limits"), className="caveat")]
    return [_found_card(context, hit) for hit in hits]


def filtered_cards(context: Context, records: Sequence[Record], flagged: Sequence[bool]) -> list[Any]:
    """Return the cards of pictures that meet the conditions, or the words for none.

    Args:
        flagged: whether each is flagged as unsafe.
    """
    if not records:
        return [empty(context.words("found.nothing"))]
    return [
        _card(context, record.id, record.caption, [*_marks(context, record.split, unsafe)])
        for record, unsafe in zip(records, flagged, strict=True)
    ]


def _found_card(context: Context, hit: Hit) -> html.Figure:
    exact = context.words("nearest.exact.text", similarity=hit.similarity)
    similarity = html.Span(f"{hit.similarity:.2f}", title=exact)
    return _card(context, hit.id, hit.caption, [similarity, *_marks(context, hit.split, hit.flagged)])


def _marks(context: Context, split: Split, flagged: bool) -> list[html.Span]:
    held_out = [split_badge(context, split)] if split is Split.HELDOUT else []
    return [*held_out, *([flag_badge(context)] if flagged else [])]


def _card(context: Context, picture: int, caption: str, below: list[Any]) -> html.Figure:
    words = foreign.words(caption, 120, className="one-line")
    return html.Figure(
        [
            picture_button(context, picture, caption, CARD),
            html.Figcaption([words, html.Span(below, className="fine")]),
        ],
        className="found-card",
    )


def export(context: Context, hits: Sequence[Hit], space: str) -> html.Details | None:
    """Return the export of exactly the pictures that were found."""
    if not hits:
        return None
    chosen = ",".join(str(hit.id) for hit in hits)
    flagged = sum(hit.flagged for hit in hits)
    return exports(context, context.words("export.found"), "found", flagged, ids=chosen, space=space)


def filtered_export(context: Context, where: str, flagged: int, space: str) -> html.Details:
    """Return the export of all pictures that meet the conditions."""
    return exports(context, context.words("export.found.matches"), "filtered", flagged, where=where, space=space)
