"""The filter: a form that adds one condition at a time, and the conditions that hold, each with a way out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from explorer.columns import EXTRA, Column, Kind
from explorer.filters import Filter, Operator
from webapp import foreign, ids
from webapp.panels.parts import Context, deed
from webapp.strings import Words

CHOICES = {
    Kind.TEXT: ("~", "=", "!=", "= null", "!= null"),
    Kind.TEXTS: ("~", "=", "!=", "= null", "!= null"),
    Kind.NUMBER: (">=", "<=", "=", "!=", "= null", "!= null"),
    Kind.BOOL: ("= true", "= false"),
}
"""What the form offers for a column; a choice with a value in it needs no other."""

_WHOLE = {"= null": "unknown", "!= null": "known", "= true": "yes", "= false": "no"}


def box(context: Context, columns: Sequence[Column]) -> html.Section:
    """Return the form, out of sight until somebody asks for it."""
    words = context.words
    close = words("filter.close")
    return html.Section(
        [
            html.Div(
                [
                    html.H2(words("filter.title"), className="panel-title"),
                    deed("×", "filter", 0, className="close", title=close, **{"aria-label": close}),
                ],
                className="box-head",
            ),
            html.Div(_fields(words, columns), className="filter-row"),
            html.Div(id=ids.FILTER_ERROR),
            dcc.Store(id=ids.FILTER_WISH),
        ],
        id=ids.FILTER,
        className="box box-filter",
        **{"aria-label": words("filter.title")},
    )


def _fields(words: Words, columns: Sequence[Column]) -> list[Any]:
    first = columns[0]
    column = dmc.Select(
        id=ids.FILTER_COLUMN,
        data=[{"value": each.name, "label": label(each.name)} for each in columns],
        value=first.name,
        searchable=True,
        allowDeselect=False,
        size="xs",
        **{"aria-label": words("filter.column")},
    )
    operator = dmc.Select(
        id=ids.FILTER_OPERATOR,
        data=choices(words, first.kind),
        value=CHOICES[first.kind][0],
        allowDeselect=False,
        size="xs",
        **{"aria-label": words("filter.operator")},
    )
    value = dmc.TextInput(
        id=ids.FILTER_VALUE,
        value="",
        placeholder=words("filter.value"),
        size="xs",
        autoComplete="off",
        attributes={"input": {"maxLength": 200}},
        **{"aria-label": words("filter.value")},
    )
    add = dmc.Button(words("filter.add"), id=ids.FILTER_ADD, n_clicks=0, size="xs", variant="default")
    return [column, operator, value, add]


def label(column: str) -> str:
    """Return a column's name on the screen; one of the source's is a stranger's."""
    return foreign.shortened(foreign.marked(column.removeprefix(EXTRA)), 40)


def choices(words: Words, kind: Kind) -> list[dict[str, str]]:
    """Return what a column of this kind can be asked."""
    return [{"value": choice, "label": words(f"filter.op.{_name(choice)}")} for choice in CHOICES[kind]]


def said(words: Words, made: Filter) -> str:
    """Return a condition in words."""
    choice = f"{made.operator} {made.text}"
    whole = made.value is None or isinstance(made.value, bool)
    if whole and choice in _WHOLE:
        return f"{label(made.column)} {words(f'filter.op.{_WHOLE[choice]}')}"
    operator = words(f"filter.op.{made.operator.name.lower()}")
    value = made.text if isinstance(made.value, float) else foreign.quoted(made.text, 40)
    return words("filter.said", column=label(made.column), operator=operator, value=value)


def chips(context: Context, filters: Sequence[Filter]) -> list[html.Button]:
    """Return the conditions that hold; a click takes one away."""
    found = []
    for at, made in enumerate(filters):
        condition = said(context.words, made)
        title = context.words("filter.remove", condition=condition)
        children = [html.Span(condition), html.Span("×", **{"aria-hidden": "true"})]
        found.append(deed(children, "unfilter", at, className="chip chip-held", title=title, **{"aria-label": title}))
    return found


def _name(choice: str) -> str:
    return _WHOLE.get(choice) or Operator(choice).name.lower()
