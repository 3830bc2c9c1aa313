"""Search by words and by a picture of the collection, among the pictures that meet the filter, or the filter alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from dash import Dash, Input, Output

from explorer import filters, search
from explorer.errors import ExplorerError
from explorer.records import Hit, Split
from webapp import ids, queries
from webapp.layout import context_of
from webapp.panels import filters as panel
from webapp.panels import found, parts
from webapp.panels.found import AT_MOST as SHOWN
from webapp.site import Site


@dataclass(frozen=True)
class Strip:
    """What the strip shows, and what the map is told.

    Attributes:
        ids: what was found, for the map to light up; None where nothing was searched for.
        matches: where the map finds the filter's answer; None where there is none. What was found goes before it.
    """

    head: Any = None
    cards: Any = None
    export: Any = None
    conditions: Any = None
    ids: list[int] | None = None
    matches: str | None = None


def register(app: Dash, site: Site) -> None:
    """Answer the query and the conditions in the address."""
    has_heldout = bool((~site.atlas.train).any())

    @app.callback(
        Output(ids.FOUND_HEAD, "children"),
        Output(ids.FOUND_CARDS, "children"),
        Output(ids.FOUND_EXPORT, "children"),
        Output(ids.FOUND_CONDITIONS, "children"),
        Output(ids.FOUND_IDS, "data"),
        Output(ids.MAP, "matchesUrl"),
        Output(ids.FOUND_SPLIT_BOX, "hidden"),
        Input(ids.QUERY, "data"),
        Input(ids.WHERE, "data"),
        Input(ids.SPACE, "data"),
        running=[(Output(ids.FOUND_BUSY, "hidden"), False, True)],
    )
    def answer(query: dict[str, Any] | None, where: str | None, space: str | None) -> tuple[Any, ...]:
        strip = strip_of(site, query, where, space or site.atlas.spaces[0])
        split_is_out = not (has_heldout and query)
        return strip.head, strip.cards, strip.export, strip.conditions, strip.ids, strip.matches, split_is_out


def strip_of(site: Site, query: dict[str, Any] | None, where: str | None, space: str) -> Strip:
    """Return what the strip shows for a query, conditions, or both."""
    context = context_of(site)
    if not query and not where:
        return Strip(cards=parts.empty(context.words("found.empty")))
    try:
        return _found(site, query, where, space) if query else _filtered(site, where or "", space)
    except ExplorerError as error:
        return Strip(cards=parts.alarm(context, str(error)), ids=[])


def ask(site: Site, query: dict[str, Any], space: str, among: search.Mask | None = None) -> tuple[tuple[Hit, ...], str]:
    """Return what a query of the address finds, and the query in words.

    Words are compared in `clip`, whichever map is in view; a picture in the space of the map.
    """
    split = None if query["split"] == "all" else Split(query["split"])
    if "text" in query:
        return search.search_text(site.atlas, site.models, query["text"], SHOWN, split, among), query["text"]
    identity = int(query["like"])
    hits = search.search_id(site.atlas, identity, space, SHOWN, split, among)
    return hits, site.atlas.record(identity).caption


def _found(site: Site, query: dict[str, Any], where: str | None, space: str) -> Strip:
    context, conditions = context_of(site), queries.conditions(where)
    among = filters.matching(site.atlas, conditions) if conditions else None
    hits, name = ask(site, query, space, among)
    return Strip(
        head=found.head(context, name, len(hits), like="like" in query),
        cards=found.cards(context, hits, name),
        export=found.export(context, hits, space),
        conditions=panel.chips(context, conditions),
        ids=[hit.id for hit in hits],
        matches=_matches(site, where) if where else None,
    )


def _filtered(site: Site, where: str, space: str) -> Strip:
    context, atlas, conditions = context_of(site), site.atlas, queries.conditions(where)
    mask = filters.matching(atlas, conditions)
    shown = atlas.ids[mask][:SHOWN]
    flagged = atlas.flagged[mask]
    return Strip(
        head=found.filtered_head(context, int(mask.sum()), int(atlas.allowed(None).sum())),
        cards=found.filtered_cards(context, atlas.records(shown), flagged[:SHOWN].tolist()),
        export=found.filtered_export(context, where, int(flagged.sum()), space) if len(shown) else None,
        conditions=panel.chips(context, conditions),
        matches=_matches(site, where),
    )


def _matches(site: Site, where: str) -> str:
    """Return where the map gets the rows that meet conditions."""
    return f"/api/v/{site.atlas.version}/matches.bin?{urlencode({'where': where})}"
