"""Telegram's HTML is read, and refused, to the letter."""

import html
from typing import Any

import pytest
from hypothesis import given, strategies as st

from adapters.telegram.emulator.rules import Refusal, parse_html, units
from adapters.telegram.emulator.views import rendered


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        ("plain &amp; &lt;simple&gt;", "plain & <simple>", []),
        ("<b>a</b>", "a", [("bold", 0, 1)]),
        ("<STRONG>a</Strong>", "a", [("bold", 0, 1)]),
        ("🧠<i>a</i>", "🧠a", [("italic", 2, 1)]),
        ("<b>a<i>b</i></b>c", "abc", [("bold", 0, 2), ("italic", 1, 1)]),
        ("  <u> a </u>\n", "a", [("underline", 0, 1)]),
        ("<b></b>a", "a", []),
        ("<blockquote expandable>a</blockquote>", "a", [("expandable_blockquote", 0, 1)]),
        ('<span class="tg-spoiler">a</span>', "a", [("spoiler", 0, 1)]),
        ('<a href="https://example.org/?a=1&amp;b">a</a>', "a", [("text_link", 0, 1)]),
        ("a & b &nbsp; &#1071;", "a & b &nbsp; Я", []),
    ],
)
def test_html_becomes_text_and_entities(
    source: str, text: str, entities: list[tuple[str, int, int]]
) -> None:
    read, found = parse_html(source)
    assert read == text
    assert [(one["type"], one["offset"], one["length"]) for one in found] == entities


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("p < 0.05", 'Unsupported start tag "" at byte offset 2'),
        ("я<p>a</p>", 'Unsupported start tag "p" at byte offset 2'),
        ("<b>a", 'Can\'t find end tag corresponding to start tag "b"'),
        ("a</b>", "Unexpected end tag at byte offset 1"),
        ("<b>a</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("a<b", "Unclosed start tag at byte offset 1"),
        ("a<", "Unclosed start tag at byte offset 1"),
        ("<span>a</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
def test_broken_html_is_refused_in_telegrams_words(source: str, why: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_html(source)
    assert refused.value.description == f"Bad Request: can't parse entities: {why}"


@given(st.text())
def test_escaped_text_always_survives(text: str) -> None:
    assert parse_html(html.escape(text)) == (text.strip(), [])


_LEAVES = st.text(st.sampled_from("aя🧠<& "), max_size=4).map(html.escape)
_TAGS = st.sampled_from(["b", "i", "u", "s", "code", "blockquote"])
_TREES: st.SearchStrategy[str] = st.recursive(
    _LEAVES,
    lambda inner: st.tuples(_TAGS, inner, inner).map(
        lambda parts: f"<{parts[0]}>{parts[1]}</{parts[0]}>{parts[2]}"
    ),
    max_leaves=8,
)


@given(_TREES)
def test_what_a_page_shows_reads_back_as_what_was_sent(source: str) -> None:
    text, entities = parse_html(source)
    again, shown = parse_html(rendered(text, entities))

    def spans(found: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
        return sorted((one["offset"], one["length"], one["type"]) for one in found)

    assert (again, spans(shown)) == (text, spans(entities))
    assert all(one["offset"] + one["length"] <= units(text) for one in entities)


def test_a_page_never_links_to_a_script() -> None:
    link = {"type": "text_link", "offset": 0, "length": 1, "url": "javascript:alert(1)"}
    assert rendered("a", [link]) == "<a>a</a>"
