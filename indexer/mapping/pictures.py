"""What the stages of a space are told of the pictures beside their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.mapping.phrases import PictureText
from indexer.mapping.wording import Words


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """The encoded rows, in order.

    Attributes:
        key: a digest of all that their vectors depend on.
        train: bool (n,).
        families: int32 (n,), equal where two rows are of one family.
        texts: what each row says of its cluster.
        words: what gives texts vectors in the space `clip`; None where nothing does.
    """

    key: str
    train: npt.NDArray[np.bool_]
    families: npt.NDArray[np.int32]
    texts: Sequence[PictureText]
    words: Words | None = None
