"""The audits of whole sets of pictures that this workspace keeps; another process writes them.

What was taken down since is left out of every answer, though a process may still be on its way to remove it.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

from explorer.audit.kept import FILE, Audits, Kept, with_picture, without
from explorer.errors import QueryError
from explorer.records import Record
from webapp.site import Site


def listed(site: Site) -> list[Kept]:
    """Return every audit, the newest first."""
    if not _are_there(site):
        return []
    with closing(Audits.open(site.atlas.workspace_dir)) as audits:
        return audits.all()


def document(site: Site, name: str) -> dict[str, Any] | None:
    """Return the document of an audit, None where there is none of that name (any more)."""
    if not _are_there(site):
        return None
    with closing(Audits.open(site.atlas.workspace_dir)) as audits:
        found = audits.document(name)
    return None if found is None else without(found, _denied(site))


def picture(site: Site, name: str, row: int) -> bytes | None:
    """Return a picture's thumbnail, WebP; None where none was kept."""
    if not _are_there(site) or (_denied(site) and row not in with_picture(document(site, name) or {"rows": ()})):
        return None
    with closing(Audits.open(site.atlas.workspace_dir)) as audits:
        return audits.picture(name, row)


def neighbor(site: Site, identity: int | None) -> Record | None:
    """Return what is known of a neighbor, None where it was taken down since."""
    if identity is None:
        return None
    try:
        return site.atlas.record(identity)
    except QueryError:
        return None


def _denied(site: Site) -> frozenset[int]:
    return frozenset(site.atlas.ids[site.atlas.denied].tolist())


def _are_there(site: Site) -> bool:
    return (site.atlas.workspace_dir / FILE).exists()
