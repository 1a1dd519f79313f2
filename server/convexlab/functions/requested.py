"""What a call knows of the request that it comes from: `ctx.meta`'s request metadata.

It is made where the request comes in, travels as JSON beside the call, unread, and
goes on to whatever an action calls. A scheduled function has a request of its own,
which names its entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

import msgspec

from convexlab.documents.ids import decode_id
from convexlab.engine.system_tables import SCHEDULED_FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable


class RequestMetadata(TypedDict):
    """The request that a mutation or an action comes from.

    `ip` and `userAgent` are None for what no client asked for: scheduled functions
    and crons. `authToken` is the user's, as it was shown. `requestId` is the one in
    the text of an error that clients see.
    """

    ip: str | None
    userAgent: str | None
    requestId: str
    scheduledFunctionId: str | None
    authToken: str | None


class Client(msgspec.Struct, frozen=True):
    """Who holds the other end of a connection.

    Attributes:
        ip: its address.
        user_agent: what it calls itself.
    """

    ip: str | None = None
    user_agent: str | None = None


UNKNOWN: Final = Client()


class _Requested(msgspec.Struct, frozen=True, omit_defaults=True):
    ip: str | None = None
    user_agent: str | None = None
    request_id: str = ""
    entry: str | None = None
    token: str | None = None


class _Named(msgspec.Struct, frozen=True):
    request_id: str = ""


_encode: Final = msgspec.json.Encoder().encode
_decode_id: Final = msgspec.json.Decoder(_Named).decode
_decode: Final[Callable[[bytes], _Requested]] = msgspec.json.Decoder(_Requested).decode


def requested(client: Client, request_id: str, token: str | None) -> bytes:
    """A client's request.

    Args:
        client: who sent it.
        request_id: names it.
        token: the user's, if it was a user's that was accepted.
    """
    return _encode(_Requested(client.ip, client.user_agent, request_id, token=token))


def requested_by_schedule(request_id: str, entry: str | None) -> bytes:
    """The request of what is due.

    Args:
        request_id: names it.
        entry: on the timetable, if it is of one.
    """
    return _encode(_Requested(request_id=request_id, entry=entry or None))


def request_id_of(request: bytes) -> str:
    """A request's name; "" for nothing."""
    return _decode_id(request).request_id if request else ""


def request_metadata(request: bytes) -> RequestMetadata:
    """As functions see it; of nothing, there is nothing to say."""
    said = _decode(request or b"{}")
    return {
        "ip": said.ip,
        "userAgent": said.user_agent,
        "requestId": said.request_id,
        "scheduledFunctionId": _scheduled_function(said.entry),
        "authToken": said.token,
    }


def _scheduled_function(entry: str | None) -> str | None:
    """An entry's id, unless it is a cron's."""
    is_one = entry is not None and decode_id(entry)[0] == SCHEDULED_FUNCTIONS
    return entry if is_one else None
