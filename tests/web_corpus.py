"""A corpus of LAION's schema whose links lead into `hostile_web`: good, dead, slow, huge, lying, and worse ones.

What must become of each row is known from how it was made. `python tests/web_corpus.py FOLDER ROWS` serves one until
its standard input ends; `latent-explorer index ATLAS --manifest FOLDER/web.toml` in another terminal indexes it.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hostile_web import Apart, Canary, apart

from explorer.errors import RejectReason

SIDE = 96
HOSTS = 900
"""Hosts of pictures; what answers badly has hosts of its own, since a dead host is given up as a whole."""
REDIRECTED = 50
"""Pictures that redirects lead to, many to one."""
_BAD_HOSTS = 400
_CAPTIONS = ("a photo of {}", "{} at night", "{}, oil on canvas", "vintage poster of {}", "{} <b>&amp;</b> friends")
_NOUNS = ("a red house", "two dogs", "the harbor", "a city street", "wild flowers", "an old car", "my grandmother")
_HOSTILE = ("\x00\x1b[31mred", "\u202egnp.exe", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "x" * 1_000_000)


@dataclass(frozen=True, slots=True)
class WebCorpus:
    """What was made.

    Attributes:
        manifest: the manifest of the corpus.
        rows: of its table.
        expected: outcome -> rows.
        pictures: how many different links lead to a picture.
        copies: rows whose picture another row has, by another link or by the same.
        forbidden: paths that nobody may ask for.
    """

    manifest: Path
    rows: int
    expected: Counter[str]
    pictures: int
    copies: int
    forbidden: tuple[str, ...]


@dataclass
class _Maker:
    """Draws rows, and notes what must become of them."""

    web: Apart
    canary: int
    chance: random.Random
    expected: Counter[str] = field(default_factory=Counter)
    links: list[str] = field(default_factory=list)
    numbers: set[int] = field(default_factory=set)
    copies: int = 0

    def row(self, number: int) -> dict[str, object]:
        """Row `number` of the table."""
        kinds: dict[Callable[[int], tuple[str | None, RejectReason | None]], int] = {
            **{self._good: 560, self._again: 60, self._copy: 40, self._redirected: 40, self._dead: 80, self._slow: 20},
            **{self._huge: 20, self._lying: 50, self._broken: 30, self._looping: 10, self._private: 30},
            **{self._opted_out: 30, self._odd: 20, self._unusable: 10},
        }
        make = self.chance.choices(list(kinds), list(kinds.values()))[0]
        url, reason = make(number)
        punsafe = self.chance.choices((0.01, 0.9, float("nan")), (94, 4, 2))[0]
        if punsafe != 0.01:
            reason = RejectReason.UNSAFE
        elif url is not None and reason is None:
            self.copies += url in self.links
            self.links.append(url)
        self.expected["indexed" if reason is None else f"rejected:{reason}"] += 1
        caption = self.chance.choice(_CAPTIONS).format(self.chance.choice(_NOUNS))
        if self.chance.random() < 0.01:
            caption = self.chance.choice(_HOSTILE)
        return {"URL": url, "TEXT": caption, "WIDTH": 96.0, "HEIGHT": 96.0, "similarity": 0.3, "hash": number} | {
            "punsafe": punsafe,
            "pwatermark": 0.1,
            "AESTHETIC_SCORE": self.chance.uniform(6.5, 8),
        }

    def _host(self, number: int) -> int:
        return number % HOSTS

    def _bad(self) -> int:
        return HOSTS + self.chance.randrange(_BAD_HOSTS)

    def _good(self, number: int) -> tuple[str, None]:
        return self.web.url(f"picture/{number}/{SIDE}", self._host(number)), None

    def _again(self, number: int) -> tuple[str, None]:
        """The link of a row before, if there is one."""
        return (self.chance.choice(self.links), None) if self.links else self._good(number)

    def _copy(self, number: int) -> tuple[str, None]:
        """Another row's picture at another host."""
        url, _ = self._again(number)
        path = url.split("/", 3)[3]
        return self.web.url(f"{path}?{number}", self._host(number + 1)), None

    def _redirected(self, number: int) -> tuple[str, None]:
        return self.web.url(
            f"redirect/{self.chance.randint(1, 3)}/{number % REDIRECTED}/{SIDE}", self._host(number)
        ), None

    def _dead(self, number: int) -> tuple[str, RejectReason]:
        """Refused, never answered, or gone."""
        how = self.chance.randrange(3)
        if how == 0:
            return self.web.url(
                f"status/{self.chance.choice((403, 404, 410))}", self._host(number)
            ), RejectReason.STATUS
        port = (self.web.refused, self.web.silent)[how - 1]
        reason = (RejectReason.CONNECTION, RejectReason.TIMEOUT)[how - 1]
        host = HOSTS + _BAD_HOSTS * how + self.chance.randrange(_BAD_HOSTS)
        return self.web.url(f"picture/{number}", host).replace(f":{self.web.port}/", f":{port}/"), reason

    def _slow(self, number: int) -> tuple[str, RejectReason]:
        host = HOSTS + 3 * _BAD_HOSTS + number % _BAD_HOSTS
        return self.web.url(f"{self.chance.choice(('slow-body', 'slow-head'))}/{number}", host), RejectReason.TIMEOUT

    def _huge(self, number: int) -> tuple[str, RejectReason]:
        how = self.chance.choice(("", "chunked", "huge"))
        return self.web.url(f"endless/{how}?{number}", self._bad()), RejectReason.TOO_LARGE

    def _lying(self, number: int) -> tuple[str, RejectReason]:
        kind = self.chance.choice(("html", "svg", "pdf", "eps", "json"))
        return self.web.url(f"body/{kind}?{number}", self._bad()), RejectReason.NOT_A_PICTURE

    def _broken(self, number: int) -> tuple[str, RejectReason]:
        path, reason = self.chance.choice(
            (
                (f"cut/{number}", RejectReason.TRUNCATED),
                (f"empty?{number}", RejectReason.EMPTY),
                (f"encoded/{self.chance.choice(('gzip', 'br', 'zstd'))}?{number}", RejectReason.ENCODED),
            )
        )
        return self.web.url(path, self._bad()), reason

    def _looping(self, number: int) -> tuple[str, RejectReason]:
        return self.web.url(
            f"{self.chance.choice(('loop', 'redirect/9'))}/{number}", self._bad()
        ), RejectReason.REDIRECTS

    def _private(self, number: int) -> tuple[str, RejectReason]:
        """What nobody opened, in many spellings, and by a redirect."""
        spellings = ("127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost")
        url = f"http://{self.chance.choice(spellings)}:{self.canary}/{number}"
        if self.chance.random() < 0.3:
            url = self.web.url(f"to?{url}", self._bad())
        return url, RejectReason.ADDRESS

    def _opted_out(self, number: int) -> tuple[str, RejectReason]:
        if self.chance.random() < 0.5:
            return self.web.url(f"private/{number}", self._host(number)), RejectReason.ROBOTS
        word = self.chance.choice(("noai", "noimageai", "noindex", "noimageindex", "noml"))
        return self.web.url(f"tagged/{number}?{word}", self._host(number)), RejectReason.OPTED_OUT

    def _odd(self, number: int) -> tuple[str, RejectReason]:
        schemes = ("file:///etc/hostname?{}", "ftp://127.1.0.1/{}", "javascript:alert({})", "data:image/png;base64,{}")
        return self.chance.choice(schemes).format(number), RejectReason.SCHEME

    def _unusable(self, number: int) -> tuple[None, RejectReason]:
        del number
        return None, RejectReason.BAD_ROW


def write(folder: Path, web: Apart, canary: Canary, rows: int, seed: int = 0) -> WebCorpus:
    """Write `web.parquet` and `web.toml`."""
    folder.mkdir(parents=True, exist_ok=True)
    maker = _Maker(web, canary.port, random.Random(seed))
    table = pa.Table.from_pylist([maker.row(number) for number in range(rows)])
    pq.write_table(table, folder / "web.parquet")
    (folder / "web.toml").write_text(
        f"""kind = "parquet-urls"
path = "web.parquet"
title = "A hostile web"
date = 2024-08-30

[fetch]
contact = "mailto:somebody@example.org"
timeout = 15
max_bytes = 1000000
allow_networks = ["127.1.0.0/16"]
allow_ports = [{web.port}, {web.refused}, {web.silent}]
""",
        encoding="utf-8",
    )
    return WebCorpus(
        manifest=folder / "web.toml",
        rows=rows,
        expected=maker.expected,
        pictures=len(set(maker.links)),
        copies=maker.copies,
        forbidden=("private", "etc"),
    )


def main() -> None:
    """Serve a corpus until standard input ends."""
    folder, rows = Path(sys.argv[1]), int(sys.argv[2])
    with apart() as web, Canary() as canary:
        corpus = write(folder, web, canary, rows)
        sys.stdout.write(f"{corpus.manifest}: {corpus.rows:,} rows; expected {dict(sorted(corpus.expected.items()))}\n")
        sys.stdout.flush()
        sys.stdin.read()
        sys.stdout.write(f"the canary had {canary.hits} hits\n")


if __name__ == "__main__":
    main()
