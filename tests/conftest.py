"""What tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

# As the command line has it: beside another busy process, threads that spin while they wait stall each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import live  # noqa: E402
import pytest  # noqa: E402
import tiny_models  # noqa: E402
from chromium import chromium  # noqa: E402
from playwright.sync_api import Browser  # noqa: E402
from small_atlas import SmallAtlas  # noqa: E402


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


@pytest.fixture(scope="session")
def tiny_atlas(tmp_path_factory: pytest.TempPathFactory, tiny_clip_dir: Path, tiny_pipeline_dir: Path) -> Path:
    """A small atlas whose models are the tiny ones, so that words and pictures can be asked for and generated."""
    return live.tiny_atlas(tmp_path_factory.mktemp("atlas") / "tiny", tiny_clip_dir, tiny_pipeline_dir)


@pytest.fixture(scope="session")
def served(tiny_atlas: Path) -> Iterator[live.Live]:
    """The tiny atlas in the real app, served on a real port; tests share it and leave no job running."""
    with live.live(tiny_atlas) as running:
        yield running


@pytest.fixture(scope="session")
def demo_atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded default's atlas, built by its own verb; the slow part of the whole run, and nobody may change it."""
    folder = tmp_path_factory.mktemp("demo") / "atlas"
    start = "import sys; from webapp.cli import main; sys.exit(main())"
    arguments = (sys.executable, "-c", start, "demo", "--no-serve", "--atlas", str(folder), "--json")
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser a file, since Playwright's event loop lets nobody else have one; each visit has a fresh profile."""
    with chromium() as running:
        yield running


@pytest.fixture
def own_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` keeps what it keeps in the test's own folder, and never asks the hub."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in its own hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests in one process, and all that ask for the demo's atlas in one: it is built once."""
    for item in items:
        group = "demo" if "demo_atlas" in getattr(item, "fixturenames", ()) else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))
