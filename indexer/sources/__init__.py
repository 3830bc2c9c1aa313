"""Sources of pictures, one file a kind; `open_source` finds the one that a manifest names."""

from __future__ import annotations

from explorer.manifest import Manifest
from indexer.sources.base import Source


def open_source(manifest: Manifest) -> Source:
    """The source that a manifest names; the schema has made sure that its kind is one of these."""
    if manifest.kind == "openmoji":
        # The demo's packages are an extra; a folder is indexed without them.
        from indexer.sources.openmoji import OpenMojiSource

        return OpenMojiSource()
    from indexer.sources.folder import FolderSource

    return FolderSource(
        root=manifest.resolve(manifest.path or "."),
        recursive=manifest.source.get("recursive", True),
        table=manifest.source.get("metadata"),
        columns=manifest.columns,
        captions=manifest.captions,
        split_column=manifest.split.column,
    )
