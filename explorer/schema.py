"""Tables of keys that a TOML document is held against; each fault is one line that names key, found and allowed."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_NAMES = {
    **{str: "a text", bool: "true or false", int: "a whole number", float: "a number"},
    **{list: "a list of texts", datetime.date: "a date, YYYY-MM-DD"},
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table.

    Attributes:
        type: str, bool, int, float (takes an int too), list (of texts), or datetime.date (takes its text too).
        help: what it says, for the manual.
        allowed: the only values, where there are such.
        url: whether it must be a link by http or https.
        least: lower bound of a number, inclusive.
        most: upper bound of a number, inclusive.
    """

    type: type
    help: str
    required: bool = False
    allowed: tuple[str, ...] = ()
    url: bool = False
    least: float | None = None
    most: float | None = None


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
        if name not in document:
            continue
        if isinstance(document[name], Mapping):
            yield from _table_problems(name, document[name], sections[name])
        else:
            yield f"{name}: found {_shown(document[name])}; expected a table [{name}]"


def _table_problems(name: str, values: Mapping[str, Any], table: Table, more: Iterable[str] = ()) -> Iterator[str]:
    prefix = f"{name}." if name else ""
    for key, expected in table.keys.items():
        if expected.required and key not in values:
            yield f"{prefix}{key}: found nothing; expected {_expected(expected)}"
    for key, value in values.items():
        known = table.keys.get(key, table.any_key)
        if known is None:
            yield f"{prefix}{key}: {_unknown(key, [*table.keys, *more])}"
        elif not _fits(value, known):
            yield f"{prefix}{key}: found {_shown(value)}; expected {_expected(known)}{_meant(value, known.allowed)}"
    chosen = [key for key in table.one_of if key in values]
    if len(chosen) > 1:
        yield f"{name}: found {' and '.join(chosen)}; expected at most one of {', '.join(table.one_of)}"


def _fits(value: Any, key: Key) -> bool:  # noqa: ANN401 - whatever TOML can hold
    if key.type is datetime.date:
        return _is_date(value)
    if key.type is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if isinstance(value, bool) or key.type is bool:
        return isinstance(value, bool) and key.type is bool
    if isinstance(value, (int, float)):
        return key.type in (float, type(value)) and _within(value, key)
    if not isinstance(value, str) or key.type is not str:
        return False
    return (not key.allowed or value in key.allowed) and (not key.url or is_link(value))


def is_link(value: str) -> bool:
    """Whether a text is a link by http or https to a named host, without a blank or control character."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    plain = value.isprintable() and " " not in value and "\\" not in value
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_date(value: Any) -> bool:  # noqa: ANN401 - whatever TOML can hold
    if isinstance(value, str):
        try:
            value = datetime.date.fromisoformat(value)
        except ValueError:
            return False
    return isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)


def _within(value: float, key: Key) -> bool:
    return (key.least is None or value >= key.least) and (key.most is None or value <= key.most)


def _expected(key: Key) -> str:
    if key.allowed:
        return f"one of {', '.join(key.allowed)}"
    if key.url:
        return "a link by http or https"
    bounds = [f"at least {key.least:g}"] if key.least is not None else []
    bounds += [f"at most {key.most:g}"] if key.most is not None else []
    return " ".join([_NAMES[key.type], " and ".join(bounds)]).strip()


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
