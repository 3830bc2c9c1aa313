"""The texts that the models learn from, and which pictures each of them is true of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTokenizer

from indexer.demo.corpus import LANGUAGES, DemoCorpus, caption
from indexer.demo.tokenizer import CONTEXT_LENGTH


@dataclass(frozen=True)
class Words:
    """A text and what it says.

    Attributes:
        text: a caption, tags, or both.
        tags: numbers of `TextBank.tags`; the text is true of whatever bears them all.
        owner: the row whose caption it is; then `tags` are what the caption happens to be elsewhere.
    """

    text: str
    tags: tuple[int, ...]
    owner: int | None = None


class TextBank:
    """Every caption and tag of a corpus, and which picture bears which tag."""

    def __init__(self, corpus: DemoCorpus) -> None:
        """Number the tags; a caption that is also a tag elsewhere counts as a tag of its own picture."""
        self.corpus = corpus
        numbers: dict[str, int] = {}
        self._own: dict[str, list[list[int]]] = {language: [] for language in LANGUAGES}
        for row in corpus.rows:
            for language in LANGUAGES:
                tags = [tag.lower() for tag in row.tags.get(language, ())]
                self._own[language].append([numbers.setdefault(tag, len(numbers)) for tag in tags])
        self.tags = tuple(numbers)
        self._numbers = numbers

    @cached_property
    def borne(self) -> np.ndarray:
        """Which picture bears which tag, or has it for a caption: bool (t, n)."""
        matrix = np.zeros((len(self.tags), len(self.corpus.rows)), bool)
        for index, row in enumerate(self.corpus.rows):
            captions = [self._numbers.get(text.lower()) for text in row.captions.values()]
            owned = [number for language in LANGUAGES for number in self._own[language][index]]
            matrix[owned + [number for number in captions if number is not None], index] = True
        return matrix

    def caption(self, index: int, rng: np.random.Generator) -> Words:
        """The picture's caption, in English for 60 %, else in Chinese."""
        label = caption(self.corpus.rows[index], "en" if rng.random() < 0.6 else "zh")
        number = self._numbers.get(label.lower())
        return Words(label, () if number is None else (number,), owner=index)

    def tag(self, rng: np.random.Generator) -> Words:
        """Any one tag, all equally likely."""
        number = int(rng.integers(len(self.tags)))
        return Words(self.tags[number], (number,))

    def mixture(self, index: int, rng: np.random.Generator) -> Words:
        """Some of the picture's tags, with its caption before them for half; the caption alone if it has no tags."""
        language = "en" if rng.random() < 0.6 else "zh"
        tags = self._own[language][index]
        if not tags:
            return self.caption(index, rng)
        picked = tuple(tags[place] for place in rng.permutation(len(tags))[: int(rng.integers(1, 5))])
        joined = (" " if rng.random() < 0.5 else ", ").join(self.tags[number] for number in picked)
        if rng.random() < 0.5:
            return Words(joined, picked)
        return Words(f"{caption(self.corpus.rows[index], language)}, {joined}", (), owner=index)

    def truth(self, words: Sequence[Words]) -> tuple[Tensor, Tensor]:
        """Which text is true of which picture.

        Returns:
            bool (m, n), text by picture: what is true, and what may be (a caption that is a tag of another picture).
        """
        true = np.zeros((len(words), len(self.corpus.rows)), bool)
        maybe = np.zeros_like(true)
        for place, word in enumerate(words):
            if word.tags:
                (true if word.owner is None else maybe)[place] = self.borne[list(word.tags)].all(axis=0)
            if word.owner is not None:
                true[place, word.owner] = True
        return torch.from_numpy(true), torch.from_numpy(maybe & ~true)


def tokenize(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """int64 (n, CONTEXT_LENGTH), padded and cut."""
    encoded = tokenizer(
        list(texts), padding="max_length", truncation=True, max_length=CONTEXT_LENGTH, return_tensors="pt"
    )
    return encoded.input_ids.to(torch.int64)
