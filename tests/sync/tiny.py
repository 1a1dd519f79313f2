"""A backend small enough to see through: stands in for the function processes.

One dict of keys and values, kept as of every timestamp; functions are Python
callables; nothing is durable. Runs and groups happen when the test says so, or at
the loop's next turn (`auto`).
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from convexlab.documents.encoding import from_wire, to_stored, to_wire
from convexlab.documents.value import normalize
from convexlab.engine.look import Read
from convexlab.errors import ConvexError, ConvexlabError, OutOfRetention, RetryError
from convexlab.sync.backend import (
    ActionRun,
    MutationRun,
    Published,
    QueryRun,
    Reply,
    RunError,
)

MODULES = 0
DATA = 1


class Ctx:
    """What a function of the tiny store sees."""

    def __init__(
        self, state: dict[str, Any], call: Any, *, writable: bool = False
    ) -> None:
        self._state = state
        self._writable = writable
        self._identity = call.caller.identity
        self.admin = call.caller.admin
        self.journal_in = getattr(call, "journal", None)
        self.journal: str | None = None
        self.reads = [Read(MODULES, call.path.encode(), call.path.encode() + b"\0")]
        self.identity_read = False
        self.clock_read = False
        self.index_behind = False
        self.logs: list[str] = []
        self.written: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        self.reads.append(Read(DATA, key.encode(), key.encode() + b"\0"))
        return self.written.get(key, self._state.get(key))

    def range(self, start: str, end: str | None = None) -> dict[str, Any]:
        self.reads.append(Read(DATA, start.encode(), end.encode() if end else None))
        merged = {**self._state, **self.written}
        return {
            k: merged[k] for k in sorted(merged) if start <= k and (not end or k < end)
        }

    def set(self, key: str, value: Any) -> None:
        assert self._writable
        self.written[key] = value

    @property
    def identity(self) -> dict[str, Any] | None:
        self.identity_read = True
        return None if self._identity is None else json.loads(self._identity)

    def log(self, text: str) -> None:
        self.logs.append(f"[LOG] {text!r}")


@dataclass
class Tiny:
    """See `Backend`; `queries`, `mutations`, `actions` are the deployed functions."""

    queries: dict[str, Any] = field(default_factory=dict)
    mutations: dict[str, Any] = field(default_factory=dict)
    actions: dict[str, Any] = field(default_factory=dict)
    internal: set[str] = field(default_factory=set)
    auto: bool = True
    ts: int = 1_000

    def __post_init__(self) -> None:
        self._states: dict[int, dict[str, Any]] = {self.ts: {}}
        self._newest = self.ts  # committed, perhaps not yet published
        self._listener: Any = None
        self._queue: list[Any] = []
        self._arrival: asyncio.Future[None] | None = None
        self._scheduled = False
        self._gates: dict[str, asyncio.Event] = {}
        self.calls: dict[str, MutationRun] = {}
        self.runs: Counter[str] = Counter()  # queries run, by path
        self.executed: list[str] = []  # mutations run, by call id
        self.oldest = 0
        self.failing: ConvexlabError | Exception | None = None
        self.raised: list[int] = []
        self.shown: set[int] = set()
        self.known: list[tuple[Any, ...]] = []

    # -- what tests do ------------------------------------------------------------

    def hold(self, path: str) -> None:
        """Let runs of a query wait until `release`."""
        self._gates[path] = asyncio.Event()

    def release(self, path: str) -> None:
        self._gates.pop(path).set()

    def let_one_through(self, path: str) -> None:
        """Let the runs that wait end, and the next ones wait."""
        self.release(path)
        self.hold(path)

    def write(self, **values: Any) -> None:
        """Commit and publish, as some other client would."""
        previous = self._newest
        self._commit(values)
        self._publish(previous, values, [])

    def push(self, **queries: Any) -> None:
        """Deploy queries anew (`m__f` is `m:f`)."""
        named = {name.replace("__", ":"): query for name, query in queries.items()}
        self.queries.update(named)
        previous = self._newest
        self._commit({})
        self.ts = self._newest
        keys = [(MODULES, path.encode()) for path in named]
        self._listener.published(Published(previous, self.ts, keys))

    def skip(self, **values: Any) -> None:
        """Commit, and lose the message: the next one says that there was a gap."""
        self._commit(values)

    async def has_queued(self, count: int) -> None:
        """Wait until so many mutations are queued."""
        while len(self._queue) < count:
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival

    def pump(self) -> None:
        """Run what was submitted, as one group."""
        self._scheduled = False
        queue, self._queue = self._queue, []
        previous = self._newest
        replies, written = [], {}
        for call in queue:
            run, values = self._mutate(call)
            written.update(values)
            replies.append(Reply(call, run))
        self._publish(previous, written, replies)

    # -- the backend --------------------------------------------------------------

    def listen(self, listener: Any) -> None:
        self._listener = listener

    async def run_query(self, call: Any) -> QueryRun:
        self.runs[call.path] += 1
        gate = self._gates.get(call.path)
        if self.failing is not None:
            raise self.failing
        if gate is not None:
            await gate.wait()
        if call.at < self.oldest:
            raise OutOfRetention(f"{call.at} is gone")
        ctx = Ctx(self._states[call.at], call)
        value, error = self._apply(self.queries, "Query", call, ctx)
        return QueryRun(
            call.at,
            value,
            error,
            tuple(ctx.logs),
            ctx.journal,
            ctx.reads,
            ctx.identity_read,
            ctx.clock_read,
            index_behind=ctx.index_behind,
        )

    def submit(self, call: Any) -> None:
        self._queue.append(call)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
        if self.auto and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.pump)

    async def run_action(self, call: Any) -> ActionRun:
        gate = self._gates.get(call.path)
        if gate is not None:
            await gate.wait()
        ctx = Ctx(self._states[self.ts], call)
        value, error = self._apply(self.actions, "Action", call, ctx)
        return ActionRun(value, error, tuple(ctx.logs))

    def show_versions(self, tables: Any) -> None:
        self.shown = set(tables)

    def knew(self, *said: Any) -> None:
        self.known.append(said)

    def kind(self, path: str) -> Any:
        for kind, there in (
            ("query", self.queries),
            ("mutation", self.mutations),
            ("action", self.actions),
        ):
            if path in there:
                return kind
        return None

    def raise_clock(self, ts: int) -> None:
        self.raised.append(ts)

    # -- inside -------------------------------------------------------------------

    def _commit(self, values: dict[str, Any]) -> int:
        previous, self._newest = self._newest, self._newest + 10
        self._states[self._newest] = {**self._states[previous], **values}
        return self._newest

    def _publish(
        self, previous: int, values: dict[str, Any], replies: list[Reply]
    ) -> None:
        keys = [(DATA, key.encode()) for key in values]
        self.ts = self._newest
        self._listener.published(Published(previous, self.ts, keys, replies))

    def _mutate(self, call: Any) -> tuple[Any, dict[str, Any]]:
        if call.call_id in self.calls:
            return self.calls[call.call_id], {}
        if isinstance(self.failing, ConvexlabError):
            return self.failing, {}
        ctx = Ctx(self._states[self._newest], call, writable=True)
        value, error = self._apply(self.mutations, "Mutation", call, ctx)
        if error is not None:
            return MutationRun(None, None, error, tuple(ctx.logs)), {}
        self.executed.append(call.call_id)
        ts = self._commit(ctx.written)
        run = self.calls[call.call_id] = MutationRun(ts, value, None, tuple(ctx.logs))
        return run, ctx.written

    def _apply(self, functions: Any, kind: str, call: Any, ctx: Ctx) -> Any:
        function = functions.get(call.path)
        if function is None or (call.path in self.internal and not ctx.admin):
            other = self.kind(call.path)
            if other is not None and call.path not in self.internal:
                text = f"Trying to execute {call.path} as {kind}, but it is defined as {other}."
                return None, RunError(text)
            return None, RunError(f"Could not find public function for '{call.path}'.")
        try:
            value = normalize(function(ctx, from_wire(call.args)))
            return (to_stored if call.stored else to_wire)(value), None
        except ConvexError as error:
            return None, RunError(str(error), to_wire(normalize(error.data)))
        except RetryError as error:
            return None, RunError(str(error), code=error.code)
        except Exception as error:  # noqa: BLE001
            return None, RunError(f"{type(error).__name__}: {error}")


def increment(ctx: Ctx, args: Any) -> Any:
    by = args.get("by", 1)
    ctx.set("n", (ctx.get("n") or 0) + by)
    return ctx.get("n")


def fail(ctx: Ctx, args: Any) -> Any:
    if "data" in args:
        raise ConvexError(args["data"])
    raise ValueError("boom")


def whoami(ctx: Ctx, args: Any) -> Any:
    return (ctx.identity or {}).get("subject")


def logged(ctx: Ctx, args: Any) -> Any:
    ctx.log("hi")
    return None


def send(ctx: Ctx, args: Any) -> Any:
    count = len(ctx.range("m/", "m0"))
    ctx.set(f"m/{count:04}", args["body"])
    return f"m/{count:04}"


def padded(ctx: Ctx, args: Any) -> Any:
    """Long, and the same for all numbers of one sign."""
    return [args["key"], (ctx.get("n") or 0) > 0, "x" * 5_000]


def pages(ctx: Ctx, args: Any) -> Any:
    """A page whose end the journal holds still."""
    keys = ctx.range("m/", "m0")
    end = ctx.journal_in or f"m/{args['numItems']:04}"
    ctx.journal = end
    return [body for key, body in keys.items() if key < end]


def tiny(**options: Any) -> Tiny:
    """A deployment with the functions that the tests call."""
    return Tiny(
        queries={
            "counter:get": lambda ctx, args: ctx.get("n") or 0,
            "counter:double": lambda ctx, args: 2 * (ctx.get("n") or 0),
            "counter:sign": lambda ctx, args: (ctx.get("n") or 0) > 0,
            "slow:get": lambda ctx, args: ctx.get("n") or 0,
            "slow:double": lambda ctx, args: 2 * (ctx.get("n") or 0),
            "messages:list": lambda ctx, args: list(ctx.range("m/", "m0").values()),
            "messages:default": lambda ctx, args: "default",
            "messages:pages": pages,
            "dir/deep:get": lambda ctx, args: "deep",
            "values:same": lambda ctx, args: args.get("value"),
            "values:padded": padded,
            "values:big": lambda ctx, args: "x" * int(args["size"]),
            "users:me": whoami,
            "fail:query": fail,
            "log:query": logged,
            "secret:query": lambda ctx, args: "secret",
        },
        mutations={
            "counter:inc": increment,
            "counter:set": lambda ctx, args: ctx.set("n", args["n"]),
            "messages:send": send,
            "values:echo": lambda ctx, args: args.get("value"),
            "fail:mutation": fail,
            "users:claim": lambda ctx, args: ctx.set("owner", whoami(ctx, args)),
        },
        actions={
            "ai:run": lambda ctx, args: "ran",
            "fail:action": fail,
        },
        internal={"secret:query"},
        **options,
    )
