"""What `atlas.json` says of a build, and what is said to the person beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from explorer.errors import BuildError
from explorer.kinds import KINDS
from explorer.layout import SCHEMA
from explorer.manifest import Manifest, to_dict
from explorer.models.loader import demo_note
from indexer import families
from indexer.encoding.encoded import INDEXED, Encoded
from indexer.mapping.project import Layout
from indexer.mapping.spaces import SpaceStages
from indexer.plan import LIBRARIES, Plan
from indexer.sources.base import Source, VectorSource
from indexer.stages import libraries


def told(
    plan: Plan, encoded: Encoded, spaces: Sequence[SpaceStages], generator: str, source: Source | VectorSource
) -> dict[str, Any]:
    """All that `atlas.json` says but the clock's part, the version's name and its files."""
    return {
        "schema": SCHEMA,
        "key": plan.key,
        **of_source(plan, source),
        "models": {**plan.models, "generator": {"reference": generator}},
        "libraries": libraries(*LIBRARIES),
        "outcomes": encoded.counts,
        "near_duplicates": families.counted(row.family for row in encoded.rows),
        "spaces": {space.space.value: space.meta() for space in spaces},
    }


def of_source(plan: Plan, source: Source | VectorSource) -> dict[str, Any]:
    """What is said of a manifest's rows, of those that are appended too."""
    return {
        "manifest": to_dict(plan.manifest),
        "settings": asdict(plan.options),
        "read": plan.read,
        "columns": dict(getattr(source, "columns_found", {})),
        "thresholds": dict(getattr(source, "thresholds", {})),
    }


def refuse_appended(meta: Mapping[str, Any]) -> None:
    """Keep a build from dropping what was appended to the live version.

    Raises:
        BuildError: something was.
    """
    appended = meta.get("appended", ())
    if appended:
        count = sum(each["outcomes"].get(INDEXED, 0) for each in appended)
        manifests = [each["manifest"] for each in appended]
        places = ", ".join(f"{told['kind']} {told.get('path', '')}".strip() for told in manifests)
        raise BuildError(
            f"found {count:,} pictures appended from {places}, which this build would drop; append more with --append, "
            "or drop them with --rebuild"
        )


def notes(manifest: Manifest, meta: Mapping[str, Any]) -> tuple[str, ...]:
    """What to say about a version beside its numbers."""
    models = manifest.models
    used = (models.clip,) if KINDS[manifest.kind].embeds else (models.clip, models.vae, models.generator)
    foreign = demo_note(used, manifest.kind)
    is_small = any(space["layout"] == Layout.PCA for space in meta["spaces"].values())
    few = "These are too few pictures for UMAP: the maps are their principal components." if is_small else None
    found = ", ".join(f"{meaning} from {column}" for meaning, column in meta.get("columns", {}).items())
    return tuple(note for note in (foreign, few, f"Columns: {found}." if found else None) if note)
