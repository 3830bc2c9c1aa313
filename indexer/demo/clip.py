"""The demo's CLIP: open_clip's own class at 64 px, taught captions and tags in English and Chinese."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it
from transformers import CLIPTokenizer

from indexer.demo.augment import augment
from indexer.demo.corpus import DemoCorpus
from indexer.demo.loop import LoopOptions, Training
from indexer.demo.texts import TextBank, Words, tokenize
from indexer.demo.tokenizer import CONTEXT_LENGTH, PAD_ID, VOCABULARY
from indexer.demo.vae import to_pixels
from indexer.demo.weights import save_json, save_tensors

PICTURES, CAPTIONS, TAGS = 48, 160, 384
REFRESH = 150
SHORT = 8
LEARNING_RATE = 1.5e-3
WEIGHTS = "open_clip_model.safetensors"
MODEL_CONFIG: dict[str, Any] = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 64, "layers": 5, "width": 192, "head_width": 64, "patch_size": 8},
    "text_cfg": {
        "context_length": CONTEXT_LENGTH,
        "vocab_size": VOCABULARY,
        "hf_tokenizer_name": "local",
        "width": 192,
        "heads": 3,
        "layers": 4,
    },
}
PREPROCESS_CONFIG = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}


def build_clip() -> open_clip.CLIP:
    """A CLIP with random weights; 5 million parameters."""
    text = {key: value for key, value in MODEL_CONFIG["text_cfg"].items() if key != "hf_tokenizer_name"}
    return open_clip.CLIP(MODEL_CONFIG["embed_dim"], MODEL_CONFIG["vision_cfg"], text)


def train_clip(
    corpus: DemoCorpus, tokenizer: CLIPTokenizer, options: LoopOptions, folder: Path, out: Path, device: str
) -> None:
    """Train on every picture, both splits; publish to `out` in the form of open_clip's `local-dir:`.

    Texts are held against the whole corpus: the pictures of the batch, and for the others the embeddings that they had
    when they were last seen (a memory bank, Wu et al. 2018). Texts are cheap and many, pictures dear and few.
    """
    model = build_clip().to(device)
    texts, bank = TextBank(corpus), PictureBank(corpus.pictures, device)

    def loss(rng: np.random.Generator) -> dict[str, Tensor]:
        fresh = corpus.draw(rng, PICTURES)
        words = draw_words(texts, fresh, rng)
        tokens = tokenize(tokenizer, [word.text for word in words]).to(device)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            embedded = model.encode_image(augment(corpus.pictures[fresh], rng).to(device), normalize=True)
            asked = embed_texts(model, tokens)
        vectors = bank.with_fresh(model, fresh, embedded.float())
        logits = model.logit_scale.exp().clamp(max=100) * asked @ vectors.T
        true, maybe = (matrix.to(device) for matrix in texts.truth(words))
        logits = logits.masked_fill(maybe, -1e4)
        to_picture = nce(logits, true)
        to_text = nce(logits[:, fresh].T, true[:, fresh].T)
        return {"loss": to_picture + to_text, "to_picture": to_picture, "to_text": to_text}

    Training(model, options, folder).run(loss, lambda average: publish_clip(average, out))


def train_words(
    corpus: DemoCorpus, tokenizer: CLIPTokenizer, options: LoopOptions, folder: Path, out: Path, device: str
) -> None:
    """Go on with the text tower of the published CLIP; pictures keep their embeddings, so atlases stay valid."""
    model = load_clip(out).to(device)
    model.visual.requires_grad_(False)
    model.logit_scale.requires_grad_(False)
    texts = TextBank(corpus)
    vectors = embed_pictures(model, to_pixels(corpus.pictures).to(device))

    def loss(rng: np.random.Generator) -> dict[str, Tensor]:
        words = draw_words(texts, corpus.draw(rng, PICTURES), rng)
        tokens = tokenize(tokenizer, [word.text for word in words]).to(device)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            asked = embed_texts(model, tokens)
        true, maybe = (matrix.to(device) for matrix in texts.truth(words))
        logits = model.logit_scale.exp() * asked @ vectors.T
        return {"loss": nce(logits.masked_fill(maybe, -1e4), true)}

    Training(model, options, folder).run(loss, lambda average: publish_clip(average, out))


def load_clip(folder: Path) -> open_clip.CLIP:
    """A published CLIP in float32."""
    model = build_clip()
    model.load_state_dict({name: value.float() for name, value in load_file(folder / WEIGHTS).items()})
    return model


@torch.no_grad()
def embed_pictures(model: open_clip.CLIP, pixels: Tensor) -> Tensor:
    """Float32 (n, d), unit length, of float32 (n, 3, 64, 64) in -1 .. 1."""
    with torch.autocast(pixels.device.type, torch.bfloat16):
        return torch.cat([model.encode_image(part, normalize=True).float() for part in pixels.split(256)])


class PictureBank:
    """The latest embedding of every picture; those not in the batch are constants to the gradient."""

    def __init__(self, pictures: np.ndarray, device: str) -> None:
        self._pixels = to_pixels(pictures).to(device)
        self._vectors = torch.empty(0)
        self._age = 0

    def with_fresh(self, model: open_clip.CLIP, rows: np.ndarray, embedded: Tensor) -> Tensor:
        """All embeddings, float32 (n, d), with those of `rows` replaced, through which the gradient goes."""
        if self._age % REFRESH == 0:
            self._vectors = embed_pictures(model, self._pixels)
        self._age += 1
        places = torch.from_numpy(rows).to(self._pixels.device)
        vectors = self._vectors.index_copy(0, places, embedded)
        self._vectors = vectors.detach()
        return vectors


def embed_texts(model: open_clip.CLIP, tokens: Tensor) -> Tensor:
    """What `model.encode_text` gives, float32 (m, d) of unit length, without the work on padding.

    Most texts are single tags of few tokens, so short and long ones go separately, each cut to its longest.
    """
    lengths = (tokens != PAD_ID).sum(dim=1)
    order = torch.argsort(lengths)
    parts = order.tensor_split([int((lengths <= SHORT).sum())])
    embedded = torch.cat([_embed_cut(model, tokens[part], int(lengths[part].max())) for part in parts if len(part)])
    return F.normalize(embedded.float()[torch.argsort(order)], dim=-1)


def _embed_cut(model: open_clip.CLIP, tokens: Tensor, length: int) -> Tensor:
    states = model.token_embedding(tokens[:, :length]) + model.positional_embedding[:length]
    states = model.ln_final(model.transformer(states, attn_mask=model.attn_mask[:length, :length]))
    ends = states[torch.arange(len(tokens), device=tokens.device), tokens.argmax(dim=1)]
    return ends @ model.text_projection


def draw_words(texts: TextBank, fresh: np.ndarray, rng: np.random.Generator) -> list[Words]:
    """The texts of a batch: a caption and a mixture for each fresh picture, captions of others, and single tags."""
    others = texts.corpus.draw(rng, CAPTIONS)
    words = [texts.caption(int(row), rng) for row in (*fresh, *others)]
    words += [texts.mixture(int(row), rng) for row in fresh]
    return words + [texts.tag(rng) for _ in range(TAGS)]


def nce(logits: Tensor, true: Tensor) -> Tensor:
    """Contrastive loss with several right answers, MIL-NCE (Miech et al. 2020): any of them will do.

    Args:
        logits: float32 (q, c), questions by candidates.
        true: bool (q, c); every row has at least one.
    """
    right = logits.masked_fill(~true, -torch.inf).logsumexp(1)
    return (logits.logsumexp(1) - right).mean()


def publish_clip(model: nn.Module, out: Path) -> None:
    """Write open_clip's configuration and the weights; the tokenizer's files lie there already."""
    save_tensors(model.state_dict(), out / WEIGHTS)
    save_json({"model_cfg": MODEL_CONFIG, "preprocess_cfg": PREPROCESS_CONFIG}, out / "open_clip_config.json")
