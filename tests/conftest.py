"""What tests share."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest
import tiny_models
from small_atlas import SmallAtlas


@pytest.fixture(scope="session")
def small_atlas_original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small atlas that nobody may change; `small_atlas` is a copy of it."""
    return SmallAtlas().write(tmp_path_factory.mktemp("atlas") / "small")


@pytest.fixture
def small_atlas(small_atlas_original: Path, tmp_path: Path) -> Path:
    """The directory of a small atlas of one's own, see `tests/small_atlas.py`."""
    return Path(shutil.copytree(small_atlas_original, tmp_path / "small"))


@pytest.fixture(scope="session")
def tiny_pipeline_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Stable Diffusion 1.x with random weights, in diffusers' layout."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # diffusers' own about configs this small
        return tiny_models.build_pipeline(tmp_path_factory.mktemp("models") / "pipeline")


@pytest.fixture(scope="session")
def tiny_pipeline_file(tiny_pipeline_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights as one `.safetensors` under Stable Diffusion 1's own names."""
    return tiny_models.build_single_file(tiny_pipeline_dir, tmp_path_factory.mktemp("single") / "tiny.safetensors")


@pytest.fixture(scope="session")
def tiny_clip_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP of ViT-B/32's class with random weights, in open_clip's layout."""
    return tiny_models.build_clip(tmp_path_factory.mktemp("models") / "clip")


@pytest.fixture(scope="session")
def tiny_turbo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny pipeline with SD-Turbo's scheduler: few steps, no guidance."""
    folder = tmp_path_factory.mktemp("models") / "turbo"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tiny_models.build_pipeline(
            folder, seed=1, scheduler="EulerDiscreteScheduler", timestep_spacing="trailing"
        )
