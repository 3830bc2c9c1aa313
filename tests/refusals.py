"""A disk that refuses: every change that a small build makes fails once, and each time nothing is lost.

The disk is full, broken, read-only, or the process may open no further file; each in turn, at the first change of a
stage, the second, and so on until none is left. One run has a real disk without room.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from faults import ERRORS, STAGES, Disk, Fault
from hostile_web import apart
from rig import Rig, contents, forked, options

from explorer.errors import BuildError
from explorer.layout import AtlasPaths
from explorer.records import Space
from explorer.verify import verify
from indexer.build import index

OLD, NEW = 4, 14


def every_change(root: str) -> dict[str, Any]:
    """Let every change of a build fail.

    Returns:
        stage -> changes that were refused at first, and kind of fault -> runs.
    """
    with apart() as web:
        rig = Rig(Path(root), web, OLD, NEW, [Space.CLIP])
        ended = forked(lambda: _Refusals(rig).run())
    assert ended.code == 0, ended
    return ended.told


class _Refusals:
    """One atlas, built again and again on a disk that refuses."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.atlas = rig, rig.copy("refused")
        self.before = rig.copy("before")
        self.disk = Disk(self.atlas)
        self.hows: Counter[str] = Counter()

    def run(self) -> dict[str, Any]:
        """Go through the stages of the undisturbed build."""
        stages = [stage for stage in STAGES if self.rig.undisturbed.steps.get(stage)]
        return {"stages": {stage: self.stage(stage) for stage in stages}, "hows": self.hows}

    def stage(self, stage: str) -> int:
        """Let the first change of a stage fail, then the second, until none is left; return how many failed."""
        number = 1
        while self.refused(stage, number):
            if number == 1:  # what comes before this stage is done: it need not be done again
                shutil.rmtree(self.before)
                shutil.copytree(self.atlas, self.before)
            number += 1
        assert contents(self.atlas) == self.rig.undisturbed.files, f"{stage}: not as undisturbed"
        return number - 1

    def refused(self, stage: str, number: int) -> bool:
        """Build with a fault; whether it happened. The atlas is whole in any case, and the line says what to do."""
        shutil.rmtree(self.atlas)
        shutil.copytree(self.before, self.atlas)
        how = list(ERRORS)[number % len(ERRORS)]
        self.disk.counts.clear()
        self.disk.refused, self.disk.fault = 0, Fault(how, number, stage)
        try:
            index(self.atlas, self.rig.manifest("new"), options(), encoders=self.rig.encoders())
        except BuildError as error:
            assert self.disk.refused, error
            assert os.strerror(ERRORS[how]) in str(error), error
            assert "run the same command again" in str(error), error
        self.disk.fault = None
        assert verify(self.atlas) == [], (stage, number, how)
        live = AtlasPaths(self.atlas).current.read_text().strip()
        assert live in {version["version"] for version in self.rig.versions.values()}
        self.hows[how] += self.disk.refused > 0
        return self.disk.refused > 0


def _pages(folder: Path) -> int:
    """KiB that a folder's files take on a disk of 4 KiB pages."""
    return sum(-(-path.stat().st_size // 4096) * 4 for path in folder.rglob("*"))


def small_disk(root: str) -> dict[str, Any]:
    """Build on a disk that is too small, give it a little more room, and so on until the build ends.

    Returns:
        `refused`: runs that ended because there was no room; `kib`: of the disk at the end.
    """
    place = Path(root) / "disk"
    place.mkdir(parents=True)
    with apart() as web:
        rig = Rig(Path(root) / "rig", web, OLD, NEW, [Space.CLIP])
        room, refused = _pages(rig.old) + 16, 0
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}k", "tmpfs", place], check=True)
        try:
            atlas = Path(shutil.copytree(rig.old, place / "atlas"))
            while (ended := forked(lambda: rig.build(atlas))).code:
                assert ended.code == 2 and "No space left on device" in ended.told, ended
                assert forked(lambda: verify(atlas)).told == []
                refused, room = refused + 1, room + 16
                subprocess.run(["mount", "-o", f"remount,size={room}k", place], check=True)
            assert forked(lambda: contents(atlas)).told == rig.undisturbed.files
        finally:
            subprocess.run(["umount", place], check=True)
    return {"refused": refused, "kib": room}
