"""Tar archives from strangers, read member by member: nothing is extracted, and damage costs no more than it touches.

Every header is held against its checksum. Where one does not hold, the next one that does is looked for, block by
block, and what lies between is told as damage; so a flipped bit costs a member and a cut costs the rest. Names, links
and sizes are told as they stand; no path of an archive is ever opened.

Source: POSIX.1-2017, `pax` ("ustar Interchange Format", "pax Header Block"), and GNU tar's long names.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

BLOCK = 512
MAX_HEADER = 1024 * 1024
"""Bytes that a long name or a pax header may have."""

_ZEROS = bytes(BLOCK)
_NAME, _SIZE, _CHECKSUM, _TYPE = slice(0, 100), slice(124, 136), slice(148, 156), slice(156, 157)
_USTAR, _PREFIX = slice(257, 262), slice(345, 500)
_PAX_RECORD = re.compile(rb"(\d{1,10}) ([^=]+)=")
_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK = b"x", b"g", b"L", b"K"
_WITHOUT_DATA = frozenset(
    (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)
)
_WITHOUT_PREFIX = frozenset((_LONG_NAME, _LONG_LINK, tarfile.GNUTYPE_SPARSE))
_PLAIN = frozenset((tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE))


@dataclass(frozen=True, slots=True)
class Member:
    """One member.

    Attributes:
        name: as the archive has it, be it what it may; never to be opened as a path.
        offset: where its data begins, bytes from the archive's start.
        size: of its data, bytes.
        plain: whether it is a file; else a link, a folder, a device, or a file with holes.
    """

    name: str
    offset: int
    size: int
    plain: bool


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch of an archive that cannot be read; `why` in words."""

    offset: int
    why: str


def members(path: Path) -> Iterator[Member | Damage]:
    """Walk through an archive without reading the members' data.

    Raises:
        OSError: it cannot be opened or read.
    """
    with path.open("rb") as handle:
        yield from _Walk(handle, os.fstat(handle.fileno()).st_size).run()


@dataclass(frozen=True, slots=True)
class _Header:
    """What is needed of a header: `size` in bytes, `kind` as `tarfile` names the types."""

    name: str
    size: int
    kind: bytes


@dataclass(slots=True)
class _Walk:
    """One way through an archive.

    Attributes:
        at: where the next header is looked for.
        lost: whether the last one looked for was not there.
        told: what the headers before a member say of it: `path`, `size`, and others of pax.
    """

    handle: BinaryIO
    end: int
    at: int = 0
    lost: bool = False
    told: dict[str, str] = field(default_factory=dict)

    def run(self) -> Iterator[Member | Damage]:
        ended = False
        while self.at + BLOCK <= self.end:
            block = self._read(self.at, BLOCK)
            header = _header(block, strict=self.lost)
            ended = block == _ZEROS
            if header is not None:
                self.lost = False
                yield from self._found(header)
            elif ended or self.lost:
                self.at += BLOCK
            else:
                yield self._damage(self.at, "there is no tar header")
                self.at += BLOCK
        if not ended and not self.lost:
            yield Damage(self.end, f"it is cut off at byte {self.end:,}")

    def _found(self, header: _Header) -> Iterator[Member | Damage]:
        """Take a header in and step over its data; where that is not to be believed, look for the next one in it."""
        start = self.at + BLOCK
        size = 0 if header.kind in _WITHOUT_DATA else int(self.told.get("size", header.size))
        self.at = start
        if start + size > self.end:
            yield self._damage(start, f"{header.name[:80]!r} is cut off")
            return
        if header.kind in (_PAX, _LONG_NAME) and size > MAX_HEADER:
            yield self._damage(start, f"a header of {size:,} bytes")
            return
        self.at += -(-size // BLOCK) * BLOCK
        if header.kind == _PAX:
            self.told |= _pax(self._read(start, size))
        elif header.kind == _LONG_NAME:
            self.told["path"] = _text(self._read(start, size).rstrip(b"\0"))
        elif header.kind not in (_PAX_GLOBAL, _LONG_LINK):
            has_holes = any(key.startswith("GNU.sparse") for key in self.told)
            name = self.told.get("path", header.name)
            self.told.clear()
            is_file = header.kind in _PLAIN and not header.name.endswith("/")
            yield Member(name, start, size, is_file and not has_holes)

    def _damage(self, offset: int, why: str) -> Damage:
        self.lost = True
        self.told.clear()
        return Damage(offset, f"{why} at byte {offset:,}")

    def _read(self, offset: int, size: int) -> bytes:
        self.handle.seek(offset)
        return self.handle.read(size)


def _header(block: bytes, *, strict: bool) -> _Header | None:
    """A header, or None where its checksum does not hold; `strict` where it may be a picture's bytes by chance."""
    if strict and block[_USTAR] != b"ustar":
        return None
    if _number(block[_CHECKSUM]) != sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" "):
        return None
    size = _number(block[_SIZE])
    name, prefix, kind = _string(block[_NAME]), _string(block[_PREFIX]), block[_TYPE]
    if prefix and kind not in _WITHOUT_PREFIX:
        name = f"{prefix}/{name}"
    return _Header(name, size, kind) if size is not None else None


def _number(field: bytes) -> int | None:
    """A field in octal digits, or in GNU's form for large ones; None where it is neither, or negative."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    try:
        number = int(field.split(b"\0", 1)[0].strip() or b"0", 8)
    except ValueError:
        return None
    return number if number >= 0 else None


def _string(field: bytes) -> str:
    return _text(field.split(b"\0", 1)[0])


def _pax(data: bytes) -> Mapping[str, str]:
    """The records of a pax header, each a line `LENGTH KEY=VALUE`; what does not fit that form ends it."""
    found: dict[str, str] = {}
    at = 0
    while match := _PAX_RECORD.match(data, at):
        length = int(match[1])
        value = data[match.end() : at + length - 1]
        if length <= match.end() - at or at + length > len(data):
            break
        key = _text(match[2])
        if key != "size" or value.isdigit() and len(value) < 19:
            found[key] = _text(value)
        at += length
    return found


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
