"""Takedowns that are killed; see `killed`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from killed import answer, killed

from indexer.editing.forget import forget


def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Take picture `id` of `atlas` down in a child; `die_at` is the step to die before."""
    return killed(lambda: {"images": forget(Path(plan["atlas"]), ids=[plan["id"]]).images}, plan.get("die_at"))


if __name__ == "__main__":
    answer(run)
