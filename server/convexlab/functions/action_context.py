"""What actions are given as `ctx`: calls that leave the process and come back.

An action has no transaction. Whatever it asks of the deployment goes to the gateway
as a kind, a path and a body (`Ask`), and comes back as a body or an error:

    ctx.run_mutation(ref, …) ─▶ ask("mutation", path, arguments) ─▶ value

In an `async def` every call is awaited (`ActionCtx`), in a plain `def` the same
calls block (`SyncActionCtx`).
"""

from __future__ import annotations

import time
from typing import (
    TYPE_CHECKING,
    Any,
    NoReturn,
    ParamSpec,
    TypeVar,
    overload,
)

from convexlab import knobs
from convexlab.documents.calls import call_arguments
from convexlab.documents.encoding import from_stored, to_stored
from convexlab.engine.files import MemoryFiles
from convexlab.errors import NotAllowed
from convexlab.functions import vector_search
from convexlab.functions.action_meta import AsyncMeta, SyncMeta
from convexlab.functions.action_scheduler import AsyncScheduler, SyncScheduler
from convexlab.functions.action_storage import AsyncStorage, SyncStorage
from convexlab.functions.definition import (
    FunctionDefinition,
    reference_path,
    split_path,
)
from convexlab.functions.embedding_model import EMBED, check_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from convexlab.engine.files import Files
    from convexlab.functions.action_meta import About
    from convexlab.functions.awaited_calls import AsyncCalls, Call, PlainAsk
    from convexlab.functions.definition import Reference
    from convexlab.functions.identity import Identity

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

# N.B. the clock itself, before anything replaces it.
_now_ns = time.time_ns


class AsyncAuth:
    """`ctx.auth` of an `async def` action."""

    __slots__ = ("_calls", "_identity")

    def __init__(self, identity: Identity | None, calls: AsyncCalls) -> None:
        self._identity = identity
        self._calls = calls

    def get_user_identity(self) -> Call[dict[str, Any] | None]:
        """Who is asking, or None."""
        identity = self._identity
        return self._calls.call(
            "ctx.auth.get_user_identity", lambda: _said(_value_of(identity))
        )


class SyncAuth:
    """`ctx.auth` of a plain action."""

    __slots__ = ("_identity",)

    def __init__(self, identity: Identity | None) -> None:
        self._identity = identity

    def get_user_identity(self) -> dict[str, Any] | None:
        """Who is asking, or None."""
        return _value_of(self._identity)


def _value_of(identity: Identity | None) -> dict[str, Any] | None:
    return None if identity is None else identity.to_value()


async def _said(value: T) -> T:
    return value


class _Context:
    """What both kinds say in the same way."""

    __slots__ = ()

    def __getattr__(self, name: str) -> NoReturn:
        if name == "db":
            raise NotAllowed(
                "`ctx.db` in an action: an action has no transaction. Read with "
                "`ctx.run_query(…)`, write with `ctx.run_mutation(…)`."
            )
        raise AttributeError(f"`ctx` has no `{name}`", name=name, obj=self)


class ActionCtx(_Context):
    """What an `async def` action is given; every call is awaited."""

    __slots__ = ("_about", "_calls", "_files", "_identity", "_now_ns")

    def __init__(
        self,
        calls: AsyncCalls,
        identity: Identity | None = None,
        now_ns: Callable[[], int] = _now_ns,
        files: Files | None = None,
        about: About | None = None,
    ) -> None:
        self._calls = calls
        self._identity = identity
        self._now_ns = now_ns
        self._files = files or MemoryFiles()
        self._about = about

    @property
    def storage(self) -> AsyncStorage:
        """Files."""
        return AsyncStorage(self._calls, self._files)

    @property
    def meta(self) -> AsyncMeta:
        """What there is to know of the function, its deployment and its request."""
        assert self._about is not None, "it is given to actions that run"
        return AsyncMeta(self._about, self._calls)

    @property
    def auth(self) -> AsyncAuth:
        """Who is asking."""
        return AsyncAuth(self._identity, self._calls)

    @property
    def scheduler(self) -> AsyncScheduler:
        """Functions run later."""
        return AsyncScheduler(self._calls)

    def now(self) -> Call[int]:
        """The time in ms since 1970."""
        return self._calls.call("ctx.now", lambda: _said(self._now_ns() // 1_000_000))

    @overload
    def run_query(
        self, ref: FunctionDefinition[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Call[R]: ...

    @overload
    def run_query(
        self, ref: FunctionDefinition[..., R], args: Mapping[str, Any], /
    ) -> Call[R]: ...

    @overload
    def run_query(
        self, ref: str | Reference, /, *args: Any, **kwargs: Any
    ) -> Call[Any]: ...

    def run_query(self, ref: Any, /, *args: Any, **kwargs: Any) -> Call[Any]:
        """Calls a query, as of this moment.

        Args:
            ref: the decorated function, `api.…`, `internal.…` or a path.
            args: one dict may stand in place of the arguments.
            kwargs: the arguments.
        """
        return self._function("query", ref, args, kwargs)

    @overload
    def run_mutation(
        self, ref: FunctionDefinition[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Call[R]: ...

    @overload
    def run_mutation(
        self, ref: FunctionDefinition[..., R], args: Mapping[str, Any], /
    ) -> Call[R]: ...

    @overload
    def run_mutation(
        self, ref: str | Reference, /, *args: Any, **kwargs: Any
    ) -> Call[Any]: ...

    def run_mutation(self, ref: Any, /, *args: Any, **kwargs: Any) -> Call[Any]:
        """Calls a mutation: a transaction of its own, durable when it returns."""
        return self._function("mutation", ref, args, kwargs)

    @overload
    def run_action(
        self, ref: FunctionDefinition[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Call[R]: ...

    @overload
    def run_action(
        self, ref: FunctionDefinition[..., R], args: Mapping[str, Any], /
    ) -> Call[R]: ...

    @overload
    def run_action(
        self, ref: str | Reference, /, *args: Any, **kwargs: Any
    ) -> Call[Any]: ...

    def run_action(self, ref: Any, /, *args: Any, **kwargs: Any) -> Call[Any]:
        """Calls another action; it is never run twice."""
        return self._function("action", ref, args, kwargs)

    def embed(
        self, texts: str | Sequence[str], /, *, model: str = knobs.EMBEDDING_MODEL
    ) -> Call[Any]:
        """The embedding of a text; of a list of texts, the list of theirs.

        Args:
            texts: one, or several, which are embedded together.
            model: of sentence-transformers: a name, or the path of a folder.
        """
        body = _embed_request(texts, model)

        async def made() -> Any:
            found: Any = from_stored(await self._calls.ask(EMBED, "", body))
            return found[0] if isinstance(texts, str) else found

        return self._calls.call("ctx.embed", made)

    def vector_search(
        self,
        table: str,
        index: str,
        /,
        *,
        vector: Sequence[float],
        limit: int = knobs.VECTOR_RESULTS,
        filter: Callable[[Any], object] | None = None,  # noqa: A002 - Convex's name
    ) -> Call[list[dict[str, Any]]]:
        """The documents whose vectors are nearest: `[{"_id": …, "_score": …}]`, nearest first.

        It sees all that was committed before the call.

        Args:
            table: the table's name.
            index: one of its vector indexes.
            vector: as many numbers as the index has dimensions.
            limit: how many documents, 1 to 256.
            filter: `lambda q: q.eq("owner", o)`, or `q.or_(…)` of several.
        """
        body = vector_search.asked(table, index, vector, limit, filter)

        async def made() -> Any:
            return from_stored(await self._calls.ask(vector_search.ASK, "", body))

        return self._calls.call("ctx.vector_search", made)

    def _function(
        self, kind: str, ref: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Call[Any]:
        path, body = _request(kind, ref, args, kwargs)

        async def made() -> Any:
            return from_stored(await self._calls.ask(kind, path, body))

        return self._calls.call(f"ctx.run_{kind}", made)


class SyncActionCtx(_Context):
    """What a plain `def` action is given; every call blocks. Any thread may call."""

    __slots__ = ("_about", "_ask", "_files", "_identity", "_now_ns")

    def __init__(
        self,
        ask: PlainAsk,
        identity: Identity | None = None,
        now_ns: Callable[[], int] = _now_ns,
        files: Files | None = None,
        about: About | None = None,
    ) -> None:
        self._ask = ask
        self._identity = identity
        self._now_ns = now_ns
        self._files = files or MemoryFiles()
        self._about = about

    @property
    def storage(self) -> SyncStorage:
        """Files."""
        return SyncStorage(self._ask, self._files)

    @property
    def meta(self) -> SyncMeta:
        """What there is to know of the function, its deployment and its request."""
        assert self._about is not None, "it is given to actions that run"
        return SyncMeta(self._about)

    @property
    def auth(self) -> SyncAuth:
        """Who is asking."""
        return SyncAuth(self._identity)

    @property
    def scheduler(self) -> SyncScheduler:
        """Functions run later."""
        return SyncScheduler(self._ask)

    def now(self) -> int:
        """The time in ms since 1970."""
        return self._now_ns() // 1_000_000

    @overload
    def run_query(
        self, ref: FunctionDefinition[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...

    @overload
    def run_query(
        self, ref: FunctionDefinition[..., R], args: Mapping[str, Any], /
    ) -> R: ...

    @overload
    def run_query(self, ref: str | Reference, /, *args: Any, **kwargs: Any) -> Any: ...

    def run_query(self, ref: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a query, as of this moment.

        Args:
            ref: the decorated function, `api.…`, `internal.…` or a path.
            args: one dict may stand in place of the arguments.
            kwargs: the arguments.
        """
        return self._function("query", ref, args, kwargs)

    @overload
    def run_mutation(
        self, ref: FunctionDefinition[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...

    @overload
    def run_mutation(
        self, ref: FunctionDefinition[..., R], args: Mapping[str, Any], /
    ) -> R: ...

    @overload
    def run_mutation(
        self, ref: str | Reference, /, *args: Any, **kwargs: Any
    ) -> Any: ...

    def run_mutation(self, ref: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a mutation: a transaction of its own, durable when it returns."""
        return self._function("mutation", ref, args, kwargs)

    @overload
    def run_action(
        self, ref: FunctionDefinition[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...

    @overload
    def run_action(
        self, ref: FunctionDefinition[..., R], args: Mapping[str, Any], /
    ) -> R: ...

    @overload
    def run_action(self, ref: str | Reference, /, *args: Any, **kwargs: Any) -> Any: ...

    def run_action(self, ref: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Calls another action; it is never run twice."""
        return self._function("action", ref, args, kwargs)

    def embed(
        self, texts: str | Sequence[str], /, *, model: str = knobs.EMBEDDING_MODEL
    ) -> Any:
        """The embedding of a text; of a list of texts, the list of theirs.

        Args:
            texts: one, or several, which are embedded together.
            model: of sentence-transformers: a name, or the path of a folder.
        """
        body = _embed_request(texts, model)
        found: Any = from_stored(self._ask(EMBED, "", body))
        return found[0] if isinstance(texts, str) else found

    def vector_search(
        self,
        table: str,
        index: str,
        /,
        *,
        vector: Sequence[float],
        limit: int = knobs.VECTOR_RESULTS,
        filter: Callable[[Any], object] | None = None,  # noqa: A002 - Convex's name
    ) -> list[dict[str, Any]]:
        """The documents whose vectors are nearest: `[{"_id": …, "_score": …}]`, nearest first.

        It sees all that was committed before the call.

        Args:
            table: the table's name.
            index: one of its vector indexes.
            vector: as many numbers as the index has dimensions.
            limit: how many documents, 1 to 256.
            filter: `lambda q: q.eq("owner", o)`, or `q.or_(…)` of several.
        """
        body = vector_search.asked(table, index, vector, limit, filter)
        found: Any = from_stored(self._ask(vector_search.ASK, "", body))
        return list(found)

    def _function(
        self, kind: str, ref: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        path, body = _request(kind, ref, args, kwargs)
        return from_stored(self._ask(kind, path, body))


def _embed_request(texts: Any, model: str) -> bytes:
    check_texts(texts)
    several = [texts] if isinstance(texts, str) else list(texts)
    return to_stored({"texts": several, "model": model})


def _request(
    kind: str, ref: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str, bytes]:
    """A call of a function as the gateway takes it: its path and arguments."""
    values = call_arguments(f"ctx.run_{kind}(ref, …)", args, kwargs)
    module, name = split_path(reference_path(ref))
    return f"{module}:{name}", to_stored(values)
