"""What stands around the panels: the top bar, the legend, the sheets of a small screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import html

from webapp import figures, foreign, ids
from webapp.panels import parts
from webapp.panels.parts import Context
from webapp.strings import Words, number

SHEET_PANELS = (ids.FOUND, ids.STUDIO, ids.HERE, ids.CLUSTERS)
"""What slides over one another where there is no room for columns, in the order of the tabs."""


@dataclass(frozen=True)
class Offers:
    """What the top bar offers.

    Attributes:
        spaces: the maps.
        count: of the pictures that can be searched.
        words: whether they can be searched by words.
        uploads: whether the visitor may bring a picture.
        colors: what the map can be colored by, the usual first.
    """

    spaces: Sequence[str]
    count: int
    words: bool
    uploads: bool
    colors: Sequence[str]


def top_bar(context: Context, offers: Offers) -> html.Header:
    """Return a way past it all to the map, brand, search line, map switch, colors, and the menu of what few need."""
    words = context.words
    return html.Header(
        [
            html.A(words("frame.skip"), href=f"#{ids.MAP}", className="skip"),
            html.A(
                [html.Span(className="brand-mark", **{"aria-hidden": "true"}), words("frame.title")],
                href="/",
                className="brand",
            ),
            _search_line(words, offers),
            html.Div(
                [_space_switch(words, offers.spaces), _color_select(words, offers.colors), _menu(words)],
                className="top-tools",
            ),
        ],
        className="top",
    )


def _search_line(words: Words, offers: Offers) -> html.Div:
    clear = dmc.ActionIcon(
        html.Span("×", **{"aria-hidden": "true"}),
        id=ids.SEARCH_CLEAR,
        n_clicks=0,
        size="md",
        variant="transparent",
        color="gray",
        **{"aria-label": words("search.clear")},
    )
    bring = parts.deed(words("search.bring"), "bring", 0, className="in-line", title=words("search.bring.hint"))
    filters = parts.deed(words("search.filter"), "filter", 0, className="in-line", title=words("search.filter.hint"))
    ways = [clear, bring, filters] if offers.uploads else [clear, filters]
    line = dmc.TextInput(
        id=ids.SEARCH,
        placeholder=_invitation(words, offers),
        disabled=not offers.words,
        rightSection=html.Div(ways, className="search-ways"),
        rightSectionWidth=152 if offers.uploads else 90,
        rightSectionPointerEvents="all",
        size="sm",
        radius="xl",
        className="search-line",
        autoComplete="off",
        attributes={"input": {"maxLength": 500, "enterKeyHint": "search"}},
        **{"aria-label": words("search.label")},
    )
    return html.Div(line, role="search", className="search")


def _invitation(words: Words, offers: Offers) -> str:
    if not offers.words:
        return words("search.placeholder.wordless")
    key = "search.placeholder.drop" if offers.uploads else "search.placeholder"
    return words(key, count=number(offers.count))


def _space_switch(words: Words, spaces: Sequence[str]) -> dmc.SegmentedControl:
    return dmc.SegmentedControl(
        id=ids.SPACE_CONTROL,
        data=[{"value": space, "label": words(f"frame.space.{space}")} for space in spaces],
        value=spaces[0],
        size="xs",
        radius="xl",
        className="space-switch" if len(spaces) > 1 else "space-switch away",
        attributes={"root": {"title": words("frame.space.hint")}},
        **{"aria-label": words("frame.space")},
    )


def _color_select(words: Words, kinds: Sequence[str]) -> dmc.Select:
    return dmc.Select(
        id=ids.COLOR_CONTROL,
        data=[{"value": kind, "label": words(f"frame.color.{kind}")} for kind in kinds],
        value=kinds[0],
        size="xs",
        radius="xl",
        allowDeselect=False,
        className="color-select",
        comboboxProps={"shadow": "md"},
        leftSection=html.Span(className="color-ring", **{"aria-hidden": "true"}),
        **{"aria-label": words("frame.color")},
    )


def _menu(words: Words) -> dmc.Menu:
    entries = (
        (ids.AUDITS_BUTTON, "frame.audits"),
        (ids.ABOUT_BUTTON, "frame.about"),
        (ids.THEME_BUTTON, "frame.theme"),
        (ids.HIDE, "frame.panels"),
        (ids.RESET_BUTTON, "frame.reset"),
        (ids.SAVE_BUTTON, "frame.save"),
        (ids.KEYS_BUTTON, "frame.keys"),
    )
    target = dmc.Button(words("frame.more"), variant="default", size="xs", radius="xl", className="more")
    return dmc.Menu(
        [
            dmc.MenuTarget(target),
            # mounted from the start: a callback's inputs must be in the page
            dmc.MenuDropdown([dmc.MenuItem(words(key), id=name, n_clicks=0) for name, key in entries]),
        ],
        position="bottom-end",
        shadow="md",
        keepMounted=True,
    )


def legend(context: Context, color: str, query: str | None = None, axis: str | None = None) -> list[Any]:
    """Return what the colors of the map mean.

    Args:
        query: names what similarity is measured to.
        axis: its two ends, one a line.
    """
    words = context.words
    if color == "axis":
        return _axis(words, (axis or "\n").split("\n"))
    if color == "split":
        train = words("legend.train") if context.relation.is_training else words("legend.corpus")
        return [_key(0, train), _key(1, words("legend.heldout"))]
    if color == "similarity" and query is None:
        return [html.Span(words("legend.similarity.none"), className="legend-words")]
    if color == "similarity":
        high = words("legend.similarity.high", query=foreign.quoted(query or "", 24))
        return _ramp(words("legend.similarity.low"), high)
    if color == "overlap":
        return _ramp(words("legend.overlap.low"), words("legend.overlap.high"))
    return []


def _axis(words: Words, ends: Sequence[str]) -> list[Any]:
    """Return the two phrases between which pictures are colored, to be written over."""
    low, high = (
        dmc.TextInput(
            id=f"axis-{end}",
            value=text,
            placeholder=words(f"legend.axis.{end}"),
            size="xs",
            radius="xl",
            className="axis-end",
            attributes={"input": {"maxLength": 200}},
            **{"aria-label": words(f"legend.axis.{end}")},
        )
        for end, text in zip(("low", "high"), ends, strict=True)
    )
    ramp = html.Span(className="ramp", **{"aria-hidden": "true"})
    return [low, ramp, high, html.Span(words("legend.axis.limits"), className="legend-words legend-limits")]


def _ramp(low: str, high: str) -> list[Any]:
    return [
        html.Span(low, className="legend-words"),
        html.Span(className="ramp", **{"aria-hidden": "true"}),
        html.Span(high, className="legend-words"),
    ]


def _key(slot: int, words: str) -> html.Span:
    dot = html.Span(className=f"dot dot-{slot % len(figures.PALETTE['dark'])}", **{"aria-hidden": "true"})
    return html.Span([dot, words], className="legend-key")


def bring_box(words: Words) -> html.Section:
    """Return what is said while a picture of the visitor's is being looked at; scripts fill it."""
    close = words("bring.close")
    return html.Section(
        [
            html.Div(
                [
                    html.H2(words("bring.title"), className="panel-title"),
                    parts.deed("×", "bring-close", 0, className="close", title=close, **{"aria-label": close}),
                ],
                className="box-head",
            ),
            html.P(id=ids.BRING_WORDS, role="status"),
            html.P(id=ids.BRING_DETAIL, className="fine"),
            html.Div(html.Span(), className="bar", **{"aria-hidden": "true"}),
            html.Div(
                [
                    parts.deed(words("bring.cancel"), "bring-close", 0, className="button bring-cancel"),
                    parts.deed(words("bring.again"), "bring", 0, className="button bring-again"),
                ],
                className="button-row",
            ),
        ],
        id=ids.BRING,
        className="box box-bring",
        **{"aria-label": words("bring.title")},
    )


def sheets(words: Words) -> html.Nav:
    """Return the tabs of a small screen, one a panel."""
    titles = {
        ids.FOUND: words("found.sheet"),
        ids.STUDIO: words("studio.title"),
        ids.HERE: words("here.title"),
        ids.CLUSTERS: words("clusters.title"),
    }
    tabs = [parts.deed(titles[name], "sheet", name, className="sheet-tab") for name in SHEET_PANELS]
    return html.Nav(tabs, id=ids.SHEETS, className="sheets", **{"aria-label": words("frame.sheets")})
