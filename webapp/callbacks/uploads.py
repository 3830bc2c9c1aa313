"""The picture that the visitor brings: the address names it, the browser asks where it landed."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output, State

from webapp import ids
from webapp.site import Site


def register(app: Dash, site: Site) -> None:
    """Wire the address to the landing; dropping and choosing are scripts."""
    del site
    app.clientside_callback(
        ClientsideFunction("explorer", "uploaded"),
        Output(ids.UPLOADED, "data"),
        Input(ids.UPLOAD, "data"),
        State(ids.CONFIG, "data"),
        State(ids.BRING_TABLE, "data"),
    )
