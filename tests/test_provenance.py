"""Landings and verdicts: on a small atlas, with encoders that look up what a picture's vector is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from small_atlas import SmallAtlas

from explorer import copies
from explorer.atlas import Atlas
from explorer.landing import AgreementName, Flag, How, Match, SpaceLanding, VerdictName
from explorer.placement import place_vectors
from explorer.provenance import locate
from explorer.records import Hit, Record, Relation, Split
from explorer.scrub import story_without
from explorer.verdicts import Words, agreement, caveats, verdict

TRAINING = Words.of(Relation.ALL)
COPY = Match(7, 2, How.FLIPPED, 0.991)


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


def standing(values: Mapping[str, float | None], **more: Any) -> dict[str, SpaceLanding]:
    """Landings that are as near as these percentiles say, 0-100."""
    return {space: SpaceLanding((0.0, 0.0, 0.0), 0.0, value, (), **more) for space, value in values.items()}


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
        order = np.argsort(-similar)[: atlas.train.sum()]
        first = order[np.sort(np.unique(atlas.families[order], return_index=True)[1])[:5]]
        assert [hit.id for hit in found.hits] == atlas.ids[first].tolist()
        assert [hit.variants for hit in found.hits] == [1] * 5
        assert found.percentile == pytest.approx(100 * (data.baseline < similar.max()).mean())
        assert found.hits[0].percentile == found.percentile
        expected = place_vectors(atlas, name, query[None]).points[0]
        assert found.point == pytest.approx(expected.tolist(), abs=1e-4)
        assert found.distance == pytest.approx(np.linalg.norm(data.points - expected, axis=1).min(), rel=1e-3)
        assert found.via == "picture"
        near = order[:15]
        codes, counts = np.unique(data.cluster[near][data.cluster[near] >= 0], return_counts=True)
        assert found.cluster is not None
        assert found.cluster.share == pytest.approx(counts.max() / 15)
        assert found.cluster.label == atlas.clusters(name)[codes[counts.argmax()]].label
        apart = np.sort(np.linalg.norm(data.points[atlas.train] - expected, axis=1))
        assert found.kept == (np.linalg.norm(data.points[near] - expected, axis=1) <= apart[14] + 1e-6).sum()
        assert found.isolation is None  # 48 training pictures
        distances = np.linalg.norm(data.vectors[atlas.train].astype(np.float64) - query, axis=1)
        radii = np.sqrt(2 * data.distances[atlas.train][:, -1])
        assert found.realism == pytest.approx((radii / distances).max(), rel=2e-3)
        assert found.by_family == pytest.approx(found.percentile)  # every family is a pair


def test_few_pictures_tell_less(tmp_path: Path, drawing: Image.Image) -> None:
    """With fewer than fifteen training pictures nobody counts what the map keeps, and a landing is one all the same."""

    def few(record: Record) -> Record:
        return replace(record, split=Split.TRAIN if record.key.endswith(("0", "1")) else Split.HELDOUT)

    atlas = Atlas.open(SmallAtlas(change=few).write(tmp_path / "few"))
    found = locate(atlas, models(atlas, 12, noise=0.05), drawing).spaces["clip"]
    assert (found.kept, found.isolation, len(found.hits)) == (None, None, 6)
    assert found.cluster is not None and found.percentile is not None


def test_a_flood_of_variants_does_not_fill_a_landing(tmp_path: Path, drawing: Image.Image) -> None:
    """Twelve hits are twelve families, also where the nearest fifty are of one."""

    def flooded(record: Record) -> Record:
        return replace(record, family="flood" if record.id < 1280 else record.family, split=Split.TRAIN)

    atlas = Atlas.open(SmallAtlas(change=flooded).write(tmp_path / "flood"))
    for landed in locate(atlas, models(atlas, 12), drawing, k=8).spaces.values():
        assert len(landed.hits) == len({hit.family for hit in landed.hits}) == 8
        assert [hit.variants for hit in landed.hits if hit.family == "flood"] == [39]


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


def test_a_copy_is_called_one_whatever_the_vectors_say(tmp_path: Path) -> None:
    """The picture itself, flipped, is found in the whole corpus and named in rule and numbers; another one is not."""
    original = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    original.paste("red", (8, 20, 30, 50))

    def painted(row: int) -> Image.Image:
        if row == 3:
            return original
        noise = np.random.default_rng(row).integers(0, 255, (6, 6, 3)).astype(np.uint8)
        return Image.fromarray(noise).resize((64, 64), Image.Resampling.BICUBIC)

    atlas = Atlas.open(SmallAtlas(picture=painted, hashed=True).write(tmp_path / "painted"))
    found = locate(atlas, models(atlas, 40, noise=0.05), original.transpose(Image.Transpose.FLIP_LEFT_RIGHT)).verdict
    assert found.name is VerdictName.COPY
    assert f"it agrees with training picture {atlas.ids[3]} as a flipped copy does: laid over each other" in found.rule
    assert found.match == atlas.ids[3]
    assert found.numbers["score"] > found.numbers["copy_score"]
    other = locate(atlas, models(atlas, 40, noise=0.05), painted(77)).verdict
    assert other.name is not VerdictName.COPY


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
    """Near in one space is nearer, far in every space is far; rule and numbers name the percentiles that it went by."""
    found = verdict(standing({"clip": clip, "vae": vae}), (), TRAINING)
    assert found.name is name
    known = {space: value for space, value in (("clip", clip), ("vae", vae)) if value is not None}
    assert all(f"{value:.1f} % in" in found.rule for value in known.values())
    limits = {"nearer_from": 95.0, "far_to": 5.0} if known else {}
    assert found.numbers == {f"nearness_{space}": value for space, value in known.items()} | limits
    assert "does not show" in found.limits


def test_each_family_counts_once_where_families_are_known() -> None:
    """Nearer than most pictures, but not than most families, is typical; the rule says how it counts."""
    by_picture = verdict(standing({"clip": 97.0}), (), TRAINING)
    assert (by_picture.name, "each family" in by_picture.rule) == (VerdictName.NEARER, False)
    by_family = verdict(standing({"clip": 97.0}, by_family=60.0), (), TRAINING)
    assert (by_family.name, "60.0 % in clip" in by_family.rule) == (VerdictName.TYPICAL, True)
    assert by_family.rule.count("each family counted once") == 1


def test_a_copy_is_the_verdict_whatever_the_percentiles() -> None:
    """Its rule is how the copy was found, its numbers those and the percentiles."""
    found = verdict(standing({"clip": 1.0}), (COPY,), TRAINING)
    assert found.name is VerdictName.COPY
    assert found.rule.startswith("it agrees with training picture 7 as a flipped copy does: laid over each other")
    assert found.numbers == {"nearness_clip": 1.0, "bits": 2, "score": 0.991, "copy_score": copies.AGREEMENT}
    unseen = verdict(standing({"clip": 1.0}), (replace(COPY, how=How.WHOLE, score=None),), TRAINING)
    assert (
        "it agrees with training picture 7 as a copy does: their perceptual hashes differ in 2 of 64 bits"
        in unseen.rule
    )


def test_a_copy_s_original_that_was_taken_down_is_no_longer_named() -> None:
    """In what was kept of a landing the verdict stays, without the id of the picture; another picture's stays."""
    for words, one in ((TRAINING, "training picture"), (Words.of(Relation.NONE), "picture")):
        kept = asdict(verdict(standing({"clip": 1.0}), (COPY,), words))
        left = story_without({"verdict": kept}, {7})["verdict"]
        assert (left["name"], left["match"]) == ("copy", None)
        gone = f"it agrees with a {one} that was taken down since as a flipped copy does: laid over"
        assert left["rule"].startswith(gone)
        assert story_without({"verdict": kept}, {77})["verdict"] == kept


def test_the_copy_detector_s_own_threshold_makes_a_copy() -> None:
    """Where `sscd` flags its nearest as a copy the verdict is that; a replication alone is not."""
    found = verdict(standing({"sscd": 50.0}, flag=Flag.COPY), (), TRAINING)
    assert (found.name, found.numbers["sscd_copy"]) == (VerdictName.COPY, 0.75)
    assert "as similar to its nearest training picture as a copy (at least 0.75)" in found.rule
    assert verdict(standing({"sscd": 50.0}, flag=Flag.REPLICATION), (), TRAINING).name is VerdictName.TYPICAL


def test_words_keep_to_the_relation() -> None:
    """What nobody trained on is no training picture; where that is not known, nothing near is said to prove nothing."""
    for relation in Relation:
        words = Words.of(relation)
        found = [verdict(standing({"vae": each}), (), words) for each in (1.0, 50.0, 99.0)]
        assert all(("training" in each.rule) == relation.is_training for each in found)
        assert all("nothing is near" in each.limits for each in found[:2])
        assert "cause" in found[2].limits and "5 % of the pictures here" in found[2].limits


def test_a_landing_speaks_of_the_generator_that_made_the_picture(small_atlas: Path, drawing: Image.Image) -> None:
    """Of another generator than those that the manifest names, neighbors are no training pictures."""
    atlas = Atlas.open(small_atlas)
    known, unknown = (
        locate(atlas, models(atlas, 12, noise=0.05), drawing, relation=relation).verdict
        for relation in (None, Relation.UNKNOWN)
    )
    assert "training pictures" in known.rule
    assert "training" not in unknown.rule


@pytest.mark.parametrize(
    ("clip", "vae", "name"),
    [
        (95.0, 99.0, AgreementName.BOTH),
        (95.0, 94.9, AgreementName.CLIP),
        (0.0, 95.0, AgreementName.VAE),
        (94.9, 94.9, AgreementName.NEITHER),
    ],
)
def test_the_spaces_agree_or_say_in_which_it_is_near(clip: float, vae: float, name: AgreementName) -> None:
    """Near is the verdict's own bound; the words say what that means, the rule its numbers."""
    found = agreement(standing({"clip": clip, "vae": vae}))
    assert found is not None
    assert found.name is name
    assert f"{clip:.1f} % in clip and {vae:.1f} % in vae" in found.rule
    assert ("subject" in found.says) and ("composition" in found.says)


def test_what_is_near_in_both_is_shared_by_family() -> None:
    """A variant in one space and its sibling in the other are the same neighbor; it goes by its id in `clip`."""

    def hit(identity: int, family: str | None) -> Hit:
        return Hit(identity, 0.9, 50.0, Split.TRAIN, "", None, None, None, (0.0, 0.0, 0.0), None, family)

    spaces = standing({"clip": 50.0, "vae": 50.0})
    spaces["clip"] = replace(spaces["clip"], hits=(hit(1, "a"), hit(2, None), hit(3, "c")))
    spaces["vae"] = replace(spaces["vae"], hits=(hit(9, "a"), hit(2, None), hit(4, "d")))
    found = agreement(spaces)
    assert found is not None
    assert found.shared == (1, 2)


def test_one_space_agrees_with_nobody() -> None:
    """Without the other space, or where one cannot tell near from far, nothing is said of agreement."""
    assert agreement(standing({"clip": 99.0})) is None
    assert agreement(standing({"clip": 99.0, "vae": None})) is None


@pytest.mark.parametrize("relation", Relation)
def test_documents_say_of_a_corpus_what_holds_of_it_and_no_more(relation: Relation) -> None:
    """Only a sample is called one; that variants bend percentiles is said where there are variants."""
    alone, related = (caveats(relation, np.array(sizes, np.int32)) for sizes in ([1, 1], [1, 5]))
    assert any("are a sample" in each for each in alone) is (relation is Relation.SAMPLE)
    assert any("nothing is near" in each for each in alone) is (relation is not Relation.ALL)
    assert [each for each in related if each not in alone] == [each for each in related if "variants" in each] != []
    assert caveats(Relation.ALL, np.empty(0, np.int32)) == []
