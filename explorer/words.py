"""Words as a reader may see them: what strangers wrote, without tricks, and figures that claim no more than they may.

For whatever is shown as HTML; `explorer.lines.plain` is for terminals.
"""

from __future__ import annotations

import unicodedata

_FIRST_PICTURE_OF_CONTROL = 0x2400  # U+2400 SYMBOL FOR NULL; the others follow in the order of ASCII
_JOINERS = {"\u200c", "\u200d"}  # without them Persian, Hindi and many emoji are misspelled


def marked(text: str) -> str:
    """`text` with control, direction and other invisible characters as visible marks.

    Line breaks and tabs become spaces; ASCII controls their Unicode pictures; all else `⟨U+XXXX⟩`.
    """
    return "".join(map(_mark, text))


def _mark(char: str) -> str:
    if char in "\n\r\t":
        return " "
    if unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} or char in _JOINERS:
        return char
    code = ord(char)
    return chr(_FIRST_PICTURE_OF_CONTROL + code) if code < 0x20 else f"⟨U+{code:04X}⟩"


def shortened(text: str, length: int) -> str:
    """At most `length` characters of `text`, the last an ellipsis where something was cut."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def share(percentile: float) -> str:
    """A percentile in words, rounded so that it never claims more than was measured."""
    if percentile < 1:
        return "almost none"
    if percentile < 99 or percentile >= 100:
        return f"{int(percentile)} %"
    return f"{int(percentile * 10) / 10:.1f} %"


def chance(p: float) -> str:
    """A p in words that round it neither to 0 nor to 1."""
    if p < 0.001:
        return "under 0.001"
    return f"{p:.2g}" if p <= 0.99 else "over 0.99"
