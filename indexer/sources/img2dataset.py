"""What img2dataset writes of its own work beside the pictures: the columns, and why a picture is not there.

Source: img2dataset 1.47, `downloader.py` and `resizer.py`, whose messages are urllib's and OpenCV's.
"""

from __future__ import annotations

from collections.abc import Mapping

from explorer.errors import RejectReason
from indexer.sources import tables
from indexer.sources.base import Fault

KEY, CAPTION, STATUS, MESSAGE = "key", "caption", "status", "error_message"
OWN = (KEY, "shard_id", STATUS, MESSAGE)
"""Columns about its work, and about no picture."""
SUCCESS = "success"

_REASONS: Mapping[str, RejectReason] = {
    "x-robots-tag": RejectReason.OPTED_OUT,
    "infinite loop": RejectReason.REDIRECTS,
    "http error": RejectReason.STATUS,
    "timed out": RejectReason.TIMEOUT,
    "name or service": RejectReason.DNS,
    "name resolution": RejectReason.DNS,
    "nodename nor servname": RejectReason.DNS,
    "no address": RejectReason.DNS,
    "certificate": RejectReason.TLS,
    "ssl": RejectReason.TLS,
    "connection": RejectReason.CONNECTION,
    "no route": RejectReason.CONNECTION,
    "unreachable": RejectReason.CONNECTION,
    "unknown url type": RejectReason.SCHEME,
    "hash mismatch": RejectReason.MISMATCH,
    "image decoding error": RejectReason.NOT_A_PICTURE,
    "image too small": RejectReason.TOO_SMALL,
    "image area too large": RejectReason.TOO_LARGE,
    "aspect ratio": RejectReason.ASPECT,
}
"""Words of a message, in lower case -> what they mean here; the first that it has counts."""


def fault(cells: Mapping[str, tables.Cell]) -> Fault | None:
    """Why img2dataset has no picture for a row; None where it says that it has one, or says nothing."""
    status = tables.text(cells.get(STATUS))
    if status is None or status == SUCCESS:
        return None
    message = tables.text(cells.get(MESSAGE)) or "no message"
    reasons = (reason for words, reason in _REASONS.items() if words in message.lower())
    return Fault(next(reasons, RejectReason.MISSING), f"img2dataset: {status[:40]} ({message[:200]})")
