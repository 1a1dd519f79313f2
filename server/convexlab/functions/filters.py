"""Filters: expressions over one document, written with Convex's builder or with operators.

    .filter(lambda q: q.eq(q.field("done"), False))
    .filter(lambda doc: (doc.amount > 100) & (doc.tags.length() == 0))

What a filter's function is given (`Document`) is the builder and the document at
once. The function runs once, when the query is built; what it returns is a tree, which
`documents.predicate` compiles to one Python function that judges documents.

Python's `and`, `or`, `not`, `in`, `if` and chained comparisons cannot be
overloaded: they raise, and say what to write.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NoReturn

from convexlab.documents.expression import (
    encode as encode_node,
    fingerprint as fingerprint_of,
)
from convexlab.documents.predicate import getter as getter_of, predicate as judging
from convexlab.documents.value import UNDEFINED, Undefined, normalize
from convexlab.errors import InvalidQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convexlab.documents.expression import Node
    from convexlab.documents.predicate import Evaluate

_NO_TRUTH: Final = (
    "A filter's expression has no truth value while the query is built. Write `(a) & (b)` for `a and b`, "
    "`(a) | (b)` for `a or b`, `~(a)` for `not a`, `(doc.x > 1) & (doc.x < 5)` for `1 < doc.x < 5`, "
    "`doc.x.is_in([…])` for `doc.x in […]`, `doc.tags.contains(x)` for `x in doc.tags`, and build an `if` "
    "outside of the filter."
)
_NOT_ITSELF: Final = "A filter compares fields of the document, not the document itself: write `doc.field`."


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
        listed = listed_values(choices, f"`{_shown(self._node)}.is_in(…)`")
        return _operation("or", *(_operation("eq", self, choice) for choice in listed))

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
        if not isinstance(path, str):
            raise InvalidQuery(f"`q.field({path!r})`: it takes a field's name.")
        return Field(("field", *path.split(".")))

    def __getattr__(self, name: str) -> Field:
        if name.startswith("__"):
            raise AttributeError(name)
        object.__setattr__(self, "_looked", True)
        return Field(("field", name))

    def __getitem__(self, name: str) -> Field:
        object.__setattr__(self, "_looked", True)
        if not isinstance(name, str):
            raise InvalidQuery(f"`doc[{name!r}]`: a document's fields have names.")
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
    if not callable(function):
        raise InvalidQuery(
            f"filter({function!r}): it takes a function of the document, as in "
            "`.filter(lambda doc: doc.done.eq(False))`."
        )
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


def listed_values(values: Iterable[object], where: str) -> list[object]:
    """Several values that a user gave: text is one value, not its characters.

    Raises:
        InvalidQuery: they are not several.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidQuery(f"{where} takes a list of values, not {values!r}.")
    return list(values)


def all_of(expressions: tuple[Expression, ...]) -> Expression:
    """One expression for several filters."""
    return expressions[0] if len(expressions) == 1 else _operation("and", *expressions)


def _operation(name: str, *operands: object) -> Expression:
    return Expression((name, *map(node_of, operands)))


def node_of(operand: object) -> Node:
    """The tree of an expression, or of a constant."""
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


def predicate(expression: Expression) -> Callable[[Mapping[str, Any]], bool]:
    """The function that judges documents; see `documents.predicate`."""
    return judging(node_of(expression))


def encode(expression: Expression) -> bytes:
    """The expression as bytes, equal for equal ones."""
    return encode_node(node_of(expression))


def fingerprint(expression: Expression) -> bytes:
    """What distinguishes this filter from another."""
    return fingerprint_of(node_of(expression))


def getter(path: str) -> Evaluate:
    """The function that gets the field at a path, UNDEFINED if it is missing."""
    return getter_of(tuple(path.split(".")))
