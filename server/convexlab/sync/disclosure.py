"""Disclosure: how much of a run a client is told, beside its value.

Under development everything: the error with the user's lines, and what was printed. In
production (`convexlab serve --redact-logs-to-client`) only what a `ConvexError` carries;
the rest is in the log, under the request's id. Holders of the admin key are told
everything always, and so are functions of those that they call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from convexlab.errors import FunctionFailed
from convexlab.sync.backend import ActionRun, MutationRun, QueryRun, RunError

if TYPE_CHECKING:
    from convexlab.sync.backend import Caller

R = TypeVar("R", QueryRun, MutationRun, ActionRun)


@dataclass(frozen=True, slots=True)
class Disclosure:
    """See the module; `redacts` in production."""

    redacts: bool = False

    def is_whole(self, caller: Caller) -> bool:
        """Whether a caller is told everything."""
        return caller.admin or not self.redacts

    def of(self, run: R, caller: Caller) -> R:
        """What a caller is told of a run."""
        if self.is_whole(caller):
            return run
        error = None if run.error is None else redacted(run.error)
        return msgspec.structs.replace(run, error=error, log_lines=())


EVERYTHING: Final = Disclosure()

# What official clients begin their pages anew for: the word in an error's text, or,
# where they are not told that, this.
_BAD_CURSOR: Final = "InvalidCursor"
_NO_SUCH_PAGE: Final = b'{"isConvexSystemError":true,"paginationError":"InvalidCursor"}'


def redacted(error: RunError) -> RunError:
    """That a function failed, and what it wanted its caller to know."""
    data = error.data
    if data is None and _BAD_CURSOR in error.message.partition("\n")[0]:
        data = _NO_SUCH_PAGE
    return RunError("", data, FunctionFailed.code if data is None else error.code)
