"""Which device models run on, how pictures get there, and what tells that it has no room."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from explorer.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

DEVICES = ("auto", "cpu", "cuda", "mps")

_NO_ROOM = ("can't allocate memory", "could not create a primitive", "_ALLOC_FAILED", "out of memory")
"""The words of the CPU's allocator, of oneDNN, whose kernels for one batch size take memory too, of cuDNN and cuBLAS,
and of MPS."""


def pick(name: str = "auto") -> torch.device:
    """Return the device by its name; `auto` is CUDA, else Apple's GPU, else the CPU.

    Raises:
        ModelError: the name is none of `DEVICES`, or this machine has no such device.
    """
    import torch

    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(each for each in ("cuda", "mps", "cpu") if here[each])
    if name not in here:
        raise ModelError(f"device {name!r}: expected one of {', '.join(DEVICES)}")
    if not here[name]:
        raise ModelError(f"device {name!r}: this machine has none that torch can use; use --device auto")
    return torch.device(name)


def upload(squares: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """Bring pictures to a device.

    Args:
        squares: uint8 (n, side, side, 3).
        device: to a GPU they go through pinned memory, at the bus's full speed and beside whatever it is computing.

    Returns:
        uint8 (n, 3, side, side), its memory as it was: channels last, which convolutions prefer.
    """
    import torch

    pixels = torch.from_numpy(squares)
    if device.type == "cuda":
        pixels = pixels.pin_memory()
    return pixels.to(device, non_blocking=True).permute(0, 3, 1, 2)


def use_one_thread() -> None:
    """Let torch, where it is loaded, sum in one order, whatever the number of cores."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no room, on the device or in this machine."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _NO_ROOM)


def give_back() -> None:
    """Let go of what torch keeps of a GPU's memory for later."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
