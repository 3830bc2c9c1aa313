"""The filter's form: what can be asked of a column, and one more condition for the address."""

from __future__ import annotations

import json
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, no_update

from explorer import filters
from explorer.columns import Kind, columns
from explorer.errors import QueryError
from webapp import ids, queries
from webapp.layout import context_of
from webapp.panels import filters as panel
from webapp.panels import parts
from webapp.site import Site
from webapp.strings import Words


def register(app: Dash, site: Site) -> None:
    """Wire the form to the address."""
    context = context_of(site)

    @app.callback(
        Output(ids.FILTER_OPERATOR, "data"),
        Output(ids.FILTER_OPERATOR, "value"),
        Input(ids.FILTER_COLUMN, "value"),
        prevent_initial_call=True,
    )
    def offered(column: str) -> tuple[Any, str]:
        kind = _kind(site, column)
        return panel.choices(context.words, kind), panel.CHOICES[kind][0]

    @app.callback(
        Output(ids.FILTER_WISH, "data"),
        Output(ids.FILTER_ERROR, "children"),
        Output(ids.FILTER_VALUE, "value"),
        Input(ids.FILTER_ADD, "n_clicks"),
        Input(ids.FILTER_VALUE, "n_submit"),
        State(ids.FILTER_COLUMN, "value"),
        State(ids.FILTER_OPERATOR, "value"),
        State(ids.FILTER_VALUE, "value"),
        State(ids.WHERE, "data"),
        prevent_initial_call=True,
    )
    def add(_: int, __: int, column: str, choice: str, value: str | None, where: str | None) -> tuple[Any, Any, Any]:
        kind, value = _kind(site, column), (value or "").strip()
        missing = complaint(context.words, column, choice, value, kind)
        if missing:
            return no_update, parts.alarm(context, missing), no_update
        try:
            made = filters.parse(condition(column, choice, value, kind))
            lines = [str(each) for each in (*queries.conditions(where), made)]
            queries.matching(site, "\n".join(dict.fromkeys(lines)))
        except QueryError as error:
            return no_update, parts.alarm(context, str(error)), no_update
        return "\n".join(dict.fromkeys(lines)), None, ""

    _wish(app)


def _kind(site: Site, name: str) -> Kind:
    return next((column.kind for column in columns(site.atlas) if column.name == name), Kind.TEXT)


def complaint(words: Words, column: str, choice: str, value: str, kind: Kind) -> str | None:
    """Return what is wrong with the form, None where nothing is; a choice with a value in it needs no other."""
    if " " in choice:
        return None
    if not value:
        return words("filter.missing", column=panel.label(column))
    if kind is Kind.NUMBER and not filters.is_number(value):
        return words("filter.number", column=panel.label(column))
    return None


def condition(column: str, choice: str, value: str, kind: Kind) -> str:
    """Return what the form says as a condition; a choice such as `= null` has its value in it."""
    name = json.dumps(column, ensure_ascii=False)
    if " " in choice:
        return f"{name} {choice}"
    return f"{name} {choice} {value if kind is Kind.NUMBER else json.dumps(value, ensure_ascii=False)}"


def _wish(app: Dash) -> None:
    app.clientside_callback(
        ClientsideFunction("explorer", "wished"), Input(ids.FILTER_WISH, "data"), prevent_initial_call=True
    )
    app.clientside_callback(
        ClientsideFunction("explorer", "needsValue"),
        Output(ids.FILTER_VALUE, "disabled"),
        Input(ids.FILTER_OPERATOR, "value"),
    )
