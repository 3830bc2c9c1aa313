"""Which texts of strangers are links: the one rule for manifests, tables, exports and the page."""

from __future__ import annotations

from urllib.parse import urlsplit

LONGEST = 4000
_FORBIDDEN = frozenset(' \\"<>`')


def web_link(text: str | None) -> str | None:
    """The text itself if it is an address by http or https that may be shown as a link, else None.

    It names a host and no user, has nothing invisible in it, and nothing that browsers read in two ways. Whether it may
    be fetched is for the fetcher to say.
    """
    if not text or len(text) > LONGEST or not text.isprintable() or not _FORBIDDEN.isdisjoint(text):
        return None
    try:
        parts = urlsplit(text)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:  # such as an unclosed bracket
        return None
    return text if is_web else None
