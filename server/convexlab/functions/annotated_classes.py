"""Classes with fields, as annotations: TypedDicts, dataclasses and Pydantic models.

Each is an object with exactly its fields; what is optional there is optional here.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from typing import TYPE_CHECKING, Annotated, Any

from convexlab.documents.v import v
from convexlab.documents.validator import Validator
from convexlab.errors import InvalidArguments
from convexlab.functions.annotation_names import PaginationOpts
from convexlab.functions.readings import (
    BadAnnotation,
    Convert,
    Read,
    Reading,
    is_hashable,
    missing_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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
    owner: type,
    hints: Mapping[str, Any],
    optional: Callable[[str], bool],
    read: Read,
) -> tuple[Validator, dict[str, Convert]]:
    fields: dict[str, Validator] = {}
    converts: dict[str, Convert] = {}
    for name, hint in hints.items():
        try:
            reading = read(hint)
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


def read_typed_dict(
    annotation: Any, substitutions: Mapping[Any, Any], read: Read
) -> Reading:
    """A TypedDict: an object that arrives as a dict."""
    hints = {
        name: substitutions.get(hint, hint) if is_hashable(hint) else hint
        for name, hint in _hints(annotation).items()
    }
    if substitutions:
        hints = {name: _substitute(hint, substitutions) for name, hint in hints.items()}
    required = _required_keys(annotation, hints)
    validator, converts = _read_fields(
        annotation, hints, lambda name: name not in required, read
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


def read_dataclass(annotation: Any, read: Read) -> Reading:
    """A dataclass: an object that arrives as an instance."""
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
        annotation, {name: hints[name] for name in fields}, optional, read
    )

    def convert(value: Any, path: str) -> Any:
        try:
            return annotation(**_converted(value, converts, path))
        except (ValueError, TypeError) as error:
            raise InvalidArguments(
                f"`{annotation.__name__}` refuses the value: {error}\nPath: {path}"
            ) from error

    return Reading(validator, convert)


def is_pydantic(annotation: type) -> bool:
    """Whether it is a Pydantic model, which is never imported."""
    return hasattr(annotation, "model_fields") and hasattr(annotation, "model_validate")


def read_pydantic(annotation: Any, read: Read) -> Reading:
    """A Pydantic model: an object that arrives as an instance."""
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
    validator, _ = _read_fields(annotation, hints, optional.__contains__, read)

    def convert(value: Any, path: str) -> Any:
        try:
            return annotation.model_validate(value)
        except ValueError as error:
            raise InvalidArguments(
                f"`{annotation.__name__}` refuses the value: {error}\nPath: {path}"
            ) from error

    return Reading(validator, convert)
