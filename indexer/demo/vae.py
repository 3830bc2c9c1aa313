"""The demo's autoencoder: a small AutoencoderKL, 64 x 64 pixels to 16 channels of 8 x 8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from indexer.demo.corpus import DemoCorpus
from indexer.demo.loop import LoopOptions, Training
from indexer.demo.weights import save_half

BATCH = 24
LEARNING_RATE = 1.5e-3
KL_WEIGHT = 3e-6
EDGE_WEIGHT = 0.5
COLOR_WEIGHT = 2.0
LATENT_NOISE = 0.1


def build_vae() -> AutoencoderKL:
    """An autoencoder with random weights; 1.9 million parameters."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32, 64, 64, 96),
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=8,
        sample_size=64,
        mid_block_add_attention=False,
    )


def train_vae(corpus: DemoCorpus, options: LoopOptions, folder: Path, out: Path, device: str) -> None:
    """Train on every picture, both splits; publish to `out` in diffusers' layout."""
    model = build_vae().to(device, memory_format=torch.channels_last)
    pictures = to_pixels(corpus.pictures)

    def loss(rng: np.random.Generator) -> dict[str, Tensor]:
        batch = _augment(pictures[corpus.draw(rng, BATCH)], rng).to(device, memory_format=torch.channels_last)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            posterior = model.encode(batch).latent_dist
            decoded = model.decode(posterior.sample()).sample.float()
        parts = reconstruction_loss(decoded, batch)
        divergence = _kl(posterior.mean.float(), posterior.logvar.float())
        return {**parts, "kl": divergence, "loss": parts["loss"] + KL_WEIGHT * divergence}

    def publish(average: AutoencoderKL) -> None:
        means = encode_means(average, pictures[:: max(1, len(pictures) // 512)])
        # One over the means' deviation, so that the generator meets latents of variance one.
        average.register_to_config(scaling_factor=round(1 / float(means.std()), 6))
        save_half(average, out)

    Training(model, options, folder).run(loss, publish)


def train_decoder(corpus: DemoCorpus, options: LoopOptions, folder: Path, out: Path, device: str) -> None:
    """Go on with the decoder of the published autoencoder; its latents stay what the generator has learned."""
    model = load_vae(out).to(device, memory_format=torch.channels_last)
    pictures = to_pixels(corpus.pictures)
    latents = torch.stack([encode_means(model, pictures), encode_means(model, pictures.flip(3))])
    for part in (model.encoder, model.quant_conv):
        part.requires_grad_(False)

    def loss(rng: np.random.Generator) -> dict[str, Tensor]:
        chosen, mirrored = corpus.draw(rng, BATCH), torch.from_numpy(rng.integers(0, 2, BATCH))
        batch = torch.where(mirrored[:, None, None, None] > 0, pictures[chosen].flip(3), pictures[chosen]).to(device)
        clean = latents[mirrored, chosen]
        noise = torch.from_numpy(rng.standard_normal(clean.shape, np.float32))
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            decoded = model.decode((clean + LATENT_NOISE * noise).to(device)).sample.float()
        return reconstruction_loss(decoded, batch)

    Training(model, options, folder).run(loss, lambda average: save_half(average, out))


def load_vae(folder: Path) -> AutoencoderKL:
    """A published autoencoder in float32."""
    return AutoencoderKL.from_pretrained(folder, dtype=torch.float32)


def to_pixels(pictures: np.ndarray) -> Tensor:
    """uint8 (n, h, w, 3) to float32 (n, 3, h, w) in -1 .. 1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def reconstruction_loss(decoded: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Pixels (squared and absolute), edges and color, of float32 (n, 3, h, w) each.

    The drawings are flat color inside dark outlines. The gradients are where eyes and mouths are; the means of 4 x 4
    and 8 x 8 pixels and the differences of the channels are what tells a pink heart from a gray one: without them,
    brightness is learned long before color.
    """
    pixels = 2 * F.mse_loss(decoded, target) + 0.5 * F.l1_loss(decoded, target)
    down, across = (F.l1_loss(decoded.diff(dim=axis), target.diff(dim=axis)) for axis in (2, 3))
    edges = down + across
    error = decoded - target
    hue = error - error.mean(dim=1, keepdim=True)
    color = 2 * hue.square().mean() + sum(F.avg_pool2d(error, size).square().mean() for size in (4, 8))
    return {
        "loss": pixels + EDGE_WEIGHT * edges + COLOR_WEIGHT * color,
        "pixels": pixels,
        "edges": edges,
        "color": color,
    }


@torch.no_grad()
def encode_means(vae: AutoencoderKL, pixels: Tensor) -> Tensor:
    """Posterior means, not scaled: float32 (n, 16, 8, 8) of pixels float32 (n, 3, 64, 64) in -1 .. 1."""
    return torch.cat([vae.encode(part.to(vae.device)).latent_dist.mean.float().cpu() for part in pixels.split(64)])


def _kl(mean: Tensor, logvar: Tensor) -> Tensor:
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(dim=(1, 2, 3)).mean()


def _augment(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """Mirror half of the pictures, and exchange the color channels of half.

    The corpus is mostly yellow, blue and brown. With the channels exchanged every hue is as common as any other, so the
    latents have to carry all of them: without it, blue hearts come out black and pink ones gray.
    """
    changed = []
    for picture in batch:
        turned = picture.flip(2) if rng.random() < 0.5 else picture
        changed.append(turned[torch.from_numpy(rng.permutation(3))] if rng.random() < 0.5 else turned)
    return torch.stack(changed)
