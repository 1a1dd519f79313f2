from __future__ import annotations

import dataclasses
import datetime  # noqa: ICN001
import decimal
import enum
import uuid
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict

import pydantic
import pytest

from convexlab import (
    Doc,
    Id,
    Int64,
    PaginationOpts,
    PaginationResult,
    pagination_opts,
    pagination_result,
    v,
)
from convexlab.errors import InvalidArguments
from convexlab.functions.annotations import read_annotation
from convexlab.functions.readings import BadAnnotation


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(TypedDict):
    city: str
    zip: NotRequired[int]


@dataclasses.dataclass
class Task:
    name: str
    due: float = 0.0
    tags: list[str] = dataclasses.field(default_factory=list)


class Home(pydantic.BaseModel):
    city: str


class User(pydantic.BaseModel):
    name: str
    age: Annotated[int, pydantic.Field(ge=0)] = 0
    home: Home | None = None


ANY_OBJECT = v.record(v.string(), v.any())


@pytest.mark.parametrize(
    ("annotation", "validator"),
    [
        (str, v.string()),
        (bool, v.boolean()),
        (bytes, v.bytes()),
        (None, v.null()),
        (Any, v.any()),
        (Int64, v.int64()),
        (float, v.number()),
        (int, v.number()),
        (list, v.array(v.any())),
        (dict, ANY_OBJECT),
        (Doc, ANY_OBJECT),
        (list[str], v.array(v.string())),
        (tuple[float, ...], v.array(v.number())),
        (dict[str, int], v.record(v.string(), v.number())),
        (dict[Id.users, bool], v.record(v.id("users"), v.boolean())),
        (str | None, v.union(v.string(), v.null())),
        (Optional[str], v.union(v.string(), v.null())),  # noqa: UP045
        (int | str, v.union(v.number(), v.string())),
        (Literal["a", "b"], v.union(v.literal("a"), v.literal("b"))),
        (Literal["a"], v.literal("a")),
        (Literal["a", None], v.union(v.literal("a"), v.null())),  # noqa: PYI061
        (Color, v.union(v.literal("red"), v.literal("blue"))),
        (Id.users, v.id("users")),
        (Id["users"], v.id("users")),
        (Id.users | None, v.union(v.id("users"), v.null())),
        (Address, v.object({"city": v.string(), "zip": v.optional(v.number())})),
        (
            Task,
            v.object(
                {
                    "name": v.string(),
                    "due": v.optional(v.number()),
                    "tags": v.optional(v.array(v.string())),
                }
            ),
        ),
        (Annotated[str, v.id("users")], v.id("users")),
        (Annotated[str, "a note"], v.string()),
        (PaginationOpts, pagination_opts),
        (v.string(), v.string()),
    ],
    ids=str,
)
def test_an_annotation_is_read_as_a_validator(annotation, validator) -> None:
    assert read_annotation(annotation).validator.json() == validator.json()
    assert v.of(annotation).json() == validator.json()


def test_pydantic_models_are_objects() -> None:
    json = read_annotation(User).validator.json()
    assert json["value"]["name"] == {"fieldType": {"type": "string"}, "optional": False}
    assert json["value"]["age"] == {"fieldType": {"type": "number"}, "optional": True}
    assert json["value"]["home"]["optional"] is True


def test_pagination_results_are_objects_with_a_page() -> None:
    json = read_annotation(PaginationResult[str]).validator.json()
    assert json["value"]["page"]["fieldType"] == {
        "type": "array",
        "value": {"type": "string"},
    }
    assert json["value"]["splitCursor"]["optional"] is True
    untyped = read_annotation(PaginationResult).validator.json()
    assert untyped["value"]["page"]["fieldType"] == {
        "type": "array",
        "value": {"type": "any"},
    }


def test_a_page_of_what_a_validator_accepts() -> None:
    page = pagination_result(v.object({"body": v.string()}))
    assert page.fields["page"] == v.array(v.object({"body": v.string()}))  # type: ignore[attr-defined]
    result = {"page": [{"body": "hi"}], "isDone": True, "continueCursor": "x"}
    page.check(result, {})
    page.check({**result, "splitCursor": None, "pageStatus": "SplitRequired"}, {})
    assert not page.fits({})({**result, "page": [{"body": 1}]})


@pytest.mark.parametrize(
    ("annotation", "advice"),
    [
        (datetime.datetime, "to_ms"),
        (datetime.date, "to_ms"),
        (datetime.timedelta, "milliseconds"),
        (decimal.Decimal, "`str` to keep every digit"),
        (uuid.UUID, "write `str`"),
        (set[str], r"write `list\[T\]`"),
        (set, r"write `list\[T\]`"),
        (object, "write `Any`"),
        (tuple[int, str], r"write `tuple\[T, \.\.\.\]`"),
        (complex, r"list\[float\]"),
        (dict[int, str], "keys of an object are strings"),
        (list[datetime.datetime], "to_ms"),
        (int | uuid.UUID, "write `str`"),
        (type("Odd", (), {}), "a dataclass, a Pydantic model"),
    ],
    ids=str,
)
def test_other_annotations_are_refused_with_what_to_write(annotation, advice) -> None:
    with pytest.raises(BadAnnotation, match=advice):
        read_annotation(annotation)


def convert(annotation: Any, value: Any) -> Any:
    reading = read_annotation(annotation)
    return value if reading.convert is None else reading.convert(value, ".x")


def test_numbers_arrive_as_annotated() -> None:
    assert repr(convert(float, 1)) == "1.0"
    assert repr(convert(int, 1.0)) == "1"
    assert repr(convert(list[int], [1.0, 2])) == "[1, 2]"
    assert repr(convert(int | None, 3.0)) == "3"
    assert convert(int | None, None) is None
    assert repr(convert(dict[str, float], {"a": 1})) == "{'a': 1.0}"
    assert convert(tuple[float, ...], [1]) == (1.0,)


def test_an_int_is_a_whole_number() -> None:
    with pytest.raises(InvalidArguments, match=r"(?s)not a whole number.*Path: \.x"):
        convert(int, 1.5)
    assert convert(int | float, 1.5) == 1.5


def test_instances_arrive() -> None:
    assert convert(Color, "red") is Color.RED
    assert convert(Task, {"name": "a", "due": 1}) == Task("a", 1.0)
    assert convert(list[Task], [{"name": "a"}]) == [Task("a")]
    assert convert(Task | None, {"name": "a"}) == Task("a")
    assert convert(User, {"name": "ann", "age": 3.0}) == User(name="ann", age=3)
    assert convert(Literal[1, 2], 1.0) == 1
    assert convert(Color | Task, "blue") is Color.BLUE
    assert convert(Color | Task, {"name": "x"}) == Task("x")


def test_pydantic_rules_are_argument_errors() -> None:
    with pytest.raises(
        InvalidArguments, match=r"(?s)`User` refuses the value.*Path: \.x"
    ):
        convert(User, {"name": "ann", "age": -1})


def test_a_name_that_is_missing_is_explained() -> None:
    class Odd(TypedDict):
        when: Missing  # noqa: F821

    with pytest.raises(BadAnnotation, match="TYPE_CHECKING"):
        read_annotation(Odd)
