"""Annotations: read as validators, and as what a value that passed is turned into.

    annotation            validator                arrives as
    str bool bytes None   v.string() …             itself
    float / int           v.number()               float / int (whole numbers only)
    Id.users              v.id("users")            str
    list[T] dict[str, T]  v.array, v.record        list, dict
    A | B, Literal, Enum  v.union, v.literal       the first member that fits
    TypedDict             v.object                 dict
    dataclass, Pydantic   v.object                 an instance
    Annotated[T, v.…]     that validator           as T, where it fits

Everything else is refused when the module is pushed, with what to write.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Mapping
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    TypeVar,
    Union,
)

from convexlab.documents.floats import are_floats
from convexlab.documents.v import v
from convexlab.documents.validator import Validator, compile as compile_validator
from convexlab.documents.value import Int64
from convexlab.errors import CallerError, InvalidArguments
from convexlab.functions.annotated_classes import (
    is_pydantic,
    read_dataclass,
    read_pydantic,
    read_typed_dict,
)
from convexlab.functions.annotation_names import (
    Doc,
    Id,
    IdType,
    PaginationOpts,
    PaginationResult,
)
from convexlab.functions.readings import BadAnnotation, Convert, Reading, is_hashable

_REFUSALS: Final[dict[str, str]] = {
    "datetime": "times are numbers: write `float`, and use `to_ms` and `from_ms`",
    "date": "times are numbers: write `float`, and use `to_ms` and `from_ms`",
    "time": "times are numbers: write `float`, and use `to_ms` and `from_ms`",
    "timedelta": "durations are numbers: write `float` (milliseconds)",
    "Timestamp": "times are numbers: write `float`, and use `to_ms` and `from_ms`",
    "Decimal": "write `float`, or `str` to keep every digit",
    "Fraction": "write `float` or `str`",
    "complex": "write `list[float]`",
    "UUID": "write `str`",
    "set": "write `list[T]`",
    "frozenset": "write `list[T]`",
    "Set": "write `list[T]`",
    "Sequence": "write `list[T]`",
    "Iterable": "write `list[T]`",
    "Iterator": "write `list[T]`",
    "Collection": "write `list[T]`",
    "Mapping": "write `dict[str, T]`",
    "MutableMapping": "write `dict[str, T]`",
    "object": "write `Any`",
    "bytearray": "write `bytes`",
    "memoryview": "write `bytes`",
    "ndarray": "write `list[float]`",
    "DataFrame": "write `list[dict[str, Any]]`",
    "Path": "write `str`",
    "Doc": "write `Doc`, without a table",
}


def read_annotation(annotation: object) -> Reading:
    """The reading of one annotation, already evaluated.

    Raises:
        BadAnnotation: it stands for no Convex value; says what to write.
    """
    if isinstance(annotation, Validator):
        return Reading(annotation)
    simple = _SIMPLE.get(annotation) if is_hashable(annotation) else None
    if simple is not None:
        return simple
    origin = typing.get_origin(annotation)
    if origin is not None:
        return _read_generic(annotation, origin, typing.get_args(annotation))
    if isinstance(annotation, TypeVar):
        return Reading(v.any())
    if isinstance(annotation, typing.NewType):
        return read_annotation(annotation.__supertype__)
    if isinstance(annotation, type):
        return _read_class(annotation)
    if type(annotation).__name__ == "TypeAliasType":  # `type X = …` of Python 3.12
        return read_annotation(annotation.__value__)  # type: ignore[attr-defined]
    raise _refusal(annotation)


def validator_of(annotation: object) -> Validator:
    """The validator of an annotation: `v.of(T)`."""
    return read_annotation(annotation).validator


def _to_float(value: Any, path: str) -> float:  # noqa: ARG001 - a Convert
    return float(value)


def _to_floats(value: Any, path: str) -> list[float]:  # noqa: ARG001 - a Convert
    """N.B. the numbers of an embedding are floats already, and hundreds."""
    if type(value) is list and are_floats(value):
        return value
    return [float(item) for item in value]


def _to_int(value: Any, path: str) -> int:
    if type(value) is int:
        return value
    if not value.is_integer():
        raise InvalidArguments(
            f"`{value}` is not a whole number, and the function wants an `int`.\nPath: {path}\n\nValue: {value}\nValidator: v.number()"
        )
    return int(value)


def _any_object() -> Validator:
    return v.record(v.string(), v.any())


_SIMPLE: Final[dict[Any, Reading]] = {
    str: Reading(v.string()),
    bool: Reading(v.boolean()),
    bytes: Reading(v.bytes()),
    None: Reading(v.null()),
    type(None): Reading(v.null()),
    Any: Reading(v.any()),
    Int64: Reading(v.int64()),
    float: Reading(v.number(), _to_float),
    int: Reading(v.number(), _to_int),
    list: Reading(v.array(v.any())),
    tuple: Reading(v.array(v.any())),
    dict: Reading(_any_object()),
    typing.List: Reading(v.array(v.any())),  # noqa: UP006 - users write it
    typing.Dict: Reading(_any_object()),  # noqa: UP006
    Id: Reading(v.string()),
}


def _refusal(annotation: object) -> BadAnnotation:
    name = (
        getattr(annotation, "__name__", None)
        or getattr(annotation, "_name", None)
        or str(annotation)
    )
    shown = (
        name if isinstance(annotation, type) else str(annotation).replace("typing.", "")
    )
    if isinstance(annotation, type) and annotation.__module__ not in (
        "builtins",
        "datetime",
        "decimal",
        "uuid",
    ):
        shown = (
            f"{annotation.__module__.rpartition('.')[2]}.{name}"
            if name in _REFUSALS
            else name
        )
    hint = _REFUSALS.get(str(name))
    if hint is None:
        hint = (
            "write one of str, bool, bytes, float, int, Int64, None, Any, list[T], dict[str, T], A | B, Literal[…], "
            "an enum, Id.table, a TypedDict, a dataclass, a Pydantic model or Annotated[T, v.…]"
        )
    return BadAnnotation(f"`{shown}` stands for no Convex value: {hint}.")


def _read_class(annotation: type) -> Reading:
    if isinstance(annotation, IdType):
        return Reading(v.id(annotation.table))
    if annotation is Doc:
        return Reading(_any_object())
    if issubclass(annotation, enum.Enum):
        return _read_enum(annotation)
    if typing.is_typeddict(annotation):
        return read_typed_dict(annotation, {}, read_annotation)
    if dataclasses.is_dataclass(annotation):
        return read_dataclass(annotation, read_annotation)
    if is_pydantic(annotation):
        return read_pydantic(annotation, read_annotation)
    raise _refusal(annotation)


def _read_generic(annotation: Any, origin: Any, arguments: tuple[Any, ...]) -> Reading:
    if origin is Annotated:
        return _read_annotated(*arguments)
    if origin is Union or origin is types.UnionType:
        return _read_union([read_annotation(member) for member in arguments])
    if origin is Literal:
        return _read_literal(arguments)
    if origin is list:
        return _read_array(read_annotation(arguments[0]), list)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return _read_array(read_annotation(arguments[0]), tuple)
        raise BadAnnotation(
            "a tuple of fixed length stands for no Convex value: write `tuple[T, ...]` or `list[T]`."
        )
    if origin is dict:
        return _read_record(
            read_annotation(arguments[0]), read_annotation(arguments[1])
        )
    if origin in (typing.Required, typing.NotRequired, typing.Final, typing.ClassVar):
        return read_annotation(arguments[0])
    if typing.is_typeddict(origin):
        names = getattr(origin, "__parameters__", ())
        substitutions = dict(zip(names, arguments, strict=False))
        return read_typed_dict(origin, substitutions, read_annotation)
    if isinstance(origin, type) and dataclasses.is_dataclass(origin):
        return read_dataclass(origin, read_annotation)
    raise _refusal(origin if isinstance(origin, type) else annotation)


def _read_annotated(inner: Any, *extras: Any) -> Reading:
    validators = [extra for extra in extras if isinstance(extra, Validator)]
    if not validators:
        return read_annotation(inner)
    try:
        convert = read_annotation(inner).convert
    except BadAnnotation:
        convert = None
    return Reading(validators[-1], None if convert is None else _where_it_fits(convert))


def _where_it_fits(convert: Convert) -> Convert:
    def attempt(value: Any, path: str) -> Any:
        try:
            return convert(value, path)
        except CallerError:
            raise
        except (TypeError, ValueError, AttributeError, KeyError):
            return value

    return attempt


def _read_array(element: Reading, kind: type) -> Reading:
    inner = element.convert
    if inner is None and kind is list:
        return Reading(v.array(element.validator))
    if inner is _to_float and kind is list:
        return Reading(v.array(element.validator), _to_floats)

    def convert(value: Any, path: str) -> Any:
        if inner is None:
            return kind(value)
        return kind([inner(item, f"{path}[{i}]") for i, item in enumerate(value)])

    return Reading(v.array(element.validator), convert)


def _read_record(key: Reading, value: Reading) -> Reading:
    if key.validator.kind == "any":
        key = Reading(v.string())
    if key.validator.kind not in ("string", "id", "union"):
        raise BadAnnotation("the keys of an object are strings: write `dict[str, T]`.")
    inner = value.convert
    validator = v.record(key.validator, value.validator)
    if inner is None:
        return Reading(validator)
    return Reading(
        validator,
        lambda fields, path: {
            name: inner(item, f"{path}.{name}") for name, item in fields.items()
        },
    )


def _read_literal(members: tuple[Any, ...]) -> Reading:
    readings = []
    for member in members:
        if member is None:
            readings.append(Reading(v.null()))
        elif isinstance(member, enum.Enum):
            readings.append(Reading(v.literal(member.value), _constant(member)))
        else:
            readings.append(
                Reading(
                    v.literal(member),
                    _constant(member) if type(member) is int else None,
                )
            )
    return _read_union(readings)


def _constant(member: Any) -> Convert:
    return lambda value, path: member  # noqa: ARG005 - a Convert


def _read_enum(annotation: type[enum.Enum]) -> Reading:
    for member in annotation:
        if (
            not isinstance(member.value, str | bool | int | float)
            or member.value is None
        ):
            raise BadAnnotation(
                f"`{annotation.__name__}.{member.name}` is {member.value!r}: an enum's members stand for strings, numbers or booleans."
            )
    return _read_union(
        [Reading(v.literal(member.value), _constant(member)) for member in annotation]
    )


def _read_union(readings: list[Reading]) -> Reading:
    if len(readings) == 1:
        return readings[0]
    validator = v.union(*[reading.validator for reading in readings])
    if all(reading.convert is None for reading in readings):
        return Reading(validator)
    others = [reading for reading in readings if reading.validator.kind != "null"]
    if len(others) == 1 and others[0].convert is not None:
        only = others[0].convert
        return Reading(
            validator, lambda value, path: None if value is None else only(value, path)
        )
    members = [
        (compile_validator(reading.validator, _EVERY_TABLE), reading.convert)
        for reading in readings
    ]
    return Reading(validator, _first_that_fits(members))


class _EveryTable(Mapping[str, int]):
    """Table numbers for a second look: ids were checked before, so none is known here."""

    def __getitem__(self, name: str) -> int:
        raise KeyError(name)

    def __iter__(self) -> typing.Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


_EVERY_TABLE: Final = _EveryTable()


def _first_that_fits(
    members: list[tuple[Callable[[Any], Any], Convert | None]],
) -> Convert:
    def convert(value: Any, path: str) -> Any:
        refused: CallerError | None = None
        for check, inner in members:
            try:
                check(value)
                return value if inner is None else inner(value, path)
            except CallerError as error:
                refused = error if isinstance(error, InvalidArguments) else refused
        if refused is not None:
            raise refused
        return value

    return convert


v.read_annotations_with(validator_of)

pagination_opts: Final = validator_of(PaginationOpts)
"""The validator of `paginationOpts`, for functions that spell `args=` out."""


def pagination_result(item: Validator, /) -> Validator:
    """The validator of what `.paginate(…)` returns, for `returns=`.

    Args:
        item: of each document of the page.
    """
    return validator_of(PaginationResult[Annotated[Any, item]])
