"""Asked: a call as a client writes it, and what the bodies of many have in common.

    {"path":"docs:near","args": │ {"vector":[0.12,…]} │ ,"format":"json"}
    └───────── before ────────┘                        └───── after ────┘

A client's calls of one function differ in their arguments alone. Between what was
before and behind those of the last call there are the next one's, if they are one
value, which whoever runs it finds out: to skip the numbers of a vector took a tenth of
what its search costs the gateway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw

if TYPE_CHECKING:
    from collections.abc import Callable


class FunctionRequest(msgspec.Struct, frozen=True, rename="camel"):
    """A call as a client writes it; `args` is an object or a list of one."""

    path: str = ""
    args: Raw = Raw(b"{}")
    format: str | None = None
    component_path: str | None = None
    ts: str | None = None


read_request: Final[Callable[[bytes], FunctionRequest]] = msgspec.json.Decoder(
    FunctionRequest
).decode

_NOTHING: Final = Raw(b"null")


class Shape(msgspec.Struct, frozen=True):
    """A call's body around its arguments."""

    before: bytes
    after: bytes

    def arguments_in(self, body: bytes) -> bytes | None:
        """What stands for the arguments of a body of this shape, unread; None: of none."""
        if not (body.startswith(self.before) and body.endswith(self.after)):
            return None
        args = body[len(self.before) : len(body) - len(self.after)]
        return args if args.startswith(b"{") and args.endswith(b"}") else None


def shape_of(body: bytes, asked: FunctionRequest) -> Shape | None:
    """The shape of a body that was read; None if it has none."""
    args = bytes(asked.args)
    before, found, after = body.partition(args)
    if not found or not args.startswith(b"{"):
        return None
    try:  # N.B. the same text may be elsewhere, too
        without = read_request(before + bytes(_NOTHING) + after)
    except msgspec.MsgspecError:
        return None
    same = without == msgspec.structs.replace(asked, args=_NOTHING)
    return Shape(before, after) if same else None
