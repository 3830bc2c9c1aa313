"""Tables of keys that a TOML document is held against; each fault is one line that names key, found and allowed."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from explorer.links import web_link

ValueType: TypeAlias = type
_NAMES = {
    **{str: "a text", bool: "true or false", int: "a whole number", float: "a number"},
    datetime.date: "a date, YYYY-MM-DD",
}
_NAMES_OF_MANY = {str: "texts", int: "whole numbers"}


@dataclass(frozen=True, slots=True)
class Rule:
    """A form that a value must have beyond its type.

    Attributes:
        expected: that form in words, after "expected".
        holds: whether a value of the right type has it.
    """

    expected: str
    holds: Callable[[Any], bool]


LINK = Rule("a link by http or https", lambda value: web_link(value) is not None)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table.

    Attributes:
        type: str, bool, int, float (takes an int too), list, or datetime.date (takes its text too).
        help: what it says, for the manual.
        item: the type of a list's items, str or int.
        allowed: the only values, where there are such.
        rule: a form that the value, or each item of a list, must have.
        least: lower bound of a number, or of each in a list, inclusive.
        most: upper bound likewise.
    """

    type: ValueType
    help: str
    required: bool = False
    item: ValueType = str
    allowed: tuple[str, ...] = ()
    rule: Rule | None = None
    least: float | None = None
    most: float | None = None

    def fits(self, value: Any) -> bool:  # noqa: ANN401 - whatever TOML can hold
        """Whether a value is what this key may be set to."""
        if self.type is list:
            return isinstance(value, list) and all(self._fits_one(item, self.item) for item in value)
        return self._fits_one(value, self.type)

    def _fits_one(self, value: Any, expected: ValueType) -> bool:  # noqa: ANN401 - whatever TOML can hold
        if expected is datetime.date:
            return _is_date(value)
        if isinstance(value, bool) or expected is bool:
            return isinstance(value, bool) and expected is bool
        if isinstance(value, (int, float)):
            return expected in (float, type(value)) and _within(value, self)
        if not isinstance(value, str) or expected is not str:
            return False
        return (not self.allowed or value in self.allowed) and (self.rule is None or self.rule.holds(value))

    @property
    def expected(self) -> str:
        """What the value must be, in words."""
        if self.allowed:
            return f"one of {', '.join(self.allowed)}"
        if self.type is not list and self.rule is not None:
            return self.rule.expected
        name = f"a list of {_NAMES_OF_MANY[self.item]}" if self.type is list else _NAMES[self.type]
        bounds = [f"at least {_plain(self.least)}"] if self.least is not None else []
        bounds += [f"at most {_plain(self.most)}"] if self.most is not None else []
        form = f", each {self.rule.expected}" if self.rule is not None else ""
        return " ".join([name, " and ".join(bounds)]).strip() + form


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a document.

    Attributes:
        keys: the keys it may have.
        one_of: keys of which at most one may be there.
        any_key: what every other key must be; None where there may be no other.
    """

    keys: Mapping[str, Key] = field(default_factory=dict)
    one_of: tuple[str, ...] = ()
    any_key: Key | None = None


def problems(document: Mapping[str, Any], sections: Mapping[str, Table]) -> Iterator[str]:
    """Hold a document against its tables; the table named "" holds the keys outside all tables."""
    top = sections[""]
    names = [name for name in sections if name]
    yield from _table_problems("", {key: value for key, value in document.items() if key not in names}, top, names)
    for name in names:
        values = document.get(name, {})
        if isinstance(values, Mapping):
            yield from _table_problems(name, values, sections[name])
        else:
            yield f"{name}: found {_shown(values)}; expected a table [{name}]"


def _table_problems(name: str, values: Mapping[str, Any], table: Table, more: Iterable[str] = ()) -> Iterator[str]:
    prefix = f"{name}." if name else ""
    for key, expected in table.keys.items():
        if expected.required and key not in values:
            yield f"{prefix}{key}: found nothing; expected {expected.expected}"
    for key, value in values.items():
        known = table.keys.get(key, table.any_key)
        if known is None:
            yield f"{prefix}{key}: {_unknown(key, [*table.keys, *more])}"
        elif not known.fits(value):
            yield f"{prefix}{key}: found {_shown(value)}; expected {known.expected}{_meant(value, known.allowed)}"
    chosen = [key for key in table.one_of if key in values]
    if len(chosen) > 1:
        yield f"{name}: found {' and '.join(chosen)}; expected at most one of {', '.join(table.one_of)}"


def _is_date(value: Any) -> bool:  # noqa: ANN401 - whatever TOML can hold
    if isinstance(value, str):
        try:
            value = datetime.date.fromisoformat(value)
        except ValueError:
            return False
    return isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)


def _within(value: float, key: Key) -> bool:
    return (key.least is None or value >= key.least) and (key.most is None or value <= key.most)


def _plain(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)


def _unknown(key: str, allowed: list[str]) -> str:
    near = difflib.get_close_matches(key, allowed, n=1)
    return f"found an unknown key; {f'did you mean {near[0]}?' if near else f'expected {_list(allowed)}'}"


def _meant(value: Any, allowed: tuple[str, ...]) -> str:  # noqa: ANN401 - whatever TOML can hold
    near = difflib.get_close_matches(value, allowed, n=1) if isinstance(value, str) else []
    return f"; did you mean {near[0]}?" if near else ""


def _list(names: list[str]) -> str:
    return f"one of {', '.join(names)}" if names else "none"


def _shown(value: Any) -> str:  # noqa: ANN401 - whatever TOML can hold
    text = value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
