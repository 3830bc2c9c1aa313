"""What happens when something on the page is touched: one file a panel, each with `register(app, site)`."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output

from webapp import ids
from webapp.callbacks import (
    about,
    address,
    audits,
    clusters,
    filters,
    here,
    history,
    map,
    search,
    studio,
    uploads,
    way,
)
from webapp.site import Site


def register(app: Dash, site: Site) -> None:
    """Wire every panel; nothing is wired at import, so that two apps live in one process."""
    for panel in (address, map, search, filters, uploads, studio, history, way, here, clusters, audits, about):
        panel.register(app, site)
    app.clientside_callback(
        ClientsideFunction("explorer", "searched"),
        Output(ids.SEARCH, "value"),
        Output(ids.FOUND_SPLIT, "value"),
        Output(ids.FOUND, "hidden"),
        Input(ids.QUERY, "data"),
        Input(ids.WHERE, "data"),
    )
