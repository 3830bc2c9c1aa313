"""The columns that pictures can be filtered by: the atlas's own, and those of the source that are kept in `extra`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from weakref import WeakKeyDictionary

from explorer.atlas import Atlas
from explorer.safety import tells_unsafety

SAMPLED = 50_000
"""Rows in which `columns` looks for the source's own."""

EXTRA = "extra."


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    NUMBER = "number"
    BOOL = "bool"
    TEXTS = "texts"
    """Several texts, each by itself: tags, captions."""


COLUMNS: Mapping[str, Kind] = {
    "caption": Kind.TEXTS,
    "tags": Kind.TEXTS,
    **dict.fromkeys(("group", "author", "licence", "host", "split", "family", "key", "fetched_at"), Kind.TEXT),
    **dict.fromkeys(("image_url", "page_url", "licence_url", "sha256", "phash"), Kind.TEXT),
    **dict.fromkeys(("width", "height", "aesthetic", "pwatermark", "punsafe", "id"), Kind.NUMBER),
    "placed": Kind.BOOL,
}
"""The atlas's own columns; `caption` is that in any language."""

_OF_THE_SOURCE = f"""
SELECT name,
       bool_and(type = 'BOOLEAN') AS is_bool,
       bool_and(try_cast(value AS DOUBLE) IS NOT NULL) AS is_number
FROM (
    SELECT name, json_type(extra, pointer) AS type, json_extract_string(extra, pointer) AS value
    FROM (
        SELECT extra, name, '/' || replace(replace(name, '~', '~0'), '/', '~1') AS pointer
        FROM (SELECT extra, unnest(json_keys(extra)) AS name FROM (SELECT extra FROM records LIMIT {SAMPLED}))
    )
)
WHERE value IS NOT NULL
GROUP BY name
ORDER BY name
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an atlas that can be filtered by; the name of the source's own begins with `extra.`."""

    name: str
    kind: Kind


def columns(atlas: Atlas) -> tuple[Column, ...]:
    """What a reader of an atlas can filter by: what is known of any picture, the source's own columns last.

    The source's own are those of the first `SAMPLED` rows; each is a number or a truth throughout, or else a text.
    Columns that tell how unsafe a picture is are left out. They are looked for once, in every row.
    """
    with _lock:
        if atlas not in _known:
            _known[atlas] = _columns(atlas)
        return _known[atlas]


_lock = threading.Lock()
_known: WeakKeyDictionary[Atlas, tuple[Column, ...]] = WeakKeyDictionary()


def _columns(atlas: Atlas) -> tuple[Column, ...]:
    own = {name: kind for name, kind in COLUMNS.items() if not tells_unsafety(name)}
    counts = ", ".join(f'count(CASE WHEN {is_known(name)} THEN 1 END) AS "{name}"' for name in own)
    known = atlas.query(f"SELECT {counts} FROM records").to_pylist()[0]
    return (*(Column(name, kind) for name, kind in own.items() if known[name]), *_of_the_source(atlas))


def has_column(atlas: Atlas, name: str) -> bool:
    """Whether any row has this column of the source."""
    found = atlas.query("SELECT 1 FROM records WHERE json_exists(extra, ?) LIMIT 1", (pointer(name),))
    return bool(found.num_rows)


def sql(column: str) -> str:
    """One of the atlas's own columns as SQL."""
    return "map_values(captions)" if column == "caption" else f'"{column}"'


def is_known(column: str) -> str:
    """SQL that says whether a row knows one of the atlas's own columns."""
    if COLUMNS[column] is Kind.TEXTS:
        return f"coalesce(len({sql(column)}), 0) > 0"
    return f"{sql(column)} IS NOT NULL"


def pointer(column: str) -> str:
    """Where a column of the source stands in `extra`. Source: JSON Pointer, RFC 6901."""
    return "/" + column.removeprefix(EXTRA).replace("~", "~0").replace("/", "~1")


def _of_the_source(atlas: Atlas) -> list[Column]:
    found = []
    for row in atlas.query(_OF_THE_SOURCE).to_pylist():
        if not tells_unsafety(row["name"]):
            kind = Kind.BOOL if row["is_bool"] else Kind.NUMBER if row["is_number"] else Kind.TEXT
            found.append(Column(f"{EXTRA}{row['name']}", kind))
    return found
