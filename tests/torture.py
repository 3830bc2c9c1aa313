"""Builds that are killed again and again, while they fetch, encode, fit and publish; after each kill nothing is lost.

An atlas of 60 pictures is live; a corpus of 200 links, most of them good, is built into a copy of it. Each run of the
build is killed at a point drawn by chance, by stage and number of the change on the disk, and the next run goes on.
After every kill a fresh process holds the atlas against what had been acknowledged, and at the end of a chain every
byte against a build that nobody disturbed.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from faults import STAGES, Fault, How
from hostile_web import apart
from rig import ENCODED, SHARD, Rig, contents, forked, state

from explorer.layout import AtlasPaths, write_atomic
from explorer.status import pending
from indexer.fetch.spool import Spool

KILLED = -9


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


def checked(rig: Rig, atlas: Path, oracle: Oracle, log: Path, run: int) -> dict[str, Any]:
    """In a fresh process: the live version is whole, and nothing that was acknowledged is lost or doubled.

    Returns:
        the oracle as it is now.
    """
    found = state(atlas)
    is_new = found["version"] == rig.versions["new"]["version"]
    assert found == rig.versions["new" if is_new else "old"], "the live version is neither the old nor the new one"
    now = {path.name: digest_of(path) for path in results(atlas)}
    fetched = dict(spools(atlas))
    if not is_new:
        _hold(oracle, now, fetched, Counter(log.read_text().splitlines()))
        _add_up(rig, atlas)
    keys = [key for keys in fetched.values() for key in keys]
    assert len(keys) == len(set(keys)), "a row is fetched for two shards"
    asked = {**{key: run for key in {*keys, *encoded(atlas, rig.old)}}, **oracle.asked}
    return asdict(Oracle(now, {name: sorted(keys) for name, keys in fetched.items()}, asked))


def _hold(oracle: Oracle, now: dict[str, str], fetched: dict[str, set[str]], log: Counter[str]) -> None:
    """Hold what is there against what was there after the kill before, and against what has been acknowledged since."""
    lost = {name for name, kept in oracle.results.items() if now.get(name) != kept}
    assert not lost, f"finished results are lost or changed: {sorted(lost)}"
    renamed = {Path(line).name for line in log if line.startswith("build/") and line.count("/") == 1}
    absent = {name for name in renamed if "-" in name and not name.startswith(".")} - set(now)
    assert not absent, f"acknowledged results are absent: {sorted(absent)}"
    for shard, keys in oracle.fetched.items():
        assert shard in now or keys <= fetched.get(shard, set()), f"fetched rows of {shard} are lost"
    for line, count in log.items():
        shard = Path(line).stem
        if line.endswith(".spool") and shard not in now:
            assert len(fetched.get(shard, ())) >= count, f"{shard}: {count} rows were acknowledged"


def _add_up(rig: Rig, atlas: Path) -> None:
    """Every row of the unfinished build is encoded or pending, once."""
    paths = AtlasPaths(atlas)
    unfinished = pending(paths)
    if unfinished is not None:
        assert unfinished["rows"] == rig.new == unfinished["encoded"] + unfinished["pending"]


def results(atlas: Path) -> list[Path]:
    """The folders of finished results."""
    return [path for path in sorted(AtlasPaths(atlas).build.glob("[!.]*-*")) if path.is_dir()]


def encoded(atlas: Path, old: Path) -> set[str]:
    """Keys of the rows in shards that this build has finished; what the live atlas came with is not its doing."""
    before = {path.name for path in results(old)}
    shards = [path for path in results(atlas) if path.name.startswith("encode-") and path.name not in before]
    return {key for path in shards for key in pq.read_table(path / "rows.parquet")["key"].to_pylist()}


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
        seed: of the points.
        kills: what was killed: stage, number and kind of each; the exit code of each was -9.
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
        stage = stages[self.seed % len(stages)]  # the first kill goes round the stages
        often = {stage: max(self.rig.undisturbed.steps[stage] ** 0.5, 10) for stage in stages}
        while True:
            fault = self._drawn(chance, stage) if len(self.kills) < most else None
            ended = forked(lambda fault=fault: self.rig.build(atlas, fault=fault, log=log))
            if ended.code == 0:
                break
            assert fault is not None and ended.code == KILLED, ended
            self.kills.append({**asdict(fault), "seed": self.seed, "code": ended.code})
            self._check(atlas, log)
            # The next one falls where the build can still be, more often where it does much.
            near = stages[stages.index(stage) :][:3]
            stage = chance.choices(near, [often[each] for each in near])[0]
        self._end(atlas, log, before)

    def _drawn(self, chance: random.Random, stage: str) -> Fault:
        number = chance.randint(1, self.rig.undisturbed.steps[stage])
        return Fault(chance.choice((How.KILL, How.TEAR)), number, stage)

    def _check(self, atlas: Path, log: Path) -> None:
        run = len(self.kills)
        told = forked(lambda: checked(self.rig, atlas, self.oracle, log, run))
        assert told.code == 0, (self.kills, told)
        fetched = {name: set(keys) for name, keys in told.told["fetched"].items()}
        self.oracle = Oracle(told.told["results"], fetched, told.told["asked"])

    def _end(self, atlas: Path, log: Path, before: Counter[str]) -> None:
        """The end is that of the undisturbed build in every byte; nothing was asked for or encoded once too often."""
        assert forked(lambda: state(atlas)).told == self.rig.versions["new"], self.kills
        files, expected = forked(lambda: contents(atlas)).told, self.rig.undisturbed.files
        differing = {name for name in files.keys() | expected.keys() if files.get(name) != expected.get(name)}
        assert not differing, f"{sorted(differing)} differ from the undisturbed build: {self.kills}"
        for path, asked in (self.rig.web.hits() - before).items():
            key = next((key for key in self.oracle.asked if key.endswith(path)), "")
            most = self.oracle.asked.get(key, len(self.kills) + 1)
            assert path == "/robots.txt" or asked <= most, f"{path} was asked for {asked} times: {self.kills}"
        lines = [line.split() for line in log.read_text().splitlines()]
        pictures = sum(int(line[1]) for line in lines if line[0] == ENCODED)
        assert pictures <= self.rig.undisturbed.pictures + SHARD * len(self.kills), (pictures, self.kills)
        for path in (atlas, atlas.with_name(f"{atlas.name}-spools")):
            shutil.rmtree(path, ignore_errors=True)
        log.unlink()


@dataclass
class Figures:
    """What was killed so far; kept in a file, so that a torture that is stopped goes on.

    Attributes:
        chains: builds that were carried to their end.
        stages: stage -> kills.
        hows: kind -> kills.
        codes: exit code -> kills; -9 is what SIGKILL leaves.
    """

    chains: int = 0
    kills: int = 0
    seconds: float = 0.0
    stages: Counter[str] = field(default_factory=Counter)
    hows: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)

    @classmethod
    def read(cls, path: Path) -> Figures:
        """What the file holds; nothing where there is none."""
        if not path.exists():
            return cls()
        told = json.loads(path.read_text())
        counted = {name: Counter(told.pop(name)) for name in ("stages", "hows", "codes")}
        return cls(**told, **counted)

    def add(self, chain: Chain, seconds: float) -> None:
        """Count a chain that has come to its end."""
        self.chains += 1
        self.kills += len(chain.kills)
        self.seconds = round(self.seconds + seconds, 1)
        self.stages.update(kill["stage"] for kill in chain.kills)
        self.hows.update(kill["how"] for kill in chain.kills)
        self.codes.update(str(kill["code"]) for kill in chain.kills)

    def write(self, path: Path) -> None:
        """Keep them."""
        write_atomic(path, (json.dumps(vars(self), indent=1) + "\n").encode())


def torture(root: Path, figures: Path, kills: int, most: int) -> Figures:
    """Kill until there are so many kills, at most `most` in one build."""
    with apart() as web:
        rig, so_far = Rig(root, web), Figures.read(figures)
        while so_far.kills < kills:
            started, chain = time.monotonic(), Chain(rig, so_far.chains)
            chain.run(most)
            so_far.add(chain, time.monotonic() - started)
            so_far.write(figures)
            assert 2 * so_far.kills >= so_far.chains, "most faults did not happen"
    return so_far


def tortured(root: str, kills: int, most: int) -> dict[str, Any]:
    """The figures of a small torture, as JSON."""
    return vars(torture(Path(root), Path(root).with_suffix(".json"), kills, most))


def around_current(root: str) -> dict[str, Any]:
    """Kill before each change around the one that lets the new version live.

    Returns:
        `codes`: exit code -> runs; `live`: whether the new version was live after each.
    """
    codes: Counter[int] = Counter()
    live = []
    with apart() as web:
        rig = Rig(Path(root), web, 4, 14)
        ready = rig.copy("ready")
        assert forked(lambda: rig.build(ready, fault=Fault(How.KILL, 1, "publish"))).code == KILLED
        middle = forked(lambda: rig.build(Path(shutil.copytree(ready, rig.root / "counted")))).told["first"]["current"]
        for number in range(middle - 12, middle + 14):
            atlas = Path(shutil.copytree(ready, rig.root / f"killed-{number}"))
            codes[forked(lambda atlas=atlas, number=number: rig.build(atlas, fault=Fault(How.KILL, number))).code] += 1
            found = forked(lambda atlas=atlas: state(atlas))
            assert found.told in list(rig.versions.values()), (number, found)
            live.append(found.told == rig.versions["new"])
            assert forked(lambda atlas=atlas: rig.build(atlas)).code == 0
            assert forked(lambda atlas=atlas: contents(atlas)).told == rig.undisturbed.files, number
    return {"codes": codes, "live": live}
