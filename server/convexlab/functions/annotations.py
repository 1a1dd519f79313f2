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
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NotRequired,
    TypeAlias,
    TypedDict,
    TypeVar,
    Union,
)

from convexlab.documents.v import v
from convexlab.documents.validator import Validator, compile as compile_validator
from convexlab.documents.value import Int64
from convexlab.errors import CallerError, InvalidArguments

if TYPE_CHECKING:
    Doc: TypeAlias = dict[str, Any]

T = TypeVar("T")

Convert: TypeAlias = Callable[[Any, str], Any]
"""Turns a checked value into what the annotation promises; takes the value and its path."""


class BadAnnotation(CallerError):
    """An annotation, or a parameter, that is refused; says what to write.

    Args:
        message: what is wrong and what to write instead.
        parameter: the Python name of the parameter to blame, or `return`.
    """

    code = "BadAnnotation"

    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


# -- names that only annotations use ----------------------------------------------


class _IdType(type):
    """Makes `Id.users` and `Id["users"]` the class of ids of that table."""

    _made: typing.ClassVar[dict[str, type]] = {}

    def __getattr__(cls, table: str) -> Any:
        if table.startswith("__"):
            raise AttributeError(table)
        return cls[table]

    def __getitem__(cls, table: str) -> Any:
        made = _IdType._made.get(table)
        if made is None:
            made = _IdType._made[table] = _IdType(
                f"Id.{table}", (str,), {"table": table}
            )
        return made


class Id(str, metaclass=_IdType):  # noqa: SLOT000 - a name for annotations, never an instance
    """The id of a document: `Id.users` is the annotation for an id of that table."""

    table: typing.ClassVar[str | None] = None


if not TYPE_CHECKING:

    class Doc(dict):
        """A document, as an annotation: any object."""


class PaginationOpts(TypedDict):
    """What `usePaginatedQuery` sends as `paginationOpts`."""

    numItems: int
    cursor: str | None
    endCursor: NotRequired[str | None]
    id: NotRequired[float]
    maximumRowsRead: NotRequired[float]
    maximumBytesRead: NotRequired[float]


class PaginationResult(TypedDict, Generic[T]):
    """What `.paginate(…)` returns and `usePaginatedQuery` expects."""

    page: list[T]
    isDone: bool
    continueCursor: str
    splitCursor: NotRequired[str | None]
    pageStatus: NotRequired[Literal["SplitRecommended", "SplitRequired"] | None]


# -- annotations --------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What an annotation says: which values, and what they arrive as (None: as they are)."""

    validator: Validator
    convert: Convert | None = None


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
    simple = _SIMPLE.get(annotation) if _is_hashable(annotation) else None
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


def _is_hashable(x: object) -> bool:
    try:
        hash(x)
    except TypeError:
        return False
    return True


def _to_float(value: Any, path: str) -> float:  # noqa: ARG001 - a Convert
    return float(value)


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
    if isinstance(annotation, _IdType):
        return Reading(v.id(annotation.table))
    if annotation is Doc:
        return Reading(_any_object())
    if issubclass(annotation, enum.Enum):
        return _read_enum(annotation)
    if typing.is_typeddict(annotation):
        return _read_typed_dict(annotation, {})
    if dataclasses.is_dataclass(annotation):
        return _read_dataclass(annotation)
    if _is_pydantic(annotation):
        return _read_pydantic(annotation)
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
        return _read_typed_dict(origin, dict(zip(names, arguments, strict=False)))
    if isinstance(origin, type) and dataclasses.is_dataclass(origin):
        return _read_dataclass(origin)
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


# -- classes with fields ---------------------------------------------------------------


def missing_name(name: str) -> str:
    """What to say of an annotation that names what is not there."""
    return (
        f"the annotation `{name}` is not defined when the module runs: import it, or define it in this module. "
        "(An import under `if TYPE_CHECKING:` is not there at run time: move it out.)"
    )


def _hints(owner: Any, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Evaluated annotations; a name that is missing is explained."""
    try:
        return typing.get_type_hints(
            owner, localns=dict(extra or {}), include_extras=True
        )
    except NameError as error:
        raise BadAnnotation(missing_name(error.name or str(owner))) from None
    except TypeError as error:
        raise BadAnnotation(
            f"an annotation of `{getattr(owner, '__name__', owner)}` cannot be evaluated: {error}"
        ) from None


def _read_fields(
    owner: type, hints: Mapping[str, Any], optional: Callable[[str], bool]
) -> tuple[Validator, dict[str, Convert]]:
    fields: dict[str, Validator] = {}
    converts: dict[str, Convert] = {}
    for name, hint in hints.items():
        try:
            reading = read_annotation(hint)
        except BadAnnotation as error:
            raise BadAnnotation(
                f"field `{name}` of `{owner.__name__}`: {error}"
            ) from None
        fields[name] = (
            v.optional(reading.validator) if optional(name) else reading.validator
        )
        if reading.convert is not None:
            converts[name] = reading.convert
    return v.object(fields), converts


def _converted(
    value: dict[str, Any], converts: Mapping[str, Convert], path: str
) -> dict[str, Any]:
    out = dict(value)
    for name, convert in converts.items():
        if name in out:
            out[name] = convert(out[name], f"{path}.{name}")
    return out


def _read_typed_dict(annotation: Any, substitutions: Mapping[Any, Any]) -> Reading:
    hints = {
        name: substitutions.get(hint, hint) if _is_hashable(hint) else hint
        for name, hint in _hints(annotation).items()
    }
    if substitutions:
        hints = {name: _substitute(hint, substitutions) for name, hint in hints.items()}
    required = _required_keys(annotation, hints)
    validator, converts = _read_fields(
        annotation, hints, lambda name: name not in required
    )
    if annotation is PaginationOpts:
        return Reading(validator)
    return Reading(
        validator,
        (lambda value, path: _converted(value, converts, path)) if converts else None,
    )


def _substitute(hint: Any, substitutions: Mapping[Any, Any]) -> Any:
    parameters = getattr(hint, "__parameters__", ())
    if not parameters:
        return hint
    return hint[tuple(substitutions.get(parameter, Any) for parameter in parameters)]


def _required_keys(annotation: Any, hints: Mapping[str, Any]) -> set[str]:
    """Required names; with postponed annotations the class itself cannot tell them."""
    required = set(annotation.__required_keys__)
    for name, hint in hints.items():
        origin = typing.get_origin(hint)
        if origin is typing.NotRequired:
            required.discard(name)
        elif origin is typing.Required:
            required.add(name)
    for base in reversed(annotation.__mro__):
        for name, hint in inspect.get_annotations(base).items():
            text = getattr(
                hint, "__forward_arg__", hint if isinstance(hint, str) else ""
            )
            if text.replace("typing.", "").startswith("NotRequired["):
                required.discard(name)
            elif text.replace("typing.", "").startswith("Required["):
                required.add(name)
    return required


def _read_dataclass(annotation: Any) -> Reading:
    hints = _hints(annotation)
    fields = {
        field.name: field for field in dataclasses.fields(annotation) if field.init
    }

    def optional(name: str) -> bool:
        field = fields[name]
        return (
            field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING
        )

    validator, converts = _read_fields(
        annotation, {name: hints[name] for name in fields}, optional
    )

    def convert(value: Any, path: str) -> Any:
        try:
            return annotation(**_converted(value, converts, path))
        except (ValueError, TypeError) as error:
            raise InvalidArguments(
                f"`{annotation.__name__}` refuses the value: {error}\nPath: {path}"
            ) from error

    return Reading(validator, convert)


def _is_pydantic(annotation: type) -> bool:
    return hasattr(annotation, "model_fields") and hasattr(annotation, "model_validate")


def _read_pydantic(annotation: Any) -> Reading:
    annotation.model_rebuild(raise_errors=False)
    hints = {}
    optional = set()
    for name, field in annotation.model_fields.items():
        known_as = field.alias or name
        extras = [extra for extra in field.metadata if isinstance(extra, Validator)]
        hints[known_as] = (
            Annotated[field.annotation, extras[-1]] if extras else field.annotation
        )
        if not field.is_required():
            optional.add(known_as)
    validator, _ = _read_fields(annotation, hints, optional.__contains__)

    def convert(value: Any, path: str) -> Any:
        try:
            return annotation.model_validate(value)
        except ValueError as error:
            raise InvalidArguments(
                f"`{annotation.__name__}` refuses the value: {error}\nPath: {path}"
            ) from error

    return Reading(validator, convert)


v.read_annotations_with(validator_of)

pagination_opts: Final = validator_of(PaginationOpts)
"""The validator of `paginationOpts`, for functions that spell `args=` out."""


def pagination_result(item: Validator, /) -> Validator:
    """The validator of what `.paginate(…)` returns, for `returns=`.

    Args:
        item: of each document of the page.
    """
    return validator_of(PaginationResult[Annotated[Any, item]])
