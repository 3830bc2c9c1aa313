"""What a user installs: the wheel carries everything, and runs where there is no checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent.parent
MOST_WEIGHTS = 40_000_000
"""Bytes that the demo's models may take in the package."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the project's own build backend with what is installed here."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's files and nothing else of ours; the dependencies come from this environment."""
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    return target


def run_in(installed: Path, folder: Path, *command: str) -> subprocess.Popen[str]:
    """Start Python outside the checkout, with the installed files before all others."""
    return subprocess.Popen(
        [sys.executable, "-P", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_wheel_carries_bundle_table_manifests_and_weights(wheel: Path) -> None:
    """Nothing that the app reads at run time is left behind, and the weights keep to their size."""
    sizes = {entry.filename: entry.file_size for entry in zipfile.ZipFile(wheel).infolist()}
    for name in (
        "webapp/bundle/pointcloud.js",
        "webapp/bundle/worker.js",
        "webapp/bundle/LICENSES.txt",
        "indexer/sources/emojibase.json",
        "data_manifests/openmoji.toml",
        "explorer/templates/paper.css",
        "explorer/templates/report.html",
        "data_manifests/folder.toml",
        "explorer/models/demo/clip/open_clip_model.safetensors",
        "explorer/models/demo/generator/unet/diffusion_pytorch_model.safetensors",
        "explorer/models/demo/generator/vae/diffusion_pytorch_model.safetensors",
        "explorer/models/demo/generator/text_encoder/model.safetensors",
    ):
        assert sizes.get(name, 0) > 100, name
    assert sum(size for name, size in sizes.items() if name.endswith(".safetensors")) <= MOST_WEIGHTS
    outside = ("tests", "benchmarks", "validation")
    strangers = [name for name in sizes if name.split("/")[0] in outside or "node_modules" in name]
    assert not strangers


def test_the_installed_wheel_serves_an_atlas(installed: Path, small_atlas: Path, tmp_path: Path) -> None:
    """Outside the checkout the page, the map's script and a thumbnail are served from the wheel's own files."""
    where = run_in(installed, tmp_path, "-c", "import webapp, explorer; print(webapp.__file__, explorer.__file__)")
    assert all(path.startswith(str(installed)) for path in where.communicate()[0].split())
    code = "import sys; from webapp.cli import main; sys.exit(main())"
    serving = run_in(installed, tmp_path, "-c", code, "serve", str(small_atlas), "--port", "0", "--json")
    try:
        assert serving.stdout is not None
        line = serving.stdout.readline()
        assert line, serving.communicate()[1]
        document = json.loads(line)
        with httpx.Client(base_url=document["url"], timeout=60.0) as client:
            assert client.get("/").status_code == 200
            bundle = installed / "webapp" / "bundle" / "pointcloud.js"
            script = client.get("/_dash-component-suites/webapp/bundle/pointcloud.js")
            assert script.content == bundle.read_bytes()
            cloud = client.get(f"/api/v/{document['version']}/clip/points.bin")
            assert cloud.status_code == 200
            assert len(cloud.content) % 6 == 0
    finally:
        serving.kill()
        serving.communicate()
