"""How a model is named: `demo`, a hub id, ARCH/TAG, a folder, one `.safetensors` file, or one TorchScript file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path

from explorer.errors import ModelError

PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})
"""File names of weights that run code when they are opened."""

_PATHS = ("./", "../", "/", "~")
_PAIR = re.compile(r"[\w.-]+/[\w.-]+")
_CONVERT = (
    'convert it once: python -c "import torch, safetensors.torch as s; '
    "w = torch.load('{file}', weights_only=True); w = w.get('state_dict', w); "
    "s.save_file({{k: v.clone() for k, v in w.items() if hasattr(v, 'clone')}}, '{out}')\""
)


class Role(StrEnum):
    """What a model is for; it settles what `a/b` means, and which of the demo's models `demo` is."""

    CLIP = "clip"
    DIFFUSION = "generator"
    SSCD = "sscd"


class Kind(StrEnum):
    """The forms of a reference."""

    DEMO = "demo"
    HUB = "hub"
    TAG = "tag"
    FOLDER = "folder"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A model's name, read once.

    Attributes:
        value: a hub id, ARCH/TAG, or an absolute path; for the demo the folder of its weights.
        text: the name to keep and show; `parse` reads it back anywhere on this machine.
    """

    kind: Kind
    role: Role
    value: str
    text: str

    @property
    def path(self) -> Path:
        """The folder or file of a local model."""
        return Path(self.value)


def parse(text: str, role: Role, base: Path | None = None, *, here: bool = True) -> ModelReference:
    """Read a reference.

    Args:
        text: as a person or a manifest writes it.
        role: what the model is to be used as.
        base: where a relative path starts; the working directory if None.
        here: whether the model has to be on this machine where its reference is a path.

    Raises:
        ModelError: the text is none of the forms, or its path is not there, or its file would be a pickle.
    """
    text = text.strip()
    if role is Role.SSCD:
        return _torchscript(text, base)
    if text == Kind.DEMO:
        return _demo(role)
    if Path(text).suffix.lower() in PICKLES:
        raise ModelError(pickle_message(text))
    if text.startswith("hf-hub:"):
        return _pair(text.removeprefix("hf-hub:"), text, Kind.HUB, role)
    if text.startswith(("local-dir:", *_PATHS)) or text.endswith(".safetensors"):
        return _local(text, role, base, here=here)
    return _pair(text, text, Kind.TAG if role is Role.CLIP else Kind.HUB, role)


def pickle_message(name: str) -> str:
    """The one line for weights that would run code when they are opened."""
    out = str(Path(name).with_suffix(".safetensors"))
    return f"{name}: a pickle can run code when it is opened; expected safetensors; " + _CONVERT.format(
        file=name, out=out
    )


def _demo(role: Role) -> ModelReference:
    folder = Path(str(resources.files("explorer") / "models" / "demo" / role.value))
    if not folder.is_dir():
        raise ModelError(
            f"demo: this installation has no weights for its {role.value}; expected them in {folder}; "
            "install the released package, or train them with `python -m indexer.demo`"
        )
    return ModelReference(Kind.DEMO, role, str(folder), Kind.DEMO.value)


def _pair(value: str, text: str, kind: Kind, role: Role) -> ModelReference:
    if not _PAIR.fullmatch(value):
        forms = "ARCH/TAG, local-dir:PATH" if role is Role.CLIP else "org/name, one .safetensors file"
        raise ModelError(
            f"model reference {text!r}: expected demo, hf-hub:org/name, {forms}, or a path beginning with ./, / or ~"
        )
    return ModelReference(kind, role, value, text)


def _local(text: str, role: Role, base: Path | None, *, here: bool) -> ModelReference:
    path = Path(text.removeprefix("local-dir:")).expanduser()
    path = ((base or Path.cwd()) / path).resolve()
    if path.is_dir() or not (here or path.exists()):
        return ModelReference(Kind.FOLDER, role, str(path), str(path))
    if not path.is_file():
        raise ModelError(f"model reference {text!r}: nothing is at {path}; expected a model's folder or .safetensors")
    if path.suffix != ".safetensors":
        raise ModelError(f"model reference {text!r}: expected a folder or a .safetensors file, found {path.name}")
    if role is Role.CLIP:
        raise ModelError(f"model reference {text!r}: name the folder that holds it and its open_clip_config.json")
    return ModelReference(Kind.FILE, role, str(path), str(path))


def _torchscript(text: str, base: Path | None) -> ModelReference:
    """A TorchScript file: a program, so nothing but a path that somebody wrote down leads to one."""
    if not text.startswith(_PATHS):
        raise ModelError(
            f"model reference {text!r}: expected the path of SSCD's TorchScript file, beginning with ./, / or ~; it is "
            "a program, and none is fetched from a hub"
        )
    path = ((base or Path.cwd()) / Path(text).expanduser()).resolve()
    if not path.is_file():
        raise ModelError(f"model reference {text!r}: no file is at {path}; expected SSCD's .torchscript.pt")
    return ModelReference(Kind.FILE, Role.SSCD, str(path), str(path))
