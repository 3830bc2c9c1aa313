"""Builds that are killed again and again, while they fetch, encode, fit and publish; after each kill nothing is lost.

An atlas of 60 pictures is live; a corpus of 200 links, most of them good, is built into a copy of it. Each run of the
build is killed at a point drawn by chance, by stage and number of the change on the disk, and the next run goes on.
After every kill a fresh process holds the atlas against what had been acknowledged, and at the end of a chain every
byte against a build that nobody disturbed.

`python tests/torture.py --kills 1000 --figures FILE` goes on where it was stopped. All processes are forked from one
parent that has the libraries loaded and computes nothing, so that they start at once and without threads.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import color_encoders
import pyarrow as pa
import pyarrow.parquet as pq
from faults import STAGES, Disk, Fault, How
from hostile_web import Apart

import indexer.fetch.fetcher  # loaded before the forks
import indexer.prepared
import indexer.sources.parquet_urls  # noqa: F401 - the same
from explorer.atlas import Atlas
from explorer.decoding import LIGHT
from explorer.errors import ExplorerError
from explorer.layout import AtlasPaths
from explorer.manifest import Fetch, Manifest
from explorer.verify import verify
from indexer.build import index
from indexer.encode import EncodeOptions
from indexer.fetch.spool import Spool
from indexer.plan import BuildOptions
from indexer.project import MapOptions
from indexer.spaces import SpaceOptions

OLD, NEW = 60, 200
KILLED = -9


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
        seconds: that it took.
    """

    files: dict[str, str]
    steps: dict[str, int]
    seconds: float


@dataclass
class Oracle:
    """What had been acknowledged in a chain of runs, and must never be lost, made twice or fetched again.

    Attributes:
        results: name of a stage's result -> digest of its files.
        fetched: shard -> keys of the rows whose outcome lies whole in its spool.
        asked: link -> runs until its outcome was first found whole.
    """

    results: dict[str, str] = field(default_factory=dict)
    fetched: dict[str, set[str]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)


def forked(work: Callable[[], Any]) -> Ended:
    """Do something in a child; what it returns comes back as JSON."""
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
    multiprocessing.get_context("forkserver").set_forkserver_preload([*LIGHT, "indexer.prepared"])
    forkserver.ensure_running()


def _share_the_forkserver() -> None:
    """Let a child use its parent's: it asks after the process as if that were a child of its own."""
    wait, server = os.waitpid, forkserver._forkserver._forkserver_pid
    os.waitpid = lambda pid, flags: (0, 0) if pid == server else wait(pid, flags)


class Rig:
    """The web, the corpora, the live atlas and the undisturbed build that all chains are held against."""

    def __init__(self, root: Path, web: Apart) -> None:
        """Build what is needed, in children."""
        self.root, self.web = root, web
        root.mkdir(parents=True, exist_ok=True)
        start_the_forkserver()
        for name, count in (("old", OLD), ("new", NEW)):
            self._must(lambda name=name, count=count: write_links(root / f"{name}.parquet", web, count))
        self.old = root / "live"
        self._must(lambda: self.build(self.old, "old"))
        reference = self.copy("reference")
        started = time.monotonic()
        counts = self._must(lambda: self.build(reference, "new"))
        seconds = time.monotonic() - started
        self.undisturbed = Undisturbed(self._must(lambda: contents(reference)), counts["steps"], seconds)
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
        result = index(atlas, self.manifest(name), options(), encoders=color_encoders.encoders())
        return {"steps": dict(disk.counts), "version": result.version, "outcomes": dict(result.outcomes)}

    def _must(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - JSON
        ended = forked(work)
        assert ended.code == 0, ended
        return ended.told


def options() -> BuildOptions:
    """Small shards; principal components for a map, so that no child waits for a compiler."""
    return BuildOptions(
        encode=EncodeOptions(shard=32, batch=8),
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


def checked(rig: Rig, atlas: Path, oracle: Oracle, log: Path, run: int) -> dict[str, Any]:
    """In a fresh process: the live version is whole, and nothing that was acknowledged is lost or doubled.

    Returns:
        the oracle as it is now.
    """
    found = state(atlas)
    expected = rig.versions["new" if found["version"] == rig.versions["new"]["version"] else "old"]
    assert found == expected, "the live version is neither the old one nor the new one"
    acknowledged = Counter(log.read_text().splitlines())
    is_new = expected is rig.versions["new"]
    now = {path.name: digest_of(path) for path in results(atlas)}
    if not is_new:
        lost = {name: kept for name, kept in oracle.results.items() if now.get(name) != kept}
        assert not lost, f"finished results are lost or changed: {sorted(lost)}"
        renamed = {Path(line).name for line in acknowledged if line.startswith("build/") and line.count("/") == 1}
        absent = {name for name in renamed if "-" in name and not name.startswith(".")} - set(now)
        assert not absent, f"acknowledged results are absent: {sorted(absent)}"
    fetched = dict(spools(atlas))
    for shard, keys in {} if is_new else oracle.fetched.items():
        if shard not in now:
            assert keys <= fetched.get(shard, set()), f"fetched rows of {shard} are lost"
    for line, count in {} if is_new else acknowledged.items():
        shard = Path(line).stem
        if line.endswith(".spool") and shard not in now:
            assert len(fetched.get(shard, ())) >= count, f"{shard}: {count} rows were acknowledged"
    known = {key for keys in fetched.values() for key in keys} | encoded(atlas)
    asked = {**{key: run for key in known}, **oracle.asked}
    return asdict(Oracle(now, {name: sorted(keys) for name, keys in fetched.items()}, asked))


def results(atlas: Path) -> list[Path]:
    """The folders of finished results."""
    build = AtlasPaths(atlas).build
    return [path for path in sorted(build.glob("[!.]*-*")) if path.is_dir()]


def encoded(atlas: Path) -> set[str]:
    """Keys of the rows in finished shards; each row in one of them alone."""
    shards = [path for path in results(atlas) if path.name.startswith("encode-")]
    keys = [key for path in shards for key in pq.read_table(path / "rows.parquet")["key"].to_pylist()]
    return set(keys)


def digest_of(folder: Path) -> str:
    """sha256 over a folder's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def spools(atlas: Path) -> Iterator[tuple[str, set[str]]]:
    """Shard -> keys of the rows in its spool; read from a copy, since opening a spool mends it."""
    folder = AtlasPaths(atlas).build / "fetch"
    for path in sorted(folder.glob("*.spool")):
        copy = atlas.with_name(f"{atlas.name}-spools") / path.name
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, copy)
        spool = Spool(copy)
        yield path.stem, set(spool.entries)
        spool.close()


@dataclass
class Chain:
    """Runs of one build, each killed, until one ends by itself.

    Attributes:
        kills: what was killed: stage, number and kind of each.
        landed: how many of them ended the process, which its exit code of -9 says.
    """

    rig: Rig
    seed: int
    kills: list[dict[str, Any]] = field(default_factory=list)
    oracle: Oracle = field(default_factory=Oracle)

    def run(self, most: int) -> None:
        """Kill at most `most` times, then let it end, and hold the end against the undisturbed build."""
        chance = random.Random(self.seed)
        atlas = self.rig.copy(f"chain-{self.seed}")
        log = atlas.with_name(f"{atlas.name}.log")
        log.write_text("")
        before = self.rig.web.hits()
        stages = [stage for stage in STAGES if self.rig.undisturbed.steps.get(stage)]
        first = stages[self.seed % len(stages)]
        for number in range(1, 1000):
            # The first kill goes round the stages; the others fall where the build can still be.
            stage = first if number == 1 else chance.choice(stages[stages.index(first) :][:3])
            fault = self._drawn(chance, stage) if len(self.kills) < most else None
            ended = forked(lambda fault=fault: self.rig.build(atlas, fault=fault, log=log))
            if ended.code == 0:
                break
            assert ended.code == KILLED, ended
            self.kills.append({"seed": self.seed, "stage": stage, "number": fault.number, "how": fault.how})
            self._check(atlas, log, number)
            first = stage
        self._end(atlas, log, before, ended)

    def _drawn(self, chance: random.Random, stage: str) -> Fault:
        number = chance.randint(1, self.rig.undisturbed.steps[stage])
        return Fault(chance.choice((How.KILL, How.TEAR)), number, stage)

    def _check(self, atlas: Path, log: Path, number: int) -> None:
        told = forked(lambda: checked(self.rig, atlas, self.oracle, log, number))
        assert told.code == 0, (self.kills[-1], told)
        self.oracle = Oracle(
            told.told["results"], {name: set(keys) for name, keys in told.told["fetched"].items()}, told.told["asked"]
        )

    def _end(self, atlas: Path, log: Path, before: Counter[str], ended: Ended) -> None:
        """The finished build equals the undisturbed one in every byte, and no link was asked for once too often."""
        assert forked(lambda: state(atlas)).told == self.rig.versions["new"]
        files = forked(lambda: contents(atlas)).told
        differing = {
            name
            for name in files.keys() | self.rig.undisturbed.files
            if files.get(name) != self.rig.undisturbed.files.get(name)
        }
        assert not differing, f"seed {self.seed}: {sorted(differing)} differ from the undisturbed build"
        runs = len(self.kills) + 1
        for path, asked in (self.rig.web.hits() - before).items():
            key = next((key for key in self.oracle.asked if key.endswith(path)), "")
            assert path == "/robots.txt" or asked <= self.oracle.asked.get(key, runs), f"{path}: asked {asked} times"
        assert not ended.told or ended.told["version"] == self.rig.versions["new"]["version"]
        for path in (atlas, atlas.with_name(f"{atlas.name}-spools")):
            shutil.rmtree(path, ignore_errors=True)
        log.unlink()
