"""The workspace: jobs with their events, generated pictures, selections; for threads, processes and broken disks."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from explorer.errors import AtlasError, QueryError
from explorer.jobs import JobState
from explorer.landing import Landing, SpaceLanding, Verdict, VerdictName
from explorer.records import Hit, Recipe, Split, TrajectoryStep, to_json
from explorer.workspace import FILE, Workspace

RECIPE = Recipe(prompt='一只猫 "quoted"', negative="dog", seed=7, steps=2, guidance=2.5, generator="demo", width=64)
HIT = Hit(1000, 0.9, 80.0, Split.TRAIN, "red", None, "https://pictures.example/", "CC0", (1.0, 2.0, 3.0), None, "red-0")
LANDING = Landing(
    {"clip": SpaceLanding((0.5, -1.0, 2.0), 0.25, None, (HIT,), via="latent")},
    Verdict(VerdictName.TYPICAL, "between 1 and 99"),
    ("a note",),
)
STEPS = (
    TrajectoryStep(1, 999.0, {"clip": (0.0, 0.0, 0.0)}, {"clip": 1000}, {"clip": 0.1}),
    TrajectoryStep(2, 0.0, {"clip": (1.0, 1.0, 1.0)}, {"clip": 1000}, {"clip": 0.9}),
)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """An empty workspace."""
    opened = Workspace.open(tmp_path / "workspace")
    yield opened
    opened.close()


def test_a_job_goes_its_way(workspace: Workspace) -> None:
    """From queued over running to done, with its recipe as it was given."""
    job = workspace.add_job(RECIPE)
    assert (job.state, job.recipe, job.generation, job.error) == (JobState.QUEUED, RECIPE, None, None)
    assert workspace.job(job.id) == job
    assert workspace.set_job(job.id, JobState.RUNNING)
    assert not JobState.RUNNING.ended
    picture = workspace.add_generation(b"png", RECIPE, LANDING, STEPS)
    event = workspace.end_job(job.id, JobState.DONE, {"image": "/x.png"}, generation=picture)
    found = workspace.job(job.id)
    assert found is not None
    assert (found.state, found.generation) == (JobState.DONE, picture)
    assert workspace.events(job.id) == [event]
    assert workspace.job("unknown") is None


def test_ids_cannot_be_guessed(workspace: Workspace) -> None:
    """A job's id is random, 128 bits of it, and jobs list newest first."""
    jobs = [workspace.add_job(RECIPE) for _ in range(20)]
    assert len({job.id for job in jobs}) == 20
    assert all(len(job.id) >= 22 for job in jobs)
    assert [job.id for job in workspace.jobs(limit=5)] == [job.id for job in jobs[:-6:-1]]


@pytest.mark.parametrize("end", [state for state in JobState if state.ended])
def test_an_end_is_final(workspace: Workspace, end: JobState) -> None:
    """What ended stays as it ended, whoever reports another end later, and has one last event."""
    job = workspace.add_job(RECIPE)
    assert workspace.end_job(job.id, end, {"n": 1}, error="first") is not None
    assert workspace.end_job(job.id, JobState.DONE, {"n": 2}) is None
    assert not workspace.set_job(job.id, JobState.RUNNING)
    found = workspace.job(job.id)
    assert found is not None
    assert (found.state, found.error) == (end, "first")
    assert [(event.kind, event.data) for event in workspace.events(job.id)] == [(end.value, {"n": 1})]


def test_events_are_numbered_and_can_be_read_from_any_point(workspace: Workspace) -> None:
    """Whoever joins again asks for what came after the last number seen; each job counts for itself."""
    first, second = workspace.add_job(RECIPE), workspace.add_job(RECIPE)
    for step in range(1, 6):
        assert workspace.add_event(first.id, "step", {"step": step, "text": "é猫"}).seq == step
    workspace.add_event(second.id, "queued", {})
    assert [event.data["step"] for event in workspace.events(first.id, after=3)] == [4, 5]
    assert [event.seq for event in workspace.events(second.id)] == [1]
    assert workspace.events(first.id, after=5) == []


def test_unfinished_jobs_are_interrupted(workspace: Workspace) -> None:
    """A new owner ends what the last one left, each with its last event, and touches nothing that had ended."""
    queued, running, done = (workspace.add_job(RECIPE) for _ in range(3))
    workspace.set_job(running.id, JobState.RUNNING)
    workspace.end_job(done.id, JobState.DONE, {})
    assert workspace.interrupt_unfinished("stopped") == [queued.id, running.id]
    for job in (queued, running):
        found = workspace.job(job.id)
        assert found is not None
        assert (found.state, found.error) == (JobState.INTERRUPTED, "stopped")
        assert [(e.kind, e.data) for e in workspace.events(job.id)] == [("interrupted", {"error": "stopped"})]
    assert workspace.interrupt_unfinished("again") == []


def test_a_picture_is_kept_with_all_that_was_found_out(tmp_path: Path) -> None:
    """Picture, recipe, landing, trajectory and previews are there after closing and opening again."""
    with_it = Workspace.open(tmp_path)
    identity = with_it.add_generation(b"\x89PNG", RECIPE, LANDING, STEPS, [b"one", b"two"])
    with_it.close()
    workspace = Workspace.open(tmp_path)
    found = workspace.generation(identity)
    assert (found.id, found.recipe) == (identity, RECIPE)
    assert found.landing["spaces"]["clip"]["hits"][0]["caption"] == "red"
    assert found.landing["spaces"]["clip"]["percentile"] is None
    verdict = {"name": "typical", "rule": "between 1 and 99", "numbers": {}, "limits": "", "match": None}
    assert found.landing["verdict"] == verdict
    assert [step["nearest"] for step in found.trajectory] == [{"clip": 1000}] * 2
    assert workspace.picture(identity) == b"\x89PNG"
    assert [workspace.preview(identity, step) for step in (0, 1, 2, 3)] == [None, b"one", b"two", None]
    assert [generation.id for generation in workspace.generations()] == [identity]
    assert to_json(LANDING)["notes"] == ("a note",)
    workspace.close()


def test_a_deleted_picture_leaves_nothing(workspace: Workspace, tmp_path: Path) -> None:
    """Deleting takes picture, previews, job and events, and other pictures stay; its id is not given again."""
    report = {"schema": 1}
    kept, gone = (workspace.add_generation(b"png", RECIPE, LANDING, STEPS, [b"preview"], report) for _ in range(2))
    assert workspace.report(gone) == report and workspace.has_report(gone)
    job = workspace.add_job(RECIPE)
    key = workspace.claim(job.id)
    workspace.end_job(job.id, JobState.DONE, {"landing": {}}, generation=gone)
    assert workspace.delete_generation(gone)
    assert not workspace.delete_generation(gone)
    for ask in (workspace.generation, workspace.picture):
        with pytest.raises(QueryError, match=f"found no generated picture {gone}"):
            ask(gone)
    assert workspace.preview(gone, 1) is None
    assert workspace.report(gone) is None and not workspace.has_report(gone)
    assert not workspace.is_maker(job.id, key)
    assert workspace.job(job.id) is None
    assert workspace.events(job.id) == []
    assert workspace.picture(kept) == b"png"
    assert workspace.add_generation(b"png", RECIPE, LANDING, STEPS) not in (kept, gone)


def test_a_deleted_picture_is_in_no_byte_of_the_files(workspace: Workspace, tmp_path: Path) -> None:
    """Neither file nor journal holds it, while the workspace stays open; what else is there stays."""
    picture, other = os.urandom(20_000), os.urandom(20_000)
    report = {"words": "all of the report"}
    gone = workspace.add_generation(picture, RECIPE, LANDING, STEPS, [b"a preview of it"], report)
    kept = workspace.add_generation(other, RECIPE, LANDING, STEPS)

    def held(needle: bytes) -> bool:
        return any(needle in path.read_bytes() for path in (tmp_path / "workspace").iterdir())

    needles = (picture[:64], b"a preview of it", b"all of the report")
    assert all(map(held, needles))
    assert workspace.delete_generation(gone)
    assert not any(map(held, needles))
    assert held(other[:64]) and workspace.picture(kept) == other


def test_only_its_maker_has_the_key(workspace: Workspace, tmp_path: Path) -> None:
    """A key is good for its own job alone, and not to be found in the file."""
    one, other = workspace.add_job(RECIPE), workspace.add_job(RECIPE)
    key = workspace.claim(one.id)
    assert workspace.is_maker(one.id, key) and len(key) >= 20
    assert not any(workspace.is_maker(*each) for each in ((other.id, key), (one.id, ""), (one.id, "é"), ("none", key)))
    files = [path.read_bytes() for path in (tmp_path / "workspace").iterdir()]
    assert any(one.id.encode() in data for data in files) and not any(key.encode() in data for data in files)


def test_a_workspace_of_an_earlier_version_opens(tmp_path: Path) -> None:
    """Tables that came later are added to a file that has none of them, and what is in it stays."""
    workspace = Workspace.open(tmp_path)
    kept = workspace.add_generation(b"png", RECIPE, LANDING, STEPS)
    workspace.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("DROP TABLE reports")
        connection.execute("DROP TABLE makers")
    workspace = Workspace.open(tmp_path)
    assert workspace.report(kept) is None and workspace.picture(kept) == b"png"
    assert workspace.report(workspace.add_generation(b"png", RECIPE, LANDING, STEPS, report={"schema": 1}))
    workspace.close()


def test_selections_are_kept_by_name(workspace: Workspace) -> None:
    """A selection is saved, replaced, listed by name and deleted."""
    workspace.save_selection("猫", [3, 1, 2**60])
    workspace.save_selection(" birds ", [5])
    workspace.save_selection("birds", [6, 7])
    assert [(found.name, found.ids) for found in workspace.selections()] == [("birds", (6, 7)), ("猫", (3, 1, 2**60))]
    assert workspace.delete_selection("birds")
    assert not workspace.delete_selection("birds")
    for name in ("", "  ", "x" * 201):
        with pytest.raises(QueryError, match="expected 1 to 200"):
            workspace.save_selection(name, [1])


def test_texts_are_values_and_never_sql(workspace: Workspace) -> None:
    """Whatever a name holds, it is a name."""
    name = "'); DROP TABLE jobs; --"
    workspace.save_selection(name, [1])
    assert [found.name for found in workspace.selections()] == [name]
    assert workspace.job(name) is None
    assert workspace.jobs() == []


def test_many_threads_write_at_once(workspace: Workspace) -> None:
    """Eight threads write events of one job and jobs of their own: nothing is lost, no number is given twice."""
    job = workspace.add_job(RECIPE)
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        for step in range(25):
            workspace.add_event(job.id, "step", {"thread": number, "step": step})
        workspace.add_job(RECIPE)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    events = workspace.events(job.id)
    assert [event.seq for event in events] == list(range(1, 201))
    assert {(event.data["thread"], event.data["step"]) for event in events} == {
        (thread, step) for thread in range(8) for step in range(25)
    }
    assert len(workspace.jobs()) == 9


def test_only_one_of_many_ends_counts(workspace: Workspace) -> None:
    """Eight threads end one job at once: one of them succeeds."""
    job = workspace.add_job(RECIPE)
    start = threading.Barrier(8)

    def end(number: int) -> bool:
        start.wait()
        return workspace.end_job(job.id, JobState.CANCELLED, {"by": number}) is not None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(end, range(8))) == 1
    assert len(workspace.events(job.id)) == 1


def test_two_opened_workspaces_see_each_other(tmp_path: Path) -> None:
    """What one reader of a folder writes the other reads at once, as two processes would."""
    first, second = Workspace.open(tmp_path), Workspace.open(tmp_path)
    job = first.add_job(RECIPE)
    assert second.job(job.id) == job
    assert second.set_job(job.id, JobState.RUNNING)
    second.close()
    found = first.job(job.id)
    assert found is not None
    assert found.state is JobState.RUNNING
    first.close()


def test_a_killed_process_loses_nothing_that_was_written(tmp_path: Path) -> None:
    """A process that is killed in the middle leaves every event that it had finished writing, and a usable file."""
    program = """
import sys
from explorer.records import (Recipe)
from explorer.workspace import Workspace
workspace = Workspace.open(sys.argv[1])
job = workspace.add_job(Recipe(prompt="x"))
for step in range(10**6):
    workspace.add_event(job.id, "step", {"step": step})
    print(job.id, step, flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = [child.stdout.readline().split() for _ in range(50)]
    child.kill()
    acknowledged += [line.split() for line in child.stdout.read().splitlines() if len(line.split()) == 2]
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    workspace = Workspace.open(tmp_path)
    job = acknowledged[0][0]
    steps = [event.data["step"] for event in workspace.events(job)]
    assert steps == list(range(len(steps)))
    assert len(steps) >= len(acknowledged) >= 50
    assert workspace.interrupt_unfinished("stopped") == [job]
    workspace.close()


def test_a_full_disk_is_explained_and_survived(tmp_path: Path) -> None:
    """Where nothing more can be written one line says so, nothing is half written, and reading goes on."""
    workspace = Workspace.open(tmp_path)
    kept = workspace.add_generation(b"png", RECIPE, LANDING, STEPS)
    pages = workspace._database.row("PRAGMA page_count")
    assert pages is not None
    workspace._database.rows(f"PRAGMA max_page_count = {pages[0]}")
    with pytest.raises(AtlasError, match="cannot be written.*full") as caught:
        workspace.add_generation(b"png" * 100_000, RECIPE, LANDING, STEPS, [b"preview" * 10_000])
    assert "\n" not in str(caught.value)
    assert [generation.id for generation in workspace.generations()] == [kept]
    workspace._database.rows("PRAGMA max_page_count = 1000000")
    assert workspace.add_generation(b"png" * 100_000, RECIPE, LANDING, STEPS) > kept
    workspace.close()


def test_a_failed_change_changes_nothing(workspace: Workspace) -> None:
    """A landing that is no JSON is refused whole: neither picture nor preview is kept."""
    broken = Landing({"clip": SpaceLanding((float("nan"), 0.0, 0.0), 0.0, 1.0, ())}, LANDING.verdict)
    with pytest.raises(ValueError, match="JSON"):
        workspace.add_generation(b"png", RECIPE, broken, STEPS, [b"preview"])
    with pytest.raises(TypeError, match="JSON"):
        workspace.add_event("job", "step", {"bytes": b"no JSON"})
    assert workspace.generations() == []
    assert workspace.add_job(RECIPE).state is JobState.QUEUED


def test_another_schema_and_a_broken_file_are_refused(tmp_path: Path) -> None:
    """A workspace of another version, a file that is no database and a folder that cannot be are one line each."""
    Workspace.open(tmp_path / "new").close()
    connection = sqlite3.connect(tmp_path / "new" / FILE)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(AtlasError, match="found schema 2, expected 1; use the version that wrote it"):
        Workspace.open(tmp_path / "new")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / FILE).write_bytes(b"no database at all" * 100)
    with pytest.raises(AtlasError, match="cannot be used"):
        Workspace.open(tmp_path / "bad")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AtlasError, match="cannot be opened"):
        Workspace.open(tmp_path / "file")
