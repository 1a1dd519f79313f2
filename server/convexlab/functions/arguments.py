"""Arguments: what a function takes and returns, read from its parameters and decorator.

A `Signature` checks the one object of arguments that a call brings, turns it into
keyword arguments as the annotations promise, and checks the result.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from convexlab.documents.containers import ObjectValidator
from convexlab.documents.references import wire_name
from convexlab.documents.v import v
from convexlab.documents.validator import Validator, compile as compile_validator
from convexlab.errors import InvalidArguments
from convexlab.functions.annotations import read_annotation
from convexlab.functions.readings import (
    BadAnnotation,
    Convert,
    Reading,
    missing_name,
)

if TYPE_CHECKING:
    from convexlab.documents.validator import TableNumbers
    from convexlab.documents.value import Value
    from convexlab.functions.definition import FunctionDefinition


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter after `ctx`: its Python name and the name that callers use."""

    python: str
    wire: str
    required: bool
    convert: Convert | None


class Signature:
    """What a function takes and returns.

    Attributes:
        args: the validator of the one object of arguments.
        returns: the validator of the result; None accepts anything.
    """

    __slots__ = (
        "_args_check",
        "_plain",
        "_rest",
        "_rest_check",
        "_returns_check",
        "args",
        "parameters",
        "returns",
    )

    def __init__(
        self,
        *,
        args: Validator,
        returns: Validator | None,
        parameters: list[Parameter],
        rest: Reading | None,
    ) -> None:
        self.args = args
        self.returns = returns
        self.parameters = parameters
        self._rest = rest
        self._plain = (
            args.kind == "object"
            and rest is None
            and all(
                p.convert is None and p.python == p.wire and not p.required
                for p in parameters
            )
        )
        self._args_check: tuple[object, Callable[[Any], Any]] | None = None
        self._rest_check: tuple[object, Callable[[Any], Any]] | None = None
        self._returns_check: tuple[object, Callable[[Any], Any]] | None = None

    def bind(self, values: dict[str, Any], tables: TableNumbers) -> dict[str, Any]:
        """Checks the arguments of a call and turns them into keyword arguments.

        Args:
            values: the arguments by wire name; taken over.
            tables: name to number, to check ids by.

        Raises:
            InvalidArguments: as Convex words it.
        """
        cached = self._args_check
        if cached is None or cached[0] is not tables:
            cached = self._args_check = (tables, compile_validator(self.args, tables))
        if self._rest is not None:
            return self._bind_with_rest(values, tables, cached[1])
        cached[1](values)
        if self._plain:
            return values
        return self._take(values)

    def check_result(self, value: Value, tables: TableNumbers) -> None:
        """Checks a result against `returns`."""
        if self.returns is None:
            return
        cached = self._returns_check
        if cached is None or cached[0] is not tables:
            cached = self._returns_check = (
                tables,
                compile_validator(self.returns, tables),
            )
        cached[1](value)

    def args_json(self) -> dict[str, Any]:
        """As the function spec says it; with `**rest`, anything."""
        return v.any().json() if self._rest is not None else self.args.json()

    def returns_json(self) -> dict[str, Any]:
        """As the function spec says it."""
        return (self.returns or v.any()).json()

    def _take(self, values: dict[str, Any]) -> dict[str, Any]:
        out = {}
        used = 0
        for parameter in self.parameters:
            wire = parameter.wire
            if wire in values:
                used += 1
                value = values[wire]
                out[parameter.python] = (
                    value
                    if parameter.convert is None
                    else parameter.convert(value, f".{wire}")
                )
            elif parameter.required:
                if self.args.kind == "any":
                    raise InvalidArguments(
                        f"The function needs the argument `{wire}`.\n\nObject: {values!r}\nValidator: v.any()"
                    )
                out[parameter.python] = None
        if self._rest is None and used < len(values):
            known = {parameter.wire for parameter in self.parameters}
            extra = next(name for name in values if name not in known)
            raise InvalidArguments(
                f"The function takes no argument `{extra}`.\n\nObject: {values!r}\nValidator: {self.args!r}"
            )
        return out

    def _bind_with_rest(
        self, values: dict[str, Any], tables: TableNumbers, check: Callable[[Any], Any]
    ) -> dict[str, Any]:
        assert self._rest is not None
        known = {parameter.wire for parameter in self.parameters}
        check(
            values
            if self.args.kind == "any"
            else {name: value for name, value in values.items() if name in known}
        )
        out = self._take(values)
        taken = {parameter.python for parameter in self.parameters} | {"ctx"}
        cached = self._rest_check
        if cached is None or cached[0] is not tables:
            cached = self._rest_check = (
                tables,
                compile_validator(v.record(v.string(), self._rest.validator), tables),
            )
        rest = {name: value for name, value in values.items() if name not in known}
        cached[1](rest)
        for name, value in rest.items():
            if name in taken:
                raise InvalidArguments(f"The function takes no argument `{name}`.")
            out[name] = (
                value
                if self._rest.convert is None
                else self._rest.convert(value, f".{name}")
            )
        return out


def read_signature(definition: FunctionDefinition[..., Any]) -> Signature:
    """Reads a definition's parameters, `args=`, `returns=` and annotations.

    Raises:
        BadAnnotation: names the parameter and says what to write.
    """
    parameters = _parameters_after_ctx(definition)
    if definition.kind == "http_action":
        return Signature(args=v.any(), returns=None, parameters=[], rest=None)
    hints = _function_hints(definition)
    returns = _read_returns(definition, hints)
    if definition.given_args is not None:
        return _with_given_args(definition, parameters, returns)
    fields: dict[str, Validator] = {}
    out = []
    rest = None
    for parameter in parameters:
        reading = _read_parameter(parameter, hints)
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            rest = reading
            continue
        name = wire_name(parameter.name)
        if name in fields:
            raise BadAnnotation(
                f"`{parameter.name}` and `{name}` are one name to callers: rename one.",
                parameter=parameter.name,
            )
        has_default = parameter.default is not inspect.Parameter.empty
        fields[name] = (
            v.optional(reading.validator) if has_default else reading.validator
        )
        out.append(Parameter(parameter.name, name, False, reading.convert))
    return Signature(args=v.object(fields), returns=returns, parameters=out, rest=rest)


def _parameters_after_ctx(
    definition: FunctionDefinition[..., Any],
) -> list[inspect.Parameter]:
    name = getattr(definition.handler, "__name__", "the function")
    parameters = list(inspect.signature(definition.handler).parameters.values())
    by_position = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    if not parameters or parameters[0].kind not in by_position:
        raise BadAnnotation(
            f"the first parameter is the context: write `def {name}(ctx, …)`."
        )
    if inspect.isgeneratorfunction(definition.handler) or inspect.isasyncgenfunction(
        definition.handler
    ):
        raise BadAnnotation(f"`{name}` yields: return a list instead.")
    rest = parameters[1:]
    if definition.kind == "http_action":
        if len(rest) != 1:
            raise BadAnnotation(
                f"an HTTP action takes the context and the request: write `def {name}(ctx, request)`."
            )
        return rest
    for parameter in rest:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            raise BadAnnotation(
                f"`*{parameter.name}`: arguments go by name: write `{parameter.name}: list[T]`.",
                parameter=parameter.name,
            )
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise BadAnnotation(
                f"`{parameter.name}` is positional-only, and arguments go by name: remove the `/`, or put it right after `ctx`.",
                parameter=parameter.name,
            )
    return rest


def _function_hints(definition: FunctionDefinition[..., Any]) -> dict[str, Any]:
    """Evaluated annotations of a handler, a name that is missing explained; `ctx`'s is ignored."""
    handler = inspect.unwrap(definition.handler)
    annotations = dict(getattr(handler, "__annotations__", {}))
    code = handler.__code__
    annotations.pop(code.co_varnames[0] if code.co_argcount else "", None)
    cells = (_cell(cell) for cell in handler.__closure__ or ())
    names = {
        **definition.names_around,
        **dict(zip(code.co_freevars, cells, strict=False)),
    }
    hints = {}
    for parameter, annotation in annotations.items():
        if parameter == "return" and definition.given_returns is not None:
            continue
        if parameter != "return" and definition.given_args is not None:
            continue
        holder = types.SimpleNamespace(__annotations__={parameter: annotation})
        try:
            hints.update(
                typing.get_type_hints(
                    holder,
                    globalns=handler.__globals__,
                    localns=names,
                    include_extras=True,
                )
            )
        except NameError as error:
            raise BadAnnotation(
                missing_name(error.name or str(annotation)), parameter=parameter
            ) from None
        except (TypeError, SyntaxError, AttributeError) as error:
            raise BadAnnotation(
                f"the annotation `{annotation}` cannot be evaluated: {error}",
                parameter=parameter,
            ) from None
    return hints


def _cell(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _read_parameter(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Reading:
    if parameter.name not in hints:
        return Reading(v.any())
    return _read_hint(parameter.name, f"parameter `{parameter.name}`", hints)


def _read_hint(name: str, shown: str, hints: Mapping[str, Any]) -> Reading:
    try:
        return read_annotation(hints[name])
    except RecursionError:
        said = "it refers to itself, and validators end somewhere: write `Any` inside."
        raise BadAnnotation(f"{shown}: {said}", parameter=name) from None
    except BadAnnotation as error:
        raise BadAnnotation(f"{shown}: {error}", parameter=name) from None


def _read_returns(
    definition: FunctionDefinition[..., Any], hints: Mapping[str, Any]
) -> Validator | None:
    given = definition.given_returns
    if given is not None:
        if isinstance(given, Validator):
            return given
        if isinstance(given, Mapping):
            return v.object(dict(given))
        raise BadAnnotation(
            "`returns=` takes a validator, for instance `returns=v.array(v.string())`."
        )
    return (
        _read_hint("return", "the result", hints).validator
        if "return" in hints
        else None
    )


def _with_given_args(
    definition: FunctionDefinition[..., Any],
    parameters: list[inspect.Parameter],
    returns: Validator | None,
) -> Signature:
    given = definition.given_args
    if isinstance(given, Mapping):
        given = v.object({wire_name(name): field for name, field in given.items()})
    if not isinstance(given, Validator) or given.kind not in ("object", "any"):
        raise BadAnnotation(
            "`args=` takes a dict of validators, `v.object({…})` or `v.any()`."
        )
    takes_rest = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    named = {
        wire_name(p.name): p
        for p in parameters
        if p.kind is not inspect.Parameter.VAR_KEYWORD
    }
    fields: Mapping[str, Validator] = {}
    if isinstance(given, ObjectValidator):
        fields = given.fields
        for name in fields:
            if name not in named and not takes_rest:
                raise BadAnnotation(
                    f"`args=` names `{name}`, and the function has no such parameter: add it."
                )
        for name, parameter in named.items():
            if name not in fields and parameter.default is inspect.Parameter.empty:
                raise BadAnnotation(
                    f"`{parameter.name}` is not in `args=`: add it there.",
                    parameter=parameter.name,
                )
    out = [
        Parameter(p.name, name, p.default is inspect.Parameter.empty, None)
        for name, p in named.items()
    ]
    # What `args=` names is all that there is, though `**rest` takes some of it.
    out += [
        Parameter(name, name, required=False, convert=None)
        for name in fields
        if name not in named
    ]
    takes_any = takes_rest and given.kind == "any"
    rest = Reading(v.any()) if takes_any else None
    return Signature(args=given, returns=returns, parameters=out, rest=rest)
