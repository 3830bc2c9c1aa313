"""What became of every row, manifest by manifest, in an atlas that has grown from more than one run.

An entry of `appended` in `atlas.json` says of a manifest what is said of the atlas's own at the top: the manifest, the
settings of its last run, what its rows were held to, and what became of them. A mark, the beginning of the manifest's
digest, says of a listed rejection and of a picture which entry is theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from explorer.errors import RejectReason
from explorer.manifest import Manifest, to_dict
from indexer import facts
from indexer.editing.contents import Contents
from indexer.encoding.encoded import INDEXED, Encoded
from indexer.plan import Plan
from indexer.sources.base import Source, VectorSource
from indexer.stages import digest
from indexer.version import rejected_rows

DENIED = f"rejected:{RejectReason.DENIED}"
_MARK = "manifest"
"""Column of the listed rejections: which appended manifest a row is from; null = the atlas's own."""
_DIGITS = 16


@dataclass(frozen=True)
class Tally:
    """One more run over a manifest's rows.

    Attributes:
        meta: what `atlas.json` says before it.
        plan: of the run.
        source: where its rows come from.
        encoded: what became of those that were not there yet.
    """

    meta: Mapping[str, Any]
    plan: Plan
    source: Source | VectorSource
    encoded: Encoded

    @staticmethod
    def has_met(meta: Mapping[str, Any], manifest: Manifest) -> bool:
        """Whether rows of a manifest were indexed or appended before."""
        known = [meta["manifest"], *(each["manifest"] for each in meta.get("appended", ()))]
        return digest(to_dict(manifest)) in map(digest, known)

    @property
    def told(self) -> dict[str, Any]:
        """What `atlas.json` says after it: `outcomes` over all manifests, `read`, and `appended`, each by itself.

        What an earlier run over the same manifest rejected was looked at again: only the last word counts.
        """
        entries = {each["digest"]: each for each in self.meta.get("appended", ())}
        own = Counter(self.meta["outcomes"])
        for each in entries.values():
            own.subtract(each["outcomes"])
        before = own if self._is_own else Counter(entries.get(self._digest, {}).get("outcomes", {}))
        now = Counter(self.encoded.counts)
        now[INDEXED] += before[INDEXED]
        told: dict[str, Any] = {}
        if self._is_own:
            own = now
            told["read"] = self.plan.read
        else:
            entries[self._digest] = {
                "digest": self._digest,
                **facts.of_source(self.plan, self.source),
                "outcomes": _ordered(now),
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        total = sum((Counter(each["outcomes"]) for each in entries.values()), start=+own)
        return {**told, "outcomes": _ordered(total), "appended": list(entries.values())}

    def rejected(self, listed: pa.Table) -> pa.Table:
        """The listed rejections after it."""
        marks = listed[_MARK] if _MARK in listed.column_names else pa.nulls(len(listed), pa.string())
        mark = self._mark
        others = pc.is_valid(marks) if mark is None else pc.fill_null(pc.not_equal(marks, mark), True)
        rows = [row | {_MARK: mark} for each in self.encoded.rejected for row in rejected_rows(each)]
        names = ("key", "reason", "detail", "image_url", _MARK)
        new = pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in names]))
        return pa.concat_tables([listed.filter(others), new], promote_options="default")

    def origins(self, before: pa.Table, ids: npt.NDArray[np.int64]) -> pa.Table:
        """Which manifest the appended pictures are from, after it; int64 (m,) `ids` are the new ones."""
        if self._mark is None:
            return before
        new = pa.table({"id": ids, _MARK: pa.array([self._mark] * len(ids), pa.string())})
        return pa.concat_tables([before, new], promote_options="default")

    @property
    def _mark(self) -> str | None:
        return None if self._is_own else self._digest[:_DIGITS]

    @property
    def _digest(self) -> str:
        return digest(to_dict(self.plan.manifest))

    @property
    def _is_own(self) -> bool:
        return self._digest == digest(self.meta["manifest"])


def taken_down(meta: Mapping[str, Any], contents: Contents, gone: npt.NDArray[np.int64]) -> dict[str, Any]:
    """What `atlas.json` says of outcomes when pictures are taken down: `outcomes`, and `appended` where there is any.

    Args:
        meta: what it says before.
        contents: of the version that they are still in.
        gone: int64 (k,), their ids.
    """
    theirs = contents.origins.filter(pc.is_in(contents.origins["id"], pa.array(gone)))
    marks = Counter(theirs[_MARK].to_pylist())
    told = {"outcomes": _denied(meta["outcomes"], len(gone))}
    appended = [
        {**each, "outcomes": _denied(each["outcomes"], marks[each["digest"][:_DIGITS]])}
        for each in meta.get("appended", ())
    ]
    return {**told, **({"appended": appended} if appended else {})}


def _denied(counts: Mapping[str, int], gone: int) -> dict[str, int]:
    return _ordered(Counter(counts) + Counter({DENIED: gone}) - Counter({INDEXED: gone}))


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    reasons = sorted(name for name, count in counts.items() if name != INDEXED and count > 0)
    return {INDEXED: counts.get(INDEXED, 0), **{name: counts[name] for name in reasons}}
