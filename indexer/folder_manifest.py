"""The manifest of somebody who names a folder and no manifest: written beside the atlas, for its owner to change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from explorer import manifest as manifests
from explorer.errors import ManifestError
from explorer.manifest import Manifest

_OWN_HEAD = """\
# Written by `latent-explorer index` for a folder of pictures. Change what you like and run the same command again:
# captions and other columns come from metadata.csv or metadata.jsonl in the folder, see data_manifests/folder.toml.
"""


def own_manifest(atlas: Path, folder: Path, joins: bool = False) -> Manifest:
    """The manifest of a folder, beside the atlas: written the first time, then read, so that its owner may change it.

    Args:
        atlas: the atlas's directory.
        folder: the pictures.
        joins: whether they join an atlas that may be another folder's; then theirs has its own name, and its models.

    Raises:
        ManifestError: there is no such folder, or the manifest there is of another one.
        AtlasError: there is no atlas to join.
    """
    if not folder.is_dir():
        raise ManifestError(f"found no folder {folder}; name the folder that holds the pictures")
    expect_apart(atlas, folder)
    path, models = atlas.resolve().with_name(f"{atlas.resolve().name}.manifest.toml"), manifests.Models()
    if joins and not (path.exists() and _is_about(manifests.load(path), folder)):
        path = path.with_name(f"{atlas.resolve().name}.{folder.resolve().name}.manifest.toml")
        models = _models_of(atlas)
    if not path.exists():
        title = folder.resolve().name
        manifest = Manifest(kind="folder", base=path.parent, path=str(folder.resolve()), title=title, models=models)
        _write_own(path, manifest)
    manifest = manifests.load(path)
    if not _is_about(manifest, folder):
        raise ManifestError(
            f"{path}: it is about {manifest.path or manifest.kind}, not about {folder}; remove it, or name it with "
            "--manifest"
        )
    return manifest


def _write_own(path: Path, manifest: Manifest) -> None:
    from explorer.layout import write_atomic

    try:
        write_atomic(path, (_OWN_HEAD + manifests.dumps(manifest)).encode())
    except UnicodeEncodeError as error:
        raise ManifestError(
            f"{manifest.path!r}: found a folder whose name is not UTF-8, which no manifest can hold; rename it"
        ) from error
    except OSError as error:
        raise ManifestError(
            f"{path}: the folder's manifest cannot be written ({error.strerror}); name an ATLAS in a folder that is "
            "yours to write"
        ) from error


def expect_apart(atlas: Path, pictures: Path) -> None:
    """Keep an atlas out of the folder that it is made from, which would be taken for an atlas from then on.

    Raises:
        ManifestError: they are the same.
    """
    if atlas.resolve() == pictures.resolve():
        raise ManifestError(
            f"found {pictures} as ATLAS and as what to index; name another ATLAS, such as {atlas}-atlas"
        )


def _is_about(manifest: Manifest, folder: Path) -> bool:
    return manifest.kind == "folder" and manifest.resolve(manifest.path or ".").resolve() == folder.resolve()


def _models_of(atlas: Path) -> manifests.Models:
    """The models that an atlas was made with, as a manifest names them."""
    from explorer.layout import AtlasPaths
    from explorer.verify import current, read_meta

    made = read_meta(current(AtlasPaths(atlas)))["models"]
    named = {role: model["reference"] for role, model in made.items() if model and model.get("reference")}
    return manifests.Models(**named)


def with_contact(manifest: Manifest, contact: str) -> Manifest:
    """The manifest with another contact for hosts, and for takedowns where it names nobody else for these."""
    is_other = manifest.contact not in (None, manifest.fetch.contact)
    fetch = replace(manifest.fetch, contact=contact)
    return replace(manifest, fetch=fetch, contact=manifest.contact if is_other else contact)
