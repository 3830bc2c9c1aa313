"""A pickle that leaves a mark where it is opened."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Canary:
    """Creates `path` when its pickle is opened."""

    path: Path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def poisoned(path: Path) -> bytes:
    """A pickle that creates `path` when it is opened, held against itself: it does, and the mark is wiped."""
    data = pickle.dumps(Canary(path))
    pickle.loads(data)
    path.unlink()
    return data
