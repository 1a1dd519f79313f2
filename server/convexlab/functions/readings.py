"""Readings: what an annotation says, whoever reads it, and why one is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from convexlab.errors import CallerError

if TYPE_CHECKING:
    from convexlab.documents.validator import Validator

Convert: TypeAlias = Callable[[Any, str], Any]
"""Turns a checked value into what the annotation promises; takes the value and its path."""


class BadAnnotation(CallerError):
    """An annotation, or a parameter, that is refused; says what to write.

    Args:
        message: what is wrong and what to write instead.
        parameter: the Python name of the parameter to blame, or `return`.
    """

    code = "BadAnnotation"

    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What an annotation says: which values, and what they arrive as (None: as they are)."""

    validator: Validator
    convert: Convert | None = None


Read: TypeAlias = Callable[[object], Reading]
"""Reads one annotation, already evaluated."""


def missing_name(name: str) -> str:
    """What to say of an annotation that names what is not there."""
    return (
        f"the annotation `{name}` is not defined when the module runs: import it, or define it in this module. "
        "(An import under `if TYPE_CHECKING:` is not there at run time: move it out.)"
    )


def is_hashable(x: object) -> bool:
    """Whether it can be looked up."""
    try:
        hash(x)
    except TypeError:
        return False
    return True
