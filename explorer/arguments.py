"""What several verbs take on the command line, and what becomes of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import PictureError
from explorer.models.device import DEVICES
from explorer.records import Space, Split

if TYPE_CHECKING:
    from PIL import Image

    from explorer.atlas import Atlas
    from explorer.models.loader import Models
    from explorer.search import Mask

Document = dict[str, Any]

SPLITS = (*(split.value for split in Split), "all")


def verb(
    verbs: Any,  # noqa: ANN401 - argparse keeps this class to itself
    name: str,
    purpose: str,
    run: Callable[[argparse.Namespace], Document],
    show: Callable[[Document], str],
) -> argparse.ArgumentParser:
    """Add a verb that asks an atlas, with the words that say so."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=purpose, description=purpose.capitalize() + ".")
    parser.add_argument("atlas", type=Path, metavar="ATLAS", help="the atlas's directory")
    parser.set_defaults(run=run, show=show)
    return parser


def add_space(parser: argparse.ArgumentParser) -> None:
    """Add `--space`."""
    parser.add_argument("--space", default=Space.CLIP.value, metavar="SPACE", help="clip (the default), vae or sscd")


def add_level(parser: argparse.ArgumentParser, default: int | None = None) -> None:
    """Add `--level`."""
    words = "of clusters: 0 = coarse (the default), 1 = those inside"
    parser.add_argument("--level", type=int, choices=(0, 1), default=default, help=words)


def add_k(parser: argparse.ArgumentParser, default: int = 12) -> None:
    """Add `-k`."""
    parser.add_argument("-k", type=int, default=default, metavar="K", help=f"how many (default: {default})")


def add_filter(parser: argparse.ArgumentParser) -> None:
    """Add `--filter`."""
    parser.add_argument(
        "--filter",
        action="append",
        metavar="F",
        help='only pictures that meet a condition: COLUMN, one of ~ = != >= <= > <, VALUE, such as "width >= 512", '
        '"tags ~ cat" or "licence = null" (unknown); several times: all of them',
    )


def add_split(parser: argparse.ArgumentParser) -> None:
    """Add `--split`."""
    parser.add_argument("--split", choices=SPLITS, default=Split.TRAIN.value, help="default: train")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add `--device`."""
    parser.add_argument("--device", choices=DEVICES, default="auto", help="default: auto")


def opened(args: argparse.Namespace) -> Atlas:
    """The atlas that was named."""
    from explorer.atlas import Atlas

    return Atlas.open(args.atlas)


def picture(file: Path) -> Image.Image:
    """A picture file, opened; PictureError names it where it cannot be."""
    return picture_file(file)[0]


def picture_file(file: Path) -> tuple[Image.Image, str]:
    """A picture file, opened, and the sha256 of its bytes; read once, since a pipe has them no second time."""
    from explorer.pictures import file_bytes, open_picture

    try:
        data = file_bytes(file)
        return open_picture(data), sha256(data).hexdigest()
    except PictureError as error:
        raise PictureError(error.reason, f"{file}: {error}") from error


def among(atlas: Atlas, texts: Sequence[str] | None) -> Mask | None:
    """Which rows the filters leave, None where there are none."""
    from explorer import filters

    return filters.matching(atlas, filters.parse_all(texts)) if texts else None


def models(args: argparse.Namespace, atlas: Atlas) -> Models:
    """The atlas's models, on the device asked for."""
    from explorer.models.loader import Models

    return Models(atlas, args.device)


def split(args: argparse.Namespace) -> Split | None:
    """The split asked for, None = both."""
    return None if args.split == "all" else Split(args.split)


def notes(args: argparse.Namespace, atlas: Atlas, *spaces: str, generator: str | None = None) -> list[str]:
    """Say on standard error what has to be known of the models in use; return it for the document."""
    from explorer.models.loader import demo_note

    models = atlas.meta["models"]
    references = [(models.get(space) or {}).get("reference") for space in spaces]
    note = demo_note([*references, generator], atlas.manifest.kind)
    if note:
        args.progress.note(note)
    return [note] if note else []
