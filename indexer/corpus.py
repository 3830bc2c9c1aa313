"""The rows that a build is about: drawn out of the source, with their splits and families."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from urllib.parse import urlsplit

from explorer.errors import BuildError, ManifestError
from explorer.manifest import Manifest
from explorer.records import Record, Split
from indexer.encode import Outcome
from indexer.sources.base import Source, SourceRow


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


def read(source: Source, manifest: Manifest, selection: Selection) -> tuple[SourceRow, ...]:
    """The selected rows in the source's order, each with its split.

    Raises:
        BuildError: there is none, or two rows have one key.
        ManifestError: the split cannot be made.
    """
    rows = _drawn(source.rows(), selection)
    if not rows:
        raise BuildError(f"found no picture in {_place(manifest)}; name one that holds JPEG, PNG, WebP or GIF files")
    key, count = Counter(row.key for row in rows).most_common(1)[0]
    if count > 1:
        raise BuildError(f"found the key {key[:80]!r} {count} times in {_place(manifest)}; expected each once")
    return tuple(_split(rows, manifest))


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
        host=_host(row.page_url or row.image_url),
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
        extra=row.extra,
    )


def _drawn(rows: Iterable[SourceRow], selection: Selection) -> list[SourceRow]:
    if selection.sample is None:
        return list(islice(rows, selection.limit))
    listed = list(rows)
    chosen = random.Random(selection.seed).sample(range(len(listed)), min(selection.sample, len(listed)))
    return [listed[place] for place in sorted(chosen)][: selection.limit]


def _split(rows: Sequence[SourceRow], manifest: Manifest) -> Iterator[SourceRow]:
    """Rows with the split that the manifest's rule gives them; without a rule they keep the source's."""
    rule = manifest.split
    if rule.heldout_ids_file is not None:
        path = manifest.resolve(rule.heldout_ids_file)
        try:
            heldout = set(path.read_text("utf-8").split("\n"))
        except (OSError, UnicodeDecodeError) as error:
            raise ManifestError(f"split.heldout_ids_file: {path} cannot be read ({error}); name a text file") from error
        yield from (replace(row, split=Split.HELDOUT if row.key in heldout else Split.TRAIN) for row in rows)
    elif rule.share:
        yield from (replace(row, split=_by_chance(row, rule.share, rule.seed)) for row in rows)
    else:
        yield from rows


def _by_chance(row: SourceRow, share: float, seed: int) -> Split:
    """A family's split out of a hash of its name, so that new pictures move no other family to another split."""
    digest = hashlib.sha256(f"{seed}:{row.family or row.key}".encode()).digest()
    return Split.HELDOUT if int.from_bytes(digest[:8], "big") / 2**64 < share else Split.TRAIN


def _host(link: str | None) -> str | None:
    return urlsplit(link).hostname if link else None


def _place(manifest: Manifest) -> str:
    return str(manifest.resolve(manifest.path)) if manifest.path else f"the source {manifest.kind}"
