"""Landings and verdicts: on a small atlas, with encoders that look up what a picture's vector is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from small_atlas import SmallAtlas, changed

from explorer.atlas import Atlas
from explorer.pictures import perceptual_hash
from explorer.placement import place_vectors
from explorer.provenance import Twin, Words, locate, verdict
from explorer.records import Relation, Split, VerdictName

TRAINING = Words.of(Relation.ALL)


@dataclass(frozen=True)
class Scripted:
    """Encoders whose answer is known: every picture has the vector that stands here."""

    vectors: dict[str, npt.NDArray[np.float32]]
    mean: npt.NDArray[np.float32]

    def clip(self) -> Scripted:
        """Itself, as the CLIP model."""
        return self

    def vae(self) -> Scripted:
        """Itself, as the VAE."""
        return self

    def embed_pictures(self, pictures: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """One vector a picture."""
        return np.stack([self.vectors["clip"]] * len(pictures))

    def embed_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """One vector a text."""
        return np.stack([self.vectors["clip"]] * len(texts))

    def pooled(self, pictures: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """One vector a picture, of any length, not yet centered."""
        return np.stack([5 * self.vectors["vae"] + self.mean] * len(pictures))


def models(atlas: Atlas, row: int, noise: float = 0.0) -> Scripted:
    """Encoders that see the picture of one row, more or less."""
    rng = np.random.default_rng(row)
    exact = {name: atlas.space(name).vectors[row].astype(np.float32) for name in atlas.spaces}
    noisy = {name: each + noise * rng.normal(size=each.shape).astype(np.float32) for name, each in exact.items()}
    return Scripted(noisy, atlas.space("vae").mean)


@pytest.fixture
def drawing() -> Image.Image:
    """A picture like none in the small atlas."""
    picture = Image.linear_gradient("L").convert("RGB")
    picture.paste("red", (30, 60, 120, 200))
    return picture


def test_a_landing_is_what_search_placement_and_baseline_say(small_atlas: Path, drawing: Image.Image) -> None:
    """In each space: the hits by brute force, the percentile by counting, the place and its distance to the map."""
    atlas = Atlas.open(small_atlas)
    scripted = models(atlas, 12, noise=0.05)
    landing = locate(atlas, scripted, drawing, k=5)
    assert set(landing.spaces) == {"clip", "vae"}
    for name, found in landing.spaces.items():
        data = atlas.space(name)
        query = scripted.vectors[name] / np.linalg.norm(scripted.vectors[name])
        similar = np.where(atlas.train, data.vectors.astype(np.float32) @ query, -np.inf)
        order = np.argsort(-similar)[:5]
        assert [hit.id for hit in found.hits] == atlas.ids[order].tolist()
        assert found.percentile == pytest.approx(100 * (data.baseline < similar.max()).mean())
        assert found.hits[0].percentile == found.percentile
        expected = place_vectors(atlas, name, query[None]).points[0]
        assert found.point == pytest.approx(expected.tolist(), abs=1e-4)
        assert found.distance == pytest.approx(np.linalg.norm(data.points - expected, axis=1).min(), rel=1e-3)
        assert found.via == "picture"


def test_the_split_is_of_the_hits_alone(small_atlas: Path, drawing: Image.Image) -> None:
    """Asking for held-out hits, or both, changes neither place nor percentile."""
    atlas = Atlas.open(small_atlas)
    scripted = models(atlas, 8, noise=0.02)
    train, heldout, both = (locate(atlas, scripted, drawing, k=6, split=each) for each in (*Split, None))
    assert {hit.split for hit in train.spaces["clip"].hits} == {Split.TRAIN}
    assert {hit.split for hit in heldout.spaces["clip"].hits} == {Split.HELDOUT}
    assert both.spaces["clip"].hits[0].id == atlas.ids[8]
    assert {each.spaces["vae"].point for each in (train, heldout, both)} == {train.spaces["vae"].point}
    assert {each.spaces["vae"].percentile for each in (train, heldout, both)} == {train.spaces["vae"].percentile}


def test_a_family_can_be_left_out(small_atlas: Path, drawing: Image.Image) -> None:
    """With a training picture's own family left out, its percentile is its place in the baseline."""
    atlas = Atlas.open(small_atlas)
    row = 20
    for split in (Split.TRAIN, None):
        landing = locate(atlas, models(atlas, row), drawing, exclude_family=int(atlas.families[row]), split=split)
        assert all(hit.family != "green-0" for hit in landing.spaces["clip"].hits)
    data = atlas.space("clip")
    others = atlas.train & (atlas.families != atlas.families[row])
    own = (data.vectors.astype(np.float32) @ data.vectors[row].astype(np.float32))[others].max()
    assert landing.spaces["clip"].percentile == pytest.approx(100 * (data.baseline < own - 1e-4).mean(), abs=3)


def test_the_generator_s_latent_is_not_encoded_anew(small_atlas: Path, drawing: Image.Image) -> None:
    """A vector that is at hand is used as it is, of any length, and the landing says so."""
    atlas = Atlas.open(small_atlas)
    scripted = models(atlas, 3)
    latent = 9 * atlas.space("vae").vectors[44].astype(np.float32)
    landing = locate(atlas, scripted, drawing, latent_vectors={"vae": latent})
    assert landing.spaces["vae"].hits[0].id == atlas.ids[44]
    assert landing.spaces["clip"].hits[0].id == atlas.ids[3]
    assert (landing.spaces["vae"].via, landing.spaces["clip"].via) == ("latent", "picture")


def test_a_copy_is_called_one_by_hash_and_vector(tmp_path: Path, drawing: Image.Image) -> None:
    """The same picture at the same place is a copy, its id in the rule; the hash alone, or nearness alone, is not."""
    atlas = Atlas.open(SmallAtlas(change=changed(phash=perceptual_hash(drawing))).write(tmp_path / "same"))
    found = locate(atlas, models(atlas, 12), drawing).verdict
    assert found.name is VerdictName.COPY
    assert f"training picture {atlas.ids[12]} in 0 of 64 bits" in found.rule
    far = locate(atlas, models(atlas, 12, noise=2.0), drawing).verdict
    assert far.name is not VerdictName.COPY
    other = Atlas.open(SmallAtlas(change=changed(phash=None)).write(tmp_path / "none"))
    assert locate(other, models(other, 12), drawing).verdict.name is VerdictName.NEARER


@pytest.mark.parametrize(
    ("clip", "vae", "name"),
    [
        (95.0, 3.0, VerdictName.NEARER),
        (94.9, 94.9, VerdictName.TYPICAL),
        (5.0, 5.0, VerdictName.FAR),
        (5.1, 0.0, VerdictName.TYPICAL),
        (None, 99.0, VerdictName.NEARER),
        (None, None, VerdictName.TYPICAL),
    ],
)
def test_the_rule_tells_its_numbers(clip: float | None, vae: float | None, name: VerdictName) -> None:
    """Near in one space is nearer, far in every space is far, and the rule names the percentiles that it went by."""
    found = verdict({"clip": clip, "vae": vae}, None, TRAINING)
    assert found.name is name
    assert all(f"{value:.1f} % in" in found.rule for value in (clip, vae) if value is not None)


def test_copies_need_both_and_words_keep_to_the_relation() -> None:
    """One bit too many or a percentile too low is no copy; what nobody trained on is no training picture."""
    assert Twin(7, 8, "vae", 90.0).is_copy
    assert not Twin(7, 9, "vae", 100.0).is_copy
    assert not Twin(7, 0, "vae", 89.9).is_copy
    for relation in Relation:
        rules = [
            verdict({"vae": each}, twin, Words.of(relation)).rule
            for each in (1, 50, 99)
            for twin in (None, Twin(7, 0, "vae", 95))
        ]
        assert all(("training" in rule) == relation.is_training for rule in rules)
