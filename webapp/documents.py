"""JSON that every browser can read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON-like value
    """Return `value` with what JSON has no word for replaced: not-a-number and infinity become null, the rest text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value)


def dumps(value: Any) -> str:  # noqa: ANN401 - any JSON-like value
    """Return `value` as one line of JSON."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
