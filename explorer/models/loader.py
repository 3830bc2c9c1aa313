"""The models that an atlas was made with, loaded when first needed and shared by the whole process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from explorer.errors import ModelError, QueryError
from explorer.models.clip import ClipModel
from explorer.models.references import Kind
from explorer.models.sscd import SscdModel
from explorer.models.vae import VaeModel
from explorer.records import Space

if TYPE_CHECKING:
    from explorer.atlas import Atlas

DEMO_CORPUS = "openmoji"
"""The manifest kind of the corpus that the demo's models were trained on."""

T = TypeVar("T")
_shared: dict[tuple[object, ...], object] = {}
_locks: dict[tuple[object, ...], threading.Lock] = {}
_guard = threading.Lock()


class Models:
    """An atlas's own models; safe to ask from several threads, each model is loaded once a process."""

    def __init__(self, atlas: Atlas, device: str = "auto") -> None:
        """Remember which models; nothing is loaded yet."""
        self._named: Mapping[str, Mapping[str, Any] | None] = atlas.meta.get("models", {})
        self._device = device

    def clip(self) -> ClipModel:
        """The model of the space `clip`.

        Raises:
            QueryError: the atlas has no such space, or came without its model.
            ModelError: it cannot be loaded, or is not the one that the atlas was made with.
        """
        named = self._name(Space.CLIP)
        with _missed():
            model = shared((ClipModel, named["reference"], self._device), self._load_clip)
        return _of_the_length(named, _the_same(named, model))

    def vae(self) -> VaeModel:
        """The model of the space `vae`; raises as `clip` does."""
        named = self._name(Space.VAE)
        with _missed():
            model = shared((VaeModel, named["reference"], named.get("side"), self._device), self._load_vae)
        return _the_same(named, model)

    def sscd(self) -> SscdModel:
        """The model of the space `sscd`, which is a program; raises as `clip` does, and where nobody here trusts it."""
        named = self._name(Space.SSCD)
        with _missed():
            model = shared((SscdModel, named["reference"], self._device), self._load_sscd)
        return _the_same(named, model)

    def _name(self, space: Space) -> Mapping[str, Any]:
        named = self._named.get(space.value)
        if not named or not named.get("reference"):
            raise QueryError(f"this atlas has no model for the space {space.value}; only search by id works in it")
        return named

    def _load_clip(self) -> ClipModel:
        return ClipModel.load(self._name(Space.CLIP)["reference"], self._device)

    def _load_vae(self) -> VaeModel:
        named = self._name(Space.VAE)
        return VaeModel.load(named["reference"], self._device, side=named.get("side"))

    def _load_sscd(self) -> SscdModel:
        return SscdModel.load(self._name(Space.SSCD)["reference"], self._device)


def shared(key: tuple[object, ...], load: Callable[[], T]) -> T:
    """Return what `load` gave for this key, calling it once a process, however many threads ask."""
    with _guard:
        lock = _locks.setdefault(key, threading.Lock())
    with lock:
        if key not in _shared:
            _shared[key] = load()
        return _shared[key]  # type: ignore[return-value]


def demo_note(references: Iterable[str | None], corpus: str) -> str | None:
    """What to say where the demo's models meet another corpus; None where they are at home.

    Args:
        references: of the models in use.
        corpus: the manifest's kind.
    """
    if corpus == DEMO_CORPUS or Kind.DEMO not in references:
        return None
    return (
        "The demo's models were trained on emoji and know nothing else: here their neighbors, words and pictures mean "
        'little. Name others under [models] in the manifest, such as clip = "ViT-B-32/laion2b_s34b_b79k" and '
        'generator = "stable-diffusion-v1-5/stable-diffusion-v1-5", and index again.'
    )


@contextmanager
def _missed() -> Iterator[None]:
    """Say what works without a model that is not at hand."""
    try:
        yield
    except ModelError as error:
        raise ModelError(
            f"{error}. Words and pictures can only be asked for with the model that the atlas was made with; search by "
            "id, clusters, export and the map need none"
        ) from error


M = TypeVar("M", ClipModel, SscdModel, VaeModel)


def _the_same(named: Mapping[str, Any], model: M) -> M:
    """Return the model if its weights are those that the atlas's vectors came from."""
    if named.get("fingerprint") not in (None, model.fingerprint):
        raise ModelError(
            f"model {model.reference}: its weights are not those that this atlas was made with "
            f"(expected {named['fingerprint'][:12]}, found {model.fingerprint[:12]}); index again, or bring those back"
        )
    return model


def _of_the_length(named: Mapping[str, Any], model: ClipModel) -> ClipModel:
    """Return the model if its vectors can be compared with the atlas's, of whose weights nothing may be known."""
    if named.get("dim") not in (None, model.dim):
        raise ModelError(
            f"model {model.reference}: found vectors of {model.dim:,} numbers; expected {named['dim']:,} as this atlas "
            "has: name the model that made them as models.clip, and index again"
        )
    return model
