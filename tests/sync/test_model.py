"""Whatever happens: what each page shows is what its queries say as of then.

The gateway, the store, the reader and the runner are the real ones. At every
Transition each page has every query it follows run afresh, as of its timestamp.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.sync.conftest import ANN, BOB, settle
from tests.sync.engine import Engine
from tests.sync.page import Page

from convexlab.documents.encoding import to_stored
from convexlab.sync.backend import ANONYMOUS, QueryCall
from convexlab.sync.gateway import Gateway, canonical
from convexlab.sync.transition import payload_of, request_id

QUERIES = """
from convexlab import ConvexError, PaginationOpts, api, query

VERSION = %d


@query
def by_owner(ctx, owner: str):
    return ctx.db.query("items").with_index("by_owner", owner=owner).collect()


@query
def filtered(ctx, owner: str):
    return ctx.db.query("items").filter(lambda d: d.owner == owner).collect()


@query
def top(ctx, n: int):
    return ctx.db.query("items").order("desc").filter(lambda d: d.n > 2).take(n)


@query
def count(ctx):
    return [VERSION, ctx.db.query("items").count()]


@query
def page(ctx, owner: str | None, cursor: str | None):
    q = ctx.db.query("items").with_index("by_n")
    if owner is not None:
        q = q.filter(lambda d: d.owner == owner)
    return q.paginate(num_items=2, cursor=cursor)


@query
def mine(ctx, public: bool):
    if public:
        return "public"
    me = ctx.auth.get_user_identity()
    return me and [me["subject"], ctx.run_query(api.q.by_owner, owner=me["subject"])]


@query
def strict(ctx):
    most = ctx.db.query("items").with_index("by_n").order("desc").first()
    print("most", most and most["n"])
    if most is not None and most["n"] > 4:
        raise ConvexError({"n": most["n"]})
    return None


@query
def get(ctx):
    first = ctx.db.query("items").first()
    return first and ctx.db.get(first["_id"])


@query
def absent(ctx):
    return ctx.db.query("others").collect()
"""
MUTATIONS = """
from convexlab import mutation


@mutation
def add(ctx, owner: str, n: int, table: str):
    ctx.db.insert(table, {"owner": owner, "n": n})


@mutation
def change(ctx, at: int, owner: str, n: int):
    ctx.db.insert("log", {})  # so that every one has a commit of its own
    rows = ctx.db.query("items").collect()
    if rows:
        ctx.db.patch(rows[at % len(rows)]["_id"], {"owner": owner, "n": n})


@mutation
def remove(ctx, at: int):
    ctx.db.insert("log", {})
    rows = ctx.db.query("items").collect()
    if rows:
        ctx.db.delete(rows[at % len(rows)]["_id"])


@mutation
def fail(ctx):
    ctx.db.insert("items", {"owner": "nobody", "n": 1})
    raise ValueError("on purpose")
"""
OWNERS = st.sampled_from(["ann", "bob", "eve"])
NUMBERS = st.integers(0, 6)
FOLLOWED = st.one_of(
    st.tuples(
        st.sampled_from(["q:by_owner", "q:filtered", "q:filtered"]),
        st.builds(lambda owner: {"owner": owner}, OWNERS),
    ),
    st.tuples(st.just("q:top"), st.builds(lambda n: {"n": n}, st.integers(1, 3))),
    st.tuples(
        st.sampled_from(["q:count", "q:strict", "q:get", "q:absent"]), st.just({})
    ),
    st.tuples(
        st.just("q:page"),
        st.builds(lambda o: {"owner": o, "cursor": None}, st.none() | OWNERS),
    ),
    st.tuples(
        st.just("q:mine"),
        st.sampled_from([{"public": True}, {"public": False}, {"public": False}]),
    ),
)
WRITES = st.one_of(
    st.tuples(
        st.just("m:add"),
        st.fixed_dictionaries(
            {
                "owner": OWNERS,
                "n": NUMBERS,
                "table": st.sampled_from(["items", "items", "others"]),
            }
        ),
    ),
    st.tuples(
        st.just("m:change"),
        st.fixed_dictionaries({"at": NUMBERS, "owner": OWNERS, "n": NUMBERS}),
    ),
    st.tuples(st.just("m:remove"), st.builds(lambda at: {"at": at}, NUMBERS)),
    st.tuples(st.just("m:fail"), st.just({})),
)
PAGES = st.integers(0, 2)
# Which of several: what is drawn must not depend on how many there are.
WHICH = st.integers(0, 7)


class Reader(Page):
    """A page that has everything it shows run afresh."""

    def __init__(self, gateway: Gateway, engine: Engine) -> None:
        super().__init__(gateway)
        self.engine = engine
        self.callers = [ANONYMOUS]
        self.journals: dict[int, str | None] = {}

    def authenticate(self, caller: Any) -> None:
        self.callers.append(caller)
        super().authenticate(caller)

    def _check(self, end: Any) -> None:
        for query_id in self.results:
            told, (path, args) = self._heard[query_id], self.asked[query_id]
            caller = self.callers[end.identity]
            # Where a page first ended, it ends for good.
            journal = self.journals.setdefault(query_id, told.get("journal"))
            asked = canonical(to_stored(args))
            run = self.engine.run(QueryCall(path, asked, end.ts, caller, journal))
            payload = payload_of(run, request_id(path, asked))
            fresh = json.loads(b"".join(payload.modification(query_id)))
            assert told == fresh, f"{path}({args}) as of {end.ts}"


class LiveQueries(RuleBasedStateMachine):
    """Commits, subscriptions, pushes and identities, in any order and interleaving."""

    @initialize(
        followed=st.lists(st.tuples(PAGES, FOLLOWED), min_size=4, max_size=8),
        writes=st.lists(WRITES, min_size=3, max_size=6),
    )
    def open(self, followed, writes) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="convexlab-live-")
        self.loop = asyncio.new_event_loop()
        self.version = 0
        self.tasks: list[asyncio.Future[Any]] = []
        self.engine = Engine(
            Path(self.folder.name),
            self.modules(),
            {("items", "by_owner"): ["owner"], ("items", "by_n"): ["n"]},
        )
        self.run(self._open_gateway)
        self.commit(writes, known=True, answered=False)
        self.authenticate(1, ANN)
        self.authenticate(2, BOB)
        for page, asked in followed:
            self.follow(page, asked)
        self.answer_all()

    def _open_gateway(self) -> None:
        self.gateway = Gateway(
            self.engine, round_seconds=0, pause_seconds=0, result_bytes=3_000
        )
        self.pages = [Reader(self.gateway, self.engine) for _ in range(3)]

    def modules(self) -> dict[str, str]:
        return {"q": QUERIES % self.version, "m": MUTATIONS}

    def run(self, work: Any, turns: int = 4) -> None:
        async def inside() -> None:
            work()
            await settle(turns)

        self.loop.run_until_complete(inside())

    @rule(page=PAGES, asked=FOLLOWED)
    def follow(self, page, asked):
        self.run(lambda: self.pages[page].follow(*asked))

    @rule(page=PAGES, which=WHICH)
    def follow_the_next_page(self, page, which):
        shown = self.pages[page]
        cursors = [
            (shown.asked[query_id], value["continueCursor"])
            for query_id, value in shown.results.items()
            if shown.asked[query_id][0] == "q:page"
        ]
        if cursors:
            (path, args), cursor = cursors[which % len(cursors)]
            self.run(lambda: shown.follow(path, {**args, "cursor": cursor}))

    @rule(page=PAGES, which=WHICH)
    def unfollow(self, page, which):
        shown = self.pages[page]
        followed = [query for query in shown.asked if query not in shown.removed]
        if followed:
            self.run(lambda: shown.unfollow(followed[which % len(followed)]))

    @rule(page=PAGES, caller=st.sampled_from([ANN, BOB]))
    def authenticate(self, page, caller):
        self.run(lambda: self.pages[page].authenticate(caller))

    @rule(at=NUMBERS, owners=st.lists(OWNERS, min_size=2, max_size=3))
    def pass_it_on(self, at, owners):
        """One document through several hands, in one group."""
        changes = [("m:change", {"at": at, "owner": o, "n": 3}) for o in owners]
        self.commit(changes, known=True, answered=False)

    @rule(page=PAGES, write=WRITES)
    def mutate(self, page, write):
        self.run(lambda: self.pages[page].mutate(*write))

    @rule(
        writes=st.lists(WRITES, min_size=1, max_size=3),
        known=st.sampled_from([True, True, True, False]),
        answered=st.booleans(),
    )
    def commit(self, writes, known, answered):
        """What was submitted, and writes of others, in one group."""

        def work() -> None:
            for path, args in writes:
                call = self.gateway.mutate(path, to_stored(args))
                self.tasks.append(call)

        self.run(work)
        self.run(lambda: self.engine.commit(is_known=known))
        if answered:
            self.answer_all()

    @rule(which=WHICH, turns=st.integers(0, 4))
    def answer(self, which, turns):
        if asked := len(self.engine.asked):
            self.run(lambda: self.engine.answer(which % asked), turns)

    @rule(which=WHICH)
    def answer_too_late(self, which):
        if asked := len(self.engine.asked):
            self.run(lambda: self.engine.refuse(which % asked))

    @rule()
    def answer_all(self):
        self.run(self.engine.answer_all, 30)

    @rule()
    def push(self):
        self.version += 1
        self.engine.write_modules(self.modules())

    @rule()
    def lose_a_message(self):
        if not self.engine._submitted:
            self.engine.commit(is_heard=False)

    @rule(page=PAGES)
    def congest(self, page):
        self.pages[page].congested = True

    @rule(page=PAGES)
    def relieve(self, page):
        self.pages[page].congested = False
        self.run(lambda: self.gateway.relieved(self.pages[page].session))

    @rule(page=PAGES)
    def leave(self, page):
        def work() -> None:
            self.pages[page].leave()
            self.pages[page] = Reader(self.gateway, self.engine)

        self.run(work)

    @invariant()
    def holds_together(self):
        if hasattr(self, "gateway"):
            self.gateway._results.check()

    def teardown(self) -> None:
        if not hasattr(self, "gateway"):
            return
        self.run(self.engine.commit)
        for page in range(3):
            self.relieve(page)
        for _ in range(100):
            if not self.engine.asked:
                break
            self.answer_all()
        assert not self.engine.asked, "it never comes to rest"
        for page in self.pages:
            self.at_rest(page)
        assert all(task.done() for task in self.tasks), "a mutation is not answered"
        self.loop.close()
        self.engine.close()
        self.folder.cleanup()

    def at_rest(self, page: Reader) -> None:
        """The last state of everything, and every answer."""
        assert page.closed is None
        assert page.unanswered == []
        assert not page.owed
        assert set(page.results) == set(page.asked) - set(page.removed)
        end = page.version
        assert (end.query_set, end.identity) == (page.query_set, page.identity)
        page._check(end._replace(ts=self.engine.ts))


LiveQueries.TestCase.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None
)
TestLiveQueries = LiveQueries.TestCase
