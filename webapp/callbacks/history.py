"""What this browser has made: it remembers the jobs and the keys to them, and goes on with one that is not finished."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State

from explorer.jobs import Job
from webapp import ids
from webapp.layout import context_of
from webapp.panels import history
from webapp.panels.history import Entry
from webapp.site import Site


def register(app: Dash, site: Site) -> None:
    """Remember what was handed in, and list what became of it."""
    _remember(app)
    context = context_of(site)
    workspace = site.studio.workspace

    def entry(job: Job, keys: dict[str, str]) -> Entry:
        return Entry(job, job.id in keys, job.generation is not None and workspace.has_report(job.generation))

    @app.callback(
        Output(ids.HISTORY_TILES, "children"),
        Input(ids.HISTORY, "data"),
        Input(ids.HISTORY_KEYS, "data"),
        Input(ids.DONE, "data"),
    )
    def entries(jobs: list[str] | None, keys: dict[str, str] | None, _: str | None) -> Any:  # noqa: ANN401 - as Dash has them
        found = [job for job in map(workspace.job, jobs or []) if job is not None]
        kept = [job for job in found if job.generation is not None or not job.state.ended]
        return history.entries(context, [entry(job, keys or {}) for job in kept])


def _remember(app: Dash) -> None:
    """Keep names and keys in this browser alone."""
    app.clientside_callback(
        ClientsideFunction("explorer", "submitted"),
        Output(ids.HISTORY, "data"),
        Input(ids.SUBMITTED, "data"),
        State(ids.HISTORY, "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "claimed"),
        Output(ids.HISTORY_KEYS, "data"),
        Input(ids.SUBMITTED, "data"),
        State(ids.HISTORY_KEYS, "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "reattach"),
        Input(ids.HISTORY, "modified_timestamp"),
        State(ids.HISTORY, "data"),
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "remembered"),
        Input(ids.HISTORY, "data"),
        Input(ids.HISTORY_KEYS, "data"),
    )
