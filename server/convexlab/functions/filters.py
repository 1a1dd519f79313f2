"""Filters: expressions over one document, written with Convex's builder or with operators.

    .filter(lambda q: q.eq(q.field("done"), False))
    .filter(lambda doc: (doc.amount > 100) & (doc.tags.length() == 0))

What a filter's function is given (`Document`) is the builder and the document at
once. The function runs once, when the query is built; what it returns is a tree,
compiled to one Python function that judges documents by the order of values.

Python's `and`, `or`, `not`, `in`, `if` and chained comparisons cannot be
overloaded: they raise, and say what to write.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from convexlab.documents.ordering import compare, encode_key
from convexlab.documents.value import (
    UNDEFINED,
    Int64,
    Undefined,
    normalize,
    values_equal,
)
from convexlab.errors import InvalidQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Evaluate: TypeAlias = Callable[[Mapping[str, Any]], Any]
    Node: TypeAlias = tuple[Any, ...]

_NO_TRUTH: Final = (
    "A filter's expression has no truth value while the query is built. Write `(a) & (b)` for `a and b`, "
    "`(a) | (b)` for `a or b`, `~(a)` for `not a`, `(doc.x > 1) & (doc.x < 5)` for `1 < doc.x < 5`, "
    "`doc.x.is_in([…])` for `doc.x in […]`, `doc.tags.contains(x)` for `x in doc.tags`, and build an `if` "
    "outside of the filter."
)
_NOT_ITSELF: Final = "A filter compares fields of the document, not the document itself: write `doc.field`."
_NUMBERS: Final = frozenset({int, float})


class Expression:
    """A part of a filter: a field, a constant, or an operation on expressions."""

    __slots__ = ("_node",)
    _node: Node
    __hash__ = None  # type: ignore[assignment]  # `==` makes an expression

    def __init__(self, node: Node) -> None:
        object.__setattr__(self, "_node", node)

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return _operation("eq", self, other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return _operation("neq", self, other)

    def __lt__(self, other: object) -> Expression:
        return _operation("lt", self, other)

    def __le__(self, other: object) -> Expression:
        return _operation("lte", self, other)

    def __gt__(self, other: object) -> Expression:
        return _operation("gt", self, other)

    def __ge__(self, other: object) -> Expression:
        return _operation("gte", self, other)

    def __add__(self, other: object) -> Expression:
        return _operation("add", self, other)

    def __radd__(self, other: object) -> Expression:
        return _operation("add", other, self)

    def __sub__(self, other: object) -> Expression:
        return _operation("sub", self, other)

    def __rsub__(self, other: object) -> Expression:
        return _operation("sub", other, self)

    def __mul__(self, other: object) -> Expression:
        return _operation("mul", self, other)

    def __rmul__(self, other: object) -> Expression:
        return _operation("mul", other, self)

    def __truediv__(self, other: object) -> Expression:
        return _operation("div", self, other)

    def __rtruediv__(self, other: object) -> Expression:
        return _operation("div", other, self)

    def __mod__(self, other: object) -> Expression:
        return _operation("mod", self, other)

    def __rmod__(self, other: object) -> Expression:
        return _operation("mod", other, self)

    def __neg__(self) -> Expression:
        return _operation("neg", self)

    def __and__(self, other: object) -> Expression:
        return _operation("and", self, other)

    def __rand__(self, other: object) -> Expression:
        return _operation("and", other, self)

    def __or__(self, other: object) -> Expression:
        return _operation("or", self, other)

    def __ror__(self, other: object) -> Expression:
        return _operation("or", other, self)

    def __invert__(self) -> Expression:
        return _operation("not", self)

    def eq(self, other: object) -> Expression:
        """Equal, as `==`; linters leave it alone."""
        return _operation("eq", self, other)

    def is_null(self) -> Expression:
        """Whether it is null (a missing field is not)."""
        return _operation("eq", self, None)

    def is_missing(self) -> Expression:
        """Whether the field is missing."""
        return _operation("eq", self, UNDEFINED)

    def is_in(self, choices: Iterable[object]) -> Expression:
        """Whether it equals one of the choices."""
        return _operation("or", *(_operation("eq", self, choice) for choice in choices))

    def length(self) -> Expression:
        """How many elements, characters, bytes or fields; missing for anything else."""
        return _operation("length", self)

    def contains(self, item: object) -> Expression:
        """Whether an array has the element, or a string the part."""
        return _operation("contains", self, item)

    def startswith(self, prefix: object) -> Expression:
        """Whether a string begins so."""
        return _operation("startswith", self, prefix)

    def __bool__(self) -> NoReturn:
        raise InvalidQuery(_NO_TRUTH)

    def __contains__(self, item: object) -> NoReturn:
        raise InvalidQuery(_NO_TRUTH)

    def __iter__(self) -> NoReturn:
        raise InvalidQuery(
            f"`{_shown(self._node)}` cannot be iterated while the query is built: a filter is one expression."
        )

    def __len__(self) -> NoReturn:
        raise InvalidQuery(
            f"`len({_shown(self._node)})`: write `{_shown(self._node)}.length()`."
        )

    def __repr__(self) -> str:
        return f"<filter {_shown(self._node)}>"


class Field(Expression):
    """A field of the document; its attributes are the fields inside of it."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Field:
        if name.startswith("__"):
            raise AttributeError(name)
        return Field(("field", *self._node[1:], name))

    def __getitem__(self, name: str) -> Field:
        if not isinstance(name, str):
            raise InvalidQuery(
                f"`{_shown(self._node)}[{name!r}]`: a filter reaches fields by name, not elements by position."
            )
        return Field(("field", *self._node[1:], name))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise InvalidQuery(
            f"`{_shown(self._node)}.{name} = …`: a filter only looks; write with ctx.db.patch."
        )

    def __call__(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Raises: fields are compared, not called."""
        raise InvalidQuery(
            f"`{_shown(self._node)}` is a field and is not called. Fields know == != < <= > >= + - * / % & | ~ "
            "and .eq() .is_null() .is_missing() .is_in() .length() .contains() .startswith(); any other Python is a "
            "comprehension over the query."
        )


class Document:
    """What a filter is given: Convex's builder, and the document's fields by attribute."""

    __slots__ = ("_looked",)
    _looked: bool

    def __init__(self) -> None:
        object.__setattr__(self, "_looked", False)

    def field(self, path: str) -> Field:
        """The field at a path, `a.b` being `b` inside `a`."""
        object.__setattr__(self, "_looked", True)
        return Field(("field", *path.split(".")))

    def __getattr__(self, name: str) -> Field:
        if name.startswith("__"):
            raise AttributeError(name)
        object.__setattr__(self, "_looked", True)
        return Field(("field", name))

    def __getitem__(self, name: str) -> Field:
        object.__setattr__(self, "_looked", True)
        return Field(("field", name))

    def __eq__(self, other: object) -> NoReturn:
        raise InvalidQuery(_NOT_ITSELF)

    def __bool__(self) -> NoReturn:
        raise InvalidQuery(_NO_TRUTH)

    __hash__ = None  # type: ignore[assignment]  # it equals nothing

    def eq(self, left: object, right: object) -> Expression:
        """The expression left == right."""
        return _operation("eq", left, right)

    def neq(self, left: object, right: object) -> Expression:
        """The expression left != right."""
        return _operation("neq", left, right)

    def lt(self, left: object, right: object) -> Expression:
        """The expression left < right."""
        return _operation("lt", left, right)

    def lte(self, left: object, right: object) -> Expression:
        """The expression left <= right."""
        return _operation("lte", left, right)

    def gt(self, left: object, right: object) -> Expression:
        """The expression left > right."""
        return _operation("gt", left, right)

    def gte(self, left: object, right: object) -> Expression:
        """The expression left >= right."""
        return _operation("gte", left, right)

    def add(self, left: object, right: object) -> Expression:
        """The expression left + right."""
        return _operation("add", left, right)

    def sub(self, left: object, right: object) -> Expression:
        """The expression left - right."""
        return _operation("sub", left, right)

    def mul(self, left: object, right: object) -> Expression:
        """The expression left * right."""
        return _operation("mul", left, right)

    def div(self, left: object, right: object) -> Expression:
        """The expression left / right."""
        return _operation("div", left, right)

    def mod(self, left: object, right: object) -> Expression:
        """The expression left % right."""
        return _operation("mod", left, right)

    def neg(self, operand: object) -> Expression:
        """The negative."""
        return _operation("neg", operand)

    def and_(self, *operands: object) -> Expression:
        """All of them; true if there are none."""
        return _operation("and", *operands)

    def or_(self, *operands: object) -> Expression:
        """One of them; false if there are none."""
        return _operation("or", *operands)

    def not_(self, operand: object) -> Expression:
        """The opposite."""
        return _operation("not", operand)


def build(function: Callable[[Any], object]) -> Expression:
    """The expression that a filter's function makes.

    Raises:
        InvalidQuery: it made none.
    """
    document = Document()
    made = function(document)
    if isinstance(made, Expression):
        return made
    if isinstance(made, bool) and not document._looked:  # noqa: SLF001 - its own module
        return Expression(("literal", made))
    raise InvalidQuery(
        f"A filter's function returned {made!r} instead of an expression. `is` and `is not` cannot be overloaded: "
        "write `doc.done.eq(False)` or `doc.owner.is_null()`, and do not forget the `return`."
    )


def all_of(expressions: tuple[Expression, ...]) -> Expression:
    """One expression for several filters."""
    return expressions[0] if len(expressions) == 1 else _operation("and", *expressions)


def _operation(name: str, *operands: object) -> Expression:
    return Expression((name, *map(_node, operands)))


def _node(operand: object) -> Node:
    if isinstance(operand, Expression):
        return operand._node  # noqa: SLF001
    if isinstance(operand, Document):
        raise InvalidQuery(_NOT_ITSELF)
    if isinstance(operand, Undefined):
        return ("literal", UNDEFINED)
    return ("literal", normalize(operand, "the filter's constant"))


def _shown(node: Node) -> str:
    name, *operands = node
    if name == "field":
        return ".".join(["doc", *operands])
    if name == "literal":
        return repr(operands[0])
    return f"{name}({', '.join(map(_shown, operands))})"


def fingerprint(expression: Expression) -> bytes:
    """What distinguishes this filter from another."""
    return _fingerprint(_node(expression))


def _fingerprint(node: Node) -> bytes:
    name, *operands = node
    if name == "field":
        return b"f" + encode_key(operands)
    if name == "literal":
        return b"l" + encode_key(operands[0])
    inside = b"".join(map(_fingerprint, operands))
    return b"(%s%s)" % (str(name).encode(), inside)


# -- judging a document -----------------------------------------------------------


def predicate(expression: Expression) -> Callable[[Mapping[str, Any]], bool]:
    """The function that judges documents.

    It raises InvalidQuery where Convex does: a result that is no boolean,
    arithmetic on other things than two numbers or two Int64.
    """
    return _boolean(_compiled(_node(expression)))


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
        return _getter(tuple(operands))
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
    if name in _ON_ONE:
        one, of_one = _compiled(operands[0]), _ON_ONE[name]
        return lambda document: of_one(one(document))
    left, right, of_two = _compiled(operands[0]), _compiled(operands[1]), _ON_TWO[name]
    return lambda document: of_two(left(document), right(document))


def _getter(path: tuple[str, ...]) -> Evaluate:
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


def getter(path: str) -> Evaluate:
    """The function that gets the field at a path, UNDEFINED if it is missing."""
    return _getter(tuple(path.split(".")))


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
}
