"""Ways over HTTP: branches handed in, films and frames taken home, a picture followed into noise and left."""

from __future__ import annotations

import base64
import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from live import Live, live
from PIL import Image
from small_atlas import SmallAtlas, changed
from tiny_models import CLIP_DIM

from explorer.atlas import Atlas
from explorer.errors import QueryError
from explorer.models.loader import Models
from explorer.noising import NoisePlan, noised
from explorer.records import Branch, Medium, Schedule
from webapp.callbacks.way import comparable
from webapp.noisings import AT_ONCE

STEPS = 5


@pytest.fixture(scope="module")
def running(tiny_atlas: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tiny_atlas, workspace=tmp_path_factory.mktemp("workspace")) as server:
        yield server


@pytest.fixture(scope="module")
def trunk(running: Live) -> str:
    job = running.submit("a red shape", seed=4, steps=STEPS)
    assert running.events(job)[-1]["kind"] == "done"
    return job


def one(running: Live) -> int:
    """A picture in training."""
    atlas = running.site.atlas
    return int(atlas.ids[np.flatnonzero(atlas.train)[2]])


def test_a_branch_is_a_job_like_any_other(running: Live, trunk: str) -> None:
    """Its events tell the common steps and its own; its recipe and its landing are kept."""
    steps = [event for event in running.events(trunk) if event["kind"] == "step"]
    job = running.submit("a red shape", seed=4, steps=STEPS, branches=[{"step": 2, "seed": 9}])
    heard = running.events(job)
    told = [event for event in heard if event["kind"] == "step"]
    own = ("points", "nearest", "similarity", "neighbors", "entropy")
    assert [[each[key] for key in own] for each in told[:2]] == [[each[key] for key in own] for each in steps[:2]]
    assert told[3]["points"] != steps[3]["points"]
    assert {each["steps"] for each in told} == {len(told)}
    done = heard[-1]
    assert done["recipe"]["branches"] == [{"step": 2, "seed": 9}]
    assert all(1 <= each["family"] <= len(told) for each in done["decided"].values())
    workspace = running.site.studio.workspace
    assert workspace.generation(done["generation"]).recipe.branches == (Branch(2, 9),)
    assert workspace.job(job).recipe.branches == (Branch(2, 9),)
    assert len({running.client.get(event["preview"]).content for event in told}) == len(told)


def test_what_can_be_compared(running: Live, trunk: str) -> None:
    """A browser's finished pictures but the one that leads, by the seed that tells them apart; open ones are marked."""
    branch = running.submit("a red shape", seed=4, steps=STEPS, branches=[{"step": 2, "seed": 31}])
    running.events(branch)
    failed = running.submit(steps=2, branches=[{"step": 60, "seed": 1}])
    running.events(failed)
    jobs = [branch, failed, "nobody", trunk]
    (choice,) = comparable(running.site, jobs, trunk, "on")
    assert (choice.job, choice.seed, choice.is_open) == (branch, 31, False)
    assert [(each.job, each.seed, each.is_open) for each in comparable(running.site, jobs, "x", f"on,{branch}")] == [
        (branch, 31, True), (trunk, 4, False)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("branches", "words"),
    [
        ("x", 'branches is "x"; expected a list'),
        ([3], 'expected each of its branches as {"step": ..., "seed": ...}'),
        ([{"step": 3}], "expected each of its branches as"),
        ([{"step": 3.5, "seed": 1}], "a branch's step is 3.5; expected a whole number"),
        ([{"step": True, "seed": 1}], "a branch's step is true; expected a whole number"),
        ([{"step": 0, "seed": 1}], "expected a step after step 0, found 0"),
        ([{"step": 1, "seed": 2**32}], "expected a seed from 0 to 4,294,967,295"),
        ([{"step": step, "seed": 1} for step in range(1, 40)], "at most 8 one after the other"),
    ],
)
def test_what_a_branch_must_not_be(running: Live, branches: Any, words: str) -> None:
    """Whatever else a page hands in as branches is refused in one line, and makes no job."""
    before = len(running.site.studio.workspace.jobs())
    answer = running.client.post("/api/jobs", json={"recipe": {"prompt": "a red shape", "branches": branches}})
    assert answer.status_code == 422 and words in answer.json()["error"]
    assert len(running.site.studio.workspace.jobs()) == before


def test_a_branch_past_the_end_fails_in_words(running: Live) -> None:
    """How many steps there are the scheduler alone knows: the job ends with what was expected."""
    last = running.events(running.submit(steps=2, branches=[{"step": 60, "seed": 1}]))[-1]
    assert last["kind"] == "failed" and "found step 60; expected 1 to 2 on this way" in last["error"]


def test_a_way_is_taken_home(running: Live, trunk: str) -> None:
    """The film has a frame a step; the archive their pictures, the picture itself, recipe and trajectory."""
    steps = [event for event in running.events(trunk) if event["kind"] == "step"]
    answer = running.client.get(f"/api/jobs/{trunk}/way.webm")
    assert answer.headers["content-type"] == "video/webm" and "attachment" in answer.headers["content-disposition"]
    with av.open(io.BytesIO(answer.content)) as played:
        frames = list(played.decode(video=0))
    first = np.asarray(Image.open(io.BytesIO(running.client.get(steps[0]["preview"]).content)), float)
    assert len(frames) >= len(steps)
    assert frames[0].to_ndarray(format="rgb24").mean() == pytest.approx(first.mean(), abs=8)
    answer = running.client.get(f"/api/jobs/{trunk}/way.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = [f"steps/{number:04d}.webp" for number in range(1, len(steps) + 1)]
        assert archive.namelist() == [*names, "picture.png", "report.json"]
        for name, step in zip(names, steps, strict=True):
            assert archive.read(name) == running.client.get(step["preview"]).content
        assert archive.read("picture.png") == running.client.get(f"/api/jobs/{trunk}/image.png").content
        told = json.loads(archive.read("report.json"))
    assert told["recipe"]["seed"] == 4 and "/" not in told["recipe"]["generator"]
    assert [each["nearest"] for each in told["trajectory"]] == [each["nearest"] for each in steps]
    assert running.client.get(f"/api/jobs/{trunk}/way.zip").content == answer.content
    assert running.client.get("/api/jobs/nobody/way.webm").status_code == 404


def lines(running: Live, identity: int, **asked: Any) -> list[dict[str, Any]]:
    with running.client.stream("GET", f"{running.version}/noise/{identity}", params=asked, timeout=60) as answer:
        assert answer.status_code == 200, answer.read()
        return [json.loads(line) for line in answer.iter_lines()]


def test_a_way_into_noise_is_told_line_by_line(running: Live) -> None:
    """Each step comes with its picture, as the library has it; the last line says when the place was lost."""
    identity = one(running)
    told = lines(running, identity, schedule="cosine", steps=4, seed=3)
    assert [each["kind"] for each in told] == ["step"] * 5 + ["done"]
    plan = NoisePlan(identity, Schedule.COSINE, Medium.LATENTS, 4, 3)
    atlas = Atlas.open(running.site.atlas.path)
    for line, step in zip(told, noised(atlas, Models(atlas, "cpu"), plan), strict=False):
        assert line["kept"] == dict(step.kept) and line["steps"] == 5
        assert line["signal"] == pytest.approx(step.signal)
        assert line["points"]["vae"] == pytest.approx(list(step.trajectory.points["vae"]), rel=1e-3)
        picture = Image.open(io.BytesIO(base64.b64decode(line["preview"].removeprefix("data:image/webp;base64,"))))
        assert picture.size == step.picture.size
    assert told[-1]["lost"].keys() == set(atlas.spaces) and told[-1]["medium"] == "latents"
    film = running.client.get(f"{running.version}/noise/{identity}/way.webm", params={"steps": 2})
    with av.open(io.BytesIO(film.content)) as played:
        assert len(list(played.decode(video=0))) >= 3
    frames = running.client.get(f"{running.version}/noise/{identity}/way.zip", params={"steps": 2, "medium": "pixels"})
    with zipfile.ZipFile(io.BytesIO(frames.content)) as archive:
        assert archive.namelist() == ["steps/0001.png", "steps/0002.png", "steps/0003.png", "report.json"]
        assert json.loads(archive.read("report.json"))["medium"] == "pixels"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("noise/5", 422), ("noise/-1", 422), ("noise/x", 404), ("noise/99999999999999999999", 404),
        ("noise/ID?schedule=steep", 422), ("noise/ID?steps=151", 422), ("noise/ID?seed=-1", 422),
        ("noise/ID?medium=paint", 422),
    ],
)  # fmt: skip
def test_what_cannot_be_noised_over_http(running: Live, path: str, status: int) -> None:
    """An unknown picture and values out of bounds are refused in one line, before anything is sent."""
    answer = running.client.get(f"{running.version}/{path.replace('ID', str(one(running)))}")
    assert answer.status_code in (status, 404) and "\n" not in answer.json()["error"]


def test_leaving_stops_the_work_and_makes_room(running: Live) -> None:
    """Ways beyond the room are refused; whoever leaves in the middle stops the model, and the next one comes in."""
    calls: list[float] = []
    vae = running.site.models.vae()
    handle = vae.vae.decoder.register_forward_hook(lambda *_: calls.append(time.monotonic()))
    address = f"{running.version}/noise/{one(running)}"
    slow = vae.vae.decoder.register_forward_pre_hook(lambda *_: time.sleep(0.05))
    try:
        with (
            running.client.stream("GET", address, params={"steps": 150}) as first,
            running.client.stream("GET", address, params={"steps": 150}) as second,
        ):
            for answer in (first, second):
                assert json.loads(next(answer.iter_lines()))["step"] == 1
            assert AT_ONCE == 2
            refused = running.client.get(address)
            assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
        end = time.monotonic() + 30
        while (answer := running.client.get(address, params={"steps": 1})).status_code == 429:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert answer.status_code == 200
        made = len(calls)
        time.sleep(0.5)
        assert len(calls) == made < 200
    finally:
        slow.remove()
        handle.remove()


def test_a_flagged_picture_is_not_noised(tmp_path: Path, tiny_clip_dir: Path, tiny_pipeline_dir: Path) -> None:
    """What is kept behind a blur is not shown by its way into noise either."""
    models = {"clip": {"reference": str(tiny_clip_dir)}, "vae": {"reference": str(tiny_pipeline_dir)}}
    small = SmallAtlas(
        dims={"clip": CLIP_DIM, "vae": 4 * 8 * 8}, extra_meta={"models": models}, change=changed(punsafe=0.9)
    )
    atlas = Atlas.open(small.write(tmp_path / "atlas"))
    with pytest.raises(QueryError, match="is flagged as unsafe; its way into noise is not shown"):
        noised(atlas, Models(atlas, "cpu"), NoisePlan(int(atlas.ids[0])))
