"""Which device models run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from explorer.errors import ModelError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


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
