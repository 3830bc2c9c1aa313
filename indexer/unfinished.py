"""What an unfinished build was begun with, so that nobody goes on with something else and believes it resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from explorer import manifest as manifests
from explorer.errors import BuildError, ExplorerError
from explorer.layout import AtlasPaths, write_atomic
from indexer.plan import LIBRARIES, Plan
from indexer.stages import StageStore, digest, libraries

_NAMED = 4
_LONGEST = 60


@contextmanager
def build(paths: AtlasPaths, plan: Plan) -> Iterator[None]:
    """Note what a build is begun with until it is done; go on with one that was begun with the same.

    What a kill or a full disk ends stays unfinished. What the corpus, the manifest or a model ends does not: it is to
    be mended first, and a manifest that is mended is another one.

    Raises:
        BuildError: what lies there was begun with something else; the differences are named.
    """
    told = json.loads(json.dumps(_told(plan)))
    known = _known(paths)
    differences = list(_differences(known, told)) if known is not None else []
    if differences:
        more = f" and {len(differences) - _NAMED} more" if len(differences) > _NAMED else ""
        raise BuildError(
            f"{paths.root}: the unfinished build there was begun otherwise: {'; '.join(differences[:_NAMED])}{more}; "
            "go on as it was begun, or start anew with --rebuild"
        )
    if known is None:
        shards = {StageStore.name("encode", shard.inputs): len(shard.rows) for shard in plan.shards}
        document = {**told, "shards": shards, "left_out": plan.left_out}
        write_atomic(paths.unfinished, json.dumps(document, ensure_ascii=False).encode())
    try:
        yield
    except ExplorerError:
        paths.unfinished.unlink()
        raise
    paths.unfinished.unlink()


def _told(plan: Plan) -> dict[str, Any]:
    return {
        "manifest": manifests.to_dict(plan.manifest),
        "settings": asdict(plan.options),
        "models": plan.models,
        "libraries": libraries(*LIBRARIES),
        "guard": plan.guard,
        "rows": {"count": len(plan.rows), "content": digest([plan.rows_key, plan.pictures_key])},
    }


def _known(paths: AtlasPaths) -> dict[str, Any] | None:
    try:
        known = json.loads(paths.unfinished.read_bytes())
    except (OSError, ValueError):
        return None
    return known if isinstance(known, dict) else None


def _differences(known: Mapping[str, Any], told: Mapping[str, Any]) -> Iterator[str]:
    """What was and what is, a line each; the outermost first, since those inside may follow from them."""
    before, now = _flat(known), _flat(told)
    names = [name for name in now | before if not name.startswith(("shards", "left_out")) and name != "rows.content"]
    changed = sorted((name for name in names if before.get(name) != now.get(name)), key=lambda name: name.count("."))
    yield from (f"{name} was {_short(before.get(name))}, is {_short(now.get(name))}" for name in changed)
    if not changed and before.get("rows.content") != now.get("rows.content"):
        yield f"of its {now['rows.count']:,} rows some were others, or have changed since"


def _flat(value: Any, name: str = "") -> dict[str, Any]:  # noqa: ANN401 - a JSON document
    """A nested object as one level, its names joined by dots."""
    if not isinstance(value, Mapping):
        return {name: value}
    inner = (_flat(each, f"{name}.{key}" if name else str(key)) for key, each in value.items())
    return {key: each for part in inner for key, each in part.items()}


def _short(value: object) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
