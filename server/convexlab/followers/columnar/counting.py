"""Counting for profiles: the statements that group a column's values, all columns at once.

All rows are counted in three statements: how many there are and between what numbers
lie; which columns rise from row to row; then each of the others by its values. Times,
counters and ids rise as their documents were inserted, and where each value is greater
than the one before it there is nothing to group: a look at neighbours takes a fifteenth
of the time. After a change, three are enough: the rows that came,
those that went, and how many rows now have the values in either. What came and went is
told by timestamps, so that holds for statements whose rows are rows of one table: the
same statement over what came, and over what went, says how its rows changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab import knobs
from convexlab.followers.columnar.kinds import quoted
from convexlab.followers.columnar.profile import (
    KEPT,
    NAN,
    Profile,
    Scale,
    exponent_for,
    first_of,
)
from convexlab.followers.columnar.reading import view

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from convexlab.followers.columnar.reading import Reading
    from convexlab.followers.columnar.statement import Statement
    from convexlab.followers.columnar.tables import MirrorTable

_WHOLE: Final = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT"})
_NUMBERS: Final = _WHOLE | {"FLOAT", "DOUBLE"}
_SCALARS: Final = _NUMBERS | {"VARCHAR", "BOOLEAN"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the result: its name, its type, whether it is the documents' id."""

    name: str
    of: str
    is_id: bool

    @property
    def value(self) -> str:
        """Its values, as SQL: those of nested types by their text."""
        name = quoted(self.name)
        return name if self.of in _SCALARS else f"CAST({name} AS VARCHAR)"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said, of which state, of a statement whose rows are a table's."""

    at: int
    table: int
    columns: tuple[Column, ...]
    rows: int
    profiles: tuple[Profile, ...]


class Counting:
    """One statement over one state of the mirror.

    Attributes:
        table: of which its rows are rows; None: they are something else.
    """

    def __init__(self, reading: Reading, statement: Statement, params: Any) -> None:
        self._reading = reading
        self._connection = reading.connection
        self._statement = statement
        self._params = params
        for name in statement.tables:
            self._run(view(reading, name))
        self.table = _table_of(reading, statement)
        self._columns = self._described()

    def _described(self) -> tuple[Column, ...]:
        found = self._select(f"SELECT * FROM ({self._rows}) LIMIT 0")
        plain = self.table is not None
        return tuple(
            Column(name, str(of), is_id=plain and name == "_id")
            for name, of, *_ in found.description
        )

    @property
    def _rows(self) -> str:
        return f"\n{self._statement.text.rstrip().rstrip(';')}\n"

    # -- all of it -------------------------------------------------------------------

    def whole(self) -> Answer:
        """Count all rows."""
        columns = [(at, c) for at, c in enumerate(self._columns) if not c.is_id]
        rows, ends = self._ends()
        exponents = {
            at: exponent_for(*ends[at], whole=column.of in _WHOLE)
            for at, column in columns
            if at in ends
        }
        rising = self._rising(rows)
        groups = [
            f"g{at} AS MATERIALIZED (SELECT {column.value} AS v, count(*) AS n"
            f" FROM q WHERE {quoted(column.name)} IS NOT NULL GROUP BY 1)"
            for at, column in columns
            if at not in rising
        ]
        wanted = [
            _risen(column, rows, exponents.get(at))
            if at in rising
            else f"(SELECT {{'different': count(*), 'there': sum(n)}} FROM g{at}), "
            f"(SELECT list({{'v': v, 'n': n}}) FROM (SELECT * FROM g{at}"
            f" WHERE n > 1 OR (SELECT count(*) FROM g{at}) <= {KEPT}"
            f" ORDER BY n DESC, v LIMIT {KEPT})), {_bins(exponents.get(at), f'g{at}')}"
            for at, column in columns
        ]
        told = self._one(groups, wanted) if columns else ()
        counted = dict(zip((at for at, _ in columns), _threes(told), strict=True))
        profiles = [
            Profile(rows, rows)
            if column.is_id
            else _profile(counted[at], ends.get(at), exponents.get(at), column)
            for at, column in enumerate(self._columns)
        ]
        return self._answer(rows, profiles)

    def _ends(self) -> tuple[int, dict[int, tuple[float, float]]]:
        """How many rows, and between what each column's finite numbers lie."""
        numbers = [at for at, c in enumerate(self._columns) if c.of in _NUMBERS]
        wanted = [
            f"(min({name}){finite}), (max({name}){finite})"
            for at in numbers
            for name in [quoted(self._columns[at].name)]
            for finite in [
                "" if self._columns[at].of in _WHOLE else f" FILTER (isfinite({name}))"
            ]
        ]
        rows, *ends = self._one([], ["count(*)", *wanted], source="q")
        pairs = zip(numbers, ends[::2], ends[1::2], strict=True)
        return rows, {at: (low, high) for at, low, high in pairs if low is not None}

    def _rising(self, rows: int) -> frozenset[int]:
        """The columns in which each row's number is greater than that of the one before it.

        N.B. in whatever order DuckDB reads them: all rows but one have one before them
        only if they are read one after another.
        """
        numbers = [at for at, c in enumerate(self._columns) if c.of in _NUMBERS]
        if self.table is None or rows <= KEPT or not numbers:
            return frozenset()
        names = [quoted(self._columns[at].name) for at in numbers]
        pairs = [
            f"{n} AS v{at}, lag({n}) OVER () AS b{at}"
            for at, n in zip(numbers, names, strict=True)
        ]
        found = self._one(
            [f"r AS NOT MATERIALIZED (SELECT {', '.join(pairs)} FROM q)"],
            [f"count(*) FILTER (v{at} > b{at})" for at in numbers],
            source="r",
        )
        return frozenset(
            at for at, more in zip(numbers, found, strict=True) if more == rows - 1
        )

    # -- what changed ------------------------------------------------------------------

    def anew(self, before: Answer) -> Answer | None:
        """The answer after an earlier one; None: all is to be counted."""
        table = self.table
        if table is None or not self._follows(before, table):
            return None
        if table.changed_ts <= before.at:
            return self._answer(before.rows, before.profiles)
        came, went = (self._changed(table, before.at, side) for side in ("t", "p"))
        if came.num_rows + went.num_rows > knobs.PROFILE_CHANGED_ROWS:
            return None
        for name, rows in (("came", came), ("went", went)):
            self._connection.register(name, rows)
        rows, *changes = self._recounted()
        if rows != before.rows + came.num_rows - went.num_rows:
            return None  # the table is another one under the same number
        profiles = []
        told = iter(changes)
        for column, profile in zip(self._columns, before.profiles, strict=True):
            if column.is_id:
                profiles.append(Profile(rows, rows))
                continue
            after = profile.after(_changes(next(told)))
            is_number = column.of in _NUMBERS
            if after is None or (is_number and after.there and after.scale is None):
                return None
            profiles.append(after)
        return self._answer(rows, profiles)

    def _follows(self, before: Answer, table: MirrorTable) -> bool:
        return (
            before.table == table.number
            and before.columns == self._columns
            and table.exact_from <= before.at <= self._reading.at
            and table.changed_ts <= self._reading.at
        )

    def _changed(self, table: MirrorTable, since: int, side: str) -> Any:
        """The statement's rows that came since then, or that were there and went."""
        went = side == "p"
        rows = (
            f"SELECT {table.fields()} FROM {table.past} WHERE _from <= {since} AND _to > {since}"
            if went
            else f"SELECT {table.fields()} FROM {table.current} WHERE _from > {since}"
        )
        (name,) = self._statement.tables
        made = f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS "
        self._run(made + rows)
        values = ", ".join(f"{c.value} AS {quoted(c.name)}" for c in self._columns)
        found = self._select(f"SELECT {values} FROM ({self._rows})").to_arrow_table()
        self._run(view(self._reading, name))
        return found

    def _recounted(self) -> tuple[Any, ...]:
        """How many rows, and for each column the values that more or fewer rows have."""
        parts, wanted = [], ["(SELECT count(*) FROM q)"]
        for at, column in enumerate(self._columns):
            if column.is_id:
                continue
            name = quoted(column.name)
            parts += [
                f"d{at} AS MATERIALIZED (SELECT v, sum(d) AS d FROM ("
                f"SELECT {name} AS v, 1 AS d FROM came UNION ALL SELECT {name}, -1 FROM went)"
                f" WHERE v IS NOT NULL GROUP BY 1 HAVING sum(d) <> 0)",
                f"n{at} AS MATERIALIZED (SELECT {column.value} AS v, count(*) AS n FROM q"
                f" WHERE {column.value} IN (SELECT v FROM d{at}) GROUP BY 1)",
            ]
            wanted.append(
                f"(SELECT list({{'v': d.v, 'd': d.d, 'n': coalesce(n.n, 0)}})"
                f" FROM d{at} d LEFT JOIN n{at} n ON d.v = n.v)"
            )
        return self._one(parts, wanted)

    # -- how -----------------------------------------------------------------------------

    def _answer(self, rows: int, profiles: Sequence[Profile]) -> Answer:
        number = -1 if self.table is None else self.table.number
        at = int(self._reading.at)
        return Answer(at, number, self._columns, rows, tuple(profiles))

    def _one(
        self, parts: Sequence[str], wanted: Sequence[str], source: str | None = None
    ) -> tuple[Any, ...]:
        """The only row of a statement over the rows, which are called `q` in it."""
        # What is no plain selection is run once, not once for each column.
        kept = "NOT MATERIALIZED" if self.table is not None else "MATERIALIZED"
        named = ", ".join([f"q AS {kept} ({self._rows})", *parts])
        text = f"WITH {named} SELECT {', '.join(wanted)}"
        found = self._select(f"{text} FROM {source}" if source else text)
        (row,) = found.fetchall()
        return tuple(row)

    def _select(self, text: str) -> duckdb.DuckDBPyRelation:
        return self._connection.sql(text, params=self._params)

    def _run(self, text: str) -> None:
        self._connection.execute(text).fetchall()


def _table_of(reading: Reading, statement: Statement) -> MirrorTable | None:
    """The table of which the statement's rows are rows, if they are."""
    tree = statement.tree
    empty = ("modifiers", "group_expressions", "having", "qualify", "sample")
    plain = (
        bool(statement.tables)  # none: kept rows are no table of the mirror's
        and tree["type"] == "SELECT_NODE"
        and not any(tree[part] for part in empty)
        and not tree["cte_map"]["map"]
        and tree["from_table"]["type"] == "BASE_TABLE"
        and not tree["from_table"]["sample"]
        and all(map(_is_plain, tree["select_list"]))
        and b'"SELECT_NODE"' not in msgspec.json.encode(tree["where_clause"])
    )
    return reading.tables[statement.tables[0]] if plain else None


def _is_plain(selected: Mapping[str, Any]) -> bool:
    if selected["alias"]:
        return False
    if selected["type"] == "COLUMN_REF":
        return True
    return selected["type"] == "STAR" and not any(
        selected[part] for part in ("replace_list", "rename_list", "columns", "expr")
    )


def _risen(column: Column, rows: int, exponent: int | None) -> str:
    """What is told of a column whose values are all different, and more than are kept."""
    values = f"(SELECT {quoted(column.name)} AS v, 1 AS n FROM q)"
    return f"{{'different': {rows}, 'there': {rows}}}, NULL, {_bins(exponent, values)}"


def _bins(exponent: int | None, values: str) -> str:
    """How many values lie in each bin; `values` has each, `v`, and how often, `n`."""
    if exponent is None:
        return "NULL"
    return (
        f"(SELECT list({{'v': b, 'n': n}}) FROM (SELECT"
        f" floor(CAST(v AS DOUBLE) * power(2.0::DOUBLE, {-exponent}))::BIGINT AS b,"
        f" sum(n) AS n FROM {values} WHERE isfinite(CAST(v AS DOUBLE)) GROUP BY 1))"
    )


def _threes(row: Sequence[Any]) -> list[Sequence[Any]]:
    return [row[at : at + 3] for at in range(0, len(row), 3)]


def _profile(
    told: Sequence[Any],
    ends: tuple[float, float] | None,
    exponent: int | None,
    column: Column,
) -> Profile:
    counts, commonest, bins = told
    scale = None
    if ends is not None and exponent is not None:
        numbers = {each["v"]: int(each["n"]) for each in bins}
        scale = Scale(*ends, exponent, numbers, column.of in _WHOLE)
    different = counts["different"]
    found = [(_one_nan(each["v"]), each["n"]) for each in commonest or ()]
    kept, known = first_of(found, different)
    return Profile(int(counts["there"] or 0), different, kept, known, scale)


def _changes(told: Sequence[Mapping[str, Any]] | None) -> list[tuple[Any, int, int]]:
    return [
        (_one_nan(each["v"]), each["n"] - int(each["d"]), each["n"])
        for each in told or ()
    ]


def _one_nan(value: Any) -> Any:
    return NAN if value != value else value  # noqa: PLR0124 - only NaN differs from itself
