"""Predicates: what an expression says of a document.

One function judges a document wherever it is judged: where a query reads it, and
where a commit has just written it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from convexlab.documents.equality import values_equal
from convexlab.documents.ordering import compare, encode_key
from convexlab.documents.shape import document_fits
from convexlab.documents.value import (
    UNDEFINED,
    Int64,
    Undefined,
)
from convexlab.documents.words import has_words
from convexlab.errors import InvalidQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convexlab.documents.expression import FieldPath, Node

    Evaluate: TypeAlias = Callable[[Mapping[str, Any]], Any]
    """A part of an expression as a function of the document."""

_NUMBERS: Final = frozenset({int, float})


def predicate(node: Node) -> Callable[[Mapping[str, Any]], bool]:
    """The function that judges documents.

    It raises InvalidQuery where Convex does: a result that is no boolean,
    arithmetic on other things than two numbers or two Int64.
    """
    return _boolean(_compiled(node))


def _boolean(evaluate: Evaluate) -> Evaluate:
    def judge(document: Mapping[str, Any]) -> bool:
        value = evaluate(document)
        if value is True or value is False:
            return value
        raise InvalidQuery(f"Cannot use value {value!r} as a Boolean in a filter.")

    return judge


def _compiled(node: Node) -> Evaluate:
    name, *operands = node
    if name == "field":
        return getter(tuple(operands))
    if name == "literal":
        constant = operands[0]
        return lambda _: constant
    if name in ("eq", "neq"):
        equal = _equality(*operands)
        return equal if name == "eq" else lambda document: not equal(document)
    if name in _ORDERS:
        return _order(name, *operands)
    if name == "and":
        return _all([_boolean(_compiled(operand)) for operand in operands])
    if name == "or":
        return _any([_boolean(_compiled(operand)) for operand in operands])
    if name == "not":
        inner = _boolean(_compiled(operands[0]))
        return lambda document: not inner(document)
    if name == "fits":
        shape = operands[0][1]
        return lambda document: document_fits(document, shape)
    if name in _ON_ONE:
        one, of_one = _compiled(operands[0]), _ON_ONE[name]
        return lambda document: of_one(one(document))
    left, right, of_two = _compiled(operands[0]), _compiled(operands[1]), _ON_TWO[name]
    return lambda document: of_two(left(document), right(document))


def key_maker(paths: tuple[FieldPath, ...]) -> Callable[[Mapping[str, Any]], bytes]:
    """The function that gives a document's values as `Equalities.keys` has them."""
    gets = [getter(path) for path in paths]
    return lambda document: encode_key(*[get(document) for get in gets])


def getter(path: FieldPath) -> Evaluate:
    """The function that gets the field at a path, UNDEFINED if it is missing."""
    if len(path) == 1:
        name = path[0]
        return lambda document: document.get(name, UNDEFINED)

    def get(document: Any) -> Any:
        for name in path:
            if type(document) is not dict:
                return UNDEFINED
            document = document.get(name, UNDEFINED)
        return document

    return get


def _equality(left: Node, right: Node) -> Evaluate:
    if left[0] == "literal":
        left, right = right, left
    one = _compiled(left)
    if right[0] != "literal":
        other = _compiled(right)
        return lambda document: equal(one(document), other(document))
    constant = right[1]
    if (
        constant is None
        or constant is UNDEFINED
        or constant is True
        or constant is False
    ):
        return lambda document: one(document) is constant
    if type(constant) is str:
        return lambda document: one(document) == constant
    return lambda document: equal(one(document), constant)


def equal(a: Any, b: Any) -> bool:
    """Equality of values, missing fields included."""
    if a is UNDEFINED or b is UNDEFINED:
        return a is b
    return values_equal(a, b)


_ORDERS: Final[dict[str, Callable[[int], bool]]] = {
    "lt": lambda order: order < 0,
    "lte": lambda order: order <= 0,
    "gt": lambda order: order > 0,
    "gte": lambda order: order >= 0,
}


def _order(name: str, left: Node, right: Node) -> Evaluate:
    one, other, holds = _compiled(left), _compiled(right), _ORDERS[name]
    return lambda document: holds(compare(one(document), other(document)))


def _all(judges: list[Evaluate]) -> Evaluate:
    if len(judges) == 2:
        first, second = judges
        return lambda document: first(document) and second(document)
    return lambda document: all(judge(document) for judge in judges)


def _any(judges: list[Evaluate]) -> Evaluate:
    return lambda document: any(judge(document) for judge in judges)


# -- operations on values -----------------------------------------------------------


def _arithmetic(
    name: str,
    on_floats: Callable[[float, float], float],
    on_ints: Callable[[int, int], int],
) -> Callable[[Any, Any], Any]:
    def calculate(a: Any, b: Any) -> Any:
        if type(a) in _NUMBERS and type(b) in _NUMBERS:
            return on_floats(float(a), float(b))
        if type(a) is Int64 and type(b) is Int64:
            try:
                return Int64(on_ints(int(a), int(b)))
            except (OverflowError, ZeroDivisionError) as error:
                raise InvalidQuery(
                    f"A filter's `{name}` of {a!r} and {b!r}: {error}."
                ) from None
        raise InvalidQuery(
            f"A filter's `{name}` takes two numbers or two Int64, not {kind_of(a)} and {kind_of(b)}."
        )

    return calculate


def kind_of(value: Any) -> str:
    """How messages call a value's kind."""
    names: dict[type, str] = {
        type(None): "null", bool: "a boolean", int: "a number", float: "a number", Int64: "an Int64",
        str: "a string", bytes: "bytes", list: "an array", dict: "an object", Undefined: "a missing field",
    }  # fmt: skip
    return names.get(type(value), type(value).__name__)


def _divide(a: float, b: float) -> float:
    if b != 0:
        return a / b
    if a == 0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def _remainder(a: float, b: float) -> float:
    return math.nan if b == 0 or math.isinf(a) else math.fmod(a, b)


def _int_divide(a: int, b: int) -> int:
    """Towards zero, as machines divide."""
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _negative(value: Any) -> Any:
    if type(value) in _NUMBERS:
        return -float(value)
    if type(value) is Int64:
        try:
            return Int64(-int(value))
        except OverflowError as error:
            raise InvalidQuery(f"A filter's `neg` of {value!r}: {error}.") from None
    raise InvalidQuery(
        f"A filter's `neg` takes a number or an Int64, not {kind_of(value)}."
    )


def _length(value: Any) -> Any:
    return len(value) if isinstance(value, str | bytes | list | dict) else UNDEFINED


def _contains(value: Any, item: Any) -> bool:
    if type(value) is list:
        return any(equal(element, item) for element in value)
    return type(value) is str and type(item) is str and item in value


def _startswith(value: Any, prefix: Any) -> bool:
    return type(value) is str and type(prefix) is str and value.startswith(prefix)


_ON_ONE: Final[dict[str, Callable[[Any], Any]]] = {"neg": _negative, "length": _length}
_ON_TWO: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "add": _arithmetic("add", lambda a, b: a + b, lambda a, b: a + b),
    "sub": _arithmetic("sub", lambda a, b: a - b, lambda a, b: a - b),
    "mul": _arithmetic("mul", lambda a, b: a * b, lambda a, b: a * b),
    "div": _arithmetic("div", _divide, _int_divide),
    "mod": _arithmetic("mod", _remainder, lambda a, b: a - b * _int_divide(a, b)),
    "contains": _contains,
    "startswith": _startswith,
    "words": has_words,
}
