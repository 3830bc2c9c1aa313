"""What a prompt says by itself, beside the picture that came of it: how well they fit, and whose captions it resembles.

A prompt that is nearly a caption of the corpus may bring the captioned picture back; so its nearest captions are told
beside the nearest pictures. Captions have no vectors of their own in an atlas: some are found by the pictures that fit
the words and by the words that they share, and those alone are embedded and compared.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from explorer.atlas import Atlas
from explorer.exact import normalized
from explorer.landing import Landing
from explorer.records import Record, Space, Split
from explorer.search import MAX_TEXT, Encoders, search_vector

if TYPE_CHECKING:
    from PIL import Image

SHOWN = 8
CANDIDATES = 48
"""Captions from either way that are embedded; as many again by the other."""
MAX_WORDS = 12
"""Words of a prompt that captions are looked through for; the longest of them."""

_WORD = re.compile(r"\w+")
_SPOKEN = "lower(coalesce(map_extract(captions, 'en')[1], map_values(captions)[1]))"
_TRAINING = f"FROM (SELECT id, {_SPOKEN} AS said FROM records WHERE split = $1) WHERE said IS NOT NULL"


@dataclass(frozen=True, slots=True)
class CaptionHit:
    """A caption of the corpus that resembles a prompt.

    Attributes:
        id: of the picture that it belongs to.
        similarity: cosine of the two texts in `clip`.
        is_same: whether it is the prompt itself, but for case, spaces and punctuation.
        is_near: whether its picture is also among the nearest to the generated one, in any space.
        flagged: whether its picture is to be shown behind a blur.
    """

    id: int
    caption: str
    similarity: float
    is_same: bool
    is_near: bool
    split: Split
    page_url: str | None
    image_url: str | None
    flagged: bool


@dataclass(frozen=True, slots=True)
class Prompted:
    """What a prompt says beside its picture.

    Attributes:
        prompt: the words.
        similarity: cosine of prompt and picture in `clip`.
        best: the greatest that any training picture reaches with this prompt; None where there is none.
        compared: how many captions were compared.
        captions: those that resemble the prompt most, most similar first; a caption that several pictures have, once.
    """

    prompt: str
    similarity: float
    best: float | None
    compared: int
    captions: tuple[CaptionHit, ...]


def prompted(atlas: Atlas, models: Encoders, prompt: str, picture: Image.Image, landing: Landing) -> Prompted | None:
    """Look at a prompt beside its picture; None where the atlas has no space `clip`.

    A prompt that is longer than a search may be is cut.

    Args:
        atlas: whose captions are looked through: those of its training pictures.
        models: those that it was made with.
        prompt: what the picture was made from.
        picture: RGB, of any size.
        landing: where it lands.
    """
    if Space.CLIP not in atlas.spaces:
        return None
    prompt = prompt[:MAX_TEXT]
    clip = models.clip()
    words = normalized(clip.embed_texts([prompt]))[0]
    fitting = search_vector(atlas, Space.CLIP, words, CANDIDATES, percentile=False)
    spoken = _distinct(atlas.records([*(hit.id for hit in fitting), *_sharing_words(atlas, prompt)]))
    return Prompted(
        prompt=prompt,
        similarity=float(normalized(clip.embed_pictures([picture]))[0] @ words),
        best=fitting[0].similarity if fitting else None,
        compared=len(spoken),
        captions=_nearest(atlas, clip.embed_texts([each.caption for each in spoken]) @ words, spoken, prompt, landing),
    )


def _nearest(
    atlas: Atlas, similarities: npt.NDArray[np.float32], spoken: Sequence[Record], prompt: str, landing: Landing
) -> tuple[CaptionHit, ...]:
    near = {hit.id for space in landing.spaces.values() for hit in space.hits}
    order = sorted(range(len(spoken)), key=lambda at: (-similarities[at], spoken[at].id))[:SHOWN]
    flagged = atlas.flagged[atlas.rows([spoken[at].id for at in order])] if order else ()
    return tuple(
        CaptionHit(
            id=spoken[at].id,
            caption=spoken[at].caption,
            similarity=min(float(similarities[at]), 1.0),
            is_same=_plain(spoken[at].caption) == _plain(prompt),
            is_near=spoken[at].id in near,
            split=spoken[at].split,
            page_url=spoken[at].page_url,
            image_url=spoken[at].image_url,
            flagged=bool(is_flagged),
        )
        for at, is_flagged in zip(order, flagged, strict=True)
    )


def _distinct(records: Iterable[Record]) -> list[Record]:
    """The first picture of each caption; a key that stands in for a caption is none."""
    first: dict[str, Record] = {}
    for record in records:
        if record.captions:
            first.setdefault(_plain(record.caption), record)
    return list(first.values())


def _sharing_words(atlas: Atlas, prompt: str) -> list[int]:
    """Training pictures whose captions have words of the prompt in them: rare words count more, short captions first.

    A word weighs as in text retrieval, by the logarithm of how many captions there are to one that has it.
    """
    words = sorted(set(_WORD.findall(prompt.lower())), key=lambda word: (-len(word), word))[:MAX_WORDS]
    if not words:
        return []
    has = [f"contains(said, ${at})" for at in range(2, len(words) + 2)]
    counts = ", ".join(f"count(*) FILTER ({each})" for each in has)
    table = atlas.query(f"SELECT count(*), {counts} {_TRAINING}", [Split.TRAIN.value, *words])
    total, *having = (column[0].as_py() for column in table.columns)
    weights = [math.log((total + 1) / (count + 1)) for count in having]
    score = " + ".join(f"{each}::INT * {weight!r}" for each, weight in zip(has, weights, strict=True))
    found = atlas.query(
        f"SELECT min(id) AS id, ({score}) AS score {_TRAINING} AND ({' OR '.join(has)}) GROUP BY said "
        f"ORDER BY score DESC, length(said), id LIMIT {CANDIDATES}",
        [Split.TRAIN.value, *words],
    )
    ids: list[int] = found["id"].to_pylist()
    return ids


def _plain(text: str) -> str:
    """A text by its words alone."""
    return " ".join(_WORD.findall(text.casefold()))
