"""The document of a finished audit: all figures, every prompt, every row, and what none of it shows; JSON has no other.

docs/audits.md explains every key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.atlas import Atlas
from explorer.audit import axes, ranking, sets, shares, spaces
from explorer.audit.axes import Axis
from explorer.audit.plan import Plan
from explorer.audit.reference import reference
from explorer.audit.shards import Row, Shards, Vectors
from explorer.errors import QueryError
from explorer.landing import VerdictName
from explorer.paper import SOFTWARE, software_version
from explorer.records import Recipe, Relation, Space, Split
from explorer.search import Encoders
from explorer.stamp import public
from explorer.verdicts import caveats

SCHEMA = 1

LIMITS = (
    "A neighbor is a resemblance, not a cause: no figure here says that a picture was made from another.",
    "Pictures of one prompt are not independent: intervals count prompts, not pictures.",
    "Density, coverage, precision, recall and the Vendi score depend on k and on the sizes of the sets; compare only "
    "figures of the same k and sizes.",
    "Clusters are held against the collection, not against what was asked for: prompts about cats draw cats.",
    "An axis between two phrases shows what a model associates with the words, not what a picture shows of anybody.",
)

Document = dict[str, Any]
Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured of the pictures.

    Attributes:
        axes: each becomes a column.
        k: of density, coverage, precision and recall.
        seed: of all samples.
    """

    axes: tuple[Axis, ...] = ()
    k: int = sets.K
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """All pictures of an audit.

    Attributes:
        rows: every one.
        located: those that have landed, in the order of the vectors.
        vectors: space -> float32 (m, d).
    """

    rows: Sequence[Row]
    located: Sequence[Row]
    vectors: Mapping[str, Vectors]


def gathered(shards: Shards, plan: Plan) -> Gathered:
    """Read all shards of an audit.

    Raises:
        QueryError: one is damaged, or no picture could be read.
    """
    found = [shards.read(number, plan.spaces) for number in range(plan.shards)]
    rows = [row for shard in found for row in shard.rows]
    located = [row for row in rows if row["error"] is None]
    if not located:
        raise QueryError(f"{shards.folder}: none of its {len(rows):,} pictures could be read ({rows[0]['error']})")
    vectors = {space: np.concatenate([shard.vectors[space] for shard in found]) for space in plan.spaces}
    return Gathered(rows, located, vectors)


def document(atlas: Atlas, models: Encoders, plan: Plan, found: Gathered, options: Options) -> Document:
    """Measure all pictures of an audit and tell of them.

    Args:
        atlas: what they are held against.
        models: read the phrases of axes.
        plan: what was audited.
        found: from `gathered`.
        options: what is measured.

    Raises:
        QueryError: the atlas has no `clip` for an axis, or a phrase of one cannot be used.
    """
    of = ranking.groups(found.located)
    against = reference(atlas, options.seed)
    placed = list(_on_axes(atlas, models, found, options.axes))
    told = {
        space: spaces.measured(atlas, space, vectors, of, against, options.k, options.seed)
        | {
            "clusters": [
                asdict(each) for each in spaces.clusters(atlas, space, _clusters(found.located, space), of, against)
            ]
        }
        for space, vectors in found.vectors.items()
    }
    return {
        "schema": SCHEMA,
        "kind": "audit",
        "software": {"name": SOFTWARE, "version": software_version()},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **_about(atlas, plan),
        "pictures": len(found.located),
        "failed": len(found.rows) - len(found.located),
        "prompts": len(np.unique(of)),
        "reference": {"train": len(against.train), "heldout": len(against.heldout), "families": against.families},
        "verdicts": _verdicts(found.located, len(np.unique(of))),
        "spaces": told,
        "axes": [each.told for each in placed],
        "ranking": ranking.ranked(found.located, found.vectors, of),
        "rows": _completed(found, placed),
        "limits": [*LIMITS, *caveats(relation(atlas, plan.recipe), atlas.family_sizes)],
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """All pictures on one axis."""

    axis: Axis
    values: npt.NDArray[np.float64]
    told: Mapping[str, Any]


def _on_axes(atlas: Atlas, models: Encoders, found: Gathered, asked: Sequence[Axis]) -> Iterator[_Placed]:
    """Where the pictures lie on each axis, and where the training pictures do."""
    train = np.flatnonzero(atlas.allowed(Split.TRAIN))
    for axis in asked:
        data = atlas.space(Space.CLIP)
        direction = axes.axis_vector(models, axis)
        values = axes.positions(found.vectors[Space.CLIP], direction)
        usual = axes.Spread.of(axes.positions(data.vectors, direction)[train])
        here = axes.Spread.of(values)
        shift = (here.mean - usual.mean) / usual.sd if usual.sd else None
        told = {**asdict(axis), "generated": asdict(here), "training": asdict(usual), "shift": shift}
        yield _Placed(axis, values, told)


def _about(atlas: Atlas, plan: Plan) -> Document:
    models = {role: named for role, named in atlas.meta["models"].items() if named and role != "generator"}
    return {
        "atlas": {"name": atlas.manifest.name, "title": atlas.manifest.title, "version": atlas.version},
        "relation": relation(atlas, plan.recipe).value,
        "source": plan.source.value,
        "seeds": plan.seeds,
        "recipe": _recipe(plan.recipe),
        "models": {role: {key: named.get(key) for key in _IDENTITY} for role, named in models.items()},
    }


_IDENTITY = ("reference", "revision", "fingerprint")


def _recipe(recipe: Recipe | None) -> Document | None:
    """What all pictures were generated by; prompt and seed are each row's own."""
    if recipe is None:
        return None
    return {name: value for name, value in asdict(public(recipe)).items() if name not in ("prompt", "seed")}


def relation(atlas: Atlas, recipe: Recipe | None) -> Relation:
    """How the corpus stands to what generated the pictures; unknown where nobody says what did."""
    if recipe is None:
        return Relation.UNKNOWN
    return atlas.relation_to(recipe.generator, is_tuned=recipe.lora is not None)


def _verdicts(rows: Sequence[Row], independent: int) -> Document:
    """Verdict -> how many pictures, and their share with its interval."""
    counts = {name.value: sum(row["verdict"] == name.value for row in rows) for name in VerdictName}
    effective = min(independent, len(rows))
    return {
        name: {"pictures": count, **asdict(shares.wilson(count / len(rows) * effective, effective))}
        for name, count in counts.items()
    }


def _clusters(rows: Sequence[Row], space: str) -> Integers:
    """The cluster of each landing in one space, (m,); -1 = none."""
    return np.array([-1 if row["cluster"][space] is None else row["cluster"][space] for row in rows])


def _completed(found: Gathered, placed: Sequence[_Placed]) -> list[Row]:
    """The rows with their place on each axis."""
    known = {
        row["row"]: row | {"axes": {each.axis.name: float(each.values[at]) for each in placed}}
        for at, row in enumerate(found.located)
    }
    return [known.get(row["row"], row) for row in found.rows]
