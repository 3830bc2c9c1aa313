"""Pictures as a film that browsers play: VP8 key frames in WebM.

A lossy WebP holds one VP8 key frame, so Pillow is all that it takes; and a film of key frames alone can be stopped at
any of them. FFmpeg in a package of its own would be 106 MB on the disk.
Sources: RFC 9649 (WebP), section 2.5; RFC 8794 (EBML); RFC 9559 (Matroska), section 5; the WebM container guidelines
(webmproject.org/docs/container).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

from PIL import Image

from explorer.stamp import SOFTWARE

FRAME_MS = 250
"""How long a picture stands."""

HELD = 6
"""How many times as long the last one stands."""

LEAST_SIDE = 256
"""Smaller pictures are scaled up to this, pixels; players cut tiny films or blur them as they like."""

QUALITY = 90
"""Of the frames, as WebP counts it."""

_MS = 1_000_000  # nanoseconds
_RIFF, _CHUNK = 12, 8  # bytes of the headers
_KEY_FRAME = 0x80

# Matroska's elements by their ids, as RFC 9559 writes them down
_EBML, _VERSION, _READ_VERSION, _MAX_ID, _MAX_SIZE = 0x1A45DFA3, 0x4286, 0x42F7, 0x42F2, 0x42F3
_DOC_TYPE, _DOC_VERSION, _DOC_READ_VERSION = 0x4282, 0x4287, 0x4285
_SEGMENT, _INFO, _SCALE, _DURATION, _MUXER, _WRITER = 0x18538067, 0x1549A966, 0x2AD7B1, 0x4489, 0x4D80, 0x5741
_TRACKS, _TRACK, _NUMBER, _UID, _TYPE, _LACING = 0x1654AE6B, 0xAE, 0xD7, 0x73C5, 0x83, 0x9C
_CODEC, _DEFAULT_DURATION, _VIDEO, _WIDTH, _HEIGHT = 0x86, 0x23E383, 0xE0, 0xB0, 0xBA
_CLUSTER, _TIMESTAMP, _BLOCK = 0x1F43B675, 0xE7, 0xA3
_CUES, _POINT, _TIME, _POSITIONS, _CUE_TRACK, _CUE_CLUSTER = 0x1C53BB6B, 0xBB, 0xB3, 0xB7, 0xF7, 0xF1


def webm(pictures: Sequence[Image.Image]) -> bytes:
    """Return a film of pictures (one or more, all of the size of the first), `FRAME_MS` each, the last one held."""
    frames = [_scaled(each) for each in pictures]
    coded = [_vp8(each) for each in frames]
    coded += coded[-1:] * (HELD - 1)
    clusters = [
        _element(_CLUSTER, _number(_TIMESTAMP, at * FRAME_MS), _element(_BLOCK, b"\x81\0\0", bytes([_KEY_FRAME]), each))
        for at, each in enumerate(coded)
    ]
    head = _info(len(coded)) + _tracks(*frames[0].size)
    cues = _cues([0] * len(clusters))  # as long as with the true positions
    starts = [len(head) + len(cues) + sum(map(len, clusters[:at])) for at in range(len(clusters))]
    return _header() + _element(_SEGMENT, head, _cues(starts), *clusters)


def _scaled(picture: Image.Image) -> Image.Image:
    times = max(1.0, LEAST_SIDE / min(picture.size))
    width, height = (round(length * times) for length in picture.size)
    return picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)


def _vp8(picture: Image.Image) -> bytes:
    """A picture as a VP8 key frame: the one chunk that a plain lossy WebP has."""
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=QUALITY, exif=b"", xmp=b"", icc_profile=b"")
    name, size = struct.unpack_from("<4sI", data.getvalue(), _RIFF)
    assert name == b"VP8 "
    return data.getvalue()[_RIFF + _CHUNK :][:size]


def _header() -> bytes:
    versions = {_VERSION: 1, _READ_VERSION: 1, _MAX_ID: 4, _MAX_SIZE: 8}
    form = _element(_DOC_TYPE, b"webm") + _number(_DOC_VERSION, 4) + _number(_DOC_READ_VERSION, 2)
    return _element(_EBML, *(_number(*each) for each in versions.items()), form)


def _info(frames: int) -> bytes:
    duration = _element(_DURATION, struct.pack(">d", frames * FRAME_MS))
    makers = [_element(name, SOFTWARE.encode()) for name in (_MUXER, _WRITER)]
    return _element(_INFO, _number(_SCALE, _MS), duration, *makers)


def _tracks(width: int, height: int) -> bytes:
    video = _element(_VIDEO, _number(_WIDTH, width), _number(_HEIGHT, height))
    about = {_NUMBER: 1, _UID: 1, _TYPE: 1, _LACING: 0, _DEFAULT_DURATION: FRAME_MS * _MS}
    track = [*(_number(*each) for each in about.items()), _element(_CODEC, b"V_VP8"), video]
    return _element(_TRACKS, _element(_TRACK, *track))


def _cues(starts: Sequence[int]) -> bytes:
    """Where each frame's cluster starts in the segment, bytes; so a player can go to any."""
    points = []
    for at, start in enumerate(starts):
        place = _number(_CUE_TRACK, 1) + _number(_CUE_CLUSTER, start)
        points.append(_element(_POINT, _number(_TIME, at * FRAME_MS), _element(_POSITIONS, place)))
    return _element(_CUES, *points)


def _element(name: int, *parts: bytes) -> bytes:
    """An element: its id, which carries its own length; the length of its data in eight bytes; its data."""
    data = b"".join(parts)
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + (1 << 56 | len(data)).to_bytes(8, "big") + data


def _number(name: int, value: int) -> bytes:
    return _element(name, value.to_bytes(8, "big"))
