"""Words: what a text is searched by.

A text is split at whatever is neither letter nor digit, in Unicode's terms; each word
is lower-cased. Nothing else is done to it: no stemming, no stop words, accents stay,
and a run of Chinese or Japanese is one word. Words of more than 31 bytes are left out.

    "L'Été, 2024!"  ─▶  l  été  2024

One function splits wherever words count: where texts are indexed, where a transaction's
own are, and where a commit is judged by what a search looked for.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import Sequence

# Marks and symbols that count as letters (Unicode's Other_Alphabetic), such as the vowel
# signs of Indian scripts, which Python's `isalnum` leaves out.
_MARKS: Final = """
    345 363-36f 5b0-5bd 5bf 5c1-5c2 5c4-5c5 5c7 610-61a 64b-657 659-65f 670 6d6-6dc
    6e1-6e4 6e7-6e8 6ed 711 730-73f 7a6-7b0 816-817 81b-823 825-827 829-82c 8d4-8df
    8e3-8e9 8f0-903 93a-93b 93e-94c 94e-94f 955-957 962-963 981-983 9be-9c4 9c7-9c8
    9cb-9cc 9d7 9e2-9e3 a01-a03 a3e-a42 a47-a48 a4b-a4c a51 a70-a71 a75 a81-a83
    abe-ac5 ac7-ac9 acb-acc ae2-ae3 afa-afc b01-b03 b3e-b44 b47-b48 b4b-b4c b56-b57
    b62-b63 b82 bbe-bc2 bc6-bc8 bca-bcc bd7 c00-c04 c3e-c44 c46-c48 c4a-c4c c55-c56
    c62-c63 c81-c83 cbe-cc4 cc6-cc8 cca-ccc cd5-cd6 ce2-ce3 cf3 d00-d03 d3e-d44
    d46-d48 d4a-d4c d57 d62-d63 d81-d83 dcf-dd4 dd6 dd8-ddf df2-df3 e31 e34-e3a e4d
    eb1 eb4-eb9 ebb-ebc ecd f71-f83 f8d-f97 f99-fbc 102b-1036 1038 103b-103e 1056-1059
    105e-1060 1062-1064 1067-106d 1071-1074 1082-108d 108f 109a-109d 1712-1713
    1732-1733 1752-1753 1772-1773 17b6-17c8 1885-1886 18a9 1920-192b 1930-1938
    1a17-1a1b 1a55-1a5e 1a61-1a74 1abf-1ac0 1acc-1ace 1b00-1b04 1b35-1b43 1b80-1b82
    1ba1-1ba9 1bac-1bad 1be7-1bf1 1c24-1c36 1dd3-1df4 24b6-24e9 2de0-2dff a674-a67b
    a69e-a69f a802 a80b a823-a827 a880-a881 a8b4-a8c3 a8c5 a8ff a926-a92a a947-a952
    a980-a983 a9b4-a9bf a9e5 aa29-aa36 aa43 aa4c-aa4d aa7b-aa7d aab0 aab2-aab4
    aab7-aab8 aabe aaeb-aaef aaf5 abe3-abea fb1e 10376-1037a 10a01-10a03 10a05-10a06
    10a0c-10a0f 10d24-10d27 10eab-10eac 11000-11002 11038-11045 11073-11074
    11080-11082 110b0-110b8 110c2 11100-11102 11127-11132 11145-11146 11180-11182
    111b3-111bf 111ce-111cf 1122c-11234 11237 1123e 11241 112df-112e8 11300-11303
    1133e-11344 11347-11348 1134b-1134c 11357 11362-11363 11435-11441 11443-11445
    114b0-114c1 115af-115b5 115b8-115be 115dc-115dd 11630-1163e 11640 116ab-116b5
    1171d-1172a 1182c-11838 11930-11935 11937-11938 1193b-1193c 11940 11942
    119d1-119d7 119da-119df 119e4 11a01-11a0a 11a35-11a39 11a3b-11a3e 11a51-11a5b
    11a8a-11a97 11c2f-11c36 11c38-11c3e 11c92-11ca7 11ca9-11cb6 11d31-11d36 11d3a
    11d3c-11d3d 11d3f-11d41 11d43 11d47 11d8a-11d8e 11d90-11d91 11d93-11d96
    11ef3-11ef6 11f00-11f01 11f03 11f34-11f3a 11f3e-11f40 16f4f 16f51-16f87
    16f8f-16f92 16ff0-16ff1 1bc9e 1e000-1e006 1e008-1e018 1e01b-1e021 1e023-1e024
    1e026-1e02a 1e08f 1e947 1f130-1f149 1f150-1f169 1f170-1f189
"""

_ASCII: Final = re.compile(r"[^\W_]+", re.ASCII)


@lru_cache(maxsize=1)
def _unicode() -> re.Pattern[str]:
    ranges = (one.split("-") for one in _MARKS.split())
    marks = "".join("-".join(chr(int(end, 16)) for end in one) for one in ranges)
    return re.compile(rf"(?:[^\W_]|[{marks}])+")


def words_of(text: str) -> list[str]:
    """The words of a text in their order, with those that come again."""
    if text.isascii():
        return [
            word
            for word in _ASCII.findall(text.lower())
            if len(word) <= knobs.MAX_WORD_BYTES
        ]
    return [
        _lower(word)
        for word in _unicode().findall(text)
        if len(word.encode()) <= knobs.MAX_WORD_BYTES
    ]


def _lower(word: str) -> str:
    """Letter by letter: a sigma is the same at a word's end, which may be a beginning."""
    return word.replace("Σ", "σ").lower()  # noqa: RUF001 - Greek


def searched_words(text: str) -> list[str]:
    """The words of a search, each once; the last one may be the beginning of a word."""
    first = words_of(text)[: knobs.MAX_SEARCH_WORDS]
    if len(first) < 2:
        return first
    others = [word for word in first[:-1] if word != first[-1]]
    return [*dict.fromkeys(others), *first[-1:]]


def has_words(value: Any, wanted: Sequence[str]) -> bool:
    """Whether a value is a text with one of these words, or one that begins as the last.

    Args:
        value: any.
        wanted: as `searched_words` gives them.
    """
    if type(value) is not str or not wanted:
        return False
    words = _distinct(value)
    begins = wanted[-1]
    return not words.isdisjoint(wanted) or any(w.startswith(begins) for w in words)


@lru_cache(maxsize=64)
def _distinct(text: str) -> frozenset[str]:
    # N.B. a text that was just written is judged by every search that could find it.
    return frozenset(words_of(text))
