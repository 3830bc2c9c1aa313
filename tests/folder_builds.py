"""Builds of a folder of pictures that load nothing and have several shards."""

from __future__ import annotations

from pathlib import Path

from explorer.manifest import Manifest
from indexer.encoding.encode import EncodeOptions
from indexer.plan import BuildOptions


def options() -> BuildOptions:
    """Small shards, so that a small corpus has several."""
    return BuildOptions(encode=EncodeOptions(shard=8, batch=4), device="cpu")


def manifest(folder: Path) -> Manifest:
    """The manifest of a folder of pictures."""
    return Manifest(kind="folder", base=folder.parent, path=str(folder))
