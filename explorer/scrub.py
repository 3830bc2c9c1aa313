"""What was kept about pictures, without some of them: landings, trajectories, events, selections, as JSON has them."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from typing import Any


def story_without(document: Any, ids: Container[int]) -> Any:  # noqa: ANN401 - a JSON document
    """A landing, a trajectory or an event's data without these pictures.

    A hit, which is an object with an `id` in a list, goes whole, and so does an id out of those that spaces share. Of a
    step whose `nearest` was one of them, the nearest picture in that space becomes unknown, and so does the similarity
    to it. A verdict that its picture is a copy of one stays, and no longer names it.
    """
    if isinstance(document, list):
        return [story_without(each, ids) for each in document if not _is_one_of(each, ids)]
    if not isinstance(document, Mapping):
        return document
    story = {name: story_without(value, ids) for name, value in document.items()}
    if isinstance(document.get("shared"), list):
        story["shared"] = list_without(document["shared"], ids)
    match document:
        case {"match": int(identity), "rule": str(rule)} if identity in ids:
            story |= {"match": None, "rule": unnamed(rule, identity)}
    nearest = document.get("nearest")
    if isinstance(nearest, Mapping):
        gone = {space for space, identity in nearest.items() if identity in ids}
        known = {name: story[name] for name in ("nearest", "similarity") if isinstance(story.get(name), Mapping)}
        story |= {name: {space: each[space] for space in each if space not in gone} for name, each in known.items()}
    return story


def unnamed(rule: str, identity: int) -> str:
    """A verdict's rule that names this picture, without its id."""
    return re.sub(rf"with ((?:training )?picture) {identity} as", r"with a \1 that was taken down since as", rule)


def list_without(document: Sequence[int], ids: Container[int]) -> list[int]:
    """A selection's ids without these."""
    return [identity for identity in document if identity not in ids]


def _is_one_of(entry: Any, ids: Container[int]) -> bool:  # noqa: ANN401 - a JSON document
    return isinstance(entry, Mapping) and entry.get("id") in ids
