"""Variables: the deployment's environment, kept as documents of `_environment_variables`.

Each has a name and a sealed value. They are sealed and opened in the gateway
(`auth/sealing`): what is here, in the store, in call records and between processes, is
of no use without the key. The table keeps no history, and neither functions nor exports
see it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab import knobs
from convexlab.documents.ids import encode_id
from convexlab.documents.ordering import encode_key
from convexlab.engine.interval import EVERYTHING, Interval
from convexlab.engine.system_tables import (
    ENVIRONMENT_VARIABLES,
    ENVIRONMENT_VARIABLES_BY_NAME,
)
from convexlab.errors import (
    EnvVarLimitMet,
    EnvVarNameForbidden,
    EnvVarNameInvalid,
    EnvVarNameNotUnique,
    EnvVarNameTooLong,
    EnvVarTotalSizeLimitMet,
    EnvVarValueInvalid,
    EnvVarValueTooLarge,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convexlab.documents.value import Value
    from convexlab.engine.transaction import Transaction
    from convexlab.engine.write_set import Revision
    from convexlab.functions.system_queries import Question

UPDATE: Final = "_system/environmentVariables:update"
LIST: Final = "_system/cli/queryEnvironmentVariables:default"
GET: Final = "_system/cli/queryEnvironmentVariables:get"
NAMES: Final = "_system/cli/queryEnvironmentVariables:names"
SEALED: Final = "_system/environmentVariables:sealed"

CLOUD_URL: Final = "CONVEX_CLOUD_URL"
SITE_URL: Final = "CONVEX_SITE_URL"
"""Where the deployment and its HTTP actions are: always there, and said by itself."""

SEAL_BYTES: Final = 29
"""How much longer a sealed value is than its text."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Change(msgspec.Struct, frozen=True):
    """One variable as it is to be: its value, or None to take it away."""

    name: str
    value: str | None = None


class SealedChange(msgspec.Struct, frozen=True):
    """The same, as the store is told it."""

    name: str
    sealed: bytes | None = None


class Update(msgspec.Struct, frozen=True):
    """Changes that are made together, or not at all."""

    changes: list[SealedChange]


# -- what may be set ------------------------------------------------------------------


def check(changes: Sequence[Change]) -> None:
    """Whether names and values may be set so.

    Raises:
        CallerError: the first that may not; it names the variable, not its value.
    """
    seen: set[str] = set()
    for change in changes:
        if change.name in seen:
            raise EnvVarNameNotUnique(
                f"The environment variable `{change.name}` is changed twice at once."
            )
        seen.add(change.name)
        if change.value is not None:
            _check_name(change.name)
            _check_value(change.name, change.value)


def _check_name(name: str) -> None:
    if name in (CLOUD_URL, SITE_URL):
        raise EnvVarNameForbidden(
            f'Environment variable with name "{name}" is built-in and cannot be '
            "overridden"
        )
    if len(name) > knobs.MAX_ENV_VAR_NAME_CHARS:
        raise EnvVarNameTooLong(
            f"The environment variable name {name[:40]}… has {len(name)} characters; "
            f"{knobs.MAX_ENV_VAR_NAME_CHARS} are the most."
        )
    if not _NAME.fullmatch(name):
        raise EnvVarNameInvalid(
            f"{name!r} cannot name an environment variable: letters (a-z, A-Z), digits "
            "and underscores, and no digit first."
        )


def _check_value(name: str, value: str) -> None:
    size = len(value.encode())
    if size > knobs.MAX_ENV_VAR_VALUE_BYTES:
        raise EnvVarValueTooLarge(
            f"The value of the environment variable `{name}` has {size} bytes; "
            f"{knobs.MAX_ENV_VAR_VALUE_BYTES} are the most."
        )
    if "\0" in value:
        raise EnvVarValueInvalid(
            f"The value of the environment variable `{name}` has a NUL character in it, "
            "which no environment can hold."
        )


# -- documents ------------------------------------------------------------------------


def update(tx: Transaction, args: Update, *_: object) -> None:
    """Make the changes.

    Raises:
        EnvVarLimitMet, EnvVarTotalSizeLimitMet: there would be too many, or too much.
    """
    with tx.as_system():
        for change in args.changes:
            _change(tx, change)
    kept = list(_documents(tx, EVERYTHING))
    if len(kept) > knobs.MAX_ENV_VARS:
        raise EnvVarLimitMet(
            f"There would be {len(kept)} environment variables; {knobs.MAX_ENV_VARS} are "
            "the most."
        )
    size = sum(len(one["name"]) + len(one["sealed"]) - SEAL_BYTES for one in kept)
    if size > knobs.MAX_ENV_VARS_BYTES:
        raise EnvVarTotalSizeLimitMet(
            f"All environment variables together would have {size} bytes, names "
            f"included; {knobs.MAX_ENV_VARS_BYTES} are the most."
        )


def _change(tx: Transaction, change: SealedChange) -> None:
    found = next(_revisions(tx, _place(change.name)), None)
    if found is None:
        if change.sealed is not None:
            document = {"name": change.name, "sealed": change.sealed}
            tx.insert("_environment_variables", document)
        return
    document_id = encode_id(ENVIRONMENT_VARIABLES, found.id)
    if change.sealed is None:
        tx.delete(document_id)
    else:
        tx.patch(document_id, {"sealed": change.sealed})


def _revisions(tx: Transaction, interval: Interval) -> Iterator[Revision]:
    for _, revision in tx.rows(ENVIRONMENT_VARIABLES_BY_NAME, interval):
        yield revision


def _documents(tx: Transaction, interval: Interval) -> Iterator[dict[str, Any]]:
    for revision in _revisions(tx, interval):
        yield revision.document


def _place(name: str) -> Interval:
    return Interval.prefix(encode_key(name))


# -- queries --------------------------------------------------------------------------


def _list(question: Question) -> Value:
    """All, by name, as they are sealed: the gateway opens them for the owner."""
    return [
        {"name": one["name"], "value": one["sealed"]}
        for one in _looked_at(question, EVERYTHING)
    ]


def _get(question: Question) -> Value:
    """One, sealed; None if it is not set."""
    name = question.args.get("name")
    for one in _looked_at(question, _place(str(name))):
        return {"name": one["name"], "value": one["sealed"]}
    return None


def _names(question: Question) -> Value:
    """The names alone."""
    return [one["name"] for one in _looked_at(question, EVERYTHING)]


def _looked_at(question: Question, interval: Interval) -> list[dict[str, Any]]:
    question.tx.read_set.record(ENVIRONMENT_VARIABLES_BY_NAME, interval)
    return list(_documents(question.tx, interval))


QUERIES: Final[dict[str, Callable[[Question], Value]]] = {
    LIST: _list,
    GET: _get,
    NAMES: _names,
    SEALED: _list,
}
