"""What a call inside one process said: its log is printed, its error raised.

A function's log belongs to its caller, and here nobody else gets to see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab.functions.processes.failures import failure_of, raised_from

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convexlab.functions.runner import Outcome


def value_of(path: str, outcome: Outcome) -> bytes:
    """A call's value as it is stored.

    Raises:
        ConvexlabError: it failed.
    """
    show(path, outcome.log_lines)
    failure = failure_of(outcome)
    if failure is not None:
        raise raised_from(failure)
    assert outcome.value is not None, "a call has a value or an error"
    return outcome.value


def show(path: str, lines: Iterable[str], error: str | None = None) -> None:
    """Print a log, and behind it the error that nobody is there to catch."""
    for line in lines:
        print(f"{path} {line}")  # noqa: T201 - as the module says
    if error is not None:
        print(f"{path} [ERROR] {error}")  # noqa: T201 - as above
