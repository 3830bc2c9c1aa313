"""What was taken down or is on a blocklist is never looked at; what an atlas was made of stands in its data card."""

from __future__ import annotations

import hashlib
import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from color_encoders import encoders, write_pictures
from folder_builds import manifest, options
from hostile_web import picture
from PIL import Image

from explorer import denylist
from explorer.atlas import Atlas
from explorer.denylist import DenyKind, Takedown
from explorer.errors import PictureError, RejectReason
from explorer.layout import AtlasPaths, VersionPaths
from explorer.manifest import Fetch, Filter, Manifest, Safety, SplitRule
from explorer.records import Split
from explorer.status import status
from indexer.build import BuildResult, index
from indexer.corpus import Selection
from indexer.guard import Guard, GuardedReader
from indexer.sources.base import Link, SourceRow

DENIED_LINK = "https://pictures.example/gold-01"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eighteen pictures, each with a link."""
    folder = write_pictures(tmp_path / "pictures", 3)
    pictures = sorted(folder.rglob("*.png"))
    lines = [f"{path.relative_to(folder).as_posix()},https://pictures.example/{path.stem}" for path in pictures]
    (folder / "metadata.csv").write_text("file_name,image_url\n" + "\n".join(lines) + "\n")
    return folder


def build(atlas: Path, what: Manifest, **settings: Any) -> BuildResult:
    """Build with encoders that load nothing."""
    settings.setdefault("options", options())
    return index(atlas, what, encoders=encoders(), **settings)


def version(atlas: Path) -> VersionPaths:
    """The live version's files."""
    paths = AtlasPaths(atlas)
    return paths.version(paths.current.read_text().strip())


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("rebuild", [False, True])
def test_the_denylist_survives_a_rebuild(tmp_path: Path, folder: Path, rebuild: bool) -> None:
    """A link, a key and a file's bytes that were taken down are counted, named nowhere, and do not come back."""
    atlas = tmp_path / "atlas"
    build(atlas, manifest(folder))
    gone = folder / "purple" / "purple-02.png"
    denylist.add(
        AtlasPaths(atlas),
        [
            Takedown(DenyKind.URL, DENIED_LINK),
            Takedown(DenyKind.KEY, "crimson/crimson-00.png"),
            Takedown(DenyKind.SHA256, sha256(gone)),
        ],
    )
    result = build(atlas, manifest(folder), rebuild=rebuild)
    assert result.outcomes == {"indexed": 15, "rejected:denied": 3}
    shutil.copy(gone, folder / "again.png")  # the same bytes under another name
    assert build(atlas, manifest(folder)).outcomes == {"indexed": 15, "rejected:denied": 4}
    told = b"".join(path.read_bytes() for path in version(atlas).files())
    for name in (b"gold-01", b"crimson-00", b"purple-02", b"again.png"):
        assert name not in told
    assert pq.read_table(version(atlas).root / "rejected.parquet").num_rows == 0


def test_a_shard_that_is_done_is_done_again_without_what_was_taken_down(tmp_path: Path, folder: Path) -> None:
    """Where bytes alone are denied, no row of a shard is another, and still its result is not taken as it is."""
    atlas = tmp_path / "atlas"
    assert build(atlas, manifest(folder)).images == 18
    gone = folder / "purple" / "purple-02.png"
    denylist.add(AtlasPaths(atlas), [Takedown(DenyKind.SHA256, sha256(gone))])
    assert build(atlas, manifest(folder)).outcomes == {"indexed": 17, "rejected:denied": 1}


def test_a_blocklist_holds_for_links_and_bytes(tmp_path: Path, folder: Path) -> None:
    """Hashes of three kinds and a link each cost their row, counted and listed nowhere; another list, other rows."""
    first, second, third = (folder / "orange" / f"orange-0{number}.png" for number in range(3))
    entries = [
        hashlib.md5(first.read_bytes(), usedforsecurity=False).hexdigest(),
        hashlib.sha1(second.read_bytes(), usedforsecurity=False).hexdigest(),
        sha256(third),
        DENIED_LINK,
    ]
    (tmp_path / "blocked.txt").write_text("\n".join(entries))
    safe = replace(manifest(folder), safety=Safety(blocklist=str(tmp_path / "blocked.txt")))
    assert build(tmp_path / "atlas", safe).outcomes == {"indexed": 14, "rejected:blocked": 4}
    assert pq.read_table(version(tmp_path / "atlas").root / "rejected.parquet").num_rows == 0
    (tmp_path / "blocked.txt").write_text(entries[0])
    assert build(tmp_path / "atlas", safe).outcomes == {"indexed": 17, "rejected:blocked": 1}


def test_the_guard_reads_nothing_that_it_knows_by_name() -> None:
    """Rows are judged by their key, every link and its host; bytes by their hash, before anybody sees them."""

    class Reader:
        def read(self, row: SourceRow) -> bytes:
            return row.key.encode()

        def fetched_at(self, row: SourceRow) -> str | None:
            return "now"

    named = (
        (DenyKind.KEY, "a key"),
        (DenyKind.HOST, "bad.example"),
        (DenyKind.URL, "http://fine.example/x"),
        (DenyKind.SHA256, hashlib.sha256(b"bytes").hexdigest()),
    )
    guard = Guard({kind: frozenset({denylist.hashed(kind, value)}) for kind, value in named})
    assert guard.row(SourceRow("a key")) is RejectReason.DENIED
    assert guard.row(SourceRow("1", page_url="https://www.bad.example/page")) is RejectReason.DENIED
    assert guard.row(SourceRow("2", link=Link("https://fine.example/x"))) is RejectReason.DENIED
    assert guard.row(SourceRow("3", image_url="https://fine.example/y")) is None
    assert guard.url("http://bad.example/redirected") is RejectReason.DENIED
    reader = GuardedReader(Reader(), guard)
    assert (reader.read(SourceRow("other")), reader.fetched_at(SourceRow("other"))) == (b"other", "now")
    with pytest.raises(PictureError, match="taken down") as caught:
        reader.read(SourceRow("bytes"))
    assert caught.value.reason is RejectReason.DENIED


def test_copies_share_a_family_and_a_side(tmp_path: Path) -> None:
    """Recoded copies join their originals' families, are counted in `status`, and no family is cut by the split."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(20):
        image = Image.open(io.BytesIO(picture(number, 160)[1])).convert("RGB")
        image.save(folder / f"{number:02d}.png")
        image.resize((image.width // 2, image.height // 2)).save(folder / f"{number:02d}.jpg", quality=80)
    halves = replace(manifest(folder), split=SplitRule(share=0.5, seed=2))
    build(tmp_path / "atlas", halves)
    atlas = Atlas.open(tmp_path / "atlas")
    records = {record.key: record for record in atlas.records(atlas.ids)}
    pairs = [(record, records[f"{key[:-4]}.jpg"]) for key, record in records.items() if key.endswith(".png")]
    joined = [pair for pair in pairs if pair[0].family is not None and pair[0].family == pair[1].family]
    assert len(joined) >= 16
    sides: dict[str, set[Split]] = {}
    for record in records.values():
        sides.setdefault(record.family or record.key, set()).add(record.split)
    assert {len(each) for each in sides.values()} == {1}
    assert len({split for each in sides.values() for split in each}) == 2
    near = status(tmp_path / "atlas")["near_duplicates"]
    assert near["pictures"] == sum(record.family is not None for record in records.values())
    assert near["families"] == len({record.family for record in records.values()} - {None})
    for space in atlas.spaces:  # a copy is no measure of how near strangers are
        assert np.isfinite(atlas.space(space).baseline).all()


def test_the_data_card_says_what_the_atlas_was_made_of(tmp_path: Path, folder: Path) -> None:
    """Source, date, licence, rules, counts that add up, what was opened, hosts, models; strangers' words as words."""
    (folder / "bad.jpg").write_text("no picture")
    what = replace(
        manifest(folder),
        title="Mine <b>and</b> | yours",
        date="2024-05-06",
        licence="CC0-1.0",
        fetch=Fetch(contact="me@example.org", allow_networks=("10.0.0.0/8",), allow_ports=(8443,), honor_robots=False),
        filter=Filter(aesthetic_min=6.5),
        safety=Safety(accept_pre_2024_links_without_safety_review=True),
    )
    result = build(tmp_path / "atlas", what, options=replace(options(), selection=Selection(sample=12, seed=4)))
    card = version(tmp_path / "atlas").card.read_text("utf-8")
    assert card.startswith("# Mine \\<b\\>and\\</b\\> \\| yours\n")
    for line in (
        "- date of the corpus: 2024-05-06",
        "- licence: CC0-1.0",
        "- contact for takedowns: me@example.org",
        "- rows read from the source: 19",
        "- drawn by chance: 12 of them (seed 4)",
        "- `filter.aesthetic_min`: 6.5",
        "- `safety.accept_pre_2024_links_without_safety_review`: true",
        "- robots.txt: **not honored**, by the manifest",
        "- networks opened beyond the public internet: 10.0.0.0/8",
        "- ports opened beside 80 and 443: 8443",
        f"| indexed | {result.images} | |",
        "| sum | 12 | |",
        f"| pictures.example | {result.images} | 100.0% |",
        "- clip: colors",
        "A neighbor is a resemblance, not a cause.",
    ):
        assert line in card, line
