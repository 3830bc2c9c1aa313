"""What can be computed again, and what people make: where it lies, and when it goes.

Where nothing can be written beside an atlas, cache and workspace lie in the user's own directories. A cache file bears
what it was made from in its name, so that it can go as soon as no version has that any more.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

import platformdirs

from explorer.errors import AtlasError
from explorer.layout import AtlasPaths
from explorer.verify import MEMORY, entries, read_meta

_APPLICATION = "latent-explorer"
_DIGITS = 32
_INDEX = re.compile(rf"[A-Za-z0-9_]+-([0-9a-f]{{{_DIGITS}}})(-[0-9a-f]+)?\.(faiss|json)")
_UNFINISHED = re.compile(rf"\.(?:{_INDEX.pattern}|{MEMORY.pattern})\.[0-9a-f]{{16}}")
"""What a process that was killed leaves of a file that it was writing, see `explorer.layout.replacing`."""
_ABANDONED = 3600.0
"""Seconds without a byte after which nobody writes such a file any more."""


def own_cache(paths: AtlasPaths) -> Path:
    """The user's cache directory for an atlas that is read-only."""
    return platformdirs.user_cache_path(_APPLICATION) / _own_name(paths)


def own_workspace(paths: AtlasPaths) -> Path:
    """The user's workspace for an atlas that is read-only."""
    return platformdirs.user_state_path(_APPLICATION) / _own_name(paths) / "workspace"


def index_file(folder: Path, space: str, vectors: str, settings: str) -> Path:
    """The file of a search index.

    Args:
        folder: the cache.
        space: the space.
        vectors: sha256 of its vectors' file, hex.
        settings: all else that the index depends on.
    """
    return folder / f"{space}-{vectors[:_DIGITS]}-{hashlib.sha256(settings.encode()).hexdigest()[:16]}.faiss"


def prune(folder: Path, paths: AtlasPaths) -> None:
    """Remove from a cache what was made from versions that are there no more; a cache that cannot be changed stays."""
    with suppress(OSError):
        names = {path.name for path in paths.versions.glob("[!.]*")}
        files = [path for path in folder.iterdir() if path.is_file()]
        for file in files:
            is_old = (found := MEMORY.fullmatch(file.name)) and found[1] not in names
            if is_old or (_UNFINISHED.fullmatch(file.name) and time.time() - file.stat().st_mtime > _ABANDONED):
                file.unlink(missing_ok=True)
        indexes = {file: found[1] for file in files if (found := _INDEX.fullmatch(file.name))}
        if indexes:
            known = set(_vectors(paths))
            for file in (file for file, vectors in indexes.items() if vectors not in known):
                file.unlink(missing_ok=True)


def prune_indexes(folder: Path, kept: Collection[str]) -> None:
    """Remove all indexes from a cache but those of these names; a cache that cannot be changed stays."""
    stems = {Path(name).stem for name in kept}
    with suppress(OSError):
        for file in [each for each in folder.iterdir() if _INDEX.fullmatch(each.name) and each.stem not in stems]:
            file.unlink(missing_ok=True)


def _vectors(paths: AtlasPaths) -> Iterator[str]:
    """The first digits of the checksums of every version's vectors."""
    for name in sorted(path.name for path in paths.versions.glob("[!.]*")):
        with suppress(AtlasError):
            files = entries(read_meta(paths.version(name)))
            yield from (entry.sha256[:_DIGITS] for file, entry in files.items() if file.endswith("/vectors.npy"))


def _own_name(paths: AtlasPaths) -> str:
    place = paths.root.resolve()
    return f"{place.name}-{hashlib.sha256(str(place).encode()).hexdigest()[:12]}"
