"""What a view on the page may ask of the kernel, where it has no way of its own.

In VS Code, Colab and marimo a view reaches the deployment through the kernel. It asks
for what its cell has shown and no more: the query it follows, the mutation that it
was given, its table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from convexlab.documents.encoding import from_wire, to_wire
from convexlab.errors import InvalidArguments, NotAllowed
from convexlab_kernel.sql import PATH as SQL

if TYPE_CHECKING:
    from convexlab_kernel.client import Database

WHY = "/api/convexlab/why"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Allowed:
    """What one view may ask for.

    Args:
        queries: the queries that it may run.
        mutations: the mutations that it may run.
        actions: the actions that it may run.
        tables: whether it shows a whole table, which it reads in SQL.
        statement: the one whose rows it shows; it reads those in SQL, and no others.
        files: whether it stores files.
    """

    queries: frozenset[str] = field(default_factory=frozenset)
    mutations: frozenset[str] = field(default_factory=frozenset)
    actions: frozenset[str] = field(default_factory=frozenset)
    tables: bool = False
    statement: dict[str, Any] | None = None
    files: bool = False


class Backend:
    """Answers a view's questions.

    Args:
        database: the deployment.
        allowed: what the view may ask for.
    """

    def __init__(self, database: Database, allowed: Allowed) -> None:
        self._database = database
        self._allowed = allowed

    def answer(self, question: dict[str, Any], body: bytes) -> bytes:
        """What a question is answered with.

        Args:
            question: `what` it asks, and of what, as `comm.ts` writes it.
            body: a file's bytes.

        Raises:
            NotAllowed: this view may not ask for that.
            ConvexlabError: as the deployment says.
        """
        allowed = self._allowed
        match question:
            case {"what": "query", "path": path, "args": args}:
                self._check(path in allowed.queries, path)
                return self._value(self._database.query(path, _args(args)))
            case {"what": "mutation", "path": path, "args": args}:
                self._check(path in allowed.mutations, path)
                return self._value(self._database.mutation(path, _args(args)))
            case {"what": "action", "path": path, "args": args}:
                self._check(path in allowed.actions, path)
                return self._value(self._database.action(path, _args(args)))
            case {"what": "at", "path": path, "args": args, "moment": moment}:
                self._check(path in allowed.queries, path)
                then = self._database.at(int(moment * 1_000) * 1_000)
                return self._value(then.query(path, _args(args)))
            case {"what": "why", "path": path, "args": args}:
                self._check(path in allowed.queries, path)
                asked = {"path": path, "args": args}
                return self._database.attachment.post(WHY, _encode(asked))
            case {"what": "sql", "sql": sql, "params": params}:
                asked = {"sql": sql, "params": params, "format": "json"}
                of = question.get("of")
                return self._rows(asked, of, moment=question.get("moment"))
            case {"what": "upload", "contentType": kind}:
                self._check(allowed.files, "uploads")
                return self._store(body, kind)
            case _:
                raise InvalidArguments(f"A view does not ask this: {question!r}.")

    def _check(self, allowed: bool, what: str) -> None:
        if not allowed:
            raise NotAllowed(f"This view may not ask for {what}: run its cell again.")

    def _value(self, value: Any) -> bytes:
        return to_wire(value)

    def _rows(self, asked: dict[str, Any], of: Any, *, moment: float | None) -> bytes:
        """The rows of a SELECT over the tables, or over those of the statement `of`."""
        ts = None if moment is None else str(int(moment * 1_000) * 1_000)
        if of is None:
            self._check(self._allowed.tables, "SQL")
            asked["documents"] = True
        elif "since" in of:
            self._check(self._allowed.tables, "SQL")
            asked["changes"] = of
        else:
            then = of.pop("ts", None)
            ts = ts or then
            self._check(of == self._allowed.statement, "these rows")
            asked["of"] = of
        if ts is not None:
            asked["ts"] = ts
        return self._database.attachment.post(SQL, _encode(asked))

    def _store(self, body: bytes, kind: str) -> bytes:
        post = self._database.attachment.post
        said = post(
            "/api/convexlab/upload", body, kind=kind or "application/octet-stream"
        )
        return str(msgspec.json.decode(said)["storageId"]).encode()


def _args(args: Any) -> dict[str, Any]:
    value = from_wire(_encode(args))
    if not isinstance(value, dict):
        raise InvalidArguments("A function's arguments are an object.")
    return value
