"""An atlas, opened: one immutable version, memory-mapped, and the takedowns that hold for it now.

Reading needs numpy, pyarrow and DuckDB; no model and no search index is loaded by opening.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from explorer import cache, denylist, verify
from explorer.contributions import contributions, relation_to, training
from explorer.errors import AtlasError, QueryError
from explorer.index_choice import IndexChoice
from explorer.layout import AtlasPaths, VersionPaths, read_table
from explorer.manifest import Manifest, from_dict
from explorer.records import Cluster, Record, Relation, Space, Split
from explorer.rows import record_of
from explorer.safety import flags
from explorer.spaces import SpaceData, load_space
from explorer.table import RecordsTable
from explorer.thumbnails import Thumbnails


class Atlas:
    """One version of an atlas; safe to ask from several threads.

    Attributes:
        path: the atlas's directory.
        version: the name of the version that was opened.
        meta: what `atlas.json` holds.
        manifest: where the corpus came from.
        contributions: the manifest's part, and those of others whose rows were appended.
        training: how the pictures of all of them stand to generators.
        spaces: the names of the spaces, `clip` first.
        ids: int64 (n,), id of each row.
        train: bool (n,), whether the row is of the split `train`.
        families: int32 (n,), equal where two rows are of one family; a row without a family is its own.
        hashes: uint64 (n, 3), what each picture is known again by, see `explorer.fingerprints`, memory-mapped; None
            where the version has none.
        flagged: bool (n,), whether a row is kept behind a blur and out of exports; see `explorer.safety`.
        workspace_dir: where selections, generated pictures and jobs are kept.
        cache_dir: where what can be computed again is kept.
    """

    def __init__(
        self, paths: AtlasPaths, version: VersionPaths, meta: dict[str, Any], workspace: Path, cache_dir: Path
    ) -> None:
        """Map the arrays of a version that was held against its `atlas.json`; `Atlas.open` is the way here."""
        self.path, self.version, self.meta = paths.root, version.root.name, meta
        self.workspace_dir, self.cache_dir = workspace, cache_dir
        self.manifest: Manifest = from_dict(meta["manifest"], base=paths.root, file="atlas.json")
        self._paths = paths
        self.contributions = contributions(meta)
        self.training = training(self.contributions)
        light = _light_columns(version.records)
        self.ids: npt.NDArray[np.int64] = light["id"].to_numpy()
        self.train: npt.NDArray[np.bool_] = light["train"].to_numpy()
        self.families = family_codes(light["family"])
        unreviewed = any(part.is_unreviewed for part in self.contributions[1:])
        placed = light["placed"].to_numpy().astype(np.bool_)
        self.flagged: npt.NDArray[np.bool_] = flags(light["punsafe"].to_numpy(), self.manifest, placed & unreviewed)
        self._by_id = np.argsort(self.ids, kind="stable")
        self.spaces: tuple[str, ...] = tuple(sorted(meta["spaces"], key=lambda name: (name != Space.CLIP, name)))
        self._spaces = {name: load_space(version, name, meta["spaces"][name]) for name in self.spaces}
        self.hashes = _hashes(version)
        self._records = RecordsTable(version.records)
        clusters: list[dict[str, Any]] = read_table(version.clusters).to_pylist()
        self._clusters = sorted(clusters, key=lambda row: (row["level"], row["cluster"]))
        self._thumbnails = Thumbnails(version, meta["files"])
        self._lock = threading.Lock()
        self._denied_stamp: tuple[int, ...] | None = None
        self._denied = np.zeros(len(self), dtype=np.bool_)

    @classmethod
    def open(cls, path: Path | str, *, workspace: Path | None = None, version: str | None = None) -> Self:
        """Open the live version of an atlas, or the version named.

        Args:
            path: the atlas's directory.
            workspace: where to keep what is made with it; by default beside it, or in the user's state directory where
                the atlas is read-only.
            version: a version's name; by default the live one.

        Raises:
            AtlasError: there is no atlas, it is damaged or mixed from two builds, or of another schema.
        """
        paths = AtlasPaths(Path(path))
        while True:
            found = verify.current(paths, version)
            try:
                return cls._read(paths, found, workspace)
            except (AtlasError, OSError) as error:
                # Between reading CURRENT and the files another version may have taken its place.
                if version is None and verify.current(paths) != found:
                    continue
                if isinstance(error, AtlasError):
                    raise
                raise AtlasError(f"{found.root} cannot be read ({error}); index the corpus again") from error

    @classmethod
    def _read(cls, paths: AtlasPaths, version: VersionPaths, workspace: Path | None) -> Self:
        meta = verify.read_meta(version)
        folder = _writable(paths.cache, cache.own_cache(paths))
        for told in meta["spaces"].values():
            IndexChoice.of(told)  # now, not in the middle of the first search
        verify.hold(version, meta, folder)
        cache.prune(folder, paths)
        kept = workspace or _writable(paths.workspace, cache.own_workspace(paths))
        return cls(paths, version, meta, kept, folder)

    def __len__(self) -> int:
        """The number of pictures, denied ones included."""
        return len(self.ids)

    @cached_property
    def family_sizes(self) -> npt.NDArray[np.int32]:
        """How many pictures each family has, denied ones included; int32 (f,), by the codes of `families`."""
        return np.bincount(self.families).astype(np.int32)

    def relation_to(self, generator: str | None, *, is_tuned: bool = False) -> Relation:
        """How the corpus stands to one generator; see `explorer.contributions.relation_to`."""
        return relation_to(self.training, self.manifest, generator, is_tuned=is_tuned)

    @property
    def denied(self) -> npt.NDArray[np.bool_]:
        """Which rows were taken down, by the denylist as it is on disk now; bool (n,)."""
        with self._lock:
            stamp = _stamp(self._paths.denylist)
            if stamp != self._denied_stamp:
                listed = denylist.read(self._paths.denylist)
                is_without = self.meta.get("denylist") == denylist.state(listed)
                none = np.zeros(len(self), dtype=np.bool_)
                self._denied = none if is_without else self._records.denied(listed, len(self))
                self._records.hide(self.ids[self._denied])
                self._denied_stamp = stamp
            return self._denied

    def allowed(self, split: Split | None) -> npt.NDArray[np.bool_]:
        """Which rows an answer may show; `split` None = both; bool (n,)."""
        chosen = self.train if split is Split.TRAIN else ~self.train if split is Split.HELDOUT else True
        return ~self.denied & chosen

    def space(self, name: str) -> SpaceData:
        """One space of the atlas.

        Raises:
            QueryError: the atlas has no such space.
        """
        if name not in self._spaces:
            raise QueryError(f"found space {str(name)[:40]!r}; this atlas has {' and '.join(self.spaces)}")
        return self._spaces[name]

    def rows(self, ids: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The row of each id.

        Raises:
            QueryError: an id is not in the atlas, or was taken down.
        """
        wanted = as_ids(ids)
        place = np.minimum(np.searchsorted(self.ids, wanted, sorter=self._by_id), len(self) - 1)
        rows = self._by_id[place]
        bad = (self.ids[rows] != wanted) | self.denied[rows]
        if bad.any():
            raise QueryError(f"found id {wanted[bad][0]}, which is not in this atlas; take one from a search")
        return rows

    def row(self, identity: int) -> int:
        """The row of one id; see `rows`."""
        return int(self.rows([identity])[0])

    def record(self, identity: int) -> Record:
        """All that is known of one picture; QueryError if it is not in the atlas."""
        return self.records([identity])[0]

    def records(
        self, ids: Sequence[int] | npt.NDArray[np.int64], columns: Sequence[str] | None = None
    ) -> tuple[Record, ...]:
        """All that is known of some pictures, in the order asked; QueryError if one is not in the atlas.

        Of `columns`, `id`, `key` and `split` among them, that alone is read, and all else is None or empty.
        """
        rows = self._records.rows(self.rows(ids), list(columns) if columns else None)
        return tuple(record_of(row) for row in rows)

    def extras(self, ids: Sequence[int] | npt.NDArray[np.int64]) -> list[dict[str, Any]]:
        """What the source's other columns say of some pictures, in the order asked; QueryError as `records`."""
        texts = (row["extra"] for row in self._records.rows(self.rows(ids), ["extra"]))
        return [json.loads(text) if text else {} for text in texts]

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Ask DuckDB about the view `records` (the columns of `records.parquet`, without what was taken down).

        Args:
            sql: one statement, `?` or `$1` where a value belongs.
            parameters: the values, bound and never part of the text.

        Raises:
            QueryError: DuckDB refuses the statement.
        """
        _ = self.denied
        return self._records.query(sql, parameters)

    @property
    def has_thumbnails(self) -> bool:
        """Whether any thumbnail was kept; an atlas may hold links alone."""
        return len(self._thumbnails) > 0

    def with_thumbnails(self) -> npt.NDArray[np.bool_]:
        """Which rows' thumbnails were kept; bool (n,)."""
        return self._thumbnails.among(self.ids)

    def has_thumbnail(self, identity: int) -> bool:
        """Whether a thumbnail of this picture was kept."""
        return identity in self._thumbnails

    def thumbnail(self, identity: int) -> bytes:
        """A picture's thumbnail, WebP.

        Raises:
            QueryError: it is not in the atlas, or has no thumbnail.
        """
        self.row(identity)
        if not self.has_thumbnail(identity):
            raise QueryError(f"picture {identity} has no thumbnail in this atlas")
        return self._thumbnails.read(identity)

    def clusters(self, space: str = Space.CLIP, level: int = 0) -> tuple[Cluster, ...]:
        """The clusters of a space, 0 = the coarse level, 1 = the fine one; exemplars taken down are left out."""
        self.space(space)
        hidden = set(self.ids[self.denied].tolist())
        return tuple(
            Cluster(**{**row, "exemplars": tuple(i for i in row["exemplars"] if i not in hidden)})
            for row in self._clusters
            if row["space"] == space and row["level"] == level
        )


def as_ids(ids: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Ids as int64 (n,).

    Raises:
        QueryError: one is larger than any id.
    """
    try:
        return np.asarray(ids, dtype=np.int64)
    except OverflowError as error:
        raise QueryError("found a number that is larger than any id; take one from a search") from error


def _light_columns(path: Path) -> pa.Table:
    """What is known of every row at all times; its texts are few, or compared here and forgotten."""
    names = ["id", "split", "family", "punsafe", "placed"]
    table = read_table(path, names, dictionaries=["split", "family"], memory_map=True)
    return table.append_column("train", pc.equal(table["split"].cast(pa.string()), Split.TRAIN.value))


def family_codes(families: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    """Numbers for a column of families, int32 (n,); a row without a family is its own."""
    encoded = families.combine_chunks().dictionary_encode()
    codes: npt.NDArray[np.int32] = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    alone = np.flatnonzero(codes < 0)
    codes[alone] = len(encoded.dictionary) + np.arange(len(alone), dtype=np.int32)
    return codes


def _hashes(version: VersionPaths) -> npt.NDArray[np.uint64] | None:
    if not version.hashes.exists():
        return None
    hashes: npt.NDArray[np.uint64] = np.asarray(np.load(version.hashes, mmap_mode="r", allow_pickle=False))
    if hashes.dtype != np.uint64:
        raise AtlasError(f"hashes.npy: expected uint64, found {hashes.dtype}; index again")
    return hashes


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return ()
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _writable(preferred: Path, fallback: Path) -> Path:
    """`preferred`, or `fallback` where no file can be written there; permission bits alone do not tell, so try."""
    try:
        preferred.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=preferred):
            return preferred
    except OSError:
        fallback.mkdir(parents=True, exist_ok=True)
        return fallback
