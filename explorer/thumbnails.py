"""A version's thumbnails, read one by one out of their packs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.errors import AtlasError, VersionGone
from explorer.layout import VersionPaths, read_table
from explorer.verify import checksum

_PLACE = np.dtype([("pack", np.int32), ("offset", np.int64), ("length", np.int32)])


class Thumbnails:
    """Where each picture's thumbnail lies; for any thread."""

    def __init__(self, version: VersionPaths, files: Mapping[str, Mapping[str, Any]]) -> None:
        """Read the table.

        Args:
            version: whose thumbnails.
            files: what `atlas.json` says of its files.
        """
        self._version, self._entries = version, files
        self._ids, self._places = _places(version.thumbnails)
        self._sound: set[int] = set()

    def __len__(self) -> int:
        """How many there are; an atlas may hold links alone."""
        return len(self._ids)

    def __contains__(self, identity: int) -> bool:
        """Whether a picture has one."""
        entry = int(np.searchsorted(self._ids, identity))
        return entry < len(self._ids) and bool(self._ids[entry] == identity)

    def among(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of these pictures have one; bool (n,)."""
        return np.isin(ids, self._ids)

    def read(self, identity: int) -> bytes:
        """The thumbnail of a picture that has one, WebP.

        Raises:
            VersionGone: it was removed.
            AtlasError: a pack is not the one that it was published with.
        """
        pack, offset, length = self._places[np.searchsorted(self._ids, identity)].tolist()
        try:
            self._hold(pack)
            with self._version.pack(pack).open("rb") as handle:
                handle.seek(offset)
                return handle.read(length)
        except OSError as error:
            name = self._version.root.name
            raise VersionGone(f"version {name} is gone ({error.strerror}); open the atlas again") from error

    def _hold(self, number: int) -> None:
        """Hold a pack against its checksum before anything is shown of it; opening does not, packs being so large."""
        if number in self._sound:
            return
        path = self._version.pack(number)
        name = path.relative_to(self._version.root).as_posix()
        if checksum(path) != self._entries.get(name, {}).get("sha256"):
            version = self._version.root.name
            raise AtlasError(f"{name} is not the file that version {version} was published with; index again")
        self._sound.add(number)


def _places(path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Ids int64 (m,), ascending, and the pack, offset and length of each (m,)."""
    table = read_table(path, memory_map=True)
    ids: npt.NDArray[np.int64] = table["id"].to_numpy()
    places = np.empty(len(ids), dtype=_PLACE)
    for name in _PLACE.names or ():
        places[name] = table[name].to_numpy()
    if (ids[1:] > ids[:-1]).all():
        return ids, places
    order = np.argsort(ids, kind="stable")
    return ids[order], places[order]
