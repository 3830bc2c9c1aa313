"""One step of a way through the maps: where it stands, what is near, and how decided it is.

The way is a generator's from noise to a picture, or a picture's back into noise (`explorer.noising`).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.atlas import Atlas
from explorer.placement import Placed, place_vectors, placer
from explorer.records import Near, Space, TrajectoryStep

SHOWN = 6
"""Neighbors that a step tells of."""

ASKED = 50
"""Neighbors whose clusters say how decided a step is: at 15 one picture more or less would be seen in a curve."""

Vector = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a step stands in one space.

    Attributes:
        vector: (1, d), centered where the space is, of any length.
        via: `latent` where it is the generator's own, `picture` where a picture was encoded.
    """

    vector: Vector
    via: str


def spaces_of_steps(atlas: Atlas) -> tuple[str, ...]:
    """The spaces that steps are followed in: not `sscd`, a large model to ask at every step, and not always at hand."""
    return tuple(space for space in atlas.spaces if space != Space.SSCD)


def placed_at(atlas: Atlas, stands: Mapping[str, Stand]) -> dict[str, Placed]:
    """Find a step's place on every map, and its `ASKED` nearest training pictures in every space."""
    return {space: place_vectors(atlas, space, stand.vector, k=ASKED) for space, stand in stands.items()}


def step_of(
    atlas: Atlas, number: int, timestep: float, stands: Mapping[str, Stand], placed: Mapping[str, Placed]
) -> TrajectoryStep:
    """Say of a step where it stands and what is near it.

    Args:
        atlas: the atlas.
        number: 1-based.
        timestep: of the scheduler.
        stands: space -> where the step stands.
        placed: what `placed_at` found for them.
    """
    nearest = {space: _near(atlas, each) for space, each in placed.items()}
    groups = {space: atlas.space(space).cluster[each.rows[0]] for space, each in placed.items()}
    return TrajectoryStep(
        step=number,
        timestep=timestep,
        points={space: _point(each) for space, each in placed.items()},
        nearest={space: each[0].id for space, each in nearest.items()},
        similarity={space: each[0].similarity for space, each in nearest.items()},
        neighbors=nearest,
        percentile={space: _percentile(atlas, space, each) for space, each in placed.items()},
        distance={space: float(placer(atlas, space).distances(each.points)[0]) for space, each in placed.items()},
        entropy={space: entropy(each) for space, each in groups.items()},
        cluster={space: leading(each) for space, each in groups.items()},
        via={space: stand.via for space, stand in stands.items()},
    )


def entropy(groups: npt.NDArray[np.int32]) -> float:
    """Shannon's entropy of how neighbors spread over clusters: -sum p log2 p, bits.

    0 where all are of one cluster; the fewer bits, the more decided. It cannot exceed log2 of the neighbors' number.
    Source: Shannon 1948, "A mathematical theory of communication", section 6.

    Args:
        groups: int32 (k,), each neighbor's cluster; those in none (-1) count as one group.
    """
    shares = np.unique(groups, return_counts=True)[1] / len(groups)
    return float(abs((shares * np.log2(shares)).sum()))  # abs: the sum over one group is -0.0


def leading(groups: npt.NDArray[np.int32]) -> int | None:
    """The cluster that most of some neighbors are in, the lower number at a tie; None where that is none."""
    names, counts = np.unique(groups, return_counts=True)
    name = int(names[counts.argmax()])
    return name if name >= 0 else None


@dataclass(frozen=True, slots=True)
class Decided:
    """From which step on a way keeps what it ends with; steps are 1-based.

    Attributes:
        family: the nearest training picture is of the same family as at the end.
        cluster: most neighbors are in the same cluster as at the end.
    """

    family: int
    cluster: int


def decided(atlas: Atlas, steps: Sequence[TrajectoryStep]) -> dict[str, Decided]:
    """When a way was decided, in every space.

    Args:
        atlas: the atlas.
        steps: all of them, in order.
    """

    def family(identity: int) -> int:
        return int(atlas.families[atlas.row(identity)])

    return {
        space: Decided(
            family=steps[settled([family(step.nearest[space]) for step in steps])].step,
            cluster=steps[settled([step.cluster[space] for step in steps])].step,
        )
        for space in steps[-1].points
    }


def settled(values: Sequence[Hashable]) -> int:
    """The index from which on all values are the last one."""
    at = len(values) - 1
    while at > 0 and values[at - 1] == values[-1]:
        at -= 1
    return at


def _near(atlas: Atlas, placed: Placed) -> tuple[Near, ...]:
    pairs = zip(atlas.ids[placed.rows[0, :SHOWN]].tolist(), placed.similarities[0, :SHOWN].tolist(), strict=True)
    return tuple(Near(identity, similarity) for identity, similarity in pairs)


def _point(placed: Placed) -> tuple[float, float, float]:
    x, y, z = placed.points[0].tolist()
    return (x, y, z)


def _percentile(atlas: Atlas, space: str, placed: Placed) -> float | None:
    percentile = float(atlas.space(space).percentiles(placed.similarities[0, :1])[0])
    return None if np.isnan(percentile) else percentile
