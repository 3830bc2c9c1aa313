"""The rows that a build is about: drawn out of the source, with the split that a rule gives them."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import cast
from urllib.parse import urlsplit

from explorer.errors import BuildError, ManifestError, RejectReason
from explorer.manifest import Manifest
from explorer.records import Record, Split
from indexer.encoding.encode import Outcome
from indexer.sources.base import LeftOut, Source, SourceRow, VectorSource


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of a source's rows to take.

    Attributes:
        limit: at most so many, the first ones.
        sample: so many, drawn by chance before `limit` counts.
        seed: of that chance.
    """

    limit: int | None = None
    sample: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a source gave.

    Attributes:
        rows: the selected ones, in the source's order.
        left_out: why a row is not among them though nobody's chance or limit left it behind -> how many.
        read: rows that the source read, those that were not drawn too.
    """

    rows: tuple[SourceRow, ...]
    left_out: Mapping[RejectReason, int] = field(default_factory=dict)
    read: int = 0


def read(
    source: Source | VectorSource,
    manifest: Manifest,
    selection: Selection,
    refused: Callable[[SourceRow], RejectReason | None] = lambda row: None,
) -> Corpus:
    """Draw the selected rows; memory grows with them, and not with the source.

    Args:
        source: where they come from.
        manifest: whose rule may hold some of them out.
        selection: which to take.
        refused: why a row may not be looked at any further, if so.

    Raises:
        BuildError: there is none, or two rows have one key.
        ManifestError: the split cannot be made.
    """
    left_out: Counter[RejectReason] = Counter()
    sample = _Sample(selection.sample, selection.seed)
    count = 0

    def kept() -> Iterator[SourceRow]:
        nonlocal count
        for each in _offered(source, sample):
            reason = each.reason if isinstance(each, LeftOut) else refused(each)
            size = each.count if isinstance(each, LeftOut) else 1
            count += size
            if reason is not None:
                left_out[reason] += size
            elif isinstance(each, SourceRow):
                yield each

    rows = list(islice(kept() if selection.sample is None else sample.of(kept()), selection.limit))
    if not rows:
        raise BuildError(_nothing(manifest, left_out))
    key, times = Counter(row.key for row in rows).most_common(1)[0]
    if times > 1:
        raise BuildError(f"found the key {key[:80]!r} {times} times in {_place(manifest)}; expected each once")
    return Corpus(_listed(rows, manifest), dict(left_out), count + sample.passed_over)


def record(row: SourceRow, outcome: Outcome, identity: int, manifest: Manifest) -> Record:
    """What an atlas says of an encoded row; licence and author are the manifest's where the row has none."""
    has_licence = row.licence is not None or row.licence_url is not None
    return Record(
        id=identity,
        key=row.key,
        split=row.split,
        family=row.family,
        captions=row.captions,
        tags=tuple(dict.fromkeys(tag for tags in row.tags.values() for tag in tags)),
        group=row.group,
        image_url=row.image_url,
        page_url=row.page_url,
        host=host(row),
        author=row.author or manifest.author,
        licence=row.licence if has_licence else manifest.licence,
        licence_url=row.licence_url if has_licence else manifest.licence_url,
        width=outcome.width,
        height=outcome.height,
        aesthetic=row.aesthetic,
        punsafe=row.punsafe,
        pwatermark=row.pwatermark,
        sha256=outcome.sha256,
        phash=outcome.phash,
        fetched_at=outcome.fetched_at,
        extra=row.extra,
    )


def host(row: SourceRow) -> str | None:
    """The host that a record names: of the picture's page, else of the picture."""
    link = row.page_url or row.image_url
    return urlsplit(link).hostname if link else None


def by_share(rows: Sequence[SourceRow], manifest: Manifest) -> tuple[SourceRow, ...]:
    """Rows with the split that chance gives their families, where the manifest's rule is a share.

    To be called when the families are final: one that chance had cut in two would make the held-out half look near.
    """
    rule = manifest.split
    if not rule.share:
        return tuple(rows)
    return tuple(_in_split(row, _by_chance(row, rule.share, rule.seed)) for row in rows)


class _Sample:
    """The rows whose keys have the smallest hashes: a choice by chance in which no row depends on the others.

    Attributes:
        passed_over: rows that were not even offered, since they could not be among them.
    """

    def __init__(self, size: int | None, seed: int) -> None:
        """`size` rows; all that there are where it is None."""
        self._size, self._seed = size, seed
        self._heap: list[tuple[int, int, SourceRow]] = []
        self.passed_over = 0

    def wants(self, key: str) -> bool:
        """Whether a row with this key can still be among them."""
        is_wanted = self._size is None or len(self._heap) < self._size or self._order(key) >= self._heap[0][0]
        self.passed_over += not is_wanted
        return is_wanted

    def of(self, rows: Iterable[SourceRow]) -> list[SourceRow]:
        """The sample, in the order of the rows."""
        for place, row in enumerate(rows):
            entry = (self._order(row.key), -place, row)
            if len(self._heap) < (self._size or 0):
                heapq.heappush(self._heap, entry)
            elif entry > self._heap[0]:
                heapq.heapreplace(self._heap, entry)
        return [row for _, _, row in sorted(self._heap, key=lambda entry: -entry[1])]

    def _order(self, key: str) -> int:
        return -_chance(f"{self._seed}\0{key}")


def _offered(source: Source | VectorSource, sample: _Sample) -> Iterable[SourceRow | LeftOut]:
    """The rows of a source; of one that can choose by the key, those alone that the sample may want."""
    choose = getattr(source, "rows_if", None)
    return source.rows() if choose is None else cast("Iterable[SourceRow | LeftOut]", choose(sample.wants))


def _listed(rows: Sequence[SourceRow], manifest: Manifest) -> tuple[SourceRow, ...]:
    """Rows with the split that the manifest's list of keys gives them; without a list they keep the source's."""
    rule = manifest.split
    if rule.heldout_ids_file is None:
        return tuple(rows)
    path = manifest.resolve(rule.heldout_ids_file)
    try:
        heldout = set(path.read_text("utf-8").split("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"split.heldout_ids_file: {path} cannot be read ({error}); name a text file") from error
    return tuple(_in_split(row, Split.HELDOUT if row.key in heldout else Split.TRAIN) for row in rows)


def _in_split(row: SourceRow, split: Split) -> SourceRow:
    """A row in a split; most are in theirs already, and stay the same object."""
    return row if row.split is split else replace(row, split=split)


def _by_chance(row: SourceRow, share: float, seed: int) -> Split:
    """A family's split out of a hash of its name, so that new pictures move no other family to another split."""
    return Split.HELDOUT if _chance(f"{seed}:{row.family or row.key}") / 2**64 < share else Split.TRAIN


def _chance(text: str) -> int:
    """A number from 0 up to 2**64 that looks drawn by chance and is the same every time."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def _nothing(manifest: Manifest, left_out: Mapping[RejectReason, int]) -> str:
    """Why there is no row to build from."""
    if not left_out:
        return f"found no picture in {_place(manifest)}; name one that holds JPEG, PNG, WebP or GIF files"
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(left_out.items()))
    return f"all {sum(left_out.values()):,} rows of {_place(manifest)} are left out ({reasons}); loosen these rules"


def _place(manifest: Manifest) -> str:
    return str(manifest.resolve(manifest.path)) if manifest.path else f"the source {manifest.kind}"
