"""Search by words and by a picture of the collection."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output

from explorer import search
from explorer.errors import ExplorerError
from explorer.records import Hit, Split
from webapp import ids
from webapp.layout import context_of
from webapp.panels import found, parts
from webapp.site import Site

SHOWN = 60
"""Pictures that a search finds."""


def register(app: Dash, site: Site) -> None:
    """Answer the query in the address."""
    context = context_of(site)

    @app.callback(
        Output(ids.FOUND_HEAD, "children"),
        Output(ids.FOUND_CARDS, "children"),
        Output(ids.FOUND_EXPORT, "children"),
        Output(ids.FOUND_IDS, "data"),
        Input(ids.QUERY, "data"),
        Input(ids.SPACE, "data"),
        running=[(Output(ids.FOUND_BUSY, "hidden"), False, True)],
    )
    def answer(query: dict[str, Any] | None, space: str | None) -> tuple[Any, Any, Any, list[int] | None]:
        if not query:
            return None, parts.empty(context.words("found.empty")), None, None
        space = space or site.atlas.spaces[0]
        try:
            hits, name = ask(site, query, space)
        except ExplorerError as error:
            return None, parts.alarm(context.words("error.title"), str(error)), None, []
        head = found.head(context, name, len(hits), like="like" in query)
        return head, found.cards(context, hits, name), found.export(context, hits, space), [hit.id for hit in hits]


def ask(site: Site, query: dict[str, Any], space: str) -> tuple[tuple[Hit, ...], str]:
    """Return what a query of the address finds, and the query in words.

    Words are compared in `clip`, whichever map is in view; a picture in the space of the map.
    """
    split = None if query["split"] == "all" else Split(query["split"])
    if "text" in query:
        return search.search_text(site.atlas, site.models, query["text"], SHOWN, split), query["text"]
    identity = int(query["like"])
    hits = search.search_id(site.atlas, identity, space, SHOWN, split)
    return hits, site.atlas.record(identity).caption
