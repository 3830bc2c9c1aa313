"""The demo's tokenizer: CLIP's byte-level BPE, learned from the corpus's own labels and tags in English and Chinese.

Padding has a token of its own and the end-of-text token has the highest number, because open_clip pools at the highest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, models, trainers
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

from indexer.sources.base import SourceRow

CONTEXT_LENGTH = 24
VOCABULARY = 4096
PAD_ID = 0
START, END, PAD = "<|startoftext|>", "<|endoftext|>", "<|pad|>"


def train_tokenizer(rows: tuple[SourceRow, ...]) -> CLIPTokenizer:
    """Learn the merges from every distinct label and tag; a text counts once, however many pictures bear it."""
    form = CLIPTokenizer().backend_tokenizer
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer, learner.pre_tokenizer = form.normalizer, form.pre_tokenizer
    alphabet = sorted(ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 2,
        min_frequency=1,
        special_tokens=[PAD],
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator(_texts(rows), trainer)
    return _assemble(learner, alphabet)


def save_tokenizer(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write the files that both `CLIPTokenizer` and open_clip's `HFTokenizer` load."""
    tokenizer.save_pretrained(str(folder))


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """Read a tokenizer that `save_tokenizer` wrote."""
    return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)


def _texts(rows: tuple[SourceRow, ...]) -> Iterator[str]:
    """Distinct labels and tags, in the order of the rows."""
    seen = set()
    for row in rows:
        labels = list(row.captions.values())
        for text in labels + [tag for tags in row.tags.values() for tag in tags]:
            if text not in seen:
                seen.add(text)
                yield text


def _assemble(learner: Tokenizer, alphabet: list[str]) -> CLIPTokenizer:
    """CLIPTokenizer over the learned merges; every byte also gets a word-final token, so that nothing is unknown."""
    learned = json.loads(learner.to_str())["model"]
    tokens = sorted(learned["vocab"], key=learned["vocab"].get)
    missing = [byte + "</w>" for byte in alphabet if byte + "</w>" not in learned["vocab"]]
    kept = tokens[: VOCABULARY - 2 - len(missing)] + missing
    vocabulary = {token: number for number, token in enumerate([*kept, START, END])}
    merges = [tuple(pair) for pair in learned["merges"] if "".join(pair) in vocabulary]
    return CLIPTokenizer(
        vocab=vocabulary,
        merges=merges,
        unk_token=END,
        bos_token=START,
        eos_token=END,
        pad_token=PAD,
        model_max_length=CONTEXT_LENGTH,
    )
