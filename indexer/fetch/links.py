"""A link as the fetcher sees it: one scheme, one host in one spelling, one port; all else is refused here."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from yarl import URL

from explorer.errors import PictureError, RejectReason
from indexer.fetch.addresses import Address, numeric

LONGEST = 8192
"""Characters of a link; servers take no more."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BLANKS = "".join(map(chr, range(33)))
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_AUTHORITY = re.compile(r"https?://[^/?#\s\\]+(?:[/?#]|$)", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be asked for.

    Attributes:
        url: without user, password and fragment; the host in its one spelling.
        host: a name in lower case without the final dot, or an address as `ipaddress` writes it.
        port: of the url, or its scheme's.
        address: of a host that is one.
        netloc: what the header `Host` says.
        origin: scheme, host and port.
    """

    url: URL
    host: str
    port: int
    address: Address | None
    netloc: str
    origin: str

    def at(self, path: str) -> Target:
        """Another resource of the same origin."""
        return replace(self, url=self.url.with_path(path))


def target(link: str) -> Target:
    """Read a link.

    Raises:
        PictureError: SCHEME: it is neither http nor https; ADDRESS: its host spells no address that there is; BAD_ROW:
            it is no link.
    """
    text = link.strip(_BLANKS)
    scheme = _SCHEME.match(text)
    if scheme is None or scheme[1].lower() not in ("http", "https"):
        raise PictureError(RejectReason.SCHEME, "the link is neither http nor https")
    if len(text) > LONGEST or _UNUSABLE.search(text) or not _AUTHORITY.match(text):
        raise PictureError(RejectReason.BAD_ROW, "the link cannot be read")
    try:
        url = URL(text)
        spelled = url.raw_host or ""
        port = url.port
    except ValueError as error:
        raise PictureError(RejectReason.BAD_ROW, "the link cannot be read") from error
    return _target(url, spelled.lower().removesuffix("."), port or 0)


def _target(url: URL, spelled: str, port: int) -> Target:
    try:
        address = numeric(spelled)
    except ValueError as error:
        raise PictureError(RejectReason.ADDRESS, "the link's host is no address that there is") from error
    if address is None and not (len(spelled) <= 253 and _NAME.fullmatch(spelled)):
        raise PictureError(RejectReason.BAD_ROW, "the link's host is no name")
    host = spelled if address is None else str(address)
    if url.raw_fragment:
        url = url.with_fragment(None)
    if url.raw_user is not None or url.raw_password is not None:
        url = url.with_user(None)
    if host != url.raw_host:
        url = url.with_host(host)
    shown = f"[{host}]" if ":" in host else host
    netloc = shown if url.is_default_port() else f"{shown}:{port}"
    return Target(url, host, port, address, netloc, f"{url.scheme}://{netloc}")


def joined(base: Target, location: str) -> Target:
    """Where a redirect leads.

    Raises:
        PictureError: see `target`; REDIRECTS: nowhere.
    """
    try:
        url = base.url.join(URL(location))
    except ValueError as error:
        raise PictureError(RejectReason.REDIRECTS, "the redirect leads to no link") from error
    return target(str(url))
