"""The copy detector: a program that somebody gave, loaded only where it is trusted, and a space like the others."""

from __future__ import annotations

import ast
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from color_encoders import ColorEncoder
from folder_builds import manifest, options
from painted import painted, write
from PIL import Image

from explorer.atlas import Atlas
from explorer.copies import flag
from explorer.errors import ModelError
from explorer.landing import Flag
from explorer.manifest import from_dict, to_dict
from explorer.models.loader import Models
from explorer.models.references import Role, parse
from explorer.models.sscd import SIDE, SscdModel, trust
from explorer.records import Space, Split
from explorer.search import encoded, search_image
from explorer.verify import verify
from indexer.build import index
from indexer.encoding.encoders import ModelSet, SscdEncoder


class Detector(torch.nn.Module):
    """Twelve numbers of a picture: the mean of each of its quarters and channels."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(pixels, [2, 2]).flatten(1)


class Writer(torch.nn.Module):
    """A program that leaves a file behind."""

    def __init__(self, canary: str) -> None:
        super().__init__()
        self.canary = canary

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        torch.save(pixels, self.canary)
        return pixels.flatten(1)[:, :12]


class Scalar(torch.nn.Module):
    """A program that gives no vector."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean()


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this user trusts is the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("explorer.seals._VOUCHED", set())


def scripted(module: torch.nn.Module, file: Path) -> Path:
    """Save a module as TorchScript; what torch says of TorchScript's age is its own affair."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module).save(str(file))
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A detector's file."""
    return scripted(Detector(), tmp_path / "tiny.torchscript.pt")


def test_a_vector_is_what_the_program_makes_of_the_picture(file: Path) -> None:
    """Scaled to its side, normalized as ImageNet's pictures are, and brought to unit length."""
    trust(file)
    picture = painted(1, (SIDE, SIDE))
    values = (np.asarray(picture) / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    half = SIDE // 2
    quarters = values.reshape(2, half, 2, half, 3).mean(axis=(1, 3))
    expected = quarters.transpose(2, 0, 1).reshape(-1)
    model = SscdModel.load(str(file), "cpu")
    np.testing.assert_allclose(model.embed_pictures([picture])[0], expected / np.linalg.norm(expected), atol=1e-4)
    assert (model.dim, model.side, model.reference) == (12, SIDE, str(file))


def test_nobody_runs_a_strangers_program(file: Path) -> None:
    """A file that this user never named is not loaded, and the line says how to trust it; trust lasts."""
    with pytest.raises(ModelError, match=r"is a program.*trust\("):
        SscdModel.load(str(file), "cpu")
    trust(file)
    assert SscdModel.load(str(file), "cpu").dim == 12


def test_the_way_to_trust_is_safe_to_paste(tmp_path: Path) -> None:
    """A name that a stranger chose stays a name in the command that the message gives."""
    file = scripted(Detector(), tmp_path / "a'); print('canary') #$(touch canary).pt")
    with pytest.raises(ModelError) as refused:
        SscdModel.load(str(file), "cpu")
    command = str(refused.value).split("python -c ")[1]
    (code,) = shlex.split(command)
    (call,) = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    assert ast.literal_eval(call.args[0]) == str(file)


def test_trust_is_in_the_bytes(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program under the same name is not trusted, and a note that somebody else left is none."""
    trust(file)
    scripted(Scalar(), file)
    with pytest.raises(ModelError, match="is a program"):
        SscdModel.load(str(file), "cpu")
    trust(file)
    monkeypatch.setattr("explorer.seals._VOUCHED", set())
    for note in (tmp_path / "state").rglob("trusted/*"):
        note.write_bytes(b"mine")
    with pytest.raises(ModelError, match="is a program"):
        SscdModel.load(str(file), "cpu")


def test_a_program_that_reaches_out_is_refused(tmp_path: Path) -> None:
    """A program that writes files is neither trusted nor run; its canary is never there."""
    file, canary = tmp_path / "bad.torchscript.pt", tmp_path / "canary"
    scripted(Writer(str(canary)), file)
    with pytest.raises(ModelError, match=r"asks for torch\.save"):
        trust(file)
    assert not canary.exists()
    torch.jit.load(str(file))(torch.zeros(1, 3, 4, 4))
    assert canary.exists(), "the program would have written it"


def test_only_a_path_leads_to_a_program(tmp_path: Path, file: Path) -> None:
    """Hub ids, names and missing files are refused by one line; a relative path starts at the manifest's folder."""
    for text in ("facebook/sscd-copy-detection", "hf-hub:a/b", "demo", "sscd.pt"):
        with pytest.raises(ModelError, match="expected the path"):
            parse(text, Role.SSCD)
    with pytest.raises(ModelError, match="no file is at"):
        parse("./none.pt", Role.SSCD, tmp_path)
    assert parse(f"./{file.name}", Role.SSCD, tmp_path).path == file


def test_what_is_no_torchscript_is_refused(tmp_path: Path) -> None:
    """A pickle of weights, another archive and a program without vectors are named for what they are."""
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pt")
    (tmp_path / "text.pt").write_text("no archive")
    with pytest.raises(ModelError, match="without a program"):
        trust(tmp_path / "weights.pt")
    with pytest.raises(ModelError, match="no TorchScript archive"):
        trust(tmp_path / "text.pt")
    scalar = scripted(Scalar(), tmp_path / "scalar.pt")
    trust(scalar)
    with pytest.raises(ModelError, match="gives no vector"):
        SscdModel.load(str(scalar), "cpu")


def test_a_manifest_names_it(file: Path, tiny_clip_dir: Path, tiny_pipeline_dir: Path, tmp_path: Path) -> None:
    """`[models] sscd` adds the space behind the others, trusts the file, and goes through `atlas.json` and back."""
    models = {"clip": str(tiny_clip_dir), "generator": str(tiny_pipeline_dir), "sscd": f"./{file.name}"}
    document = {"kind": "folder", "path": "pictures", "models": models}
    named = from_dict(document, base=file.parent, file="m.toml")
    assert from_dict(to_dict(named), base=file.parent, file="m.toml").models == named.models
    chosen = ModelSet(named, "cpu", tmp_path / "models.json")
    assert [each.space for each in chosen.load()] == [Space.CLIP, Space.VAE, Space.SSCD]
    again = ModelSet(named, "cpu", tmp_path / "models.json")
    assert again.describe() == chosen.describe()
    assert again.describe()["sscd"]["dim"] == 12


def test_ready_made_vectors_have_no_detector(tmp_path: Path) -> None:
    """A source that encodes no picture cannot have the space, and says so."""
    document = {"kind": "embeddings", "path": "x", "models": {"clip": "ViT-B-32/openai", "sscd": "./a.pt"}}
    with pytest.raises(Exception, match=r"models\.sscd.*encodes no picture"):
        from_dict(document, base=tmp_path, file="m.toml")


def test_it_is_a_space_like_the_others(file: Path, tmp_path: Path) -> None:
    """A picture of the corpus is found by the detector's vectors, with a map and percentiles of their own."""
    trust(file)
    detector = SscdEncoder(SscdModel.load(str(file), "cpu"))
    folder = write(tmp_path / "pictures", 18)
    index(tmp_path / "atlas", manifest(folder), options(), encoders=(ColorEncoder(Space.CLIP, 24, "one"), detector))
    atlas = Atlas.open(tmp_path / "atlas")
    assert atlas.spaces == ("clip", "sscd")
    assert verify(tmp_path / "atlas") == []
    picture = Image.open(folder / "04.png").convert("RGB")
    (hit,) = search_image(atlas, Models(atlas, "cpu"), picture, "sscd", k=1)
    assert atlas.record(hit.id).key == "04.png"
    assert hit.similarity > 0.999
    assert hit.split is Split.TRAIN
    assert hit.percentile is not None
    assert encoded(atlas, Models(atlas, "cpu"), picture, {"clip": np.ones(24, np.float32)}).notes == ()


def test_without_its_file_the_other_spaces_answer(file: Path, tmp_path: Path) -> None:
    """Without it a picture is still encoded for the other spaces; a note says what is missing, never where."""
    trust(file)
    detector = SscdEncoder(SscdModel.load(str(file), "cpu"))
    folder = write(tmp_path / "pictures", 18)
    index(tmp_path / "atlas", manifest(folder), options(), encoders=(ColorEncoder(Space.CLIP, 24, "one"), detector))
    file.rename(tmp_path / "moved.pt")
    atlas = Atlas.open(tmp_path / "atlas")
    known = {"clip": np.ones(24, np.float32)}
    found = encoded(atlas, Models(atlas), painted(3), known)
    assert list(found.vectors) == ["clip"]
    assert len(found.notes) == 1
    assert f"no file is at {file.name};" in found.notes[0]
    assert str(tmp_path) not in found.notes[0]


def test_the_published_thresholds() -> None:
    """Over 0.5 a replication, from 0.75 on a copy, and nothing in a space that has no such thresholds."""
    said = [flag("sscd", similarity) for similarity in (0.5, 0.51, 0.74, 0.75, 1.0)]
    assert said == [None, Flag.REPLICATION, Flag.REPLICATION, Flag.COPY, Flag.COPY]
    assert flag("clip", 0.99) is None
