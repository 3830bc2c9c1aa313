"""Finished audits in a workspace, for the page: their documents, and thumbnails of their pictures.

They lie in a file of their own beside the workspace's; a takedown takes pictures of the corpus out of them as well:
as a neighbor, with the rows that their captions gave, and with the thumbnails of pictures that are copies of them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explorer.database import Database
from explorer.landing import VerdictName
from explorer.scrub import story_without

FILE = "audits.sqlite"
SCHEMA = 1
MOST_PICTURES = 2_000
"""Thumbnails that are kept of one audit: those of the first prompts in its ranking."""

_TABLES = """
CREATE TABLE IF NOT EXISTS audits (name TEXT PRIMARY KEY, created TEXT NOT NULL, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pictures (
    audit TEXT NOT NULL REFERENCES audits (name), row INTEGER NOT NULL, webp BLOB NOT NULL, PRIMARY KEY (audit, row)
)
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """An audit in a list: its name, when it was finished, and its document without rows and ranking."""

    name: str
    created: str
    summary: Mapping[str, Any]


class Audits:
    """The audits of a workspace; every method may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, folder: Path) -> Audits:
        """Open those of a workspace's folder; AtlasError where the file cannot be used."""
        return cls(Database(folder / FILE, _TABLES, SCHEMA))

    def close(self) -> None:
        """Close the file; nothing can be asked afterwards."""
        self._database.close()

    def keep(
        self,
        name: str,
        document: Mapping[str, Any],
        pictures: Iterable[tuple[int, bytes]],
        denied: Callable[[], Collection[int]] = frozenset,
    ) -> None:
        """Keep an audit in place of one of the same name.

        Args:
            name: of the audit.
            document: all of it.
            pictures: thumbnails by row, WebP.
            denied: the ids that were taken down. It is asked while nobody else can write: a takedown that began before
                is seen here, and one that begins later finds what is kept.

        Raises:
            AtlasError: SQLite cannot write, or `denied` cannot be told.
        """
        thumbnails = list(pictures)  # not below: that takes its time, and whoever else writes would wait
        with self._database.change() as connection:
            told = without(document, denied())
            shown = with_picture(told)
            connection.execute("DELETE FROM pictures WHERE audit = ?", (name,))
            connection.execute("INSERT OR REPLACE INTO audits VALUES (?, ?, ?)", (name, told["created"], _text(told)))
            values = ((name, row, webp) for row, webp in thumbnails if row in shown)
            connection.executemany("INSERT INTO pictures VALUES (?, ?, ?)", values)

    def all(self) -> list[Kept]:
        """Every audit, the newest first."""
        sql = "SELECT name, created, json_remove(document, '$.rows', '$.ranking') AS summary FROM audits"
        rows = self._database.rows(f"{sql} ORDER BY created DESC, name")
        return [Kept(row["name"], row["created"], json.loads(row["summary"])) for row in rows]

    def document(self, name: str) -> dict[str, Any] | None:
        """The document of an audit; None if there is none of that name."""
        row = self._database.row("SELECT document FROM audits WHERE name = ?", name)
        found: dict[str, Any] | None = json.loads(row["document"]) if row else None
        return found

    def picture(self, name: str, row: int) -> bytes | None:
        """A picture's thumbnail, WebP; None where none was kept."""
        found = self._database.row("SELECT webp FROM pictures WHERE audit = ? AND row = ?", name, row)
        return bytes(found["webp"]) if found else None

    def forget(self, ids: Collection[int]) -> int:
        """Leave no trace of pictures of the corpus, as `without` tells of.

        Returns:
            how many audits named one.

        Raises:
            AtlasError: SQLite cannot write, or another process does not let go of the file.
        """
        changed = 0
        with self._database.change() as connection:
            for name, text in connection.execute("SELECT name, document FROM audits").fetchall():
                changed += _forget(connection, name, json.loads(text), ids)
        self._database.erase()
        return changed


def without(document: Mapping[str, Any], ids: Collection[int]) -> dict[str, Any]:
    """An audit's document without pictures of the corpus: no neighbor, and no row or prompt of their captions.

    A row whose own picture is a copy of one has no `picture` any more.
    """
    copies = {row["row"] for row in document["rows"] if _is_copy(row, ids)}
    found: dict[str, Any] = story_without(document, ids)
    found["rows"] = [row | {"picture": None} if row["row"] in copies else row for row in found["rows"]]
    return found


def with_picture(document: Mapping[str, Any]) -> frozenset[int]:
    """The rows of a document that have a picture."""
    return frozenset(row["row"] for row in document["rows"] if row["picture"])


def _is_copy(row: Mapping[str, Any], ids: Collection[int]) -> bool:
    """Whether a row's picture is a copy, and one of these pictures the nearest to it in any space."""
    return row.get("verdict") == VerdictName.COPY and any(each in ids for each in row["nearest"].values())


def _forget(connection: sqlite3.Connection, name: str, before: Mapping[str, Any], ids: Collection[int]) -> bool:
    """Take pictures out of one audit that is kept; whether it named one."""
    after = without(before, ids)
    if after == before:
        return False
    gone = [(name, row) for row in with_picture(before) - with_picture(after)]
    connection.executemany("DELETE FROM pictures WHERE audit = ? AND row = ?", gone)
    connection.execute("UPDATE audits SET document = ? WHERE name = ?", (_text(after), name))
    return True


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False)
