"""Text and links of strangers: shown as text, isolated, without disguise; only web addresses become links."""

from __future__ import annotations

import unicodedata
from urllib.parse import urlsplit

import pytest
from dash import html
from hypothesis import given
from hypothesis import strategies as st

from explorer.links import LONGEST, web_link
from webapp import foreign

HOSTILE = (
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "//evil.example/x",
    "/\\evil.example",
    "http:/evil.example",
    "http://",
    "https://user:password@evil.example/",
    "https://good.example\\@evil.example/",
    "https://evil.example/\u202egpj.exe",
    "https://evil.example/ x",
    'https://evil.example/"onclick="x',
    "http://[::1",
    "about:blank",
    "https://a.example/" + "x" * LONGEST,
    "",
    None,
)


@pytest.mark.parametrize("url", HOSTILE)
def test_what_is_no_plain_web_address_becomes_no_link(url: str | None) -> None:
    """Only http and https with a host, without credentials or anything invisible, is linked."""
    assert web_link(url) is None
    assert foreign.link(url, "x") is None


def test_a_link_opens_a_new_tab_that_knows_nothing_of_this_one() -> None:
    """Links leave with noopener, noreferrer and nofollow."""
    link = foreign.link("https://example.org/a?b=c#d", "there")
    assert isinstance(link, html.A)
    assert (link.href, link.target, link.rel) == (
        "https://example.org/a?b=c#d",
        "_blank",
        "noopener noreferrer nofollow",
    )


@given(st.text() | st.text().map(lambda text: f"http://a.example{text}"))
def test_no_text_becomes_a_link_unless_it_is_http(url: str) -> None:
    """Whatever passes has one of the two schemes and a host, and is passed on as it is."""
    if web_link(url) is not None:
        assert web_link(url) == url
        assert urlsplit(url).scheme in ("http", "https")
        assert urlsplit(url).hostname


@given(st.text())
def test_marked_text_has_nothing_invisible_but_joiners(text: str) -> None:
    """Controls, direction marks and lone surrogates are all seen."""
    hidden = {char for char in foreign.marked(text) if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert hidden <= {"\u200c", "\u200d"}


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_plain_text_stays_as_it_is(text: str) -> None:
    """Letters, numbers, signs and emoji are shown as they were written."""
    assert foreign.marked(text) == text


def test_marks_say_which_character_they_stand_for() -> None:
    """An ASCII control is its Unicode picture, any other invisible character its number."""
    assert foreign.marked("a\x00b\x1b\u202ec\u200b\nd") == "a␀b␛⟨U+202E⟩c⟨U+200B⟩ d"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://example.org/x", "example.org"),
        ("http://EXAMPLE.org:8080/", "example.org"),
        ("https://аррӏе.com/", "xn--80ak6aa92e.com"),
    ],
)
def test_the_host_shown_is_the_real_one(url: str, host: str) -> None:
    """Look-alike letters of other scripts are shown in the form that the name system resolves."""
    assert foreign.host(url) == host


def test_a_cut_text_keeps_the_whole_in_its_title() -> None:
    """A long caption is cut with the whole of it on hover and for screen readers."""
    words = foreign.words("x" * 400, 300)
    assert len(words.children) == 300
    assert words.children.endswith("…")
    assert words.title == "x" * 400
