"""Which pictures are meant: those of a cluster, those whose ids a file lists, or all that meet the filters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.errors import QueryError

if TYPE_CHECKING:
    from explorer.atlas import Atlas
    from explorer.search import Mask


@dataclass(frozen=True, slots=True)
class Group:
    """A cluster of a space.

    Attributes:
        space: the space.
        cluster: its number.
        level: 0 = coarse, 1 = fine.
    """

    space: str
    cluster: int
    level: int = 0


def meant(atlas: Atlas, group: Group | None, file: Path | None, among: Mask | None) -> list[int]:
    """The ids of a cluster or of a file, as far as they meet the filters; or of the filters alone.

    Args:
        atlas: the atlas.
        group: a cluster.
        file: ids, one a line.
        among: bool (n,), which rows the filters leave; None = all.

    Raises:
        QueryError: there is no such cluster, file or picture.
    """
    if group is not None:
        ids = cluster_ids(atlas, group)
    else:
        ids = atlas.ids[atlas.allowed(None)].tolist() if file is None else read_ids(file)
    return ids if among is None else [identity for identity in ids if among[atlas.row(identity)]]


def cluster_ids(atlas: Atlas, group: Group) -> list[int]:
    """The ids of the pictures of a cluster, those taken down left out.

    Raises:
        QueryError: the space has no such cluster.
    """
    known = {each.cluster for each in atlas.clusters(group.space, group.level)}
    if group.cluster not in known:
        where = f"{group.space} has {len(known)} clusters" + (f" of level {group.level}" if group.level else "")
        raise QueryError(f"cluster {group.cluster}: {where}; `clusters` lists them")
    members = (atlas.space(group.space).clusters(group.level) == group.cluster) & atlas.allowed(None)
    return [int(identity) for identity in atlas.ids[members]]


def read_ids(file: Path) -> list[int]:
    """Read ids, one a line; empty lines count for nothing.

    Raises:
        QueryError: the file cannot be read, or a line is no id.
    """
    try:
        texts = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        raise QueryError(f"{file}: cannot be read as text ({error}); expected one id a line") from error
    ids = []
    for number, text in enumerate(texts, start=1):
        if text.strip():
            try:
                ids.append(int(text))
            except ValueError as error:
                raise QueryError(f"{file}, line {number}: expected an id, found {text.strip()[:40]!r}") from error
    return ids
