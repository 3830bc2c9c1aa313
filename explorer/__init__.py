"""What an atlas is and what can be asked of it.

The public names load when they are first used, so that asking for one costs nothing of the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.errors import AtlasError as AtlasError
    from explorer.errors import ExplorerError as ExplorerError
    from explorer.errors import ManifestError as ManifestError
    from explorer.errors import ModelError as ModelError
    from explorer.errors import PictureError as PictureError
    from explorer.errors import QueryError as QueryError
    from explorer.landing import Landing as Landing
    from explorer.landing import SpaceLanding as SpaceLanding
    from explorer.landing import Verdict as Verdict
    from explorer.landing import VerdictName as VerdictName
    from explorer.library import Atlas as Atlas
    from explorer.manifest import Manifest as Manifest
    from explorer.pictures import open_picture as open_picture
    from explorer.records import Cluster as Cluster
    from explorer.records import Hit as Hit
    from explorer.records import Recipe as Recipe
    from explorer.records import Record as Record
    from explorer.records import Relation as Relation
    from explorer.records import Space as Space
    from explorer.records import Split as Split
    from explorer.workspace import Workspace as Workspace

_HOMES = {
    "Atlas": "library",
    "AtlasError": "errors",
    "Cluster": "records",
    "ExplorerError": "errors",
    "Hit": "records",
    "Landing": "landing",
    "Manifest": "manifest",
    "ManifestError": "errors",
    "ModelError": "errors",
    "PictureError": "errors",
    "QueryError": "errors",
    "Recipe": "records",
    "Record": "records",
    "Relation": "records",
    "Space": "records",
    "SpaceLanding": "landing",
    "Split": "records",
    "Verdict": "landing",
    "VerdictName": "landing",
    "Workspace": "workspace",
    "open_picture": "pictures",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the public names
    """Load a public name from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'explorer' has no attribute {name!r}")
    return getattr(import_module(f"explorer.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)
