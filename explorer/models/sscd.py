"""The `sscd` space: what a picture is known again by as a copy; a TorchScript file that the user gives.

Source: E. Pizzi et al., A Self-Supervised Descriptor for Image Copy Detection, 2022 (arXiv 2202.10261), and the files
that its authors offer at github.com/facebookresearch/sscd-copy-detection, whose licence keeps them out of a package.

A TorchScript file is a program. What runs it knows no Python, and yet it can write files. So one is loaded only where
this user has named it for an index, or said that it is to be trusted: an atlas may come from a stranger and name any
file. It is neither fetched nor looked for.
"""

from __future__ import annotations

import hashlib
import io
import re
import shlex
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from explorer import seals
from explorer.errors import ModelError
from explorer.models.device import pick, upload
from explorer.models.quiet import loading
from explorer.models.references import ModelReference, Role, parse
from explorer.pictures import square

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from PIL import Image

SIDE = 288
"""Its authors scale the short side to so many pixels; here the middle of what is left is cut out, as for any space."""
BATCH = 16
"""Pictures that go through the model at a time on a CPU."""
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_REACHES_OUT = re.compile(rb"\b(?:torch\.(?:save|load|from_file)|ops\.(?!prim\.)\w+\.\w+)")
"""Operators that open files, or belong to no torch that comes with this program."""


@dataclass(frozen=True, slots=True)
class SscdModel:
    """A copy detector, ready to embed.

    Attributes:
        reference: the file's path.
        fingerprint: sha256 of the file and of how pictures are prepared.
        dim: dimensions of the space.
    """

    model: Any
    device: torch.device
    reference: str
    fingerprint: str
    dim: int

    @classmethod
    def load(cls, reference: str | ModelReference, device: str = "auto") -> Self:
        """Load a TorchScript file that is trusted, see `trust`.

        Raises:
            ModelError: there is no such file, it is no TorchScript, it is not trusted, reaches out, or gives no vector.
        """
        named = parse(reference, Role.SSCD) if isinstance(reference, str) else reference
        program = _Program.read(named.path)
        if not seals.is_vouched(program.digest):
            way = shlex.quote(f"from explorer.models.sscd import trust; trust({str(named.path)!r})")
            raise ModelError(
                f"model {named.text}: a TorchScript file is a program, and nobody has indexed with this one here; if "
                f"you know where it is from: python -c {way}"
            )
        program.inspect()
        where = pick(device)
        with loading(named.text):
            import torch

            model = torch.jit.load(io.BytesIO(program.data), map_location=where).eval()  # type: ignore[no-untyped-call]
            with torch.inference_mode():
                probe = model(torch.zeros(1, 3, SIDE, SIDE, device=where))
        if not isinstance(probe, torch.Tensor) or probe.ndim != 2 or len(probe) != 1:
            raise ModelError(f"model {named.text}: it gives no vector for a picture; expected SSCD's TorchScript file")
        mark = hashlib.sha256(f"{program.digest} {SIDE} {_MEAN} {_STD}".encode()).hexdigest()
        return cls(model, where, named.text, mark, int(probe.shape[1]))

    @property
    def side(self) -> int:
        """Pictures are squares of this many pixels."""
        return SIDE

    @property
    def batch(self) -> int | None:
        """So many pictures are best embedded together; None = to be measured, on a GPU."""
        return BATCH if self.device.type == "cpu" else None

    def compiled(self, batch: int) -> Self:
        """The same model: TorchScript is compiled already."""
        del batch
        return self

    def describe(self) -> dict[str, Any]:
        """What an atlas keeps of the model that made its vectors."""
        return {"reference": self.reference, "revision": None, "fingerprint": self.fingerprint, "dim": self.dim}

    def embed_pictures(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return float32 (n, dim), unit length, one row a picture (RGB, of any size)."""
        rows = [np.empty((0, self.dim), np.float32)]
        for start in range(0, len(pictures), BATCH):
            part = pictures[start : start + BATCH]
            rows.append(self.embed_squares(np.stack([np.asarray(square(each, SIDE)) for each in part])))
        return np.concatenate(rows)

    def embed_squares(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32 (n, dim), unit length, of pictures uint8 (n, SIDE, SIDE, 3) that go through together."""
        import torch

        mean, std = (torch.tensor(each, device=self.device).view(3, 1, 1) for each in (_MEAN, _STD))
        with torch.inference_mode():
            vectors = self.model((upload(squares, self.device).float() / 255 - mean) / std)
            found: NDArray[np.float32] = torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()
            return found


def trust(path: str | Path) -> None:
    """Say that this user knows where a TorchScript file is from; from then on it may be loaded.

    Raises:
        ModelError: there is no such file, or it is no TorchScript.
    """
    program = _Program.read(parse(str(Path(path).expanduser().resolve()), Role.SSCD).path)
    program.inspect()
    seals.vouch(program.digest)


@dataclass(frozen=True, slots=True)
class _Program:
    """A TorchScript file as it was read once: what is looked at, trusted and run are the same bytes."""

    path: Path
    data: bytes

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; ModelError where that cannot be done."""
        try:
            return cls(path, path.read_bytes())
        except OSError as error:
            raise ModelError(f"model {path}: cannot be read ({error.strerror}); expected a .torchscript.pt") from error

    @property
    def digest(self) -> str:
        """sha256 in hex."""
        return hashlib.sha256(self.data).hexdigest()

    def inspect(self) -> None:
        """Refuse what is no TorchScript, and a program that says itself that it wants more than to compute.

        This is no prison: it keeps accidents away, and who wants to do harm makes it harder to see.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(self.data)) as archive:
                names = [name for name in archive.namelist() if "/code/" in name and name.endswith(".py")]
                code = b"\n".join(archive.read(name) for name in names)
        except zipfile.BadZipFile as error:
            raise ModelError(
                f"model {self.path}: found no TorchScript archive ({error}); expected a .torchscript.pt"
            ) from error
        if not names:
            raise ModelError(
                f"model {self.path}: found an archive without a program, as a pickle of weights is; expected the file "
                "that ends in .torchscript.pt"
            )
        if found := _REACHES_OUT.search(code):
            raise ModelError(
                f"model {self.path}: its program asks for {found[0].decode()}; expected a model that only computes; "
                "get the file from its authors"
            )
