"""Names for clusters, out of captions and tags: the phrases that are common in one cluster and rare in the others.

Source: class-based TF-IDF, Grootendorst 2022, "BERTopic: Neural topic modeling with a class-based TF-IDF procedure"
(arXiv 2203.05794), section 3.3, over phrases of up to three words. Here a family counts as one picture, so that no
motif with many variants outvotes the others, and a phrase of a caption counts for more than one of a tag.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

REVISION = 2
"""Raised when the same captions would give other labels; part of the stage's key."""
LONGEST = 3
"""Words in a phrase."""
SHARES = (0.25, 0.12)
"""A phrase must be borne by this share of a cluster's families; the second where none reaches the first."""
LIFT = 1.5
"""A phrase must be this much commoner in the cluster than in the corpus."""
SAME = 0.8
"""A phrase borne by this share of those who bear a part of it stands for the part."""
TAG_WEIGHT = 0.5

_BREAK = re.compile(r"[^\w\s'’-]+")
_WORD = re.compile(r"[^\W\d_]{2,}(?:['’-][^\W\d_]+)*")
_SILENT = ENGLISH_STOP_WORDS | {"jpg", "jpeg", "png", "webp", "gif", "img", "image", "photo", "picture", "dsc"}
_LONGEST_TITLE = 40


@dataclass(frozen=True, slots=True)
class PictureText:
    """What a picture says of its cluster.

    Attributes:
        caption: as it is shown.
        tags: words for it.
    """

    caption: str
    tags: tuple[str, ...] = ()

    @property
    def phrases(self) -> dict[str, float]:
        """Phrase in lower case -> weight, 1 for one of the caption; none of numbers or of words that say nothing.

        Made when asked for: those of all pictures would take more memory than everything else that is known of them.
        """
        of_tags = dict.fromkeys((phrase for tag in self.tags for phrase in _phrases(tag)), TAG_WEIGHT)
        return of_tags | dict.fromkeys(_phrases(self.caption), 1.0)


@dataclass(frozen=True, slots=True)
class Member:
    """A picture of a cluster."""

    family: int
    text: PictureText


def labels(clusters: Mapping[int, Sequence[Member]]) -> dict[int, str]:
    """Name clusters; no two bear the same name.

    Args:
        clusters: cluster -> its pictures, the most central first.
    """
    shares = {cluster: _shares(members) for cluster, members in clusters.items()}
    families = {cluster: len({member.family for member in members}) for cluster, members in clusters.items()}
    total: dict[str, float] = {}
    for cluster, of_phrases in shares.items():
        for phrase, share in of_phrases.items():
            total[phrase] = total.get(phrase, 0.0) + share * families[cluster]
    scale = _Scale(total, max(sum(families.values()), 1), max(len(clusters), 1))
    named: dict[int, str] = {}
    for cluster, of_phrases in shares.items():
        found = _distinct(scale.ranked(of_phrases))
        named[cluster] = _unused(found, clusters[cluster], set(named.values()))
    return named


def is_borne(label: str, texts: Sequence[PictureText]) -> bool:
    """Whether a label says nothing but what one of these pictures says, so that it may go on without the others."""
    if re.fullmatch(r"group \d+", label):
        return True
    phrases, _, title = label.removesuffix(")").partition(" (") if label.endswith(")") else (label, "", "")
    said = frozenset(phrase for text in texts for phrase in text.phrases)
    by_phrases = all(phrase in said for phrase in phrases.split(", "))
    return (by_phrases and _is_said(title, texts)) or (label.startswith("like ") and _is_said(label[5:], texts))


def _is_said(title: str, texts: Sequence[PictureText]) -> bool:
    """Whether a caption holds a title, which may be its beginning."""
    return not title or any(title.removesuffix("…") in text.caption for text in texts)


@dataclass(frozen=True, slots=True)
class _Scale:
    """What the corpus says of its phrases.

    Attributes:
        total: phrase -> families that bear it.
        families: in all clusters.
        clusters: how many.
    """

    total: Mapping[str, float]
    families: int
    clusters: int

    def ranked(self, shares: Mapping[str, float]) -> list[str]:
        """A cluster's phrases that say something of it, by class-based TF-IDF."""
        average = sum(self.total.values()) / self.clusters
        telling = {
            phrase: share * math.log(1 + average / self.total[phrase])
            for phrase, share in shares.items()
            if share * self.families >= LIFT * self.total[phrase] or self.clusters == 1
        }
        ordered = sorted(telling, key=lambda phrase: (-telling[phrase], -len(phrase), phrase))
        common = next((kept for least in SHARES if (kept := [each for each in ordered if shares[each] >= least])), [])
        return [_longest(phrase, common, shares) for phrase in common]


def _longest(phrase: str, others: Sequence[str], shares: Mapping[str, float]) -> str:
    """The longest phrase around `phrase` that is nearly as common: "dark" is said as "dark skin tone"."""
    around = (other for other in others if f" {phrase} " in f" {other} " and shares[other] >= SAME * shares[phrase])
    return max(around, key=len)


def _phrases(text: str) -> Iterator[str]:
    """Words side by side, up to three, none of the outer ones silent: "slice of pizza", "holding hands"."""
    for part in _BREAK.split(text.lower()):
        words = _WORD.findall(part)
        for start, word in enumerate(words):
            for end in range(start + 1, min(start + LONGEST, len(words)) + 1):
                if word not in _SILENT and words[end - 1] not in _SILENT:
                    yield " ".join(words[start:end])


def _shares(members: Sequence[Member]) -> dict[str, float]:
    """Phrase -> the weighted share of families that bear it, 0 to 1."""
    sizes = Counter(member.family for member in members)
    shares: dict[str, float] = {}
    for member in members:
        for phrase, weight in member.text.phrases.items():
            shares[phrase] = shares.get(phrase, 0.0) + weight / sizes[member.family] / len(sizes)
    return shares


def _distinct(ranked: Iterable[str]) -> list[str]:
    """Phrases in their order, without those that repeat a word of an earlier one or vary it ("cats" after "cat")."""
    chosen: list[str] = []
    said: list[str] = []
    for phrase in ranked:
        words = [word for word in re.split(r"[\s-]", phrase) if word not in _SILENT]
        if not any(_is_variant(word, other) for word in words for other in said):
            chosen.append(phrase)
            said += words
    return chosen


def _is_variant(first: str, second: str) -> bool:
    """Whether two words share their beginning, roughly a stem."""
    stem = max(3, math.ceil(0.7 * min(len(first), len(second))))
    return first[:stem] == second[:stem]


def _unused(phrases: Sequence[str], members: Sequence[Member], used: set[str]) -> str:
    """The first phrase and another; where all such are taken, or there is none, with the caption of the middle."""
    pairs = [f"{phrases[0]}, {other}" for other in phrases[1:]] or list(phrases)
    for label in pairs:
        if label not in used:
            return label
    label = pairs[0] if pairs else ""
    for member in members:
        title = member.text.caption
        for phrase in phrases[:1]:
            title = re.sub(rf"^{re.escape(phrase)}\W+", "", title, flags=re.IGNORECASE)
        title = title if len(title) <= _LONGEST_TITLE else f"{title[:_LONGEST_TITLE]}…"
        named = f"{label} ({title})" if label else f"like {title}"
        if named not in used:
            return named
    return f"group {len(used) + 1}"
