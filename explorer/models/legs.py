"""The legs of a way from noise: one from the start, and one from every step at which a branch turns off.

A branch takes what the model expected at its step for a picture, noises it anew to where the way then was, and denoises
it by the same scheduler begun afresh: what multistep schedulers remember is of the old noise.
Source: Meng et al. 2022, "SDEdit" (arXiv 2108.01073), section 3: from a guide noised to t0, solve the reverse SDE.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from explorer.errors import QueryError
from explorer.records import Recipe

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, eq=False)
class Leg:
    """A part of the way with noise of its own.

    Attributes:
        seed: of its noise.
        done: steps that lie before it.
        begin: where in the scheduler's timesteps it begins.
        timesteps: (n,), what the model is asked at, one a step.
    """

    seed: int
    done: int
    begin: int
    timesteps: torch.Tensor

    @property
    def end(self) -> int:
        """Steps that are done when it is."""
        return self.done + len(self.timesteps)


def legs(scheduler: Any, recipe: Recipe) -> tuple[Leg, ...]:  # noqa: ANN401 - diffusers is imported lazily
    """The legs of a recipe's way, in order.

    Args:
        scheduler: a diffusers scheduler, its timesteps set for the recipe's steps.
        recipe: with its branches in the order in which they are taken.

    Raises:
        QueryError: a branch turns off where nothing is left to denoise, or no earlier than the one before it.
    """
    way = [Leg(recipe.seed, 0, 0, scheduler.timesteps)]
    for branch in recipe.branches:
        last = way.pop()
        taken = branch.step - last.done
        # A scheduler of order 2 asks twice a step, and can begin before the first of the two alone.
        at = -(-taken // scheduler.order) * scheduler.order
        if taken < 1 or at >= len(last.timesteps):
            most = last.end - scheduler.order
            raise QueryError(f"branch: found step {branch.step}; expected {last.done + 1} to {most} on this way")
        rest = _begun_afresh(scheduler, last.timesteps[at:])
        way += [
            replace(last, timesteps=last.timesteps[:taken]),
            Leg(branch.seed, branch.step, last.begin + at, rest),
        ]
    return tuple(way)


def _begun_afresh(scheduler: Any, timesteps: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Timesteps for a scheduler that starts with the first of them.

    PLMS takes its first step twice, to have a slope to go on with; so the second timestep stands there twice.
    Source: Liu et al. 2022, "Pseudo numerical methods for diffusion models on manifolds" (arXiv 2202.09778).
    """
    if type(scheduler).__name__ != "PNDMScheduler":
        return timesteps
    import torch

    once = torch.unique_consecutive(timesteps)
    return torch.cat([once[:2], once[1:]])
