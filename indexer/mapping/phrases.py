"""What pictures say: the phrases of their captions and tags, as one sparse matrix of pictures by phrases.

A phrase is up to three words side by side. A million captions have some twenty million of them, so they are numbers
until somebody asks for one: words are numbered as they come, a phrase is a number in the base of how many there are.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

LONGEST = 3
"""Words in a phrase."""
TAG_WEIGHT = 0.5
"""What a phrase of a tag counts, beside one of a caption."""
MOST_WORDS = 2**21 - 1
"""Different words; three numbers below that fit into 63 bits. The rarest beyond are passed over."""

_TOKEN = re.compile(r"[^\W\d_]{2,}(?:['’-][^\W\d_]+)*|[^\w\s'’-]+")
"""A word, or what stands between two phrases."""
_BREAK = 0
_SILENT = ENGLISH_STOP_WORDS | {"jpg", "jpeg", "png", "webp", "gif", "img", "image", "photo", "picture", "dsc"}

Numbers = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.int32]
Matrix = Any
"""A `scipy.sparse.csr_array`; scipy says nothing of its types."""


@dataclass(frozen=True, slots=True)
class PictureText:
    """What a picture says of its cluster.

    Attributes:
        caption: as it is shown.
        tags: words for it.
    """

    caption: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Phrases:
    """Who says what.

    Attributes:
        said: float32 (n, p), sparse: 1 where a picture's caption has a phrase, TAG_WEIGHT where only a tag has it.
        codes: int64 (p,), ascending: the phrases as numbers.
        words: the words in the order of their numbers, from 1.
    """

    said: Matrix
    codes: Numbers
    words: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[PictureText]) -> Phrases:
        """Read what pictures say; none of numbers or of words that say nothing."""
        read = _Reader()
        for text in texts:
            read.add(text)
        return read.phrases()

    def text(self, phrase: int) -> str:
        """A phrase in words, in lower case."""
        code, words = int(self.codes[phrase]), list[str]()
        while code:
            code, word = divmod(code, len(self.words) + 1)
            words.append(self.words[word - 1])
        return " ".join(reversed(words))


def is_silent(word: str) -> bool:
    """Whether a word says nothing of a picture; no phrase begins or ends with one."""
    return word in _SILENT


class _Numbering(dict[str, int]):
    """Numbers for words, from 1 in the order of their coming; what is no word is a break."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def __missing__(self, token: str) -> int:
        is_word = token[0].isalpha()
        if is_word:
            self.words.append(token)
        self[token] = len(self.words) if is_word else _BREAK
        return self[token]


class _Reader:
    """The words of many texts, one after another in arrays of numbers; a break stands after every caption and tag."""

    def __init__(self) -> None:
        self._numbers = _Numbering()
        self._tokens = array("i")
        self._ends = array("q")
        """Where the caption of each picture ends, and where its tags do."""

    def add(self, text: PictureText) -> None:
        """Read what one more picture says."""
        number = self._numbers.__getitem__
        for part in (text.caption, *text.tags):
            self._tokens.extend(map(number, _TOKEN.findall(part.lower())))
            self._tokens.append(_BREAK)
            if part is text.caption and len(self._ends) % 2 == 0:
                self._ends.append(len(self._tokens))
        self._ends.append(len(self._tokens))

    def phrases(self) -> Phrases:
        """What they say, put together."""
        tokens, ends = np.array(self._tokens, np.int32), np.array(self._ends, np.int64)
        words, tokens = _commonest(self._numbers.words, tokens)
        is_quiet = np.array([True, *(word in _SILENT for word in words)])
        places, codes = zip(*(_grams(tokens, is_quiet, length) for length in range(1, LONGEST + 1)), strict=True)
        del tokens
        known, phrases = np.unique(np.concatenate(codes), return_inverse=True)
        part = np.searchsorted(ends, np.concatenate(places), side="right")
        shape = (len(ends) // 2, len(known))
        captions, tags = (_matrix(part[part % 2 == odd] // 2, phrases[part % 2 == odd], shape) for odd in (0, 1))
        return Phrases(sparse.csr_array(captions.maximum(tags * np.float32(TAG_WEIGHT))), known, tuple(words))


def _commonest(words: Sequence[str], tokens: Tokens) -> tuple[Sequence[str], Tokens]:
    """The words that have room in a phrase's number, and the tokens in their numbers, breaks where a word has none."""
    if len(words) <= MOST_WORDS:
        return words, tokens
    counts = np.bincount(tokens, minlength=len(words) + 1)[1:]
    kept = np.sort(np.argsort(-counts, kind="stable")[:MOST_WORDS])
    number = np.zeros(len(words) + 1, np.int32)
    number[kept + 1] = np.arange(1, len(kept) + 1)
    return [words[each] for each in kept.tolist()], number[tokens]


def _grams(tokens: Tokens, is_quiet: npt.NDArray[np.bool_], length: int) -> tuple[Numbers, Numbers]:
    """Where phrases of some length begin, and their numbers: no break in them, neither end silent."""
    last = len(tokens) - length + 1
    parts = [tokens[start : start + max(last, 0)] for start in range(length)]
    is_phrase = ~is_quiet[parts[0]] & ~is_quiet[parts[-1]]
    for part in parts[1:-1]:
        is_phrase &= part != _BREAK
    codes = np.zeros(int(is_phrase.sum()), np.int64)
    for part in parts:
        codes = codes * len(is_quiet) + part[is_phrase]
    return np.flatnonzero(is_phrase), codes


def _matrix(rows: Numbers, phrases: Numbers, shape: tuple[int, int]) -> Matrix:
    """1 where a row has a phrase, however often."""
    once = np.ones(len(rows), np.float32)
    matrix: Matrix = sparse.coo_array((once, (rows.astype(np.int32), phrases.astype(np.int32))), shape).tocsr()
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
