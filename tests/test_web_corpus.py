"""The whole way on a hostile web: every row ends as it must, nothing forbidden is asked for, the atlas can be asked."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hostile_web import Apart, Canary, apart
from PIL import Image
from web_corpus import REDIRECTED, SIDE, WebCorpus, write

from explorer import Atlas, manifest
from explorer.layout import AtlasPaths
from explorer.verify import current, verify
from indexer.build import BuildResult, index

ROWS = 1000


@dataclass(frozen=True, slots=True)
class Indexed:
    """A corpus, the atlas made of it, and what the web saw."""

    corpus: WebCorpus
    atlas: Path
    result: BuildResult
    hits: dict[str, int]
    canary: int
    busiest: int


def draw(web: Apart, corpus: WebCorpus) -> None:
    """Have every picture of a corpus drawn, so that the web, which has one thread, takes no time while it is asked."""
    links = pq.read_table(corpus.manifest.with_suffix(".parquet"), columns=["URL"])["URL"].to_pylist()
    for path in {found[0] for link in links if (found := re.search(rf"picture/\d+/{SIDE}", link or ""))}:
        web.warm(path)
    for number in {found[1] for link in links if (found := re.search(r"(?:cut|tagged)/(\d+)", link or ""))}:
        web.warm(f"picture/{number}")
    for number in range(REDIRECTED):
        web.warm(f"picture/{number}/{SIDE}")


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Indexed]:
    """Indexed once, with the demo's models."""
    folder = tmp_path_factory.mktemp("web")
    with apart() as web, Canary() as canary:
        corpus = write(folder, web, canary, ROWS)
        draw(web, corpus)
        before = web.hits()
        result = index(folder / "atlas", manifest.load(corpus.manifest))
        hits = dict(web.hits() - before)
        yield Indexed(corpus, folder / "atlas", result, hits, canary.hits, max(web.busiest().values()))


def test_every_row_ends_as_it_must(indexed: Indexed) -> None:
    """The outcomes are those that the rows were made for, and add up to the table's rows."""
    assert indexed.result.outcomes == dict(indexed.corpus.expected)
    assert sum(indexed.result.outcomes.values()) == indexed.corpus.rows
    assert verify(indexed.atlas) == []


def test_the_web_is_asked_once_for_a_link_and_never_for_what_is_forbidden(indexed: Indexed) -> None:
    """A link of many rows is fetched once; what robots.txt closes and what nobody opened has no hit."""
    assert indexed.canary == 0
    assert indexed.busiest <= 2
    shared = {f"/picture/{number}/{SIDE}" for number in range(REDIRECTED)}
    asked = [count for path, count in indexed.hits.items() if path.startswith("/picture/") and path not in shared]
    assert set(asked) == {1}
    assert not [path for path in indexed.hits if path.lstrip("/").startswith(indexed.corpus.forbidden)]


def test_rejected_rows_are_listed_and_those_of_no_concern_only_counted(indexed: Indexed) -> None:
    """The list of rejected rows has the reasons that the outcomes count, without rows that are unsafe."""
    rejected = pq.read_table(current(AtlasPaths(indexed.atlas)).root / "rejected.parquet")
    listed = Counter(f"rejected:{reason}" for reason in rejected["reason"].to_pylist())
    expected = {name: count for name, count in indexed.corpus.expected.items() if name.startswith("rejected:")}
    del expected["rejected:unsafe"]
    assert listed == expected


def test_a_picture_under_many_links_is_one_family(indexed: Indexed) -> None:
    """Rows of the same bytes have one family, and no two pictures that differ share one."""
    atlas = Atlas.open(indexed.atlas)
    records = atlas.records(atlas.ids)
    families: dict[str, set[str]] = {}
    for record in records:
        families.setdefault(str(record.sha256), set()).add(record.family or record.key)
    assert all(len(names) == 1 for names in families.values())
    assert len(set().union(*families.values())) == len(families)
    assert len(records) - len(families) >= indexed.corpus.copies > 0


def test_the_atlas_can_be_asked(indexed: Indexed) -> None:
    """Words find captions, a picture lands on itself, and the links are those of the table."""
    atlas = Atlas.open(indexed.atlas)
    assert len(atlas.search_text("a red house", k=5)) == 5
    record = next(record for record in atlas.records(atlas.ids) if record.family is None)
    landing = atlas.locate(Image.open(io.BytesIO(atlas.thumbnail(record.id))).convert("RGB"))
    assert landing.spaces["clip"].hits[0].id == record.id
    assert landing.spaces["clip"].hits[0].image_url == record.key
    assert record.page_url is None and record.licence is None and record.fetched_at is not None


def test_the_data_card_says_what_was_opened(indexed: Indexed) -> None:
    """The card names the network that the manifest opened, the opt-outs, and the sum of all rows."""
    card = (current(AtlasPaths(indexed.atlas)).root / "DATA_CARD.md").read_text("utf-8")
    assert "127.1.0.0/16" in card
    assert f"| rejected:opted-out | {indexed.corpus.expected['rejected:opted-out']} |" in card
    assert f"| sum | {ROWS:,} |" in card
