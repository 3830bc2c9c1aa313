"""A model's pass over pictures, in the precision that its device is fast in."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import torch

    Run = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Forward:
    """A pass in float16 where that is faster, and again in the model's own precision where its numbers do not fit.

    float16 rounds eight times finer than bfloat16, and sums are made in float32 in both; but some autoencoders leave
    its range on some pictures. That a pass did is seen by its infinities.

    Attributes:
        precise: in the model's own precision.
        half: in float16, on a copy of the model; None where it would not be faster.
        compiled: `half`, compiled for batches of `size` pictures; others go through `half`.
    """

    precise: Run
    half: Run | None = None
    compiled: Run | None = None
    size: int = 0

    @classmethod
    def of(cls, model: torch.nn.Module, run: Callable[[Any, torch.Tensor], torch.Tensor], *, halves: bool) -> Self:
        """Prepare a model.

        Args:
            model: with its weights on their device.
            run: what to do with it and pictures (n, 3, side, side).
            halves: keep a copy in float16, its convolutions laid out as tensor cores read them.
        """
        import torch

        if not halves or next(model.parameters()).dtype != torch.float32:
            return cls(partial(run, model))
        halved = copy.deepcopy(model).half().to(memory_format=torch.channels_last)
        return cls(partial(run, model), partial(run, halved))

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return what the model makes of pictures in its own precision, as float32."""
        quick = self.compiled if len(pixels) == self.size else self.half
        if quick is not None:
            found = quick(pixels.half()).float()
            if bool(found.isfinite().all()):
                return found
        return self.precise(pixels).float()

    def compile(self, size: int) -> Self:
        """Compile the pass in float16 for batches of so many pictures; the first of them takes about a minute."""
        import torch

        return self if self.half is None else replace(self, compiled=torch.compile(self.half, dynamic=False), size=size)
