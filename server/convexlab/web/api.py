"""The HTTP API: functions called once, in Convex's envelopes.

A function's outcome is status 200 whether it succeeded or failed; what is wrong
before a function is reached has its own status and `{"code", "message"}`.

    POST /api/query · mutation · action     {"path", "args", "format"?}
    POST /api/run/{dir/module/function}     {"args", "format"?}
    POST /api/function                      any kind; admin only
    POST /api/query_batch                   several queries, as of one timestamp
    POST /api/query_ts · query_at_ts        as of an earlier timestamp

Arguments are always the encoded JSON of `documents/encoding.py`; `format` says what
the value comes back as, and `stored_json` is ours: numbers as they are stored.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from asyncio import Future
from typing import TYPE_CHECKING, Final, TypeVar, assert_never
from urllib.parse import unquote

import msgspec
from aiohttp import web
from msgspec import UNSET, Raw, UnsetType

from convexlab.documents.encoding import from_wire, to_clean_json, to_export_json
from convexlab.documents.ids import RandomPool
from convexlab.errors import (
    BadAdminKey,
    CallerError,
    ConvexlabError,
    NotAllowed,
    NotFound,
    RemoteProtocolError,
)
from convexlab.functions.requested import Client, requested
from convexlab.protocol.messages import arguments, encode, function_path
from convexlab.protocol.versions import client_from_header, decode_ts, encode_ts
from convexlab.sync.backend import (
    ActionRun,
    Caller,
    FunctionKind,
    MutationRun,
    RunError,
)
from convexlab.sync.transition import Payload, error_text
from convexlab.web.asked import FunctionRequest, read_request
from convexlab.web.clients import client_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.auth.tokens import Tokens
    from convexlab.sync.gateway import Gateway

_log = logging.getLogger(__name__)

_JSON: Final = re.compile(r"application/(?:[\w.+-]+\+)?json", re.IGNORECASE)
_OPERATIONS: Final = (
    "ViewData",
    "WriteData",
    "RunInternalQueries",
    "RunInternalMutations",
)


class BadJsonBody(CallerError):
    """A body that is not the JSON that the endpoint takes."""

    code = "BadJsonBody"


class BadFormat(CallerError):
    """A format for values that there is not."""

    code = "BadFormat"


class BadFunctionPath(CallerError):
    """A text that no function can be called by."""

    code = "BadConvexFunctionIdentifier"


class MissingIdentifier(CallerError):
    """A URL that names no function."""

    code = "MissingIdentifier"


class BatchRequest(msgspec.Struct, frozen=True):
    """Several queries as of one timestamp."""

    queries: list[FunctionRequest]


class Success(
    msgspec.Struct, frozen=True, rename="camel", tag_field="status", tag="success"
):
    """A function's value."""

    value: Raw
    log_lines: tuple[str, ...] | UnsetType = UNSET


class Failure(
    msgspec.Struct, frozen=True, rename="camel", tag_field="status", tag="error"
):
    """A function's error; `errorCode` is ours: the error class's stable code."""

    error_message: str
    error_code: str
    error_data: Raw | UnsetType = UNSET
    log_lines: tuple[str, ...] | UnsetType = UNSET


class Refusal(msgspec.Struct, frozen=True):
    """What is wrong with a request that reached no function."""

    code: str
    message: str


OUR_FAULT: Final = Refusal("InternalServerError", "Your request failed.")


def _as_clean(value: bytes) -> bytes:
    # Only tagged values ($integer, $bytes, $float) are written otherwise.
    return to_clean_json(from_wire(value)) if b'"$' in value else value


def _as_export(value: bytes) -> bytes:
    return to_export_json(from_wire(value))


def _as_is(value: bytes) -> bytes:
    return value


# What a format makes of a value on the wire. A backend asked for a stored value gives
# that instead, so there is nothing left to do.
_FORMATS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "convex_encoded_json": _as_is,
    "convex_json": _as_is,
    "stored_json": _as_is,
    "json": _as_clean,
    "convex_clean_json": _as_clean,
    "export_json": _as_export,
}


class Asker(msgspec.Struct, frozen=True):
    """Who sent a request, and the format of a value if it says none."""

    caller: Caller
    client: Client
    unsaid_format: str


_random_bytes: Final = RandomPool(os.urandom)


class Call(msgspec.Struct, frozen=True):
    """A request, read and checked. N.B. a frozen dataclass takes 3 µs longer to make."""

    path: str
    args: bytes
    format: str
    caller: Caller
    client: Client
    request_id: str = msgspec.field(default_factory=lambda: _random_bytes(8).hex())

    @property
    def request(self) -> bytes:
        """What functions are told of it."""
        return requested(self.client, self.request_id, self.caller.token)

    @property
    def stored(self) -> bool:
        """Whether numbers are wanted as they are stored."""
        return self.format == "stored_json"

    def envelope(self, run: Payload | MutationRun | ActionRun, request: str) -> bytes:
        """What the client is told."""
        write = _FORMATS[self.format]
        log_lines = run.log_lines or UNSET
        if run.error is None:
            return encode(Success(Raw(write(run.value or b"null")), log_lines))
        return encode(_failure(run.error, request, write, log_lines))


class Begun(msgspec.Struct, frozen=True):
    """A call on its way to an answer.

    `unread` is a body whose arguments nobody has read here.
    """

    call: Call
    run: Future[Payload] | Future[MutationRun] | Future[ActionRun]
    unread: bytes | None = None

    def said(self) -> bytes:
        """What the client is told, now that it has run.

        Raises:
            RetryError: it has not.
        """
        run = self.run.result()
        name = run.request_id if isinstance(run, Payload) else self.call.request_id
        return self.call.envelope(run, name)

    def answer(self) -> tuple[int, bytes] | None:
        """Status and body of the answer; None: it asks something else than was begun."""
        try:
            if self.run.result().error is not None and not self._was_meant():
                return None
            return 200, self.said()
        except ConvexlabError as error:
            return error.http_status, encode(Refusal(error.code, error.message))
        except Exception:  # noqa: BLE001 - the server's edge: no other request fails
            _log.exception("%s failed", self.call.path)
            return 500, encode(OUR_FAULT)

    def _was_meant(self) -> bool:
        """Whether what was taken for the arguments are those: one value, and the last."""
        if self.unread is None:
            return True
        try:
            return bytes(read_request(self.unread).args) == self.call.args
        except (msgspec.MsgspecError, RecursionError):
            return False


class Api:
    """The function endpoints, over one gateway.

    Args:
        gateway: runs what is asked.
        tokens: says who is asking.
    """

    def __init__(self, gateway: Gateway, tokens: Tokens) -> None:
        self._gateway = gateway
        self._tokens = tokens

    async def query(self, request: web.BaseRequest) -> web.Response:
        """Run a query, asked for by POST or, with `path` and `args`, by GET."""
        call = await self._call(request)
        return _answer(await self._query(call))

    async def mutation(self, request: web.BaseRequest) -> web.Response:
        """Run a mutation."""
        return _answer(await self._mutation(await self._call(request)))

    async def action(self, request: web.BaseRequest) -> web.Response:
        """Run an action."""
        return _answer(await self._action(await self._call(request)))

    async def function(self, request: web.BaseRequest) -> web.Response:
        """Run a function of any kind, for an admin."""
        call = await self._call(request)
        if not call.caller.admin:
            raise NotAllowed("/api/function takes the admin key.")
        return _answer(await self._any(call))

    async def run(self, request: web.BaseRequest, names: str) -> web.Response:
        """Run a public function named by the URL: `dir/module/function`."""
        *module, name = unquote(names).split("/")
        if not module:
            raise MissingIdentifier(f"/api/run/{names} names no function.")
        caller = await self.caller(request)
        asked = await _body(request, FunctionRequest)
        path = f"{'/'.join(module)}:{name}"
        asker = Asker(caller, client_of(request), "json")
        return _answer(await self._any(checked(asker, asked, path)))

    async def query_ts(self, _request: web.BaseRequest) -> web.Response:
        """Say which timestamp is the newest."""
        return _answer(encode({"ts": encode_ts(self._gateway.backend.ts)}))

    async def query_at_ts(self, request: web.BaseRequest) -> web.Response:
        """Run a query as of an earlier timestamp."""
        asker = await self._asker(request)
        asked = await _body(request, FunctionRequest)
        call = checked(asker, asked, asked.path)
        if asked.ts is None:
            raise BadJsonBody("`ts` is missing.")
        said = await self._gateway.query_at(
            decode_ts(asked.ts), call.path, call.args, call.caller, stored=call.stored
        )
        return _answer(call.envelope(said, said.request_id))

    async def query_batch(self, request: web.BaseRequest) -> web.Response:
        """Run several queries as of one timestamp."""
        asker = await self._asker(request)
        asked = (await _body(request, BatchRequest)).queries
        calls = [checked(asker, query, query.path) for query in asked]
        begun = [self.begin_query(call) for call in calls]  # N.B. all in one step
        results = []
        for one in begun:
            await one.run
            results.append(Raw(one.said()))
        return _answer(encode({"results": results}))

    async def check_admin_key(self, request: web.BaseRequest) -> web.Response:
        """Say what the caller's key allows: all, or nothing."""
        await self.admin(request)
        return _answer(
            encode(
                {"success": True, "allowedOps": list(_OPERATIONS), "isReadOnly": False}
            )
        )

    async def caller(self, request: web.BaseRequest) -> Caller:
        """Who is asking."""
        client_from_header(request.headers.get("Convex-Client"))
        return await self._tokens.of_header(
            request.headers.get("Authorization"),
            request.query.get("adminKey") if request.query_string else None,
        )

    async def admin(self, request: web.BaseRequest) -> Caller:
        """Who is asking, if it is an admin.

        Raises:
            BadAdminKey: it is not.
        """
        caller = await self.caller(request)
        if not caller.admin:
            raise BadAdminKey(
                "This takes the admin key: `convexlab admin-key` prints it."
            )
        return caller

    async def _asker(self, request: web.BaseRequest) -> Asker:
        return asker_of(request, await self.caller(request))

    async def _call(self, request: web.BaseRequest) -> Call:
        asker = await self._asker(request)
        if request.method == "GET":
            asked = FunctionRequest(
                request.query.get("path", ""),
                Raw(request.query.get("args", "{}").encode()),
                request.query.get("format"),
            )
        else:
            asked = await _body(request, FunctionRequest)
        return checked(asker, asked, asked.path)

    def begin_query(self, call: Call) -> Begun:
        """Begin a query."""
        run = self._gateway.query(call.path, call.args, call.caller, stored=call.stored)
        return Begun(call, run)

    def begin_mutation(self, call: Call) -> Begun:
        """Begin a mutation."""
        run = self._gateway.mutate(
            call.path,
            call.args,
            call.caller,
            stored=call.stored,
            request=call.request,
        )
        return Begun(call, run)

    def begin_action(self, call: Call) -> Begun:
        """Begin an action."""
        run = self._gateway.act(
            call.path,
            call.args,
            call.caller,
            stored=call.stored,
            request=call.request,
        )
        return Begun(call, asyncio.get_running_loop().create_task(run))

    async def _query(self, call: Call) -> bytes:
        begun = self.begin_query(call)
        await begun.run
        return begun.said()

    async def _mutation(self, call: Call) -> bytes:
        begun = self.begin_mutation(call)
        await begun.run
        return begun.said()

    async def _action(self, call: Call) -> bytes:
        begun = self.begin_action(call)
        await begun.run
        return begun.said()

    async def _any(self, call: Call) -> bytes:
        kind: FunctionKind | None = self._gateway.backend.kind(call.path)
        match kind:
            case "query":
                return await self._query(call)
            case "mutation":
                return await self._mutation(call)
            case "action":
                return await self._action(call)
            case None:
                # The official CLI looks for the first words.
                text = (
                    f"Could not find function for '{call.path}'. "
                    "Did you forget to push its module?"
                )
                run = ActionRun(error=RunError(text, code=NotFound.code))
                return call.envelope(run, call.request_id)
            case _:
                assert_never(kind)


def asker_of(request: web.BaseRequest, caller: Caller) -> Asker:
    """Who sent a request; old clients do not say which format they expect."""
    client = client_from_header(request.headers.get("Convex-Client"))
    unsaid = "convex_encoded_json" if client.expects_encoded else "json"
    return Asker(caller, client_of(request), unsaid)


def checked(asker: Asker, asked: FunctionRequest, path: str) -> Call:
    """A request with everything in it checked that needs no function to be known.

    Raises:
        BadFunctionPath, BadFormat, BadJsonBody: what cannot be meant.
    """
    canonical = function_path(path)
    if canonical is None or asked.component_path:
        raise BadFunctionPath(
            f"{path!r} in component {asked.component_path!r} is no function."
            if asked.component_path
            else f"{path!r} is no path of a function, such as `messages:list`."
        )
    form = asked.format or asker.unsaid_format
    if form not in _FORMATS:
        raise BadFormat(f"format {form!r} is none of {', '.join(_FORMATS)}.")
    args = _arguments(bytes(asked.args))
    return Call(canonical, args, form, asker.caller, asker.client)


def _arguments(raw: bytes) -> bytes:
    if not raw.lstrip().startswith(b"["):
        return raw
    try:
        return arguments(msgspec.json.decode(raw, type=list[Raw]))
    except RemoteProtocolError as error:
        raise BadJsonBody(error.message) from None


def _failure(
    error: RunError,
    request: str,
    write: Callable[[bytes], bytes],
    log_lines: tuple[str, ...] | UnsetType,
) -> Failure:
    data = UNSET if error.data is None else Raw(write(error.data))
    return Failure(error_text(error, request), error.code, data, log_lines)


_Body = TypeVar("_Body", FunctionRequest, BatchRequest)


async def _body(request: web.BaseRequest, kind: type[_Body]) -> _Body:
    """A request's JSON.

    Raises:
        BadJsonBody: another content type, or not what the endpoint takes.
    """
    if not _JSON.fullmatch(request.content_type):
        raise BadJsonBody(
            f"The content type is {request.content_type}; send application/json."
        )
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadJsonBody(str(error)) from None


def _answer(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
