"""Appends that are killed; see `killed`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import color_encoders
from folder_builds import manifest, options
from killed import answer, killed

from indexer.editing.append import append


def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Append in a child: `folder` to `atlas`; `die_at` is the step to die before."""

    def work() -> dict[str, Any]:
        models = color_encoders.encoders()
        append(Path(plan["atlas"]), manifest(Path(plan["folder"])), options(), encoders=models)
        return {"encoded": models[0].pictures}

    return killed(work, plan.get("die_at"))


if __name__ == "__main__":
    answer(run)
