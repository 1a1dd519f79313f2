"""Rules of structure: what every object and array must keep to, wherever it comes from.

Both roads into the database, Python values and JSON, ask here, so both refuse
the same things in the same words. A refusal learns its path on the way out: each
container that it passes adds a step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convexlab import knobs
from convexlab.errors import CallerError, InvalidValue, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping


# A path is there to find the place by; a name that is too long says so early on.
_MOST_PATH_CHARS: Final = 256


class Refusal(Exception):
    """Why a value is refused, on its way outward.

    Args:
        reason: what follows the path in the message, as in "is a set, …".
        kind: Convex's name of the limit, where it is one.
    """

    def __init__(self, reason: str, *, kind: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind
        self.steps: list[str] = []

    def error(self, path: str) -> CallerError:
        """The error to show, with the whole path."""
        where = (path + "".join(reversed(self.steps))).removeprefix(".")
        if len(where) > _MOST_PATH_CHARS:
            where = f"{where[:_MOST_PATH_CHARS]}…"
        message = f"{f'`{where}`' if where else 'The value'} {self.reason}"
        if self.kind is not None:
            return LimitExceeded(message, kind=self.kind)
        return InvalidValue(message)


def check_field_name(name: str) -> None:
    """Refuses what cannot be a key of an object."""
    if name.startswith("$"):
        raise Refusal("is a field name that starts with `$`, which is kept for Convex")
    if not (name.isascii() and name.isprintable()):
        raise Refusal("is a field name with other characters than printable ASCII")
    if len(name) > knobs.MAX_FIELD_NAME_BYTES:
        raise Refusal(
            f"is a field name that is too long ({len(name)} > maximum length "
            f"{knobs.MAX_FIELD_NAME_BYTES})",
            kind="FieldNameTooLongError",
        )


def check_string(x: str) -> str:
    """Refuses halves of surrogate pairs."""
    try:
        x.encode()
    except UnicodeEncodeError:
        raise Refusal(
            "holds half of a surrogate pair, which is no text in UTF-8"
        ) from None
    return x


def check_object(fields: Mapping[str, object], depth: int) -> None:
    """Refuses an object, the `depth`-th container from outside, for its keys and shape."""
    if depth > knobs.MAX_VALUE_NESTING:
        raise _too_deep()
    count = len(fields)
    if count > knobs.MAX_OBJECT_FIELDS:
        raise Refusal(
            f"has too many fields ({count} > maximum number {knobs.MAX_OBJECT_FIELDS})",
            kind="TooManyFieldsError",
        )
    if not _GOOD_NAMES.issuperset(fields):
        _check_new_names(fields)


def check_top_names(document: Mapping[str, object]) -> None:
    """Refuses fields of a document that only Convex itself may have.

    Raises:
        InvalidValue: names the field.
    """
    if _GOOD_TOP_NAMES.issuperset(document):
        return
    for name in document:
        if name.startswith("_") and name not in ("_id", "_creationTime"):
            raise InvalidValue(
                f"`{name}` is a field name that starts with `_`, and at the top of a document "
                "those are Convex's own: call it otherwise"
            )
    _remember(_GOOD_TOP_NAMES, document)


# Names found good before: most documents repeat them, and a set is asked at once
# for all names of one.
_GOOD_NAMES: Final[set[str]] = set()
_GOOD_TOP_NAMES: Final[set[str]] = set()
_MOST_GOOD_NAMES: Final = 8192


def _check_new_names(fields: Mapping[str, object]) -> None:
    for name in fields:
        try:
            check_field_name(name)
        except Refusal as refused:
            refused.steps.append(f".{name}")
            raise
    _remember(_GOOD_NAMES, fields)


def _remember(good: set[str], names: Mapping[str, object]) -> None:
    if len(good) + len(names) > _MOST_GOOD_NAMES:
        good.clear()
    good.update(names)


def check_array(length: int, depth: int) -> None:
    """Refuses an array of `length` that is the `depth`-th container from outside."""
    if length > knobs.MAX_ARRAY_LENGTH:
        raise Refusal(
            f"is an array that is too long ({length} > maximum length {knobs.MAX_ARRAY_LENGTH})",
            kind="ArrayTooLongError",
        )
    if depth > knobs.MAX_VALUE_NESTING:
        raise _too_deep()


def _too_deep() -> Refusal:
    return Refusal(
        f"is nested too deeply (maximum nesting depth {knobs.MAX_VALUE_NESTING})",
        kind="NestedTooDeeplyError",
    )
