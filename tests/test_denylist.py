"""The list of takedowns: spellings of one link are one, entries are added whole, and by many at once."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer import denylist
from explorer.denylist import DenyKind, Takedown
from explorer.errors import AtlasError
from explorer.layout import AtlasPaths

LINK = "https://pictures.example/a%20cat.jpg?size=2"


@pytest.mark.parametrize(
    "spelling",
    [
        "http://pictures.example/a cat.jpg?size=2",
        "HTTPS://Pictures.Example:443/a%20cat.jpg?size=2#top",
        "http://ada@pictures.example.:80/a cat.jpg?size=2",
        f"  {LINK}\n",
    ],
)
def test_spellings_of_one_link_are_one(spelling: str) -> None:
    """Scheme, case, default port, name, fragment and escapes make no other picture of it."""
    assert denylist.hashed(DenyKind.URL, spelling) == denylist.hashed(DenyKind.URL, LINK)


@pytest.mark.parametrize("other", [f"{LINK}0", LINK.replace("cat", "dog"), LINK.replace("https://", "https://www.")])
def test_another_link_is_another(other: str) -> None:
    """Path, query and host tell pictures apart."""
    assert denylist.hashed(DenyKind.URL, other) != denylist.hashed(DenyKind.URL, LINK)


def test_a_host_takes_subdomains_and_links_with_it(tmp_path: Path) -> None:
    """Denied by name, by a link, or as IDNA writes it: hosts below it and links to them are denied, others are not."""
    paths = AtlasPaths(tmp_path)
    denylist.add(paths, [Takedown(DenyKind.HOST, "https://Bücher.example/x")])
    listed = denylist.read(paths.denylist)
    values = ["xn--bcher-kva.example", "bücher.example.", "cdn.bücher.example", "http://CDN.bücher.example:81/a", "b"]
    assert list(denylist.is_denied(listed, DenyKind.HOST, [*values, "badbücher.example", None])) == [
        True, True, True, True, False, False, False
    ]  # fmt: skip
    assert denylist.denies_link(listed, "https://cdn.bücher.example/a.jpg")
    assert not denylist.denies_link(listed, "https://other.example/bücher.example")
    assert not denylist.denies_link(listed, None)


@given(st.text(), st.sampled_from(DenyKind))
def test_any_text_has_a_normal_form(text: str, kind: DenyKind) -> None:
    """Whatever a column or a person says can be hashed, and space around it says nothing."""
    assert denylist.hashed(kind, text) == denylist.hashed(kind, f" {text}\n")


PLAIN = st.from_regex(denylist._PLAIN_LINK, fullmatch=True)


@given(PLAIN, st.sampled_from(["", ":80", "#part", "?", " "]))
def test_the_short_way_is_the_long_way(link: str, ending: str) -> None:
    """A link that is plain has the form that parsing it gives, and its host is the one that it has in any spelling."""
    assert denylist.normal(DenyKind.URL, link) == denylist._parsed(link)
    host = denylist.normal(DenyKind.HOST, link)
    assert host == denylist.normal(DenyKind.HOST, f"{host.upper()}.")
    assert denylist.normal(DenyKind.HOST, f"{link.replace('://', '://ada@')}{ending}") == host


def test_a_takedown_names_nobody_and_is_written_once(tmp_path: Path) -> None:
    """The file holds hashes and times; the same takedown again adds nothing, another keeps what was there."""
    paths = AtlasPaths(tmp_path)
    taken = [Takedown(DenyKind.URL, LINK), Takedown(DenyKind.SHA256, "AB" * 32)]
    assert denylist.add(paths, taken) == 2
    before = paths.denylist.read_bytes()
    assert b"pictures.example" not in before and b"ab" * 32 not in before
    assert denylist.add(paths, taken) == 0
    assert paths.denylist.read_bytes() == before
    assert denylist.add(paths, [Takedown(DenyKind.KEY, "k")]) == 1
    lines = [json.loads(line) for line in paths.denylist.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["url", "sha256", "key"]
    assert all(line.keys() == {"kind", "sha256", "at"} for line in lines)


def test_takedowns_of_many_at_once_are_all_kept(tmp_path: Path) -> None:
    """Ten threads that deny at the same time lose no entry of each other's."""
    paths = AtlasPaths(tmp_path)
    threads = [
        threading.Thread(target=denylist.add, args=(paths, [Takedown(DenyKind.KEY, f"key {number}")]))
        for number in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(denylist.read(paths.denylist)[DenyKind.KEY]) == 10


def test_nothing_is_added_to_a_damaged_list(tmp_path: Path) -> None:
    """A list that cannot be read is left as it is, and the line says so."""
    paths = AtlasPaths(tmp_path)
    paths.denylist.write_text("broken\n")
    with pytest.raises(AtlasError, match="line 1 is not a takedown"):
        denylist.add(paths, [Takedown(DenyKind.KEY, "k")])
    assert paths.denylist.read_text() == "broken\n"
