"""Pictures that visitors bring: where each lands. The last few are kept in memory, none on disk.

A stranger's file is decoded in a process of its own (`explorer.decoding`). What is served back was encoded anew; so
none of the file's own bytes leaves again.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock

import numpy as np
import numpy.typing as npt

from explorer.atlas import Atlas
from explorer.decoding import isolated_picture
from explorer.errors import QueueFull
from explorer.landing import Landing
from explorer.models.loader import Models
from explorer.pictures import thumbnail_webp
from explorer.provenance import locate
from explorer.search import picture_vectors

KEPT = 32
"""Pictures that are remembered; the one least recently asked for goes first."""

AT_ONCE = 2
"""Pictures that are looked at at a time: each may need some hundred megabytes until it is scaled down."""

SIDE = 512
"""Longest side of what is shown, pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A picture that somebody brought.

    Attributes:
        name: by which the page asks for it; nobody can guess it.
        picture: WebP, encoded anew.
        vectors: space -> float32 (d,), unit length.
        landing: where it lands.
    """

    name: str
    picture: bytes
    vectors: Mapping[str, npt.NDArray[np.float32]]
    landing: Landing


class Uploads:
    """Takes pictures in and remembers the last of them; for any thread."""

    def __init__(self, atlas: Atlas, models: Models, *, kept: int = KEPT, at_once: int = AT_ONCE) -> None:
        self._atlas = atlas
        self._models = models
        self._kept = kept
        self._room = BoundedSemaphore(at_once)
        self._known: OrderedDict[str, Upload] = OrderedDict()
        self._lock = Lock()

    def take(self, data: bytes) -> Upload:
        """Look where a picture lands, and remember it.

        Raises:
            PictureError: it is none that can be read.
            QueueFull: others are being looked at.
            QueryError, ModelError: the atlas came without a model, or it does not load.
        """
        if not self._room.acquire(blocking=False):
            raise QueueFull("other pictures are being looked at; try again in a moment")
        try:
            upload = self._look(data)
        finally:
            self._room.release()
        with self._lock:
            self._known[upload.name] = upload
            while len(self._known) > self._kept:
                self._known.popitem(last=False)
        return upload

    def get(self, name: str) -> Upload | None:
        """A picture that is still remembered."""
        with self._lock:
            if name in self._known:
                self._known.move_to_end(name)
            return self._known.get(name)

    def _look(self, data: bytes) -> Upload:
        picture = isolated_picture(data)
        spaces = self._atlas.spaces
        vectors = {space: picture_vectors(self._atlas, self._models, space, [picture])[0] for space in spaces}
        landing = locate(self._atlas, self._models, picture, vectors=vectors)
        return Upload(secrets.token_urlsafe(12), thumbnail_webp(picture, SIDE), vectors, landing)
