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


def host(url: str) -> str:
    """The real host of a link, in the ASCII form that no look-alike letter can forge."""
    name = urlsplit(url).hostname or ""
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return name.encode("unicode_escape").decode("ascii")
