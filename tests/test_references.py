"""Model references: what each form means, and what is refused with the way on."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.errors import ModelError
from explorer.models.references import Kind, Role, parse


@pytest.mark.parametrize(
    ("text", "role", "kind", "value"),
    [
        ("stabilityai/sd-turbo", Role.DIFFUSION, Kind.HUB, "stabilityai/sd-turbo"),
        ("hf-hub:stabilityai/sd-turbo", Role.DIFFUSION, Kind.HUB, "stabilityai/sd-turbo"),
        ("hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K", Role.CLIP, Kind.HUB, "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
        ("ViT-B-32/laion2b_s34b_b79k", Role.CLIP, Kind.TAG, "ViT-B-32/laion2b_s34b_b79k"),
    ],
)
def test_hub_ids_and_tags(text: str, role: Role, kind: Kind, value: str) -> None:
    """`a/b` is a hub id for a generator and ARCH/TAG for a CLIP; `hf-hub:` is the hub for both."""
    found = parse(text, role)
    assert (found.kind, found.value, found.text) == (kind, value, text)


@pytest.mark.parametrize("form", ["{}", "local-dir:{}"])
def test_a_folder_is_kept_as_an_absolute_path(tmp_path: Path, form: str) -> None:
    """A path given relative to a manifest still means the same folder from any other working directory."""
    (tmp_path / "model").mkdir()
    text = form.format("./model")
    for role in (Role.CLIP, Role.DIFFUSION):
        found = parse(text, role, base=tmp_path)
        assert (found.kind, found.path) == (Kind.FOLDER, tmp_path / "model")
        assert parse(found.text, role).value == found.value


def test_one_file_needs_no_dot(tmp_path: Path) -> None:
    """A name that ends in .safetensors is a file, whatever it begins with."""
    (tmp_path / "sd.safetensors").touch()
    assert parse("sd.safetensors", Role.DIFFUSION, base=tmp_path).kind is Kind.FILE


@pytest.mark.parametrize("name", ["sd.ckpt", "./v1.PT", "/models/pytorch_model.bin", "org/name.ckpt"])
def test_pickles_are_refused_with_the_way_to_convert(name: str) -> None:
    """Weights that can run code are never opened, and the message holds the command that converts them."""
    with pytest.raises(ModelError, match=r"expected safetensors; convert it once: python -c.*save_file") as e:
        parse(name, Role.DIFFUSION)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected demo"),
        ("sd-turbo", "expected demo, hf-hub:org/name"),
        ("a/b/c", "expected demo"),
        ("hf-hub:", "expected demo"),
        ("./nowhere", "nothing is at"),
        ("nowhere.safetensors", "nothing is at"),
        ("https://example.org/a.safetensors", "nothing is at"),
    ],
)
def test_what_is_no_reference_says_what_is(text: str, words: str, tmp_path: Path) -> None:
    """A text that names nothing is refused in one line that lists the forms or the path looked at."""
    with pytest.raises(ModelError, match=words) as e:
        parse(text, Role.DIFFUSION, base=tmp_path)
    assert "\n" not in str(e.value)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A path to a file that is not safetensors is refused before it is read."""
    (tmp_path / "weights.gguf").touch()
    with pytest.raises(ModelError, match=r"expected a folder or a .safetensors file, found weights.gguf"):
        parse("./weights.gguf", Role.DIFFUSION, base=tmp_path)


def test_a_clip_is_not_one_file(tmp_path: Path) -> None:
    """A single file does not say how a CLIP is built, so its folder has to be named."""
    (tmp_path / "clip.safetensors").touch()
    with pytest.raises(ModelError, match=r"name the folder that holds it and its open_clip_config.json"):
        parse("./clip.safetensors", Role.CLIP, base=tmp_path)
