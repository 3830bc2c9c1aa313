"""Whether the files of an atlas are the ones that were published together.

Every file's size, shape and sha256 stand in `atlas.json`. Opening holds each file against them, so that files of two
builds never answer together; a checksum that was right is remembered in the cache by the file's inode, size and time of
change, and thumbnail packs, the bulk of an atlas, are held against their size alone. `verify` trusts no memory.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer import nesting
from explorer.errors import AtlasError
from explorer.layout import ADDED_ARRAYS, HASHED_VIEWS, SCHEMA, SPACE_ARRAYS, AtlasPaths, VersionPaths, write_atomic

_FILE_NAME = re.compile(r"([A-Za-z0-9_-]+/)?[A-Za-z0-9_-]+\.[a-z]+")
_PER_SPACE = frozenset({"mean", "baseline", "weights"})

MEMORY = re.compile(r"checked-(.+)\.json")
"""The name, in a cache, of what is remembered of a version."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What `atlas.json` says of a file.

    Attributes:
        sha256: of the whole file, hex.
        bytes: the file's size.
        shape: of an array; (rows, columns) of a table; (bytes,) of anything else.
    """

    sha256: str
    bytes: int
    shape: tuple[int, ...]


def checksum(path: Path) -> str:
    """Return the file's sha256 in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def shape_of(path: Path) -> tuple[int, ...]:
    """Read a file's shape from its head or foot, see `FileEntry`.

    Raises:
        AtlasError: it is not what its name says.
    """
    try:
        if path.suffix == ".npy":
            with path.open("rb") as handle:
                major = np.lib.format.read_magic(handle)[0]
                read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
                return tuple(read(handle)[0])
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as table:
                return (table.metadata.num_rows, table.metadata.num_columns)
    except (ValueError, OSError, pa.ArrowException) as error:
        raise AtlasError(f"{path.name} is damaged ({error}); index the corpus again") from error
    return (path.stat().st_size,)


def describe(version: VersionPaths) -> dict[str, dict[str, Any]]:
    """Every file of a finished version with its `FileEntry`, as `atlas.json` keeps it under `files`."""
    return {
        path.relative_to(version.root).as_posix(): asdict(
            FileEntry(checksum(path), path.stat().st_size, shape_of(path))
        )
        for path in version.files()
    }


def read_meta(version: VersionPaths) -> dict[str, Any]:
    """Read `atlas.json`.

    Raises:
        AtlasError: it is missing, is no JSON object, or is of another schema.
    """
    try:
        meta = json.loads(version.meta.read_bytes())
    except OSError as error:
        raise AtlasError(f"{version.meta} cannot be read ({error.strerror}); index the corpus again") from error
    except ValueError as error:
        raise AtlasError(f"{version.meta} is damaged: not JSON; index the corpus again") from error
    schema = meta.get("schema") if isinstance(meta, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise AtlasError(f"{version.meta} is damaged: it names no schema; index the corpus again")
    if schema > SCHEMA:
        raise AtlasError(f"{version.meta} has schema {schema}, this program reads {SCHEMA}; update latent-explorer")
    if schema < SCHEMA:
        raise AtlasError(f"{version.meta} has schema {schema}, this program reads {SCHEMA}; index the corpus again")
    missing = [key for key in ("manifest", "models", "spaces", "files") if not isinstance(meta.get(key), dict)]
    if missing:
        raise AtlasError(f"{version.meta} is damaged: {', '.join(missing)} missing; index the corpus again")
    return dict(meta)


def entries(meta: Mapping[str, Any]) -> dict[str, FileEntry]:
    """Every file that `atlas.json` names, by its path inside the version.

    Raises:
        AtlasError: an entry is not a plain relative name with checksum, size and shape.
    """
    found: dict[str, FileEntry] = {}
    for name, entry in meta["files"].items():
        try:
            found[name] = FileEntry(str(entry["sha256"]), int(entry["bytes"]), tuple(map(int, entry["shape"])))
        except (KeyError, TypeError, ValueError) as error:
            raise AtlasError(f"atlas.json is damaged: its entry for {name[:80]!r}; index the corpus again") from error
        if not _FILE_NAME.fullmatch(name):
            raise AtlasError(f"atlas.json is damaged: {name[:80]!r} names no file of an atlas; index the corpus again")
    return found


def hold(version: VersionPaths, meta: Mapping[str, Any], cache: Path) -> None:
    """Hold every file of a version against `atlas.json`, remembering in `cache` which checksums were right.

    Raises:
        AtlasError: a file is missing, is one too many, or is not the one that was published.
    """
    files = entries(meta)
    problem = next(_count_problems(meta, files), None)
    if problem:
        raise AtlasError(f"{version.root.name} is not a whole atlas: {problem}; index the corpus again")
    memory = cache / f"checked-{version.root.name}.json"
    known = _remembered(memory)
    checked: dict[str, list[Any]] = {}
    for name, entry in files.items():
        path = version.root / name
        fault = _light_fault(path, entry)
        if fault is None and path.suffix != ".pack":
            checked[name] = [*stamp(path), entry.sha256]
            if known.get(name) != checked[name]:
                fault = _deep_fault(path, entry)
        if fault:
            raise AtlasError(f"{name} is not the file that version {version.root.name} was published with: {fault}")
    if checked != known:
        with suppress(OSError):  # a memory that cannot be kept costs time, not truth
            write_atomic(memory, json.dumps(checked).encode())


def verify(path: Path | str) -> list[str]:
    """Recompute every checksum and count of an atlas's live version.

    Returns:
        what is wrong, one line each; empty when all is right.
    """
    paths = AtlasPaths(Path(path))
    try:
        version = current(paths)
        meta = read_meta(version)
        files = entries(meta)
        found = [*_file_problems(version, files), *_count_problems(meta, files)]
        return found or list(nesting.problems(version, meta["spaces"]))
    except AtlasError as error:
        return [str(error)]


def current(paths: AtlasPaths, name: str | None = None) -> VersionPaths:
    """Find the live version, or version `name`.

    Raises:
        AtlasError: there is no atlas here, or no such version.
    """
    try:
        name = name or paths.current.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AtlasError(f"{paths.root} is not an atlas: it has no readable CURRENT; index a corpus there") from error
    try:
        version = paths.version(name)
    except ValueError as error:
        raise AtlasError(f"{paths.root}: {error}; index the corpus again") from error
    if not version.root.is_dir():
        raise AtlasError(f"{paths.root}: version {name} is missing; index the corpus again")
    return version


def _file_problems(version: VersionPaths, files: Mapping[str, FileEntry]) -> Iterator[str]:
    for name, entry in files.items():
        path = version.root / name
        if fault := _light_fault(path, entry) or _deep_fault(path, entry):
            yield f"{name}: {fault}"
    present = {path.relative_to(version.root).as_posix() for path in version.files()}
    yield from (f"{name}: it is not in atlas.json" for name in sorted(present - set(files)))


def _count_problems(meta: Mapping[str, Any], files: Mapping[str, FileEntry]) -> Iterator[str]:
    """What the counts in `atlas.json` say against each other."""
    for name in ("records.parquet", "clusters.parquet", "thumbnails.parquet"):
        if name not in files:
            yield f"{name}: it is not in atlas.json"
            return
    rows = files["records.parquet"].shape[0]
    if not rows:
        yield "records.parquet: it has no rows"
    if not meta["spaces"]:
        yield "atlas.json: it names no space"
    for space in meta["spaces"]:
        yield from _space_problems(space, rows, files)
    if "hashes.npy" in files and files["hashes.npy"].shape != (rows, HASHED_VIEWS):
        yield f"hashes.npy: expected shape {(rows, HASHED_VIEWS)}, found {files['hashes.npy'].shape}"
    if files["thumbnails.parquet"].shape[0] > rows:
        yield f"thumbnails.parquet: expected at most {rows} rows, found {files['thumbnails.parquet'].shape[0]}"
    indexed = meta.get("outcomes", {}).get("indexed", rows)
    if indexed != rows:
        yield f"atlas.json: it counts {indexed} indexed pictures, records.parquet has {rows}"


def _space_problems(space: str, rows: int, files: Mapping[str, FileEntry]) -> Iterator[str]:
    for array, (_, axes) in SPACE_ARRAYS.items():
        name = f"{space}/{array}.npy"
        if name not in files:
            if array not in ADDED_ARRAYS:
                yield f"{name}: it is not in atlas.json"
        elif len(files[name].shape) != axes:
            yield f"{name}: expected {axes} axes, found shape {files[name].shape}"
        elif array not in _PER_SPACE and files[name].shape[0] != rows:
            yield f"{name}: expected {rows} rows as in records.parquet, found {files[name].shape[0]}"
    weights, baseline = (files.get(f"{space}/{array}.npy") for array in ("weights", "baseline"))
    if weights and baseline and weights.shape != baseline.shape:
        yield f"{space}/weights.npy: expected shape {baseline.shape} as of baseline.npy, found {weights.shape}"


def _light_fault(path: Path, entry: FileEntry) -> str | None:
    if not path.is_file():
        return "it is missing"
    size = path.stat().st_size
    if size != entry.bytes:
        return f"expected {entry.bytes} bytes, found {size}"
    try:
        shape = shape_of(path)
    except AtlasError as error:
        return str(error)
    return None if shape == entry.shape else f"expected shape {entry.shape}, found {shape}"


def _deep_fault(path: Path, entry: FileEntry) -> str | None:
    return None if checksum(path) == entry.sha256 else f"expected sha256 {entry.sha256[:12]}…, found another"


def stamp(path: Path) -> list[int]:
    """What a file is known by without being read: inode, size and time of change."""
    status = path.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def _remembered(memory: Path) -> dict[str, list[Any]]:
    try:
        known = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
