"""The `vae` space: where a picture stands for the model that generates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from explorer.errors import ModelError
from explorer.models import hub
from explorer.models.device import pick, upload
from explorer.models.files import Files, files, read_json
from explorer.models.forward import Forward
from explorer.models.quiet import loading
from explorer.models.references import ModelReference, Role, parse
from explorer.models.weights import fingerprint
from explorer.pictures import square

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from PIL import Image

GRID = 8
"""A latent is averaged down to channels x GRID x GRID."""
BATCH = 32
"""At most so many pictures go through the encoder at a time on a CPU."""
BATCH_BYTES = 32 << 20
"""What a batch's activations may take there, about: beyond its caches a CPU becomes slower."""


@dataclass(frozen=True, slots=True)
class VaeModel:
    """A diffusers `AutoencoderKL`, ready to encode.

    Attributes:
        reference: names the model, for `VaeModel.load`.
        revision: the hub's commit; None for local weights.
        fingerprint: sha256 of its weights and scaling; equal where two generators share a VAE.
        side: pictures are encoded as squares of this many pixels.
        forward: the encoder, up to the posterior's mean.
    """

    vae: Any
    device: torch.device
    reference: str
    revision: str | None
    fingerprint: str
    side: int
    forward: Forward

    @classmethod
    def load(cls, reference: str | ModelReference, device: str = "auto", *, side: int | None = None) -> Self:
        """Load the VAE of a pipeline, or a VAE by itself: `demo`, a hub id, a folder, one `.safetensors` file.

        Args:
            reference: names it.
            device: one of `device.DEVICES`.
            side: pixels to encode at; the generator's own size if None.

        Raises:
            ModelError: there is no such model here, or its weights are not safetensors.
        """
        named = parse(reference, Role.DIFFUSION) if isinstance(reference, str) else reference
        where = pick(device)
        with loading(named.text):
            found = files(named, vae_only=True)
            vae = _load(found)
        return cls.of(vae.to(where), where, named.text, found.revision, side or native_side(vae, found.unet_config()))

    @classmethod
    def of(cls, vae: Any, device: torch.device, reference: str, revision: str | None, side: int) -> Self:  # noqa: ANN401
        """Wrap a VAE that is loaded already, as part of a generator."""
        vae = vae.eval().requires_grad_(False)
        mark = fingerprint(vae.state_dict(), float(vae.config.scaling_factor), float(vae.config.shift_factor or 0))
        forward = Forward.of(vae, _mean, halves=device.type == "cuda")
        return cls(vae, device, reference, revision, mark, side, forward)

    @property
    def dim(self) -> int:
        """Dimensions of the space: channels x GRID x GRID."""
        return int(self.vae.config.latent_channels) * GRID * GRID

    @property
    def batch(self) -> int | None:
        """So many pictures are best encoded together; None = to be measured, on a GPU."""
        return self._cpu_batch if self.device.type == "cpu" else None

    @property
    def _cpu_batch(self) -> int:
        """What fits into `BATCH_BYTES`: the first block keeps some four copies of its channels at full size."""
        copies, size = 4, 4
        one = copies * size * int(self.vae.config.block_out_channels[0]) * self.side**2
        return max(1, min(BATCH, BATCH_BYTES // one))

    def compiled(self, batch: int) -> Self:
        """The same model, faster with batches of this many pictures, where the device can be made faster."""
        return replace(self, forward=self.forward.compile(batch))

    def describe(self) -> dict[str, Any]:
        """What an atlas keeps of the model that made its vectors."""
        return {
            "reference": self.reference, "revision": self.revision, "fingerprint": self.fingerprint, "dim": self.dim,
            "side": self.side,
        }  # fmt: skip

    def pooled(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return float32 (n, dim): the pooled latents of RGB pictures, neither centered nor normalized."""
        size = self._cpu_batch
        parts = [self.pool_latents(self.latents(pictures[at : at + size])) for at in range(0, len(pictures), size)]
        return np.concatenate(parts) if parts else np.empty((0, self.dim), np.float32)

    def pool_squares(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As `pooled`, of pictures uint8 (n, side, side, 3) that go through together."""
        return self.pool_latents(self._encoded(squares))

    def latents(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        """Return float32 (n, channels, h, w): the posterior's mean with the model's shift and scaling."""
        return self._encoded(np.stack([np.asarray(square(each, self.side)) for each in pictures]))

    def _encoded(self, squares: NDArray[np.uint8]) -> torch.Tensor:
        import torch

        with torch.inference_mode():
            pixels = upload(squares, self.device).to(self.vae.dtype) / 127.5 - 1
            mean = self.forward(pixels)
            shift, scale = float(self.vae.config.shift_factor or 0), float(self.vae.config.scaling_factor)
            return (mean - shift) * scale

    def pool_latents(self, latents: torch.Tensor) -> NDArray[np.float32]:
        """Average latents down to GRID x GRID and flatten them.

        Args:
            latents: (n, channels, h, w), shifted and scaled, as the denoiser sees them; of a picture that is not
                square the middle counts, as in the pictures of the atlas.

        Returns:
            float32 (n, dim), channels first.
        """
        import torch

        side = min(latents.shape[-2:])
        top, left = ((length - side) // 2 for length in latents.shape[-2:])
        middle = latents[..., top : top + side, left : left + side].float().cpu()  # MPS pools only even divisions
        with torch.inference_mode():
            return torch.nn.functional.adaptive_avg_pool2d(middle, GRID).flatten(1).numpy()

    def decode(self, latents: torch.Tensor) -> list[Image.Image]:
        """Return the RGB pictures of latents (n, channels, h, w), shifted and scaled."""
        import torch
        from PIL import Image

        raw = latents / self.vae.config.scaling_factor + (self.vae.config.shift_factor or 0)
        with torch.inference_mode():
            pixels = self.vae.decode(raw.to(self.device, self.vae.dtype)).sample.float()
        levels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return [Image.fromarray(each) for each in levels]


def native_side(vae: Any, unet: dict[str, Any] | None) -> int:  # noqa: ANN401 - diffusers is imported lazily
    """The pixels a generator was trained at: its U-Net's sample size times the VAE's reduction; else the VAE's own."""
    size, factor = vae.config.sample_size, 1
    if unet and unet.get("sample_size"):
        size, factor = unet["sample_size"], 2 ** (len(vae.config.block_out_channels) - 1)
    return int(size if isinstance(size, int | float) else min(size)) * factor


def _mean(vae: Any, pixels: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - diffusers is imported lazily
    mean: torch.Tensor = vae.encode(pixels).latent_dist.mode()
    return mean


def _load(found: Files) -> Any:  # noqa: ANN401 - diffusers is imported lazily
    import torch
    from diffusers import AutoencoderKL

    # Weights may be kept in half precision, which not every device can multiply.
    options: dict[str, Any] = {"torch_dtype": torch.float32}
    if found.file is not None:
        options |= {"config": str(found.config), "subfolder": found.vae_folder}
        return AutoencoderKL.from_single_file(str(found.file), **options)
    folder = found.folder / found.vae_folder
    kind = read_json(folder / "config.json").get("_class_name")
    if kind != "AutoencoderKL":
        raise ModelError(f"model {found.name}: its VAE is {kind or 'missing'}; expected diffusers' AutoencoderKL")
    hub.safetensors_in(folder, found.name)
    return AutoencoderKL.from_pretrained(str(folder), use_safetensors=True, **options)
