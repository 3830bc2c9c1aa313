"""What an atlas is made of: its own manifest, and those whose rows were appended; what each said, and what it brought.

What is told of a manifest names no place on the machine that built the atlas: files are named without their folders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from explorer.manifest import Manifest, Training
from explorer.records import Relation

Document = Mapping[str, Any]

_RULES = ("filter", "safety", "split")
"""Tables of a manifest that say which rows are taken, and how."""
_FILES = frozenset({"safety.intersect_with", "safety.blocklist", "split.heldout_ids_file"})


@dataclass(frozen=True, slots=True)
class Contribution:
    """A manifest's part in an atlas.

    Attributes:
        manifest: as `explorer.manifest.to_dict` gives it.
        outcomes: outcome -> rows of it.
        read: rows that its source read, those not drawn too.
        at: when it was appended; None = it is the atlas's own.
        selection: `limit`, `sample` and `seed` of the last run.
        thresholds: what its rows were held to without being asked for, too: key of the manifest -> value.
        columns: meaning -> column of its source.
    """

    manifest: Document
    outcomes: Mapping[str, int]
    read: int
    at: str | None = None
    selection: Document = field(default_factory=dict)
    thresholds: Document = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Document, outcomes: Mapping[str, int]) -> Contribution:
        """A part as it stands in `atlas.json`: the whole document for its own manifest, an entry of `appended`."""
        return cls(
            manifest=told["manifest"],
            outcomes=outcomes,
            read=told.get("read", sum(outcomes.values())),
            at=told.get("at"),
            selection=told.get("settings", {}).get("selection", {}),
            thresholds=told.get("thresholds", {}),
            columns=told.get("columns", {}),
        )

    @property
    def title(self) -> str:
        """The corpus's name."""
        return str(self.manifest.get("title") or self.manifest.get("name") or self.manifest["kind"])

    @property
    def contact(self) -> str | None:
        """Whom to ask for a takedown."""
        told = self.manifest.get("contact") or self.manifest.get("fetch", {}).get("contact")
        return None if told is None else str(told)

    @property
    def is_unreviewed(self) -> bool:
        """Whether its rows were taken over the objection that nobody had reviewed their links."""
        return bool(self.manifest.get("safety", {}).get("accept_pre_2024_links_without_safety_review"))

    @property
    def held(self) -> dict[str, Any]:
        """All that its rows were held to: key of the manifest -> value."""
        told = {
            f"{table}.{key}": value for table in _RULES for key, value in self.manifest.get(table, {}).items()
        } | dict(self.thresholds)
        return {key: PurePath(value).name if key in _FILES else value for key, value in told.items()}

    @property
    def training(self) -> Training:
        """How its pictures stand to generators."""
        told = self.manifest.get("training", {})
        return Training(Relation(told.get("relation", Relation.UNKNOWN)), tuple(told.get("generators", ())))

    def told(self) -> dict[str, Any]:
        """All of it as plain values, for `status`."""
        names = ("kind", "date", "licence", "licence_url", "attribution", "homepage")
        return {
            "title": self.title,
            **{name: self.manifest.get(name) for name in names},
            "contact": self.contact,
            "relation": self.training.relation.value,
            "generators": list(self.training.generators),
            "thresholds": self.held,
            "selection": dict(self.selection),
            "read": self.read,
            "outcomes": dict(self.outcomes),
            "appended_at": self.at,
        }


def contributions(meta: Document) -> tuple[Contribution, ...]:
    """The parts of an atlas, its own manifest's first; their outcomes add up to the atlas's.

    Args:
        meta: its `atlas.json`.
    """
    others = [Contribution.of(each, each["outcomes"]) for each in meta.get("appended", ())]
    own: Counter[str] = Counter(meta.get("outcomes", {}))
    for each in others:
        own.subtract(each.outcomes)
    return (Contribution.of(meta, {name: count for name, count in own.items() if count > 0}), *others)


def training(parts: Sequence[Contribution]) -> Training:
    """How the pictures of several manifests stand to generators: no more is said of all than holds for each."""
    first, *others = (part.training for part in parts)
    relations = {first.relation, *(each.relation for each in others)}
    relation = first.relation
    if len(relations) > 1:
        relation = Relation.SAMPLE if all(each.is_training for each in relations) else Relation.UNKNOWN
    generators = (name for name in first.generators if all(name in each.generators for each in others))
    return Training(relation, tuple(generators))


def relation_to(told: Training, manifest: Manifest, generator: str | None, *, is_tuned: bool = False) -> Relation:
    """How a corpus stands to one generator: what is told of some holds for those alone.

    Args:
        told: how it stands to those that are named.
        manifest: its own, against whose folder relative names stand.
        generator: as a model reference; None = those that are named.
        is_tuned: whether it was tuned on other pictures too, as by a LoRA.
    """
    named = {form for name in told.generators for form in (name, str(manifest.resolve(name)))}
    if generator is not None and generator not in named:
        return Relation.UNKNOWN
    return Relation.SAMPLE if is_tuned and told.relation is Relation.ALL else told.relation
