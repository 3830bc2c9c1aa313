"""Makes README's picture out of the real app: `python -m benchmarks.picture ATLAS` on the demo's atlas."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.page import served
from tests.chromium import chromium

TARGET = Path(__file__).parent.parent / "docs" / "picture.png"
PROMPT = "red heart"
PATIENCE = 120_000
REST = 2_000
"""Milliseconds for the camera to arrive."""


def main(atlas: Path) -> None:
    """Generate a picture in the page, wait until it has landed, and save what is seen."""
    with served(atlas) as url, chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(PATIENCE)
        page.goto(url)
        page.wait_for_selector("#map[data-ready=true]")
        page.fill("#prompt", PROMPT)
        page.click("#generate")
        page.wait_for_selector("#live-box.live-done")
        page.wait_for_timeout(REST)
        page.screenshot(path=TARGET)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
