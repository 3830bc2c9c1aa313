"""The map: what it colors by, what it rings, and what a click or a key in it does."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State

from explorer.errors import QueryError
from webapp import ids
from webapp.layout import context_of
from webapp.panels import frame
from webapp.site import Site


def register(app: Dash, site: Site) -> None:
    """Wire the stores to the map, and the map to the address."""
    _follow(app)
    _answer(app)
    _menu(app)

    @app.callback(
        Output(ids.LEGEND, "children"),
        Input(ids.COLOR, "data"),
        Input(ids.QUERY, "data"),
        Input(ids.PICTURE, "data"),
        Input(ids.DONE, "data"),
        Input(ids.UPLOAD, "data"),
        Input(ids.AXIS, "data"),
    )
    def legend(
        color: str | None,
        query: dict[str, Any] | None,
        picture: int | None,
        job: str | None,
        upload: str | None,
        axis: str | None,
    ) -> list[Any]:
        return frame.legend(context_of(site), color or "cluster", compared(site, query, picture, job, upload), axis)


def compared(
    site: Site, query: dict[str, Any] | None, picture: int | None, job: str | None, upload: str | None = None
) -> str | None:
    """Return in words what the map's similarities are measured to, None where there is nothing."""
    if query and query.get("text"):
        return str(query["text"])
    identity = query["like"] if query else picture
    if identity is not None:
        with suppress(QueryError):  # the panel in view says that the picture is not there
            return site.atlas.record(int(identity)).caption
        return None
    if upload:
        return context_of(site).words("bring.title")
    found = site.studio.workspace.job(job) if job else None
    return found.recipe.prompt if found else None


def _follow(app: Dash) -> None:
    """Let the map follow the stores."""
    app.clientside_callback(
        ClientsideFunction("explorer", "selected"),
        Output(ids.MAP, "selected"),
        Output(ids.MAP, "flyTo"),
        Input(ids.PICTURE, "data"),
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "colors"),
        Output(ids.MAP, "colorBy"),
        Output(ids.MAP, "similarityUrl"),
        Output(ids.COLOR_CONTROL, "value"),
        Output(ids.MAP, "space"),
        Output(ids.SPACE_CONTROL, "value"),
        Input(ids.COLOR, "data"),
        Input(ids.QUERY, "data"),
        Input(ids.PICTURE, "data"),
        Input(ids.DONE, "data"),
        Input(ids.UPLOADED, "data"),
        Input(ids.SPACE, "data"),
        Input(ids.AXIS, "data"),
        State(ids.CONFIG, "data"),
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "drawn"),
        Output(ids.MAP, "trajectory"),
        Output(ids.MAP, "landing"),
        Output(ids.MAP, "flyTo", allow_duplicate=True),
        Input(ids.LIVE, "data"),
        Input(ids.UPLOADED, "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "same"), Output(ids.MAP, "highlighted"), Input(ids.FOUND_IDS, "data")
    )


def _answer(app: Dash) -> None:
    """Let the page follow the map."""
    app.clientside_callback(ClientsideFunction("explorer", "clicked"), Input(ids.MAP, "clicked"))
    app.clientside_callback(
        ClientsideFunction("explorer", "commanded"),
        Input(ids.MAP, "command"),
        State(ids.MAP, "neighbors"),
        State(ids.FOUND_IDS, "data"),
    )
    app.clientside_callback(ClientsideFunction("explorer", "watch"), Input(ids.MAP, "ready"))


def _menu(app: Dash) -> None:
    """Let the menu's entries do what they say."""
    app.clientside_callback(
        ClientsideFunction("explorer", "theme"),
        Output(ids.PROVIDER, "forceColorScheme"),
        Output(ids.MAP, "theme"),
        Output(ids.THEME, "data"),
        Input(ids.THEME_BUTTON, "n_clicks"),
        Input(ids.THEME, "modified_timestamp"),
        State(ids.THEME, "data"),
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "count"),
        Output(ids.MAP, "savePng"),
        Input(ids.SAVE_BUTTON, "n_clicks"),
        prevent_initial_call=True,
    )
    for name, deed in ((ids.HIDE, "hide"), (ids.RESET_BUTTON, "reset"), (ids.KEYS_BUTTON, "keys")):
        app.clientside_callback(
            ClientsideFunction("explorer", deed), Input(name, "n_clicks"), prevent_initial_call=True
        )
