"""Documents by id: what `get`, `patch`, `replace` and `delete` of `ctx.db` come to.

`database` is what users see; here is one function a call, which may be compiled.
While one runs the engine has the floor (`Execution.leave`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convexlab.documents.ids import FIRST_USER_TABLE, decode_id
from convexlab.documents.validator import belongs
from convexlab.errors import InvalidArguments, InvalidValue, NotAllowed

if TYPE_CHECKING:
    from convexlab.functions.execution import Execution


def get(execution: Execution, args: tuple[Any, ...]) -> dict[str, Any] | None:
    """`ctx.db.get`, given `(id,)` or `(table, id)`."""
    execution.leave()
    try:
        number, internal_id = _target(execution, "get", args)
        return execution.tx.get(number, internal_id)
    finally:
        execution.enter()


def patch(execution: Execution, args: tuple[Any, ...]) -> None:
    """`ctx.db.patch`, given the same and fields."""
    execution.leave()
    try:
        document_id, fields = _written(execution, "patch", args)
        execution.tx.patch(document_id, fields)
    finally:
        execution.enter()


def replace(execution: Execution, args: tuple[Any, ...]) -> None:
    """`ctx.db.replace`, likewise."""
    execution.leave()
    try:
        document_id, document = _written(execution, "replace", args)
        execution.tx.replace(document_id, document)
    finally:
        execution.enter()


def delete(execution: Execution, args: tuple[Any, ...]) -> None:
    """`ctx.db.delete`, given `(id,)` or `(table, id)`."""
    execution.leave()
    try:
        _target(execution, "delete", args)
        execution.tx.delete(args[-1])
    finally:
        execution.enter()


def _written(
    execution: Execution, method: str, args: tuple[Any, ...]
) -> tuple[str, Any]:
    if len(args) not in (2, 3):
        raise InvalidArguments(
            f"`ctx.db.{method}` takes an id and fields, or a table, an id and fields."
        )
    _target(execution, method, args[:-1])
    return args[-2], args[-1]


def _target(
    execution: Execution, method: str, args: tuple[Any, ...]
) -> tuple[int, bytes]:
    """Table number and internal id of one of a user's documents."""
    number, internal_id = decoded("ctx.db", method, args)
    # N.B. `is_systems`, spelled out: each get and each write comes by.
    table = execution.tx.catalog.by_id_number.get(number)
    if number < FIRST_USER_TABLE if table is None else table.is_system:
        raise NotAllowed("System tables can only be accessed with db.system.")
    if len(args) == 2 and args[0] is not None:
        check_belongs(execution, "ctx.db", method, args[0], number)
    return number, internal_id


def decoded(where: str, method: str, args: tuple[Any, ...]) -> tuple[int, bytes]:
    """Table number and internal id of `(id,)` or `(table, id)`.

    Raises:
        InvalidArguments: it is neither.
        InvalidValue: the id is none.
    """
    if not 1 <= len(args) <= 2:
        raise InvalidArguments(f"`{where}.{method}` takes an id, or a table and an id.")
    document_id = args[-1]
    if not isinstance(document_id, str):
        raise InvalidArguments(
            f"Invalid argument `id` for `{where}.{method}`: an id is a string, not {document_id!r}."
        )
    try:
        return decode_id(document_id)
    except InvalidValue as error:
        raise InvalidValue(
            f"Invalid argument `id` for `{where}.{method}`: {error}"
        ) from None


def check_belongs(
    execution: Execution, where: str, method: str, table: object, number: int
) -> None:
    """Refuses an id with this number that is said to be of another table."""
    tables = execution.tx.catalog.table_numbers
    if not isinstance(table, str) or not belongs(number, table, tables):
        found = next(
            (name for name, other in tables.items() if other == number), "unknown"
        )
        raise InvalidArguments(
            f'Invalid argument `id` for `{where}.{method}`: expected to be an Id<"{table}">, got Id<"{found}"> instead.'
        )


def is_systems(execution: Execution, number: int) -> bool:
    """Whether ids with this number are of one of the system's tables."""
    table = execution.tx.catalog.by_id_number.get(number)
    return number < FIRST_USER_TABLE if table is None else table.is_system
