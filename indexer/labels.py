"""Names for clusters, out of captions and tags: the words that are common in one cluster and rare in the others.

Source: class-based TF-IDF, Grootendorst 2022, "BERTopic: Neural topic modeling with a class-based TF-IDF procedure"
(arXiv 2203.05794), section 3.3. Here a family counts as one picture, so that no motif with many variants outvotes the
others, and a word of a caption counts for more than one of a tag.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

REVISION = 1
"""Raised when the same captions would give other labels; part of the stage's key."""
WORDS = 3
SHARES = (0.2, 0.1)
"""A word must be borne by this share of a cluster's families; the second where no word reaches the first."""
LIFT = 1.5
"""A word must be this much commoner in the cluster than in the corpus."""
TAG_WEIGHT = 0.5

_WORD = re.compile(r"[^\W\d_]{2,}")
_TOO_COMMON = ENGLISH_STOP_WORDS | {"jpg", "jpeg", "png", "webp", "gif", "img", "image", "photo", "picture", "dsc"}
_LONGEST_TITLE = 40


@dataclass(frozen=True, slots=True)
class PictureText:
    """What a picture says of its cluster.

    Attributes:
        caption: as it is shown.
        words: word -> weight, 1 for a word of the caption.
    """

    caption: str
    words: Mapping[str, float]

    @classmethod
    def of(cls, caption: str, tags: Iterable[str]) -> PictureText:
        """Split caption and tags into words in lower case, without numbers and words that say nothing."""
        words = dict.fromkeys(_words(" ".join(tags)), TAG_WEIGHT) | dict.fromkeys(_words(caption), 1.0)
        return cls(caption, words)


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
    total = Counter[str]()
    for cluster, of_words in shares.items():
        total.update({word: share * families[cluster] for word, share in of_words.items()})
    corpus = max(sum(families.values()), 1)
    average = sum(total.values()) / max(len(clusters), 1)
    named: dict[int, str] = {}
    for cluster, of_words in shares.items():
        weights = {
            word: share * math.log(1 + average / total[word])
            for word, share in of_words.items()
            if share >= LIFT * total[word] / corpus or len(clusters) == 1
        }
        ranked = sorted(weights, key=lambda word: (-weights[word], word))
        found = next((kept for least in SHARES if (kept := [w for w in ranked if of_words[w] >= least])), [])
        named[cluster] = _unused(_distinct(found), clusters[cluster], set(named.values()))
    return named


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in _TOO_COMMON]


def _shares(members: Sequence[Member]) -> dict[str, float]:
    """Word -> the weighted share of families that bear it, 0 to 1."""
    sizes = Counter(member.family for member in members)
    shares: dict[str, float] = {}
    for member in members:
        for word, weight in member.text.words.items():
            shares[word] = shares.get(word, 0.0) + weight / sizes[member.family] / len(sizes)
    return shares


def _distinct(ranked: Iterable[str]) -> list[str]:
    """Words in their order, without those that only vary an earlier one ("cats" after "cat")."""
    chosen: list[str] = []
    for word in ranked:
        if not any(_is_variant(word, other) for other in chosen):
            chosen.append(word)
    return chosen


def _is_variant(first: str, second: str) -> bool:
    """Whether two words share their beginning, roughly a stem."""
    stem = max(3, math.ceil(0.7 * min(len(first), len(second))))
    return first[:stem] == second[:stem]


def _unused(words: Sequence[str], members: Sequence[Member], used: set[str]) -> str:
    """At most `WORDS` words; a few more where that is taken; the caption of the middle where there are none."""
    for count in range(min(WORDS, len(words)), len(words) + 1):
        label = ", ".join(words[:count])
        if label and label not in used:
            return label
    captions = (member.text.caption for member in members)
    titles = (caption if len(caption) <= _LONGEST_TITLE else f"{caption[:_LONGEST_TITLE]}…" for caption in captions)
    return next((f"like {title}" for title in titles if f"like {title}" not in used), f"group {len(used) + 1}")
