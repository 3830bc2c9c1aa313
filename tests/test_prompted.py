"""The prompt's side of a picture: how well they fit, and whose captions the prompt resembles."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_atlas import SmallAtlas, changed

from explorer import prompted as module
from explorer.atlas import Atlas
from explorer.denylist import DenyKind, hashed
from explorer.models.loader import Models
from explorer.prompted import Prompted, prompted
from explorer.provenance import locate

PROMPT = "red shape 3"
Look = Callable[..., Prompted]


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    rng = np.random.default_rng(5)
    return Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def atlas(tiny_atlas: Path) -> Atlas:
    return Atlas.open(tiny_atlas)


@pytest.fixture(scope="module")
def look(atlas: Atlas, picture: Image.Image) -> Look:
    """Look at a prompt beside the picture, in the tiny atlas or another with its models."""

    def look(prompt: str, other: Atlas | None = None) -> Prompted:
        models = Models(atlas, "cpu")
        found = prompted(other or atlas, models, prompt, picture, locate(other or atlas, models, picture))
        assert found is not None
        return found

    return look


def test_the_nearest_captions_are_brute_force(atlas: Atlas, look: Look) -> None:
    """They are the captions of training pictures whose own text vectors come nearest to the prompt's, by numpy."""
    found = look(PROMPT)
    clip = Models(atlas, "cpu").clip()
    records = atlas.records(atlas.ids[atlas.train])
    similar = clip.embed_texts([record.caption for record in records]) @ clip.embed_texts([PROMPT])[0]
    assert found.compared == len(records)
    np.testing.assert_allclose([hit.similarity for hit in found.captions], np.sort(similar)[::-1][:8], atol=1e-6)
    best = found.captions[0]
    assert (best.caption, best.is_same) == (PROMPT, True)
    assert not any(hit.is_same for hit in found.captions[1:])
    assert atlas.record(best.id).caption == PROMPT


def test_picture_and_prompt_are_compared_and_so_is_the_best_of_the_corpus(
    atlas: Atlas, look: Look, picture: Image.Image
) -> None:
    """Both cosines are those of the vectors: picture by words, and the best of all training pictures by words."""
    found = look("a green shape")
    clip = Models(atlas, "cpu").clip()
    words = clip.embed_texts(["a green shape"])[0]
    vectors = atlas.space("clip").vectors[atlas.train].astype(np.float32)
    assert found.similarity == pytest.approx(float(clip.embed_pictures([picture])[0] @ words), abs=1e-6)
    assert found.best == pytest.approx(float((vectors @ words).max()), abs=1e-3)


def test_a_caption_is_the_prompt_whatever_its_case_and_marks(look: Look) -> None:
    """`is_same` goes by the words alone."""
    assert [hit.caption for hit in look("  RED shape: 3! ").captions if hit.is_same] == [PROMPT]


def test_captions_of_near_pictures_are_marked(atlas: Atlas, look: Look, picture: Image.Image) -> None:
    """`is_near` says that the caption's picture is among the landing's neighbors, in whichever space."""
    landing = locate(atlas, Models(atlas, "cpu"), picture)
    near = {hit.id for space in landing.spaces.values() for hit in space.hits}
    found = look(PROMPT).captions
    assert [hit.is_near for hit in found] == [hit.id in near for hit in found]


def test_a_rare_word_finds_its_caption(tiny_atlas: Path, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of captions that share words those with the rarer one come first, by the logarithm of how rare it is."""
    monkeypatch.setattr(module, "CANDIDATES", 2)
    asked = Atlas.open(tiny_atlas)
    found = module._sharing_words(asked, "purple shape of a shape 7")
    captions = [record.caption for record in asked.records(asked.ids[asked.train])]

    def score(caption: str) -> float:
        words = ("purple", "shape", "of", "a", "7")
        having = {word: sum(word in other for other in captions) for word in words}
        return sum(math.log((len(captions) + 1) / (having[word] + 1)) for word in words if word in caption)

    said = [asked.record(identity).caption for identity in found]
    assert said[0] == "purple shape 7"
    assert [score(caption) for caption in said] == pytest.approx(sorted(map(score, captions), reverse=True)[:2])
    # Though few pictures are asked for by their vectors, the caption is among those that are compared.
    assert "purple shape 7" in [hit.caption for hit in look("purple shape of a shape 7").captions]


def test_held_out_and_denied_captions_are_never_told(tiny_atlas: Path, tmp_path: Path, look: Look) -> None:
    """Only captions of training pictures that may be shown are compared, also where they are the prompt itself."""
    copy = Path(shutil.copytree(tiny_atlas, tmp_path / "atlas"))
    line = f'{{"kind": "key", "sha256": "{hashed(DenyKind.KEY, "red-3")}", "at": "2025-01-01T00:00:00Z"}}\n'
    (copy / "denylist.jsonl").write_text(line, "utf-8")
    other = Atlas.open(copy)
    assert PROMPT not in [hit.caption for hit in look(PROMPT, other).captions]
    heldout = other.records(other.ids[~other.train])[0].caption
    assert heldout not in [hit.caption for hit in look(heldout, other).captions]


@pytest.mark.parametrize("prompt", ["'; DROP TABLE records; --", "!!!", "猫 形状", "x" * 5_000, "%_\\", "a\x00b"])
def test_any_prompt_is_answered(look: Look, prompt: str) -> None:
    """Quotes, signs alone, other scripts, patterns and a flood are words like any other."""
    found = look(prompt)
    assert len(found.captions) == 8 and len(found.prompt) <= 2_000
    assert np.isfinite([hit.similarity for hit in found.captions]).all()


def test_a_caption_that_many_pictures_have_is_told_once(tmp_path: Path, tiny_atlas: Path, look: Look) -> None:
    """Sixty pictures with one caption are one line, and pictures without any are none."""
    models = Atlas.open(tiny_atlas).meta["models"]
    dims = {"clip": Atlas.open(tiny_atlas).space("clip").vectors.shape[1], "vae": 256}
    same = SmallAtlas(dims=dims, extra_meta={"models": models}, change=changed(captions={"en": "one caption"}))
    found = look("one caption", Atlas.open(same.write(tmp_path / "same")))
    assert [(hit.caption, hit.is_same) for hit in found.captions] == [("one caption", True)]
    none = SmallAtlas(dims=dims, extra_meta={"models": models}, change=changed(captions={}))
    assert look("one caption", Atlas.open(none.write(tmp_path / "none"))).captions == ()


def test_without_clip_there_is_nothing_to_say(tmp_path: Path, tiny_atlas: Path, picture: Image.Image) -> None:
    """An atlas without words has no prompt's side."""
    models = Atlas.open(tiny_atlas).meta["models"]
    without = Atlas.open(SmallAtlas(dims={"vae": 256}, extra_meta={"models": models}).write(tmp_path / "vae"))
    landing = locate(without, Models(without, "cpu"), picture)
    assert prompted(without, Models(without, "cpu"), PROMPT, picture, landing) is None
