"""What became of every row, manifest by manifest, in an atlas that has grown from more than one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from explorer.manifest import Manifest, to_dict
from indexer.encoding.encoded import INDEXED, Encoded
from indexer.stages import digest
from indexer.version import rejected_rows

_MARK = "manifest"
"""Column of the listed rejections: which appended manifest a row is from; null = the atlas's own."""
_DIGITS = 16


@dataclass(frozen=True)
class Tally:
    """One more run over a manifest's rows.

    Attributes:
        meta: what `atlas.json` says before it.
        manifest: the rows' own.
        encoded: what became of those that were not there yet.
        read: rows that the source read.
    """

    meta: Mapping[str, Any]
    manifest: Manifest
    encoded: Encoded
    read: int

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
            told["read"] = self.read
        else:
            entries[self._digest] = {
                "digest": self._digest,
                "manifest": to_dict(self.manifest),
                "outcomes": _ordered(now),
                "read": self.read,
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        total = sum((Counter(each["outcomes"]) for each in entries.values()), start=+own)
        return {**told, "outcomes": _ordered(total), "appended": list(entries.values())}

    def rejected(self, listed: pa.Table) -> pa.Table:
        """The listed rejections after it."""
        marks = listed[_MARK] if _MARK in listed.column_names else pa.nulls(len(listed), pa.string())
        mark = None if self._is_own else self._digest[:_DIGITS]
        others = pc.is_valid(marks) if mark is None else pc.fill_null(pc.not_equal(marks, mark), True)
        rows = [row | {_MARK: mark} for each in self.encoded.rejected for row in rejected_rows(each)]
        names = ("key", "reason", "detail", "image_url", _MARK)
        new = pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in names]))
        return pa.concat_tables([listed.filter(others), new], promote_options="default")

    @property
    def _digest(self) -> str:
        return digest(to_dict(self.manifest))

    @property
    def _is_own(self) -> bool:
        return self._digest == digest(self.meta["manifest"])


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    reasons = sorted(name for name, count in counts.items() if name != INDEXED and count > 0)
    return {INDEXED: counts.get(INDEXED, 0), **{name: counts[name] for name in reasons}}
