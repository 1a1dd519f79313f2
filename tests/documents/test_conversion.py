"""documents/conversion.py: one step towards a value, or the owner's next step."""

from __future__ import annotations

import enum
import pathlib

import pytest

from convexlab.documents.conversion import named, plain_key, plainer
from convexlab.documents.rules import Refusal


class Text(str):
    __slots__ = ()


class Number(float):
    __slots__ = ()


class Word(enum.StrEnum):
    A = "a"


@pytest.mark.parametrize(
    ("x", "plain"),
    [
        (Text("a"), "a"),
        (Number(1.5), 1.5),
        (Word.A, "a"),
        ((1, 2), [1, 2]),
        (bytearray(b"a"), b"a"),
    ],
)
def test_one_step_makes_it_plain(x, plain):
    assert plainer(x) == plain
    assert type(plainer(x)) is type(plain)


def test_keys_are_strings():
    assert type(plain_key(Text("a"))) is str
    assert plain_key(Word.A) == "a"
    with pytest.raises(Refusal, match="keys are strings"):
        plain_key(1)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (range(3), r"list\("),
        ({}.keys(), r"list\("),
        (pathlib.Path("x"), r"str\("),
        (len, "is a builtin_function_or_method"),
        (lambda: 1, "call it"),
    ],
)
def test_a_refusal_says_what_to_do(x, words):
    with pytest.raises(Refusal, match=words):
        plainer(x)


def test_things_are_named_with_their_article():
    assert named(1) == "an int"
    assert named({1}) == "a set"
    assert named(None) == "None"
    assert named(pathlib.PurePosixPath()) == "a pathlib.PurePosixPath"
