"""What is in an atlas, and how far an unfinished build has come; there may be the one without the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from explorer.atlas import Atlas
from explorer.errors import AtlasError
from explorer.layout import AtlasPaths

HOSTS = 10

Document = dict[str, Any]


def status(path: Path | str) -> Document:
    """The live version and the unfinished build.

    Raises:
        AtlasError: there is neither, or the live version is damaged.
    """
    paths = AtlasPaths(Path(path))
    unfinished = pending(paths)
    try:
        live = _live(Atlas.open(paths.root))
    except AtlasError:
        if unfinished is None or paths.current.exists():
            raise
        live = {
            "version": None,
            "images": 0,
            "outcomes": {},
            "manifests": [],
            "spaces": {},
            "clusters": {},
            "models": {},
        }
    return {**live, "unfinished": unfinished}


def pending(paths: AtlasPaths) -> Document | None:
    """How far an unfinished build has come, if there is one.

    Returns:
        `rows` of its corpus; how many of them are `encoded`, or found unfit, and lie whole on the disk; how many are
        `pending`; those `left_out`, by reason. Encoded, pending and left out add up to the rows.
    """
    try:
        plan = json.loads(paths.unfinished.read_bytes())
        shards, left_out = dict(plan["shards"]), dict(plan["left_out"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    encoded = sum(rows for name, rows in shards.items() if (paths.build / name).is_dir())
    rows = sum(shards.values())
    return {
        "rows": rows + sum(left_out.values()),
        "encoded": encoded,
        "pending": rows - encoded,
        "left_out": {f"rejected:{reason}": count for reason, count in left_out.items()},
    }


def _live(atlas: Atlas) -> Document:
    shown = atlas.allowed(None)
    counted = atlas.query("SELECT count(*) FILTER (placed) AS placed, count(*) AS pictures FROM records").to_pylist()[0]
    hosts = atlas.query(
        "SELECT host, count(*) AS pictures FROM records WHERE host IS NOT NULL GROUP BY host "
        "ORDER BY pictures DESC, host LIMIT ?",
        [HOSTS],
    ).to_pylist()
    return {
        "version": atlas.version,
        "title": atlas.manifest.title,
        "created": atlas.meta["created"],
        "images": int(shown.sum()),
        "heldout": int((shown & ~atlas.train).sum()),
        "placed": counted["placed"],
        "outcomes": atlas.meta["outcomes"],
        "manifests": [part.told() for part in atlas.contributions],
        "near_duplicates": atlas.meta.get("near_duplicates", {"families": 0, "pictures": 0}),
        "hosts": [{**host, "share": host["pictures"] / max(counted["pictures"], 1)} for host in hosts],
        "spaces": atlas.meta["spaces"],
        "clusters": {name: len(atlas.clusters(name)) for name in atlas.spaces},
        "models": atlas.meta["models"],
        "seconds": atlas.meta.get("seconds", {}),
        "timings": atlas.meta.get("timings", {}),
    }
