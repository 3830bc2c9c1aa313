"""Tables that describe pictures: which column means what, and what may be taken from a stranger's cell."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from explorer import links
from explorer.errors import ManifestError
from explorer.links import LONGEST

Cell = str | int | float | bool | None

ALIASES: Mapping[str, tuple[str, ...]] = {
    "caption": ("caption", "text", "title", "description", "prompt", "alt"),
    "tags": ("tags", "keywords"),
    "group": ("group", "category"),
    "family": ("family",),
    "image_url": ("image_url", "url"),
    "page_url": ("page_url", "source_url", "page", "link"),
    "author": ("author", "artist", "creator", "photographer"),
    "licence": ("licence", "license"),
    "licence_url": ("licence_url", "license_url"),
    "aesthetic": ("aesthetic", "aesthetic_score"),
    "punsafe": ("punsafe", "p_unsafe"),
    "pwatermark": ("pwatermark", "p_watermark"),
    "similarity": ("similarity",),
    "width": ("original_width", "width"),
    "height": ("original_height", "height"),
    "language": ("language", "lang"),
    "md5": ("md5",),
    "sha1": ("sha1",),
    "sha256": ("sha256",),
}
"""Meaning -> names of columns that carry it when a manifest says nothing; the first present counts, case ignored."""

DIGESTS = {"sha256": 64, "sha1": 40, "md5": 32}
"""Meanings that are hashes of the picture's file -> their length in hex; the strongest first."""
ASIDE = frozenset({"similarity", "width", "height", "language", *DIGESTS})
"""Meanings that rows are chosen by, and that records have no column for: theirs stay among the extra ones."""

_CAPTION_OF = re.compile(r"(?:caption|text)_([a-z]{2,3})", re.IGNORECASE)
_SPACES = re.compile(r"\s+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def read_jsonl(path: Path, file_column: str) -> Iterator[dict[str, Cell]]:
    """Rows of a file of JSON objects, one a line; nested values become JSON text.

    Raises:
        ManifestError: a line is not a JSON object, or has no key `file_column`.
    """
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ManifestError(f"{path}: line {number} is not JSON ({error}); mend it or take it out") from error
        if not isinstance(row, dict):
            raise ManifestError(f"{path}: line {number} is {type(row).__name__}; expected a JSON object")
        expect_column(path, file_column, row)
        yield {name: cell(value) for name, value in row.items()}


def expect_once(path: Path, names: Collection[str]) -> None:
    """Make sure that no two columns of a file share a name, of which one would be dropped without a word.

    Raises:
        ManifestError: two do.
    """
    name, times = next(iter(Counter(name for name in names if name).most_common(1)), ("", 0))
    if times > 1:
        raise ManifestError(f"{path}: found {times} columns named {name[:40]!r}; expected each name once: rename one")


def expect_column(path: Path, column: str, names: Collection[str]) -> None:
    """Make sure that a file has a column.

    Raises:
        ManifestError: it has not; which it has.
    """
    if column not in names:
        listed = ", ".join(str(name)[:40] for name in list(names)[:8]) or "nothing"
        raise ManifestError(f"{path}: found the columns {listed}; expected one named {column}")


def find_columns(names: Collection[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Meaning -> column, from the manifest's `[columns]` first and by `ALIASES` for the rest."""
    by_lower = {name.lower(): name for name in reversed(list(names))}
    found = {}
    for meaning, aliases in ALIASES.items():
        wanted = (chosen[meaning],) if meaning in chosen else aliases
        column = next((by_lower[alias.lower()] for alias in wanted if alias.lower() in by_lower), None)
        if column is not None:
            found[meaning] = column
    return found


def find_column(names: Collection[str], wanted: str | None) -> str | None:
    """A column by its name: spelled like that, else in other case."""
    if wanted is None or wanted in names:
        return wanted
    return next((name for name in names if name.lower() == wanted.lower()), None)


def caption_columns(names: Collection[str]) -> dict[str, str]:
    """Language -> column, for columns such as `caption_en`."""
    return {match[1].lower(): name for name in names if (match := _CAPTION_OF.fullmatch(name))}


def text(cell: Cell) -> str | None:
    """A cell as one line of text that any file can hold, at most 4,000 characters; None where nothing is in it."""
    if cell is None:
        return None
    if isinstance(cell, str) and len(cell) <= LONGEST and cell.isascii() and cell.isprintable() and "  " not in cell:
        return cell.strip() or None  # the common case, and ten times as fast
    words = _SPACES.sub(" ", _CONTROLS.sub(" ", str(cell)[: 2 * LONGEST])).strip()
    return words[:LONGEST] or None


def tag_list(cell: Cell) -> tuple[str, ...]:
    """Tags out of a cell: a JSON list, or words between commas, semicolons or bars."""
    words = str(cell or "")
    if not words:
        return ()
    try:
        listed = json.loads(words) if words.startswith("[") else re.split(r"[,;|]", words)
    except ValueError:
        listed = re.split(r"[,;|]", words)
    found = (text(each if isinstance(each, str) else json.dumps(each)) for each in listed)
    return tuple(dict.fromkeys(tag for tag in found if tag))


def web_link(cell: Cell) -> str | None:
    """A cell as a link that a page may show, else None; see `explorer.links`."""
    return links.web_link(str(cell or "").strip())


def number(cell: Cell) -> float | None:
    """A cell as a finite number, else None."""
    try:
        value = float(cell) if cell is not None else math.nan
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def cell(value: Any) -> Cell:  # noqa: ANN401 - whatever JSON holds
    """A value of JSON as a cell: nested ones become JSON text; None where it is not finite."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool) else None
