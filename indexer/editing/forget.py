"""Takedowns: denied first, then out of the atlas and of all that was made from it.

What was asked for is on the denylist before anything else happens, so that every reader hides it from its next answer
on and no later build brings it back. Then a version without the rows takes the live one's place, every older one goes,
and so does what builds, caches and workspaces hold of them. A process that dies on the way leaves the pictures hidden;
the same command again finishes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from explorer import denylist
from explorer.atlas import Atlas, as_ids
from explorer.denylist import COLUMNS, DenyKind, Denylist, Takedown
from explorer.errors import BuildError, QueryError
from explorer.layout import AtlasPaths, VersionPaths, write_atomic
from explorer.progress import SILENT, Progress
from explorer.verify import current, read_meta
from indexer import datacard, families
from indexer.editing import erase, figures
from indexer.editing.contents import REJECTED, Contents
from indexer.editing.subset import Kept, renamed, without
from indexer.editing.tally import taken_down
from indexer.ids import Ledger
from indexer.lock import explained, writing
from indexer.mapping.cluster import ClusterOptions
from indexer.publish import UNFINISHED, carried, live, publish, tidy
from indexer.stages import digest

_NAMED = ("id", "key", "image_url", "sha256")
_EMPTIED = ".emptied"
_REACH = (
    "A server that shows the version before has to be started again. Files that were exported or saved before, what "
    "browsers keep, and caches of other users are not reached from here."
)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a takedown did.

    Attributes:
        removed: pictures that are not in the atlas any more.
        images: pictures that still are.
        version: the live version's name; None where no picture is left, or none was built yet.
        traces: landings, trajectories, events, selections and audits in workspaces that named one.
        notes: what the person should know.
    """

    removed: int
    images: int
    version: str | None
    traces: int
    notes: tuple[str, ...] = (_REACH,)


def forget(
    path: Path | str,
    takedowns: Sequence[Takedown] = (),
    ids: Sequence[int] = (),
    *,
    workspaces: Sequence[Path] = (),
    progress: Progress = SILENT,
) -> Forgotten:
    """Take pictures down.

    Whoever names a picture, by its id, its link or its bytes, means it wherever it stands: every row with its link or
    its bytes goes. A host takes its own rows and those of its subdomains.

    Args:
        path: the atlas's directory.
        takedowns: what to deny; it need not be in the atlas.
        ids: pictures of the atlas.
        workspaces: folders of workspaces that lie elsewhere.
        progress: what to report to.

    Raises:
        QueryError: there is no such picture; then nothing is denied.
        BuildError: another process is writing the atlas, or it cannot be written. The pictures are hidden already.
        AtlasError: there is no atlas, or it is damaged, or a workspace is held by another process.
    """
    paths = AtlasPaths(Path(path))
    with explained(paths):
        deny(paths, takedowns, ids)
        with _hidden_already(), writing(paths):
            progress.note("Hidden; now removing")
            return _remove(paths, workspaces)


def deny(paths: AtlasPaths, takedowns: Sequence[Takedown], ids: Sequence[int]) -> None:
    """Put what was asked for on the denylist, then all by which the same pictures may come back."""
    version = live(paths)
    if version is None and not paths.build.is_dir():
        current(paths)  # says what is missing
    rows = _rows(version, ids, paths)
    denylist.add(paths, takedowns)
    asked = {kind: frozenset(_hashes(kind, takedowns)) for kind in (DenyKind.KEY, DenyKind.URL, DenyKind.SHA256)}
    if version is not None and any(asked.values()):
        table = pq.read_table(version.records, columns=[*_NAMED, "page_url"])
        rows += table.filter(pa.array(denied_rows(asked, table))).to_pylist()
    denylist.add(paths, [each for row in rows for each in _names(row)])


def denied_rows(listed: Denylist, table: pa.Table) -> npt.NDArray[np.bool_]:
    """Which rows of a table a denylist covers, bool (n,); columns that the table lacks are left aside."""
    found = np.zeros(len(table), dtype=np.bool_)
    for kind in listed:
        for column in (name for name in COLUMNS[kind] if name in table.column_names):
            values = table[column].to_pylist()
            found |= np.fromiter(denylist.is_denied(listed, kind, values), np.bool_, len(table))
    return found


def _hashes(kind: DenyKind, takedowns: Sequence[Takedown]) -> Iterator[str]:
    yield from (denylist.hashed(kind, each.value) for each in takedowns if each.kind is kind)


def _rows(version: VersionPaths | None, ids: Sequence[int], paths: AtlasPaths) -> list[dict[str, Any]]:
    """What names the pictures of these ids, hidden ones too; none for one that was removed before.

    Raises:
        QueryError: nobody ever had such an id.
    """
    if not ids:
        return []
    wanted = as_ids(ids).tolist()
    table = pq.read_table(version.records, columns=list(_NAMED), filters=[("id", "in", wanted)]) if version else None
    rows: list[dict[str, Any]] = table.to_pylist() if table is not None else []
    missing = set(ids) - {row["id"] for row in rows} - Ledger.read(paths).forgotten
    if missing:
        raise QueryError(f"found id {min(missing)}, which is not in this atlas; take one from a search")
    return rows


def _names(row: Mapping[str, Any]) -> list[Takedown]:
    """A picture's own key, link and bytes; not its page, which may show others."""
    named = ((DenyKind.KEY, row["key"]), (DenyKind.URL, row["image_url"]), (DenyKind.SHA256, row["sha256"]))
    return [Takedown(kind, value) for kind, value in named if value is not None]


def _remove(paths: AtlasPaths, workspaces: Sequence[Path]) -> Forgotten:
    """Publish without what is denied, and empty every other place of it."""
    tidy(paths)
    denied = denylist.read(paths.denylist)
    removed = _publish_rest(paths, denied)
    version, ledger = live(paths), Ledger.read(paths)
    records = pq.read_table(version.records, columns=["id", "key"]) if version else None
    ids, keys = (records["id"].to_pylist(), records["key"].to_pylist()) if records else ([], [])
    erase.erase_build(paths, {*keys, *_listed(version)}, denied)
    erase.erase_caches(paths)
    traces = erase.erase_stories(paths, ledger.forgotten - set(ids), workspaces)
    return Forgotten(removed, len(ids), version.root.name if version else None, traces)


def _publish_rest(paths: AtlasPaths, denied: Denylist) -> int:
    """Let a version without what is denied be the only one; return how many pictures went."""
    version = live(paths)
    if version is None:
        _finish_nothing(paths)
        return 0
    atlas = Atlas.open(paths.root)
    gone = atlas.denied
    contents = Contents.read(version, atlas.meta)
    rejected = contents.rejected.filter(pa.array(~_denied_rejections(denied, contents.rejected)))
    if gone.any() or len(rejected) < len(contents.rejected):
        ledger = Ledger.read(paths).without(atlas.ids[gone].tolist())
        if gone.all():
            _publish_nothing(paths, version, ledger)
            return len(gone)
        kept = Kept(~gone, atlas.train[~gone], atlas.families[~gone], _exemplars(atlas.meta))
        rest = replace(without(contents, kept), rejected=rejected)
        counts = taken_down(atlas.meta, contents, atlas.ids[gone])
        spaces = figures.spaces_of(rest, atlas.meta, paths.build)
        for space in spaces:
            spaces[space] |= {"labels": {"checked": False}} if renamed(contents, rest, space) else {}
        meta = _meta(atlas.meta, version, ledger, rest) | counts
        meta |= {"spaces": spaces, "denylist": denylist.state(denied)}
        publish(paths, meta["key"], lambda folder: _write(folder, rest, ledger, meta, has_card=version.card.exists()))
    return int(gone.sum())


def _write(
    folder: VersionPaths, rest: Contents, ledger: Ledger, meta: dict[str, Any], *, has_card: bool
) -> dict[str, Any]:
    rest.write(folder)
    ledger.write(folder)
    if has_card:
        write_atomic(folder.card, datacard.text(meta, rest.records).encode())
    return meta


def _publish_nothing(paths: AtlasPaths, version: VersionPaths, ledger: Ledger) -> None:
    """Leave no version; the ledger stays, so that no id is ever given to another picture.

    The version's own folder goes out of sight before anything of it goes, so what a dead process left of it is never
    taken for an atlas.
    """
    emptied = paths.version(f"{version.root.name}{_EMPTIED}")
    ledger.write(emptied)
    for folder in [each for each in paths.versions.iterdir() if each not in (emptied.root, version.root)]:
        shutil.rmtree(folder)
    hidden = version.root.with_name(f"{UNFINISHED}{version.root.name}")
    version.root.rename(hidden)
    _finish_nothing(paths)
    shutil.rmtree(hidden)


def _finish_nothing(paths: AtlasPaths) -> None:
    """Remove a CURRENT that names an emptied version.

    Raises:
        AtlasError: it names one that is damaged, or that this program does not know.
    """
    with suppress(FileNotFoundError):
        name = paths.current.read_text("utf-8").strip()
        if (paths.versions / f"{name}{_EMPTIED}").is_dir():
            paths.current.unlink()
        else:
            read_meta(current(paths))


def _meta(meta: Mapping[str, Any], version: VersionPaths, ledger: Ledger, rest: Contents) -> dict[str, Any]:
    """What `atlas.json` says of what is left, but for the outcomes; no version is kept beside this one."""
    key = digest([meta.get("key"), version.root.name, sorted(ledger.forgotten)])
    near = families.counted(rest.records["family"].to_pylist())
    return {**carried(meta), "key": key, "before": None, "near_duplicates": near}


def _exemplars(meta: Mapping[str, Any]) -> int:
    return int(
        meta.get("settings", {}).get("spaces", {}).get("cluster", {}).get("exemplars", ClusterOptions().exemplars)
    )


def _denied_rejections(denied: Denylist, rejected: pa.Table) -> npt.NDArray[np.bool_]:
    """Which listed rejections are denied, bool (n,); a key may be a link."""
    as_links = pa.table({"image_url": rejected["key"]})
    return denied_rows(denied, rejected) | denied_rows(denied, as_links)


def _listed(version: VersionPaths | None) -> list[str]:
    """The keys of the listed rejections."""
    path = version.root / REJECTED if version else None
    return pq.read_table(path, columns=["key"])["key"].to_pylist() if path and path.exists() else []


@contextmanager
def _hidden_already() -> Iterator[None]:
    """Say, where the removal has to wait, that nobody sees the pictures meanwhile."""
    try:
        yield
    except BuildError as error:
        raise BuildError(f"{error}. The pictures are hidden already; the same command removes them then") from error
