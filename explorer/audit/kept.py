"""Finished audits in a workspace, for the page: their documents, and thumbnails of their pictures.

They lie in a file of their own beside the workspace's; a takedown takes pictures of the corpus out of them as well.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explorer.database import Database
from explorer.scrub import story_without

FILE = "audits.sqlite"
SCHEMA = 1
MOST_PICTURES = 2_000
"""Thumbnails that are kept of one audit: those of the first prompts in its ranking."""

_TABLES = """
CREATE TABLE audits (name TEXT PRIMARY KEY, created TEXT NOT NULL, document TEXT NOT NULL);
CREATE TABLE pictures (
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

    def keep(self, name: str, document: Mapping[str, Any], pictures: Iterable[tuple[int, bytes]]) -> None:
        """Keep an audit in place of one of the same name, with thumbnails by row (WebP).

        Raises:
            AtlasError: SQLite cannot write.
        """
        text = json.dumps(document, ensure_ascii=False, allow_nan=False)
        with self._database.change() as connection:
            connection.execute("DELETE FROM pictures WHERE audit = ?", (name,))
            connection.execute("INSERT OR REPLACE INTO audits VALUES (?, ?, ?)", (name, document["created"], text))
            values = ((name, row, webp) for row, webp in pictures)
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
        """Leave no trace of pictures of the corpus: neither as a neighbor, nor the rows that their captions gave.

        Returns:
            how many audits named one.

        Raises:
            AtlasError: SQLite cannot write, or another process does not let go of the file.
        """
        changed = 0
        with self._database.change() as connection:
            for name, text in connection.execute("SELECT name, document FROM audits").fetchall():
                before = json.loads(text)
                after = story_without(before, ids)
                if after != before:
                    rows = [(name, row["row"]) for row in before["rows"] if row["id"] in ids]
                    connection.executemany("DELETE FROM pictures WHERE audit = ? AND row = ?", rows)
                    text = json.dumps(after, ensure_ascii=False, allow_nan=False)
                    change = "UPDATE audits SET document = ? WHERE name = ?"
                    changed += connection.execute(change, (text, name)).rowcount
        self._database.erase()
        return changed
