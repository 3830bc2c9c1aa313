"""Names for clusters, out of captions and tags: the phrases that are common in one cluster and rare beside it.

A coarse cluster is told from the rest of the corpus, a fine one from the rest of its coarse one, so that names refine
while one comes nearer. Source: class-based TF-IDF, Grootendorst 2022, "BERTopic: Neural topic modeling with a
class-based TF-IDF procedure" (arXiv 2203.05794), section 3.3, over phrases of up to three words. Here a family counts
as one picture, so that no motif with many variants outvotes the others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from explorer.errors import ModelError
from indexer.mapping.density import NONE
from indexer.mapping.phrases import Matrix, Phrases, PictureText, is_silent

REVISION = 4
"""Raised when the same captions would give other labels; part of the stage's key."""
SHARES = (0.25, 0.12)
"""A phrase must be borne by this share of a cluster's families; the second where none reaches the first."""
LIFT = 1.5
"""A phrase must be this much commoner in the cluster than beside it."""
SAME = 0.8
"""A phrase borne by this share of those who bear a part of it stands for the part."""
CANDIDATES = 12
"""Phrases of a cluster that come into question."""
_TITLES = 40
"""Pictures of a cluster whose captions may stand behind its name."""
_LONGEST_TITLE = 40

Codes = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A cluster of a level: 0 = coarse, 1 = fine."""

    level: int
    cluster: int


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The pictures that are to be named together, n of them.

    Attributes:
        texts: what each says.
        families: int32 (n,), equal where two are variants of one.
        coarse: int32 (n,), numbered from 0; -1 = in no cluster.
        fine: int32 (n,), the same; each inside one coarse cluster.
        central: every cluster, in order -> its rows, the most central first.
    """

    texts: Sequence[PictureText]
    families: Codes
    coarse: Codes
    fine: Codes
    central: Mapping[Key, Numbers]

    def parent(self, key: Key) -> int | None:
        """The coarse cluster that a fine one is a part of; None of a coarse one."""
        return int(self.coarse[self.central[key][0]]) if key.level else None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A phrase that may name a cluster.

    Attributes:
        share: of the cluster's families, weighted; 0 to 1.
        weight: by class-based TF-IDF.
    """

    phrase: str
    share: float
    weight: float


Candidates = Mapping[Key, Sequence[Candidate]]
Check = Callable[[Groups, Candidates], Candidates]
"""Puts the candidates of each cluster in another order; raises ModelError where it cannot."""


@dataclass(frozen=True, slots=True)
class Named:
    """The names of clusters, and whether a `Check` had its say."""

    labels: Mapping[Key, str]
    is_checked: bool


def named(groups: Groups, check: Check | None = None) -> Named:
    """Name every cluster; no two coarse ones bear the same name, nor two fine ones of one coarse one.

    Args:
        groups: the clusters.
        check: asked what it thinks of the candidates before names are chosen from them.
    """
    candidates: Candidates = dict(_candidates(groups))
    is_checked = False
    if check is not None and candidates:
        with suppress(ModelError):  # the names are there without it, and `is_checked` tells
            candidates, is_checked = check(groups, candidates), True
    labels: dict[Key, str] = {}
    used: dict[int | None, list[str]] = {}
    for key in sorted(groups.central):
        parent = groups.parent(key)
        above = [] if parent is None else [labels[Key(0, parent)]]
        taken = used.setdefault(parent, list(above))
        found = _distinct([each.phrase for each in candidates[key]], above)
        captions = [groups.texts[row].caption for row in groups.central[key][:_TITLES].tolist()]
        labels[key] = _unused(found, captions, taken)
        taken.append(labels[key])
    return Named(labels, is_checked)


def is_borne(label: str, texts: Sequence[PictureText]) -> bool:
    """Whether a label says nothing but what one of these pictures says, so that it may go on without the others."""
    if re.fullmatch(r"group \d+", label):
        return True
    phrases, _, title = label.removesuffix(")").partition(" (") if label.endswith(")") else (label, "", "")
    read = Phrases.of(texts)
    said = {read.text(phrase) for phrase in range(len(read.codes))}
    by_phrases = all(phrase in said for phrase in phrases.split(", "))
    return (by_phrases and _is_said(title, texts)) or (label.startswith("like ") and _is_said(label[5:], texts))


def _is_said(title: str, texts: Sequence[PictureText]) -> bool:
    """Whether a caption holds a title, which may be its beginning."""
    return not title or any(title.removesuffix("…") in text.caption for text in texts)


def _candidates(groups: Groups) -> Iterator[tuple[Key, tuple[Candidate, ...]]]:
    """The phrases that may name each cluster, best first."""
    read = Phrases.of(groups.texts)
    coarse, fine = (int(codes.max(initial=NONE)) + 1 for codes in (groups.coarse, groups.fine))
    everyone = np.where(groups.coarse == NONE, coarse, groups.coarse)
    whole = _Scope.of(read, everyone, groups.families, coarse + 1)
    # the rest of each coarse cluster stands behind the fine ones; what is in none at all counts for nothing there
    parts = np.where(groups.fine == NONE, fine + everyone, groups.fine)
    divided = _Scope.of(read, parts, groups.families, fine + coarse + 1) if fine else whole
    siblings: dict[int | None, list[int]] = {}
    for key in groups.central:
        siblings.setdefault(groups.parent(key), []).append(key.cluster)
    for parent, clusters in siblings.items():
        scope = whole.part([*clusters, coarse]) if parent is None else divided.part([*clusters, fine + parent])
        level = 0 if parent is None else 1
        yield from ((Key(level, cluster), scope.candidates(place)) for place, cluster in enumerate(clusters))


@dataclass(frozen=True, slots=True, eq=False)
class _Scope:
    """Classes of pictures that are told from each other; the last one is what is in no cluster, and gets no name.

    Attributes:
        read: the phrases.
        borne: float64 (c, p), sparse: families of a class that bear a phrase, weighted.
        families: int64 (c,), of each class.
        total: float64 (p,), of all classes together.
    """

    read: Phrases
    borne: Matrix
    families: Numbers
    total: npt.NDArray[np.float64]

    @classmethod
    def of(cls, read: Phrases, classes: Codes, families: Codes, count: int) -> _Scope:
        """Count what the pictures of `count` classes say; `classes` and `families` are (n,)."""
        pairs = classes.astype(np.int64) * (int(families.max(initial=0)) + 1) + families
        known, inverse, sizes = np.unique(pairs, return_inverse=True, return_counts=True)
        rows = np.arange(len(classes))
        weigh = sparse.csr_array((1 / sizes[inverse], (classes, rows)), (count, len(classes)))
        borne = sparse.csr_array(weigh @ read.said)
        found = np.bincount(known // (int(families.max(initial=0)) + 1), minlength=count)
        return cls(read, borne, found, np.asarray(borne.sum(axis=0)).ravel())

    def part(self, classes: Sequence[int]) -> _Scope:
        """Some of the classes, told from each other alone."""
        borne = self.borne[classes]
        total = np.bincount(borne.indices, borne.data, minlength=1).astype(np.float64)
        return _Scope(self.read, borne, self.families[classes], total)

    def candidates(self, place: int) -> tuple[Candidate, ...]:
        """The phrases of a class that say something of it, by class-based TF-IDF."""
        own = slice(*self.borne.indptr[place : place + 2].tolist())
        phrases, count = self.borne.indices[own], self.borne.data[own]
        share = count / self.families[place]
        beside = (self.total[phrases] - count) * LIFT
        is_telling = share * (self.families.sum() - self.families[place]) >= beside - 1e-9
        least = next((each for each in SHARES if (is_telling & (share >= each)).any()), None)
        if least is None:
            return ()
        kept = np.flatnonzero(is_telling & (share >= least))
        average = self.total.sum() / max(len(self.families) - 1, 1)
        weight = share * np.log1p(average / self.total[phrases])
        texts = [self.read.text(phrase) for phrase in phrases[kept].tolist()]
        found = map(Candidate, texts, share[kept].tolist(), weight[kept].tolist())
        ranked = sorted(found, key=lambda each: (-round(each.weight, 9), -len(each.phrase), each.phrase))
        return tuple(dict.fromkeys(_longest(each, ranked) for each in ranked[:CANDIDATES]))


def _longest(candidate: Candidate, others: Sequence[Candidate]) -> Candidate:
    """The longest phrase around one that is nearly as common: "dark" is said as "dark skin tone"."""
    least = SAME * candidate.share
    around = (each for each in others if f" {candidate.phrase} " in f" {each.phrase} " and each.share >= least)
    return max(around, key=lambda each: len(each.phrase))


def _distinct(ranked: Iterable[str], above: Iterable[str]) -> list[str]:
    """Phrases in their order, without those that repeat a word of an earlier one or vary it ("cats" after "cat").

    What says no more than a name that stands `above` is left out as well.
    """
    chosen: list[str] = []
    said: list[str] = []
    higher = [word for name in above for word in _words(name)]
    for phrase in ranked:
        words = _words(phrase)
        is_new = not all(any(_is_variant(word, other) for other in higher) for word in words)
        if is_new and not any(_is_variant(word, other) for word in words for other in said):
            chosen.append(phrase)
            said += words
    return chosen


def _words(phrase: str) -> list[str]:
    """The words of a phrase that say something."""
    return [word for word in re.split(r"[\s,()-]+", phrase) if word and not is_silent(word)]


def _is_variant(first: str, second: str) -> bool:
    """Whether two words share their beginning, roughly a stem."""
    stem = max(3, math.ceil(0.7 * min(len(first), len(second))))
    return first[:stem] == second[:stem]


def _unused(phrases: Sequence[str], captions: Sequence[str], used: Sequence[str]) -> str:
    """The first phrase and another; where all such are taken, or there is none, with the caption of the middle."""
    pairs = [f"{phrases[0]}, {other}" for other in phrases[1:]] or list(phrases)
    for label in pairs:
        if label not in used:
            return label
    label = pairs[0] if pairs else ""
    for caption in filter(None, captions):
        title = caption
        for phrase in phrases[:1]:
            title = re.sub(rf"^{re.escape(phrase)}\W+", "", title, flags=re.IGNORECASE)
        title = title if len(title) <= _LONGEST_TITLE else f"{title[:_LONGEST_TITLE]}…"
        named = f"{label} ({title})" if label else f"like {title}"
        if named not in used:
            return named
    return f"group {len(used) + 1}"
