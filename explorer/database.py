"""One SQLite file for several threads and processes: a connection behind a lock, a transaction for every change.

Source: sqlite.org/wal.html (readers and one writer at once), sqlite.org/pragma.html#pragma_user_version.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from explorer.errors import AtlasError

_PATIENCE_SECONDS = 30.0


class Database:
    """A SQLite file of a known schema.

    Args:
        path: the file; it is made if there is none.
        tables: the statements that make the tables where they are not there, separated by semicolons; a table that a
            later version adds keeps the schema number.
        schema: the number of that schema, kept in the file.

    Raises:
        AtlasError: the file cannot be opened, is no database, or is of another schema.
    """

    def __init__(self, path: Path, tables: str, schema: int) -> None:
        self._path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise AtlasError(f"{path} cannot be opened ({error}); name another folder for the workspace") from error
        try:
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute("PRAGMA secure_delete = ON")
            self._prepare(path, tables, schema)
        except (sqlite3.Error, AtlasError) as error:
            self.close()
            if isinstance(error, AtlasError):
                raise
            raise AtlasError(f"{path} cannot be used ({error}); move it away to begin a new one") from error

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all that happens in the block, or nothing if it raises.

        Raises:
            AtlasError: SQLite cannot write, as on a full disk.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise AtlasError(f"{self._path} cannot be written ({error}); free the disk or name another") from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:  # noqa: ANN401 - bound values
        """All rows that answer a question, its values bound."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:  # noqa: ANN401 - bound values
        """The first row that answers a question, None if there is none."""
        with self._lock:
            found: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
            return found

    def empty_journal(self) -> None:
        """Leave nothing in the journal of what was deleted, unless another process reads it at this moment.

        The file itself is overwritten with zeros as things are deleted (`secure_delete`); the journal beside it keeps
        what was written before until it is emptied.
        """
        with self._lock, suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def erase(self) -> None:
        """Leave nothing on the disk of what was deleted or replaced: write the file anew and empty its journal.

        Raises:
            AtlasError: another connection does not let go of the file.
        """
        with self._lock:
            try:
                self._connection.execute("VACUUM")
                is_busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.Error as error:
                raise AtlasError(f"{self._path} cannot be written anew ({error}); do the same again later") from error
        if is_busy:
            raise AtlasError(f"{self._path} is being read all the time; stop its server and do the same again")

    def close(self) -> None:
        """Close the file; nothing can be asked afterwards."""
        with self._lock:
            self._connection.close()

    def _prepare(self, path: Path, tables: str, schema: int) -> None:
        with self.change() as connection:
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, schema):
                raise AtlasError(f"{path}: found schema {found}, expected {schema}; use the version that wrote it")
            for statement in tables.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {schema}")
