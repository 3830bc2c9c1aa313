"""The `clip` space: open_clip's embedding of pictures and words."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from explorer.errors import ModelError
from explorer.models import hub
from explorer.models.device import pick, upload
from explorer.models.forward import Forward
from explorer.models.quiet import loading
from explorer.models.references import Kind, ModelReference, Role, parse
from explorer.models.weights import fingerprint
from explorer.pictures import square

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from PIL import Image

BATCH = 32
"""Pictures or texts that go through the model at a time; more make no CPU faster."""
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")


@dataclass(frozen=True, slots=True)
class ClipModel:
    """An open_clip model, ready to embed.

    Attributes:
        reference: names the model, for `ClipModel.load`.
        revision: the hub's commit; None for local weights.
        fingerprint: sha256 of the weights and of how pictures are prepared.
        side: pictures are squares of this many pixels.
        dim: dimensions of the space.
        forward: the picture tower.
    """

    model: Any
    tokenizer: Callable[[list[str]], torch.Tensor]
    device: torch.device
    reference: str
    revision: str | None
    fingerprint: str
    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dim: int
    forward: Forward

    @classmethod
    def load(cls, reference: str | ModelReference, device: str = "auto") -> Self:
        """Load a model: `demo`, ARCH/TAG, hf-hub:org/name, local-dir:PATH or a folder.

        Raises:
            ModelError: there is no such model here, or its weights are not safetensors.
        """
        named = parse(reference, Role.CLIP) if isinstance(reference, str) else reference
        where = pick(device)
        with loading(named.text):
            import open_clip

            name, options, path = _source(named)
            model = open_clip.create_model(name, device=where, **options).eval().requires_grad_(False)
            tokenizer = open_clip.get_tokenizer(name)
            prepare = open_clip.get_model_preprocess_cfg(model)
        size = prepare["size"]
        side = int(size if isinstance(size, int) else size[0])
        mean, std = (tuple(float(v) for v in prepare[key]) for key in ("mean", "std"))
        return cls(
            model=model, tokenizer=tokenizer, device=where, reference=named.text, revision=hub.revision(path),
            fingerprint=fingerprint(model.state_dict(), side, mean, std), side=side, mean=mean, std=std,
            dim=_dimensions(model, side, where), forward=Forward.of(model, _encode, halves=where.type == "cuda"),
        )  # fmt: skip

    @property
    def name(self) -> str:
        """What to call the model on the screen."""
        return self.reference if self.reference[:1] not in "/~." else Path(self.reference).name

    @property
    def batch(self) -> int | None:
        """So many pictures are best embedded together; None = to be measured, on a GPU."""
        return BATCH if self.device.type == "cpu" else None

    def compiled(self, batch: int) -> Self:
        """The same model, faster with batches of this many pictures, where the device can be made faster."""
        return replace(self, forward=self.forward.compile(batch))

    def describe(self) -> dict[str, Any]:
        """What an atlas keeps of the model that made its vectors."""
        return {
            "reference": self.reference, "revision": self.revision, "fingerprint": self.fingerprint, "dim": self.dim
        }  # fmt: skip

    def embed_pictures(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return float32 (n, dim), unit length, one row a picture (RGB, of any size)."""
        rows = [np.empty((0, self.dim), np.float32)]
        for start in range(0, len(pictures), BATCH):
            part = pictures[start : start + BATCH]
            rows.append(self.embed_squares(np.stack([np.asarray(square(each, self.side)) for each in part])))
        return np.concatenate(rows)

    def embed_squares(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32 (n, dim), unit length, of pictures uint8 (n, side, side, 3) that go through together."""
        import torch

        mean, std = (torch.tensor(each, device=self.device).view(3, 1, 1) for each in (self.mean, self.std))
        with torch.inference_mode():
            pixels = (upload(squares, self.device).float() / 255 - mean) / std
            vectors = self.forward(pixels)
            return torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (n, dim), unit length, one row a text; words past the model's context are cut."""
        import torch

        rows = [np.empty((0, self.dim), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(texts), BATCH):
                tokens = self.tokenizer(list(texts[start : start + BATCH])).to(self.device)
                rows.append(self.model.encode_text(tokens, normalize=True).float().cpu().numpy())
        return np.concatenate(rows)


def _encode(model: Any, pixels: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - open_clip has no common base
    vectors: torch.Tensor = model.encode_image(pixels)
    return vectors


def _source(named: ModelReference) -> tuple[str, dict[str, Any], Path]:
    """Return open_clip's name for a model, options of `create_model`, and the path of its weights."""
    if named.kind is Kind.TAG:
        return _tagged(named)
    if named.kind is Kind.HUB:
        folder = hub.snapshot(named.value, ["*.json", "*.txt", "*.safetensors"])
        _expect_weights(folder, named.text, _WEIGHTS[:1])
        return f"hf-hub:{named.value}", {}, folder
    _expect_weights(named.path, named.text, _WEIGHTS)
    if not (named.path / "open_clip_config.json").is_file():
        raise ModelError(f"model {named.text}: {named.path} has no open_clip_config.json; expected open_clip's layout")
    return f"local-dir:{named.value}", {}, named.path


def _expect_weights(folder: Path, name: str, allowed: Sequence[str]) -> None:
    """Make sure that open_clip finds safetensors under a name that it looks for before it looks for pickles."""
    found = hub.safetensors_in(folder, name)
    if not any(path.name in allowed for path in found):
        raise ModelError(
            f"model {name}: found {found[0].name} in {folder}, which open_clip passes over where there is a pickle; "
            f"name it {allowed[0]}"
        )


def _tagged(named: ModelReference) -> tuple[str, dict[str, Any], Path]:
    import open_clip

    architecture, tag = named.value.split("/")
    if architecture not in open_clip.list_models():
        near = difflib.get_close_matches(architecture, open_clip.list_models(), n=3)
        raise ModelError(
            f"model {named.text}: open_clip has no architecture {architecture!r}; expected ARCH/TAG"
            + (f", such as {', '.join(near)}" if near else "; `open_clip.list_pretrained()` lists them")
        )
    settings = open_clip.get_pretrained_cfg(architecture, tag)
    if not settings or not settings.get("hf_hub"):
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(architecture)[:12])
        raise ModelError(f"model {named.text}: {architecture} has no tag {tag!r} on the hub; it has: {tags}")
    repository, _, file = settings["hf_hub"].rpartition("/")
    wanted = Path(file).stem + ".safetensors" if file else "open_clip_model.safetensors"
    weights = hub.snapshot(repository, [wanted]) / wanted
    if not weights.is_file():
        raise ModelError(f"model {named.text}: {repository} has no {wanted}; expected safetensors; name another tag")
    options = {
        "pretrained": str(weights), "force_preprocess_cfg": settings, "force_quick_gelu": settings.get("quick_gelu")
    }  # fmt: skip
    return architecture, options, weights


def _dimensions(model: Any, side: int, device: torch.device) -> int:  # noqa: ANN401 - open_clip has no common base
    import torch

    with torch.inference_mode():
        return int(model.encode_image(torch.zeros(1, 3, side, side, device=device)).shape[1])
