"""Takedowns: which pictures an atlas must no longer show, kept as hashes so that the list names nobody.

A line of `denylist.jsonl` is `{"kind", "sha256", "at"}`: the sha256 of a value in its normal form, and when it was
denied. A link's normal form has `https` for `http`, the host in lower case and as IDNA writes it, no default port, no
name before an @, no fragment, and percent signs for what no link may hold; so one picture under two spellings is one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, urlsplit

from filelock import FileLock

from explorer.errors import AtlasError
from explorer.layout import AtlasPaths, write_atomic


class DenyKind(StrEnum):
    """What of a picture is denied."""

    KEY = "key"
    URL = "url"
    HOST = "host"
    SHA256 = "sha256"


Denylist = Mapping[DenyKind, frozenset[str]]
"""Kind -> sha256 of each denied value, hex."""

COLUMNS: Mapping[DenyKind, tuple[str, ...]] = {
    DenyKind.KEY: ("key",),
    DenyKind.URL: ("image_url", "page_url"),
    DenyKind.HOST: ("host", "image_url", "page_url"),
    DenyKind.SHA256: ("sha256",),
}
"""The columns of `records.parquet` that a kind is held against; of a link, a host is its host."""

REVISION = 1
"""Raised when the same list would deny other rows; part of its state."""
_SAFE_IN_LINK = "%/:=&?~+!$,;'@()*[]"
_REMEMBERED = 65_536
_NAME = "[a-z0-9-]+(?:[.][a-z0-9-]+)*"
_PLAIN_NAME = re.compile(_NAME)
_PLAIN = "[A-Za-z0-9_.%/:=&~+!$,;'@()*-]"
_PLAIN_LINK = re.compile(rf"https?://({_NAME})((?:/{_PLAIN}*)?)((?:\?(?:{_PLAIN}|\?)+)?)")
"""Links of which only scheme and path need a look: nearly all, and found a million at a time, an order faster."""


@dataclass(frozen=True, slots=True)
class Takedown:
    """One thing to deny, in plain words."""

    kind: DenyKind
    value: str


def normal(kind: DenyKind, value: str) -> str:
    """The form of a value that is hashed; of a link, a host is its host."""
    value = value.strip()
    if kind is DenyKind.HOST:
        return _host(value)
    if kind is DenyKind.SHA256:
        return value.lower()
    return _link(value) if kind is DenyKind.URL else value


def hashed(kind: DenyKind, value: str) -> str:
    """Return the sha256 of a value's normal form, hex."""
    return _digest(normal(kind, value))


def read(path: Path) -> Denylist:
    """Read a denylist; a missing file denies nothing.

    Raises:
        AtlasError: a line is not an entry. Nothing is shown then, rather than what was taken down.
    """
    found: dict[DenyKind, set[str]] = {}
    for number, line in enumerate(_lines(path), 1):
        try:
            entry = json.loads(line)
            found.setdefault(DenyKind(entry["kind"]), set()).add(str(entry["sha256"]).lower())
        except (ValueError, KeyError, TypeError) as error:
            raise AtlasError(f"{path}: line {number} is not a takedown; nothing is shown until it is mended") from error
    return {kind: frozenset(values) for kind, values in found.items()}


def state(listed: Denylist) -> str:
    """Stands for a list, in whatever order it was written; hex.

    A version that was made without what a list denies says so by its state, and readers need not look through its rows.
    """
    entries = sorted(f"{kind} {digest}" for kind, digests in listed.items() for digest in digests)
    return _digest("\n".join([str(REVISION), *entries]))


def add(paths: AtlasPaths, takedowns: Iterable[Takedown]) -> int:
    """Deny, and have it on the disk before returning; what is denied already is not written twice.

    It needs no quiet atlas: a reader obeys at its next answer, a running build goes on.

    Returns:
        how many lines are new.

    Raises:
        AtlasError: the list that is there is damaged.
    """
    paths.build.mkdir(parents=True, exist_ok=True)
    with FileLock(paths.build / "denylist.lock"):
        known, lines = read(paths.denylist), _lines(paths.denylist)
        wanted = {(each.kind, hashed(each.kind, each.value)): None for each in takedowns}
        new = [(kind, digest) for kind, digest in wanted if digest not in known.get(kind, frozenset())]
        at = datetime.now(UTC).isoformat(timespec="seconds")
        lines += [json.dumps({"kind": kind.value, "sha256": digest, "at": at}) for kind, digest in new]
        if new:
            write_atomic(paths.denylist, "".join(f"{line}\n" for line in lines).encode())
    return len(new)


def is_denied(denylist: Denylist, kind: DenyKind, values: Iterable[str | None]) -> Iterator[bool]:
    """Whether each value is denied; a denied host takes its subdomains with it."""
    denied = denylist.get(kind, frozenset())

    def holds(form: str) -> bool:
        return any(_digest(each) in denied for each in _forms(kind, form))

    if kind is DenyKind.HOST:  # few, and each of many rows
        holds = lru_cache(_REMEMBERED)(holds)

    for value in values:
        yield bool(denied) and value is not None and holds(normal(kind, value))


def denies(denylist: Denylist, kind: DenyKind, value: str | None) -> bool:
    """Whether one value is denied."""
    return next(is_denied(denylist, kind, [value]))


def denies_link(denylist: Denylist, link: str | None) -> bool:
    """Whether a link is denied, by itself or by its host."""
    return denies(denylist, DenyKind.URL, link) or denies(denylist, DenyKind.HOST, link)


def _link(value: str) -> str:
    if plain := _PLAIN_LINK.fullmatch(value):
        return f"https://{plain[1]}{plain[2] or '/'}{plain[3]}"
    return _parsed(value)


def _parsed(value: str) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:  # no link, such as an unclosed bracket: its own text is all there is to compare
        return value
    scheme = "https" if parts.scheme == "http" else parts.scheme
    place = "" if port in (None, 80, 443) else f":{port}"
    path = quote(parts.path or "/", safe=_SAFE_IN_LINK, errors="surrogatepass")
    query = quote(parts.query, safe=_SAFE_IN_LINK, errors="surrogatepass")
    return f"{scheme}://{_host(parts.hostname or '')}{place}{path}" + (f"?{query}" if query else "")


def _host(value: str) -> str:
    """A host's name, or that of a link."""
    if plain := _PLAIN_LINK.fullmatch(value):
        return plain[1]
    if _PLAIN_NAME.fullmatch(value):
        return value
    if "://" in value:
        try:
            value = urlsplit(value).hostname or ""
        except ValueError:
            return value
    value = value.lower().rstrip(".")
    try:
        return value.encode("idna").decode()
    except UnicodeError:
        return value


def _forms(kind: DenyKind, form: str) -> Iterator[str]:
    yield form
    if kind is DenyKind.HOST:
        labels = form.split(".")
        yield from (".".join(labels[start:]) for start in range(1, len(labels) - 1))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise AtlasError(f"{path} cannot be read; nothing is shown until it is mended") from error
