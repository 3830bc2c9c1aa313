"""Resume, and never lose: builds that are killed, and builds whose disk refuses; `make torture` kills 1,000 times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import own_process
import pytest
from faults import ERRORS, STAGES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills and mounts as Linux has them")


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_forty_kills_lose_nothing(tmp_path: Path) -> None:
    """Killed at points all over the stages, fetching included, a build goes on; nothing is lost, or made twice."""
    figures = own_process.call("torture", "tortured", root=tmp_path / "builds", kills=40, most=3)
    assert figures["kills"] >= 40
    assert set(figures["stages"]) == set(STAGES)
    assert sum(figures["stages"].values()) == sum(figures["hows"].values()) == figures["kills"]
    assert set(figures["hows"]) == {"kill", "tear"}
    assert figures["codes"] == {"-9": figures["kills"]}


@pytest.mark.slow
def test_a_kill_around_current_leaves_one_version_or_the_other(tmp_path: Path) -> None:
    """Before each of 26 changes around CURRENT's own, the old version is live and whole; after it, the new one is."""
    told = own_process.call("torture", "around_current", root=tmp_path)
    assert told["codes"] == {"-9": 26}
    assert told["live"] == sorted(told["live"])
    assert {False, True} == set(told["live"])


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_every_change_of_the_disk_may_fail(tmp_path: Path) -> None:
    """Whichever write, rename or link of a build is refused, the old version serves and the next run ends as ever."""
    told = own_process.call("refusals", "every_change", root=tmp_path)
    assert set(told["stages"]) == set(STAGES)
    assert all(told["stages"].values())
    assert sum(told["stages"].values()) == sum(told["hows"].values()) > 100
    assert set(told["hows"]) == set(ERRORS)


def can_mount(place: Path) -> bool:
    """Whether this machine lets us mount a disk; in a container root may not."""
    place.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", place], check=True, capture_output=True)
        subprocess.run(["umount", place], check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@pytest.mark.slow
def test_a_disk_without_room_stops_the_build_until_there_is_some(tmp_path: Path) -> None:
    """On a real disk that is full again and again, each run says so, the old version serves, and the last one ends."""
    if not can_mount(tmp_path / "probe"):
        pytest.skip("a small disk: only root can mount one, and not in every container")
    told = own_process.call("refusals", "small_disk", root=tmp_path)
    assert told["refused"] >= 5
