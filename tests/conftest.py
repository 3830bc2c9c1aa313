"""What tests share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.small_atlas import SmallAtlas


@pytest.fixture(scope="session")
def small_atlas_original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small atlas that nobody may change; `small_atlas` is a copy of it."""
    return SmallAtlas().write(tmp_path_factory.mktemp("atlas") / "small")


@pytest.fixture
def small_atlas(small_atlas_original: Path, tmp_path: Path) -> Path:
    """The directory of a small atlas of one's own, see `tests/small_atlas.py`."""
    return Path(shutil.copytree(small_atlas_original, tmp_path / "small"))
