"""The way from noise, or into it: scripts follow and scrub it, the server names its neighbors and draws its charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State

from explorer.errors import QueryError
from explorer.records import Recipe, Record
from webapp import figures, ids
from webapp.layout import context_of
from webapp.panels import way
from webapp.panels.way import Choice, NearOne
from webapp.site import Site


def register(app: Dash, site: Site) -> None:
    """Wire the panel."""
    _scripts(app)
    _neighbors(app, site)
    _charts(app, site)
    context = context_of(site)

    @app.callback(
        Output(ids.WAY_CHOICES, "children"),
        Input(ids.HISTORY, "data"),
        Input(ids.JOB, "data"),
        Input(ids.WAY, "data"),
        Input(ids.DONE, "data"),
    )
    def choices(jobs: list[str] | None, lead: str | None, beside: str | None, _: str | None) -> Any:  # noqa: ANN401 - as Dash has them
        return way.choices(context, comparable(site, jobs or [], lead, beside))


def comparable(site: Site, jobs: Sequence[str], lead: str | None, beside: str | None) -> list[Choice]:
    """What can be put beside the way that leads, or taken away again: the other finished pictures of a browser.

    Args:
        jobs: the browser's, the last one first.
        lead: the one whose way is open.
        beside: those beside it, as the address has them.
    """
    found = [job for job in map(site.studio.workspace.job, jobs) if job and job.generation is not None]
    names = (beside or "").split(",")
    return [
        Choice(job.id, job.recipe.prompt, _seed(job.recipe), is_open=job.id in names) for job in found if job.id != lead
    ]


def _seed(recipe: Recipe) -> int:
    """The seed that tells ways apart: of the last branch, where there is one."""
    return recipe.branches[-1].seed if recipe.branches else recipe.seed


def _scripts(app: Dash) -> None:
    """Let scripts follow what the address opens, and what is scrubbed to."""
    app.clientside_callback(
        ClientsideFunction("explorer", "followWay"),
        Input(ids.JOB, "data"),
        Input(ids.PICTURE, "data"),
        Input(ids.WAY, "data"),
        Input(ids.NOISE, "data"),
        Input(ids.SPACE, "data"),
        State(ids.CONFIG, "data"),
        State(ids.WAY_TABLE, "data"),
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "rescheduled"),
        Input(ids.WAY_SCHEDULE, "value"),
        Input(ids.WAY_MEDIUM, "value"),
        prevent_initial_call=True,
    )
    app.clientside_callback(ClientsideFunction("explorer", "wayHistory"), Input(ids.HISTORY, "data"))
    app.clientside_callback(
        ClientsideFunction("explorer", "charted"),
        Output(ids.WAY_CHARTS, "children"),
        Input(ids.WAY_FIGURES, "data"),
        Input(ids.WAY_STEP, "value"),
    )


def _neighbors(app: Dash, site: Site) -> None:
    context = context_of(site)

    @app.callback(Output(ids.WAY_NEIGHBORS, "children"), Input(ids.WAY_NEAR, "data"), prevent_initial_call=True)
    def neighbors(near: list[dict[str, Any]] | None) -> Any:  # noqa: ANN401 - as Dash has them
        found = [(_record(site, int(each["id"])), float(each["similarity"])) for each in near or []]
        return way.neighbors(context, [NearOne(record, similarity) for record, similarity in found if record])


def _record(site: Site, identity: int) -> Record | None:
    """A picture that was near a step, None where it was taken down since."""
    with suppress(QueryError):
        return site.atlas.record(identity)
    return None


def _charts(app: Dash, site: Site) -> None:
    words = context_of(site).words

    @app.callback(
        Output(ids.WAY_FIGURES, "data"),
        Input(ids.WAY_CURVES, "data"),
        Input(ids.THEME, "data"),
        prevent_initial_call=True,
    )
    def charts(curves: dict[str, Any] | None, theme: str | None) -> list[Any] | None:
        if not curves:
            return None
        second = "kept" if curves["kept"] else "entropy"
        return [
            figures.curves(
                words(f"way.curve.{name}"), words("way.axis"), _lines(curves[name]), theme or "dark", from_zero=zero
            )
            for name, zero in (("similarity", False), (second, True))
        ]


def _lines(found: Mapping[str, Sequence[float | None]]) -> dict[str, list[float | None]]:
    """A curve's values by letter, as numbers: they come from the browser."""
    return {
        str(letter)[:1]: [None if each is None else float(each) for each in values] for letter, values in found.items()
    }
