"""A build that can be disturbed: a web of 200 links, a live atlas, and the same build that nobody disturbed.

All processes are forked from one parent that has the libraries loaded and computes nothing, so that they start at once
and without threads.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from color_encoders import SPACES, ColorEncoder
from faults import Disk, Fault
from hostile_web import Apart

import indexer.encoding.prepared
import indexer.fetch.fetcher  # loaded before the forks
import indexer.sources.parquet_urls  # noqa: F401 - the same
from explorer.atlas import Atlas
from explorer.decoding import LIGHT
from explorer.errors import ExplorerError
from explorer.layout import AtlasPaths
from explorer.manifest import Fetch, Manifest
from explorer.records import Space
from explorer.verify import verify
from indexer.build import index
from indexer.encoding.encode import EncodeOptions
from indexer.mapping.project import MapOptions
from indexer.mapping.spaces import SpaceOptions
from indexer.plan import BuildOptions

OLD, NEW, SHARD = 60, 200, 32
ENCODED = "encoded"
"""Begins a line of the log."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its exit code, negative for a signal, and what it told."""

    code: int
    told: Any = None


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """A build that nobody disturbed.

    Attributes:
        files: every file of its version -> sha256.
        steps: stage -> changes on the disk.
        pictures: that it encoded.
    """

    files: dict[str, str]
    steps: dict[str, int]
    pictures: int


def forked(work: Callable[[], Any]) -> Ended:
    """Do something in a child; what it returns comes back as JSON."""
    start_the_forkserver()  # a child that is killed while it asks for a worker takes it along
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _share_the_forkserver()
            os.close(reading)
            told = json.dumps(work()).encode()
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(told)
            code = 0
        except ExplorerError as error:
            os.write(writing, json.dumps(str(error)).encode())
            code = 2
        except BaseException:  # the child ends here, whatever it is
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Ended(code, json.loads(told) if told else None)


def start_the_forkserver() -> None:
    """Start the one process that all builds get their workers from; each would wait a second for one of its own."""
    multiprocessing.get_context("forkserver").set_forkserver_preload([*LIGHT, "indexer.encoding.prepared"])
    forkserver.ensure_running()


def _share_the_forkserver() -> None:
    """Let a child use its parent's: it asks after the process as if that were a child of its own."""
    wait, server = os.waitpid, forkserver._forkserver._forkserver_pid
    os.waitpid = lambda pid, flags: (0, 0) if pid == server else wait(pid, flags)


@dataclass
class LoggedEncoder(ColorEncoder):
    """Tells a file how many pictures it encodes."""

    log: Path | None = None

    def encode(self, squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """See `indexer.encoding.encoders.Encoder`."""
        if self.log is not None:
            with self.log.open("a") as handle:
                handle.write(f"{ENCODED} {len(squares)}\n")
        return super().encode(squares)


class Rig:
    """The web, the corpora, the live atlas and the undisturbed build that all chains are held against."""

    def __init__(
        self, root: Path, web: Apart, old: int = OLD, new: int = NEW, spaces: Sequence[Space] = SPACES
    ) -> None:
        """Build what is needed, in children; `old` and `new` are the rows of the two corpora."""
        self.root, self.web, self.new, self._spaces = root, web, new, spaces
        root.mkdir(parents=True, exist_ok=True)
        start_the_forkserver()
        for name, count in (("old", old), ("new", new)):
            self._must(lambda name=name, count=count: write_links(root / f"{name}.parquet", web, count))
        self.old = root / "live"
        self._must(lambda: self.build(self.old, "old"))
        reference = self.copy("reference")
        done = self._must(lambda: self.build(reference))
        self.undisturbed = Undisturbed(self._must(lambda: contents(reference)), done["steps"], done["pictures"])
        self.versions = {"old": self._must(lambda: state(self.old)), "new": self._must(lambda: state(reference))}

    def copy(self, name: str) -> Path:
        """A copy of the live atlas."""
        shutil.rmtree(self.root / name, ignore_errors=True)
        return Path(shutil.copytree(self.old, self.root / name))

    def manifest(self, name: str) -> Manifest:
        """Of the corpus `old` or `new`."""
        return Manifest(
            kind="parquet-urls",
            base=self.root,
            path=f"{name}.parquet",
            date="2026-01-01",
            fetch=Fetch(
                contact="torture@example.org",
                timeout=60,
                retries=0,
                per_host=8,
                allow_networks=("127.0.0.0/8",),
                allow_ports=(self.web.port, self.web.refused),
            ),
        )

    def build(self, atlas: Path, name: str = "new", fault: Fault | None = None, log: Path | None = None) -> Any:  # noqa: ANN401 - JSON
        """Build in this process; what it tells is how often it changed the disk, by stage."""
        disk = Disk(atlas, fault, log)
        encoders = self.encoders(log)
        result = index(atlas, self.manifest(name), options(), encoders=encoders)
        return {
            "steps": disk.counts,
            "first": disk.first,
            "outcomes": result.outcomes,
            "pictures": encoders[0].pictures,
        }

    def encoders(self, log: Path | None = None) -> tuple[ColorEncoder, ...]:
        """One a space; the first tells the log what it encodes."""
        first, *others = self._spaces
        return (LoggedEncoder(first, 24, log=log), *(ColorEncoder(space, 16) for space in others))

    def _must(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - JSON
        ended = forked(work)
        assert ended.code == 0, ended
        return ended.told


def options() -> BuildOptions:
    """Small shards; principal components for a map, so that no child waits for a compiler."""
    return BuildOptions(
        encode=EncodeOptions(shard=SHARD, batch=8),
        spaces=SpaceOptions(map=MapOptions(fewest=10**6)),
        device="cpu",
        reproducible=True,
    )


def write_links(path: Path, web: Apart, count: int) -> None:
    """A LAION-schema Parquet: of every twenty links one is dead, one no picture, one opted out, one another's copy."""
    odd = {3: "status/404/{}", 7: "body/html/{}", 11: "tagged/{}?noai", 13: "cut/{}"}
    links = []
    for number in range(count):
        path_ = odd.get(number % 20, "picture/{}/96").format(number)
        links.append(web.url(path_, host=number % 40))
        if number % 20 == 17:
            links[-1] = links[number - 1]
        if number % 20 == 19:
            links[-1] = f"http://127.0.0.1:{web.refused}/{number}"
    table = {
        "URL": links,
        "TEXT": [f"picture {number}" for number in range(count)],
        "punsafe": pa.array([0.1] * count, pa.float32()),
    }
    pq.write_table(pa.table(table), path)


def contents(atlas: Path) -> dict[str, str]:
    """Every file of the live version, and CURRENT -> sha256."""
    paths = AtlasPaths(atlas)
    version = paths.version(paths.current.read_text().strip())
    files = [paths.current, version.meta, *version.files()]
    return {path.relative_to(atlas).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def state(atlas: Path) -> dict[str, Any]:
    """The live version as a reader finds it; every file verified, every picture there."""
    assert verify(atlas) == []
    opened = Atlas.open(atlas)
    records = opened.records(opened.ids)
    assert len({record.id for record in records}) == len({record.key for record in records}) == len(records)
    assert all(opened.thumbnail(record.id)[8:12] == b"WEBP" for record in records)
    return {"version": opened.version, "ids": {record.key: record.id for record in records}}
