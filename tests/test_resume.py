"""Unfinished builds: gone on with as they were begun, refused otherwise; and builds that give the same bytes again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from color_encoders import ColorEncoder, encoders, picture, write_pictures
from folder_builds import manifest, options

from explorer import denylist
from explorer.denylist import DenyKind, Takedown
from explorer.errors import BuildError, ManifestError
from explorer.layout import AtlasPaths
from explorer.manifest import Fetch, Manifest, SplitRule
from explorer.status import status
from indexer import unfinished
from indexer.build import BuildResult, index
from indexer.corpus import Selection
from indexer.encoding.encode import EncodeOptions
from indexer.families import FamilyOptions
from indexer.mapping.cluster import ClusterOptions
from indexer.mapping.project import MapOptions
from indexer.mapping.spaces import SpaceOptions
from indexer.plan import BuildOptions
from indexer.stages import libraries


class Stopped(Exception):
    """What ends a build here, as Ctrl-C would."""


class Stopping(ColorEncoder):
    """Ends the build in the middle of encoding."""

    def encode(self, squares: Any) -> Any:
        if self.pictures >= 8:
            raise Stopped
        return super().encode(squares)


@pytest.fixture
def begun(tmp_path: Path) -> tuple[Path, Path]:
    """An atlas without a live version whose build was stopped, and its folder of pictures."""
    folder = write_pictures(tmp_path / "pictures", 3)
    models = (Stopping(*_said(encoders()[0])), encoders()[1])
    with pytest.raises(Stopped):
        index(tmp_path / "atlas", manifest(folder), options(), encoders=models)
    return tmp_path / "atlas", folder


def _said(model: ColorEncoder) -> tuple[Any, ...]:
    return model.space, model.dim, model.fingerprint


def build(
    atlas: Path, what: Manifest, how: BuildOptions | None = None, name: str = "one", **settings: Any
) -> BuildResult:
    """Build with encoders that load nothing."""
    return index(atlas, what, how or options(), encoders=encoders(name), **settings)


def changed_options() -> Iterator[tuple[str, BuildOptions]]:
    """Each setting of a build, changed alone, with its name."""
    plain = options()
    yield "settings.selection.limit", replace(plain, selection=Selection(limit=17))
    yield "settings.selection.sample", replace(plain, selection=Selection(sample=17))
    yield "settings.selection.seed", replace(plain, selection=Selection(seed=1))
    yield "settings.encode.shard", replace(plain, encode=replace(plain.encode, shard=9))
    yield "settings.encode.batch", replace(plain, encode=replace(plain.encode, batch=5))
    yield "settings.encode.thumbnail", replace(plain, encode=replace(plain.encode, thumbnail=64))
    yield "settings.families.bits", replace(plain, families=FamilyOptions(bits=3))
    yield "settings.spaces.map.seed", replace(plain, spaces=SpaceOptions(map=MapOptions(seed=1)))
    yield "settings.spaces.cluster", replace(plain, spaces=SpaceOptions(cluster=ClusterOptions(exemplars=1)))
    yield "settings.device", replace(plain, device="auto")
    yield "settings.reproducible", replace(plain, reproducible=True)


def test_a_build_goes_on_only_as_it_was_begun(begun: tuple[Path, Path]) -> None:
    """Whichever setting, model or word of the manifest is another, the build is refused and the difference named."""
    atlas, folder = begun
    for name, how in changed_options():
        with pytest.raises(BuildError, match=rf"begun otherwise: (.*; )?{name}[\w.]* was .*, is .*--rebuild"):
            build(atlas, manifest(folder), how)
    with pytest.raises(BuildError, match=r'models.clip.fingerprint was "one", is "two"; models.vae.fingerprint'):
        build(atlas, manifest(folder), name="two")
    with pytest.raises(BuildError, match=r"manifest.split.share was nothing, is 0.5"):
        build(atlas, replace(manifest(folder), split=SplitRule(share=0.5)))
    with pytest.raises(BuildError, match=r'manifest.licence was nothing, is "CC0"'):
        build(atlas, replace(manifest(folder), licence="CC0"))
    picture("gold", 9).save(folder / "gold" / "gold-00.png")
    with pytest.raises(BuildError, match="of its 18 rows some were others, or have changed since"):
        build(atlas, manifest(folder))
    picture("gold", 9).save(folder / "gold" / "gold-09.png")
    with pytest.raises(BuildError, match="rows.count was 18, is 19"):
        build(atlas, manifest(folder))
    assert build(atlas, manifest(folder), rebuild=True).images == 19


def test_another_library_or_list_is_named(begun: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """With another version of a library, or after a takedown, what was begun is not gone on with unsaid."""
    atlas, folder = begun
    told = unfinished.libraries("numpy", "pillow")
    with monkeypatch.context() as patched:
        patched.setattr(unfinished, "libraries", lambda *names: {**libraries(*names), "numpy": "0.1"})
        with pytest.raises(BuildError, match=rf'libraries.numpy was "{told["numpy"]}", is "0.1"'):
            build(atlas, manifest(folder))
    denylist.add(AtlasPaths(atlas), [Takedown(DenyKind.KEY, "nobody.png")])
    with pytest.raises(BuildError, match="guard was .*, is .*--rebuild"):
        build(atlas, manifest(folder))


def test_an_unfinished_build_is_gone_on_with(begun: tuple[Path, Path]) -> None:
    """The same command encodes only what was not done, and nothing is unfinished any more."""
    atlas, folder = begun
    told = status(atlas)
    assert told["version"] is None
    unfinished = told["unfinished"]
    assert unfinished["rows"] == 18 == unfinished["encoded"] + unfinished["pending"]
    assert 0 < unfinished["encoded"] <= 8
    models = encoders()
    assert index(atlas, manifest(folder), options(), encoders=models).images == 18
    assert models[0].pictures == 18 - unfinished["encoded"]
    assert not AtlasPaths(atlas).unfinished.exists()
    assert status(atlas)["unfinished"] is None


def test_a_corpus_that_has_to_be_mended_leaves_nothing_unfinished(tmp_path: Path) -> None:
    """When every picture was rejected, the mended folder is not refused as another one."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_text("no picture")
    with pytest.raises(BuildError, match="all 1 pictures were rejected"):
        build(tmp_path / "atlas", manifest(tmp_path / "pictures"))
    write_pictures(tmp_path / "pictures", 1)
    assert build(tmp_path / "atlas", manifest(tmp_path / "pictures")).images == 6


def test_a_manifest_that_has_to_be_mended_leaves_nothing_unfinished(tmp_path: Path) -> None:
    """Who forgot the contact adds it and goes on; nothing was begun that could differ from it."""
    (tmp_path / "links.csv").write_text("url\nhttp://127.0.0.1:9/a.png\n")
    table = {"pictures": "links.csv", "image_url": "{url}"}
    linked = Manifest(kind="csv-join", base=tmp_path, path=".", source=table)
    with pytest.raises(ManifestError, match=r"fetch\.contact: found nothing"):
        build(tmp_path / "atlas", linked)
    with pytest.raises(BuildError, match="all 1 pictures were rejected"):
        build(tmp_path / "atlas", replace(linked, fetch=Fetch(contact="me@example.org")))


def files(atlas: Path) -> dict[str, str]:
    """Every file of the live version and CURRENT -> sha256."""
    paths = AtlasPaths(atlas)
    version = paths.version(paths.current.read_text().strip())
    found = [paths.current, version.meta, *version.files()]
    return {path.relative_to(atlas).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_a_reproducible_build_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two builds in two empty folders differ in no byte, UMAP's map included; the clock is a given one."""
    folder = write_pictures(tmp_path / "pictures", 7)
    dated = replace(manifest(folder), date="2024-05-06")
    how = replace(options(), reproducible=True)
    for name in ("one", "two"):
        build(tmp_path / name, dated, how)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    version = AtlasPaths(tmp_path / "one").current.read_text()
    assert version.startswith("20240506T000000Z-")
    meta = json.loads((AtlasPaths(tmp_path / "one").version(version.strip()).meta).read_bytes())
    assert meta["spaces"]["clip"]["layout"] == "umap"
    assert not {"seconds", "timings"} & meta.keys()
    again = build(tmp_path / "one", dated, how)
    assert (again.is_new, again.version) == (False, version.strip())

    small = replace(how, selection=Selection(limit=5))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert build(tmp_path / "three", dated, small).version.startswith("20231114T221320Z-")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(BuildError, match="SOURCE_DATE_EPOCH: found 'yesterday'; expected seconds since 1970"):
        build(tmp_path / "four", dated, small)


def test_no_thumbnails_are_kept_where_none_are_wanted(tmp_path: Path) -> None:
    """Links only: the atlas is whole without a single small copy."""
    folder = write_pictures(tmp_path / "pictures", 1)
    how = replace(options(), encode=EncodeOptions(thumbnail=0))
    version = AtlasPaths(tmp_path / "atlas").version(build(tmp_path / "atlas", manifest(folder), how).version)
    assert not [path for path in version.files() if path.suffix == ".pack" and path.stat().st_size]
    assert not any(b"WEBP" in path.read_bytes() for path in version.files())
