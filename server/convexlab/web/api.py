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

import re
import secrets
from typing import TYPE_CHECKING, Final, TypeVar, assert_never
from urllib.parse import unquote

import msgspec
from aiohttp import web
from msgspec import UNSET, Raw, UnsetType

from convexlab.documents.encoding import from_wire, to_clean_json, to_export_json
from convexlab.errors import (
    BadAdminKey,
    CallerError,
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
from convexlab.web.clients import client_of

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

    from convexlab.auth.tokens import Tokens
    from convexlab.sync.gateway import Gateway

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


class FunctionRequest(msgspec.Struct, frozen=True, rename="camel"):
    """A call as a client writes it; `args` is an object or a list of one."""

    path: str = ""
    args: Raw = Raw(b"{}")
    format: str | None = None
    component_path: str | None = None
    ts: str | None = None


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


class _Call(msgspec.Struct, frozen=True):
    """A request, read and checked. N.B. a frozen dataclass takes 3 µs longer to make."""

    path: str
    args: bytes
    format: str
    caller: Caller
    client: Client
    request_id: str = msgspec.field(default_factory=lambda: secrets.token_hex(8))

    @property
    def request(self) -> bytes:
        """What functions are told of it."""
        return requested(self.client, self.request_id, self.caller.token)

    @property
    def stored(self) -> bool:
        return self.format == "stored_json"

    def envelope(self, run: Payload | MutationRun | ActionRun, request: str) -> bytes:
        """What the client is told."""
        write = _FORMATS[self.format]
        log_lines = run.log_lines or UNSET
        if run.error is None:
            return encode(Success(Raw(write(run.value or b"null")), log_lines))
        return encode(_failure(run.error, request, write, log_lines))


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
        return _answer(await self._any(_checked(request, asked, caller, path, "json")))

    async def query_ts(self, _request: web.BaseRequest) -> web.Response:
        """Say which timestamp is the newest."""
        return _answer(encode({"ts": encode_ts(self._gateway.backend.ts)}))

    async def query_at_ts(self, request: web.BaseRequest) -> web.Response:
        """Run a query as of an earlier timestamp."""
        caller = await self.caller(request)
        asked = await _body(request, FunctionRequest)
        call = _checked(request, asked, caller, asked.path, _unsaid_format(request))
        if asked.ts is None:
            raise BadJsonBody("`ts` is missing.")
        said = await self._gateway.query_at(
            decode_ts(asked.ts), call.path, call.args, caller, stored=call.stored
        )
        return _answer(call.envelope(said, said.request_id))

    async def query_batch(self, request: web.BaseRequest) -> web.Response:
        """Run several queries as of one timestamp."""
        caller = await self.caller(request)
        asked = (await _body(request, BatchRequest)).queries
        unsaid = _unsaid_format(request)
        calls = [
            _checked(request, query, caller, query.path, unsaid) for query in asked
        ]
        answers = [self._ask(call) for call in calls]  # N.B. all in one step
        results = []
        for call, answer in zip(calls, answers, strict=True):
            said = await answer
            results.append(Raw(call.envelope(said, said.request_id)))
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

    async def _call(self, request: web.BaseRequest) -> _Call:
        caller = await self.caller(request)
        if request.method == "GET":
            asked = FunctionRequest(
                request.query.get("path", ""),
                Raw(request.query.get("args", "{}").encode()),
                request.query.get("format"),
            )
        else:
            asked = await _body(request, FunctionRequest)
        return _checked(request, asked, caller, asked.path, _unsaid_format(request))

    def _ask(self, call: _Call) -> Future[Payload]:
        return self._gateway.query(
            call.path, call.args, call.caller, stored=call.stored
        )

    async def _query(self, call: _Call) -> bytes:
        said = await self._ask(call)
        return call.envelope(said, said.request_id)

    async def _mutation(self, call: _Call) -> bytes:
        run = await self._gateway.mutate(
            call.path,
            call.args,
            call.caller,
            stored=call.stored,
            request=call.request,
        )
        return call.envelope(run, call.request_id)

    async def _action(self, call: _Call) -> bytes:
        run = await self._gateway.act(
            call.path,
            call.args,
            call.caller,
            stored=call.stored,
            request=call.request,
        )
        return call.envelope(run, call.request_id)

    async def _any(self, call: _Call) -> bytes:
        kind: FunctionKind | None = self._gateway.backend.kind(call.path)
        match kind:
            case "query":
                return await self._query(call)
            case "mutation":
                return await self._mutation(call)
            case "action":
                return await self._action(call)
            case None:
                # The official CLI looks for these words.
                text = (
                    f"Could not find function for '{call.path}'. "
                    "Did you forget to run `npx convex dev`?"
                )
                run = ActionRun(error=RunError(text, code=NotFound.code))
                return call.envelope(run, call.request_id)
            case _:
                assert_never(kind)


def _unsaid_format(request: web.BaseRequest) -> str:
    """The format of a value that a client does not say."""
    client = client_from_header(request.headers.get("Convex-Client"))
    return "convex_encoded_json" if client.expects_encoded else "json"


def _checked(
    request: web.BaseRequest,
    asked: FunctionRequest,
    caller: Caller,
    path: str,
    unsaid: str,
) -> _Call:
    """A request with everything in it checked that needs no function to be known.

    `unsaid` is the format if none was asked for.

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
    form = asked.format or unsaid
    if form not in _FORMATS:
        raise BadFormat(f"format {form!r} is none of {', '.join(_FORMATS)}.")
    args = _arguments(bytes(asked.args))
    return _Call(canonical, args, form, caller, client_of(request))


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
