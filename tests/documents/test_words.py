"""What the words of a text are."""

from __future__ import annotations

import sys
import unicodedata
from typing import Any

import pytest
import tantivy  # noqa: TID253 - what it is compared with
from hypothesis import given, strategies as st

from convexlab.documents.words import has_words, searched_words, words_of

TANTIVYS: Any = (
    tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    .filter(tantivy.Filter.remove_long(32))
    .filter(tantivy.Filter.lowercase())
    .build()
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" ,.! _-", []),
        ("Penguin, World!", ["penguin", "world"]),
        ("snake_case and-dash", ["snake", "case", "and", "dash"]),
        ("L'Été à Zürich", ["l", "été", "à", "zürich"]),
        ("été e\u0301te\u0301", ["été", "e", "te"]),
        ("ΟΔΟΣ οδός", ["οδοσ", "οδός"]),
        ("İstanbul", ["i\u0307stanbul"]),
        ("東京タワー と 2024年", ["東京タワー", "と", "2024年"]),
        ("हिन्दी", ["हिन", "दी"]),
        ("a" * 31 + " " + "b" * 32, ["a" * 31]),
        ("京" * 10 + " " + "京" * 11, ["京" * 10]),
        ("one one", ["one", "one"]),
    ],
)
def test_a_text_is_split_at_all_that_is_no_letter_and_no_digit(
    text: str, words: list[str]
):
    assert words_of(text) == words


def test_letters_and_digits_are_tantivys():
    """Of all characters that this Python knows."""
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        if unicodedata.category(character) not in ("Cn", "Cs"):
            expected = TANTIVYS.analyze(character)
            assert words_of(character) == expected, hex(number)


@given(
    st.text(
        st.characters(max_codepoint=0x2FF) | st.sampled_from("京ςΣ' _"), max_size=60
    )
)
def test_words_are_tantivys(text: str):
    assert words_of(text) == TANTIVYS.analyze(text)


def test_a_search_heeds_sixteen_words_each_once():
    text = " ".join(f"w{n}" for n in range(17))
    assert searched_words(text) == [f"w{n}" for n in range(16)]
    assert searched_words("b a b a") == ["b", "a"]
    assert searched_words("?") == []


def test_the_last_word_may_be_a_beginning_the_others_not():
    assert has_words("Penguin there", ["pen"])
    assert has_words("Penguin there", ["penguin", "x"])
    assert not has_words("Penguin there", ["pen", "x"])
    assert not has_words("Penguin there", [])
    assert not has_words(["penguin"], ["penguin"])
