"""The other way: a picture of the atlas is noised step by step, and leaves the cloud.

x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) e, with one draw of Gaussian noise e for the whole way, so that the steps lie
on one path. What is noised is the atlas's thumbnail, since nothing larger is kept: the first step, without noise, says
how far its vectors are from the indexed ones.
Source: Ho et al. 2020, "Denoising diffusion probabilistic models" (arXiv 2006.11239), equation 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from explorer.atlas import Atlas
from explorer.errors import QueryError
from explorer.layout import NEIGHBORS
from explorer.models.loader import Models
from explorer.pictures import open_picture, square
from explorer.placement import Placed
from explorer.recipes import MAX_SEED, MAX_STEPS
from explorer.records import Medium, Schedule, Space, TrajectoryStep
from explorer.search import picture_vectors, rows_near
from explorer.way import Stand, placed_at, settled, spaces_of_steps, step_of

TRAINED = 1_000
"""Timesteps of a schedule, as nearly every model was trained with."""

PIXELS = 224
"""Side of what is noised where no VAE says one."""


@dataclass(frozen=True, slots=True)
class NoisePlan:
    """What is noised, and how.

    Attributes:
        id: of the picture.
        medium: None: latents where the atlas has a VAE, else pixels.
        steps: with noise; one without any comes before them.
        seed: of the noise.
    """

    id: int
    schedule: Schedule = Schedule.SCALED_LINEAR
    medium: Medium | None = None
    steps: int = 25
    seed: int = 0


@dataclass(frozen=True, slots=True)
class NoisedStep:
    """A picture with some noise.

    Attributes:
        plan: of the way that it belongs to, its medium named.
        trajectory: where it stands and what is near it; step 1 has no noise.
        picture: what it looks like.
        signal: sqrt(abar), 1 to 0: how much of the picture is left.
        own: space -> how many neighbors of its own the picture has, at most 15, itself left out.
        kept: space -> how many of them are among as many nearest of this step.
        itself: space -> whether the picture itself is the nearest; None of one that is held out.
    """

    plan: NoisePlan
    trajectory: TrajectoryStep
    picture: Image.Image
    signal: float
    own: Mapping[str, int]
    kept: Mapping[str, int]
    itself: Mapping[str, bool | None]


@dataclass(frozen=True, slots=True)
class Lost:
    """When a picture lost its place; steps are 1-based, None where it never did.

    Attributes:
        itself: the step from which on it is not its own nearest any more; None of one that is held out, too.
        neighbors: the step from which on fewer than half of its neighbors are its own.
    """

    itself: int | None
    neighbors: int | None


def signal(schedule: Schedule) -> npt.NDArray[np.float64]:
    """abar_t, the share of a picture's variance that is left after t of `TRAINED` timesteps; float64 (TRAINED + 1,).

    linear: beta from 1e-4 to 0.02 (Ho et al. 2020, section 4). scaled_linear: its root is linear, from 0.00085 to
    0.012 (Rombach et al. 2022, arXiv 2112.10752, as in the configuration of Stable Diffusion). cosine: abar_t =
    f(t) / f(0), f(t) = cos^2((t/T + 0.008) / 1.008 * pi/2), beta at most 0.999 (Nichol and Dhariwal 2021,
    arXiv 2102.09672, equation 17).
    """
    if schedule is Schedule.LINEAR:
        beta = np.linspace(1e-4, 0.02, TRAINED)
    elif schedule is Schedule.SCALED_LINEAR:
        beta = np.linspace(0.00085**0.5, 0.012**0.5, TRAINED) ** 2
    else:
        f = np.cos((np.arange(TRAINED + 1) / TRAINED + 0.008) / 1.008 * np.pi / 2) ** 2
        beta = np.minimum(1 - f[1:] / f[:-1], 0.999)
    return np.concatenate([[1.0], np.cumprod(1 - beta)])


def usual_medium(atlas: Atlas) -> Medium:
    """What is noised where nobody says: latents, unless the atlas came without a VAE."""
    given = Space.VAE in atlas.spaces and (atlas.meta["models"].get(Space.VAE.value) or {}).get("reference")
    return Medium.LATENTS if given else Medium.PIXELS


def noised(atlas: Atlas, models: Models, plan: NoisePlan) -> Iterator[NoisedStep]:
    """Noise a picture step by step; whoever has seen enough stops asking. What cannot be noised is refused at once.

    Raises:
        QueryError: there is no such picture, no thumbnail of it, a value is out of its bounds, the picture is flagged
            as unsafe, or the atlas came without the models.
    """
    _check(plan)
    row = atlas.row(plan.id)
    if atlas.flagged[row]:
        raise QueryError(f"picture {plan.id} is flagged as unsafe; its way into noise is not shown")
    picture = open_picture(atlas.thumbnail(plan.id))
    plan = replace(plan, medium=plan.medium or usual_medium(atlas))
    own = {space: rows_near(atlas, plan.id, space, NEIGHBORS)[1] for space in spaces_of_steps(atlas)}
    return _steps(atlas, _Noiser(atlas, models, picture, plan), own, row)


def _check(plan: NoisePlan) -> None:
    for name, value, least, most in (("steps", plan.steps, 1, MAX_STEPS), ("seed", plan.seed, 0, MAX_SEED)):
        if not least <= value <= most:
            raise QueryError(f"{name}: expected {least:,} to {most:,}, found {value:,}")


def _steps(atlas: Atlas, noiser: _Noiser, own: Mapping[str, npt.NDArray[np.int64]], row: int) -> Iterator[NoisedStep]:
    plan, left = noiser.plan, signal(noiser.plan.schedule)
    for number, timestep in enumerate(np.linspace(0, TRAINED, plan.steps + 1).round().astype(int).tolist(), start=1):
        picture, stands = noiser.at(float(left[timestep]))
        placed = placed_at(atlas, stands)
        yield NoisedStep(
            plan,
            step_of(atlas, number, float(timestep), stands, placed),
            picture,
            signal=float(left[timestep] ** 0.5),
            own={space: len(rows) for space, rows in own.items()},
            kept={space: _kept(placed[space], rows, row) for space, rows in own.items()},
            itself={space: _is_nearest(atlas, each, row) for space, each in placed.items()},
        )


def _kept(placed: Placed, own: npt.NDArray[np.int64], row: int) -> int:
    """How many of a picture's own neighbors are still among as many nearest, the picture itself left out."""
    found = placed.rows[0]
    return int(np.isin(found[found != row][: len(own)], own).sum())


def _is_nearest(atlas: Atlas, placed: Placed, row: int) -> bool | None:
    return bool(placed.rows[0, 0] == row) if atlas.train[row] else None


def lost(way: Sequence[NoisedStep]) -> dict[str, Lost]:
    """When a picture lost its place, in every space."""

    def since(held: Sequence[bool]) -> int | None:
        """The step from which on nothing is held, None where it is held at the end."""
        return None if held[-1] else way[settled(held)].trajectory.step

    return {
        space: Lost(
            None if way[0].itself[space] is None else since([bool(step.itself[space]) for step in way]),
            since([2 * step.kept[space] >= step.own[space] for step in way]),
        )
        for space in way[0].kept
    }


class _Noiser:
    """A picture, and noise of its own, mixed in any ratio."""

    def __init__(self, atlas: Atlas, models: Models, picture: Image.Image, plan: NoisePlan) -> None:
        self.plan = plan
        self._atlas, self._models = atlas, models
        # A tensor (1, channels, h, w), shifted and scaled, or float32 (side, side, 3) from -1 to 1: both can be mixed.
        self._clean: Any
        self._noise: Any
        rng = np.random.default_rng(plan.seed)
        if plan.medium is Medium.LATENTS:
            latents = models.vae().latents([picture])
            drawn = rng.standard_normal(tuple(latents.shape), dtype=np.float32)
            self._clean, self._noise = latents, latents.new_tensor(drawn)
        else:
            pixels = self._pixels(picture)
            self._clean, self._noise = pixels, rng.standard_normal(pixels.shape, dtype=np.float32)

    def at(self, power: float) -> tuple[Image.Image, dict[str, Stand]]:
        """What it looks like, and where it stands, with this share of its variance left."""
        mixed = power**0.5 * self._clean + (1 - power) ** 0.5 * self._noise
        stands = {}
        if self.plan.medium is Medium.LATENTS:
            vae = self._models.vae()
            picture = vae.decode(mixed)[0]
            if Space.VAE in self._atlas.spaces:
                vector = vae.pool_latents(mixed) - self._atlas.space(Space.VAE).mean
                stands[Space.VAE.value] = Stand(vector, "latent")
        else:
            picture = Image.fromarray(((mixed / 2 + 0.5).clip(0, 1) * 255).round().astype(np.uint8))
        spaces = spaces_of_steps(self._atlas)
        for space in spaces:
            if space not in stands:
                vector = picture_vectors(self._atlas, self._models, space, [picture])
                stands[space] = Stand(vector, "picture")
        return picture, {space: stands[space] for space in spaces}

    def _pixels(self, picture: Image.Image) -> npt.NDArray[np.float32]:
        side = self._models.vae().side if Space.VAE in self._atlas.spaces else PIXELS
        return np.asarray(square(picture, side), dtype=np.float32) / 127.5 - 1
