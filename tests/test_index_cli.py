"""The verbs `index` and `manifest check`, from the command line's own parser down, on real files and model classes."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from color_encoders import picture, write_pictures

from explorer import manifest as manifests
from explorer.errors import ManifestError
from explorer.library import Atlas
from explorer.manifest import Fetch, Manifest
from explorer.verify import verify
from indexer import cli
from indexer.folder_manifest import own_manifest, with_contact
from webapp.cli import main


def told(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    """Run a verb with --json; return its one object."""
    assert main([*map(str, words), "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


@pytest.fixture
def photos(tmp_path: Path, tiny_clip_dir: Path, tiny_pipeline_dir: Path) -> Path:
    """A person's folder: 42 pictures, a caption, three files that are none; its manifest names tiny models."""
    folder = write_pictures(tmp_path / "photos", 7)
    (folder / "metadata.csv").write_text("file_name,caption,camera\ncrimson/crimson-00.png,a red thing,Box\n")
    (folder / "text.jpg").write_text("<html>")
    (folder / "gold" / "cut.png").write_bytes((folder / "gold" / "gold-00.png").read_bytes()[:60])
    picture("gold", 0, (1, 1)).save(folder / "dot.png")
    models = f'[models]\nclip = "{tiny_clip_dir}"\ngenerator = "{tiny_pipeline_dir}"\n'
    (tmp_path / "atlas.manifest.toml").write_text(f'kind = "folder"\npath = "photos"\n{models}')
    return folder


def test_a_folder_becomes_an_atlas_that_answers(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`index ATLAS FOLDER` with real model classes: outcomes add up, bad files are named, a picture finds itself."""
    done = told(capsys, "index", tmp_path / "atlas", photos)
    assert done["images"] == 42
    assert done["outcomes"] == {
        "indexed": 42, "rejected:not-a-picture": 1, "rejected:too-small": 1, "rejected:truncated": 1
    }  # fmt: skip
    assert {"version", "images", "outcomes", "seconds"} <= done.keys()
    assert verify(tmp_path / "atlas") == []
    atlas = Atlas.open(tmp_path / "atlas")
    assert {space["layout"] for space in atlas.meta["spaces"].values()} == {"umap"}
    asked = picture("gold", 3)
    for space in atlas.spaces:
        best = atlas.search_image(asked, k=1, space=space)[0]
        assert atlas.record(best.id).key == "gold/gold-03.png"
        assert best.similarity == pytest.approx(1, abs=1e-3)
    landing = atlas.locate(asked)
    row = atlas.row(landing.spaces["clip"].hits[0].id)
    assert (
        np.linalg.norm(atlas.space("clip").points[row] - landing.spaces["clip"].point) < atlas.space("clip").radius / 5
    )
    assert landing.verdict.name == "copy"

    again = told(capsys, "index", tmp_path / "atlas", photos)
    assert (again["version"], again["is_new"]) == (done["version"], False)


def test_a_manifest_is_written_once_and_then_obeyed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the atlas, valid, about this folder; what its owner changes stays, and another folder is refused."""
    folder = write_pictures(tmp_path / "mine", 1)
    made = own_manifest(tmp_path / "atlas", folder)
    path = tmp_path / "atlas.manifest.toml"
    assert (made.kind, made.title, made.models.clip) == ("folder", "mine", "demo")
    assert manifests.check(path) == []
    path.write_text(path.read_text().replace('title = "mine"', 'title = "My summer"'))
    assert own_manifest(tmp_path / "atlas", folder).title == "My summer"
    assert main(["index", str(tmp_path / "atlas"), str(write_pictures(tmp_path / "other", 1))]) == 1
    assert re.search(r"atlas.manifest.toml: it is about .*mine, not about .*other; remove it", capsys.readouterr().err)


def test_a_manifest_that_cannot_be_kept_is_one_clear_line(tmp_path: Path) -> None:
    """Where nothing can be written beside ATLAS, or the folder's name is no text, the fault says so."""
    folder = write_pictures(tmp_path / "mine", 1)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ManifestError, match=r"atlas\.manifest\.toml: the folder's manifest cannot be written"):
        own_manifest(tmp_path / "file" / "atlas", folder)
    with pytest.raises(ManifestError, match="a folder whose name is not UTF-8"):
        own_manifest(tmp_path / "atlas", folder.rename(tmp_path / "mine\udcff"))
    assert sorted(path.name for path in tmp_path.glob("atlas*")) == []


def test_the_contact_of_the_command_line_is_for_hosts_and_for_takedowns(tmp_path: Path) -> None:
    """It takes the place of the manifest's own, but not of another one that is named for takedowns."""
    plain = Manifest(kind="folder", base=tmp_path)
    assert with_contact(plain, "b") == replace(plain, fetch=Fetch(contact="b"), contact="b")
    fetching = replace(plain, fetch=Fetch(contact="a"), contact="a")
    assert with_contact(fetching, "b") == replace(plain, fetch=Fetch(contact="b"), contact="b")
    asked = replace(fetching, contact="takedowns")
    assert with_contact(asked, "b") == replace(asked, fetch=Fetch(contact="b"))


def test_an_atlas_is_no_folder_of_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is to be indexed into itself is left as it is, by name and by manifest."""
    folder = write_pictures(tmp_path / "mine", 1)
    before = sorted(tmp_path.rglob("*"))
    assert main(["index", str(folder), str(folder / ".." / "mine")]) == 1
    assert "as ATLAS and as what to index; name another ATLAS" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "mine.toml").write_text('kind = "folder"\npath = "mine"\n')
    assert main(["index", str(folder), "--manifest", str(tmp_path / "mine.toml")]) == 1
    assert "as ATLAS and as what to index; name another ATLAS" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["index", "ATLAS"], 2, "index needs either FOLDER or --manifest FILE"),
        (["index", "ATLAS", "x", "--manifest", "y"], 2, "index needs either FOLDER or --manifest FILE"),
        (["index", "ATLAS", "x", "--limit", "0"], 2, "expected a whole number from 1"),
        (["index", "ATLAS", "x", "--limit", "9" * 23], 2, "expected a whole number from 1"),
        (["index", "ATLAS", "x", "--seed", "-1"], 2, "expected a whole number from 0 to 4,294,967,295"),
        (["index", "ATLAS", "x", "--seed", str(2**32)], 2, "expected a whole number from 0 to 4,294,967,295"),
        (["forget", "ATLAS", "--url", "example.org/a.png"], 2, "expected a link by http or https"),
        (["forget", "ATLAS", "--host", "example.org/a.png"], 2, "expected a link by http or https"),
        (["forget", "ATLAS", "--id", "1", "--workspace", "nowhere"], 1, "found no workspace.sqlite in nowhere"),
        (["index", "ATLAS", "nowhere"], 1, "found no folder nowhere"),
        (["index", "ATLAS", "--manifest", "nowhere.toml"], 1, "nowhere.toml: cannot be read"),
        (["manifest"], 2, "ACTION"),
    ],
)
def test_wrong_words_are_one_clear_line(
    words: list[str], code: int, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 for words that do not fit together, 1 for an input at fault; nothing on standard output."""
    filled = [str(tmp_path / "atlas") if word == "ATLAS" else word for word in words]
    try:
        found = main(filled)
    except SystemExit as left:
        found = left.code  # type: ignore[assignment]
    printed = capsys.readouterr()
    assert found == code
    assert line in printed.err
    assert printed.out == ""


def test_manifest_check_names_every_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`ok` and all problems in JSON, exit code 1 when there are some; the shipped manifests are right."""
    bad = tmp_path / "bad.toml"
    bad.write_text('kind = "folder"\nlicense = "CC0"\n[split]\nshare = 2\n')
    assert main(["manifest", "check", str(bad), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert len(document["problems"]) == 3
    for path in sorted((Path(cli.__file__).parent.parent / "data_manifests").glob("*.toml")):
        assert told(capsys, "manifest", "check", path) == {"ok": True, "problems": []}


def test_results_in_words() -> None:
    """A person reads how many pictures there are, what was rejected and why."""
    document = {
        "atlas": "a", "version": "v", "images": 1200, "seconds": 3.21, "is_new": True,
        "outcomes": {"indexed": 1200, "rejected:empty": 1, "rejected:truncated": 2},
    }  # fmt: skip
    assert cli.show_index(document).splitlines() == [
        "a: indexed, 1,200 pictures in 3.2 s", "rejected 3: empty 1, truncated 2", "version v"
    ]  # fmt: skip
    assert cli.show_index(document | {"is_new": False, "outcomes": {"indexed": 5}}).startswith(
        "a: nothing has changed, 5"
    )
    assert cli.show_check({"problems": ["x: one", "x: two"]}) == "x: one\nx: two"


def test_the_size_of_a_fit_is_a_setting() -> None:
    """`--fit-most` bounds how many are laid out together; without it the default is what the help says."""
    parser = argparse.ArgumentParser()
    cli.add_verbs(verbs := parser.add_subparsers())
    words = ["index", "atlas", "folder"]
    asked = cli._options(parser.parse_args([*words, "--fit-most", "5000"]))
    assert asked.spaces.map.fit_most == 5000
    plain = cli._options(parser.parse_args(words))
    assert f"(default: {plain.spaces.map.fit_most:,})" in " ".join(verbs.choices["index"].format_help().split())
