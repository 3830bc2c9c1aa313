"""The real app on a real port of this machine, for as long as a test needs it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import tiny_models
from small_atlas import SmallAtlas

from explorer.atlas import Atlas
from webapp import server
from webapp.app import create_app
from webapp.jobs import CAPACITY
from webapp.site import GeneratorOptions, Site, open_site

PATIENCE = 120.0
"""Seconds that a test waits for models that another process may be slowing down."""

ON_CPU = GeneratorOptions(device="cpu")


@dataclass(frozen=True)
class Live:
    """A running app and a client that asks it."""

    url: str
    site: Site
    client: httpx.Client = field(repr=False)

    @property
    def version(self) -> str:
        """The start of every address that names the version."""
        return f"/api/v/{self.site.atlas.version}"

    def submit(self, prompt: str = "a red shape", **recipe: Any) -> str:  # noqa: ANN401 - a recipe's values
        """Hand a recipe in; return the job's id."""
        answer = self.client.post("/api/jobs", json={"recipe": {"prompt": prompt, **recipe}})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job"])

    def events(self, job: str, after: int = 0, until: Callable[[dict[str, Any]], bool] | None = None) -> list[Any]:
        """A job's events, as a browser would hear them, to the stream's end or the first that `until` holds for."""
        heard = []
        with self.client.stream("GET", f"/api/jobs/{job}/events", params={"after": after}, timeout=PATIENCE) as stream:
            assert stream.status_code == 200, stream.read()
            for event in messages(stream):
                heard.append(event)
                if until and until(event):
                    break
        return heard


def messages(stream: httpx.Response) -> Iterator[dict[str, Any]]:
    """The messages of an event stream, checked against its form: id, event, data, a blank line."""
    lines: list[str] = []
    for line in stream.iter_lines():
        if line.startswith(":"):
            continue
        if line:
            lines.append(line)
        elif lines:
            fields = dict(part.split(": ", 1) for part in lines)
            assert list(fields) == ["id", "event", "data"]
            event = json.loads(fields["data"])
            assert (str(event["seq"]), event["kind"]) == (fields["id"], fields["event"])
            yield event
            lines = []


def is_kind(*kinds: str) -> Callable[[dict[str, Any]], bool]:
    """A test for `Live.events`: whether an event is of one of these kinds."""
    return lambda event: event["kind"] in kinds


def tiny_atlas(root: Path, clip: Path, pipeline: Path) -> Path:
    """The small atlas with vectors of the tiny models' sizes, so that their pictures can land in it."""
    models = {"clip": {"reference": str(clip)}, "vae": {"reference": str(pipeline)}}
    dims = {"clip": tiny_models.CLIP_DIM, "vae": 4 * 8 * 8}
    return SmallAtlas(dims=dims, extra_meta={"models": {**models, "generator": {"reference": str(pipeline)}}}).write(
        root
    )


@contextmanager
def live(
    atlas: Path,
    *,
    workspace: Path | None = None,
    capacity: int = CAPACITY,
    options: GeneratorOptions = ON_CPU,
    uploads: bool = True,
) -> Iterator[Live]:
    """Serve an atlas on a free port until the block ends."""
    site = open_site(Atlas.open(atlas, workspace=workspace), options, capacity=capacity, uploads=uploads)
    listening = server.listen("127.0.0.1", 0)
    url = server.url(listening, "127.0.0.1")
    ready = threading.Event()
    with closing(site.studio.workspace), site.studio:
        running = server.Server(create_app(site).server, ready.set, site.studio.close)
        thread = threading.Thread(target=running.run, args=([listening],))
        thread.start()
        with httpx.Client(base_url=url, timeout=30.0) as client:
            try:
                assert ready.wait(PATIENCE)
                yield Live(url, site, client)
            finally:
                running.should_exit = True
                thread.join(PATIENCE)
                assert not thread.is_alive(), "the server did not end"
