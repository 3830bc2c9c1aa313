"""Light changes to a picture after which it is still the same picture: what copies and generated pictures suffer."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it


def augment(pictures: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Shift, scale, blur, color, noise and JPEG, each to a part of the batch.

    Args:
        pictures: uint8 (n, 64, 64, 3).
        rng: where chance comes from.

    Returns:
        float32 (n, 3, 64, 64) in -1 .. 1.
    """
    pictures = np.stack([_jpeg(picture, rng) if rng.random() < 0.15 else picture for picture in pictures])
    batch = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    batch = _shift(batch, rng)
    soft = _blur(batch, float(rng.uniform(0.25, 0.7)))
    batch = _mix(batch, soft, rng.random(len(batch)) < 0.3)
    batch = _color(batch, rng)
    sigma = np.where(rng.random(len(batch)) < 0.25, rng.uniform(0, 0.15, len(batch)), 0).astype(np.float32)
    noise = rng.standard_normal(batch.shape, np.float32)
    return (batch + torch.from_numpy(sigma)[:, None, None, None] * torch.from_numpy(noise)).clamp(-1, 1)


def _jpeg(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=int(rng.integers(20, 90)))
    return np.asarray(Image.open(buffer))


def _shift(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """Move by up to 4 px and scale by up to 12 %, around white."""
    count = len(batch)
    theta = np.zeros((count, 2, 3), np.float32)
    theta[:, 0, 0] = theta[:, 1, 1] = rng.uniform(0.88, 1.12, count)
    theta[:, :, 2] = rng.uniform(-0.12, 0.12, (count, 2))
    grid = F.affine_grid(torch.from_numpy(theta), list(batch.shape), align_corners=False)
    return F.grid_sample(batch - 1, grid, align_corners=False) + 1


def _blur(batch: Tensor, share: float) -> Tensor:
    """Resample to `share` of the size and back."""
    small = F.interpolate(batch, scale_factor=share, mode="bilinear", antialias=True)
    return F.interpolate(small, size=batch.shape[-2:], mode="bicubic").clamp(-1, 1)


def _color(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """Scale each channel a little around white, the ground of every picture."""
    gain = torch.from_numpy(rng.uniform(0.92, 1.08, (len(batch), 3, 1, 1)).astype(np.float32))
    return (batch - 1) * gain + 1


def _mix(batch: Tensor, other: Tensor, chosen: np.ndarray) -> Tensor:
    return torch.where(torch.from_numpy(chosen)[:, None, None, None], other, batch)
