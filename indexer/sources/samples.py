"""A WebDataset shard as samples: members that stand together and share a name up to its first dot.

Source: WebDataset's format (github.com/webdataset/webdataset, "The WebDataset Format").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from indexer.sources.folder import PICTURES
from indexer.sources.tar import Damage, Member, members

_NAME = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of a shard.

    Attributes:
        key: the name that its members share.
        parts: ending -> member; endings are in lower case and without their first dot: "jpg", "left.png", "json".
    """

    key: str
    parts: dict[str, Member] = field(default_factory=dict)

    def picture(self, ending: str | None) -> Member | None:
        """The member with this ending; without one the first that is a picture by its name."""
        if ending is not None:
            return self.parts.get(ending.lower().removeprefix("."))
        pictures = (part for name, part in self.parts.items() if f".{name.rpartition('.')[2]}" in PICTURES)
        return next(pictures, None)


def samples(path: Path) -> Iterator[Sample | Damage]:
    """The samples of a shard and its damaged stretches, in their order.

    Members whose names have no ending belong to no sample. Where a sample would have two members of one ending, the
    second begins a sample of its own.

    Raises:
        OSError: the shard cannot be read.
    """
    return _grouped(members(path))


def _grouped(found: Iterable[Member | Damage]) -> Iterator[Sample | Damage]:
    sample: Sample | None = None
    for each in found:
        if isinstance(each, Damage):
            yield each
            continue
        match = _NAME.fullmatch(each.name.removeprefix("./"))
        if match is None:
            continue
        key, ending = match[1], match[2].lower()
        if sample is not None and (sample.key != key or ending in sample.parts):
            yield sample
            sample = None
        sample = sample or Sample(key)
        sample.parts[ending] = each
    if sample is not None:
        yield sample
