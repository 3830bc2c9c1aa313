"""What was measured of a version holds no more where pictures came or went: it is told of when it is, or measured anew.

Neighbors and maps are never made anew without a build. The search index may be: the number of its lists, and how many
are looked at, suit a number of rows. How many neighbors the map keeps is counted anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from indexer.editing.contents import Contents
from indexer.mapping import overlap
from indexer.mapping.choice import SearchOptions, choose

MOST_CHANGE = 0.25
"""Of the rows that an index was chosen for: lists for a quarter more or less are within a few percent of the best."""


def spaces_of(contents: Contents, meta: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What `atlas.json` says of the spaces of a version that was made out of another.

    Args:
        contents: of the new version.
        meta: `atlas.json` of the other.
        folder: on the atlas's disk; nothing is left in it.

    Returns:
        space -> what is said of it, with `measured_at`, the number of pictures that neighbors and map are of, and the
        same of the search index within `search`.
    """
    before, spaces = meta["outcomes"]["indexed"], dict[str, Any]()
    for space, told in meta["spaces"].items():
        kept = {name: told[name] for name in told if name != "recall"}  # older versions said the search's twice
        arrays = contents.spaces[space]
        share = overlap.mean_share(np.asarray(arrays["overlap"]), np.asarray(arrays["neighbors"]))
        spaces[space] = {**kept, "measured_at": told.get("measured_at", before), "overlap": share}
        if "search" in told:
            spaces[space]["search"] = _search(contents, space, {"measured_at": before, **told["search"]}, folder)
    return spaces


def _search(contents: Contents, space: str, told: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What is said of a search index: as it was, or chosen anew where the number of rows has changed much."""
    count, train = len(contents.records), contents.train
    if abs(count - told["measured_at"]) <= MOST_CHANGE * told["measured_at"] or not train.any():
        return dict(told)
    options = SearchOptions(by_recall="p50_ms" not in told)
    vectors = np.asarray(contents.spaces[space]["vectors"])
    with TemporaryDirectory(dir=folder, prefix="search-") as left:
        return {**choose(vectors, train, None, options, Path(left)), "measured_at": count}
