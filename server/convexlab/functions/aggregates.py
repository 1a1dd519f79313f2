"""Aggregates as users write them: `.group_by("channel").agg(n=count(), late=max_("at"))`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from convexlab.documents.aggregates import Aggregation, Measure, field_path
from convexlab.documents.references import wire_name
from convexlab.documents.value import UNDEFINED
from convexlab.errors import InvalidQuery, InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.documents.aggregates import MeasureKind

    Answer = Callable[[Aggregation], list[tuple[list[Any], list[Any]]]]


def may_name_a_field(field: object) -> bool:
    """Whether a user gave a name, such as `address.city`."""
    return isinstance(field, str) and bool(field)


class Aggregate:
    """One of `count() sum_("f") avg("f") min_("f") max_("f")`, for `group_by(…).agg(…)`."""

    def __init__(self, kind: MeasureKind, field: str | None = None) -> None:
        if kind != "count" and not may_name_a_field(field):
            raise InvalidValue(f"{kind} takes a field's name, not {field!r}.")
        self.measure = Measure(kind, field_path(field) if field else ())

    def __repr__(self) -> str:
        return f"<{self.measure.kind} of {self.measure.field or 'documents'}>"


def count() -> Aggregate:
    """How many documents a group has."""
    return Aggregate("count")


def sum_(field: str, /) -> Aggregate:
    """The sum of a field over a group."""
    return Aggregate("sum", field)


def avg(field: str, /) -> Aggregate:
    """The mean of a field over a group."""
    return Aggregate("avg", field)


def min_(field: str, /) -> Aggregate:
    """The smallest value of a field in a group."""
    return Aggregate("min", field)


def max_(field: str, /) -> Aggregate:
    """The largest value of a field in a group."""
    return Aggregate("max", field)


class Grouping:
    """A query's documents by groups, before it is said what is wanted of each.

    Args:
        answer: says it.
        fields: whose values make the groups.
    """

    def __init__(self, answer: Answer, fields: tuple[str, ...]) -> None:
        if not fields or not all(map(may_name_a_field, fields)):
            raise InvalidQuery(
                f"group_by takes names of fields, not {', '.join(map(repr, fields)) or 'nothing'}."
            )
        self._answer = answer
        self._fields = fields

    def agg(self, **aggregates: Aggregate) -> list[dict[str, Any]]:
        """A row for each group, in the order of the groups' values.

        A row has the fields by which it was grouped, but for those that are missing in
        its documents, and the aggregates by their names.

        Args:
            aggregates: `n=count(), total=sum_("amount")`.
        """
        wanted = {wire_name(name): each for name, each in aggregates.items()}
        self._check(wanted)
        by = tuple(map(field_path, self._fields))
        measures = tuple(each.measure for each in wanted.values())
        names = (*self._fields, *wanted)
        rows = []
        for key, found in self._answer(Aggregation(by, measures)):
            row = dict(zip(names, (*key, *found), strict=True))
            if UNDEFINED in key:
                row = {
                    name: each for name, each in row.items() if each is not UNDEFINED
                }
            rows.append(row)
        return rows

    def _check(self, wanted: dict[str, Aggregate]) -> None:
        for name, each in wanted.items():
            if not isinstance(each, Aggregate):
                raise InvalidQuery(
                    f"agg({name}={each!r}): it is one of count(), sum_(…), avg(…), min_(…), max_(…)."
                )
            if name in self._fields:
                raise InvalidQuery(
                    f"agg({name}=…): the rows have the field `{name}` already."
                )

    def __iter__(self) -> NoReturn:
        raise InvalidQuery("Say what is wanted of each group: `.agg(n=count())`.")

    def __repr__(self) -> str:
        return f"<groups by {', '.join(self._fields)}: write .agg(n=count())>"
