"""The studio, with a real, tiny generator behind a real server: queue, events, cancelling, coming back."""

from __future__ import annotations

import io
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import Live, is_kind, live
from PIL import Image

from explorer.errors import ModelError, QueryError
from explorer.jobs import Event, JobState
from explorer.landing import VerdictName
from explorer.records import Recipe
from explorer.stamp import public
from explorer.workspace import Workspace
from webapp import events
from webapp.events import message
from webapp.jobs import Studio
from webapp.loading import Loader, Part, Phase
from webapp.site import GeneratorOptions

STEPS = 6
LONG = 150
CAPACITY = 2


@pytest.fixture(scope="module")
def studio(tiny_atlas: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server with a short queue and a workspace of its own; each test leaves it idle."""
    with live(tiny_atlas, workspace=tmp_path_factory.mktemp("workspace"), capacity=CAPACITY) as running:
        warm = running.submit(steps=1)
        assert running.events(warm)[-1]["kind"] == "done"
        yield running


def idle(studio: Live) -> None:
    """Wait until no job waits or runs."""
    end = time.monotonic() + 60
    while studio.client.get("/api/state").json()["queue"]["length"]:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_job_tells_every_step_and_where_it_landed(studio: Live) -> None:
    """From its place in the queue to its landing a job is told in numbered events, and its pictures are there."""
    job = studio.submit("a blue shape", seed=3, steps=STEPS, guidance=2)
    heard = studio.events(job)
    kinds = [event["kind"] for event in heard]
    assert kinds == ["queued", "running", *["step"] * (len(heard) - 3), "done"]
    assert [event["seq"] for event in heard] == list(range(1, len(heard) + 1))
    assert heard[0]["place"] == 0
    steps = heard[2:-1]
    assert [step["step"] for step in steps] == list(range(1, len(steps) + 1))
    assert {step["steps"] for step in steps} == {len(steps)}
    atlas = studio.site.atlas
    for step in steps:
        assert step["points"].keys() == step["nearest"].keys() == step["similarity"].keys() == set(atlas.spaces)
        assert all(len(point) == 3 for point in step["points"].values())
        assert all(atlas.train[atlas.row(nearest)] for nearest in step["nearest"].values())
        picture = studio.client.get(step["preview"])
        assert picture.headers["content-type"] == "image/webp"
        assert Image.open(io.BytesIO(picture.content)).size == (32, 32)
    done = heard[-1]
    assert VerdictName(done["landing"]["verdict"]["name"])
    assert len(done["landing"]["spaces"]["clip"]["hits"]) == 12
    assert {"prompt": "a blue shape", "seed": 3, "steps": STEPS, "guidance": 2}.items() <= done["recipe"].items()
    picture = studio.client.get(done["image"])
    assert picture.headers["content-type"] == "image/png"
    kept = studio.site.studio.workspace.generation(done["generation"])
    assert public(kept.recipe) == Recipe.of(done["recipe"]) == Recipe.of(heard[1]["recipe"])
    assert "/" in kept.recipe.generator and "/" not in done["recipe"]["generator"]
    assert kept.landing == done["landing"]
    status = studio.client.get(f"/api/jobs/{job}").json()
    assert (status["state"], status["place"], status["image"]) == ("done", None, done["image"])


def test_the_same_recipe_gives_the_same_picture(studio: Live) -> None:
    """Two jobs of one recipe end in equal pictures, another seed in another."""
    pictures = []
    for seed in (5, 5, 6):
        done = studio.events(studio.submit(seed=seed, steps=2))[-1]
        pictures.append(Image.open(io.BytesIO(studio.client.get(done["image"]).content)).tobytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_two_visitors_each_get_their_own(studio: Live) -> None:
    """Two jobs at once are followed at once, and neither hears or gets anything of the other."""
    jobs = {prompt: studio.submit(prompt, steps=8) for prompt in ("a red shape", "a green shape")}
    heard: dict[str, list] = {}
    followers = [
        threading.Thread(target=lambda prompt=prompt, job=job: heard.update({prompt: studio.events(job)}))
        for prompt, job in jobs.items()
    ]
    for follower in followers:
        follower.start()
    for follower in followers:
        follower.join(60)
    for prompt, job in jobs.items():
        assert heard[prompt][-1]["recipe"]["prompt"] == prompt
        assert heard[prompt][-1]["image"] == f"/api/jobs/{job}/image.png"
        assert {event["preview"].split("/")[3] for event in heard[prompt] if event["kind"] == "step"} == {job}
    assert len({event[-1]["generation"] for event in heard.values()}) == 2


def test_the_queue_shows_its_length_and_refuses_what_it_cannot_hold(studio: Live) -> None:
    """Places count down as jobs end; past the capacity the answer is 429 with a time to come again; nothing is lost."""
    running = studio.submit(steps=LONG)
    studio.events(running, until=is_kind("step"))
    first, second = studio.submit(steps=1), studio.submit(steps=1)
    full = studio.client.post("/api/jobs", json={"recipe": {"prompt": "one too many"}})
    assert full.status_code == 429
    assert int(full.headers["retry-after"]) > 0
    assert studio.client.get("/api/state").json()["queue"] == {"length": 3, "capacity": CAPACITY}
    assert [studio.client.get(f"/api/jobs/{job}").json()["place"] for job in (first, second)] == [1, 2]
    studio.client.post(f"/api/jobs/{running}/cancel")
    places = {job: [e["place"] for e in studio.events(job) if e["kind"] == "queued"] for job in (first, second)}
    assert places == {first: [1], second: [2, 1]}
    assert {studio.site.studio.workspace.job(job).state for job in (first, second)} == {JobState.DONE}
    assert "one too many" not in {job.recipe.prompt for job in studio.site.studio.workspace.jobs()}


def test_cancel_stops_at_the_next_step(studio: Live) -> None:
    """A running job that is cancelled ends within a step, keeps nothing, and leaves the generator to the next."""
    job = studio.submit(steps=LONG)
    studio.events(job, until=is_kind("step"))
    seen = len([event for event in studio.site.studio.workspace.events(job) if event.kind == "step"])
    answer = studio.client.post(f"/api/jobs/{job}/cancel")
    assert answer.status_code == 202
    last = studio.events(job)[-1]
    assert last["kind"] == "cancelled"
    assert seen <= last["step"] < LONG
    idle(studio)
    told = len(studio.site.studio.workspace.events(job))
    time.sleep(0.3)
    assert len(studio.site.studio.workspace.events(job)) == told
    status = studio.client.get(f"/api/jobs/{job}").json()
    assert (status["state"], status["generation"], status["image"]) == ("cancelled", None, None)
    assert studio.client.get(f"/api/jobs/{job}/image.png").status_code == 404
    told_of = f"/api/jobs/{job}/steps/{seen}.webp"
    assert studio.client.get(told_of).status_code == 200  # a browser that has just heard of it may still ask
    again = studio.client.post(f"/api/jobs/{job}/cancel")
    assert (again.status_code, again.json()["state"]) == (409, "cancelled")
    assert studio.events(studio.submit(steps=1))[-1]["kind"] == "done"
    idle(studio)
    assert studio.client.get(told_of).status_code == 404


def test_a_waiting_job_is_cancelled_at_once(studio: Live) -> None:
    """Who waits and gives up never runs, and those behind move up."""
    running = studio.submit(steps=LONG)
    studio.events(running, until=is_kind("step"))
    waiting, behind = studio.submit(steps=1), studio.submit(steps=1)
    assert studio.client.post(f"/api/jobs/{waiting}/cancel").json()["state"] == "cancelled"
    assert [event["kind"] for event in studio.events(waiting)] == ["queued", "cancelled"]
    assert studio.client.get(f"/api/jobs/{behind}").json()["place"] == 1
    for job in (running, behind):
        studio.client.post(f"/api/jobs/{job}/cancel")
    idle(studio)


def test_a_closed_tab_comes_back_to_its_job(studio: Live) -> None:
    """A tab that left in the middle hears the rest, by Last-Event-ID or `after`; one that starts anew hears it all."""
    job = studio.submit(steps=40)
    first = studio.events(job, until=lambda event: event["kind"] == "step" and event["step"] == 2)
    preview = studio.client.get(first[-1]["preview"])
    assert preview.status_code == 200
    seen = first[-1]["seq"]
    rest = studio.events(job, after=seen)
    assert [event["seq"] for event in rest] == list(range(seen + 1, rest[-1]["seq"] + 1))
    assert rest[-1]["kind"] == "done"
    everything = studio.events(job)
    assert everything == first + rest
    assert studio.client.get(first[-1]["preview"]).content == preview.content
    with studio.client.stream("GET", f"/api/jobs/{job}/events", headers={"Last-Event-ID": str(seen)}) as stream:
        assert stream.read().decode().startswith(f"id: {seen + 1}\n")
    over = studio.client.get(f"/api/jobs/{job}/events", headers={"Last-Event-ID": str(rest[-1]["seq"])})
    assert (over.status_code, over.content) == (204, b"")


def test_silence_is_filled_so_that_a_closed_tab_is_noticed(studio: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream on which nothing happens says so now and then, and its listener goes when the tab does."""
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    workspace, bell = studio.site.studio.workspace, studio.site.studio.journal.bell
    job = workspace.add_job(Recipe("of nobody")).id
    with studio.client.stream("GET", f"/api/jobs/{job}/events") as stream:
        lines = stream.iter_lines()  # kept, since an iterator that is dropped closes the stream
        assert next(lines) == ": still here"
        assert len(bell._listeners) == 1
    end = time.monotonic() + 10
    while bell._listeners:
        assert time.monotonic() < end, "a closed tab is still listened for"
        time.sleep(0.02)
    workspace.end_job(job, JobState.CANCELLED, {"step": 0})


TAMPERED = (  # each is answered 422
    {}, {"recipe": None}, {"recipe": []}, {"recipe": {}}, [], "text",
    {"recipe": {"prompt": ""}}, {"recipe": {"prompt": "  "}}, {"recipe": {"prompt": 5}},
    {"recipe": {"prompt": "a" * 2001}}, {"recipe": {"prompt": "a", "negative": "b" * 2001}},
    {"recipe": {"prompt": "a", "steps": 0}}, {"recipe": {"prompt": "a", "steps": 151}},
    {"recipe": {"prompt": "a", "steps": 10**30}}, {"recipe": {"prompt": "a", "steps": 2.5}},
    {"recipe": {"prompt": "a", "steps": True}}, {"recipe": {"prompt": "a", "steps": "5"}},
    {"recipe": {"prompt": "a", "seed": -1}}, {"recipe": {"prompt": "a", "seed": 2**32}},
    {"recipe": {"prompt": "a", "guidance": 30.1}}, {"recipe": {"prompt": "a", "guidance": -1}},
    {"recipe": {"prompt": "a", "width": 4096}}, {"recipe": {"prompt": "a", "generator": "/etc"}},
    {"recipe": {"prompt": "a", "lora": "x.safetensors"}}, {"recipe": {"prompt": "a", "batch": 64}},
)  # fmt: skip


@pytest.mark.parametrize("body", TAMPERED)
def test_a_recipe_out_of_bounds_is_refused(studio: Live, body: object) -> None:
    """The server holds every recipe against its bounds, says in one line what was wrong, and takes nothing in."""
    before = len(studio.site.studio.workspace.jobs(1000))
    answer = studio.client.post("/api/jobs", json=body)
    assert answer.status_code == 422
    assert answer.json().keys() == {"error"} and "\n" not in answer.json()["error"]
    assert len(studio.site.studio.workspace.jobs(1000)) == before


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"recipe": {"prompt": "a", "guidance": NaN}}', "application/json", 400),
        (b'{"recipe": {"prompt": "a", "guidance": 1e999}}', "application/json", 422),
        (b'{"recipe": {"prompt": "\\ud800"}}', "application/json", 422),
        (b'{"recipe": {"prompt": "a"}}', "text/plain", 415),
        (b'{"recipe": {"prompt": "a"}}', "application/x-www-form-urlencoded", 415),
        (b"x" * (1024 * 1024 + 1), "application/json", 413),
    ],
)
def test_a_body_that_is_no_recipe_is_refused(studio: Live, content: bytes, kind: str, status: int) -> None:
    """Broken JSON, another media type, numbers that are none, and a megabyte too much get their own answers."""
    answer = studio.client.post("/api/jobs", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.json().keys() == {"error"}


def test_names_of_jobs_cannot_be_guessed(studio: Live) -> None:
    """A job's name has 128 random bits, in letters that an address takes as they are."""
    names = {studio.site.studio.workspace.add_job(Recipe("of nobody")).id for _ in range(50)}
    assert len(names) == 50
    assert all(re.fullmatch(r"[\w-]{22}", name) for name in names)
    studio.site.studio.workspace.interrupt_unfinished("made for a test")


def test_a_stopped_server_leaves_its_job_interrupted(tiny_atlas: Path, tmp_path: Path) -> None:
    """Who follows a job when the server stops hears so at once; who comes back later hears it too."""
    heard: list = []
    follows = threading.Event()

    def noted(event: dict) -> bool:
        heard.append(event)
        follows.set()
        return False

    with live(tiny_atlas, workspace=tmp_path) as running:
        job, waiting = running.submit(steps=LONG), running.submit(steps=1)
        running.events(job, until=is_kind("step"))
        follower = threading.Thread(target=running.events, args=(job,), kwargs={"until": noted})
        follower.start()
        assert follows.wait(60)
        began = time.monotonic()
    assert time.monotonic() - began < 20, "an open stream held the server up"
    follower.join(60)
    assert heard[-1]["kind"] == "interrupted"
    with live(tiny_atlas, workspace=tmp_path) as running:
        for name in (job, waiting):
            told = running.events(name)
            assert told[-1]["kind"] == "interrupted"
            assert "generate it again" in told[-1]["error"]
            assert running.client.get(f"/api/jobs/{name}").json()["state"] == "interrupted"


def test_a_generator_that_does_not_load_leaves_all_else_alive(tiny_atlas: Path, tmp_path: Path) -> None:
    """Where the generator is missing, jobs end with the reason, new ones are answered 503, and search goes on."""
    gone = str(tmp_path / "gone")
    with live(tiny_atlas, workspace=tmp_path, options=GeneratorOptions(gone, device="cpu")) as running:
        end = time.monotonic() + 60
        while (state := running.client.get("/api/state").json())["models"][-1]["phase"] != "failed":
            assert time.monotonic() < end
            time.sleep(0.05)
        assert gone in state["models"][-1]["reason"]
        assert (state["models"][0]["phase"], state["defaults"]) == ("ready", None)
        answer = running.client.post("/api/jobs", json={"recipe": {"prompt": "a"}})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert gone in answer.json()["error"]
        assert running.client.get(f"{running.version}/clip/similarity.bin?text=red").status_code == 200


def test_a_job_says_what_it_waits_for(tmp_path: Path) -> None:
    """While models load a job says which one it waits for; when the generator fails it ends with the reason."""
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(30)
        return "clip"

    def failing() -> str:
        raise ModelError("the weights are damaged; fetch them again")

    parts = (Part("clip", "a", slow), Part("generator", "b", failing))
    workspace = Workspace.open(tmp_path)
    with Studio(workspace, parts) as studio:
        assert begun.wait(30)
        ticket = studio.submit(Recipe("a red shape"))
        assert [state["phase"] for state in studio.state()["models"]] == [Phase.LOADING, Phase.WAITING]
        go_on.set()
        end = time.monotonic() + 30
        while not workspace.job(ticket.job).state.ended:
            assert time.monotonic() < end
            time.sleep(0.01)
        told = [(event.kind, *event.data.values()) for event in workspace.events(ticket.job)]
        assert told == [
            ("queued", 0),
            ("loading", "clip"),
            ("loading", "generator"),
            ("failed", "the generator b did not load: the weights are damaged; fetch them again"),
        ]
        with pytest.raises(ModelError, match="damaged"):
            studio.submit(Recipe("another"))
    workspace.close()


def test_models_wait_for_calm_or_a_job(tmp_path: Path) -> None:
    """Nothing is loaded until the time of calm is over; a job that comes sooner ends it."""
    loads = threading.Event()
    parts = (Part("generator", "a", lambda: loads.set() or "generator"),)  # type: ignore[func-returns-value]
    for calm, recipe in ((0.5, None), (3600.0, Recipe("a red shape"))):
        loads.clear()
        workspace = Workspace.open(tmp_path / str(calm))
        with Studio(workspace, parts, calm=calm) as studio:
            assert not loads.wait(0.1)
            if recipe:
                studio.submit(recipe)
            assert loads.wait(30)
        workspace.close()


def test_without_a_generator_nothing_is_taken_in(tmp_path: Path) -> None:
    """An atlas that names no generator refuses jobs and says what to do."""
    workspace = Workspace.open(tmp_path)
    with Studio(workspace, ()) as studio, pytest.raises(QueryError, match="--generator REF"):
        studio.submit(Recipe("a red shape"))
    assert workspace.jobs() == []
    workspace.close()


def test_a_part_that_breaks_is_told_and_the_next_one_loads() -> None:
    """Whatever a library throws while loading becomes one line, and the other parts load all the same."""

    def broken() -> str:
        raise RuntimeError("CUDA error: out of memory\nwith a long trace")

    loader = Loader((Part("clip", "a", broken), Part("generator", "b", lambda: "made")))
    assert [state.phase for state in loader.run()] == [Phase.LOADING, Phase.FAILED, Phase.LOADING, Phase.READY]
    assert loader.state("clip").reason == "RuntimeError: CUDA error: out of memory"
    assert (loader.loaded("clip"), loader.loaded("generator"), loader.state("vae")) == (None, "made", None)


def test_a_workspace_that_cannot_be_written_to_does_not_stop_the_studio(studio: Live) -> None:
    """A job whose end cannot be written down (a full disk) is lost alone: the next one runs."""
    workspace = studio.site.studio.workspace
    database = workspace._database
    job = studio.submit(steps=LONG)
    studio.events(job, until=is_kind("step"))
    with database.change() as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(FAIL, 'disk full'); END")
    idle(studio)
    with database.change() as connection:
        connection.execute("DROP TRIGGER full")
    workspace.interrupt_unfinished("made for a test")
    assert studio.events(studio.submit(steps=1))[-1]["kind"] == "done"


def test_numbers_that_json_lacks_leave_as_null() -> None:
    """A message is JSON for every browser, on one line, whatever a landing holds."""
    sent = message(Event(3, "done", {"percentile": float("nan"), "caption": "a\nb\u2028c", "at": (1.5, float("inf"))}))
    head, kind, data, *end = sent.decode().split("\n")
    assert (head, kind, end) == ("id: 3", "event: done", ["", ""])
    assert json.loads(data.removeprefix("data: ")) == {
        "seq": 3, "kind": "done", "percentile": None, "caption": "a\nb\u2028c", "at": [1.5, None]
    }  # fmt: skip
