"""The gateway's core: messages in, messages out, whatever carries them.

It holds the sessions, the results and the rounds, does the sessions' work, and
hears of every published group. It never runs a user's function and never waits
inside a step:

    published(group)    ends what the group touched, answers its mutations and lets
                        the sessions take part in the next round, all in one step
    receive(…)          one message of one session
    query · mutate · act      the same functions, called once, over HTTP or from within

Invariants
    G1  Between a group's arrival and the end of the step that takes it in, nothing
        else happens: no result older than the group answers anybody after it, and
        its responses are on their sockets before any Transition that contains it.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING, Protocol, assert_never

from convexlab import knobs
from convexlab.documents.encoding import from_wire, to_canonical
from convexlab.engine.timestamp import in_words
from convexlab.errors import (
    ConvexlabError,
    InvalidValue,
    OutOfRetention,
    RemoteProtocolError,
)
from convexlab.followers.written import Written
from convexlab.functions.cache import QueryToken, Results
from convexlab.functions.requested import UNKNOWN
from convexlab.protocol.messages import Authenticate, decode
from convexlab.sync.backend import (
    ANONYMOUS,
    ActionCall,
    ActionRun,
    Caller,
    MutationCall,
    MutationRun,
    QueryCall,
    RunError,
)
from convexlab.sync.causes import Causes
from convexlab.sync.interest import Interest
from convexlab.sync.replays import Replays
from convexlab.sync.rounds import Rounds, closing
from convexlab.sync.session import ClientSession
from convexlab.sync.transition import Payload, payload_of, refusal, request_id
from convexlab.sync.work import (
    Close,
    Pause,
    RaiseClock,
    Send,
    Start,
    Submit,
    Unfollow,
    Verify,
    Work,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from convexlab.functions.processes.runners import Run
    from convexlab.functions.requested import Client
    from convexlab.sync.backend import Backend, Published, Reply
    from convexlab.sync.claims import Claims
    from convexlab.sync.followed import FollowedQuery


class Outbox(Protocol):
    """A session's socket, as the core sees it."""

    def send(self, text: bytes, *, is_transition: bool) -> None:
        """Queue one message; never waits."""

    def close(self, code: int, reason: str) -> None:
        """Close after what is queued."""

    @property
    def is_congested(self) -> bool:
        """Whether so many Transitions are unsent that the next ones must coalesce.

        Once it is no more, the socket calls `Gateway.relieved`.
        """


class Gateway:
    """Sessions, results and rounds over one backend.

    Args:
        backend: runs functions; tells of published groups from now on.
        clock: seconds, for how old a result is.
        now_ns: the wall clock.
        round_seconds: how long a round waits for its queries.
        pause_seconds: how long a client that came back is heard out.
        result_bytes: how many bytes of results are kept for whoever asks next.
        claims: what is known of the actions of earlier runs of the deployment.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        clock: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
        round_seconds: float = knobs.ROUND_SECONDS,
        pause_seconds: float = knobs.RECONNECT_PAUSE_SECONDS,
        result_bytes: int = knobs.RESULT_CACHE_BYTES,
        claims: Claims | None = None,
    ) -> None:
        self.backend = backend
        self._now_ns = now_ns
        self._clock = clock
        self._pause_seconds = pause_seconds
        self._ts = backend.ts
        self._results: Results[Payload] = Results(
            clock=clock, payload_bytes=result_bytes
        )
        self._interest = Interest(backend, clock)
        self.causes = Causes(now_ns)
        self._rounds = Rounds(
            backend,
            self._results,
            carry_out=self._carry_out,
            may_begin=lambda session: not self._sessions[session].is_congested,
            interest=self._interest,
            causes=self.causes,
            round_seconds=round_seconds,
        )
        self._sessions: dict[ClientSession, Outbox] = {}
        # Who hears of a submitted mutation: by the object, since the same call may be
        # under way twice, once from before a reconnect.
        self._submitted: dict[MutationCall, Callable[[Reply], None]] = {}
        self._replays = Replays(lambda: now_ns() / 1e9, claims)
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[Callable[[Written | None], None]] = []
        # Names rise with time, so the store appends them instead of sorting them in.
        self._call_names = f"g{now_ns():016x}{secrets.token_hex(2)}"
        self._calls_named = itertools.count()
        self.last_active = clock()
        backend.listen(self)

    def was_used(self) -> None:
        """Somebody is there who holds no socket."""
        self.last_active = self._clock()

    @property
    def session_count(self) -> int:
        """How many sockets are open."""
        return len(self._sessions)

    # -- sockets ------------------------------------------------------------------

    def connect(
        self,
        outbox: Outbox,
        *,
        locked: bool = False,
        resends: bool = False,
        stored: bool = False,
        client: Client = UNKNOWN,
    ) -> ClientSession:
        """A socket opened.

        Args:
            outbox: the socket.
            locked: it must authenticate as admin first.
            resends: its client sends actions again after a reconnect.
            stored: it is told of results with numbers as they are stored.
            client: who is at the other end.
        """
        session = ClientSession(
            ts=self.backend.ts,
            new_call_id=self.new_call_id,
            now_ns=self._now_ns,
            locked=locked,
            resends=resends,
            stored=stored,
            client=client,
        )
        self._sessions[session] = outbox
        return session

    def receive(self, session: ClientSession, text: str | bytes) -> Authenticate | None:
        """Take in one message.

        Returns:
            A token to be verified: call `authenticated` or `refused` before the
            session's next message.
        """
        if session.closed:
            return None
        try:
            works = session.receive(decode(text))
        except RemoteProtocolError as error:
            works = session.fail(error)
        self._carry_out(session, works)
        self._rounds.want(session)
        return next((work.message for work in works if isinstance(work, Verify)), None)

    def authenticated(self, session: ClientSession, caller: Caller) -> None:
        """The token that `receive` returned is `caller`'s."""
        self._carry_out(session, session.authenticated(caller))
        self._rounds.want(session)

    def refused(self, session: ClientSession, error: str) -> None:
        """The token that `receive` returned is no good."""
        self._carry_out(session, session.refused(error))

    def unverifiable(self, session: ClientSession, error: ConvexlabError) -> None:
        """Whose the token is cannot be found out just now: the client comes back."""
        self._carry_out(session, [closing(error)])

    def relieved(self, session: ClientSession) -> None:
        """The session's socket takes Transitions again."""
        self._rounds.want(session)

    def disconnected(self, session: ClientSession) -> None:
        """The socket is gone; what was submitted still runs."""
        self.last_active = self._clock()
        self._end(session)
        del self._sessions[session]

    def close(self, code: int, reason: str) -> None:
        """Close every socket, as the deployment stops."""
        for session in list(self._sessions):
            self._carry_out(session, [Close(code, reason)])
        for task in self._tasks:
            task.cancel()

    # -- what the backend tells ---------------------------------------------------

    def published(self, group: Published) -> None:
        """Take in one group, in one step (G1)."""
        known = group.previous_ts <= self._ts
        written = (
            Written(group.keys, group.versions)
            if known and group.keys is not None
            else None
        )
        ended = self._results.publish(self._ts, group.ts, written)
        self._interest.look(self._results.filtered_tables)
        self.causes.published(self._ts, group)
        self._ts = max(self._ts, group.ts)
        for result in ended:
            self._rounds.ask_again(result)
        for listener in self._listeners:
            listener(written)
        for reply in group.replies:
            self._submitted.pop(reply.call)(reply)

    def tell(self, listener: Callable[[Written | None], None]) -> None:
        """Have `listener` hear what each group wrote; None: nobody knows."""
        self._listeners.append(listener)

    def _answered(self, session: ClientSession, reply: Reply) -> None:
        if session.closed:
            return
        if isinstance(reply.outcome, MutationRun):
            self._carry_out(session, session.answered(reply.call, reply.outcome))
        else:
            self._carry_out(session, [closing(reply.outcome)])
        self._rounds.land_if_ready(session)
        self._rounds.want(session)

    # -- work ---------------------------------------------------------------------

    def _carry_out(self, session: ClientSession, works: Sequence[Work]) -> None:
        outbox = self._sessions[session]
        for work in works:
            if session.closed:
                return
            match work:
                case Send():
                    outbox.send(work.text, is_transition=work.is_transition)
                case Submit():
                    self.submit(work.call, partial(self._answered, session))
                case Start():
                    self._start_action(session, work)
                case Unfollow():
                    self._unfollow(work.query)
                case RaiseClock():
                    if work.ts > self.backend.ts:
                        self.backend.raise_clock(work.ts)
                case Close():
                    self._end(session)
                    outbox.close(work.code, work.reason)
                case Pause():
                    loop = asyncio.get_running_loop()
                    loop.call_later(self._pause_seconds, self._resume, session)
                case Verify():
                    pass  # `receive` hands it to whoever can wait
                case _:
                    assert_never(work)

    def _resume(self, session: ClientSession) -> None:
        session.resumed()
        self._rounds.want(session)

    def submit(self, call: MutationCall, hear: Callable[[Reply], None]) -> None:
        """Hand a mutation to the writer.

        Args:
            call: under a name that no other has.
            hear: told of its answer, in the step that takes in its group.
        """
        self._submitted[call] = hear
        self.causes.submitted(call)
        self.backend.submit(call)

    def _start_action(self, session: ClientSession, work: Start) -> None:
        task = asyncio.get_running_loop().create_task(self._act(session, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _act(self, session: ClientSession, work: Start) -> None:
        try:
            run = await self._run_once(session, work)
        except ConvexlabError as error:  # it has not begun
            run = ActionRun(error=RunError(error.message, code=error.code))
        works = session.acted(work.request, run)
        if not session.closed:
            self._carry_out(session, works)
            self._rounds.want(session)

    def _run_once(self, session: ClientSession, work: Start) -> Awaitable[ActionRun]:
        if work.is_repeated:
            again = self._replays.repeated(
                work.request, work.call, connected=session.connected
            )
            if again is not None:
                return again
        run = partial(self.backend.run_action, work.call)
        if not session.resends:
            return run()
        return self._replays.begin(work.request, work.call, run)

    def _end(self, session: ClientSession) -> None:
        session.closed = True
        self._rounds.forget(session)
        for query in session.queries.values():
            self._unfollow(query)

    def _unfollow(self, query: FollowedQuery) -> None:
        if query.result is not None:
            self._results.unwatch(query.result, query)

    def new_call_id(self) -> str:
        """A name for a call that no client named."""
        return f"{self._call_names}{next(self._calls_named):010x}"

    # -- calls without a session --------------------------------------------------

    def query(
        self,
        path: str,
        args: bytes,
        caller: Caller = ANONYMOUS,
        *,
        stored: bool = False,
    ) -> asyncio.Future[Payload]:
        """What a query says at the newest published timestamp.

        Several asked for in one step are answered as of one timestamp.

        Raises:
            RetryError: through the future: nothing could run it.
        """
        self.was_used()
        try:
            token = QueryToken(path, canonical(args), None, caller.admin, stored)
        except InvalidValue as error:
            answer: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
            answer.set_result(refusal(error.message, request_id(path)))
            return answer
        return self._rounds.ask(token, caller)

    async def query_at(
        self,
        ts: int,
        path: str,
        args: bytes,
        caller: Caller = ANONYMOUS,
        *,
        stored: bool = False,
    ) -> Payload:
        """What a query said at an earlier timestamp.

        A timestamp between the newest commit and this moment is as of that commit.

        Raises:
            OutOfRetention: `ts` is older than what is kept, or has not come yet.
        """
        self.last_active = self._clock()
        newest = self.backend.ts
        if ts > max(newest, now := self._now_ns()):
            raise OutOfRetention(
                f"{in_words(ts)} has not come yet: it is {in_words(now)}."
            )
        at = min(ts, newest)
        name = request_id(path, args)
        try:
            call = QueryCall(path, canonical(args), at, caller, None, stored, name)
        except InvalidValue as error:
            return refusal(error.message, name)
        return payload_of(await self.backend.run_query(call), name)

    def mutate(
        self,
        path: str,
        args: bytes,
        caller: Caller = ANONYMOUS,
        *,
        stored: bool = False,
        parent: str = "",
        request: bytes = b"",
        within: Run | None = None,
    ) -> asyncio.Future[MutationRun]:
        """Run a mutation; done when its commit is published.

        Args:
            path: the function.
            args: JSON of its arguments.
            caller: who is asking.
            stored: numbers in the result as they are stored.
            parent: the scheduled function whose action calls it.
            request: that it comes from (`functions.requested`).
            within: the run of the action that calls it.

        Raises:
            RetryError: through the future: it did not run.
        """
        self.last_active = self._clock()
        answer: asyncio.Future[MutationRun] = asyncio.get_running_loop().create_future()
        self.submit(
            MutationCall(
                self.new_call_id(),
                path,
                args,
                caller,
                stored,
                parent=parent,
                request=request,
                within=within,
            ),
            partial(_settle, answer),
        )
        return answer

    async def act(
        self,
        path: str,
        args: bytes,
        caller: Caller = ANONYMOUS,
        *,
        stored: bool = False,
        within: Run | None = None,
        request: bytes = b"",
    ) -> ActionRun:
        """Run an action, once.

        Args:
            path: the function.
            args: JSON of its arguments.
            caller: who is asking.
            stored: numbers in the result as they are stored.
            within: the run of the action that calls it.
            request: that it comes from (`functions.requested`).

        Raises:
            RetryError: it has not begun.
        """
        self.last_active = self._clock()
        return await self.backend.run_action(
            ActionCall(
                self.new_call_id(),
                path,
                args,
                caller,
                stored,
                within,
                request=request,
            )
        )


def canonical(args: bytes) -> bytes:
    """Arguments as a token has them: equal text, equal arguments.

    Long ones stay as they were written, to be refused, if they are no value, where they
    run: to read and write a vector took a fifth of what a search costs the gateway. Who
    asks the same in other words gets the same answer, run once more.

    Raises:
        InvalidValue: not a Convex value.
    """
    if len(args) > knobs.CANONICAL_ARGUMENTS_BYTES:
        return args
    return to_canonical(from_wire(args))


def _settle(answer: asyncio.Future[MutationRun], reply: Reply) -> None:
    if answer.done():  # its caller went away
        return
    if isinstance(reply.outcome, MutationRun):
        answer.set_result(reply.outcome)
    else:
        answer.set_exception(reply.outcome)
