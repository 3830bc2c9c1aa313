"""The verbs of the way: `generate --branch` and `noise`, for programs and for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explorer.atlas import Atlas
from webapp.cli import main


def asked(capfd: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    """What a verb tells with --json."""
    capfd.readouterr()
    assert main([*map(str, words), "--json"]) == 0
    told: dict[str, Any] = json.loads(capfd.readouterr().out)
    return told


def test_generate_fans_out(tiny_atlas: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A folder a way; the trunk's is the outer one, each branch's report names its turn, and the same comes again."""
    words = ("generate", tiny_atlas, "--prompt", "a cat", "--steps", 5, "--guidance", 0, "--device", "cpu")
    told = asked(capfd, *words, "--branch", "2:7", "--branch", "4:1,2", "--out", tmp_path / "fan")
    assert told["recipe"]["branches"] == [{"step": 2, "seed": 7}]
    turns = [[(turn["step"], turn["seed"]) for turn in each["recipe"]["branches"]] for each in told["branches"]]
    assert turns == [[(2, 7), (4, 1)], [(2, 7), (4, 2)]]
    assert [each["trajectory"][:4] for each in told["branches"]] == [told["trajectory"][:4]] * 2
    pictures = [Path(each["image"]) for each in (told, *told["branches"])]
    assert [each.parent.name for each in pictures] == ["fan", "branch-1", "branch-2"]
    assert len({each.read_bytes() for each in pictures}) == 3
    assert all((each.parent / "way.webm").stat().st_size > 500 for each in pictures)
    again = asked(capfd, *words, "--branch", "2:7", "--branch", "4:2", "--out", tmp_path / "again")
    assert Path(again["branches"][0]["image"]).read_bytes() == pictures[2].read_bytes()
    assert main([*map(str, words), "--branch", "3:9", "--out", str(tmp_path / "people")]) == 0
    assert "branch-1/picture.png: from step 3 with seed 9, " in capfd.readouterr().out


@pytest.mark.parametrize(
    ("branch", "code", "words"),
    [
        ("x", 2, "--branch: found 'x'; expected STEP:SEED,SEED,... such as 10:1,2,3"),
        ("0:1", 1, "branch: expected a step after step 0, found 0"),
        ("3:99999999999", 1, "branch: expected a seed from 0 to 4,294,967,295"),
        ("140:1", 1, "branch: found step 140; expected 1 to 2 on this way"),
    ],
)
def test_what_cannot_branch(
    tiny_atlas: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], branch: str, code: int, words: str
) -> None:
    """A branch of another form is wrong usage, one out of bounds the input's fault; one line says what was expected."""
    line = ["generate", tiny_atlas, "--prompt", "a", "--steps", 2, "--branch", branch, "--out", tmp_path / "out"]
    if code == 2:
        with pytest.raises(SystemExit) as error:
            main(list(map(str, line)))
        assert error.value.code == 2
    else:
        assert main(list(map(str, line))) == code
    assert words in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_noise(tiny_atlas: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A picture's way into noise as JSON, as lines for people, and as a folder that is not written over."""
    atlas = Atlas.open(tiny_atlas)
    identity = int(atlas.ids[np.flatnonzero(atlas.train)[0]])
    words = ("noise", tiny_atlas, "--id", identity, "--steps", 3, "--device", "cpu")
    told = asked(capfd, *words, "--schedule", "cosine", "--medium", "pixels", "--seed", 4)
    assert {key: told[key] for key in ("id", "schedule", "medium", "steps", "seed")} == {
        "id": identity, "schedule": "cosine", "medium": "pixels", "steps": 3, "seed": 4
    }  # fmt: skip
    assert [step["step"] for step in told["trajectory"]] == [1, 2, 3, 4] and told["trajectory"][0]["signal"] == 1
    assert set(told["lost"]) == {"clip", "vae"} and told["lost"]["clip"].keys() == {"itself", "neighbors"}
    assert main([*map(str, words), "--out", str(tmp_path / "out")]) == 0
    out = capfd.readouterr().out
    assert "noise %  clip similarity  clip kept" in out and "of 15" in out and "resemblance, not a cause" in out
    lost = asked(capfd, *words)["lost"]["clip"]["neighbors"]
    said = f"from step {lost} on fewer than half of its neighbors are its own" if lost else "stay its own to the end"
    assert f"clip: {said}" in out or f"clip: at least half of its neighbors {said}" in out
    assert (tmp_path / "out/way.webm").is_file() and len(list((tmp_path / "out/steps").iterdir())) == 4
    assert main([*map(str, words), "--out", str(tmp_path / "out")]) == 1
    assert "holds something already" in capfd.readouterr().err
    assert main([*map(str, words), "--out", str(tmp_path / "out/report.json/below")]) == 1
    assert f"cannot be made in {tmp_path / 'out/report.json'}" in capfd.readouterr().err  # before the work, not after
    assert main(["noise", str(tiny_atlas), "--id", "5"]) == 1
    assert capfd.readouterr().err.count("\n") == 1
