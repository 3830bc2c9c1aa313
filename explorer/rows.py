"""Records as rows of `records.parquet`, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import islice
from typing import Any

import pyarrow as pa

from explorer.layout import RECORDS_SCHEMA, ROW_GROUP
from explorer.records import Record, Split

_RECORD_FIELDS = tuple(part.name for part in fields(Record))


def records_table(records: Iterable[Record]) -> pa.Table:
    """Records as a table of `RECORDS_SCHEMA`."""
    return pa.Table.from_batches(record_batches(records), schema=RECORDS_SCHEMA)


def record_batches(records: Iterable[Record]) -> Iterator[pa.RecordBatch]:
    """Records in batches of `RECORDS_SCHEMA`, a row group each."""
    records = iter(records)
    while some := list(islice(records, ROW_GROUP)):
        yield pa.RecordBatch.from_arrays([_column(field, some) for field in RECORDS_SCHEMA], schema=RECORDS_SCHEMA)


def record_of(row: Mapping[str, Any]) -> Record:
    """A record out of a row, or some columns of it, as DuckDB or pyarrow gives it; unknown columns are left aside."""
    values = {name: row[name] for name in _RECORD_FIELDS if row.get(name) is not None}
    values["split"] = Split(row["split"])
    values["captions"] = dict(row.get("captions") or {})
    values["tags"] = tuple(row.get("tags") or ())
    values["extra"] = json.loads(row.get("extra") or "{}")
    return Record(**values)


def _column(field: pa.Field, records: Sequence[Record]) -> pa.Array:
    values = [getattr(record, field.name) for record in records]
    written = _WRITTEN.get(field.name)
    return pa.array(values if written is None else list(map(written, values)), field.type)


def _extra(extra: Mapping[str, Any]) -> str | None:
    return json.dumps(extra, ensure_ascii=False, allow_nan=False) if extra else None


_WRITTEN: Mapping[str, Callable[[Any], Any]] = {
    "split": lambda split: split.value,
    "captions": lambda captions: list(captions.items()),
    "extra": _extra,
}
"""Fields that are written otherwise than as they are."""
