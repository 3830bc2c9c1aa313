"""Where a diffusers model's files are, whatever form its reference has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explorer.errors import ModelError
from explorer.models import hub
from explorer.models.references import Kind, ModelReference

_CONFIGS = ["*.json", "*.txt", "*.model"]
_VAE = [*_CONFIGS, "vae/*.safetensors", "diffusion_pytorch_model.safetensors"]
_PIPELINE = [f"{part}/*.safetensors" for part in ("unet", "vae", "text_encoder")] + _CONFIGS


@dataclass(frozen=True, slots=True)
class Files:
    """A model's files on this machine.

    Attributes:
        name: the reference, for messages.
        folder: in diffusers' layout; the folder of `file` where the model is one file.
        file: all weights in one `.safetensors`, or None.
        config: the folder in diffusers' layout that says how `file` is built, or None.
        vae_folder: where the VAE stands inside `folder` or `config`: "vae", or "" where it stands alone.
        revision: the hub's commit, or None.
    """

    name: str
    folder: Path
    file: Path | None
    config: Path | None
    vae_folder: str
    revision: str | None

    def unet_config(self) -> dict[str, Any] | None:
        """The generator's U-Net settings; None where the model is a VAE by itself."""
        root = self.folder if self.file is None else self.config
        path = None if root is None else root / "unet" / "config.json"
        return read_json(path) if path is not None and path.is_file() else None


def files(named: ModelReference, *, vae_only: bool) -> Files:
    """Find a model's files; download them where the reference is a hub id.

    Args:
        named: the reference.
        vae_only: leave the generator's other weights on the hub.

    Raises:
        ModelError: the folder is in neither layout, or the hub cannot give them.
    """
    if named.kind is Kind.FILE:
        config = _beside(named.path) or _from_hub(named.path)
        inside = "vae" if (config / "model_index.json").is_file() else ""
        return Files(named.text, named.path.parent, named.path, config, inside, None)
    folder = named.path
    if named.kind is Kind.HUB:
        folder = hub.snapshot(named.value, _VAE if vae_only else _PIPELINE)
    if not (folder / "model_index.json").is_file() and not (vae_only and (folder / "config.json").is_file()):
        raise ModelError(
            f"model {named.text}: {folder} has no model_index.json; expected a pipeline in diffusers' layout"
            + (", or a VAE's own folder with config.json" if vae_only else "")
        )
    inside = "vae" if (folder / "model_index.json").is_file() else ""
    return Files(named.text, folder, None, None, inside, hub.revision(folder))


def _beside(file: Path) -> Path | None:
    """The configs of a single file: in a folder of its name beside it, or in its own folder; None if in neither."""
    for folder in (file.with_suffix(""), file.parent):
        if any((folder / name).is_file() for name in ("model_index.json", "config.json")):
            return folder
    return None


def _from_hub(file: Path) -> Path:
    """The configs of the model that the names of a single file's tensors point to, such as Stable Diffusion 1.5."""
    from diffusers.loaders.single_file_utils import fetch_diffusers_config, load_single_file_checkpoint

    repository = fetch_diffusers_config(load_single_file_checkpoint(str(file)))["pretrained_model_name_or_path"]
    try:
        return hub.snapshot(repository, _CONFIGS)
    except ModelError as error:
        raise ModelError(
            f"model {file}: looks like {repository}, whose configs are not at hand; go online once, or put that "
            f"model's model_index.json and config folders into {file.with_suffix('')}/"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a model's config.

    Raises:
        ModelError: it is not there, or is no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as JSON ({error}); expected a model's config") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value
