"""What has been fetched for one shard, row by row: a file that only grows, and that a crash cannot spoil.

A record says how long it is and carries a checksum. A row is kept from the moment its record has been written; when a
file is opened again, what a crash left behind the last whole record is cut off.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from explorer.errors import PictureError, RejectReason

_HEAD = struct.Struct("<4sIII")
_MAGIC = b"LXF1"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of a link.

    Attributes:
        at: when, ISO 8601, UTC.
        data: the picture's file; None where there is a reason.
        reason: why there is none.
        detail: more about that.
    """

    at: str
    data: bytes | None = None
    reason: RejectReason | None = None
    detail: str = ""

    def picture(self) -> bytes:
        """The picture's file.

        Raises:
            PictureError: there is none.
        """
        if self.reason is not None or self.data is None:
            raise PictureError(self.reason or RejectReason.MISSING, self.detail)
        return self.data


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a row's record lies.

    Attributes:
        at: when it was fetched, ISO 8601, UTC.
        reason: why there is no picture, with its detail.
        shared: the name of the shared file that holds the picture instead.
        offset: of the picture in the file.
        length: of the picture, bytes.
    """

    at: str
    reason: RejectReason | None
    detail: str
    shared: str | None
    offset: int
    length: int


class Spool:
    """The records of one shard, open for appending.

    Attributes:
        path: of the file.
        size: of the file, bytes.
        entries: by the keys of the rows.
    """

    def __init__(self, path: Path) -> None:
        """Open a file or make a new one; what is torn at its end is cut off."""
        self.entries: dict[str, Entry] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "a+b", buffering=0)
        self.path, self.size = path, 0
        for key, entry, end in _records(self._file):
            self.entries[key] = entry
            self.size = end
        self._file.truncate(self.size)

    def append(self, key: str, fetched: Fetched) -> None:
        """Keep what became of a row."""
        self._append(key, fetched, None, fetched.data or b"")

    def refer(self, key: str, fetched: Fetched, shared: str) -> None:
        """Keep that a row's picture lies in a shared file."""
        self._append(key, fetched, shared, b"")

    def _append(self, key: str, fetched: Fetched, shared: str | None, data: bytes) -> None:
        note = {"key": key, "at": fetched.at, "reason": fetched.reason, "detail": fetched.detail, "shared": shared}
        text = json.dumps({name: value for name, value in note.items() if value}).encode()
        head = _HEAD.pack(_MAGIC, len(text), len(data), zlib.crc32(data, zlib.crc32(text)))
        record = b"".join((head, text, data))
        written = 0
        while written < len(record):
            written += self._file.write(memoryview(record)[written:]) or 0
        offset = self.size + len(head) + len(text)
        self.entries[key] = Entry(fetched.at, fetched.reason, fetched.detail, shared, offset, len(data))
        self.size += len(record)

    def finish(self) -> None:
        """Bring the file to the disk, where not even a power cut takes it away, and close it."""
        os.fsync(self._file.fileno())
        self._file.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read(path: Path, entry: Entry) -> bytes:
    """The picture of an entry of the file at `path`."""
    with open(path, "rb") as file:
        file.seek(entry.offset)
        return file.read(entry.length)


def entries(path: Path) -> dict[str, Entry]:
    """The whole records of a file, by the keys of the rows; `OSError` where there is none."""
    with open(path, "rb") as file:
        return {key: entry for key, entry, _ in _records(file)}


def _records(file: BinaryIO) -> Iterator[tuple[str, Entry, int]]:
    """Key, entry and end of each whole record from the start of a file."""
    size = file.seek(0, os.SEEK_END)
    position = file.seek(0)
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        magic, noted, length, checksum = _HEAD.unpack(head)
        offset = position + _HEAD.size + noted
        if magic != _MAGIC or offset + length > size:
            return
        text = file.read(noted)
        if zlib.crc32(file.read(length), zlib.crc32(text)) != checksum:
            return
        note = json.loads(text)
        position = offset + length
        reason = RejectReason(note["reason"]) if "reason" in note else None
        entry = Entry(note["at"], reason, note.get("detail", ""), note.get("shared"), offset, length)
        yield note["key"], entry, position
