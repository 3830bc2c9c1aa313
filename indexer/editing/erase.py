"""After a takedown: every place beside the live version where the pictures may still lie, emptied of them."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from explorer import cache, denylist, nearest
from explorer.audit.kept import FILE as AUDITS
from explorer.audit.kept import Audits
from explorer.denylist import DenyKind, Denylist
from explorer.layout import AtlasPaths
from explorer.workspace import FILE, Workspace

_STAYING = frozenset({"lock", "denylist.lock", "owner.json", "models.json"})
"""Files of `build` that say nothing of any picture."""
_SHARD = "encode-"


def erase_build(paths: AtlasPaths, shown: Collection[str], denied: Denylist) -> None:
    """Remove what builds have left, but for encoded shards that hold none of the pictures.

    A shard stays where each of its rows is still in the atlas, or is known by a link that nobody has denied; so the
    next build does not encode the whole corpus again.

    Args:
        paths: the atlas, ours to write.
        shown: the keys of the live version, those of listed rejections too.
        denied: the takedowns.
    """
    for path in list(paths.build.iterdir()):
        if path.name in _STAYING or (path.name.startswith(_SHARD) and _is_clean(path, shown, denied)):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def erase_caches(paths: AtlasPaths) -> None:
    """Empty the caches of the atlas, the one beside it and that of this user, of all but the live version's indexes.

    An index bears the checksum of its vectors in its name, so one of another version is never taken for such.
    """
    kept = {Path(name).stem for name in nearest.index_files(paths)}
    for folder in (paths.cache, cache.own_cache(paths)):
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in [each for each in folder.iterdir() if each.is_file() and each.stem not in kept]:
                path.unlink(missing_ok=True)


def erase_stories(paths: AtlasPaths, ids: Collection[int], others: Iterable[Path] = ()) -> int:
    """Take pictures out of what people made: out of the atlas's workspace, this user's, and others by name.

    Returns:
        how many landings, trajectories, events, selections and audits named one.

    Raises:
        explorer.errors.AtlasError: a workspace cannot be changed, or is held by another process.
    """
    changed = 0
    for kept in _kept(paths, others):
        with closing(kept):
            changed += kept.forget(ids)
    return changed


def _kept(paths: AtlasPaths, others: Iterable[Path]) -> Iterator[Workspace | Audits]:
    """What there is of workspaces and of audits, opened."""
    for folder in dict.fromkeys((paths.workspace, cache.own_workspace(paths), *others)):
        if (folder / FILE).exists():
            yield Workspace.open(folder)
        if (folder / AUDITS).exists():
            yield Audits.open(folder)


def _is_clean(shard: Path, shown: Collection[str], denied: Denylist) -> bool:
    try:
        rows = pq.read_table(shard / "rows.parquet", columns=["key", "sha256"])
    except (OSError, pa.ArrowException):  # not a shard as this program writes them: what it holds is unknown
        return False
    is_known = all(key in shown or _is_open(key, denied) for key in rows["key"].to_pylist())
    return is_known and not any(denylist.is_denied(denied, DenyKind.SHA256, rows["sha256"].to_pylist()))


def _is_open(key: str, denied: Denylist) -> bool:
    """Whether a key is a link, and neither itself nor its host is denied; a second row of a link is numbered."""
    link = key.split(" ")[0]
    return "://" in link and not denylist.denies_link(denied, link) and not denylist.denies(denied, DenyKind.KEY, key)
