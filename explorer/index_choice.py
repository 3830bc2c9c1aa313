"""What is said of a search index: its kind, and what it is built and searched with. See `explorer.indexes`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from explorer.errors import AtlasError


class IndexKind(StrEnum):
    """How an index finds."""

    FLAT = "flat"
    IVF = "ivf"
    HNSW = "hnsw"


@dataclass(frozen=True, slots=True)
class IndexChoice:
    """A kind of index and its parameters, as `atlas.json` has them.

    Attributes:
        kind: how it finds.
        parameters: `lists` and `probes` of `ivf`; `links` and `effort` of `hnsw`.
    """

    kind: IndexKind = IndexKind.FLAT
    parameters: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> IndexChoice:
        """What `atlas.json` says of a space; an atlas from before the choice is searched flat.

        Raises:
            AtlasError: it names no kind and parameters of ours, or one that no build would choose.
        """
        try:
            search = told.get("search", {"kind": IndexKind.FLAT, "parameters": {}})
            kind = IndexKind(search["kind"])
            return cls(kind, {name: _in_range(kind, name, search["parameters"][name]) for name in _PARAMETERS[kind]})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise AtlasError(
                f"atlas.json names a search index that is none ({error}); index the corpus again"
            ) from error

    @property
    def settings(self) -> str:
        """All of it that the index's file depends on; how thoroughly it is searched is not in the file."""
        built = [f"{name} {self.parameters[name]}" for name in list(_PARAMETERS[self.kind])[:-1]]
        return ", ".join([self.kind, "float16", "inner product", *built])


def _in_range(kind: IndexKind, name: str, value: object) -> int:
    known = _PARAMETERS[kind][name]
    if isinstance(value, bool) or not isinstance(value, int) or value not in known:
        raise ValueError(f"{kind}: found {name} = {str(value)[:20]}, expected {known.start} to {known.stop - 1:,}")
    return value


_PARAMETERS: Mapping[IndexKind, Mapping[str, range]] = {
    IndexKind.FLAT: {},
    IndexKind.IVF: {"lists": range(1, 2**17 + 1), "probes": range(1, 2**16 + 1)},
    IndexKind.HNSW: {"links": range(2, 129), "effort": range(1, 4097)},
}
"""What a parameter may be: memory and time are bounded whatever an atlas says. A billion rows have 65,536 lists."""
