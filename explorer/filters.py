"""Conditions on what is known of a picture: `width >= 512`, `author = "Ada"`, `extra.year < 1900`, `tags ~ cat`.

A condition is a column, an operator and a value. `~` means contains, whatever the case. `null` is what is unknown: it
meets no condition but `= null`. A text in double quotes, with JSON's escapes, is taken as it stands: so it may hold
operators and blanks, or be the word null. `extra.NAME` is a column of the source's own; NAME alone does where the atlas
has no column of that name.

Values reach DuckDB bound, never as a part of the statement, and nothing filters towards unsafe pictures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.atlas import Atlas
from explorer.columns import COLUMNS, EXTRA, Kind, columns, has_column, is_known, pointer, sql
from explorer.errors import QueryError
from explorer.safety import tells_unsafety

MOST = 16
"""Conditions at a time."""
LONGEST = 500
"""Characters of one."""
Value = str | float | bool | None


class Operator(StrEnum):
    """How a value is held against a column."""

    CONTAINS = "~"
    IS = "="
    IS_NOT = "!="
    AT_LEAST = ">="
    AT_MOST = "<="
    ABOVE = ">"
    BELOW = "<"


_EQUALITY = (Operator.IS, Operator.IS_NOT)
OPERATORS: Mapping[Kind, tuple[Operator, ...]] = {
    Kind.TEXT: tuple(Operator),
    Kind.TEXTS: (Operator.CONTAINS, *_EQUALITY),
    Kind.NUMBER: tuple(operator for operator in Operator if operator is not Operator.CONTAINS),
    Kind.BOOL: _EQUALITY,
}
"""What a column can be asked."""

_SEPARATOR = "\x1f"  # it stands in no value, so that no match reaches over two texts
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_BARE = r'[^\s"=!<>~][^"=!<>~]*?'
_CONDITION = re.compile(rf"\s*({_QUOTED}|{_BARE})\s*(!=|<=|>=|=|<|>|~)\s*({_QUOTED}|[^\s\"].*?)\s*")
_PLAIN = re.compile(r"[\w./:-]+")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?", re.ASCII)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition.

    Attributes:
        column: of the atlas, or `extra.NAME`.
        operator: how it is compared.
        value: what with; None = unknown.
        text: the value as it was written, without quotes.
    """

    column: str
    operator: Operator
    value: Value
    text: str

    @property
    def kind(self) -> Kind | None:
        """What the column holds; None for the source's own, where each row may hold something else."""
        return COLUMNS.get(self.column)

    def __str__(self) -> str:
        """The condition as `parse` reads it."""
        column = self.column if _PLAIN.fullmatch(self.column) else _quoted(self.column)
        bare = _PLAIN.fullmatch(self.text) and _typed(self.text) == self.value
        return f"{column} {self.operator} {self.text if bare else _quoted(self.text)}"


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL that is true or false of a row of `records`, and the values for its question marks."""

    sql: str
    parameters: tuple[Any, ...] = ()


def parse(text: str) -> Filter:
    """Read one condition.

    Raises:
        QueryError: it is none, compares what cannot be compared, or goes towards unsafe pictures.
    """
    found = _CONDITION.fullmatch(text) if len(text) <= LONGEST and not _CONTROLS.search(text) else None
    if found is None:
        raise QueryError(
            f"filter {_CONTROLS.sub(' ', text[:60])!r}: expected COLUMN, one of {' '.join(Operator)}, and a value, in "
            f'one line of at most {LONGEST} characters, such as width >= 512 or author = "Ada"'
        )
    column, value = _unquoted(found[1]), _unquoted(found[3])
    column = column if column in COLUMNS or column.startswith(EXTRA) else f"{EXTRA}{column}"
    made = Filter(column, Operator(found[2]), value if found[3].startswith('"') else _typed(value), value)
    _refuse_unsafe(made)
    _refuse_unlike(made)
    return made


def parse_all(texts: Sequence[str]) -> tuple[Filter, ...]:
    """Read conditions that shall all hold.

    Raises:
        QueryError: see `parse`; or they are too many.
    """
    if len(texts) > MOST:
        raise QueryError(f"found {len(texts)} filters; expected at most {MOST}")
    return tuple(parse(text) for text in texts)


def where(filters: Iterable[Filter]) -> Condition:
    """The condition that all filters hold; that of none is true of every row."""
    parts = [_condition(each) for each in filters]
    joined = " AND ".join(f"coalesce({part.sql}, false)" for part in parts) or "true"
    return Condition(joined, tuple(value for part in parts for value in part.parameters))


def matching(atlas: Atlas, filters: Sequence[Filter]) -> npt.NDArray[np.bool_]:
    """Which rows meet every filter and may be shown; bool (n,).

    Raises:
        QueryError: a column is not in this atlas.
    """
    for each in filters:
        _hold_known(atlas, each)
    condition = where(filters)
    found = atlas.query(f"SELECT id FROM records WHERE {condition.sql}", condition.parameters)["id"].to_numpy()
    mask = np.zeros(len(atlas), dtype=np.bool_)
    mask[atlas.rows(found)] = True
    return mask


def is_number(text: str) -> bool:
    """Whether a text is read as a number."""
    return _NUMBER.fullmatch(text) is not None


def _hold_known(atlas: Atlas, made: Filter) -> None:
    """Refuse a column that no row has: a typing error would else look like an answer."""
    if made.kind is None and not has_column(atlas, made.column):
        names = ", ".join(column.name for column in columns(atlas))
        name = made.column.removeprefix(EXTRA)
        raise QueryError(f"filter {made}: this atlas has no column {name[:40]!r}; expected one of {names}")


def _condition(made: Filter) -> Condition:
    if made.kind is None:
        return _source_condition(made)
    if made.value is None:
        known = is_known(made.column)
        return Condition(f"NOT ({known})" if made.operator is Operator.IS else known)
    column = sql(made.column)
    if made.kind is Kind.TEXTS:
        return _texts_condition(made, column)
    if made.operator is Operator.CONTAINS:
        return Condition(f"contains(lower({column}), lower(?))", (made.text,))
    return Condition(f"{column} {made.operator} ?", (made.text if made.kind is Kind.TEXT else made.value,))


def _texts_condition(made: Filter, column: str) -> Condition:
    if made.operator is Operator.CONTAINS:
        joined = f"array_to_string({column}, '{_SEPARATOR}')"
        return Condition(f"contains(lower({joined}), lower(?))", (made.text,))
    return Condition(f"{'NOT ' * (made.operator is Operator.IS_NOT)}list_contains({column}, ?)", (made.text,))


def _source_condition(made: Filter) -> Condition:
    """Compare by the type of the value: a text `1905` of the source is a number where a number is asked for."""
    text, place = "json_extract_string(extra, ?)", pointer(made.column)
    if made.value is None:
        return Condition(f"{text} IS {'NOT ' * (made.operator is Operator.IS_NOT)}NULL", (place,))
    if made.operator is Operator.CONTAINS:
        return Condition(f"contains(lower({text}), lower(?))", (place, made.text))
    number = isinstance(made.value, float)
    left, right = (f"try_cast({text} AS DOUBLE)", made.value) if number else (text, made.text)
    if made.operator is Operator.IS_NOT:  # a text is no number, and so not this one
        return Condition(f"({text} IS NOT NULL AND {left} IS DISTINCT FROM ?)", (place, place, right))
    return Condition(f"{left} {made.operator} ?", (place, right))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError as error:
        raise QueryError(f"filter: {text[:40]} has an escape that JSON does not know; write \\\\ for \\") from error


def _typed(text: str) -> Value:
    if text in ("null", "true", "false"):
        return {"null": None, "true": True, "false": False}[text]
    return float(text) if is_number(text) else text


def _refuse_unsafe(made: Filter) -> None:
    if made.column == "punsafe":
        if made.operator not in (Operator.BELOW, Operator.AT_MOST):
            expected = "expected punsafe < NUMBER or punsafe <= NUMBER"
            raise QueryError(f"filter {made}: nothing is filtered towards unsafe pictures; {expected}")
    elif tells_unsafety(made.column):
        raise QueryError(
            f"filter {made}: nothing is filtered by how unsafe a source calls a picture; "
            "[filter] in a manifest keeps such rows out of an atlas"
        )


def _refuse_unlike(made: Filter) -> None:
    """Hold value and operator against what the column holds; the source's own may hold anything."""
    if made.value is None and made.operator not in _EQUALITY:
        raise QueryError(f"filter {made}: what is unknown can only be asked for by = or !=")
    if made.kind is None:
        return
    if made.operator not in OPERATORS[made.kind]:
        raise QueryError(f"filter {made}: expected one of {' '.join(OPERATORS[made.kind])} after {made.column}")
    expected = {Kind.NUMBER: float, Kind.BOOL: bool}.get(made.kind)
    if expected is not None and made.value is not None and type(made.value) is not expected:
        words = "a number" if expected is float else "true or false"
        raise QueryError(f"filter {made}: found {made.text[:40]!r}; expected {words} for {made.column}")
