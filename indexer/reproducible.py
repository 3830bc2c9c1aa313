"""`--reproducible`: the same corpus, settings, seed and libraries give the same bytes, in an empty directory.

What makes two builds differ is the clock, chance, and the order in which sums are taken. The clock is one that the
manifest names; chance has a seed in every build; models and the map's descent run in one thread over batches of one
size. From the vectors on, sums are such that no order and no kind of processor changes them (`explorer.exact.cosines`),
and maps start with principal components, since no linear algebra gives the same eigenvectors of a graph everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from threadpoolctl import threadpool_limits

from explorer.errors import BuildError
from explorer.manifest import Manifest
from indexer.encoding.encoders import ModelSet
from indexer.encoding.given import GivenModels
from indexer.mapping.neighbors import NeighborOptions
from indexer.mapping.start import Start
from indexer.mapping.wording import Words
from indexer.plan import BuildOptions

BATCH = 32
"""Pictures that go through a model together, where nothing else is said."""
_CLOCK = "SOURCE_DATE_EPOCH"


def settled(options: BuildOptions) -> BuildOptions:
    """The options without what a machine would choose by itself."""
    if not options.reproducible:
        return options
    encode = replace(options.encode, batch=options.encode.batch or BATCH)
    search = replace(options.spaces.search, by_recall=True)
    laid_out = replace(options.spaces.map, threads_from=None, start=Start.PCA)
    spaces = replace(options.spaces, neighbors=NeighborOptions(wide=True), search=search, map=laid_out)
    return replace(options, encode=encode, spaces=spaces)


def words(models: ModelSet, options: BuildOptions) -> Words | None:
    """What judges labels; of ready-made vectors nothing does, since only some machines have the model they are from."""
    return None if options.reproducible and isinstance(models, GivenModels) else models.words()


def now(manifest: Manifest, options: BuildOptions) -> datetime:
    """When the version is made: by the clock, or by SOURCE_DATE_EPOCH, the manifest's date, or 1970.

    Raises:
        BuildError: SOURCE_DATE_EPOCH is no number of seconds.

    Source: reproducible-builds.org/specs/source-date-epoch.
    """
    if not options.reproducible:
        return datetime.now(UTC)
    told = os.environ.get(_CLOCK)
    if told is None:
        return datetime.fromisoformat(manifest.date or "1970-01-01").replace(tzinfo=UTC)
    try:
        return datetime.fromtimestamp(int(told), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BuildError(f"{_CLOCK}: found {told[:40]!r}; expected seconds since 1970, or take it away") from error


@contextmanager
def in_order(options: BuildOptions) -> Iterator[None]:
    """Let one thread take every sum while the block runs, where that is asked for; torch is told when it is loaded."""
    if not options.reproducible:
        yield
        return
    with threadpool_limits(limits=1):
        yield
