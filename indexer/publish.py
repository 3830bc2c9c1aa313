"""A finished version takes the live one's place: written beside it, moved by one rename, then named in CURRENT."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from explorer import cache
from explorer.errors import AtlasError
from explorer.layout import AtlasPaths, VersionPaths, sync_folder, write_atomic
from explorer.verify import current, describe, read_meta

UNFINISHED = ".unfinished-"
"""Begins the name of a version's folder until it is whole."""


def carried(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What `atlas.json` says that holds for the next version too, where that is made out of this one."""
    return {name: value for name, value in meta.items() if name not in ("version", "created", "before", "files")}


def live(paths: AtlasPaths) -> VersionPaths | None:
    """The live version, or None where there is none, or none that this program can read."""
    try:
        version = current(paths)
        read_meta(version)
    except AtlasError:
        return None
    return version


def publish(
    paths: AtlasPaths,
    key: str,
    write: Callable[[VersionPaths], dict[str, Any]],
    created: datetime | None = None,
) -> str:
    """Write a version and let it be the live one.

    A process that dies here leaves the version before it live and whole; the next build removes what is left over. The
    version that was live until now is kept, older ones go.

    Args:
        paths: the atlas.
        key: what the version was made from; part of its name.
        write: fills an empty version and returns what its `atlas.json` is to say, save `version`, `created`, `files`.
        created: when it was made, part of its name; by default now.

    Returns:
        the version's name.
    """
    before = live(paths)
    created = created or datetime.now(UTC)
    name = _free(paths, f"{created:%Y%m%dT%H%M%SZ}-{key[:8]}", before)
    unfinished = VersionPaths(paths.versions / f"{UNFINISHED}{name}")
    unfinished.root.mkdir(parents=True)
    meta = {
        "version": name,
        "created": f"{created:%Y-%m-%dT%H:%M:%SZ}",
        "before": before.root.name if before is not None else None,
        **write(unfinished),
        "files": describe(unfinished),
    }
    write_atomic(unfinished.meta, json.dumps(meta, ensure_ascii=False, indent=1).encode())
    for folder in {path.parent for path in unfinished.files()}:
        sync_folder(folder)
    shutil.rmtree(paths.version(name).root, ignore_errors=True)
    os.rename(unfinished.root, paths.version(name).root)
    sync_folder(paths.versions)
    paths.publish(name)
    tidy(paths)
    return name


def tidy(paths: AtlasPaths) -> None:
    """Remove what builds left that died while they published, and all versions but the live one and the one before it.

    Where no version is live, or the live one is damaged, what is there may be all that is left: it stays.
    """
    for file in paths.root.glob(f".{paths.current.name}.*"):
        file.unlink()
    for folder in paths.versions.glob(f"{UNFINISHED}*"):
        shutil.rmtree(folder)
    kept = _kept(live(paths))
    for folder in paths.versions.iterdir() if kept else ():
        if folder.is_dir() and folder.name not in kept:
            shutil.rmtree(folder)
    for caches in (paths.cache, cache.own_cache(paths)):
        cache.prune(caches, paths)


def _kept(version: VersionPaths | None) -> tuple[str, ...]:
    """The live version's name and that of the one before it."""
    return () if version is None else (version.root.name, str(read_meta(version).get("before")))


def _free(paths: AtlasPaths, name: str, before: VersionPaths | None) -> str:
    """`name`, or with a number behind it where a version that is kept bears it.

    Any other of that name was made of the same things, by a build that died before it went live; it is replaced.
    """
    count, free = 1, name
    while free in _kept(before):
        count += 1
        free = f"{name}.{count}"
    return free
