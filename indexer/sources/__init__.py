"""Sources of pictures, one file a kind; `open_source` finds the one that a manifest names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from explorer.manifest import Manifest
from indexer.sources.base import Source, VectorSource

Opener = Callable[[Manifest], Source | VectorSource]


def open_source(manifest: Manifest) -> Source | VectorSource:
    """The source that a manifest names; the schema has made sure that its kind is one of `explorer.kinds.KINDS`."""
    return OPENERS[manifest.kind](manifest)


# Each imports its source when it is asked for: the demo's packages are an extra, and a folder is indexed without them;
# `datasets` takes seconds to import.


def _openmoji(manifest: Manifest) -> Source:
    from indexer.sources.openmoji import OpenMojiSource

    del manifest
    return OpenMojiSource()


def _folder(manifest: Manifest) -> Source:
    from indexer.sources.folder import FolderSource

    return FolderSource(
        root=manifest.resolve(manifest.path or "."),
        recursive=manifest.source.get("recursive", True),
        table=manifest.source.get("metadata"),
        columns=manifest.columns,
        captions=manifest.captions,
        split_column=manifest.split.column,
    )


def _parquet_urls(manifest: Manifest) -> Source:
    from indexer.sources.parquet_urls import ParquetUrlsSource

    return ParquetUrlsSource(manifest)


def _csv_join(manifest: Manifest) -> Source:
    from indexer.sources.csv_join import CsvJoinSource

    return CsvJoinSource(manifest)


def _webdataset(manifest: Manifest) -> Source:
    from indexer.sources.webdataset import WebDatasetSource

    return WebDatasetSource(manifest)


def _huggingface(manifest: Manifest) -> Source:
    from indexer.sources.huggingface import HuggingFaceSource

    return HuggingFaceSource(manifest)


def _embeddings(manifest: Manifest) -> VectorSource:
    from indexer.sources.embeddings import EmbeddingsSource

    return EmbeddingsSource(manifest)


OPENERS: Mapping[str, Opener] = {
    "openmoji": _openmoji,
    "folder": _folder,
    "parquet-urls": _parquet_urls,
    "csv-join": _csv_join,
    "huggingface": _huggingface,
    "webdataset": _webdataset,
    "embeddings": _embeddings,
}
"""Kind -> what opens it."""
