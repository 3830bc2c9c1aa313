"""Audits of whole sets of pictures, from the verb to what it leaves: on real models, if tiny ones."""

from __future__ import annotations

import csv
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import prdc
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from small_atlas import SmallAtlas, changed
from vendi_score import vendi as their_vendi

from explorer.atlas import Atlas
from explorer.audit import document, drawing, finish, page, plan, prompts, run, shards, spaces
from explorer.audit.kept import Audits
from explorer.audit.plan import Part
from explorer.audit.reference import reference
from explorer.denylist import DenyKind, hashed
from explorer.errors import QueryError
from explorer.generate import Generator
from explorer.models import batch
from explorer.models.generator import GeneratorModel
from explorer.paper import data_uri
from explorer.records import Recipe, Relation, Split
from explorer.stamp import stamped
from webapp.cli import main

SCHEDULERS = ("PNDMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler")
MANY = 18  # pictures: more than a shard

Audit = Callable[..., dict[str, Any]]


@pytest.fixture
def audit(capfd: pytest.CaptureFixture[str]) -> Audit:
    """Run the verb with --json on the CPU; return its object."""

    def run(*words: object, code: int = 0) -> dict[str, Any]:
        capfd.readouterr()
        assert main(["audit", *map(str, words), "--device", "cpu", "--json"]) == code
        out, err = capfd.readouterr()
        if code:
            assert out == "" and err.count("\n") == 1, err
            return {"said": err}
        found: dict[str, Any] = json.loads(out)
        return found

    return run


def nearly(one: Any, other: Any) -> bool:
    """Whether two documents are equal but for the last digits of numbers, which threads sum in another order."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(nearly(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(nearly, one, other))
    return bool(one == (pytest.approx(other, rel=1e-4, abs=1e-5) if isinstance(one, float) else other))


@pytest.fixture(scope="module")
def whole(tiny_atlas: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished audit of captions, two seeds each and in two shards, beside an axis; nobody may change it."""
    folder = tmp_path_factory.mktemp("audits") / "whole"
    arguments = ["--captions", "9", "--seeds", "2", "--steps", "1", "--axis", "red", "blue", "--out", str(folder)]
    workspace = ["--workspace", str(folder.parent / "workspace"), "--device", "cpu"]
    assert main(["audit", str(tiny_atlas), *arguments, *workspace]) == 0
    return folder


def told(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "audit.json").read_text("utf-8"))
    return found


def vectors(folder: Path, space: str) -> np.ndarray:
    return np.concatenate([np.load(path / f"{space}.npy") for path in sorted((folder / "shards").iterdir())])


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_pictures_drawn_together_are_those_drawn_alone(tiny_pipeline_dir: Path, scheduler: str) -> None:
    """Prompt, negative prompt, guidance and seed end in the same latent, with schedulers that add noise too."""
    import diffusers

    model = GeneratorModel.load(str(tiny_pipeline_dir), device="cpu")
    model.pipeline.scheduler = getattr(diffusers, scheduler).from_config(model.pipeline.scheduler.config)
    common = Recipe("a cat", "a dog", steps=4, guidance=5.0, width=32, height=32)
    recipes = [replace(common, prompt=prompt, seed=seed) for prompt, seed in (("cat", 3), ("cat", 4), ("two dogs", 3))]
    together = batch.clean_latents(model, recipes)
    for recipe, found in zip(recipes, together, strict=True):
        *_, alone = model.denoise(recipe)
        torch.testing.assert_close(found[None], alone.clean, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(together[0], together[2]), "a prompt makes a difference"


def test_where_there_is_no_room_fewer_are_drawn_at_once(
    tiny_atlas: Path, tiny_pipeline_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that holds one picture at a time gives the same ones; one that holds none says so of each."""
    generator = Generator.load(str(tiny_pipeline_dir), Atlas.open(tiny_atlas), device="cpu")
    items = plan.generated([prompts.Prompt("a cat")], 3)
    draw = drawing.Generated(generator, generator.recipe("", steps=1), 4)
    expected = draw(items)
    whole, tried = batch.clean_latents, []

    def narrow(model: GeneratorModel, some: list[Recipe]) -> torch.Tensor:
        tried.append(len(some))
        if len(some) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(model, some)

    monkeypatch.setattr(batch, "clean_latents", narrow)
    room = 1
    found = draw(items)
    assert tried == [3, 1, 2, 1, 1]
    for one, other in zip(found, expected, strict=True):
        assert np.abs(np.asarray(one.image, int) - np.asarray(other.image, int)).max() <= 1
        np.testing.assert_allclose(one.latent["vae"], other.latent["vae"], atol=1e-4)
    room = 0
    assert [(each.image, each.error) for each in draw(items)] == [(None, drawing.NO_ROOM)] * 3


def test_a_picture_without_numbers_is_a_row_with_a_reason(
    tiny_atlas: Path, tiny_pipeline_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a generator comes to not-a-number, that picture is told as failed, and those beside it are located."""
    atlas = Atlas.open(tiny_atlas)
    generator = Generator.load(str(tiny_pipeline_dir), atlas, device="cpu")
    whole = batch.clean_latents

    def broken(model: GeneratorModel, some: list[Recipe]) -> torch.Tensor:
        found = whole(model, some).clone()
        found[1] = torch.nan
        return found

    monkeypatch.setattr(batch, "clean_latents", broken)
    items = plan.generated([prompts.Prompt("a cat")], 3)
    made = plan.Plan("a", "v", atlas.spaces, plan.Source.PROMPTS, generator.recipe("", steps=1), 3, items)
    out = shards.Shards(tmp_path)
    run.work(atlas, generator.models, made, drawing.Generated(generator, made.recipe, 3), out, Part())
    found = document.gathered(out, made)
    assert [row["error"] for row in found.rows] == [None, drawing.NOT_FINITE, None]
    assert [row["row"] for row in found.located] == [0, 2] and found.vectors["vae"].shape == (2, 256)


def test_an_audit_has_a_row_a_prompt_and_seed(whole: Path, tiny_atlas: Path) -> None:
    """Nine captions with two seeds each: every row with its nearest training picture, as brute force finds it."""
    atlas, found = Atlas.open(tiny_atlas), told(whole)
    assert [(row["row"], row["seed"]) for row in found["rows"]] == [(at, at % 2) for at in range(MANY)]
    assert len({row["prompt"] for row in found["rows"]}) == found["prompts"] == 9
    assert all(atlas.record(row["id"]).caption == row["prompt"] for row in found["rows"])
    for space in atlas.spaces:
        base = atlas.space(space).vectors.astype(np.float32)
        similarity = np.where(atlas.train, vectors(whole, space) @ base.T, -np.inf)
        nearest = atlas.ids[similarity.argmax(axis=1)]
        assert [row["nearest"][space] for row in found["rows"]] == nearest.tolist()
        told_similarity = [row["similarity"][space] for row in found["rows"]]
        np.testing.assert_allclose(told_similarity, similarity.max(axis=1).clip(max=1), atol=2e-3)
    for row in found["rows"]:
        with Image.open(whole / row["picture"]) as image:
            assert image.size == (32, 32)
            assert json.loads(image.text["recipe"])["seed"] == row["seed"]  # type: ignore[attr-defined]


def test_the_figures_are_the_authors_on_the_same_vectors(whole: Path, tiny_atlas: Path) -> None:
    """What the document says of the set is what prdc and vendi-score say of the vectors that the audit kept."""
    atlas, found = Atlas.open(tiny_atlas), told(whole)
    rows = reference(atlas).train
    assert len(rows) == len(np.unique(atlas.families[atlas.train])) == found["reference"]["train"]
    for space, measured in found["spaces"].items():
        real, made = atlas.space(space).vectors[rows].astype(np.float64), vectors(whole, space).astype(np.float64)
        real /= np.linalg.norm(real, axis=1, keepdims=True)
        theirs = prdc.compute_prdc(real, made, nearest_k=measured["sets"]["k"])
        assert {name: measured["sets"][name] for name in theirs} == pytest.approx(theirs, abs=1e-6)
        assert measured["vendi"]["score"] == pytest.approx(their_vendi.score_X(made), abs=1e-6)
        assert measured["vendi"]["pictures"] == MANY == measured["sets"]["generated"]
        reason = measured["copying"]["reason"]
        assert measured["copying"]["value"] is None
        assert "found 6 held-out and 9 generated pictures" in reason, "one a prompt"
        assert sum(cluster["pictures"] for cluster in measured["clusters"]) == MANY
        assert sum(cluster["expected"] for cluster in measured["clusters"]) == pytest.approx(1)
        collapse = [entry["spaces"][space]["collapse"] for entry in found["ranking"]]
        assert measured["similarity"]["of one prompt"] == pytest.approx(np.mean(collapse))
    assert sum(each["pictures"] for each in found["verdicts"].values()) == MANY


def test_an_axis_is_a_cosine_to_the_difference_of_two_phrases(whole: Path, tiny_atlas: Path) -> None:
    """Rows and the training pictures have their place between two phrases, and the shift is in their deviations."""
    import explorer

    atlas, found = explorer.Atlas.open(tiny_atlas), told(whole)
    low, high = atlas.models.clip().embed_texts(["red", "blue"])
    direction = (high - low) / np.linalg.norm(high - low)
    expected = vectors(whole, "clip") @ direction
    np.testing.assert_allclose([row["axes"]["red – blue"] for row in found["rows"]], expected, atol=1e-5)
    usual = (atlas.space("clip").vectors.astype(np.float32) @ direction)[atlas.train]
    (axis,) = found["axes"]
    assert axis["training"]["mean"] == pytest.approx(usual.mean(), abs=1e-5)
    assert axis["shift"] == pytest.approx((expected.mean() - usual.mean()) / usual.std(), rel=1e-3)


def test_the_tables_and_the_page_hold_what_the_document_says(whole: Path) -> None:
    """CSV with a line a row and a prompt; a page without script or link of its own, with every figure's k and sizes."""
    found = told(whole)
    with (whole / "rows.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["row"]) for line in lines] == list(range(MANY))
    assert [float(line["clip_similarity"]) for line in lines] == [row["similarity"]["clip"] for row in found["rows"]]
    assert [float(line["axis: red – blue"]) for line in lines] == [row["axes"]["red – blue"] for row in found["rows"]]
    with (whole / "prompts.csv").open(encoding="utf-8", newline="") as file:
        assert [line["prompt"] for line in csv.DictReader(file)] == [entry["prompt"] for entry in found["ranking"]]
    page = (whole / "audit.html").read_text("utf-8")
    assert "default-src 'none'" in html.unescape(page) and "<script" not in page and "style=" not in page
    assert not re.search(r"(src|href)=\"(?!data:|https://pictures\.example/)", page)
    assert page.index("Density") < page.index("Coverage") < page.index("Precision") < page.index("Recall")
    assert "k = 5, 18 pictures against 24 of the collection" in page
    assert "training picture" not in page, "of this generator nobody said that it saw the collection"


def test_the_page_shows_the_picture_that_is_meant(whole: Path, tiny_atlas: Path) -> None:
    """Where another seed is the nearest in another space, its own picture stands there; else it stands once."""
    found = told(whole)
    entries = found["ranking"]
    entries[0]["spaces"]["vae"]["row"] = entries[0]["spaces"]["clip"]["row"]
    assert len({len({each["row"] for each in entry["spaces"].values()}) for entry in entries}) == 2, "both are there"
    made = finish.Pictures(shards.Shards(whole), found)
    text = page.page(Atlas.open(tiny_atlas), found, made)
    cells = re.findall(r"<tr><td>(?:<img src=\"([^\"]+)\"[^>]*>)?</td>", text)
    expected = []
    for entry in entries:
        rows = [each["row"] for each in entry["spaces"].values()]
        shown = [row if at == 0 or row != rows[at - 1] else None for at, row in enumerate(rows)]
        expected += ["" if row is None else data_uri(made.get(row) or b"") for row in shown]
    assert cells == expected


def test_parts_merge_to_the_whole(whole: Path, tiny_atlas: Path, tmp_path: Path, audit: Audit) -> None:
    """Two machines do a part each; laid into one folder and run once more, they are the audit in one piece."""
    words = (tiny_atlas, "--captions", 9, "--seeds", 2, "--steps", 1, "--axis", "red", "blue", "--workspace", tmp_path)
    first = audit(*words, "--out", tmp_path / "one", "--part", "1/2")
    assert (first["missing"], first["report"], (tmp_path / "one" / "audit.json").exists()) == (2, None, False)
    second = audit(*words, "--out", tmp_path / "two", "--part", "2/2")
    assert second["missing"] == 16
    shutil.copytree(tmp_path / "two" / "shards", tmp_path / "one" / "shards", dirs_exist_ok=True)
    done = audit(*words, "--out", tmp_path / "one")
    assert done["missing"] == 0 and Path(done["report"]).exists()
    merged = told(tmp_path / "one")
    for name in ("rows", "ranking", "spaces", "verdicts", "axes"):
        assert merged[name] == told(whole)[name], name


def test_a_killed_audit_goes_on_where_it_was(whole: Path, tiny_atlas: Path, tmp_path: Path, audit: Audit) -> None:
    """Killed while it writes its second shard, it keeps the first as it is, and ends in the same figures."""
    out, workspace = tmp_path / "killed", tmp_path / "workspace"
    words = [str(tiny_atlas), "--captions", "9", "--seeds", "2", "--steps", "1", "--axis", "red", "blue"]
    words += ["--out", str(out), "--workspace", str(workspace)]
    script = (
        "import os, signal, sys; from explorer.audit import shards; from webapp.cli import main\n"
        "write = shards.write_array\n"
        "def dying(path, array):\n"
        "    if '00001' in str(path): os.kill(os.getpid(), signal.SIGKILL)\n"
        "    write(path, array)\n"
        "shards.write_array = dying\n"
        "main(['audit', '--device', 'cpu', *sys.argv[1:]])\n"
    )
    command = [sys.executable, "-c", script, *words]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    first = out / "shards" / "00000"
    assert first.exists() and not (out / "shards" / "00001").exists() and not (out / "audit.json").exists()
    before = (first / "rows.jsonl").stat().st_mtime_ns
    audit(*words)
    assert (first / "rows.jsonl").stat().st_mtime_ns == before
    assert sorted(path.name for path in (out / "shards").iterdir()) == ["00000", "00001"]
    assert nearly(told(out)["rows"], told(whole)["rows"])


def test_another_audit_is_not_mixed_in(whole: Path, tiny_atlas: Path, tmp_path: Path, audit: Audit) -> None:
    """Other seeds, other steps or another source in the same folder are refused, and the differences named."""
    folder = shutil.copytree(whole, tmp_path / "copy")
    words = (tiny_atlas, "--captions", 9, "--out", folder, "--workspace", tmp_path)
    said = audit(*words, "--seeds", 2, "--steps", 2, code=1)["said"]
    assert "steps (found 1, now 2)" in said and "seeds (" not in said and "run it as it was begun" in said
    assert "seeds (found 2, now 3)" in audit(*words, "--seeds", 3, "--steps", 1, code=1)["said"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    said = audit(tiny_atlas, "--captions", 2, "--steps", 1, "--out", tmp_path / "other", code=1)["said"]
    assert "holds something that is no audit" in said


PLAN = plan.Plan(
    "a", "v", ("clip",), plan.Source.PROMPTS, Recipe("", generator="g", width=32, height=32), 2,
    plan.generated([prompts.Prompt("a cat"), prompts.Prompt("a dog", 7)], 2),
)  # fmt: skip
OTHERS = {
    "atlas": replace(PLAN, atlas="b"),
    "version": replace(PLAN, version="w"),
    "spaces": replace(PLAN, spaces=("clip", "vae")),
    "source": replace(PLAN, source=plan.Source.CAPTIONS),
    "generated by": replace(PLAN, recipe=None),
    "seeds": replace(PLAN, seeds=3),
    "LoRA's file": replace(PLAN, lora="ab"),
    "pictures": replace(PLAN, items=PLAN.items[:3]),
    "list of pictures": replace(PLAN, items=(*PLAN.items[:3], replace(PLAN.items[3], prompt=prompts.Prompt("cow")))),
    **{
        name: replace(PLAN, recipe=replace(PLAN.recipe, **{name: value}))
        for name, value in {
            "negative": "n", "steps": 3, "guidance": 2.5, "generator": "h", "lora": "l", "revision": "r", "width": 64,
            "height": 64,
        }.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_every_setting_of_a_plan_is_held(tmp_path: Path, name: str) -> None:
    """The same plan goes on, also out of the file; with one setting changed it is refused by that name."""
    plan.hold(tmp_path / "out", PLAN)
    plan.hold(tmp_path / "out", PLAN)
    with pytest.raises(QueryError, match=re.escape(f"{name} (found")):
        plan.hold(tmp_path / "out", OTHERS[name])


def test_a_part_of_another_audit_is_not_merged(tiny_atlas: Path, tmp_path: Path, audit: Audit) -> None:
    """Each shard knows its plan: one that a machine made with other steps is refused where it is laid in."""
    words = (tiny_atlas, "--captions", 9, "--seeds", 2, "--workspace", tmp_path)
    audit(*words, "--steps", 1, "--out", tmp_path / "one", "--part", "1/2")
    audit(*words, "--steps", 2, "--out", tmp_path / "two", "--part", "2/2")
    shutil.copytree(tmp_path / "two" / "shards", tmp_path / "one" / "shards", dirs_exist_ok=True)
    said = audit(*words, "--steps", 1, "--out", tmp_path / "one", code=1)["said"]
    assert "00001: holds an audit of other steps (found 2, now 1); remove it" in said
    shutil.rmtree(tmp_path / "one" / "shards" / "00001")
    assert audit(*words, "--steps", 1, "--out", tmp_path / "one")["missing"] == 0


def test_half_a_shard_is_made_anew_and_a_whole_one_stays(tmp_path: Path) -> None:
    """What a broken copy left of a shard goes for the whole one, which nobody who comes later replaces."""
    out = shards.Shards(tmp_path)
    vectors = {"clip": np.ones((1, 4), np.float32)}
    one, other = (shards.Shard([{"row": at, "error": None}], vectors, {"a.png": b"a"}) for at in (0, 1))
    out.path(0).mkdir(parents=True)
    (out.path(0) / "b.png").write_bytes(b"half")
    out.write(0, one)
    assert sorted(path.name for path in out.path(0).iterdir()) == ["a.png", "clip.npy", "rows.jsonl"]
    out.write(0, other)
    assert out.read(0, ["clip"]).rows == one.rows
    assert [path.name for path in out.path(0).parent.iterdir()] == ["00000"]


def test_pictures_made_elsewhere_are_rows_or_reasons(tiny_atlas: Path, tmp_path: Path, audit: Audit) -> None:
    """Prompts come from a stamp or a text beside; a broken file is a row with its reason, a link is none."""
    folder = tmp_path / "made"
    (folder / "deep").mkdir(parents=True)
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)) for _ in range(3)]
    images[0].save(folder / "a.png")
    (folder / "a.txt").write_text(" a cat \n", "utf-8")
    (folder / "b.png").write_bytes(stamped(images[1], Recipe("a dog", seed=5)))
    images[2].save(folder / "deep" / "c.webp")
    (folder / "d.jpg").write_text("no picture")
    (folder / "e.png").symlink_to(folder / "a.png")
    document = audit(tiny_atlas, "--images", folder, "--out", tmp_path / "out", "--workspace", tmp_path / "w")
    assert (document["pictures"], document["failed"], document["missing"]) == (4, 1, 0)
    rows = {row["file"]: row for row in told(tmp_path / "out")["rows"]}
    assert {name: (row["prompt"], row["seed"]) for name, row in rows.items()} == {
        "a.png": ("a cat", None), "b.png": ("a dog", 5), "d.jpg": (None, None), "deep/c.webp": (None, None)
    }  # fmt: skip
    assert rows["d.jpg"]["error"].startswith("not-a-picture: ") and rows["d.jpg"]["picture"] is None
    assert told(tmp_path / "out")["prompts"] == 3
    assert told(tmp_path / "out")["spaces"]["clip"]["sets"]["reason"].startswith("found 24 and 3 pictures")
    with (tmp_path / "out" / "rows.csv").open(encoding="utf-8", newline="") as file:
        assert [line["error"][:13] for line in csv.DictReader(file)] == ["", "", "not-a-picture", ""]


def test_an_audit_of_a_folder_is_of_these_very_pictures(tiny_atlas: Path, tmp_path: Path, audit: Audit) -> None:
    """Its own folder below them counts for nothing; another picture under a known name is another audit."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "made"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(folder / name)
    words = (tiny_atlas, "--images", folder, "--out", folder / "audit", "--workspace", tmp_path / "w")
    assert audit(*words)["pictures"] == 2
    before = told(folder / "audit")
    assert audit(*words)["pictures"] == 2
    assert told(folder / "audit")["rows"] == before["rows"]
    shutil.copy(folder / "a.png", folder / "b.png")
    assert "holds an audit of other list of pictures" in audit(*words, code=1)["said"]


def test_odd_names_and_stamps_of_strangers(tiny_atlas: Path, tmp_path: Path, audit: Audit) -> None:
    """A stamp with half a character, or no seed of ours, is read as far as it goes; a name that is no text is told."""
    folder = tmp_path / "made"
    folder.mkdir()
    image = Image.new("RGB", (40, 40), "red")
    info = PngInfo()
    info.add_itxt("recipe", '{"prompt": "half \\ud800", "seed": 1180591620717411303424}')
    image.save(folder / "a.png", pnginfo=info)
    words = (tiny_atlas, "--images", folder, "--out", tmp_path / "out", "--workspace", tmp_path / "w")
    assert audit(*words)["missing"] == 0
    (row,) = told(tmp_path / "out")["rows"]
    assert (row["prompt"], row["seed"]) == ("half ?", None)
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")).write_bytes((folder / "a.png").read_bytes())
    except OSError:
        pytest.skip("this system takes no such names")
    said = audit(tiny_atlas, "--images", folder, "--out", tmp_path / "other", code=1)["said"]
    assert "caf\\udce9.png', which is not UTF-8; rename it" in said


def test_words_that_do_not_fit_and_folders_without_pictures(
    tiny_atlas: Path, tmp_path: Path, audit: Audit, capfd: pytest.CaptureFixture[str]
) -> None:
    """Seeds of pictures made elsewhere are wrong usage; empty folders, bad prompts, odd parts are told."""
    out = ("--out", str(tmp_path / "out"))
    for words, said in (
        (("--images", str(tmp_path), "--seeds", "2", *out), "--seeds belongs to generating"),
        (("--captions", "2", "--part", "3/2", *out), "expected a part such as 2/3"),
        (("--captions", "2", "--seeds", "0", *out), "found --seeds 0; expected 1 or more"),
        (("--captions", "2"), "required: --out"),
    ):
        with pytest.raises(SystemExit) as e:
            main(["audit", str(tiny_atlas), *words])
        assert e.value.code == 2 and said in capfd.readouterr().err
    (tmp_path / "empty").mkdir()
    (tmp_path / "blank.txt").write_text("\n \n")
    (tmp_path / "long.txt").write_text("a\n" + "b" * 2001)
    assert "found no picture; expected JPEG" in audit(tiny_atlas, "--images", tmp_path / "empty", *out, code=1)["said"]
    assert "found no prompt" in audit(tiny_atlas, "--prompts", tmp_path / "blank.txt", *out, code=1)["said"]
    assert (
        "long.txt, line 2: expected at most 2,000"
        in (audit(tiny_atlas, "--prompts", tmp_path / "long.txt", *out, code=1)["said"])
    )
    same = audit(tiny_atlas, "--captions", 2, "--axis", "red", "red", *out, code=1)["said"]
    assert "found an axis between 'red' and 'red', which are the same here" in same
    assert "found 24 different captions" in audit(tiny_atlas, "--captions", 25, *out, code=1)["said"]
    assert not (tmp_path / "out").exists()


def test_prompts_of_a_file_are_its_lines_once(tmp_path: Path) -> None:
    """Blank lines and repeated prompts are left out; what is left keeps its order."""
    (tmp_path / "prompts.txt").write_text("\ufeffb\n\n a \nb\n", "utf-8")
    assert [each.text for each in prompts.read(tmp_path / "prompts.txt")] == ["b", "a"]


def test_captions_are_of_training_pictures_the_largest_families_first(tmp_path: Path) -> None:
    """One caption a family, largest first, none held out, unsafe or without one; the seed orders the rest."""

    def change(record: Any) -> Any:  # noqa: ANN401 - a record
        number = int(record.key.split("-")[1])
        family = record.key.split("-")[0] if record.key.startswith(("red", "teal")) and number < 6 else record.family
        unsafe = 0.9 if record.key.startswith("blue") else 0.0
        captions = {} if record.key.startswith("green") else record.captions
        return replace(record, family=family, punsafe=unsafe, captions=captions)

    atlas = Atlas.open(SmallAtlas(change=change).write(tmp_path / "atlas"))
    found = prompts.captions(atlas, 12)
    records = [atlas.record(prompt.id or 0) for prompt in found]
    assert {record.family for record in records[:2]} == {"red", "teal"}
    assert len({record.family for record in records}) == 12
    assert all(record.split is Split.TRAIN and record.tags[0] not in ("blue", "green") for record in records)
    assert [prompt.text for prompt in found] == [record.caption for record in records]
    assert found == prompts.captions(atlas, 12) != prompts.captions(atlas, 12, seed=1)
    with pytest.raises(QueryError, match="found 12 different captions"):
        prompts.captions(atlas, 13)


def test_without_held_out_pictures_there_is_no_test_for_copying(tmp_path: Path) -> None:
    """The figure is null and says why; all else is measured."""
    atlas = Atlas.open(SmallAtlas(change=changed(split=Split.TRAIN)).write(tmp_path / "atlas"))
    rng = np.random.default_rng(0)
    made = rng.normal(size=(30, 32)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    found = spaces.measured(atlas, "clip", made, np.arange(30), reference(atlas), 5, 0)
    assert found["copying"] == {"value": None, "reason": spaces.NOTHING_HELD_OUT}
    assert found["heldout_sets"] == {"value": None, "reason": spaces.NOTHING_HELD_OUT}
    assert found["sets"]["real"] == 30 and found["similarity"]["of one prompt"] is None


def test_seeds_of_one_prompt_are_one_witness(tmp_path: Path) -> None:
    """The test for data copying takes a picture a prompt: four seeds that show the same make nothing more certain."""

    def change(record: Any) -> Any:  # noqa: ANN401 - a record
        return replace(record, split=Split.TRAIN if record.key.endswith(("-0", "-1")) else Split.HELDOUT)

    atlas = Atlas.open(SmallAtlas(change=change).write(tmp_path / "atlas"))
    made = np.random.default_rng(0).normal(size=(25, 32)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    alone, fourfold = (
        spaces.measured(
            atlas, "clip", np.repeat(made, seeds, axis=0), np.repeat(np.arange(25), seeds), reference(atlas), 5, 0
        )["copying"]
        for seeds in (1, 4)
    )
    assert alone == fourfold and alone["generated"] == 25 and 0 < alone["p"] < 1


def test_only_what_the_generator_saw_is_called_training_pictures(small_atlas: Path) -> None:
    """The relation is that to the generator of the pictures; of those made elsewhere it is unknown."""
    atlas = Atlas.open(small_atlas)
    assert document.relation(atlas, Recipe("", generator="demo")) is Relation.ALL
    assert document.relation(atlas, Recipe("", generator="demo", lora="x.safetensors")) is Relation.SAMPLE
    assert document.relation(atlas, Recipe("", generator="org/other")) is Relation.UNKNOWN
    assert document.relation(atlas, None) is Relation.UNKNOWN


def test_a_takedown_reaches_the_audits_that_are_kept(whole: Path, tiny_atlas: Path, tmp_path: Path) -> None:
    """The rows of a forgotten picture's caption go, and it is nobody's nearest any more."""
    copy = Path(shutil.copytree(tiny_atlas, tmp_path / "atlas"))
    workspace = Path(shutil.copytree(whole.parent / "workspace", copy / "workspace", dirs_exist_ok=True))
    before = told(whole)
    gone, near = before["rows"][0]["id"], before["rows"][-1]["nearest"]["vae"]
    caption = before["rows"][0]["prompt"]
    assert caption.encode() in b"".join(path.read_bytes() for path in workspace.iterdir())
    for identity in dict.fromkeys((gone, near)):
        assert main(["forget", str(copy), "--id", str(identity), "--json"]) == 0
    audits = Audits.open(workspace)
    after = audits.document(before["name"])
    assert after is not None and audits.picture(before["name"], 0) is None
    assert audits.picture(before["name"], 5) is not None
    audits.close()
    assert {row["id"] for row in after["rows"]}.isdisjoint({gone})
    assert all({gone, near}.isdisjoint(row["nearest"].values()) for row in after["rows"])
    ranked = [each for entry in after["ranking"] for each in entry["spaces"].values()]
    assert all({gone, near}.isdisjoint(each["nearest"].values()) for each in ranked)
    assert caption.encode() not in b"".join(path.read_bytes() for path in workspace.iterdir())


def test_an_audit_that_ends_after_a_takedown_names_nothing_of_it(
    tiny_atlas: Path, tmp_path: Path, audit: Audit
) -> None:
    """What was located before, and is taken down when the report is written, is in no file of it but the shards."""
    copy = Path(shutil.copytree(tiny_atlas, tmp_path / "atlas"))
    (tmp_path / "prompts.txt").write_text("a cat\na dog\n")
    out = tmp_path / "out"
    words = (copy, "--prompts", tmp_path / "prompts.txt", "--steps", 1, "--out", out)
    audit(*words)
    near = told(out)["rows"][0]["nearest"]["clip"]
    listed = {"kind": "key", "sha256": hashed(DenyKind.KEY, Atlas.open(copy).record(near).key), "at": "2026-01-01"}
    (copy / "denylist.jsonl").write_text(json.dumps(listed) + "\n", "utf-8")
    audit(*words)
    after = told(out)
    audits = Audits.open(copy / "workspace")
    assert audits.document(after["name"]) == after
    audits.close()
    assert all(near not in row["nearest"].values() for row in after["rows"])
    with (out / "rows.csv").open(encoding="utf-8", newline="") as file:
        assert [line["clip_nearest"] for line in csv.DictReader(file)][0] == ""


def test_what_is_kept_meanwhile_is_kept_without_what_was_taken_down(whole: Path, tmp_path: Path) -> None:
    """A takedown that began before an audit is kept is asked for while that is written; nothing reaches the disk."""
    found, audits = told(whole), Audits.open(tmp_path)
    gone, caption = found["rows"][0]["id"], found["rows"][0]["prompt"]
    thumbnails = [(row["row"], b"webp of %d;" % row["row"]) for row in found["rows"]]
    audits.keep("a", found, thumbnails, denied=lambda: {gone})
    kept = audits.document("a")
    assert kept is not None and {row["id"] for row in kept["rows"]} == {row["id"] for row in found["rows"]} - {gone}
    assert [audits.picture("a", row) for row in range(3)] == [None, None, b"webp of 2;"]
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert caption.encode() not in written and b"webp of 0;" not in written and b"webp of 2;" in written
    audits.close()


def test_a_takedown_reaches_pictures_that_are_copies(whole: Path, tmp_path: Path) -> None:
    """The thumbnail of a copy goes with the picture that it is a copy of; its row stays, without a picture."""
    found, audits = told(whole), Audits.open(tmp_path)
    near = found["rows"][0]["nearest"]["vae"]
    for row in found["rows"]:
        row["id"] = None
        row["verdict"] = "copy" if row["row"] % 2 else "typical"
    copies = {row["row"] for row in found["rows"] if row["verdict"] == "copy" and near in row["nearest"].values()}
    others = {row["row"] for row in found["rows"] if near in row["nearest"].values()} - copies
    assert copies and others, "the case has both"
    audits.keep("a", found, [(row["row"], b"webp") for row in found["rows"]])
    assert audits.forget({near}) == 1 and audits.forget({near}) == 0
    kept = audits.document("a")
    assert kept is not None and len(kept["rows"]) == MANY
    assert {row["row"] for row in kept["rows"] if row["picture"] is None} == copies
    assert {row for row in range(MANY) if audits.picture("a", row) is None} == copies
    audits.close()


def test_an_audit_is_listed_and_kept_once(whole: Path, tmp_path: Path) -> None:
    """The same folder is one audit however often it is finished, with the pictures of the last time."""
    audits = Audits.open(Path(shutil.copytree(whole.parent / "workspace", tmp_path / "workspace")))
    (kept,) = audits.all()
    assert kept.name == told(whole)["name"] and "rows" not in kept.summary and kept.summary["pictures"] == MANY
    audits.keep("other", told(whole), [(0, b"webp")])
    audits.keep("other", told(whole), [(1, b"webp")])
    assert audits.picture("other", 0) is None and audits.picture("other", 1) == b"webp"
    assert [each.name for each in audits.all()] == sorted([kept.name, "other"])
    audits.close()


def test_a_damaged_shard_is_named(whole: Path, tmp_path: Path) -> None:
    """Vectors that are not those of the rows are refused, with what to do."""
    found = shards.Shards(Path(shutil.copytree(whole, tmp_path / "copy")))
    np.save(found.path(1) / "clip.npy", np.zeros((1, 64), np.float32))
    with pytest.raises(QueryError, match="00001: its vectors are not those of its rows; remove it"):
        found.read(1, ("clip", "vae"))
    (found.path(0) / "rows.jsonl").write_text("{")
    with pytest.raises(QueryError, match="00000: is damaged"):
        found.read(0, ("clip", "vae"))


def test_parts_are_disjoint_and_complete() -> None:
    """Every shard is in exactly one part of any number of parts."""
    items = plan.generated([prompts.Prompt(f"p{at}") for at in range(101)], 3)
    made = plan.Plan("a", "v", ("clip",), plan.Source.PROMPTS, None, 3, items)
    assert made.shards == 19 and sum(len(made.shard(at)) for at in range(19)) == 303
    for count in (1, 2, 7, 30):
        found = [shard for index in range(1, count + 1) for shard in made.part(Part(index, count))]
        assert sorted(found) == list(range(19))


def test_a_takedown_since_then_is_not_on_the_page(whole: Path, tiny_atlas: Path, tmp_path: Path) -> None:
    """Whoever finishes an audit after a takedown shows nothing of the picture."""
    copy = Path(shutil.copytree(tiny_atlas, tmp_path / "atlas"))
    atlas, found = Atlas.open(copy), told(whole)
    near = found["ranking"][0]["spaces"]["clip"]["nearest"]["clip"]
    caption = atlas.record(near).caption
    entry = {**found, "ranking": found["ranking"][:1]}
    pictures = finish.Pictures(shards.Shards(whole), found)
    entry["ranking"][0]["prompt"] = "something else"
    assert caption in page.page(atlas, entry, pictures)
    listed = json.dumps({"kind": "key", "sha256": hashed(DenyKind.KEY, atlas.record(near).key), "at": "2026-01-01"})
    (copy / "denylist.jsonl").write_text(listed + "\n", "utf-8")
    assert caption not in page.page(atlas, entry, pictures)


def keys_of(value: Any) -> set[str]:
    """Every key of a document."""
    if isinstance(value, list):
        return set().union(*map(keys_of, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    return set(value).union(*map(keys_of, value.values()))


def test_the_manual_explains_every_key(whole: Path) -> None:
    """docs/audits.md names each key of the document; a space, an axis, a model's role and a verdict are keys too."""
    manual = (Path(__file__).parent.parent / "docs" / "audits.md").read_text("utf-8")
    known = set(re.findall(r"`([a-zA-Z_ ]+)`", manual)) | {"red – blue"}
    assert not keys_of(told(whole)) - known
