"""The studio: a prompt becomes a job, the job's events become what is seen, and the browser remembers its jobs."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, no_update

from explorer.errors import ExplorerError
from explorer.records import Recipe
from webapp import ids
from webapp.layout import context_of
from webapp.panels import parts
from webapp.site import Site


def register(app: Dash, site: Site) -> None:
    """Wire the form to the queue, and the queue to the page."""
    _submit(app, site)
    _live(app)
    app.clientside_callback(
        ClientsideFunction("explorer", "dice"),
        Output(ids.SEED, "value"),
        Input(ids.DICE, "n_clicks"),
        prevent_initial_call=True,
    )


def _submit(app: Dash, site: Site) -> None:
    context = context_of(site)

    @app.callback(
        Output(ids.SUBMITTED, "data"),
        Output(ids.STUDIO_ERROR, "children"),
        Input(ids.GENERATE, "n_clicks"),
        State(ids.PROMPT, "value"),
        State(ids.SEED, "value"),
        State(ids.STEPS, "value"),
        State(ids.GUIDANCE, "value"),
        prevent_initial_call=True,
        running=[(Output(ids.GENERATE, "loading"), True, False)],
    )
    def submit(_: int, prompt: str | None, seed: Any, steps: Any, guidance: Any) -> tuple[Any, Any]:  # noqa: ANN401
        if not (prompt or "").strip():
            return no_update, parts.alarm(context, context.words("studio.error.prompt"))
        try:
            ticket = site.studio.submit(Recipe(str(prompt).strip(), "", int(seed), int(steps), float(guidance)))
        except (TypeError, ValueError):
            return no_update, parts.alarm(context, context.words("studio.error.number"))
        except ExplorerError as error:
            return no_update, parts.alarm(context, str(error))
        return {"job": ticket.job, "key": ticket.key}, None


def _live(app: Dash) -> None:
    """Follow the job in the address; all of it happens in the browser."""
    app.clientside_callback(ClientsideFunction("explorer", "follow"), Input(ids.JOB, "data"))
    app.clientside_callback(
        ClientsideFunction("explorer", "cancel"), Input(ids.CANCEL, "n_clicks"), prevent_initial_call=True
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "shown"),
        Output(ids.LIVE_WORDS, "children"),
        Output(ids.LIVE_BAR, "value"),
        Output(ids.LIVE_PREVIEW, "src"),
        Output(ids.LIVE_NEAREST, "src"),
        Output(ids.LIVE_BOX, "className"),
        Output(ids.CANCEL, "disabled"),
        Input(ids.LIVE, "data"),
        Input(ids.SPACE, "data"),
        State(ids.LIVE_TABLE, "data"),
        State(ids.CONFIG, "data"),
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "models"),
        Output(ids.MODELS_WORDS, "children"),
        Output(ids.STEPS, "value", allow_duplicate=True),
        Output(ids.GUIDANCE, "value", allow_duplicate=True),
        Input(ids.MODELS, "data"),
        State(ids.LIVE_TABLE, "data"),
        State(ids.CONFIG, "data"),
        State(ids.STEPS, "value"),
        State(ids.GUIDANCE, "value"),
        prevent_initial_call=True,
    )
    app.clientside_callback(ClientsideFunction("explorer", "waitForModels"), Input(ids.CONFIG, "data"))
