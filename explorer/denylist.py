"""Takedowns: which pictures an atlas must no longer show, kept as hashes so that the list names nobody.

A line of `denylist.jsonl` is `{"kind", "sha256", "at"}`: the sha256 of a value in its normal form.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from explorer.errors import AtlasError


class DenyKind(StrEnum):
    """What of a picture is denied."""

    KEY = "key"
    URL = "url"
    HOST = "host"
    SHA256 = "sha256"


Denylist = Mapping[DenyKind, frozenset[str]]
"""Kind -> sha256 of each denied value, hex."""

COLUMNS: Mapping[DenyKind, tuple[str, ...]] = {
    DenyKind.KEY: ("key",),
    DenyKind.URL: ("image_url", "page_url"),
    DenyKind.HOST: ("host",),
    DenyKind.SHA256: ("sha256",),
}
"""The columns of `records.parquet` that a kind is held against."""


def normal(kind: DenyKind, value: str) -> str:
    """The form of a value that is hashed: scheme and host in lower case, no fragment, no space around."""
    value = value.strip()
    if kind is DenyKind.KEY:
        return value
    if kind is DenyKind.HOST:
        return value.lower().rstrip(".")
    if kind is DenyKind.SHA256:
        return value.lower()
    try:
        parts = urlsplit(value)
    except ValueError:  # no URL, such as an unclosed bracket: its own text is all there is to compare
        return value
    return urlunsplit((parts.scheme.lower(), parts.netloc.lower(), parts.path or "/", parts.query, ""))


def hashed(kind: DenyKind, value: str) -> str:
    """Return the sha256 of a value's normal form, hex."""
    return hashlib.sha256(normal(kind, value).encode("utf-8", "surrogatepass")).hexdigest()


def read(path: Path) -> Denylist:
    """Read a denylist; a missing file denies nothing.

    Raises:
        AtlasError: a line is not an entry. Nothing is shown then, rather than what was taken down.
    """
    found: dict[DenyKind, set[str]] = {}
    for number, line in enumerate(_lines(path), 1):
        try:
            entry = json.loads(line)
            found.setdefault(DenyKind(entry["kind"]), set()).add(str(entry["sha256"]).lower())
        except (ValueError, KeyError, TypeError) as error:
            raise AtlasError(f"{path}: line {number} is not a takedown; nothing is shown until it is mended") from error
    return {kind: frozenset(values) for kind, values in found.items()}


def is_denied(denylist: Denylist, kind: DenyKind, values: Iterable[str | None]) -> Iterator[bool]:
    """Whether each value is denied; a denied host takes its subdomains with it."""
    denied = denylist.get(kind, frozenset())
    for value in values:
        yield value is not None and any(hashed(kind, form) in denied for form in _forms(kind, value))


def _forms(kind: DenyKind, value: str) -> Iterator[str]:
    yield value
    if kind is DenyKind.HOST:
        labels = value.split(".")
        yield from (".".join(labels[start:]) for start in range(1, len(labels) - 1))


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise AtlasError(f"{path} cannot be read; nothing is shown until it is mended") from error
