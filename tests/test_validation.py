"""The validation's own arithmetic and bookkeeping, held against computations by other ways; the proofs run by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from painted import painted
from PIL import Image
from scipy import stats
from small_atlas import SmallAtlas

from benchmarks.planted import PLANTS
from explorer.atlas import Atlas
from explorer.exact import normalized
from explorer.models.generator import GeneratorModel
from explorer.models.loader import Models
from explorer.records import Recipe, Split
from explorer.words import chance
from indexer.sources.base import SourceRow
from indexer.sources.openmoji import OpenMojiSource
from validation import __main__ as validate
from validation import (
    calibration,
    chart,
    copies,
    copying,
    drawing,
    exemplars,
    page,
    parts,
    placing,
    prompting,
    roll,
    statistics,
    tuning,
)
from validation.chart import Line
from validation.drawing import Asked, Drawn
from validation.parts import Part
from validation.proofs import Claim, Proof, Section
from validation.world import Floats, World


@pytest.fixture
def rng() -> np.random.Generator:
    """Numbers by chance, the same in every test whatever ran before it."""
    return np.random.default_rng(0)


@dataclass(frozen=True)
class Described:
    """A source that says of each picture of an atlas what the atlas says, for a `World` of any atlas."""

    atlas: Atlas

    def rows(self) -> Iterator[SourceRow]:
        for record in self.atlas.records(self.atlas.ids):
            yield SourceRow(key=record.key, split=record.split, family=record.family, captions=record.captions)


@dataclass(frozen=True)
class Seeing:
    """Models that see the same vectors in every picture."""

    vectors: dict[str, Floats]

    def clip(self) -> Seeing:
        return self

    def vae(self) -> Seeing:
        return self

    def embed_pictures(self, pictures: Sequence[Image.Image]) -> Floats:
        return np.stack([self.vectors["clip"]] * len(pictures)).astype(np.float32)

    def pooled(self, pictures: Sequence[Image.Image]) -> Floats:
        return np.stack([self.vectors["vae"]] * len(pictures)).astype(np.float32)


@pytest.fixture
def small(small_atlas: Path) -> World:
    """The small atlas as a world: sixty pictures, pairs of them a family, one family in five held out."""
    atlas = Atlas.open(small_atlas)
    return World(atlas, Models(atlas), Described(atlas))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for all that a validation keeps."""
    monkeypatch.setattr(parts, "RUNS", tmp_path / "validation")
    return tmp_path / "validation"


def test_the_interval_is_wilsons() -> None:
    """The interval solves (p - share)^2 = z^2 p (1 - p) / n, and holds what is certain without leaving 0 to 1."""
    found = statistics.interval(7, 40)
    z = stats.norm.ppf(0.975)
    roots = np.roots([1 + z**2 / 40, -2 * 7 / 40 - z**2 / 40, (7 / 40) ** 2])
    assert [found.low, found.high] == pytest.approx(sorted(roots))
    assert statistics.interval(0, 40).low == 0 and statistics.interval(40, 40).high == 1


def test_uniformity_is_kolmogorov_and_smirnovs(rng: np.random.Generator) -> None:
    """The p is that of the largest gap between the steps of the sample and the diagonal."""
    values = rng.random(195) ** 1.2
    steps = np.sort(values)
    above, below = np.arange(1, 196) / 195 - steps, steps - np.arange(195) / 195
    expected = stats.kstwo.sf(max(above.max(), below.max()), 195)
    assert statistics.uniform_p(100 * values) == pytest.approx(expected)


def test_even_percentiles_pass_and_bent_ones_do_not(rng: np.random.Generator) -> None:
    """Of uniform samples about one in a hundred fails at 0.01; one that is bent as large families bend it fails."""
    even = [statistics.uniform_p(100 * np.random.default_rng(seed).random(195)) for seed in range(300)]
    assert np.mean(np.array(even) > 0.01) > 0.97
    assert statistics.uniform_p(100 * rng.random(195) ** 1.6) < 1e-3


def test_chance_counts_the_ways_to_draw() -> None:
    """The chance that ten of twenty hold one of three is one less the ways to draw ten of the other seventeen."""
    assert statistics.chance_of_any(3, 10, 20) == pytest.approx(1 - math.comb(17, 10) / math.comb(20, 10))
    assert statistics.chance_of_any(1, 10, 3686) == pytest.approx(10 / 3686)


def test_the_p_of_the_least_counts_itself() -> None:
    """Less than all of 99 draws is one in a hundred, and never none; in the middle it is a half."""
    assert statistics.p_of_least(-1, range(99)) == pytest.approx(0.01)
    assert statistics.p_of_least(49, range(99)) == pytest.approx(0.51)


def test_families_are_drawn_evenly_and_by_the_seed(small: World) -> None:
    """One picture of each family, each of its pictures now and then; as many families as asked for, the same again."""
    rows = np.flatnonzero(small.atlas.train)
    draws = [small.one_a_family(rows, np.random.default_rng(seed)) for seed in range(30)]
    families = small.atlas.families
    assert all(len(np.unique(families[drawn])) == len(drawn) == 24 for drawn in draws)
    assert set(np.concatenate(draws)) == set(rows)
    few = [small.drawn_families(rows, 5, np.random.default_rng(7)) for _ in range(2)]
    assert np.array_equal(*few) and len(np.unique(families[few[0]])) == 5


def test_a_redrawn_split_holds_out_whole_families(small: World) -> None:
    """As many families as before are held out, none of them in part; one picture of each is asked; seeds differ."""
    drawn = calibration.redrawn(small, 3)
    families = small.atlas.families
    hidden = set(families[~drawn.train])
    assert len(hidden) == 6 == len(drawn.asked)
    assert not hidden & set(families[drawn.train])
    assert hidden == set(families[drawn.asked])
    assert not np.array_equal(drawn.train, calibration.redrawn(small, 4).train)


def test_percentiles_of_a_redrawn_split_are_those_of_brute_force(small: World) -> None:
    """Counted by loops over a split of one's own, by picture and by family, where families are large and small."""
    families = small.atlas.families.copy()
    families[:18] = families[0]
    small.atlas.families = families
    drawn, vectors = calibration.redrawn(small, 5), small.vectors("clip")
    similar, train = normalized(vectors) @ vectors.T, np.flatnonzero(drawn.train)
    usual = np.array([max(similar[row, other] for other in train if families[other] != families[row]) for row in train])
    weights = np.array([1 / np.count_nonzero(families[train] == families[row]) for row in train])
    nearest = similar[drawn.asked][:, train].max(axis=1)
    found = calibration.percentiles(small, "clip", drawn)
    assert found["percentile"] == pytest.approx([100 * np.mean(usual < value) for value in nearest], abs=1e-6)
    expected = [100 * weights[usual < value].sum() / weights.sum() for value in nearest]
    assert found["by_family"] == pytest.approx(expected, abs=1e-4)
    assert found["by_family"] != pytest.approx(found["percentile"], abs=1)


def test_ranks_count_who_is_more_similar() -> None:
    """The rank of every column is one more than the columns that are larger; of equal ones the first comes first."""
    similar = np.array([[0.1, 0.9, 0.5, 0.5], [0.4, 0.3, 0.2, 0.1]], np.float32)
    assert exemplars.places_of(similar).tolist() == [[4, 1, 2, 3], [1, 2, 3, 4]]


def test_exemplars_rank_among_the_training_pictures_and_themselves(small: World) -> None:
    """A picture that is an exemplar itself ranks it first; the other held-out pictures are in nobody's way."""
    rows = np.flatnonzero(~small.atlas.train)[[0, 3, 5]]
    vectors = small.vectors("vae")[rows]
    made = Drawn(rows, np.zeros((3, 64, 64, 3), np.uint8), vectors + small.atlas.space("vae").mean)
    found = exemplars.ranks(small, "vae", made, rows)
    assert found["own"] == [1, 1, 1] == found["any"]
    assert min(found["by_family"]) == 100
    turned = exemplars.ranks(small, "vae", replace(made, rows=np.roll(rows, 1)), rows)
    assert turned["any"] == [1, 1, 1] and min(turned["own"]) > 1


def test_exemplars_are_held_out_and_no_family_is_taught_twice(monkeypatch: pytest.MonkeyPatch, small: World) -> None:
    """The sets share no family, and none of their pictures is one that the generator saw."""
    monkeypatch.setattr(exemplars, "SETS", 3)
    monkeypatch.setattr(exemplars, "EXEMPLARS", 2)
    rows = np.concatenate([exemplars.exemplars(small, number) for number in (1, 2, 3)])
    assert not small.atlas.train[rows].any()
    assert len(np.unique(small.atlas.families[rows])) == 6


def test_subsets_are_as_many_and_leave_the_asked_family_out(monkeypatch: pytest.MonkeyPatch, small: World) -> None:
    """Pictures that are training pictures lie nearer to the subsets than to what is held out, but not by their own."""
    monkeypatch.setattr(copying, "SUBSETS", 99)
    vectors, families = small.vectors("clip"), small.atlas.families
    heldout = small.one_a_family(np.flatnonzero(~small.atlas.train), np.random.default_rng(0))
    subsets = copying.Subsets(small, vectors, heldout)
    mine = np.flatnonzero(small.atlas.train)
    with_own = subsets.test(vectors[mine], np.full(len(mine), -1))
    without = subsets.test(vectors[mine], families[mine])
    apart = np.linalg.norm(vectors[mine][:, None] - vectors[heldout][None], axis=2).min(axis=1)
    assert with_own["to_heldout"] == pytest.approx(apart.mean(), abs=1e-3)
    assert without["to_heldout"] == with_own["to_heldout"]
    assert with_own["to_subsets"] < without["to_subsets"]
    assert 0.01 <= with_own["p"] <= without["p"] <= 1


def test_the_overlap_is_counted_by_brute_force(rng: np.random.Generator) -> None:
    """How many of the nearest by the vectors are among the nearest on the map, itself left out, held-out rows too."""
    points, train = rng.random((60, 3)).astype(np.float32), np.arange(60) % 5 != 0
    points[7] = points[8]  # one under another
    vectors = rng.normal(size=(60, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = placing.nearest(vectors, train)
    found = placing.overlap(points, near, train)
    for row in range(60):
        others = [other for other in np.flatnonzero(train) if other != row]
        by_vector = sorted(others, key=lambda other: -vectors[row] @ vectors[other])[:15]
        away = {other: math.dist(points[row].tolist(), points[other].tolist()) for other in others}
        last = sorted(away.values())[14]  # two that stand there alike count alike
        assert set(near[row].tolist()) == set(by_vector)
        assert found[row] == sum(away[other] <= last for other in by_vector)


def test_placing_leaves_out_what_it_is_told_to(small: World) -> None:
    """Who is placed by all others but itself comes nearer to its own point than without its family."""
    alone = placing.away(small, "clip", np.arange(60))
    family = placing.away(small, "clip", small.atlas.families)
    assert alone.shape == family.shape == (48,)
    assert np.median(alone) <= np.median(family)
    assert np.isfinite(family).all()


def test_a_planted_copy_is_judged_by_the_app(tmp_path: Path) -> None:
    """A flipped training picture is called a copy, of its own family; a picture of nobody's is not."""
    folder = SmallAtlas(picture=painted, hashed=True).write(tmp_path / "painted")
    atlas = Atlas.open(folder)
    world = World(atlas, Seeing({space: atlas.space(space).vectors[0] for space in atlas.spaces}), Described(atlas))
    found = copies.judged(world, PLANTS["flipped"](painted(0)), int(atlas.families[0]))
    assert found["copy"] and found["right"] and found["score"] > 0.97
    other = copies.judged(world, painted(999))
    assert not other["copy"] and not other["right"] and other["score"] < found["score"]


def test_others_are_of_the_families_that_the_rule_was_not_chosen_on(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held-out pictures, and generated ones by what they were asked for, are judged where the family's code is odd."""
    asked: list[int] = []
    rows = np.arange(0, 60, 7)
    pictures = np.stack([np.full((2, 2, 3), row, np.uint8) for row in rows])
    made = Drawn(rows, pictures, np.zeros((len(rows), 1), np.float32))
    monkeypatch.setattr(copies, "world", lambda: small)
    monkeypatch.setattr(copies, "drawn", lambda split: made)
    monkeypatch.setattr(copies, "shown", lambda world, row: Image.new("RGB", (2, 2), (row,) * 3))
    monkeypatch.setattr(copies, "judged", lambda world, picture: asked.append(picture.getpixel((0, 0))[0]) or {})
    found = copies.others()
    odd = [row for row in rows if small.atlas.families[row] % 2]
    assert asked[len(found[copies.HELDOUT]) :] == odd * 2 and 0 < len(odd) < len(rows)
    assert all(small.atlas.families[row] % 2 and not small.atlas.train[row] for row in asked[: -2 * len(odd)])


def test_a_stopped_drawing_goes_on(tiny_pipeline_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that are there are not drawn again; the whole is what one run gives, and its blocks are gone then."""
    monkeypatch.setattr(drawing, "BLOCK", 2)
    loaded = GeneratorModel.load(str(tiny_pipeline_dir), device="cpu")
    model = replace(loaded, defaults=replace(loaded.defaults, steps=2))
    asked = Asked(np.arange(5), ("red", "blue", "red", "cat", ""), np.arange(5))
    whole = drawing.drawn_to(model, asked, tmp_path / "whole.npz")
    assert not (tmp_path / "whole").exists()
    folder = tmp_path / "stopped"
    drawing.draw(model, asked, folder)
    first, last = folder / "00000.npz", folder / "00004.npz"
    last.unlink()
    replace(Drawn.read(first), pictures=Drawn.read(first).pictures + np.uint8(1)).write(first)
    again = drawing.draw(model, asked, folder)
    assert last.is_file() and not list(folder.glob(".*"))
    assert np.array_equal(again.pictures[:2], whole.pictures[:2] + np.uint8(1))
    assert np.array_equal(again.pictures[2:], whole.pictures[2:])
    assert np.allclose(Drawn.read(tmp_path / "whole.npz").latents, again.latents)


def test_a_picture_of_a_block_is_the_one_that_the_app_generates(tiny_pipeline_dir: Path, tmp_path: Path) -> None:
    """Drawn beside others, a prompt and seed give the latent that the step-by-step way gives."""
    loaded = GeneratorModel.load(str(tiny_pipeline_dir), device="cpu")
    model = replace(loaded, defaults=replace(loaded.defaults, steps=3))
    drawn = drawing.draw(model, Asked(np.arange(2), ("red", "a cat"), np.array([4, 9])), tmp_path / "blocks")
    side = model.defaults.side
    recipe = Recipe("a cat", seed=9, steps=3, guidance=model.defaults.guidance, width=side, height=side)
    *_, last = model.denoise(recipe)
    assert np.allclose(model.vae.pool_latents(last.clean)[0], drawn.latents[1], atol=1e-3)


@pytest.mark.slow
def test_a_taught_generator_is_the_shipped_one_with_other_weights(tmp_path: Path) -> None:
    """Some steps change the U-Net alone; called again, the finished teaching is taken up and not done over."""
    source = OpenMojiSource()
    rows = [row for row in source.rows() if row.split is Split.HELDOUT][:2]
    world = World.__new__(World)
    object.__setattr__(world, "source", source)
    object.__setattr__(world, "entries", tuple(rows))
    shipped = tuning.generator()
    taught = tuning.tuned(world, np.arange(2), tmp_path / "training", seed=1, steps=2)
    again = tuning.tuned(world, np.arange(2), tmp_path / "training", seed=1, steps=2)
    before, after, resumed = (model.pipeline.unet.state_dict() for model in (shipped, taught, again))
    assert any(not before[name].equal(after[name]) for name in before)
    assert all(after[name].equal(resumed[name]) for name in after)
    assert taught.vae.fingerprint == shipped.vae.fingerprint
    assert not taught.pipeline.unet.training


def part(name: str, value: int) -> Part:
    return Part(name, lambda: {"value": value})


@pytest.mark.usefixtures("runs")
def test_results_come_back_as_they_were_kept() -> None:
    """A result read back equals the one that was kept; what is damaged, or of another revision, is not measured."""
    measured = part("copying/x", 3)
    result = measured.run()
    assert parts.kept(measured) == result
    assert parts.kept(part("copying/y", 3)) is None
    assert parts.kept(replace(measured, revision=2)) is None
    parts._path("copying/x").write_text('{"name": "copying/x"')
    assert parts.kept(measured) is None


@pytest.mark.usefixtures("runs")
def test_no_result_holds_what_json_does_not() -> None:
    """A figure that is no number stops the part and is not kept, in place of a page that says nan."""
    measured = Part("copying/x", lambda: {"value": math.nan})
    with pytest.raises(ValueError, match="JSON"):
        measured.run()
    assert parts.kept(measured) is None


def test_a_part_needs_a_name_that_is_a_path_below_the_results() -> None:
    """A part's name cannot lead out of the folder of results."""
    with pytest.raises(ValueError, match="found a part named"):
        part("../x", 1)


def test_an_interrupted_validation_goes_on_and_a_whole_one_begins_anew(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without names only what is missing is measured, unless nothing is; what is named is measured anyway."""
    done: list[str] = []
    listed = tuple(Part(f"x/{name}", lambda name=name: done.append(name) or {"value": len(done)}) for name in "ab")
    proof = Proof("x", "X", listed, lambda found: Section((), ", ".join(found)))
    monkeypatch.setattr(roll, "PROOFS", (proof,))
    monkeypatch.setattr(validate, "PROOFS", (proof,))
    monkeypatch.setattr(page, "TARGET", runs.parent / "validation.md")
    listed[0].run()
    assert validate.main([]) == 0 and done == ["a", "b"]
    assert validate.main([]) == 0 and done == ["a", "b", "a", "b"]
    assert validate.main(["x/a"]) == 0 and done[4:] == ["a"]
    assert validate.main(["--write"]) == 0 and len(done) == 5
    assert "x/a, x/b" in (runs.parent / "validation.md").read_text()


def test_a_validation_that_began_anew_goes_on_from_where_it_was_stopped(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the earlier run left is gone before the first part, so that a stop loses no part and mixes none in."""
    done: list[str] = []
    is_stopped = False

    def measured(name: str) -> dict[str, int]:
        if is_stopped and name == "b":
            raise KeyboardInterrupt
        done.append(name)
        return {"value": len(done)}

    listed = tuple(Part(f"x/{name}", partial(measured, name)) for name in "abc")
    proof = Proof("x", "X", listed, lambda found: Section((), str([each["value"] for each in found.values()])))
    monkeypatch.setattr(roll, "PROOFS", (proof,))
    monkeypatch.setattr(validate, "PROOFS", (proof,))
    monkeypatch.setattr(page, "TARGET", runs.parent / "validation.md")
    assert validate.main([]) == 0
    (runs / "atlas").mkdir()
    is_stopped = True
    with pytest.raises(KeyboardInterrupt):
        validate.main([])
    assert not (runs / "atlas").exists() and parts.kept(listed[2]) is None
    is_stopped = False
    assert validate.main([]) == 0 and done == ["a", "b", "c", "a", "b", "c"]
    assert "[4, 5, 6]" in (runs.parent / "validation.md").read_text()


def test_unknown_parts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelled part is one line and exit code 2; nothing is measured."""
    assert validate.main(["calibration/x"]) == 2
    assert "found no part named calibration/x" in capsys.readouterr().err


@pytest.mark.usefixtures("runs")
def test_the_page_says_what_holds_and_what_was_not_measured(tmp_path: Path) -> None:
    """A claim that fails stands there with what the app says instead; a part that is missing is named."""
    listed = (part("x/a", 1), part("x/b", 2))
    listed[0].run()
    claim = Claim("nearness is calibrated", "p = 0.001", "p > 0.01", False, "it is shown with a warning")
    page.write([Proof("x", "Calibration", listed, lambda found: Section((claim,), "Words."))], tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert "| nearness is calibrated | p = 0.001 | p > 0.01 | NO | it is shown with a warning |" in text
    assert "## Calibration\n\nWords." in text and "Not measured here: x/b." in text
    assert "`python -m validation x`" in text


def test_calibration_that_fails_changes_the_words() -> None:
    """With 17 of 20 draws the claim is NO and the app warns; with 18 it holds; a verdict too many fails as well."""
    draws = [{"seed": seed, "p": 0.5, "mean": 50.0} for seed in range(20)]
    for good, holds, nearer in ((17, False, 11), (18, True, 10)):
        bent = [draw | {"p": 0.5 if draw["seed"] < good else 0.001} for draw in draws]
        spaces = {"clip": {"by_family": bent, "percentile": draws}}
        figures = {"pictures": 195, "spaces": spaces, "verdicts": {"nearer": nearer, "far": 1, "of": 100}}
        calibrated, _, verdicts = calibration.tell({"calibration/draws": figures}).claims
        assert calibrated.holds is holds
        assert ("warning" in calibrated.so) is not holds
        assert verdicts.holds is holds


def test_teaching_counts_only_above_chance_and_above_before() -> None:
    """Ranks that were as good before the teaching prove nothing; from far away to first they do."""
    near, far = [1] * 20, [900] * 20
    learned, known = exemplars.claim("clip", far, near, 0.003), exemplars.claim("clip", near, near, 0.003)
    assert learned.holds and "last and often" in learned.so
    assert not known.holds and "claimed nowhere" in known.so
    few, most = np.arange(20) < 2, np.arange(20) < 15
    assert exemplars.called_nearer(few, most).holds and not exemplars.called_nearer(most, most).holds


def test_a_test_that_says_nothing_is_not_told_as_innocence() -> None:
    """A low p is a sign of copying; a high one and all between are no sign, and no proof that nothing was copied."""
    assert "nearer" in copying.meaning(0.001) and "less near" in copying.meaning(0.999)
    assert all("no proof of none" in copying.meaning(p) for p in (0.5, 0.999))
    assert [chance(p) for p in (1e-24, 0.0412, 0.99998)] == ["under 0.001", "0.041", "over 0.99"]


def test_a_chart_puts_its_corners_where_they_belong() -> None:
    """A curve from corner to corner goes through all three, and a name cannot end the picture."""
    drawn = ElementTree.fromstring(chart.chart([Line("<a> & b", [0, 0, 1], [0, 1, 1])], "false alarms", "recall"))
    (curve,) = drawn.iter("{http://www.w3.org/2000/svg}polyline")
    low, high = chart.MARGIN, chart.MARGIN + chart.SIDE
    places = [tuple(map(float, pair.split(","))) for pair in curve.get("points", "").split()]
    assert places == [(low, high), (low, low), (high, low)]
    assert "<a> & b" in "".join(drawn.itertext())


def test_a_contest_counts_pairs() -> None:
    """The share of pairs in which the first is greater, ties half, by brute force; alike samples are no surprise."""
    rng = np.random.default_rng(4)
    first, second = rng.integers(0, 9, 40).astype(float), rng.integers(0, 7, 30).astype(float)
    pairs = first[:, None] - second[None, :]
    found = prompting.Contest.of(first, second)
    assert found.harder == pytest.approx(((pairs > 0) + (pairs == 0) / 2).mean())
    assert found.p < 0.05 < prompting.Contest.of(second, second).p


def test_a_pull_that_tells_nothing_changes_the_words() -> None:
    """Where learned captions pull no harder than unseen ones, the claim fails, and nothing is said of learning."""
    pulls = {kind: {"median": 1.0, "low": 0.5, "high": 2.0, "n": 120} for kind in ("learned", "unseen")}
    found = {p: {"pulls": pulls, "against": {"unseen": {"harder": 0.6, "p": p}}} for p in (0.5, 0.001)}
    told = {p: prompting.tell({"prompting/pull": each}) for p, each in found.items()}
    assert [section.claims[0].holds for section in told.values()] == [False, True]
    assert "no word on what was learned" in told[0.5].claims[0].so
    assert "| learned | 120 | 1.00 | 0.50 | 2.00 |" in told[0.5].text


def test_the_area_below_the_curve_counts_pairs(rng: np.random.Generator) -> None:
    """It is the share of pairs in which the copy scores higher, ties half; perfect scores fill the square."""
    copies_, none = rng.random(40).round(1) + 0.2, rng.random(30).round(1)
    pairs = [(one > other) + (one == other) / 2 for one in copies_ for other in none]
    assert copies.roc(copies_, none).area == pytest.approx(np.mean(pairs))
    assert copies.roc([0.9, 0.8], [0.1]).area == 1


def test_copies_that_are_missed_are_named_and_alarms_counted() -> None:
    """A kind below nine in ten fails by its name; one alarm among forty is within the bar, three are not."""
    found, lost = {"copy": True, "right": True, "score": 1.0}, {"copy": False, "right": False, "score": 0.1}

    def told(missed: int, alarms: int) -> Section:
        kinds = {"flipped": [found] * 40, "cropped": [lost] * missed + [found] * (40 - missed)}
        others = {copies.HELDOUT: [found] * alarms + [lost] * (40 - alarms)}
        return copies.tell({"copies/planted": kinds, "copies/others": others})

    good, bad = told(4, 2).claims, told(5, 3).claims
    assert [claim.holds for claim in good] == [True, True]
    assert [claim.holds for claim in bad] == [False, False]
    assert "cropped" in bad[0].so and "flipped" not in bad[0].so
    assert "drawn alike" in bad[1].so and "drawn alike" not in good[1].so
    assert "| cropped | 40 | 88% |" in told(5, 3).text and b"<svg" in told(5, 3).pictures["roc.svg"]
