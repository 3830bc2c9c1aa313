"""`serve` on an atlas out of vectors: how soon it answers, what it holds in memory, and how long each address takes.

The process is started anew for each run, with its cache warm; the clock runs from its start to the first answer of a
search over HTTP. Memory is what the process alone has and its share of what others have too (PSS, of Linux), without
the models: a copy of the atlas names none. The rest is asked of it by one client on loopback, one question at a time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import httpx
import numpy as np
import psutil

from benchmarks import atlases
from benchmarks.parts import Part
from benchmarks.rows import Figure, Row, Times, duration, held, milliseconds
from benchmarks.vectors import Data
from benchmarks.watch import tree
from explorer.atlas import Atlas
from explorer.layout import AtlasPaths

SIZES = {10_000: 2.0, 100_000: 3.0, 1_000_000: 8.0}
"""Pictures -> minutes, the atlas given."""
STARTS, ASKED, WIDE = 5, 50, 5
"""Processes started; questions to an address; questions to one that goes through every vector or record."""
MOST_START, MOST_RECORD = 3.0, 0.1
"""Seconds to the first answer, and to a record."""
MOST_SHARE, MOST_MORE = 1.6, 300e6
"""Memory: times index and vectors, and bytes more."""
PATIENCE = 300.0
MEGA = 1e6


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds on the clock, and of the processor."""

    seconds: float
    processor: float

    def __str__(self) -> str:
        return f"{duration(self.seconds)} ({duration(self.processor)} of processor)"


@dataclass(frozen=True, slots=True)
class Serving:
    """A `serve` that answers.

    Attributes:
        process: it.
        client: asks it.
        start: of the addresses of its version.
        first: from its start to the first answer of a search.
    """

    process: psutil.Process
    client: httpx.Client
    start: str
    first: Spent

    def memory(self) -> int:
        """Bytes, PSS."""
        return sum(each.memory_full_info().pss for each in tree(self.process))

    def times(self, address: str, ids: list[int], repeats: int) -> Times:
        """Ask an address again and again; {id} is another picture each time."""
        seconds = []
        for identity in ids[:repeats]:
            started = time.perf_counter()
            self.client.get(f"{self.start}/{address.format(id=identity)}").raise_for_status()
            seconds.append(time.perf_counter() - started)
        return Times(tuple(seconds))


ADDRESSES = {
    "record/{id}.json": ASKED,
    "search.json?id={id}": ASKED,
    "clip/similarity.bin?id={id}": WIDE,
    "matches.bin?where=id > {id}": WIDE,
}
"""What is asked, and how often."""


def measure(data: Data, n: int) -> Iterator[Row]:
    """Start, memory, and the addresses."""
    path = atlases.atlas(data, n)
    bare = without_models(path)
    ids = picked(path)
    with serving(bare, ids[0]):
        pass  # the cache is warm from here on
    alone, beside = starts(bare, ids[0]), starts(path, ids[0])
    yield Row(
        f"`serve`, from its start to the first search answered, {n:,}, median of {STARTS}",
        str(alone),
        f"with the models loading meanwhile {beside}",
        bar=f"at most {MOST_START:.0f} s: {held(max(alone.seconds, beside.seconds), MOST_START)}",
        data=data.says,
        figures=(Figure("serve, first answer", n, alone.seconds, "s"),),
    )
    with serving(bare, ids[0]) as running:
        first = running.memory()
        yield from _addresses(running, ids, data, n)
        yield _liveliness(running, ids, data, n)
        yield _memory(running, first, bare, data, n)


def starts(path: Path, identity: int) -> Spent:
    """What the first answer takes, the medians of some starts."""
    spent = []
    for _ in range(STARTS):
        with serving(path, identity) as running:
            spent.append(running.first)
    return Spent(median(each.seconds for each in spent), median(each.processor for each in spent))


def _addresses(running: Serving, ids: list[int], data: Data, n: int) -> Iterator[Row]:
    for address, repeats in ADDRESSES.items():
        running.times(address, ids[-2:], 2)
        times = running.times(address, ids, repeats)
        is_record = address.startswith("record")
        bar = f"at most {milliseconds(MOST_RECORD)}: {held(times.p99, MOST_RECORD)}" if is_record else ""
        yield Row(
            f"`{address}`, {n:,}, over loopback, {repeats} times",
            f"p50 {milliseconds(times.p50)}, p99 {milliseconds(times.p99)}",
            bar=bar,
            data=data.says,
            figures=(Figure(f"serve, {address.partition('?')[0]}", n, times.p50 * 1e3, "ms"),),
        )


def _liveliness(running: Serving, ids: list[int], data: Data, n: int) -> Row:
    """How long a small answer takes while another client asks for what goes through every vector."""
    ended = threading.Event()

    def wide() -> None:
        with httpx.Client(base_url=running.client.base_url, timeout=PATIENCE) as other:
            for identity in ids[:WIDE]:
                other.get(f"{running.start}/clip/similarity.bin?id={identity}")
        ended.set()

    alone = running.times("record/{id}.json", ids, ASKED)
    threading.Thread(target=wide, daemon=True).start()
    seconds: list[float] = []
    while not ended.is_set():
        seconds += running.times("record/{id}.json", ids[len(seconds) % len(ids) :], 1).seconds
    beside = Times(tuple(seconds))
    return Row(
        f"a record while another asks for similarities, {n:,}",
        f"p50 {milliseconds(beside.p50)}, p99 {milliseconds(beside.p99)}",
        f"alone p50 {milliseconds(alone.p50)}",
        beside.p50 / alone.p50,
        data=data.says,
    )


def _memory(running: Serving, first: int, path: Path, data: Data, n: int) -> Row:
    now = running.memory()
    held_bytes = sizes(path)
    bound = MOST_SHARE * held_bytes + MOST_MORE
    return Row(
        f"memory of `serve` without models (PSS), {n:,}, after all of these",
        f"{now / MEGA:,.0f} MB; {first / MEGA:,.0f} MB after the first answer",
        f"index and vectors {held_bytes / MEGA:,.0f} MB",
        now / held_bytes,
        f"at most {MOST_SHARE} times that and {MOST_MORE / MEGA:.0f} MB: {held(now, bound)}",
        data.says,
        (Figure("serve, memory", n, now / MEGA, "MB"),),
    )


@contextmanager
def serving(path: Path, identity: int) -> Iterator[Serving]:
    """Serve an atlas, and wait for its first answer to a search."""
    started = time.perf_counter()
    command = atlases.verb("serve", path, "--port", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        try:
            told = json.loads(process.stdout.readline())
            with httpx.Client(base_url=told["url"], timeout=PATIENCE) as client:
                start = f"/api/v/{told['version']}"
                client.get(f"{start}/search.json?id={identity}").raise_for_status()
                seconds, itself = time.perf_counter() - started, psutil.Process(process.pid)
                times = itself.cpu_times()
                yield Serving(itself, client, start, Spent(seconds, times.user + times.system))
        finally:
            process.terminate()


def picked(path: Path) -> list[int]:
    """Ids of some pictures from all over an atlas, in a random order."""
    ids = Atlas.open(path).ids
    return np.random.default_rng(0).choice(ids, min(len(ids), 4 * ASKED), replace=False).tolist()


def sizes(path: Path) -> int:
    """Bytes of an atlas's vectors, and of the indexes in its cache."""
    vectors = sum(file.stat().st_size for file in path.glob("versions/*/*/vectors.npy"))
    return vectors + sum(file.stat().st_size for file in path.glob("cache/*.faiss"))


def without_models(path: Path) -> Path:
    """A copy of an atlas that names no models; its files are links to the same bytes."""
    copy = path.with_name(f"{path.name}-bare")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(
        path, copy, copy_function=os.link, ignore=shutil.ignore_patterns("workspace", "build", "atlas.json")
    )
    version = AtlasPaths(path).current.read_text("utf-8").strip()
    meta = json.loads(AtlasPaths(path).version(version).meta.read_bytes())
    bare = AtlasPaths(copy).version(version).meta
    bare.write_text(json.dumps(meta | {"models": {}}), "utf-8")
    return copy


PARTS = tuple(Part(f"serving/{Data.SYNTHETIC}-{n}", partial(measure, Data.SYNTHETIC, n), SIZES[n]) for n in SIZES)
