"""The address bar: every address becomes the stores that the panels listen to, and every button writes one."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output, State

from webapp import ids
from webapp.site import Site


def register(app: Dash, site: Site) -> None:
    """Wire the address to the stores, and to what changes it."""
    del site
    app.clientside_callback(
        ClientsideFunction("explorer", "read"),
        *(Output(name, "data") for name in ids.ADDRESS_PARTS),
        Input(ids.ADDRESS, "search"),
        State(ids.CONFIG, "data"),
        *(State(name, "data") for name in ids.ADDRESS_PARTS),
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "choose"),
        Input(ids.SPACE_CONTROL, "value"),
        Input(ids.COLOR_CONTROL, "value"),
        Input(ids.FOUND_SPLIT, "value"),
        State(ids.CONFIG, "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "search"),
        Input(ids.SEARCH, "n_submit"),
        State(ids.SEARCH, "value"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "unsearch"), Input(ids.SEARCH_CLEAR, "n_clicks"), prevent_initial_call=True
    )
