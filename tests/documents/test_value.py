"""documents/value.py: what is taken in, and what is refused."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import enum
import math
import pickle
from decimal import Decimal
from operator import add, floordiv, mod, mul, neg, pos, sub
from types import MappingProxyType
from uuid import UUID

import pydantic
import pytest
from hypothesis import given, strategies as st
from tests.documents.strategies import objects, values

from convexlab.documents.equality import values_equal
from convexlab.documents.value import (
    UNDEFINED,
    Int64,
    check_document,
    from_ms,
    get_convex_size,
    get_document_size,
    nesting_of,
    normalize,
    normalize_fields,
    size_of,
    to_ms,
)
from convexlab.errors import InvalidValue, LimitExceeded

EXACT = (type(None), bool, int, float, Int64, str, bytes, list, dict)


def refusal(x: object, path: str = "") -> str:
    with pytest.raises(InvalidValue) as caught:
        normalize(x, path)
    return str(caught.value)


def parts(value):
    yield value
    if isinstance(value, dict):
        assert all(type(name) is str for name in value)
        for item in value.values():
            yield from parts(item)
    elif isinstance(value, list):
        for item in value:
            yield from parts(item)


# -- taking in ----------------------------------------------------------------------


@given(values)
def test_v1_normalizing_a_value_gives_an_equal_one(x):
    assert values_equal(normalize(x), x)


@given(objects)
def test_v1_a_normalized_value_shares_nothing(x):
    containers = {id(part) for part in parts(x) if isinstance(part, (list, dict))}
    assert not containers & {
        id(p) for p in parts(normalize(x)) if isinstance(p, (list, dict))
    }


@given(values)
def test_v2_every_part_has_an_exact_type(x):
    assert all(type(part) in EXACT for part in parts(normalize(x)))


def test_what_was_written_comes_out():
    assert [type(x) for x in normalize([1, 1.0, True, Int64(1)])] == [
        int,
        float,
        bool,
        Int64,
    ]


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Word(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not this"


@dataclasses.dataclass
class Point:
    x: float
    tags: tuple[str, ...]


class Model(pydantic.BaseModel):
    x: float
    point: Point | None = None


@pytest.mark.parametrize(
    ("given_", "taken"),
    [
        ((1, (2,)), [1, [2]]),
        (Colour.RED, "red"),
        (Level.LOW, 1),
        ({Colour.RED: Level.LOW}, {"red": 1}),
        (Word("word"), "word"),
        ({Word("word"): 1}, {"word": 1}),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
        (MappingProxyType({"a": (1,)}), {"a": [1]}),
        (Point(1.5, ("a",)), {"x": 1.5, "tags": ["a"]}),
        (Model(x=1, point=Point(2.0, ())), {"x": 1.0, "point": {"x": 2.0, "tags": []}}),
        ({"a": UNDEFINED, "b": 1}, {"b": 1}),
    ],
)
def test_what_means_a_value_is_taken_in(given_, taken):
    found = normalize(given_)
    assert found == taken
    assert all(type(part) in EXACT for part in parts(found))


def test_numpy_scalars_and_rows_of_numbers_are_taken_in():
    import numpy as np

    row = np.array([1.5, 2.5], dtype="float32")
    found = normalize(
        {"i": np.int64(3), "f": np.float64(1.5), "b": np.bool_(True), "row": row,
         "s": np.str_("a"), "n": np.array([1, 2])}
    )  # fmt: skip
    assert found == {
        "i": 3,
        "f": 1.5,
        "b": True,
        "row": [1.5, 2.5],
        "s": "a",
        "n": [1, 2],
    }
    assert all(type(part) in EXACT for part in parts(found))
    assert ".tolist()" in refusal(np.zeros((2, 2)))
    assert "to_ms" in refusal(np.datetime64("2024-01-01"))
    assert ".tolist()" in refusal(np.array(["a", "b"]))


def test_pandas_things_are_refused_with_their_conversion():
    import pandas as pd

    assert "use None" in refusal({"a": pd.NaT})
    assert "use None" in refusal({"a": pd.NA})
    assert "to_ms" in refusal({"a": pd.Timestamp("2024-01-01")})
    assert ".tolist()" in refusal(pd.Series([1]))
    assert "records" in refusal(pd.DataFrame({"a": [1]}))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ({1, 2}, ["a set", "sorted("]),
        (frozenset(), ["a frozenset", "sorted("]),
        ({1: 2}, ["keys are strings", "an int", "str("]),
        (Decimal("1.5"), ["a decimal.Decimal", "float("]),
        (UUID(int=1), ["a uuid.UUID", "str("]),
        (dt.datetime(2024, 1, 1), ["a datetime.datetime", "to_ms("]),
        (dt.date(2024, 1, 1), ["a datetime.date", "isoformat"]),
        (dt.time(1), ["a datetime.time", "isoformat"]),
        (dt.timedelta(1), ["a datetime.timedelta", "total_seconds"]),
        (1j, ["a complex"]),
        (object(), ["an object", "not a Convex value"]),
        (Point, ["a type", "instance"]),
        ((i for i in ()), ["a generator", "list("]),
        (UNDEFINED, ["UNDEFINED", "leave the field out"]),
        ([UNDEFINED], ["`[0]`", "UNDEFINED"]),
        (1 << 60, ["2^53", "Int64(1152921504606846976)"]),
        (-(1 << 53) - 1, ["2^53", "Int64("]),
        ("\ud800", ["surrogate"]),
        ({"$a": 1}, ["`$a`", "kept for Convex"]),
        ({"é": 1}, ["printable ASCII"]),
        ({"a\n": 1}, ["printable ASCII"]),
    ],
)
def test_what_is_no_value_is_refused_with_its_conversion(x, words):
    message = refusal(x)
    for word in words:
        assert word in message


def test_a_refusal_names_the_whole_path():
    assert refusal({"a": [{"b": {1}}]}).startswith("`a[0].b` is a set")
    assert refusal({"a": [1, (2, {3})]}, "tasks").startswith("`tasks.a[1][1]` is a set")
    assert refusal({"a": {"$x": 1}}).startswith("`a.$x` ")
    assert refusal({"a": {1: 1}}).startswith("`a` has a key")


def test_whole_numbers_up_to_2_53_are_exact():
    assert normalize([1 << 53, -(1 << 53)]) == [1 << 53, -(1 << 53)]


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        ([0] * 8193, "ArrayTooLongError"),
        ([0.5] * 8193, "ArrayTooLongError"),
        ({f"f{i}": 0 for i in range(1025)}, "TooManyFieldsError"),
        ({"a" * 1025: 0}, "FieldNameTooLongError"),
    ],
)
def test_limits_of_structure_hold_at_any_depth(x, kind):
    for y in (x, {"a": [x]}):
        with pytest.raises(LimitExceeded) as caught:
            normalize(y)
        assert caught.value.kind == kind


def nested(depth: int):
    x: object = 0
    for i in range(depth):
        x = [x] if i % 2 else {"a": x}
    return x


def test_values_nest_64_deep():
    assert nesting_of(normalize(nested(64))) == 64
    with pytest.raises(LimitExceeded, match="nested too deeply"):
        normalize(nested(65))


def test_something_that_holds_itself_is_refused():
    x: list[object] = []
    x.append(x)
    with pytest.raises(LimitExceeded, match="nested too deeply"):
        normalize(x)


def test_nan_becomes_the_one_nan():
    negative = math.copysign(math.nan, -1.0)
    found = normalize([negative, {"a": negative}, [negative, 1.0]])
    assert math.copysign(1.0, found[0]) == 1.0
    assert math.copysign(1.0, found[1]["a"]) == 1.0
    assert math.copysign(1.0, found[2][0]) == 1.0


def test_fields_keep_undefined_at_their_top_only():
    fields = normalize_fields({"a": UNDEFINED, "b": {"c": UNDEFINED, "d": (1,)}})
    assert fields == {"a": UNDEFINED, "b": {"d": [1]}}
    assert fields["a"] is UNDEFINED
    with pytest.raises(InvalidValue, match="must be a dict of fields, not a list"):
        normalize_fields([1])


# -- measures -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"a": None}, 5),
        ("abc", 5),
        ("é", 4),
        ([1, 2], 20),
        (True, 1),
        (Int64(5), 9),
        (b"ab", 4),
        ({}, 2),
        ({"_id": "x" * 32, "_creationTime": 1.0}, 2 + 38 + 23),
    ],
)
def test_sizes_are_convex_sizes(value, size):
    assert size_of(value) == size


def test_a_documents_size_counts_the_fields_it_will_get():
    whole = {"a": 1, "_id": "x" * 32, "_creationTime": 1.0}
    assert get_document_size({"a": 1}) == get_document_size(whole) == size_of(whole)
    assert get_document_size({"_id": "x" * 31}) == 2 + 37 + 23
    assert get_convex_size(("é", None)) == 2 + 4 + 1
    with pytest.raises(InvalidValue, match="`a` is a set"):
        get_convex_size({"a": {1}})
    with pytest.raises(InvalidValue, match="a dict of fields"):
        get_document_size([1])


def test_a_document_may_take_one_mebibyte():
    document = {"a": "x" * ((1 << 20) - 2 - 2 - 2)}
    assert size_of(document) == 1 << 20
    check_document(document)
    with pytest.raises(LimitExceeded, match="maximum size 1 MiB"):
        check_document({"a": document["a"] + "x"})


def test_a_document_has_1024_fields_its_own_two_among_them():
    fields = {f"f{i}": 0 for i in range(1022)}
    check_document({**fields, "_id": "x", "_creationTime": 1.0})
    with pytest.raises(LimitExceeded, match="1025 > maximum number 1024") as caught:
        check_document({**fields, "more": 0, "_id": "x", "_creationTime": 1.0})
    assert caught.value.kind == "TooManyFieldsError"


def test_a_document_nests_16_deep():
    check_document({"a": nested(15)})
    with pytest.raises(LimitExceeded, match="nested too deeply"):
        check_document({"a": nested(16)})


def test_underscored_names_are_kept_at_the_top_of_a_document():
    check_document({"_id": "x", "_creationTime": 1.0, "a": {"_x": 1}})
    with pytest.raises(InvalidValue, match="`_x`"):
        check_document({"_x": 1})


# -- Int64, UNDEFINED, times ---------------------------------------------------------

int64s = st.integers(-(1 << 63), (1 << 63) - 1)


def kept(operation, *operands):
    """The plain result where 64 bits hold it, else the OverflowError that was due."""
    plain = operation(*map(int, operands))
    if -(1 << 63) <= plain < 1 << 63:
        found = operation(*operands)
        assert found == plain
        assert type(found) is Int64
    else:
        with pytest.raises(OverflowError):
            operation(*operands)


@pytest.mark.parametrize("operation", [add, sub, mul, floordiv, mod])
@given(a=int64s, b=int64s)
def test_int64_stays_int64_with_whole_numbers(operation, a, b):
    b = b or 1
    for operands in ((Int64(a), Int64(b)), (Int64(a), b), (a, Int64(b))):
        kept(operation, *operands)


@pytest.mark.parametrize("operation", [neg, pos, abs])
@given(a=int64s)
def test_int64_stays_int64_on_its_own(operation, a):
    kept(operation, Int64(a))


def test_int64_divmod_gives_two_of_them():
    for pair in (divmod(Int64(7), 2), divmod(7, Int64(2))):
        assert pair == (3, 1)
        assert [type(x) for x in pair] == [Int64, Int64]


def test_int64_powers_stay_int64():
    assert type(Int64(2) ** 10) is Int64
    assert type(2 ** Int64(10)) is Int64
    assert 2 ** Int64(10) == 1024
    assert type(pow(Int64(2), 10, 7)) is Int64
    with pytest.raises(OverflowError):
        Int64(2) ** 63


def test_int64_with_floats_is_a_float():
    assert type(Int64(1) + 0.5) is float
    assert type(0.5 + Int64(1)) is float
    assert type(Int64(1) / 2) is float
    with pytest.raises(TypeError):
        Int64(1) + "a"  # type: ignore[operator]


def test_int64_takes_whole_numbers_of_64_bits():
    assert Int64("12") == 12
    assert Int64(3.0) == 3
    for bad in (1 << 63, -(1 << 63) - 1):
        with pytest.raises(OverflowError, match="64 bits"):
            Int64(bad)
    with pytest.raises(ValueError, match="whole numbers"):
        Int64(1.5)


def test_int64_shows_what_it_is():
    assert repr(Int64(5)) == "Int64(5)"
    assert str(Int64(-5)) == f"{Int64(-5)}" == "-5"


@pytest.mark.parametrize("x", [Int64(5), UNDEFINED])
def test_both_survive_pickle_and_copy(x):
    for y in (pickle.loads(pickle.dumps(x)), copy.copy(x), copy.deepcopy(x)):
        assert y == x
        assert type(y) is type(x)
    assert pickle.loads(pickle.dumps(UNDEFINED)) is UNDEFINED


def test_undefined_is_false_and_one():
    assert not UNDEFINED
    assert type(UNDEFINED)() is UNDEFINED
    assert repr(UNDEFINED) == "UNDEFINED"


def test_times_are_milliseconds():
    moment = dt.datetime(2024, 2, 3, 4, 5, 6, 789000, tzinfo=dt.UTC)
    assert to_ms(moment) == 1706933106789
    assert type(to_ms(moment)) is int
    assert from_ms(1706933106789) == moment
    assert to_ms(moment.replace(microsecond=789500)) == 1706933106789.5
    assert from_ms(1706933106789.5).microsecond == 789500
    with pytest.raises(InvalidValue, match="time zone"):
        to_ms(dt.datetime(2024, 1, 1))
