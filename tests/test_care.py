"""Duty of care: LAION's withdrawn links stop the build, rows nobody vetted are left out, and each way on works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from color_encoders import encoders
from hostile_web import HostileWeb
from hypothesis import given, settings
from hypothesis import strategies as st
from laion_tables import AFTER, kept, laion, left_out, manifest_of, read, write

from explorer import manifest as manifests
from explorer.errors import ManifestError
from explorer.safety import PUNSAFE_LINE
from indexer import care
from indexer.build import index
from indexer.sources.parquet_urls import ParquetUrlsSource
from indexer.sources.screen import Screen

OVERRIDE = {"safety": {"accept_pre_2024_links_without_safety_review": True}}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Twenty rows of LAION's schema; half of them are over the line."""
    return write(tmp_path / "part-0.parquet", laion(20))


def without(path: Path, *names: str) -> Path:
    return write(path, {name: values for name, values in laion(20).items() if name not in names})


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({}, r"whose release is not told \(the manifest has no date\)"),
        ({"date": "2022-08-01"}, "of 2022-08-01"),
        ({"date": "2023-12-31"}, "of 2023-12-31"),
    ],
)
def test_links_from_before_the_withdrawal_stop_the_build(table: Path, tables: dict[str, Any], words: str) -> None:
    """What is older than 2024, or of unknown age, is not used; the one line names all ways on."""
    with pytest.raises(ManifestError, match=words) as caught:
        read(table, **tables)
    message = str(caught.value)
    assert str(table) in message
    assert "\n" not in message
    for way in ("research-safe release (date = 2024-08-30)", "safety.intersect_with", f"{care.OVERRIDE} = true"):
        assert way in message


def test_links_without_punsafe_stop_the_build(tmp_path: Path) -> None:
    """A table of LAION's shape that does not say what is unsafe is not used, however new it is."""
    with pytest.raises(ManifestError, match="without punsafe"):
        read(without(tmp_path / "p.parquet", "punsafe"), **AFTER)


@pytest.mark.parametrize(
    "name", ["improved_aesthetics_6.5plus", "laion2B-en-aesthetic", "laion400m-meta", "laion_5B", "laion-art"]
)
def test_a_withdrawn_releases_name_stops_the_build(tmp_path: Path, name: str) -> None:
    """A date does not make a withdrawn file a new one; Re-LAION's own names are let through."""
    with pytest.raises(ManifestError, match="under the name of a release that was withdrawn"):
        read(write(tmp_path / f"{name}.parquet", laion(3)), **AFTER)
    for new in ("relaion2B-en-research-safe", "re-laion-2b", "Re-LAION_5B"):
        assert kept(read(write(tmp_path / f"{new}.parquet", laion(3)), **AFTER))


@pytest.mark.parametrize(
    ("names", "is_laion"),
    [
        (("URL", "TEXT"), True),
        (("url", "caption", "punsafe"), True),
        (("url", "NSFW"), True),
        (("url", "text", "similarity", "aesthetic"), True),
        (("url", "text"), False),
        (("url", "title", "width", "height", "hash"), False),
        (("url", "similarity"), False),
        (("URL", "TEXT", "punsafe"), True),
        (("text", "punsafe", "similarity"), False),
    ],
)
def test_what_looks_like_laion(names: tuple[str, ...], is_laion: bool) -> None:
    """Links with the columns of LAION's pipeline are taken for LAION's; a museum's are not."""
    assert care.is_laion_shaped(manifest_of("x.parquet"), names) == is_laion


def test_what_is_called_laion_is_taken_for_it() -> None:
    """A table of links whose manifest says LAION is LAION's, whatever its columns are; one without links is not."""
    called = manifest_of("x.parquet", title="A part of LAION")
    assert care.is_laion_shaped(called, ["link", "url"])
    assert not care.is_laion_shaped(called, ["text", "punsafe"])


def test_a_museums_links_need_nothing(tmp_path: Path) -> None:
    """Links and titles alone are nobody's withdrawn data."""
    path = write(tmp_path / "p.parquet", {"url": ["https://museum.example/1.jpg"], "title": ["A jar"]})
    assert len(kept(read(path))) == 1


def test_rows_over_the_line_or_unknown_are_left_out(tmp_path: Path) -> None:
    """A punsafe of at most 0.45 passes, as float32 too; NaN, null, infinity and text that is no number do not."""
    values = [0.45, np.nextafter(np.float32(0.45), np.float32(1)), 0.0, None, float("nan"), float("inf"), -float("inf")]
    links = [f"https://a.example/{at}" for at in range(len(values))]
    for type_ in (pa.float32(), pa.float64()):
        path = write(tmp_path / "p.parquet", {"url": links, "punsafe": pa.array(values, type_)})
        found = read(path, **AFTER)
        assert [row.key for row in kept(found)] == [links[0], links[2]]
        assert left_out(found) == {"unsafe": 5}
    texts = pa.array(["0.2", "safe", "0.9", "", None, "0.45", "NaN"])
    found = read(write(tmp_path / "p.parquet", {"url": links, "punsafe": texts}), **AFTER)
    assert [row.key for row in kept(found)] == [links[0], links[5]]


def test_the_line_can_be_lowered_and_not_raised(table: Path) -> None:
    """A stricter punsafe_max holds; a looser one is refused with the reason."""
    assert left_out(read(table, **AFTER, filter={"punsafe_max": 0.1})) == {"unsafe": 16}
    with pytest.raises(ManifestError, match=r"filter\.punsafe_max: found 0\.9; expected at most 0\.45"):
        read(table, **AFTER, filter={"punsafe_max": 0.9})


def test_the_override_goes_on_and_is_recorded(tmp_path: Path, table: Path) -> None:
    """The long key lets old links pass, keeps the line, lets the unknown pass, and stands in what an atlas keeps."""
    assert left_out(read(table, **OVERRIDE)) == {"unsafe": 10}
    assert left_out(read(table, **OVERRIDE, filter={"punsafe_max": 1.0})) == {}
    assert len(kept(read(without(tmp_path / "p.parquet", "punsafe"), **OVERRIDE))) == 20
    unknown = write(
        tmp_path / "q.parquet", {"URL": ["https://a/1", "https://a/2"], "TEXT": ["", ""], "punsafe": [None, 0.9]}
    )
    assert [row.punsafe for row in kept(read(unknown, **OVERRIDE))] == [None]
    manifest = manifest_of(table, **OVERRIDE)
    assert manifests.to_dict(manifest)["safety"] == OVERRIDE["safety"]
    assert ParquetUrlsSource(manifest).thresholds[care.OVERRIDE] is True


def test_a_list_of_what_re_laion_kept_is_a_way_on(tmp_path: Path) -> None:
    """Old links pass where a list names them, be it Parquet or lines; punsafe still counts where there is any."""
    old = write(tmp_path / "improved_aesthetics.parquet", laion(20))
    wanted = [f"https://pictures.example/{at}.jpg" for at in (1, 2, 7, 99)]
    write(tmp_path / "kept" / "a.parquet", {"url": wanted[:2], "caption": ["", ""]})
    write(tmp_path / "kept" / "b.parquet", {"URL": [*wanted[2:], None]})
    (tmp_path / "kept.txt").write_text("\n".join(wanted) + "\n")
    for listed in ("kept", "kept/*.parquet", "kept.txt"):
        found = read(old, safety={"intersect_with": str(tmp_path / listed)})
        assert [row.key for row in kept(found)] == wanted[:2]
        assert left_out(found) == {"withdrawn": 17, "unsafe": 1}
    bare = without(tmp_path / "bare.parquet", "punsafe", "hash")
    assert len(kept(read(bare, safety={"intersect_with": str(tmp_path / "kept.txt")}))) == 3


def test_a_list_may_share_another_column(tmp_path: Path, table: Path) -> None:
    """`intersect_on` names what the two have in common, in any case and of any type; without it nothing is used."""
    hashes = laion(20)["hash"][[0, 3]]
    write(tmp_path / "kept.parquet", {"HASH": [str(each) for each in hashes]})
    safety = {"intersect_with": str(tmp_path / "kept.parquet"), "intersect_on": "hash"}
    assert [row.extra["hash"] for row in kept(read(table, safety=safety))] == hashes.tolist()
    with pytest.raises(ManifestError, match=r"safety\.intersect_with: found no column of links in .*kept\.parquet"):
        read(table, safety={"intersect_with": str(tmp_path / "kept.parquet")})
    with pytest.raises(ManifestError, match=r"found no column uid in .*part-0\.parquet"):
        read(table, safety={**safety, "intersect_on": "uid"})
    with pytest.raises(ManifestError, match=r"none\.txt cannot be read"):
        read(table, safety={"intersect_with": str(tmp_path / "none.txt")})


@settings(deadline=None)
@given(
    ours=st.lists(st.text(max_size=3).filter(lambda text: "\n" not in text)),
    listed=st.lists(st.text(max_size=3), max_size=20),
)
def test_exactly_what_is_listed_is_admitted(
    tmp_path_factory: pytest.TempPathFactory, ours: list[str], listed: list[str]
) -> None:
    """The intersection is that of two sets, in whatever pieces the columns come."""
    folder = tmp_path_factory.mktemp("list")
    write(folder / "kept.parquet", {"url": pa.array(listed, pa.string())}, row_group_size=7)
    manifest = manifest_of("x.parquet", safety={"intersect_with": str(folder / "kept.parquet")})
    pieces = [pa.array(ours[start : start + 3], pa.string()) for start in range(0, len(ours), 3)]
    found = care.admitted(manifest, pieces)
    assert found is not None
    assert set(found.to_pylist()) == {text.encode() for text in set(ours) & set(listed)}


def test_a_screen_without_bounds_looks_at_nothing() -> None:
    """Where nothing is asked for, all rows pass."""
    screen = Screen.of(manifest_of("x.parquet"), ["url", "title"], "x")
    assert screen.columns == ()
    screened = screen.screen(pa.table({"url": ["a", "b"]}))
    assert (screened.kept.tolist(), dict(screened.left_out)) == ([True, True], {})


def test_the_line_is_re_laions() -> None:
    """Index and page hold to one line."""
    assert PUNSAFE_LINE == 0.45


def test_what_may_not_be_used_is_never_asked_for(tmp_path: Path) -> None:
    """A table that stops the build has cost no request; of one that goes on, rows over the line have cost none."""
    with HostileWeb() as web:
        table = laion(20) | {"URL": [web.url(f"picture/{at}/96") for at in range(20)]}
        path = write(tmp_path / "p.parquet", table)
        fetch = {"contact": "x@example.org", "allow_networks": ["127.1.0.0/16"], "allow_ports": [web.port]}
        with pytest.raises(ManifestError, match="whose release is not told"):
            index(tmp_path / "atlas", manifest_of(path, fetch=fetch), encoders=encoders())
        assert web.hits == []
        result = index(tmp_path / "atlas", manifest_of(path, fetch=fetch, **AFTER), encoders=encoders())
        asked = {int(hit.path.split("/")[2]) for hit in web.asked("picture/")}
    assert result.outcomes == {"indexed": 10, "rejected:unsafe": 10}
    assert asked == {at for at in range(20) if at % 10 <= 4}
