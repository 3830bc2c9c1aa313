"""The steps of a way: places, neighbors, entropy over clusters, and when it was decided."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from pathlib import Path
from types import SimpleNamespace

import av
import diffusers
import numpy as np
import pytest
from PIL import Image
from scipy.stats import entropy as scipy_entropy
from small_atlas import SmallAtlas

from explorer import film, noise_report
from explorer.atlas import Atlas
from explorer.errors import QueryError
from explorer.generate import Generator
from explorer.models.loader import Models
from explorer.noising import TRAINED, NoisedStep, NoisePlan, lost, noised, signal, usual_medium
from explorer.pictures import open_picture
from explorer.records import Medium, Schedule
from explorer.way import decided, entropy, leading, settled


@pytest.fixture(scope="module")
def atlas(tiny_atlas: Path) -> Atlas:
    return Atlas.open(tiny_atlas)


@pytest.fixture(scope="module")
def models(atlas: Atlas) -> Models:
    return Models(atlas, "cpu")


def test_entropy_is_shannons() -> None:
    """Entropy in bits equals scipy's; none for one cluster, log2 n for n alike; "in no cluster" is a group too."""
    groups = np.array([3, 3, 3, 1, 1, -1, 7, 7], np.int32)
    counts = np.unique(groups, return_counts=True)[1]
    assert entropy(groups) == pytest.approx(scipy_entropy(counts, base=2))
    assert entropy(np.array([4, 4, 4], np.int32)) == 0 and math.copysign(1, entropy(np.array([4], np.int32))) == 1
    assert entropy(np.arange(-1, 7, dtype=np.int32)) == pytest.approx(3)


def test_the_leading_cluster() -> None:
    """The cluster of most neighbors leads, the lower number at a tie, and none where most are in none."""
    assert leading(np.array([2, 5, 5], np.int32)) == 5
    assert leading(np.array([5, 2], np.int32)) == 2
    assert leading(np.array([-1, -1, 2], np.int32)) is None


def test_what_is_settled() -> None:
    """A value is settled from where on it does not change any more."""
    assert [settled(values) for values in ("a", "ab", "abb", "bab", "bbb", "abab")] == [0, 1, 1, 2, 0, 3]


def test_a_step_tells_its_neighbors_by_brute_force(atlas: Atlas) -> None:
    """Neighbors, percentile, distance and entropy of a generated picture's steps equal what brute force finds."""
    generator = Generator.load(None, atlas, device="cpu")
    made = generator.generate(generator.recipe("a cat", steps=2, seed=1))
    space = atlas.space("clip")
    for preview, step in zip(made.previews, made.steps, strict=True):
        cosines = space.vectors.astype(np.float32) @ generator._models.clip().embed_pictures([preview])[0]
        order = [row for row in np.argsort(-cosines, kind="stable") if atlas.train[row]]
        near = step.neighbors["clip"]
        assert [each.similarity for each in near] == pytest.approx(cosines[order[:6]].tolist(), abs=1e-3)
        assert near[0].id == step.nearest["clip"] and near[0].similarity == step.similarity["clip"]
        assert all(atlas.train[atlas.row(each.id)] for each in near)
        below = 100 * (space.baseline < near[0].similarity).mean()
        assert step.percentile["clip"] == pytest.approx(below)
        counts = np.unique(space.cluster[order[:50]], return_counts=True)[1]
        assert step.entropy["clip"] == pytest.approx(scipy_entropy(counts, base=2), abs=0.2)
        point = np.array(step.points["clip"])
        assert step.distance["clip"] == pytest.approx(np.linalg.norm(space.points - point, axis=1).min(), rel=1e-4)
        assert step.via == {"clip": "picture", "vae": "latent"}
    for name, each in made.decided.items():
        families = [atlas.families[atlas.row(step.nearest[name])] for step in made.steps]
        assert len(set(families[each.family - 1 :])) == 1
        assert each.family == 1 or families[each.family - 2] != families[-1]
        assert len({step.cluster[name] for step in made.steps[each.cluster - 1 :]}) == 1
    assert decided(atlas, made.steps[-1:])["clip"].family == made.steps[-1].step


@pytest.mark.parametrize(
    ("schedule", "settings"),
    [
        (Schedule.LINEAR, {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02}),
        (Schedule.SCALED_LINEAR, {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}),
        (Schedule.COSINE, {"beta_schedule": "squaredcos_cap_v2"}),
    ],
)
def test_schedules_are_diffusers_own(schedule: Schedule, settings: dict[str, object]) -> None:
    """Every schedule leaves at each timestep the share of the picture that diffusers' scheduler of its name leaves."""
    theirs = diffusers.DDPMScheduler(num_train_timesteps=TRAINED, **settings).alphas_cumprod.double().numpy()
    ours = signal(schedule)
    assert ours.shape == (TRAINED + 1,) and ours[0] == 1 and (np.diff(ours) < 0).all()
    np.testing.assert_allclose(ours[1:], theirs, rtol=1e-3, atol=1e-6)


def test_steps_are_followed_without_the_copy_detector(tmp_path: Path) -> None:
    """An atlas with the space sscd is noised without its file at hand, and its other spaces alone tell of the steps."""
    small = SmallAtlas(dims={"clip": 192, "sscd": 12}, extra_meta={"models": {"sscd": {"reference": "/no/such.pt"}}})
    atlas = Atlas.open(small.write(tmp_path / "atlas"))

    def colors(pictures: list[Image.Image]) -> np.ndarray:
        return np.stack([np.asarray(each.resize((8, 8)), np.float32).ravel() for each in pictures])

    models = SimpleNamespace(clip=lambda: SimpleNamespace(embed_pictures=colors))
    assert usual_medium(atlas) is Medium.PIXELS
    way = list(noised(atlas, models, NoisePlan(int(atlas.ids[0]), steps=2)))
    assert way[0].plan.medium is Medium.PIXELS
    assert {tuple(step.trajectory.points) for step in way} == {("clip",)} and set(lost(way)) == {"clip"}


def way_of(atlas: Atlas, models: Models, **plan: object) -> list[NoisedStep]:
    row = int(np.flatnonzero(atlas.train)[3])
    return list(noised(atlas, models, NoisePlan(int(atlas.ids[row]), **plan)))  # type: ignore[arg-type]


def test_a_picture_is_noised_by_the_formula(atlas: Atlas, models: Models) -> None:
    """In latents each step is sqrt(abar) of the picture and sqrt(1 - abar) of one noise, decoded and placed."""
    way = way_of(atlas, models, steps=4, seed=5)
    assert [step.trajectory.step for step in way] == [1, 2, 3, 4, 5]
    assert [step.trajectory.timestep for step in way] == [0, 250, 500, 750, 1000]
    powers = signal(Schedule.SCALED_LINEAR)[[0, 250, 500, 750, 1000]]
    assert [step.signal for step in way] == pytest.approx(np.sqrt(powers))
    vae = models.vae()
    latent = vae.latents([open_picture(atlas.thumbnail(way[0].plan.id))]).numpy()
    noise = np.random.default_rng(5).standard_normal(latent.shape, dtype=np.float32)
    mean = atlas.space("vae").mean
    for power, step in zip(powers, way, strict=True):
        mixed = vae.vae.post_quant_conv.weight.new_tensor(power**0.5 * latent + (1 - power) ** 0.5 * noise)
        grey = [np.asarray(each, np.int16) for each in (vae.decode(mixed)[0], step.picture)]
        assert np.abs(grey[0] - grey[1]).max() <= 1  # the last bit of a float is the kernel's
        vector = vae.pool_latents(mixed)[0] - mean
        cosines = atlas.space("vae").vectors.astype(np.float32) @ (vector / np.linalg.norm(vector))
        assert step.trajectory.similarity["vae"] == pytest.approx(cosines[atlas.train].max(), abs=1e-3)
        assert step.trajectory.via == {"clip": "picture", "vae": "latent"}


def test_own_neighbors_are_counted_by_brute_force(atlas: Atlas, models: Models) -> None:
    """At every step the kept neighbors are those of the indexed vector that are among as many nearest of the step."""
    way = way_of(atlas, models, steps=5, medium=Medium.PIXELS, schedule=Schedule.COSINE)
    row = atlas.row(way[0].plan.id)
    vectors = atlas.space("clip").vectors.astype(np.float32)
    others = np.flatnonzero(atlas.train & (np.arange(len(atlas)) != row))

    def nearest(vector: np.ndarray) -> set[int]:
        return set(others[np.argsort(-(vectors[others] @ vector), kind="stable")[:15]].tolist())

    own = nearest(vectors[row])
    for step in way:
        found = nearest(models.clip().embed_pictures([step.picture])[0])
        assert step.own["clip"] == 15 and abs(step.kept["clip"] - len(own & found)) <= 1  # float16 ties
        assert step.trajectory.via == {"clip": "picture", "vae": "picture"}
    pixels = np.asarray(way[0].picture, np.int16)
    assert np.abs(np.asarray(way[-1].picture, np.int16) - pixels).mean() > 40


def test_when_a_picture_loses_its_place(atlas: Atlas, models: Models) -> None:
    """Lost from the step on which fewer than half are kept to the end; a comeback before it does not count."""
    step = way_of(atlas, models, steps=1)[0]

    def at(number: int, kept: int, itself: bool | None) -> NoisedStep:
        trajectory = dataclasses.replace(step.trajectory, step=number)
        return dataclasses.replace(
            step, trajectory=trajectory, own={"clip": 15}, kept={"clip": kept}, itself={"clip": itself}
        )

    def told(kept: list[int], itself: list[bool | None]) -> tuple[int | None, int | None]:
        found = lost([at(i, k, s) for i, (k, s) in enumerate(zip(kept, itself, strict=True), 1)])["clip"]
        return found.neighbors, found.itself

    assert told([15, 7, 8, 7, 3], [True, True, False, False, False]) == (4, 3)
    assert told([15, 2, 8], [True, False, True]) == (None, None)
    assert told([15, 2], [None, None]) == (2, None)


def test_what_cannot_be_noised(atlas: Atlas, models: Models) -> None:
    """An unknown id, too many steps and a seed out of bounds are refused in one line."""
    known = int(atlas.ids[0])
    for plan, words in (
        (NoisePlan(5), "5"),
        (NoisePlan(known, steps=151), "steps: expected 1 to 150, found 151"),
        (NoisePlan(known, seed=-1), "seed: expected 0 to 4,294,967,295, found -1"),
    ):
        with pytest.raises(QueryError, match=words):
            noised(atlas, models, plan)


def test_a_way_into_noise_is_written_whole(atlas: Atlas, models: Models, tmp_path: Path) -> None:
    """The folder has a picture a step, the film and the report; what is there already is left alone."""
    way = way_of(atlas, models, steps=2)
    told = noise_report.write(tmp_path / "out", atlas, way)
    names = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert names == ["report.json", "steps/0001.png", "steps/0002.png", "steps/0003.png", "way.webm"]
    kept = json.loads((tmp_path / "out/report.json").read_text())
    assert kept | {"folder": told["folder"]} == json.loads(json.dumps(told))
    assert [step["image"] for step in kept["trajectory"]] == names[1:-1]
    assert kept["medium"] == "latents" and set(kept["lost"]) == set(atlas.spaces)
    with pytest.raises(QueryError, match="holds something already"):
        noise_report.write(tmp_path / "out", atlas, way)


@pytest.mark.parametrize("size", [(64, 64), (300, 200), (33, 57)])
def test_a_film_plays_as_it_was_made(size: tuple[int, int]) -> None:
    """FFmpeg reads every frame at its time, as bright as it was, and can go to any of them."""
    levels = [20, 90, 160, 230]
    data = film.webm([Image.new("RGB", size, (level, level, level)) for level in levels])
    with av.open(io.BytesIO(data)) as played:
        (stream,) = played.streams
        assert (played.format.name, stream.codec_context.name) == ("matroska,webm", "vp8")
        frames = list(played.decode(stream))
        assert min(stream.width, stream.height) >= film.LEAST_SIDE
        assert stream.width / stream.height == pytest.approx(size[0] / size[1], rel=0.01)
    assert len(frames) == len(levels) + film.HELD - 1
    assert [float(frame.time) for frame in frames] == pytest.approx([0.25 * at for at in range(len(frames))])
    shown = [frame.to_ndarray(format="rgb24").mean() for frame in frames]
    assert shown == pytest.approx(levels + levels[-1:] * (film.HELD - 1), abs=3)
    with av.open(io.BytesIO(data)) as played:
        played.seek(500_000)  # microseconds
        assert float(next(played.decode(video=0)).time) == pytest.approx(0.5)
    assert data == film.webm([Image.new("RGB", size, (level, level, level)) for level in levels])
