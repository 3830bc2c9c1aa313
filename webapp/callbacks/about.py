"""The dialog about the atlas: two buttons open it."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output

from webapp import ids
from webapp.site import Site


def register(app: Dash, site: Site) -> None:
    """Wire the buttons to the dialog."""
    del site
    app.clientside_callback(
        ClientsideFunction("explorer", "opened"),
        Output(ids.ABOUT, "opened"),
        Input(ids.ABOUT_BUTTON, "n_clicks"),
        Input(ids.CREDIT, "n_clicks"),
        prevent_initial_call=True,
    )
