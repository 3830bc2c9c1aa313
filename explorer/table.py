"""`records.parquet` as DuckDB reads it, without what was taken down.

Source: duckdb.org/docs, "Securing DuckDB" (`allowed_paths`, `enable_external_access`, `lock_configuration`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from explorer import denylist
from explorer.errors import AtlasError, QueryError, VersionGone
from explorer.layout import read_table

SMALL = 65_536
"""Rows, about a kilobyte each."""

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
}


class RecordsTable:
    """DuckDB over `records.parquet`: one cursor a call, no extension, no other file, the configuration locked.

    The view `records` leaves out what is hidden; `everything` does not. Whole rows do not come from DuckDB, which looks
    through all ids for one: a small table is kept in memory, of a large one the row groups in question are decoded.
    """

    def __init__(self, path: Path) -> None:
        """Open the file; AtlasError where it cannot be read."""
        self._path = path
        self._foot = pq.read_metadata(path)
        sizes = [self._foot.row_group(number).num_rows for number in range(self._foot.num_row_groups)]
        self._ends = np.cumsum(sizes, dtype=np.int64)
        self._small = read_table(path) if self._foot.num_rows <= SMALL else None
        self._connection = duckdb.connect(":memory:", config=_CONFIG)
        quoted = str(path.resolve()).replace("'", "''")
        # Without the option a folder on the way that is named `a=b` would become a column.
        parquet = f"read_parquet('{quoted}', hive_partitioning = false)"
        try:
            for statement in (
                f"SET allowed_paths = ['{quoted}']",
                "SET enable_external_access = false",
                "SET lock_configuration = true",
                "CREATE TABLE hidden(id BIGINT)",
                f"CREATE VIEW everything AS FROM {parquet}",
                f"CREATE VIEW records AS FROM {parquet} WHERE id NOT IN (SELECT id FROM hidden)",
            ):
                self._connection.execute(statement)
        except duckdb.Error as error:
            raise AtlasError(f"{path} cannot be read ({_line(error)}); index the corpus again") from error

    def rows(self, rows: npt.NDArray[np.int64], columns: list[str] | None = None) -> list[dict[str, Any]]:
        """Rows (of some columns alone), in the order given, hidden ones too; VersionGone where the file is."""
        if self._small is not None:
            small = self._small.select(columns) if columns else self._small
            taken: list[dict[str, Any]] = small.take(rows).to_pylist()
            return taken
        groups = np.searchsorted(self._ends, rows, side="right")
        found: dict[int, dict[str, Any]] = {}
        for group in np.unique(groups).tolist():
            wanted = np.unique(rows[groups == group])
            start = int(self._ends[group]) - self._foot.row_group(group).num_rows
            part = self._group(group, columns).take(wanted - start)
            found.update(zip(wanted.tolist(), part.to_pylist(), strict=True))
        return [found[row] for row in rows.tolist()]

    def _group(self, number: int, columns: list[str] | None) -> pa.Table:
        """One row group; the file is opened anew, since a reader of Arrow's serves one thread."""
        try:
            with pq.ParquetFile(self._path, metadata=self._foot, memory_map=True) as file:
                return file.read_row_group(number, columns=columns, use_threads=False)
        except OSError as error:
            raise VersionGone(f"version {self._path.parent.name} is gone; open the atlas again") from error

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """One statement with its bound values; QueryError where it is refused, VersionGone where the file is."""
        try:
            return self._connection.cursor().sql(sql, params=list(parameters)).to_arrow_table()
        except duckdb.Error as error:
            if not self._path.exists():
                raise VersionGone(f"version {self._path.parent.name} is gone; open the atlas again") from error
            raise QueryError(f"the records cannot answer this: {_line(error)}") from error

    def hide(self, ids: npt.NDArray[np.int64]) -> None:
        """Leave these ids, and only these, out of the view `records` from now on."""
        cursor = self._connection.cursor().begin()
        cursor.execute("DELETE FROM hidden")
        cursor.execute("INSERT INTO hidden SELECT unnest($1::BIGINT[])", [ids.tolist()])
        cursor.commit()

    def denied(self, listed: denylist.Denylist, rows: int) -> npt.NDArray[np.bool_]:
        """Which of the rows a denylist covers; bool (rows,)."""
        found = np.zeros(rows, dtype=np.bool_)
        for kind in listed:
            for column in denylist.COLUMNS[kind]:
                values = self._column(column).to_pylist()
                found |= np.fromiter(denylist.is_denied(listed, kind, values), np.bool_, rows)
        return found

    def _column(self, name: str) -> pa.ChunkedArray:
        """A whole column; of a small table it can be had even when the file is gone."""
        if self._small is not None:
            return self._small[name]
        return self.query(f"SELECT {name} FROM everything")[name]


def _line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0]
