"""The models that an atlas is made with, as the build sees them: a space, and vectors for pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from explorer.errors import ModelError
from explorer.layout import write_atomic
from explorer.manifest import Manifest
from explorer.models.clip import ClipModel
from explorer.models.references import Kind, ModelReference, Role, parse
from explorer.models.sscd import SscdModel, trust
from explorer.models.vae import VaeModel
from explorer.records import Space
from indexer.mapping.wording import Words


class Encoder(Protocol):
    """One space's model."""

    @property
    def space(self) -> Space:
        """The space that it spans."""
        ...

    def describe(self) -> dict[str, Any]:
        """What `atlas.json` says of it; its fingerprint stands for its weights."""
        ...

    @property
    def side(self) -> int:
        """It looks at squares of so many pixels; see `explorer.pictures.square`."""
        ...

    @property
    def batch(self) -> int | None:
        """So many pictures are best encoded together; None = to be measured."""
        ...

    def compiled(self, batch: int) -> Self:
        """The same model, compiled for batches of this many pictures where its device can be made faster so."""
        ...

    def encode(self, squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Vectors of pictures uint8 (n, side, side, 3), float32 (n, d), of any length.

        Raises:
            MemoryError: or torch's own, where there is no room for so many at once.
        """
        ...


M = TypeVar("M", ClipModel, SscdModel, VaeModel)


@dataclass(frozen=True)
class _ModelEncoder(Generic[M]):
    """What a model of either space says of itself."""

    model: M

    def describe(self) -> dict[str, Any]:
        """See `Encoder`."""
        return self.model.describe()

    @property
    def side(self) -> int:
        """See `Encoder`."""
        return self.model.side

    @property
    def batch(self) -> int | None:
        """See `Encoder`."""
        return self.model.batch

    def compiled(self, batch: int) -> Self:
        """See `Encoder`."""
        return replace(self, model=self.model.compiled(batch))


@dataclass(frozen=True)
class ClipEncoder(_ModelEncoder[ClipModel]):
    """open_clip's embedding of pictures."""

    space: Space = Space.CLIP

    def encode(self, squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """See `Encoder`."""
        return self.model.embed_squares(squares)


@dataclass(frozen=True)
class VaeEncoder(_ModelEncoder[VaeModel]):
    """The pooled latents of a generator's VAE."""

    space: Space = Space.VAE

    def encode(self, squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """See `Encoder`."""
        return self.model.pool_squares(squares)


@dataclass(frozen=True)
class SscdEncoder(_ModelEncoder[SscdModel]):
    """The copy detector's embedding of pictures."""

    space: Space = Space.SSCD

    def encode(self, squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """See `Encoder`."""
        return self.model.embed_squares(squares)


class ModelSet:
    """The encoders of a manifest, loaded only when a picture has to be encoded.

    A build that changes nothing needs to know which weights it would use, and no more. So what was last loaded is
    remembered beside the build, with the names, sizes and times of the files that it came from.
    """

    def __init__(self, manifest: Manifest, device: str, memory: Path, given: Sequence[Encoder] | None = None) -> None:
        """Prepare to load.

        Args:
            manifest: names the models.
            device: one of `explorer.models.device.DEVICES`.
            memory: the file to remember in.
            given: encoders to use in place of the manifest's.
        """
        self._manifest, self._device, self._memory = manifest, device, memory
        self._encoders = tuple(given) if given is not None else None

    def describe(self) -> dict[str, dict[str, Any]]:
        """Space -> what `atlas.json` says of its model.

        Raises:
            explorer.errors.ModelError: a model cannot be found or loaded.
        """
        if self._encoders is None:
            known = self._remembered()
            if known is not None:
                return known
        return {encoder.space.value: encoder.describe() for encoder in self.load()}

    @property
    def generator(self) -> str:
        """The generator's reference, a path made absolute; an atlas can be made where its generator is not at hand."""
        text = self._manifest.models.generator
        with suppress(ModelError):
            return parse(text, Role.DIFFUSION, self._manifest.base).text
        return text

    def load(self) -> tuple[Encoder, ...]:
        """The encoders, `clip` first, `sscd` last.

        Raises:
            explorer.errors.ModelError: one cannot be found or loaded.
        """
        if self._encoders is None:
            named = self._references()
            clip = ClipModel.load(named[Space.CLIP], self._device)
            vae = VaeModel.load(named[Space.VAE], self._device)
            self._encoders = (ClipEncoder(clip), VaeEncoder(vae), *self._sscd(named.get(Space.SSCD)))
            described = {encoder.space.value: encoder.describe() for encoder in self._encoders}
            write_atomic(self._memory, json.dumps({"stamps": self._stamps(), "models": described}).encode())
        return self._encoders

    def _sscd(self, named: ModelReference | None) -> Iterator[Encoder]:
        """The copy detector, where the manifest names one: who indexes with a program trusts it."""
        if named is not None:
            trust(named.path)
            yield SscdEncoder(SscdModel.load(named, self._device))

    def words(self) -> Words | None:
        """What gives texts vectors in the space `clip`, loaded when it is first asked; None where nothing does."""
        if self._encoders is None:
            weights = str(self.describe()[Space.CLIP.value]["fingerprint"])
            return Words(weights, partial(_embedded, self._references()[Space.CLIP], self._device))
        given = next((each for each in self._encoders if isinstance(each, ClipEncoder)), None)
        return None if given is None else Words(given.model.fingerprint, given.model.embed_texts)

    def _remembered(self) -> dict[str, dict[str, Any]] | None:
        stamps = self._stamps()
        try:
            memory = json.loads(self._memory.read_bytes())
            return memory["models"] if stamps is not None and memory["stamps"] == stamps else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _references(self) -> dict[Space, ModelReference]:
        models, base = self._manifest.models, self._manifest.base
        named = {Space.CLIP: parse(models.clip, Role.CLIP, base), Space.VAE: parse(models.vae, Role.DIFFUSION, base)}
        return named if models.sscd is None else {**named, Space.SSCD: parse(models.sscd, Role.SSCD, base)}

    def _stamps(self) -> dict[str, str] | None:
        """For each model a text that differs whenever its files may; None where one is a hub's, whose names move."""
        named = self._references()
        if any(reference.kind in (Kind.HUB, Kind.TAG) for reference in named.values()):
            return None
        return {space.value: f"{reference.text} {_stamp(reference.path)}" for space, reference in named.items()}


def local_words(reference: ModelReference, device: str, dim: int) -> Words | None:
    """What a model on this machine makes of texts, for vectors that came without it; None where it is elsewhere."""
    if reference.kind in (Kind.HUB, Kind.TAG) or not reference.path.exists():
        return None
    return Words(f"{reference.text} {_stamp(reference.path)}", partial(_embedded, reference, device, dim=dim))


def _embedded(
    reference: ModelReference, device: str, texts: Sequence[str], dim: int | None = None
) -> npt.NDArray[np.float32]:
    """What a model makes of texts, float32 (t, d); ModelError where it cannot be loaded, or has other dimensions."""
    model = ClipModel.load(reference, device)
    if dim not in (None, model.dim):
        raise ModelError(f"model {model.reference}: found vectors of {model.dim:,} numbers; expected {dim:,}")
    return model.embed_texts(texts)


def _stamp(root: Path) -> str:
    files = sorted(root.rglob("*")) if root.is_dir() else [root]
    states = [(path, path.stat()) for path in files if path.is_file()]
    lines = (f"{path.relative_to(root).as_posix()} {state.st_size} {state.st_mtime_ns}" for path, state in states)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
