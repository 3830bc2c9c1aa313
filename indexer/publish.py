"""A finished version takes the live one's place: written beside it, moved by one rename, then named in CURRENT."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from explorer.errors import AtlasError
from explorer.layout import AtlasPaths, VersionPaths, sync_folder, write_atomic
from explorer.verify import current, describe, read_meta

_UNFINISHED = ".unfinished-"


def live(paths: AtlasPaths) -> VersionPaths | None:
    """The live version, or None where there is none, or none that this program can read."""
    try:
        version = current(paths)
        read_meta(version)
    except AtlasError:
        return None
    return version


def publish(paths: AtlasPaths, key: str, write: Callable[[VersionPaths], dict[str, Any]]) -> str:
    """Write a version and let it be the live one.

    A process that dies here leaves the version before it live and whole; the next build removes what is left over. The
    version that was live until now is kept, older ones go.

    Args:
        paths: the atlas.
        key: what the version was made from; part of its name.
        write: fills an empty version and returns what its `atlas.json` is to say, save `version`, `created`, `files`.

    Returns:
        the version's name.
    """
    before = live(paths)
    created = datetime.now(UTC)
    name = _free(paths, f"{created:%Y%m%dT%H%M%SZ}-{key[:8]}")
    unfinished = VersionPaths(paths.versions / f"{_UNFINISHED}{name}")
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
    for folder in paths.versions.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(folder)
    version = live(paths)
    if version is not None:
        kept = (version.root.name, read_meta(version).get("before"))
        for folder in paths.versions.iterdir():
            if folder.is_dir() and folder.name not in kept:
                shutil.rmtree(folder)


def _free(paths: AtlasPaths, name: str) -> str:
    """`name`, or with a number behind it where two versions are made in one second."""
    count, free = 1, name
    while paths.version(free).root.exists():
        count += 1
        free = f"{name}.{count}"
    return free
