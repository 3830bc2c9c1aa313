"""Which weights a model has, as one number."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def fingerprint(state: Mapping[str, torch.Tensor], *settings: object) -> str:
    """Return sha256 over a model's tensors as float32, by name, and over what else changes its answers.

    The same weights give the same number from a folder, from a hub id and from a single file.
    """
    digest = hashlib.sha256(repr(settings).encode())
    for name in sorted(state):
        tensor = state[name].detach().float().cpu().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(np.ascontiguousarray(tensor.numpy()).data)
    return digest.hexdigest()
