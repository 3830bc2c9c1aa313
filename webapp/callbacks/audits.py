"""The dialog of audits: the list, or the audit that the address names, as far as it concerns the map in view."""

from __future__ import annotations

import functools
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, no_update

from explorer.errors import ExplorerError
from webapp import audits, ids
from webapp.layout import context_of
from webapp.panels import audits as panel
from webapp.panels import parts
from webapp.site import Site


def register(app: Dash, site: Site) -> None:
    """Wire the menu's entry and the address to the dialog."""
    context = context_of(site)
    app.clientside_callback(
        ClientsideFunction("explorer", "audited"),
        Output(ids.AUDITS, "opened"),
        Input(ids.AUDIT, "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "listAudits"), Input(ids.AUDITS_BUTTON, "n_clicks"), prevent_initial_call=True
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "leaveAudits"),
        Input(ids.AUDITS, "opened"),
        State(ids.AUDIT, "data"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output(ids.AUDITS_BODY, "children"),
        Input(ids.AUDIT, "data"),
        Input(ids.SPACE, "data"),
        prevent_initial_call=True,
    )
    def shown(name: str | None, space: str | None) -> Any:  # noqa: ANN401 - as Dash has them
        if name is None:
            return no_update
        try:
            if name == panel.LIST:
                return panel.listed(context, audits.listed(site))
            told = audits.document(site, name)
        except ExplorerError as error:
            return parts.alarm(context, str(error))
        if told is None:
            return panel.gone(context)
        return panel.audit(context, told, space or site.atlas.spaces[0], functools.partial(audits.neighbor, site))
