"""Tars from strangers: what `tarfile` reads is read, what is damaged costs no more than it touches."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from pathlib import Path

import pytest
import webdataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.sources.tar import BLOCK, MAX_HEADER, Damage, Member, members

KEYS = 8


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard as WebDataset's own writer makes it."""
    path = tmp_path_factory.mktemp("tar") / "00000.tar"
    with webdataset.TarWriter(str(path)) as writer:
        for number in range(KEYS):
            writer.write({"__key__": f"{number:09d}", "jpg": bytes([number]) * (700 * number), "txt": f"text {number}"})
    return path


def by_tarfile(path: Path) -> list[Member]:
    """What Python's own reader finds."""
    with tarfile.open(path) as archive:
        return [Member(each.name, each.offset_data, each.size, each.isreg()) for each in archive]


def split(path: Path) -> tuple[list[Member], list[Damage]]:
    """Members and damage apart."""
    found = list(members(path))
    return [each for each in found if isinstance(each, Member)], [each for each in found if isinstance(each, Damage)]


def test_members_are_those_that_tarfile_finds(shard: Path) -> None:
    """A sound shard gives every member at its place, and no damage."""
    assert split(shard) == (by_tarfile(shard), [])
    assert len(by_tarfile(shard)) == 2 * KEYS


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_pax_headers_are_read(tmp_path: Path, form: int) -> None:
    """Names over 100 bytes, in any script, come out whole from each of the formats that can hold them."""
    path, name = tmp_path / "long.tar", "folder/" * 12 + ("ascii" if form == tarfile.USTAR_FORMAT else "ключ" * 40)
    with tarfile.open(path, "w", format=form) as archive:
        for number in range(3):
            entry = tarfile.TarInfo(f"{name}{number}.jpg")
            entry.size, entry.mtime = 600, 1.5
            archive.addfile(entry, io.BytesIO(b"x" * 600))
    assert split(path) == (by_tarfile(path), [])
    assert split(path)[0][2].name == f"{name}2.jpg"


def test_concatenated_tars_are_read_to_their_end(tmp_path: Path, shard: Path) -> None:
    """`cat a.tar b.tar` has the members of both."""
    path = tmp_path / "both.tar"
    path.write_bytes(shard.read_bytes() * 2)
    found, damage = split(path)
    assert [each.name for each in found] == [each.name for each in by_tarfile(shard)] * 2
    assert not damage


@given(at=st.integers(0), bit=st.integers(0, 7))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bit_costs_at_most_one_member(shard: Path, tmp_path: Path, at: int, bit: int) -> None:
    """Wherever a bit flips, at most one member is lost, none is made up, and a loss is always told as damage."""
    data = bytearray(shard.read_bytes())
    at %= len(data)
    data[at] ^= 1 << bit
    path = tmp_path / "flipped.tar"
    path.write_bytes(data)
    (found, damage), sound = split(path), by_tarfile(shard)
    assert set(found) <= set(sound)
    assert len(sound) - len(found) <= 1
    assert damage or found == sound


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cut_keeps_what_lies_before_it(shard: Path, tmp_path: Path, share: float) -> None:
    """A shard that is cut off gives every member that is whole, and says that it is cut off unless nothing is lost."""
    data = shard.read_bytes()
    cut = int(share * len(data))
    path = tmp_path / "cut.tar"
    path.write_bytes(data[:cut])
    (found, damage), sound = split(path), by_tarfile(shard)
    assert found == [each for each in sound if each.offset + each.size <= cut]
    assert damage or found == sound
    assert len(damage) <= 1


def test_links_folders_and_devices_are_not_plain(tmp_path: Path) -> None:
    """What is no file of its own is told as such; nothing that it names is looked at."""
    path = tmp_path / "links.tar"
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
    with tarfile.open(path, "w") as archive:
        for kind in kinds:
            entry = tarfile.TarInfo("0.jpg")
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    found, damage = split(path)
    assert [each.plain for each in found] == [False] * len(kinds)
    assert {each.size for each in found} == {0}
    assert not damage


def test_file_with_holes_is_not_plain(tmp_path: Path) -> None:
    """A sparse file, which would unfold to a terabyte, is no plain member, in GNU's format and in pax's."""
    path = tmp_path / "holes.tar"
    entry = tarfile.TarInfo("0.jpg")
    entry.size = 12
    entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 40)}
    old = tarfile.TarInfo("1.jpg")
    old.type = tarfile.GNUTYPE_SPARSE
    with tarfile.open(path, "w") as archive:
        archive.addfile(entry, io.BytesIO(b"1\n0\n10995116"))
        archive.addfile(old)
    assert [(each.name, each.plain) for each in split(path)[0]] == [("0.jpg", False), ("1.jpg", False)]


def test_header_of_a_gigabyte_is_not_read(tmp_path: Path, shard: Path) -> None:
    """A pax header too long to be one is stepped over as damage, in little memory; the members after it are found."""
    path, size = tmp_path / "bomb.tar", 64 * MAX_HEADER
    head = tarfile.TarInfo("bomb")
    head.type, head.size = tarfile.XHDTYPE, size
    with path.open("wb") as handle:
        handle.write(head.tobuf(tarfile.USTAR_FORMAT))
        handle.seek(BLOCK + size)
        handle.write(shard.read_bytes())
    tracemalloc.start()
    found, damage = split(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MAX_HEADER
    assert len(found) == 2 * KEYS and len(damage) == 1


def test_ten_thousand_nested_headers_need_no_stack(tmp_path: Path, shard: Path) -> None:
    """Pax headers in a row, on which a reader that calls itself runs out of stack, are only a long way."""
    path = tmp_path / "chain.tar"
    record = b"13 comment=ab\n"
    head = tarfile.TarInfo("x")
    head.type, head.size = tarfile.XHDTYPE, len(record)
    one = head.tobuf(tarfile.USTAR_FORMAT) + record.ljust(BLOCK, b"\0")
    path.write_bytes(one * 10_000 + shard.read_bytes())
    assert [each.name for each in split(path)[0]] == [each.name for each in by_tarfile(shard)]


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b" + bytes(range(256)) * 40, b"no tar at all " * 100])
def test_what_is_no_tar_is_damage(tmp_path: Path, data: bytes) -> None:
    """An empty, compressed or other file has no member and one stretch of damage."""
    path = tmp_path / "other.tar"
    path.write_bytes(data)
    found, damage = split(path)
    assert not found and len(damage) == 1
