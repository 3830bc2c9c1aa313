"""Folders of results: all of their files or none, and never over what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.errors import QueryError
from explorer.folders import check_free, whole


@pytest.mark.parametrize("name", ["new", "new/deep", "empty"])
def test_a_new_or_empty_folder_is_free(tmp_path: Path, name: str) -> None:
    """It is written whole, with the folders above it."""
    (tmp_path / "empty").mkdir()
    check_free(tmp_path / name)
    with whole(tmp_path / name) as unfinished:
        (unfinished / "a.txt").write_text("a")
        assert not (tmp_path / name / "a.txt").exists()
    assert [path.name for path in (tmp_path / name).iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("file", "holds something already"),
        ("full", "holds something already"),
        ("link", "holds something already"),
        ("nowhere", "holds something already"),
        ("file/inside", "cannot be made in"),
        ("a" * 300, "File name too long"),
    ],
)
def test_what_is_not_free_is_one_clear_line(tmp_path: Path, name: str, said: str) -> None:
    """Files, links and full folders are left as they are; a name that no folder can have is refused like them."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "full")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(QueryError, match=said) as error:
        check_free(tmp_path / name)
    assert "--out" in str(error.value) and "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    """A block that ends by an error leaves neither the folder nor its unfinished files."""
    with pytest.raises(ZeroDivisionError), whole(tmp_path / "new") as unfinished:
        (unfinished / "a.txt").write_text("a")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
