"""The verbs that ask an atlas, run as the console script runs them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_atlas import SmallAtlas, changed
from tiny_models import build_lora

from explorer import arguments, cli, formats, lines
from explorer.atlas import Atlas
from explorer.records import Split
from webapp.cli import main

HIT = {
    "id", "similarity", "percentile", "split", "caption", "image_url", "page_url", "licence", "point", "cluster",
    "family", "flagged", "variants",
}  # fmt: skip

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(capfd: pytest.CaptureFixture[str]) -> Ask:
    """Run a verb with --json; return its object, having held that nothing else was said on standard output."""

    def run(*words: object, code: int = 0) -> dict[str, Any]:
        capfd.readouterr()
        assert main([*map(str, words), "--json"]) == code
        out, err = capfd.readouterr()
        assert out.endswith("}\n") and out.count("\n") == 1
        assert "Traceback" not in err and "Warning" not in err
        answer: dict[str, Any] = json.loads(out)
        return answer

    return run


@pytest.fixture
def refuse(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a verb that fails with 1; return its one line on standard error."""

    def run(*words: object) -> str:
        capfd.readouterr()
        assert main([*map(str, words)]) == 1
        out, err = capfd.readouterr()
        assert out == "" and err.count("\n") == 1
        return err

    return run


@pytest.fixture
def misuse(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run words that do not fit together; return the last line on standard error."""

    def run(*words: object) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as e:
            main([*map(str, words)])
        assert e.value.code == 2
        out, err = capfd.readouterr()
        assert out == ""
        return err.splitlines()[-1]

    return run


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_search_by_id_is_brute_force(small_atlas: Path, ask: Ask) -> None:
    """The hits are the most similar training pictures, by numpy over the vectors, without the picture itself."""
    atlas = Atlas.open(small_atlas)
    for space in ("clip", "vae"):
        hits = ask("search", small_atlas, "--id", 1000, "-k", 5, "--space", space)["hits"]
        vectors = atlas.space(space).vectors.astype(np.float32)
        similarity = vectors @ vectors[atlas.row(1000)]
        similarity[~atlas.train] = similarity[atlas.row(1000)] = -1
        np.testing.assert_allclose([hit["similarity"] for hit in hits], np.sort(similarity)[::-1][:5], atol=1e-3)
        assert all(set(hit) == HIT and hit["split"] == "train" and hit["percentile"] is not None for hit in hits)


def test_search_by_words(tiny_atlas: Path, ask: Ask) -> None:
    """Words find pictures in clip; their percentile is null, for words are no pictures."""
    hits = ask("search", tiny_atlas, "--text", "a red shape", "-k", 4)["hits"]
    assert len(hits) == 4 and all(hit["percentile"] is None for hit in hits)
    assert sorted(hits, key=lambda hit: -hit["similarity"]) == hits


def test_search_by_picture_and_locate_agree(tiny_atlas: Path, picture: Path, ask: Ask) -> None:
    """In each space, `locate` has the hits that `search --image` finds, each family once, and what is near."""
    landing = ask("locate", tiny_atlas, picture)["landing"]
    assert set(landing["verdict"]) == {"name", "rule", "numbers", "limits", "match"}
    assert set(landing["agreement"]) == {"name", "rule", "shared", "says"}
    assert set(landing["spaces"]) == {"clip", "vae"}
    for space, landed in landing["spaces"].items():
        assert {"point", "distance", "percentile", "hits"} <= set(landed)
        assert {"by_family", "cluster", "isolation", "realism", "kept"} <= set(landed)
        found = ask("search", tiny_atlas, "--image", picture, "--space", space, "-k", 60)["hits"]
        first = {hit["family"]: hit for hit in reversed(found)}
        expected = sorted(first.values(), key=lambda hit: -hit["similarity"])[:12]
        assert [hit["id"] for hit in landed["hits"]] == [hit["id"] for hit in expected]
        assert all(hit["variants"] == 1 for hit in landed["hits"])


@pytest.mark.parametrize("split", ["train", "heldout", "all"])
def test_split(small_atlas: Path, ask: Ask, split: str) -> None:
    """`--split` rules which pictures may be found, and every hit carries its own."""
    hits = ask("search", small_atlas, "--id", 1000, "-k", 60, "--split", split)["hits"]
    assert {hit["split"] for hit in hits} == ({"train", "heldout"} if split == "all" else {split})


def test_words_do_not_fit_together(small_atlas: Path, misuse: Callable[..., str]) -> None:
    """Words in `vae`, two questions at once, no question and an unknown split are wrong usage: exit code 2."""
    assert "--text cannot be asked in the space vae" in misuse("search", small_atlas, "--text", "a", "--space", "vae")
    assert "not allowed with" in misuse("search", small_atlas, "--text", "a", "--id", 1)
    assert "one of the arguments --text --image --id is required" in misuse("search", small_atlas)
    assert "invalid choice" in misuse("search", small_atlas, "--id", 1000, "--split", "both")
    assert "required: --out" in misuse("generate", small_atlas, "--prompt", "a")
    assert "invalid choice" in misuse("export", small_atlas, "--cluster", 1, "--format", "xlsx", "--out", "x")


def test_the_input_is_at_fault(small_atlas: Path, tmp_path: Path, refuse: Callable[..., str]) -> None:
    """What an atlas cannot answer is exit code 1 and one line with what was found and what to do."""
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "ids.txt").write_text("1000\n\nseven\n")
    (tmp_path / "large.txt").write_text(f"1000\n{2**64}\n")
    cases = {
        ("search", tmp_path, "--id", 1): "",
        ("search", small_atlas, "--id", 1): "found id 1, which is not in this atlas",
        ("search", small_atlas, "--id", 2**64): "found a number that is larger than any id",
        ("forget", small_atlas, "--id", 2**64): "found a number that is larger than any id",
        ("search", small_atlas, "--id", 1000, "--space", "sscd"): "this atlas has clip and vae",
        ("search", small_atlas, "--id", 1000, "-k", 0): "found k = 0; expected 1 to",
        ("locate", small_atlas, tmp_path / "text.jpg"): "text.jpg",
        ("locate", small_atlas, tmp_path / "none.jpg"): "none.jpg",
        ("export", small_atlas, "--cluster", 99, "--format", "csv", "--out", tmp_path / "x"): "clip has 6 clusters",
        ("export", small_atlas, "--ids", tmp_path / "ids.txt", "--format", "csv", "--out", tmp_path / "x"): (
            "ids.txt, line 3: expected an id, found 'seven'"
        ),
        ("export", small_atlas, "--ids", tmp_path / "large.txt", "--format", "csv", "--out", tmp_path / "x"): (
            "found a number that is larger than any id"
        ),
        ("generate", small_atlas, "--prompt", "a", "--steps", 999, "--out", tmp_path / "g"): "steps: expected 1 to 150",
        ("generate", small_atlas, "--prompt", "a", "--generator", "x.ckpt", "--out", tmp_path / "g"): "convert it once",
        ("generate", small_atlas, "--prompt", "a", "--out", tmp_path): "holds something already",
    }
    for words, said in cases.items():
        assert said in refuse(*words)
    assert not (tmp_path / "g").exists() and not (tmp_path / "x").exists()


def test_clusters(small_atlas: Path, ask: Ask) -> None:
    """Every cluster has number, label, size and exemplars."""
    found = ask("clusters", small_atlas, "--space", "vae")["clusters"]
    assert [(each["cluster"], each["label"], each["size"]) for each in found[:2]] == [(0, "red", 9), (1, "orange", 9)]
    assert all(len(each["exemplars"]) == 4 for each in found)


def test_export_of_a_cluster_of_ids_and_of_words(small_atlas: Path, tiny_atlas: Path, tmp_path: Path, ask: Ask) -> None:
    """Each way of choosing writes exactly its rows, in its order, and says how many and where."""
    atlas = Atlas.open(small_atlas)
    told = ask("export", small_atlas, "--cluster", 2, "--format", "csv", "--out", tmp_path / "cluster.csv")
    rows = list(csv.DictReader((tmp_path / "cluster.csv").read_text("utf-8").splitlines()))
    assert told["rows"] == len(rows) and told["path"] == str(tmp_path / "cluster.csv")
    assert [int(row["id"]) for row in rows] == atlas.ids[atlas.space("clip").cluster == 2].tolist()

    (tmp_path / "ids.txt").write_text("1070\n1000\n")
    ask("export", small_atlas, "--ids", tmp_path / "ids.txt", "--format", "jsonl", "--out", tmp_path / "ids.jsonl")
    assert _ids(tmp_path / "ids.jsonl") == [1070, 1000]

    ask("export", tiny_atlas, "--search", "a", "-k", 3, "--format", "jsonl", "--out", tmp_path / "words.jsonl")
    hits = ask("search", tiny_atlas, "--text", "a", "-k", 3)["hits"]
    assert _ids(tmp_path / "words.jsonl") == [hit["id"] for hit in hits]


def test_filters_narrow_a_search_and_an_export(
    tiny_atlas: Path, tmp_path: Path, ask: Ask, misuse: Callable[..., str], refuse: Callable[..., str]
) -> None:
    """`--filter` leaves what meets it, of a search by words or by id and of every export; alone it exports its rows."""
    atlas = Atlas.open(tiny_atlas)
    red = [record.id for record in atlas.records(atlas.ids) if record.group == "red" and record.extra["year"] < 1906]
    both = ("--filter", "group = red", "--filter", "extra.year < 1906")
    for question in (("--text", "a"), ("--id", 1000 + 7 * 30)):
        hits = ask("search", tiny_atlas, *question, *both, "-k", 60, "--split", "all")["hits"]
        assert sorted(hit["id"] for hit in hits) == red
    out = tmp_path / "rows.jsonl"
    export_to = ("--format", "jsonl", "--out", out)
    for chosen in ((), ("--cluster", 0)):
        told = ask("export", tiny_atlas, *chosen, *both, *export_to)
        assert _ids(out) == red and told["rows"] == len(red)
    (tmp_path / "ids.txt").write_text(f"1007\n{1000 + 7 * 30}\n1000\n")
    ask("export", tiny_atlas, "--ids", tmp_path / "ids.txt", *both, *export_to)
    assert _ids(out) == [1007, 1000]
    assert "nothing to export; expected one of --cluster, --ids, --search and --filter" in misuse(
        "export", tiny_atlas, *export_to
    )
    assert "this atlas has no column 'yaer'" in refuse("search", tiny_atlas, "--id", 1000, "--filter", "yaer < 1")


def test_flagged_pictures_are_left_out_of_an_export_and_counted(tmp_path: Path, ask: Ask) -> None:
    """The note says how many; a search still finds them, and says that they are flagged."""
    path = SmallAtlas(change=lambda record: replace(record, punsafe=0.9 if record.group == "red" else None)).write(
        tmp_path / "spoiled"
    )
    told = ask("export", path, "--filter", "group != blue", "--format", "csv", "--out", tmp_path / "rows.csv")
    assert (told["rows"], told["notes"]) == (40, ["10 pictures are flagged as unsafe and were left out"])
    assert all(hit["flagged"] is (hit["caption"][:3] == "red") for hit in ask("search", path, "--id", 1000)["hits"])


def _ids(file: Path) -> list[int]:
    return [json.loads(line)["id"] for line in file.read_text("utf-8").splitlines()]


def test_status_and_verify(small_atlas: Path, ask: Ask) -> None:
    """`status` counts what is there; `verify` is ok until a byte of a file changes, and then exits with 1."""
    status = ask("status", small_atlas)
    assert {"version", "images", "outcomes", "spaces", "clusters", "models"} <= set(status)
    assert (status["images"], status["heldout"], status["clusters"]) == (60, 12, {"clip": 6, "vae": 6})
    assert ask("verify", small_atlas) == {"ok": True, "problems": []}
    file = next(small_atlas.glob("versions/*/clip/points.npy"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    damaged = ask("verify", small_atlas, code=1)
    assert not damaged["ok"] and any("clip/points.npy" in problem for problem in damaged["problems"])


def test_generate(tiny_atlas: Path, tmp_path: Path, ask: Ask) -> None:
    """A picture, its steps and the report are in the folder, and the object names them; again gives the same."""
    told = [
        ask("generate", tiny_atlas, "--prompt", "a cat", "--seed", 5, "--steps", 2, "--out", tmp_path / name)
        for name in "ab"
    ]
    assert {"image", "recipe", "landing", "trajectory"} <= set(told[0])
    assert told[0]["image"] == str(tmp_path / "a/picture.png")
    assert (told[0]["recipe"]["seed"], told[0]["recipe"]["steps"], len(told[0]["trajectory"])) == (5, 2, 3)
    assert set(told[0]["landing"]["spaces"]) == {"clip", "vae"}
    for name in ("picture.png", "steps/0001.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    first, again = (json.loads((tmp_path / name / "report.json").read_text("utf-8")) for name in "ab")
    assert first | {"created": None} == again | {"created": None}  # the clock may have gone on by a second


def test_another_generator_and_a_lora(
    tiny_atlas: Path, tiny_turbo_dir: Path, tiny_pipeline_dir: Path, tmp_path: Path, ask: Ask
) -> None:
    """`--generator` and `--lora` replace the manifest's generator on the same atlas; another VAE is told."""
    words = ("generate", tiny_atlas, "--prompt", "a cat")
    turbo = ask(*words, "--generator", tiny_turbo_dir, "--out", tmp_path / "turbo")
    assert turbo["recipe"]["generator"] == tiny_turbo_dir.name and turbo["recipe"]["guidance"] == 0
    assert any("VAE is not the one" in note for note in turbo["landing"]["notes"])
    file = build_lora(tmp_path / "style.safetensors", tiny_pipeline_dir)
    styled = ask(*words, "--steps", 2, "--lora", file, "--out", tmp_path / "styled")
    assert styled["recipe"]["lora"] == "style.safetensors" and styled["landing"]["notes"] == []


def test_the_demos_models_on_other_pictures_are_told(
    small_atlas: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an atlas of other pictures was made with the demo's models, standard error and `notes` say so."""
    from explorer.models.loader import Models

    class Encoder:
        """Answers with one direction."""

        def embed_texts(self, texts: list[str]) -> np.ndarray:
            """One direction a text."""
            return np.ones((len(texts), 32), np.float32)

    monkeypatch.setattr(Models, "clip", lambda _: Encoder())
    strangers = SmallAtlas(extra_meta={"manifest": {"kind": "folder", "name": "x", "path": "."}}).write(tmp_path / "x")
    for path, is_told in ((strangers, True), (small_atlas, False)):
        assert main(["search", str(path), "--text", "a", "--json"]) == 0
        out, err = capfd.readouterr()
        assert ("trained on emoji" in " ".join(err.split())) is is_told
        assert bool(json.loads(out)["notes"]) is is_told


def test_people_read_lines(tiny_atlas: Path, picture: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Without --json every verb prints lines that hold its figures, and the sentence that neighbors need."""
    expected = {
        ("search", tiny_atlas, "--id", 1000, "-k", 2): ["similarity  percentile", "resemblance, not a cause"],
        ("locate", tiny_atlas, picture): ["clip: lands at (", "vae: lands at (", "resemblance, not a cause", "of 15"],
        ("clusters", tiny_atlas): ["cluster  size  label", "      0     9  red"],
        ("status", tiny_atlas): [
            "60 pictures, 12 of them held out",
            "clip      64 dimensions, 6 clusters",
            "keeps 25%",
        ],
        ("verify", tiny_atlas): ["Every file is as it was published."],
        ("export", tiny_atlas, "--cluster", 1, "--format", "csv", "--out", tmp_path / "c.csv"): ["9 rows in "],
        ("generate", tiny_atlas, "--prompt", "a", "--steps", 1, "--out", tmp_path / "g"): ["picture.png", "1 steps"],
    }
    for words, said in expected.items():
        assert main([*map(str, words)]) == 0
        out = capfd.readouterr().out
        assert all(each in out for each in said), out


def test_a_reader_that_has_read_enough_is_no_fault(small_atlas: Path) -> None:
    """`search … | head -1` ends without a complaint, however much there was to say."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        words = [sys.executable, "-c", "import sys; from webapp.cli import main; sys.exit(main())"]
        words += ["search", str(small_atlas), "--id", "1000"]
        done = subprocess.run(words, stdout=closed, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_hostile_captions_do_not_steer_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Escape sequences, line breaks and direction marks of a caption are shown as marks, on one line."""
    evil = {"en": "red\x1b]0;owned\x07\r\nnext \u202egnp.exe"}
    path = SmallAtlas(change=changed(captions=evil)).write(tmp_path / "evil")
    assert main(["search", str(path), "--id", "1000", "-k", "1"]) == 0
    out = capfd.readouterr().out
    assert "red\ufffd]0;owned\ufffd next \ufffdgnp.exe" in out and not set(out) & set("\x1b\x07\r\u202e")


def test_choices_are_the_librarys() -> None:
    """What the parser offers, without loading the library, is what the library has."""
    assert cli.FORMATS == formats.FORMATS
    assert arguments.SPLITS == (*(split.value for split in Split), "all")


def test_lines_hold_for_nothing_found() -> None:
    """Empty answers are sentences."""
    assert lines.found({"hits": []}) == "Nothing found."
    assert lines.clusters({"clusters": []}) == "This map has no clusters."


def test_help_is_quick() -> None:
    """The verbs' parsers load neither numpy nor any model library."""
    code = "import sys, explorer.cli; print({'numpy', 'torch', 'faiss', 'pyarrow', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "set()\n"
