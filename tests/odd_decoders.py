"""Decoders that go wrong, for worker processes: each is a function of this module, so that a worker finds it."""

from __future__ import annotations

import ctypes
import io
import os
import sys
import time
from pathlib import Path

from PIL import Image

from explorer.pictures import Enough
from indexer.sources.base import Decoded, plain


def counted(log: Path, data: bytes, enough: Enough | None = None, /) -> Decoded:
    """As `plain`; each call leaves a line in `log`."""
    with log.open("a") as handle:
        handle.write(f"{os.getpid()} {len(data)}\n")
    return plain(data, enough)


def treacherous(data: bytes, enough: Enough | None = None, /) -> Decoded:
    """As `plain`, but the words abort, crash, spin, sleep, swell and panic in a file do what they say."""
    if data == b"abort":
        os.abort()
    if data == b"crash":
        ctypes.string_at(0)
    if data == b"spin":
        while True:
            pass
    if data == b"sleep":
        time.sleep(3600)
    if data == b"swell":
        bytearray(3 << 30)
    if data == b"panic":
        raise Panic
    return plain(data, enough)


class Panic(BaseException):
    """What no `except Exception` catches and no pickle carries, as Rust's panics are in Python."""

    def __init__(self) -> None:
        super().__init__(lambda: None)


def careless(data: bytes) -> tuple[int, int]:
    """Look at a picture's size as a decoder does that has no bound of its own."""
    with Image.open(io.BytesIO(data)) as image:
        return image.size


def napping(data: bytes) -> int:
    """Take a moment for any file."""
    time.sleep(0.05)
    return len(data)


def modules() -> set[str]:
    """What this process has loaded."""
    return set(sys.modules)
