"""Messages: everything that crosses the sync socket, by name.

Each message is one JSON object in one text message, told apart by `type`. What a
client sends may have fields that we do not know: newer clients add some. What we
send has exactly these fields: a client that meets an unknown `type` stops.

    client → server   Connect · Authenticate · ModifyQuerySet · Mutation · Action · Event
    server → client   Transition · TransitionChunk · MutationResponse ·
                      ActionResponse · AuthError · FatalError · Ping

Arguments and values stay raw JSON here: they are decoded where they are used, and
most values never are.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from convexlab.errors import RemoteProtocolError

_EMPTY_OBJECT: Final = b"{}"

# What clients count in: versions, queries and requests.
Count = Annotated[int, Meta(ge=0, le=(1 << 32) - 1)]


class Message(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag=str):
    """The one base: camelCase on the wire, and `type` is the class's name."""


# -- client → server ----------------------------------------------------------


class Connect(Message, frozen=True, tag="Connect"):
    """The first message, if it comes at all; never answered."""

    session_id: str | None = None
    connection_count: Count = 0
    last_close_reason: str | None = None
    max_observed_timestamp: str | None = None
    client_ts: float | None = None


class Authenticate(Message, frozen=True, tag="Authenticate"):
    """Who is asking from here on."""

    base_version: Count
    token_type: str
    value: str = ""
    impersonating: dict[str, Any] | None = None
    acting_as: dict[str, Any] | None = msgspec.field(default=None, name="acting_as")


class Add(Message, frozen=True, tag="Add"):
    """A query that the client follows from now on."""

    query_id: Count
    udf_path: str
    args: list[Raw] = []
    journal: str | None = None
    component_path: str | None = None


class Remove(Message, frozen=True, tag="Remove"):
    """A query that the client follows no more."""

    query_id: Count


class ModifyQuerySet(Message, frozen=True, tag="ModifyQuerySet"):
    """From one query set to the next."""

    base_version: Count
    new_version: Count
    modifications: list[Add | Remove] = []


class Mutation(Message, frozen=True, tag="Mutation"):
    """Run a mutation, after those sent before it."""

    request_id: Count
    udf_path: str
    args: list[Raw] = []
    component_path: str | None = None


class Action(Message, frozen=True, tag="Action"):
    """Run an action, beside all else."""

    request_id: Count
    udf_path: str
    args: list[Raw] = []
    component_path: str | None = None


class Event(Message, frozen=True, tag="Event"):
    """Telemetry; never answered."""

    event_type: str = ""


ClientMessage = Connect | Authenticate | ModifyQuerySet | Mutation | Action | Event

# -- server → client ----------------------------------------------------------


class Version(msgspec.Struct, frozen=True, rename="camel"):
    """A `StateVersion` on the wire."""

    query_set: int
    identity: int
    ts: str


class QuerySaid(msgspec.Struct, frozen=True, rename="camel"):
    """What follows the id in a QueryUpdated: the part that sessions share."""

    value: Raw
    log_lines: tuple[str, ...]
    journal: str | None


class QueryRefused(msgspec.Struct, frozen=True, rename="camel"):
    """What follows the id in a QueryFailed: the part that sessions share."""

    error_message: str
    log_lines: tuple[str, ...]
    journal: str | None
    error_data: Raw | UnsetType = UNSET


class QueryUpdated(Message, frozen=True, tag="QueryUpdated"):
    """A followed query's new value; on the wire: this and a `QuerySaid`."""

    query_id: int


class QueryFailed(Message, frozen=True, tag="QueryFailed"):
    """A followed query's new error; on the wire: this and a `QueryRefused`."""

    query_id: int


class QueryRemoved(Message, frozen=True, tag="QueryRemoved"):
    """The end of a query, as the client asked."""

    query_id: int


class Transition(Message, frozen=True, tag="Transition"):
    """From one state version to the next; `modifications` are encoded already."""

    start_version: Version
    end_version: Version
    modifications: list[Raw]
    client_clock_skew: int | UnsetType = UNSET
    server_ts: int | UnsetType = UNSET


class TransitionChunk(Message, frozen=True, tag="TransitionChunk"):
    """A part of a Transition's text, for clients that take it so (`chunks`)."""

    chunk: str
    part_number: int
    total_parts: int
    transition_id: str


class MutationResponse(Message, frozen=True, tag="MutationResponse"):
    """A mutation's outcome; `ts` says which Transition will contain it."""

    request_id: int
    success: bool
    result: Raw
    ts: str | None
    log_lines: tuple[str, ...]
    error_data: Raw | UnsetType = UNSET


class ActionResponse(Message, frozen=True, tag="ActionResponse"):
    """An action's outcome."""

    request_id: int
    success: bool
    result: Raw
    log_lines: tuple[str, ...]
    error_data: Raw | UnsetType = UNSET


class AuthError(Message, frozen=True, tag="AuthError"):
    """A token was refused; the socket closes after it."""

    error: str
    base_version: int
    auth_update_attempted: bool


class FatalError(Message, frozen=True, tag="FatalError"):
    """The client broke the protocol; npm's client ends for good."""

    error: str


class Ping(Message, frozen=True, tag="Ping"):
    """Says that we are still here; never answered."""


ServerMessage = (
    Transition
    | TransitionChunk
    | MutationResponse
    | ActionResponse
    | AuthError
    | FatalError
    | Ping
)

_decoder: Final[msgspec.json.Decoder[ClientMessage]] = msgspec.json.Decoder(
    ClientMessage
)
_encoder: Final = msgspec.json.Encoder()
encode: Final = _encoder.encode


def decode(text: str | bytes) -> ClientMessage:
    """Read one message.

    Raises:
        RemoteProtocolError: not JSON, or none of the six messages.
    """
    try:
        return _decoder.decode(text)
    except (msgspec.ValidationError, RecursionError) as error:
        raise RemoteProtocolError(str(error)) from None
    except msgspec.DecodeError as error:
        return _decode_with_bad_strings(text, error)


def _decode_with_bad_strings(
    text: str | bytes, error: msgspec.DecodeError
) -> ClientMessage:
    """Read a message that has lone surrogates.

    In arguments they are the function's to refuse, not a reason to close: those go on
    as text, and whoever decodes them says what is wrong. Elsewhere they become what
    names nothing, and nobody has to write them again.
    """
    try:
        message = json.loads(text)
        holders = [message, *message.get("modifications", ())]
        args = [holder.pop("args", []) for holder in holders]
        plain = json.dumps(message, ensure_ascii=False, allow_nan=False)
        message = json.loads(plain.encode(errors="replace"))
        holders = [message, *message.get("modifications", ())]
        for holder, given in zip(holders, args, strict=True):
            holder["args"] = [Raw(json.dumps(arg).encode()) for arg in _listed(given)]
        converted: ClientMessage = msgspec.convert(message, ClientMessage)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise RemoteProtocolError(str(error)) from None
    return converted


def _listed(args: Any) -> list[Any]:
    if not isinstance(args, list):
        raise TypeError(f"args is a list, not {args!r:.100}")
    return args


def arguments(args: list[Raw]) -> bytes:
    """The arguments object's JSON: functions take one, and none means `{}`.

    Raises:
        RemoteProtocolError: more than one.
    """
    if len(args) > 1:
        raise RemoteProtocolError(
            f"functions take one arguments object, not {len(args)}"
        )
    return bytes(args[0]) if args else _EMPTY_OBJECT


_PATH: Final = re.compile(
    r"(?P<module>(?:[A-Za-z0-9_.]{1,64}/)*[A-Za-z0-9_.]{1,64}?)(?:\.js)?"
    r"(?::(?P<name>[A-Za-z0-9_]{1,64}))?"
)


# Sixteen segments of the longest kind.
_LONGEST_PATH: Final = 1024


def function_path(path: str) -> str | None:
    """The canonical spelling, `dir/module:name`; None for what cannot be a path.

    `messages.js:list` is `messages:list`, and `messages` is `messages:default`.
    """
    return _canonical(path) if len(path) <= _LONGEST_PATH else None


@lru_cache(maxsize=1024)  # N.B. every call of every client comes by
def _canonical(path: str) -> str | None:
    match = _PATH.fullmatch(path)
    return None if match is None else f"{match['module']}:{match['name'] or 'default'}"
