"""The blocklist: what it blocks, and that it never says what."""

from __future__ import annotations

import hashlib
import traceback
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer import denylist
from explorer.errors import ManifestError, RejectReason
from indexer.blocklist import Blocklist
from indexer.guard import Guard
from indexer.sources.base import Link, SourceRow

DATA = b"\x89PNG what nobody may see"
LINK = "https://bad.example/a,b/c.jpg?x=1"


def load(path: Path, text: str) -> Blocklist:
    path.write_text(text, encoding="utf-8")
    return Blocklist.load(path)


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_a_file_is_blocked_by_any_of_its_hashes(tmp_path: Path, algorithm: str) -> None:
    """Bytes and hashes that a source gives are held against the list, in upper case too."""
    digest = hashlib.new(algorithm, DATA).hexdigest()
    listed = load(tmp_path / "list.txt", f"# from somewhere\n\n{digest.upper()}\n")
    assert len(listed) == 1
    assert listed.blocks_bytes(DATA)
    assert not listed.blocks_bytes(DATA + b".")
    assert listed.blocks_digest(digest)
    assert listed.blocks_digest(digest.upper())
    assert not listed.blocks_digest(digest[:-1] + ("0" if digest[-1] != "0" else "1"))
    assert not listed.blocks_digest("no hash")


def test_a_link_is_blocked_however_its_host_is_spelled(tmp_path: Path) -> None:
    """A comma in a link is part of it; host and scheme do not mind case, and what follows # is no part of it."""
    listed = load(tmp_path / "list.txt", f"{LINK}\n")
    assert listed.blocks_url(LINK)
    assert listed.blocks_url("HTTPS://BAD.example/a,b/c.jpg?x=1#top")
    assert not listed.blocks_url("https://bad.example/a")
    assert not listed.blocks_bytes(DATA)


def test_a_row_whose_hash_is_listed_is_not_even_fetched(tmp_path: Path) -> None:
    """Where the source gives the picture's hash, the list is held against it before anything is asked for."""
    digest = hashlib.md5(DATA).hexdigest()
    guard = Guard(denylist.read(tmp_path / "none"), load(tmp_path / "list.txt", digest))
    link = "https://a.example/1"
    assert guard.row(SourceRow("a", link=Link(link, digest, "md5"))) is RejectReason.BLOCKED
    assert guard.row(SourceRow("b", link=Link(link, "0" * 32, "md5"))) is None
    assert guard.row(SourceRow("c", link=Link(link))) is None


def test_a_csv_file_tells_its_columns(tmp_path: Path) -> None:
    """In CSV the columns of hashes and links count, and no other."""
    text = f'id,MD5,url,note\n7,{hashlib.md5(DATA).hexdigest()},"{LINK}",why\n8,,https://bad.example/2,"a, b"\n'
    listed = load(tmp_path / "list.csv", text)
    assert len(listed) == 3
    assert listed.blocks_bytes(DATA)
    assert listed.blocks_url(LINK)
    assert listed.blocks_url("https://bad.example/2")


def test_an_empty_list_blocks_nothing(tmp_path: Path) -> None:
    """No list, and one without entries, stop nothing."""
    for listed in (Blocklist(), load(tmp_path / "list.txt", "# none yet\n")):
        assert len(listed) == 0
        assert not listed.blocks_url(LINK)
        assert not listed.blocks_bytes(DATA)


@pytest.mark.parametrize(
    "content",
    [
        f"{LINK}\nsecret-word\n".encode(),
        b"secret-word\n",
        f"url\n{LINK}\nsecret-word\n".encode(),
        LINK.encode() + b"\nsecret-word\xff\n",
        b'url\n"secret-word' + b"x" * 200_000 + b'"\n',
    ],
)
def test_a_fault_is_told_without_what_stands_there(tmp_path: Path, content: bytes) -> None:
    """A line that is no entry stops the build by its number; neither message nor traceback repeats an entry."""
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=r"safety\.blocklist") as caught:
        Blocklist.load(path)
    told = "".join(traceback.format_exception(caught.value))
    assert "secret-word" not in told
    assert "bad.example" not in told


def test_a_list_does_not_show_its_entries(tmp_path: Path) -> None:
    """Printing a list, as a debugger or a log would, shows nothing that stands in it."""
    digest = hashlib.md5(DATA).hexdigest()
    listed = load(tmp_path / "list.txt", f"{LINK}\n{digest}\n")
    assert "bad.example" not in repr(listed)
    assert repr(bytes.fromhex(digest)) not in repr(listed)


def test_a_missing_list_stops_the_build(tmp_path: Path) -> None:
    """A list that is named and not there is a fault, not an empty list."""
    with pytest.raises(ManifestError, match="cannot be read"):
        Blocklist.load(tmp_path / "none.txt")


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50), unique=True, min_size=2, max_size=6))
def test_exactly_what_is_listed_is_blocked(tmp_path_factory: pytest.TempPathFactory, files: list[bytes]) -> None:
    """Of any files, the listed half is blocked and the other half is not."""
    half = len(files) // 2
    path = tmp_path_factory.mktemp("block") / "list.txt"
    listed = load(path, "\n".join(hashlib.sha1(data).hexdigest() for data in files[:half]))
    assert [listed.blocks_bytes(data) for data in files] == [at < half for at in range(len(files))]
