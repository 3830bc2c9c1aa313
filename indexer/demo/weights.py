"""Writing models: half precision, safetensors, and never half a file."""

from __future__ import annotations

import copy
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn


def save_half(model: nn.Module, out: Path) -> None:
    """Save a diffusers or transformers model to the folder `out` as float16 safetensors."""
    half: Any = copy.deepcopy(model).half()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        half.save_pretrained(folder, safe_serialization=True)
        config = Path(folder) / "config.json"
        kept = json.loads(config.read_text(encoding="utf-8"))
        kept.pop("_name_or_path", None)  # where it was loaded from, on the machine that trained it
        save_json(kept, config)
        for path in Path(folder).iterdir():
            _place(path, out / path.name)


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Save float16 copies of the tensors to one safetensors file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    save_file({name: value.detach().to("cpu", torch.float16).contiguous() for name, value in tensors.items()}, part)
    _place(part, path)


def save_json(value: object, path: Path) -> None:
    """Write readable JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    _place(part, path)


def _place(part: Path, path: Path) -> None:
    """Put a finished file where it belongs; safetensors writes files that only their owner may read."""
    part.chmod(0o644)
    os.replace(part, path)
